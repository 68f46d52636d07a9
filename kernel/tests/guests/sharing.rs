//! Shared memories and threads that wait.

use std::time::{Duration, Instant};

use abi::fault::Trap;
use atoll_kernel::jit::valtype::MemoryType;

use super::{World, i32, i64};

const GUEST: &str = r#"(module (import "m" "m" (memory 1 4 shared))
    (func (export "add") (param i32) (result i32) (i32.atomic.rmw.add (i32.const 0) (local.get 0)))
    (func (export "wait") (param i32 i32 i64) (result i32)
        (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
    (func (export "wait64") (param i32 i64 i64) (result i32)
        (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
    (func (export "notify") (param i32 i32) (result i32) (memory.atomic.notify (local.get 0) (local.get 1)))
    (func (export "store") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
    (func (export "far") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1))))"#;

#[test]
fn domains_on_several_threads_share_a_memory() {
    let mut world = World::new();
    let ty = MemoryType { shared: true, ..MemoryType::new(1, Some(4)) };
    let memory = world.domain.host_memory(ty).unwrap();
    world.name("m", "m", memory);
    let names = world.names.clone();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let names = names.clone();
            std::thread::spawn(move || {
                let mut world = World::new();
                world.names = names;
                let instance = world.load(GUEST);
                for _ in 0..1000 {
                    world.call(instance, "add", &[1]);
                }
                assert_eq!(world.trap(instance, "far", &[4 << 16]), Trap::MemoryOutOfBounds);
                // Sleeps until the main thread has changed the word.
                while world.call(instance, "wait", &[8, 0, i64(-1)]) == [0] {}
            })
        })
        .collect();
    let instance = world.load(GUEST);
    std::thread::sleep(Duration::from_millis(20));
    world.call(instance, "store", &[8, 1]);
    let mut woken = 0;
    let started = Instant::now();
    while threads.iter().any(|thread| !thread.is_finished()) && started.elapsed() < Duration::from_secs(20) {
        woken += world.call(instance, "notify", &[8, i32(-1)])[0];
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(woken <= 4);
    assert_eq!(world.call(instance, "add", &[0]), [4000]);
    assert_eq!(world.call(instance, "grow", &[]), [1]);
    assert_eq!(world.call(instance, "far", &[65536]), [0]);
}

#[test]
fn waiting_has_rules() {
    let mut world = World::new();
    let ty = MemoryType { shared: true, ..MemoryType::new(1, Some(4)) };
    let memory = world.domain.host_memory(ty).unwrap();
    world.name("m", "m", memory);
    let instance = world.load(GUEST);
    assert_eq!(world.call(instance, "wait", &[0, 1, i64(-1)]), [1]);
    assert_eq!(world.call(instance, "wait", &[0, 0, 1000]), [2]);
    assert_eq!(world.call(instance, "wait64", &[0, 1, i64(-1)]), [1]);
    assert_eq!(world.call(instance, "wait64", &[0, 0, 0]), [2]);
    assert_eq!(world.call(instance, "notify", &[0, 5]), [0]);
    for (name, args) in [("wait", [2, 0, 0]), ("wait64", [4, 0, 0])] {
        assert_eq!(world.trap(instance, name, &args), Trap::UnalignedAtomic);
    }
    assert_eq!(world.trap(instance, "notify", &[1, 0]), Trap::UnalignedAtomic);
    assert_eq!(world.trap(instance, "wait", &[65536, 0, 0]), Trap::MemoryOutOfBounds);
    assert_eq!(world.trap(instance, "notify", &[65536, 0]), Trap::MemoryOutOfBounds);
    let alone = world.load(
        r#"(module (memory 1)
            (func (export "wait") (result i32)
                (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
            (func (export "notify") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1))))"#,
    );
    assert_eq!(world.trap(alone, "wait", &[]), Trap::ExpectedShared);
    assert_eq!(world.call(alone, "notify", &[]), [0]);
}
