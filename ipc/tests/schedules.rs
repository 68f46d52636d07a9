//! Trees, calls, faults, kills and restarts as a seed has them, on a schedule that the seed decides: no answer is lost, none is
//! wrong, nobody is served twice, no handle leads into a life that has ended, and nothing stays behind.
//!
//! `ATOLL_SEEDS` sets how many seeds are tried, `ATOLL_SEED` tries one.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use abi::fault::Trap;
use abi::value::Value;
use atoll_ipc::launched::{Call, Launched};
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::Machine;
use kernel::sched::seeded::Random;

/// A process: whom it may call, and whether it sometimes traps.
struct Node {
    imports: Vec<u32>,
    faulty: bool,
}

/// What [`source`] makes a process do, and how often each is called by that; `None` if somebody traps.
fn expected(nodes: &[Node], at: u32, x: u32, served: &mut [u32]) -> Option<u32> {
    let node = &nodes[at as usize];
    served[at as usize] += 1;
    if node.faulty && x % 7 == 3 {
        return None;
    }
    let mut sum = x.wrapping_mul(31).wrapping_add(at);
    for (index, import) in (0..).zip(&node.imports) {
        if x >> index & 1 == 1 {
            let y = x.wrapping_mul(5).wrapping_add(index + 2);
            sum = sum.wrapping_mul(7).wrapping_add(expected(nodes, *import, y, served)?);
        }
    }
    Some(sum)
}

fn source(nodes: &[Node]) -> String {
    let mut text = "(component\n".to_owned();
    for (at, node) in nodes.iter().enumerate() {
        let (mut imports, mut given, mut core, mut with, mut calls) = <[String; 5]>::default().into();
        for (index, import) in node.imports.iter().enumerate() {
            let _ = write!(
                imports,
                "(import \"a{index}\" (func $a{index} (param \"x\" u32) (result u32))) \
                 (core func $l{index} (canon lower (func $a{index})))"
            );
            let _ = write!(core, "(import \"\" \"a{index}\" (func $a{index} (param i32) (result i32)))");
            let _ = write!(given, "(export \"a{index}\" (func $l{index}))");
            let _ = write!(with, "(with \"a{index}\" (func $c{import} \"go\"))");
            let _ = write!(
                calls,
                "(if (i32.and (i32.shr_u (local.get $x) (i32.const {index})) (i32.const 1)) (then
                   (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 7))
                     (call $a{index} (i32.add (i32.mul (local.get $x) (i32.const 5)) (i32.const {})))))))\n",
                index + 2
            );
        }
        let trap = match node.faulty {
            true => {
                "(if (i32.eq (i32.rem_u (local.get $x) (i32.const 7)) (i32.const 3)) (then (unreachable)))"
            }
            false => "",
        };
        let _ = write!(
            text,
            r#"(component $C{at} {imports}
  (core module $m {core}
    (global $served (mut i32) (i32.const 0))
    (func (export "served") (result i32) (global.get $served))
    (func (export "go") (param $x i32) (result i32) (local $sum i32)
      (global.set $served (i32.add (global.get $served) (i32.const 1)))
      {trap}
      (local.set $sum (i32.add (i32.mul (local.get $x) (i32.const 31)) (i32.const {at})))
      {calls}
      (local.get $sum)))
  (core instance $i (instantiate $m (with "" (instance {given}))))
  (func (export "go") (param "x" u32) (result u32) (canon lift (core func $i "go")))
  (func (export "served") (result u32) (canon lift (core func $i "served"))))
(instance $c{at} (instantiate $C{at} {with}))
(export "go{at}" (func $c{at} "go"))
(export "served{at}" (func $c{at} "served"))
"#
        );
    }
    text + ")"
}

fn start(launched: &Launched, name: &str, args: &[u32]) -> Pin<Box<Call>> {
    let args = args.iter().map(|arg| Value::U32(*arg)).collect();
    Box::pin(launched.start_call(&launched.func(&[name]).unwrap(), args).unwrap())
}

fn poll(call: &mut Pin<Box<Call>>) -> Option<Result<u32, Trap>> {
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(Ok(Some(Value::U32(value)))) => Some(Ok(value)),
        Poll::Ready(Ok(None)) => Some(Ok(0)),
        Poll::Ready(Ok(other)) => panic!("{other:?}"),
        Poll::Ready(Err(fault)) => Some(Err(fault.trap)),
    }
}

