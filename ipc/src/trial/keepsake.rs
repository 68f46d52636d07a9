//! Handles that are kept while the lives end that they were made in.

use std::sync::Arc;

use abi::fault::Trap;
use abi::sample::Sampler;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::sched::machine::Machine;

use super::disorder::ask;
use super::forge::Forge;
use crate::launched::Launched;
use crate::system::{Placement, System};

/// What happens in one case.
const STEPS: u32 = 40;
/// Who restarts.
const BY: &str = "by a test";

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

/// The keeper makes, asks and loses counters as the choices say, while both begin new lives.
///
/// # Panics
/// If a handle leads into a life that has ended, a destructor runs never or twice, or handles are left.
pub fn try_handles(forge: &mut Forge, choices: &[u8]) {
    let mut sampler = Sampler::new(choices);
    let executable = forge.executable(COUNTERS);
    let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("town") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).expect("it needs nobody"));
    let domain = |path: &str| {
        let process = linked.processes().iter().find(|process| process.path == path);
        process.expect("it is in the town").place.domain
    };
    let (bank, keeper) = (domain("/town/bank"), domain("/town/keeper"));
    let system = System::on(Machine::simulate(sampler.word()).expect("time can be simulated"));
    let launched = system.launch(forge.engine(), linked, Box::new(()), Placement::default());
    let launched = launched.expect("there is room for a small tree");
    let mut keepsakes = Keepsakes { system, launched, bank, keeper, kept: Vec::new(), drops: 0, life: 0 };
    for step in 0..STEPS {
        keepsakes.step(step, &mut sampler);
    }
    keepsakes.leave_nothing();
}

struct Keepsakes {
    system: System,
    launched: Launched,
    bank: u32,
    keeper: u32,
    /// The handles that the keeper has, what they are of, and in which life of the bank they were made.
    kept: Vec<(u32, u32, u32)>,
    /// How many of this life's counters were dropped.
    drops: u32,
    life: u32,
}

impl Keepsakes {
    fn step(&mut self, step: u32, sampler: &mut Sampler<'_>) {
        let chosen = sampler.below(self.kept.len() as u32) as usize;
        match sampler.below(8) {
            0 => {
                self.launched.restart(self.bank, BY).expect("the machine runs");
                (self.life, self.drops) = (self.life + 1, 0);
            }
            1 => {
                self.launched.restart(self.keeper, BY).expect("the machine runs");
                // What it held is given back, once its end has come.
                self.ask("lose", &[1 << 20]).expect_err("there is no such handle");
                self.next_keeper();
            }
            2 if !self.kept.is_empty() => {
                let (handle, _, of) = self.kept.swap_remove(chosen);
                self.ask("lose", &[handle]).expect("it has this handle");
                self.drops += u32::from(of == self.life);
            }
            3 | 4 if !self.kept.is_empty() => {
                let (handle, rep, of) = self.kept[chosen];
                let answer = self.ask("ask", &[handle]);
                if of == self.life {
                    assert_eq!(answer, Ok(rep));
                } else {
                    // The trap ends the keeper.
                    assert!(matches!(answer, Err(Trap::Gone(_))), "{answer:?}");
                    self.next_keeper();
                }
            }
            5 => {
                self.system.machine().run_until_idle();
                assert_eq!(self.ask("drops", &[]), Ok(self.drops));
            }
            _ => {
                let handle = self.ask("keep", &[step]).expect("both are up");
                self.kept.push((handle, step, self.life));
            }
        }
    }

    /// The keeper has ended, and begins again with nothing.
    fn next_keeper(&mut self) {
        self.launched.restart(self.keeper, BY).expect("the machine runs");
        self.drops += self.kept.drain(..).filter(|(.., of)| *of == self.life).count() as u32;
    }

    fn ask(&self, name: &str, args: &[u32]) -> Result<u32, Trap> {
        ask(&self.system, &self.launched, name, args)
    }

    /// The tables hold what the keeper has, and nothing when it has begun again.
    fn leave_nothing(mut self) {
        self.system.machine().run_until_idle();
        assert_eq!(self.launched.tree().usage().handles, self.kept.len() as u64);
        self.launched.restart(self.keeper, BY).expect("the machine runs");
        self.next_keeper();
        self.system.machine().run_until_idle();
        assert_eq!(self.ask("drops", &[]), Ok(self.drops));
        assert_eq!(self.launched.tree().usage().handles, 0);
        drop(self.launched);
        self.system.machine().run_until_idle();
        assert_eq!(self.system.machine().thread_count(), 0, "guest threads are left");
    }
}
