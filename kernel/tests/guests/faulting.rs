//! What a guest does wrong comes back as the right trap, with the right frames, and the domain lives on.

use abi::fault::Trap;
use atoll_kernel::jit::valtype::ValType;

use super::{World, func_type, i32, i64};

#[test]
fn the_end_of_a_memory() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (memory 1 2)
            (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
            (func (export "far") (param i32) (result i32) (i32.load offset=0xffffffff (local.get 0)))
            (func (export "guard") (param i32) (result i32) (i32.load offset=0x1fffff0 (local.get 0)))
            (func (export "wide") (param i32) (v128.store (local.get 0) (v128.const i64x2 1 2)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    assert_eq!(world.call(instance, "load", &[i32(65532)]), [0]);
    for at in [65533, 65536, 0x7fff_ffff, -1, -4] {
        assert_eq!(world.trap(instance, "load", &[i32(at)]), Trap::MemoryOutOfBounds);
    }
    for at in [0, 1, -1] {
        assert_eq!(world.trap(instance, "far", &[i32(at)]), Trap::MemoryOutOfBounds);
        assert_eq!(world.trap(instance, "guard", &[i32(at)]), Trap::MemoryOutOfBounds);
    }
    assert_eq!(world.trap(instance, "wide", &[i32(65521)]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "grow", &[i32(1)]), [1]);
    assert_eq!(world.call(instance, "grow", &[i32(1)]), [i32(-1)]);
    assert_eq!(world.call(instance, "load", &[i32(65533)]), [0]);
    assert_eq!(world.trap(instance, "load", &[i32(0x1_fffd)]), Trap::MemoryOutOfBounds);
}

#[test]
fn a_64_bit_memory_has_ends_too() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (memory i64 1)
            (func (export "load") (param i64) (result i32) (i32.load offset=8 (local.get 0)))
            (func (export "fill") (param i64 i64) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
            (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))"#,
    );
    assert_eq!(world.call(instance, "load", &[i64(65524)]), [0]);
    for at in [65525, -1, -8, -9, i64::MAX, i64::MIN, 1 << 40] {
        assert_eq!(world.trap(instance, "load", &[i64(at)]), Trap::MemoryOutOfBounds);
    }
    assert_eq!(world.trap(instance, "fill", &[i64(1), i64(65536)]), Trap::MemoryOutOfBounds);
    assert_eq!(world.trap(instance, "fill", &[i64(-1), i64(2)]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "grow", &[i64(1 << 40)]), [i64(-1)]);
    assert_eq!(world.call(instance, "grow", &[i64(3)]), [1]);
}

#[test]
fn pages_of_one_byte() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (memory 10 20 (pagesize 1))
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#,
    );
    assert_eq!(world.call(instance, "load", &[9]), [0]);
    assert_eq!(world.trap(instance, "load", &[10]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "grow", &[10]), [10]);
    assert_eq!(world.call(instance, "load", &[19]), [0]);
    assert_eq!(world.trap(instance, "load", &[20]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "grow", &[1]), [i32(-1)]);
}

