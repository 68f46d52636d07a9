//! Memories are used again, and never with what somebody has left in them.

use atoll_kernel::domain::externs::{Extern, MemoryRef};
use atoll_kernel::domain::{Domain, DomainOptions};
use atoll_kernel::instance::InstanceIndex;
use atoll_kernel::jit::valtype::{GlobalType, ValType};

use super::{ENGINE, World, library};

const STARTS: &str = r#"(module (memory 2) (func $start (i32.store (i32.const 70000) (i32.const -1)))
    (start $start))"#;
const COPIES: &str = r#"(module (import "" "at" (global i32)) (memory 2)
    (data (global.get 0) "left behind"))"#;

fn memory(domain: &Domain, instance: InstanceIndex) -> MemoryRef {
    let found = domain.export(instance, "m");
    found.and_then(|found| found.memory().cloned()).expect("an exported memory")
}

/// Lets somebody store to a memory, in each of the ways there are.
fn store(way: u32) {
    let mut world = World::new();
    match way {
        0 => drop(world.load(STARTS)),
        1 => {
            let at = GlobalType { ty: ValType::I32, mutable: false };
            let at = world.domain.host_global(at, 70_000).expect("a number is a value of it");
            world.name("", "at", at);
            world.load(COPIES);
        }
        2 => {
            let instance = world.load(r#"(module (memory (export "m") 2))"#);
            let memory = memory(&world.domain, instance);
            world.domain.memory_mut(&memory).expect("is its own")[70_000] = 1;
        }
        _ => {
            let instance = world.load(r#"(module (memory (export "m") 2 2 shared))"#);
            let memory = Extern::Memory(memory(&world.domain, instance));
            let mut other = World::new();
            other.name("", "m", memory);
            let module = r#"(module (import "" "m" (memory 2 2 shared))
                (func (export "store") (i32.store (i32.const 70000) (i32.const -1))))"#;
            let instance = other.load(module);
            other.call(instance, "store", &[]);
        }
    }
}

#[test]
fn nobody_finds_what_was_left_by_who_was_never_called() {
    let untouched = library(r#"(module (memory (export "m") 2))"#);
    for round in 0..400 {
        store(round % 4);
        let mut domain = Domain::new(&ENGINE, DomainOptions::default());
        let instance = domain.instantiate(&untouched, &[], None).unwrap();
        let memory = memory(&domain, instance);
        assert!(domain.memory(&memory).unwrap().iter().all(|byte| *byte == 0), "way {}", round % 4);
    }
}
