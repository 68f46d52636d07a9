//! What a process may hold: one that grows without end stops at its own quota, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::sync::Arc;

use abi::value::Value;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::quota::Quota;
use kernel::sched::machine::MachineOptions;

/// A parent with a child inside, and a sibling; each has a memory and a table of its own.
const FAMILY: &str = r#"
(component
  (component $Hog
    (core module $m
      (memory 1)
      (table $t 1 funcref)
      (func (export "memory") (result i32)
        (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (memory.size))
      (func (export "table") (result i32)
        (loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1))))
        (table.size $t))
      (func (export "some") (param $pages i32) (result i32)
        (drop (table.grow $t (ref.null func) (local.get $pages)))
        (drop (memory.grow (local.get $pages)))
        (i32.add (memory.size) (table.size $t))))
    (core instance $i (instantiate $m))
    (func (export "memory") (result u32) (canon lift (core func $i "memory")))
    (func (export "table") (result u32) (canon lift (core func $i "table")))
    (func (export "some") (param "pages" u32) (result u32) (canon lift (core func $i "some"))))
  (component $Parent
    (alias outer 1 $Hog (component $Hog))
    (instance $child (instantiate $Hog))
    (core module $m
      (memory 1)
      (func (export "some") (param $pages i32) (result i32)
        (drop (memory.grow (local.get $pages)))
        (memory.size)))
    (core instance $i (instantiate $m))
    (func (export "some") (param "pages" u32) (result u32) (canon lift (core func $i "some")))
    (export "memory" (func $child "memory"))
    (export "table" (func $child "table")))
  (instance $parent (instantiate $Parent))
  (instance $sibling (instantiate $Hog))
  (export "memory" (func $parent "memory"))
  (export "table" (func $parent "table"))
  (export "parent" (func $parent "some"))
  (export "sibling" (func $sibling "some")))
"#;

fn ask(launched: &Launched, name: &str, args: &[u32]) -> u32 {
    let args = args.iter().map(|arg| Value::U32(*arg)).collect();
    match launched.call(&launched.func(&[name]).unwrap(), args).unwrap() {
        Some(Value::U32(value)) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_grows_without_end_stops_at_its_own_quota() {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(FAMILY).unwrap()).unwrap();
    let system = System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap();
    for isolate in [Isolate::Nothing, Isolate::All] {
        let options = LinkOptions { isolate, ..LinkOptions::new("family") };
        let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
        let launched = system.launch(&engine, linked, Box::new(()), Placement::default()).unwrap();
        let tree = launched.tree();
        let child = tree.linked().processes().iter().position(|process| process.path.ends_with("/child"));
        let quota = Quota { memory_bytes: Some(20 << 16), table_elements: Some(1000), ..Quota::default() };
        tree.set_quota(child.expect("the child is a process"), quota).unwrap();
        assert_eq!(ask(&launched, "memory", &[]), 20, "pages, when -1 was the answer");
        assert_eq!(ask(&launched, "table", &[]), 1000);
        // The others may go far beyond, and the child has what it had.
        assert_eq!(ask(&launched, "parent", &[100]), 101);
        assert_eq!(ask(&launched, "sibling", &[2000]), 4002);
        assert_eq!(ask(&launched, "memory", &[]), 20);
    }
}