#[test]
fn every_kind_of_trap() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module
            (type $none (func)) (type $one (func (param i32)))
            (table $t 2 funcref) (elem (table $t) (i32.const 0) func $nothing)
            (func $nothing)
            (func (export "unreachable") unreachable)
            (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
            (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
            (func (export "indirect") (param i32) (call_indirect (type $none) (local.get 0)))
            (func (export "mismatch") (call_indirect (type $one) (i32.const 0) (i32.const 0)))
            (func (export "get") (param i32) (drop (table.get $t (local.get 0))))
            (func (export "ref") (param (ref null $none)) (call_ref $none (local.get 0)))
            (func (export "non-null") (param funcref) (drop (ref.as_non_null (local.get 0)))))"#,
    );
    assert_eq!(world.trap(instance, "unreachable", &[]), Trap::Unreachable);
    assert_eq!(world.call(instance, "div", &[i32(7), i32(-2)]), [i32(-3)]);
    assert_eq!(world.trap(instance, "div", &[7, 0]), Trap::IntegerDivideByZero);
    assert_eq!(world.trap(instance, "div", &[i32(i32::MIN), i32(-1)]), Trap::IntegerOverflow);
    assert_eq!(
        world.trap(instance, "trunc", &[u128::from(f64::NAN.to_bits())]),
        Trap::BadConversionToInteger
    );
    assert_eq!(world.trap(instance, "trunc", &[u128::from(1e20f64.to_bits())]), Trap::IntegerOverflow);
    assert_eq!(world.call(instance, "indirect", &[0]), []);
    assert_eq!(world.trap(instance, "indirect", &[1]), Trap::UninitializedElement);
    assert_eq!(world.trap(instance, "indirect", &[2]), Trap::UndefinedElement);
    assert_eq!(world.trap(instance, "indirect", &[i32(-1)]), Trap::UndefinedElement);
    assert_eq!(world.trap(instance, "mismatch", &[]), Trap::BadSignature);
    assert_eq!(world.trap(instance, "get", &[2]), Trap::TableOutOfBounds);
    assert_eq!(world.trap(instance, "ref", &[0]), Trap::NullFunctionReference);
    assert_eq!(world.trap(instance, "non-null", &[0]), Trap::NullReference);
}

#[test]
fn bulk_operations_are_all_or_nothing() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (memory (export "m") 1) (memory $other 1) (table $t 4 funcref) (table $u 4 externref)
            (data $d "abcdef") (elem $e func $f $f) (func $f)
            (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
            (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
            (func (export "across") (param i32 i32 i32)
                (memory.copy $other 0 (local.get 0) (local.get 1) (local.get 2)))
            (func (export "init") (param i32 i32 i32)
                (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
            (func (export "drop") (data.drop $d) (elem.drop $e))
            (func (export "table-init") (param i32 i32 i32)
                (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
            (func (export "table-copy") (param i32 i32 i32)
                (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
            (func (export "table-fill") (param i32 i32)
                (table.fill $t (local.get 0) (ref.func $f) (local.get 1)))
            (func (export "table-grow") (param i32) (result i32)
                (table.grow $u (ref.null extern) (local.get 0)))
            (func (export "set") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0)))))"#,
    );
    assert_eq!(world.trap(instance, "fill", &[65530, 7]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "fill", &[65530, 6]), []);
    assert_eq!(world.call(instance, "copy", &[1, 65528, 8]), []);
    assert_eq!(world.trap(instance, "copy", &[1, 65528, 9]), Trap::MemoryOutOfBounds);
    assert_eq!(world.trap(instance, "copy", &[65536, 0, 1]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "copy", &[65536, 0, 0]), []);
    assert_eq!(world.trap(instance, "across", &[65535, 0, 2]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "init", &[0, 2, 4]), []);
    assert_eq!(world.trap(instance, "init", &[0, 3, 4]), Trap::MemoryOutOfBounds);
    assert_eq!(world.trap(instance, "init", &[65533, 2, 4]), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(instance, "table-init", &[1, 0, 2]), []);
    assert_eq!(world.trap(instance, "table-init", &[3, 0, 2]), Trap::TableOutOfBounds);
    assert_eq!(world.trap(instance, "table-init", &[0, i32(-1), 2]), Trap::TableOutOfBounds);
    assert_eq!(world.call(instance, "table-copy", &[2, 0, 2]), []);
    assert_eq!([0, 1, 2, 3].map(|at| world.call(instance, "set", &[at])[0]), [1, 0, 1, 0]);
    assert_eq!(world.trap(instance, "table-copy", &[3, 0, 2]), Trap::TableOutOfBounds);
    assert_eq!(world.trap(instance, "table-fill", &[3, 2]), Trap::TableOutOfBounds);
    assert_eq!(world.call(instance, "table-fill", &[0, 4]), []);
    assert_eq!(world.call(instance, "table-grow", &[3]), [4]);
    assert_eq!(world.call(instance, "table-grow", &[i32(-1)]), [i32(-1)]);
    assert_eq!(world.call(instance, "drop", &[]), []);
    assert_eq!(world.call(instance, "init", &[0, 0, 0]), []);
    assert_eq!(world.trap(instance, "init", &[0, 0, 1]), Trap::MemoryOutOfBounds);
    assert_eq!(world.trap(instance, "table-init", &[0, 0, 1]), Trap::TableOutOfBounds);
    let memory = world.domain.export(instance, "m").unwrap();
    assert_eq!(&world.domain.memory(memory.memory().unwrap()).unwrap()[..10], b"cdef\x07\x07\x07\x07\x07\0");
}

#[test]
fn recursion_without_end() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module $deep
            (func $down (export "down") (param i32) (result i32)
                (i32.add (i32.const 1) (call $down (local.get 0))))
            (func $a (export "mutual") (call $b)) (func $b (call $a))
            (func $wide (export "wide") (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
                (call $wide (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
                            (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 9))
                (call $wide (local.get 9) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
                            (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 0)))
            (func (export "fine") (result i32) (i32.const 5)))"#,
    );
    for _ in 0..20 {
        let fault = world.try_call(instance, "down", &[0]).unwrap_err();
        assert_eq!(fault.trap, Trap::StackOverflow);
        assert_eq!(fault.frames.len(), atoll_kernel::limits::FAULT_FRAMES);
        assert!(fault.frames.iter().all(|frame| frame.func_name.as_deref() == Some("down")));
        assert_eq!(world.trap(instance, "mutual", &[]), Trap::StackOverflow);
        assert_eq!(world.trap(instance, "wide", &[1; 10]), Trap::StackOverflow);
        assert_eq!(world.call(instance, "fine", &[]), [5]);
    }
}

#[test]
fn tail_calls_need_no_stack() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (func $count (export "count") (param i32) (result i32)
            (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 99))
                (else (return_call $count (i32.sub (local.get 0) (i32.const 1)))))))"#,
    );
    assert_eq!(world.call(instance, "count", &[10_000_000]), [99]);
}

