//! Core exceptions: thrown, caught, rethrown, across modules, and collected.

use abi::fault::Trap;
use atoll_kernel::jit::valtype::{RefType, ValType};

use super::{World, func_type, i32};

#[test]
fn a_throw_is_caught_by_its_tag() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (tag $a (param i32 i64)) (tag $b) (tag $same (param i32 i64))
            (func $throw (param i32)
                (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 5) (i64.const 6))))
                (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b)))
                (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $same (i32.const 7) (i64.const 8))))
                (if (i32.eq (local.get 0) (i32.const 4)) (then unreachable)))
            (func $between (param i32) (call $throw (local.get 0)))
            (func (export "run") (param i32) (result i32 i64)
                (block $on-a (result i32 i64)
                    (block $on-b
                        (try_table (catch $a $on-a) (catch $b $on-b) (call $between (local.get 0)))
                        (return (i32.const 0) (i64.const 0)))
                    (i32.const -1) (i64.const -1))))"#,
    );
    assert_eq!(world.call(instance, "run", &[0]), [0, 0]);
    assert_eq!(world.call(instance, "run", &[1]), [5, 6]);
    assert_eq!(world.call(instance, "run", &[2]), [i32(-1), super::i64(-1)]);
    assert_eq!(world.trap(instance, "run", &[3]), Trap::UncaughtException);
    assert_eq!(world.trap(instance, "run", &[4]), Trap::Unreachable);
}

#[test]
fn locals_survive_a_throw() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (tag $t) (func $throw (throw $t)) (func $id (param i64) (result i64) (local.get 0))
            (func (export "run") (param i64 i64 i64 i64 i64 i64 i64 i64) (result i64) (local i64)
                (local.set 8 (call $id (local.get 7)))
                (block $caught
                    (try_table (catch $t $caught)
                        (local.set 8 (i64.add (local.get 8) (call $id (local.get 0))))
                        (call $throw)
                        (local.set 8 (i64.const -100))))
                (i64.add (local.get 8) (i64.add (i64.add (local.get 1) (local.get 2)) (i64.add (i64.add
                    (local.get 3) (local.get 4)) (i64.add (local.get 5)
                        (i64.add (local.get 6) (local.get 7))))))))"#,
    );
    let args = [1, 2, 4, 8, 16, 32, 64, 128];
    assert_eq!(world.call(instance, "run", &args), [255 + 128]);
}

#[test]
fn across_modules_and_the_host_is_a_wall() {
    let mut world = World::new();
    let thrower = world.load(
        r#"(module (tag $t (export "t") (param i32))
            (func (export "throw") (param i32) (throw $t (local.get 0))))"#,
    );
    world.register("m", thrower);
    let throw = world.func(thrower, "throw");
    let through = world.domain.host_func_reentrant(
        &func_type(&[ValType::I32], &[]),
        Box::new(move |domain, values| {
            domain.call(&throw, &values[..1], &mut []).map_err(|fault| fault.trap)
        }),
    );
    world.name("host", "through", through.unwrap());
    let catcher = world.load(
        r#"(module (import "m" "t" (tag $t (param i32))) (import "m" "throw" (func $throw (param i32)))
            (import "host" "through" (func $through (param i32)))
            (func (export "run") (param i32) (result i32)
                (block $caught (result i32)
                    (try_table (catch $t $caught) (call $throw (local.get 0))) (i32.const -1)))
            (func (export "through") (param i32) (result i32)
                (block $caught (result i32)
                    (try_table (catch $t $caught) (call $through (local.get 0))) (i32.const -1))))"#,
    );
    assert_eq!(world.call(catcher, "run", &[9]), [9]);
    assert_eq!(world.trap(catcher, "through", &[9]), Trap::UncaughtException);
    assert_eq!(world.trap(thrower, "throw", &[9]), Trap::UncaughtException);
}

#[test]
fn references_to_exceptions_stay_valid() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (tag $t (param i32)) (table $kept 3 exnref) (global $g (mut exnref) (ref.null exn))
            (func $make (param i32) (result exnref) (local exnref)
                (block $caught (result i32 exnref)
                    (try_table (catch_ref $t $caught) (throw $t (local.get 0))) unreachable)
                (local.set 1) (drop) (local.get 1))
            (func $value (param exnref) (result i32)
                (block $caught (result i32)
                    (try_table (catch $t $caught) (throw_ref (local.get 0))) (i32.const -1)))
            (func (export "keep")
                (table.set $kept (i32.const 1) (call $make (i32.const 11)))
                (global.set $g (call $make (i32.const 22))))
            (func (export "kept") (result i32 i32)
                (call $value (table.get $kept (i32.const 1))) (call $value (global.get $g)))
            (func (export "churn") (param i32) (result i32) (local $mine exnref)
                (local.set $mine (call $make (i32.const 33)))
                (loop $again
                    (drop (call $make (local.get 0)))
                    (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (call $value (local.get $mine)))
            (func (export "give") (result exnref) (call $make (i32.const 44)))
            (func (export "take") (param exnref) (result i32) (call $value (local.get 0)))
            (func (export "null") (throw_ref (ref.null exn))))"#,
    );
    world.call(instance, "keep", &[]);
    let given = world.call(instance, "give", &[])[0];
    for _ in 0..3 {
        assert_eq!(world.call(instance, "churn", &[50_000]), [33]);
        assert_eq!(world.call(instance, "kept", &[]), [11, 22]);
        assert_eq!(world.call(instance, "take", &[given]), [44]);
    }
    assert!(matches!(world.trap(instance, "take", &[given + 16]), Trap::Host(_)));
    assert!(!world.domain.is_ref(given + 1, RefType::EXN));
    assert_eq!(world.trap(instance, "null", &[]), Trap::NullExceptionReference);
}