/// Steps of a schedule; far more than any takes.
const STEPS: u32 = 20_000;

/// Calls, and steps until the answer has come.
fn ask(system: &System, launched: &Launched, name: &str, args: &[u32]) -> Result<u32, Trap> {
    let mut call = start(launched, name, args);
    for _ in 0..STEPS {
        if let Some(answer) = poll(&mut call) {
            return answer;
        }
        system.machine().step();
    }
    panic!("{name} is not answered");
}

struct World {
    nodes: Vec<Node>,
    system: System,
    launched: Launched,
    /// Whether a domain may come to wait for itself.
    cyclic: bool,
    calm: bool,
    retries: bool,
    /// Whether callers wait no longer than some calls take.
    hasty: bool,
}

impl World {
    fn new(engine: &Engine, seed: u64, random: &mut Random) -> World {
        let count = 2 + random.below(5) as u32;
        let faults = random.below(3) == 0;
        let nodes: Vec<Node> = (0..count)
            .map(|at| {
                let imports = if at == 0 { 0 } else { random.below(3).min(u64::from(at)) };
                let imports = (0..imports).map(|_| random.below(u64::from(at)) as u32).collect();
                Node { imports, faulty: faults && random.below(3) == 0 }
            })
            .collect();
        let executable = Executable::parse(engine, &wat::parse_str(source(&nodes)).unwrap()).unwrap();
        let (isolate, cyclic) = match random.below(3) {
            0 => (Isolate::All, false),
            1 => (Isolate::Nothing, false),
            _ => {
                let named = (0..count).filter(|_| random.below(2) == 0).map(|at| format!("c{at}"));
                (Isolate::Named(named.collect()), true)
            }
        };
        let retries = random.below(3) == 0;
        let on_fault = if retries { OnFault::Retry(1) } else { OnFault::Trap };
        let hasty = random.below(4) == 0;
        let deadline_ns = hasty.then(|| 1 + random.below(8_000_000));
        let edge = EdgePolicy { on_fault, deadline_ns };
        let options = LinkOptions { isolate, edge, ..LinkOptions::new("root") };
        let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
        let system = System::on(Machine::simulate(seed).unwrap());
        let placement = Placement { mailbox: 1 + random.below(3) as usize, ..Placement::default() };
        let launched = system.launch(engine, linked, Box::new(()), placement).unwrap();
        let faults = nodes.iter().any(|node| node.faulty);
        let calm = !faults && !hasty && random.below(2) == 0;
        World { nodes, system, launched, cyclic, calm, retries, hasty }
    }

    fn any_domain(&self, random: &mut Random) -> u32 {
        random.below(u64::from(self.launched.tree().domain_count())) as u32
    }

    /// Calls while domains are killed and started again; gives how often each process should have been called.
    fn disturb(&self, random: &mut Random) -> Vec<u32> {
        let mut served = vec![0; self.nodes.len()];
        let mut calls = Vec::new();
        let mut left = 4 + random.below(10);
        for _ in 0..STEPS {
            if left > 0 && random.below(4) == 0 {
                left -= 1;
                let (at, x) = (random.below(self.nodes.len() as u64) as u32, random.next_u64() as u32);
                let value = expected(&self.nodes, at, x, &mut served);
                calls.push((value, start(&self.launched, &format!("go{at}"), &[x])));
            }
            match random.below(60) {
                _ if self.calm => (),
                0 => self.launched.kill(self.any_domain(random), "by a test").unwrap(),
                1 => self.launched.restart(self.any_domain(random), "by a test").unwrap(),
                2 => drop(calls.pop()), // nobody waits for it any more
                _ => (),
            }
            calls.retain_mut(|(value, call)| match poll(call) {
                None => true,
                Some(Ok(answer)) => {
                    assert_eq!(Some(answer), *value);
                    false
                }
                Some(Err(trap)) => {
                    assert!(!self.calm || self.cyclic, "{trap}");
                    false
                }
            });
            if !self.system.machine().step() && left == 0 {
                break;
            }
        }
        calls.retain_mut(|(_, call)| poll(call).is_none());
        assert!(calls.is_empty(), "{} answers are lost", calls.len());
        served
    }