#[test]
fn a_backtrace_names_functions_modules_and_offsets() {
    let mut world = World::new();
    let inner = world.load(r#"(module $inner (func $crash (export "crash") nop unreachable))"#);
    world.register("inner", inner);
    let outer = world.load(
        r#"(module $outer (import "inner" "crash" (func $crash))
            (func $middle (call $crash)) (func $start (export "start") (call $middle)))"#,
    );
    let fault = world.try_call(outer, "start", &[]).unwrap_err();
    let frames: Vec<_> = fault
        .frames
        .iter()
        .map(|frame| (frame.module.as_deref(), frame.func_name.as_deref(), frame.func_index))
        .collect();
    let expected = [
        (Some("inner"), Some("crash"), Some(0)),
        (Some("outer"), Some("middle"), Some(1)),
        (Some("outer"), Some("start"), Some(2)),
    ];
    assert_eq!(frames, expected);
    assert!(fault.frames.iter().all(|frame| frame.offset.is_some()));
}

#[test]
fn a_trap_in_a_nested_activation_ends_that_one_only() {
    let mut world = World::new();
    let inner = world.load(
        r#"(module $inner
            (func (export "crash") (param i32) (result i32) unreachable)
            (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))"#,
    );
    let [crash, double] = ["crash", "double"].map(|name| world.func(inner, name));
    let ty = func_type(&[ValType::I32], &[ValType::I32]);
    // Survives the fault of what it calls, calls again, and goes on.
    let robust = world.domain.host_func_reentrant(
        &ty,
        Box::new(move |domain, values| {
            let mut result = [0];
            let fault = domain.call(&crash, &values[..1], &mut result).unwrap_err();
            assert_eq!(fault.trap, Trap::Unreachable);
            let names: Vec<_> =
                fault.frames.iter().map(|frame| frame.module.clone().unwrap_or_default()).collect();
            assert_eq!(names, ["inner", "outer", "outer"]);
            domain.call(&double, &values[..1], &mut result).map_err(|fault| fault.trap)?;
            values[0] = result[0];
            Ok(())
        }),
    );
    world.name("host", "robust", robust.unwrap());
    let strict = world.domain.host_func_reentrant(
        &ty,
        Box::new(move |domain, values| {
            let mut result = [0];
            domain.call(&crash, &values[..1], &mut result).map_err(|fault| fault.trap)
        }),
    );
    world.name("host", "strict", strict.unwrap());
    let outer = world.load(
        r#"(module $outer
            (import "host" "robust" (func $robust (param i32) (result i32)))
            (import "host" "strict" (func $strict (param i32) (result i32)))
            (func $more (param i32) (result i32) (i32.add (call $robust (local.get 0)) (i32.const 1)))
            (func (export "robust") (param i32) (result i32)
                (i32.add (call $more (local.get 0)) (i32.const 100)))
            (func (export "strict") (param i32) (result i32)
                (i32.add (call $strict (local.get 0)) (i32.const 100))))"#,
    );
    for _ in 0..100 {
        assert_eq!(world.call(outer, "robust", &[21]), [143]);
        let fault = world.try_call(outer, "strict", &[21]).unwrap_err();
        assert_eq!(fault.trap, Trap::Unreachable);
        let names: Vec<_> =
            fault.frames.iter().map(|frame| frame.module.clone().unwrap_or_default()).collect();
        assert_eq!(names, ["inner", "outer"]);
    }
}

