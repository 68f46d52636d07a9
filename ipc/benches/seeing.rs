//! What it costs to be seen: a call of two numbers, in a loop in the guest, while nobody watches, while it is counted, and
//! while it is traced.
//!
//! `cargo bench -p atoll-ipc --bench seeing`

use std::sync::Arc;
use std::time::Instant;

use abi::value::Value;
use atoll_ipc::edges::EdgeRow;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;

const GUEST: &str = r#"
(component
  (component $Adder
    (core module $m
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (func (export "sub") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "sub"))))
  (component $Looper
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (import "sub" (func $sub (param "a" u32) (param "b" u32) (result u32)))
    (core func $add' (canon lower (func $add)))
    (core func $sub' (canon lower (func $sub)))
    (core module $m
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (import "" "sub" (func $sub (param i32 i32) (result i32)))
      (func (export "loop") (param $n i32) (result i32) (local $sum i32)
        (loop $l
          (local.set $sum (call $add (local.get $sum) (i32.const 1)))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (drop (call $sub (local.get $sum) (i32.const 1)))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance
      (export "add" (func $add')) (export "sub" (func $sub'))))))
    (func (export "loop") (param "n" u32) (result u32) (canon lift (core func $i "loop"))))
  (instance $adder (instantiate $Adder))
  (instance $looper (instantiate $Looper (with "add" (func $adder "add")) (with "sub" (func $adder "sub"))))
  (export "loop" (func $looper "loop")))
"#;

/// Turns of each kind; the fastest counts, as the machine may do other things.
const TURNS: usize = 15;
/// Calls that a trace holds: fewer than a turn makes, so the oldest are lost while nobody reads.
const ROOM: usize = 1000;

fn main() {
    let system =
        System::start(MachineOptions { workers: Some(1), ..MachineOptions::default() }).expect("starts");
    let engine = Engine::new().expect("a known machine");
    let bytes = wat::parse_str(GUEST).expect("is text");
    let executable = Executable::parse(&engine, &bytes).expect("compiles");
    for (name, isolate, calls) in
        [("in one domain", Isolate::default(), 2_000_000), ("over a boundary", Isolate::All, 100_000)]
    {
        let options = LinkOptions { isolate, ..LinkOptions::new("bench") };
        let linked = Arc::new(executable.link(&Imports::default(), &options).expect("links"));
        let launched = system.launch(&engine, linked, Box::new(()), Placement::default()).expect("launches");
        println!("{name}:");
        println!("  nobody watches       {:8.2} ns a call", turns(&launched, calls));
        let other = launched.count(|edge| edge.function == "sub").expect("compiles");
        println!("  a sibling is watched {:8.2} ns a call", turns(&launched, calls));
        drop(other);
        let counted = launched.count(is_add).expect("compiles");
        println!("  counted              {:8.2} ns a call", turns(&launched, calls));
        drop(counted);
        let traced = launched.trace(is_add, ROOM).expect("compiles");
        println!("  traced               {:8.2} ns a call", turns(&launched, calls / 10));
        drop(traced);
        println!("  nobody watches again {:8.2} ns a call", turns(&launched, calls));
    }
}

fn is_add(edge: &EdgeRow) -> bool {
    edge.function == "add"
}

/// Nanoseconds for each of `calls` calls in the fastest turn.
fn turns(launched: &Launched, calls: u32) -> f64 {
    let func = launched.func(&["loop"]).expect("is exported");
    let turn = |_| {
        let began = Instant::now();
        let sum = launched.call(&func, vec![Value::U32(calls)]).expect("does not trap");
        assert_eq!(sum, Some(Value::U32(calls)));
        began.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    (0..TURNS).map(turn).fold(f64::INFINITY, f64::min)
}