    /// Gives how often the processor was handed over in the last lives.
    fn check(self, random: &mut Random) -> u64 {
        let mut served = self.disturb(random);
        let ask = |name: &str, at: u32, args: &[u32]| {
            ask(&self.system, &self.launched, &format!("{name}{at}"), args)
        };
        if self.calm && !self.cyclic {
            let counted: Vec<u32> =
                (0..self.nodes.len() as u32).map(|at| ask("served", at, &[]).unwrap()).collect();
            assert_eq!(counted, served);
        }
        // Whatever has happened: who begins again serves again.
        (0..self.launched.tree().domain_count())
            .for_each(|domain| self.launched.restart(domain, "by a test").unwrap());
        for at in 0..self.nodes.len() as u32 {
            let value = expected(&self.nodes, at, 6, &mut served);
            let answer = ask("go", at, &[6]);
            match value {
                Some(value) if !self.cyclic && !self.hasty => assert_eq!(answer, Ok(value)),
                Some(value) => assert!(answer.is_err() || answer == Ok(value)),
                None => assert!(answer.is_err()),
            }
            if answer.is_err() && (self.hasty || !self.retries) {
                (0..self.launched.tree().domain_count())
                    .for_each(|domain| self.launched.restart(domain, "by a test").unwrap());
            }
        }
        let domains = 0..self.launched.tree().domain_count();
        let visits = domains.map(|domain| self.launched.domain(domain).unwrap().thread().unwrap().visits());
        let visits = visits.sum();
        let World { system, launched, .. } = self;
        drop(launched);
        system.machine().run_until_idle();
        assert_eq!(system.machine().thread_count(), 0, "guest threads are left");
        visits
    }
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("ATOLL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ATOLL_SEEDS").unwrap_or(usual),
    }
}

/// Says which seed it was if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was ATOLL_SEED={}", self.0);
        }
    }
}

#[test]
fn every_call_of_a_random_tree_is_answered_once() {
    let engine = Engine::new().unwrap();
    let mut visits = 0;
    for seed in seeds(200) {
        let _seed = Seed(seed);
        let mut random = Random::new(seed ^ 0x7a11);
        visits += World::new(&engine, seed, &mut random).check(&mut random);
    }
    assert!(visits > 0 || std::env::var_os("ATOLL_SEED").is_some(), "no schedule hands over");
}

#[test]
fn domains_that_would_wait_for_each_other_are_answered() {
    let engine = Engine::new().unwrap();
    // 2 calls 1, which is a domain of its own, and 1 calls 0, which is in one with 2.
    let nodes = [[].as_slice(), &[0], &[1]].map(|imports| Node { imports: imports.to_vec(), faulty: false });
    let executable = Executable::parse(&engine, &wat::parse_str(source(&nodes)).unwrap()).unwrap();
    let isolate = Isolate::Named(vec!["c1".to_owned()]);
    let options = LinkOptions { isolate, ..LinkOptions::new("root") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
    for seed in seeds(20) {
        let system = System::on(Machine::simulate(seed).unwrap());
        let launched =
            system.launch(&engine, Arc::clone(&linked), Box::new(()), Placement::default()).unwrap();
        let trap = ask(&system, &launched, "go2", &[1]).unwrap_err();
        assert!(trap.to_string().contains("wait for each other"), "{trap}");
    }
}

/// Counters, which are resources of one domain, and their keeper, which is another.
const COUNTERS: &str = r#"
(component
  (component $Bank
    (core module $m
      (global $drops (mut i32) (i32.const 0))
      (func (export "dtor") (param i32) (global.set $drops (i32.add (global.get $drops) (i32.const 1))))
      (func (export "drops") (result i32) (global.get $drops))
      (func (export "get") (param $rep i32) (result i32) (local.get $rep)))
    (core instance $i (instantiate $m))
    (type $counter (resource (rep i32) (dtor (core func $i "dtor"))))
    (core func $new (canon resource.new $counter))
    (core module $maker
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param $rep i32) (result i32) (call $new (local.get $rep))))
    (core instance $j (instantiate $maker (with "" (instance (export "new" (func $new))))))
    (export $c "counter" (type $counter))
    (func (export "make") (param "rep" u32) (result (own $c)) (canon lift (core func $j "make")))
    (func (export "get") (param "self" (borrow $c)) (result u32) (canon lift (core func $i "get")))
    (func (export "drops") (result u32) (canon lift (core func $i "drops"))))
  (instance $bank (instantiate $Bank))
  (alias export $bank "counter" (type $counter))
  (component $Keeper
    (import "counter" (type $counter (sub resource)))
    (import "make" (func $make (param "rep" u32) (result (own $counter))))
    (import "get" (func $get (param "self" (borrow $counter)) (result u32)))
    (core func $make' (canon lower (func $make)))
    (core func $get' (canon lower (func $get)))
    (core func $drop (canon resource.drop $counter))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "get" (func $get (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "keep") (param i32) (result i32) (call $make (local.get 0)))
      (func (export "ask") (param i32) (result i32) (call $get (local.get 0)))
      (func (export "lose") (param i32) (call $drop (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make')) (export "get" (func $get')) (export "drop" (func $drop))))))
    (func (export "keep") (param "rep" u32) (result u32) (canon lift (core func $i "keep")))
    (func (export "ask") (param "handle" u32) (result u32) (canon lift (core func $i "ask")))
    (func (export "lose") (param "handle" u32) (canon lift (core func $i "lose"))))
  (instance $keeper (instantiate $Keeper (with "counter" (type $counter))
    (with "make" (func $bank "make")) (with "get" (func $bank "get"))))
  (export "keep" (func $keeper "keep"))
  (export "ask" (func $keeper "ask"))
  (export "lose" (func $keeper "lose"))
  (export "drops" (func $bank "drops")))
