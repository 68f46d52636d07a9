//! Nothing is left of what is launched, faults, is killed at any instant and is launched again: memory maps, files, OS threads
//! and guest threads are as many as before.
//!
//! `ATOLL_LEAK_ROUNDS` sets how often a tree is launched and faults, a tenth of it how often a domain is killed: 10000 in the
//! book's figures.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

mod executor;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use abi::fault::Trap;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use executor::block_on;
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::Linked;
use kernel::host::{HostCall, HostFunc, Import, Imports};
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;
use kernel::sched::park;
use kernel::sched::seeded::Random;

/// The victim does what its functions say until it is killed, some in its start function; the front calls it.
const TREE: &str = r#"
(component
  (import "busy" (func $busy (result u32)))
  (import "sleep" (func $sleep))
  (component $Sink
    (core module $m
      (memory (export "mem") 1025)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "take") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "bytes" (list u8)) (canon lift (core func $i "take")
      (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
  (component $Victim
    (import "busy" (func $busy (result u32)))
    (import "sleep" (func $sleep))
    (import "near" (func $near (param "bytes" (list u8))))
    (import "far" (func $far (param "bytes" (list u8))))
    (core module $libc (memory (export "mem") 1025 16384))
    (core instance $libc (instantiate $libc))
    (core func $busy' (canon lower (func $busy)))
    (core func $sleep' (canon lower (func $sleep)))
    (core func $near' (canon lower (func $near) (memory (core memory $libc "mem"))))
    (core func $far' (canon lower (func $far) (memory (core memory $libc "mem"))))
    (core module $m
      (import "" "mem" (memory 1025 16384))
      (import "" "busy" (func $busy (result i32)))
      (import "" "sleep" (func $sleep))
      (import "" "near" (func $near (param i32 i32)))
      (import "" "far" (func $far (param i32 i32)))
      (func $start (if (call $busy) (then (loop $l (br $l)))))
      (start $start)
      (func (export "fault") (unreachable))
      (func (export "spin") (loop $l (br $l)))
      (func (export "sleep") (loop $l (call $sleep) (br $l)))
      (func (export "fill")
        (drop (memory.grow (i32.sub (i32.const 16384) (memory.size))))
        (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x40000000)) (br $l)))
      (func (export "near") (loop $l (call $near (i32.const 0) (i32.const 0x4000000)) (br $l)))
      (func (export "far") (loop $l (call $far (i32.const 0) (i32.const 0x100000)) (br $l))))
    (core instance $i (instantiate $m (with "" (instance (export "mem" (memory $libc "mem"))
      (export "busy" (func $busy')) (export "sleep" (func $sleep'))
      (export "near" (func $near')) (export "far" (func $far'))))))
    (func (export "fault") (canon lift (core func $i "fault")))
    (func (export "spin") (canon lift (core func $i "spin")))
    (func (export "sleep") (canon lift (core func $i "sleep")))
    (func (export "fill") (canon lift (core func $i "fill")))
    (func (export "near") (canon lift (core func $i "near")))
    (func (export "far") (canon lift (core func $i "far"))))
  (component $Front
    (import "spin" (func $spin))
    (core func $spin' (canon lower (func $spin)))
    (core module $m
      (import "" "spin" (func $spin))
      (func (export "call") (call $spin)))
    (core instance $i (instantiate $m (with "" (instance (export "spin" (func $spin'))))))
    (func (export "call") (canon lift (core func $i "call"))))
  (instance $far (instantiate $Sink))
  (component $House
    (import "busy" (func $busy (result u32)))
    (import "sleep" (func $sleep))
    (import "far" (func $far (param "bytes" (list u8))))
    (alias outer 1 $Sink (component $Sink))
    (alias outer 1 $Victim (component $Victim))
    (instance $near (instantiate $Sink))
    (instance $victim (instantiate $Victim (with "busy" (func $busy)) (with "sleep" (func $sleep))
      (with "near" (func $near "take")) (with "far" (func $far))))
    (export "victim" (instance $victim)))
  (instance $house (instantiate $House (with "busy" (func $busy)) (with "sleep" (func $sleep))
    (with "far" (func $far "take"))))
  (alias export $house "victim" (instance $victim))
  (instance $front (instantiate $Front (with "spin" (func $victim "spin"))))
  (export "fault" (func $victim "fault"))
  (export "spin" (func $victim "spin"))
  (export "sleep" (func $victim "sleep"))
  (export "fill" (func $victim "fill"))
  (export "near" (func $victim "near"))
  (export "far" (func $victim "far"))
  (export "call" (func $front "call")))
"#;

/// Whether start functions are to go on for ever.
struct Busy(Arc<AtomicBool>);

impl HostFunc for Busy {
    fn ty(&self) -> Option<&abi::types::FuncType> {
        None
    }
    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        call.core()[0] = u64::from(self.0.load(Ordering::SeqCst));
        Ok(())
    }
}

/// Waits for nothing.
struct Sleep;

impl HostFunc for Sleep {
    fn ty(&self) -> Option<&abi::types::FuncType> {
        None
    }
    fn call(&self, _: &mut dyn HostCall) -> Result<(), Trap> {
        park::park(None)
    }
}

/// What the OS process has.
#[derive(Clone, Copy, Debug)]
struct Held {
    maps: usize,
    files: usize,
    threads: usize,
}

impl Held {
    /// With the pools of the process emptied; those of threads went with them.
    fn now() -> Held {
        kernel::mem::stack::drain();
        kernel::mem::extent::drain();
        let entries = |folder: &str| fs::read_dir(folder).unwrap().count();
        Held {
            maps: fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
            files: entries("/proc/self/fd"),
            threads: entries("/proc/self/task"),
        }
    }
}

struct World {
    engine: Engine,
    linked: Arc<Linked>,
    victim: u32,
    busy: Arc<AtomicBool>,
}

impl World {
    fn new() -> World {
        let engine = Engine::new().unwrap();
        let executable = Executable::parse(&engine, &wat::parse_str(TREE).unwrap()).unwrap();
        let isolate = Isolate::Named(vec!["house".to_owned(), "far".to_owned()]);
        let options = LinkOptions { isolate, ..LinkOptions::new("tree") };
        let busy = Arc::new(AtomicBool::new(false));
        let mut imports = Imports::default();
        imports.names.insert("busy".to_owned(), Import::Func(Arc::new(Busy(Arc::clone(&busy)))));
        imports.names.insert("sleep".to_owned(), Import::Func(Arc::new(Sleep)));
        let linked = Arc::new(executable.link(&imports, &options).unwrap());
        let victim = linked.processes().iter().find(|process| process.path.ends_with("/victim"));
        World { engine, victim: victim.unwrap().place.domain, linked, busy }
    }

    fn launch(&self, system: &System) -> Launched {
        system.launch(&self.engine, Arc::clone(&self.linked), Box::new(()), Placement::default()).unwrap()
    }

    fn ask(&self, launched: &Launched, name: &str, between: impl FnOnce()) -> Trap {
        let call = launched.start_call(&launched.func(&[name]).unwrap(), Vec::new()).unwrap();
        block_on(call, between).unwrap_err().trap
    }

    fn fault(&self, system: &System) {
        let launched = self.launch(system);
        assert_eq!(self.ask(&launched, "fault", || ()), Trap::Unreachable);
    }

    /// Kills the victim at a random instant of something that never ends, and starts it again. How long it took.
    fn kill(&self, launched: &Launched, random: &mut Random) -> Duration {
        let mut took = Duration::ZERO;
        let name = ["spin", "sleep", "fill", "near", "far", "call", "start"][random.below(7) as usize];
        let instant = Duration::from_micros(random.below(3000));
        let mut kill = || {
            thread::sleep(instant);
            let began = Instant::now();
            launched.kill(self.victim, "by a test").unwrap();
            launched.wait(self.victim).unwrap();
            took = began.elapsed();
        };
        if name == "start" {
            self.busy.store(true, Ordering::SeqCst);
            launched.restart(self.victim, "by a test").unwrap();
            kill();
            self.busy.store(false, Ordering::SeqCst);
        } else {
            let trap = self.ask(launched, name, kill);
            assert!(trap.to_string().contains("by a test"), "{name}: {trap}");
        }
        if std::env::var_os("ATOLL_LEAK_TRACE").is_some() {
            eprintln!("{name} after {instant:?}: {took:?}");
        }
        launched.restart(self.victim, "by a test").unwrap();
        // Front may have ended with the call that the victim did not answer.
        launched.restart(0, "by a test").unwrap();
        took
    }
}

/// Launches, faults and kills on a machine of its own; what kills took.
fn rounds(world: &World, count: usize, random: &mut Random) -> Vec<Duration> {
    let system = System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap();
    for _ in 0..count {
        world.fault(&system);
    }
    let launched = world.launch(&system);
    let took = (0..count / 10).map(|_| world.kill(&launched, random)).collect();
    drop(launched);
    let began = Instant::now();
    while system.machine().thread_count() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "guest threads are left");
        thread::sleep(Duration::from_millis(1));
    }
    took
}

/// What the allocator and the system may keep more of, once they have met more threads.
const SLACK: usize = 8;

#[test]
fn nothing_is_left_of_launches_faults_and_kills() {
    let count = std::env::var("ATOLL_LEAK_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let world = World::new();
    let mut random = Random::new(7);
    rounds(&world, 40, &mut random);
    let before = Held::now();
    let began = Instant::now();
    let mut took = rounds(&world, count, &mut random);
    let elapsed = began.elapsed();
    let after = Held::now();
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    eprintln!("{count} launches and faults, {} kills in {elapsed:?}: {before:?}, {after:?}", took.len());
    eprintln!("kills took {median:?}, p99 {:?}, {worst:?} at worst", took[took.len() * 99 / 100]);
    assert_eq!((before.files, before.threads), (after.files, after.threads));
    assert!(after.maps <= before.maps + SLACK, "{} maps, {} before", after.maps, before.maps);
}