#[test]
fn recursion_through_the_host_ends() {
    let mut world = World::new();
    let cell = std::sync::Arc::new(std::sync::OnceLock::new());
    let target = std::sync::Arc::clone(&cell);
    let again = world.domain.host_func_reentrant(
        &func_type(&[], &[]),
        Box::new(move |domain, _| {
            let func = target.get().expect("set before the first call");
            domain.call(func, &[], &mut []).map_err(|fault| fault.trap)
        }),
    );
    world.name("host", "again", again.unwrap());
    let instance =
        world.load(r#"(module (import "host" "again" (func $again)) (func (export "start") (call $again)))"#);
    let start = world.func(instance, "start");
    assert!(cell.set(start).is_ok());
    for _ in 0..5 {
        assert_eq!(world.trap(instance, "start", &[]), Trap::StackOverflow);
    }
}

#[test]
fn threads_fault_on_their_own() {
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut world = World::new();
                let instance = world.load(
                    r#"(module (memory 1)
                        (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#,
                );
                for round in 0..500 {
                    let at = if (round + thread) % 2 == 0 { 0 } else { 65536 };
                    let result = world.try_call(instance, "load", &[at]).map_err(|fault| fault.trap);
                    let expected = if at == 0 { Ok(vec![0]) } else { Err(Trap::MemoryOutOfBounds) };
                    assert_eq!(result, expected);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Not a guest's fault: the handler that was there before gets it. Run by
/// [`faults_of_the_host_are_not_hidden`].
#[test]
#[ignore = "crashes on purpose"]
fn crash_on_purpose() {
    let mut world = World::new();
    let instance = world.load(r#"(module (func (export "f") unreachable))"#);
    assert_eq!(world.trap(instance, "f", &[]), Trap::Unreachable);
    // SAFETY: none: this is the crash.
    unsafe { std::ptr::without_provenance::<u8>(8).read_volatile() };
}

#[test]
fn faults_of_the_host_are_not_hidden() {
    use std::os::unix::process::ExitStatusExt;
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--ignored", "--exact", "faulting::crash_on_purpose"]).output().unwrap();
    assert_eq!(output.status.signal(), Some(11), "{output:?}");
}