"#;

#[test]
fn no_handle_leads_into_a_life_that_has_ended() {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(COUNTERS).unwrap()).unwrap();
    let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("town") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
    let domain =
        |path: &str| linked.processes().iter().find(|process| process.path == path).unwrap().place.domain;
    let (bank, keeper) = (domain("/town/bank"), domain("/town/keeper"));
    for seed in seeds(100) {
        let _seed = Seed(seed);
        let mut random = Random::new(seed ^ 0xba2c);
        let system = System::on(Machine::simulate(seed).unwrap());
        let launched =
            system.launch(&engine, Arc::clone(&linked), Box::new(()), Placement::default()).unwrap();
        let ask = |name: &str, args: &[u32]| ask(&system, &launched, name, args);
        // The handles that the keeper has, with what they are of; how many of this life's counters were dropped.
        let (mut kept, mut drops, mut life) = (Vec::<(u32, u32, u32)>::new(), 0, 0);
        for step in 0..40 {
            let chosen = random.below(kept.len() as u64) as usize;
            match random.below(8) {
                0 => {
                    launched.restart(bank, "by a test").unwrap();
                    (life, drops) = (life + 1, 0);
                }
                1 => {
                    launched.restart(keeper, "by a test").unwrap();
                    // What it held is given back, once its end has come.
                    ask("lose", &[1 << 20]).unwrap_err();
                    launched.restart(keeper, "by a test").unwrap();
                    drops += kept.drain(..).filter(|(.., of)| *of == life).count() as u32;
                }
                2 if !kept.is_empty() => {
                    let (handle, _, of) = kept.swap_remove(chosen);
                    ask("lose", &[handle]).unwrap();
                    drops += u32::from(of == life);
                }
                3 | 4 if !kept.is_empty() => {
                    let (handle, rep, of) = kept[chosen];
                    let answer = ask("ask", &[handle]);
                    if of == life {
                        assert_eq!(answer, Ok(rep));
                    } else {
                        // The trap ends the keeper.
                        assert!(matches!(answer, Err(Trap::Gone(_))), "{answer:?}");
                        launched.restart(keeper, "by a test").unwrap();
                        drops += kept.drain(..).filter(|(.., of)| *of == life).count() as u32;
                    }
                }
                5 => {
                    system.machine().run_until_idle();
                    assert_eq!(ask("drops", &[]), Ok(drops));
                }
                _ => kept.push((ask("keep", &[step]).unwrap(), step, life)),
            }
        }
    }
}
