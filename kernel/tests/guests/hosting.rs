//! Functions, memories, tables and tags that the host makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::fault::Trap;
use atoll_kernel::domain::externs::Extern;
use atoll_kernel::jit::valtype::{MemoryType, RefType, TableType, ValType};

use super::{World, func_type, i32};

#[test]
fn a_host_function_gets_and_gives_values() {
    let mut world = World::new();
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let types = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];
    let swap = world.domain.host_func(
        &func_type(&types, &[ValType::V128, ValType::F64, ValType::F32, ValType::I64, ValType::I32]),
        Box::new(move |values| {
            counter.fetch_add(1, Ordering::Relaxed);
            assert_eq!(values[..4], [i32(-1), 2, u128::from(1.5f32.to_bits()), u128::from(2.5f64.to_bits())]);
            values.reverse();
            Ok(())
        }),
    );
    world.name("host", "swap", swap.unwrap());
    let instance = world.load(
        r#"(module
            (import "host" "swap" (func $swap (param i32 i64 f32 f64 v128) (result v128 f64 f32 i64 i32)))
            (func (export "run") (param v128) (result v128 f64 f32 i64 i32)
                (call $swap (i32.const -1) (i64.const 2) (f32.const 1.5) (f64.const 2.5) (local.get 0))))"#,
    );
    let vector = 0x0123_4567_89ab_cdef_u128 << 64 | 99;
    let expected = [vector, u128::from(2.5f64.to_bits()), u128::from(1.5f32.to_bits()), 2, i32(-1)];
    for _ in 0..1000 {
        assert_eq!(world.call(instance, "run", &[vector]), expected);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1000);
}

#[test]
fn many_values_cross() {
    let mut world = World::new();
    let types = [ValType::I64; 40];
    let reverse = world.domain.host_func(
        &func_type(&types, &types),
        Box::new(|values| {
            values.reverse();
            Ok(())
        }),
    );
    world.name("host", "reverse", reverse.unwrap());
    let list = "i64 ".repeat(40);
    let gets: String = (0..40).map(|at| format!("(local.get {at})")).collect();
    let instance = world.load(&format!(
        r#"(module (import "host" "reverse" (func $reverse (param {list}) (result {list})))
            (func (export "run") (param {list}) (result {list}) (call $reverse {gets})))"#
    ));
    let args: Vec<u128> = (100..140).collect();
    let reversed: Vec<u128> = args.iter().rev().copied().collect();
    assert_eq!(world.call(instance, "run", &args), reversed);
}

#[test]
fn a_host_functions_error_is_the_guests_trap() {
    let mut world = World::new();
    let fail = world.domain.host_func(
        &func_type(&[ValType::I32], &[]),
        Box::new(|values| match values[0] {
            0 => Ok(()),
            1 => Err(Trap::Exit(3)),
            _ => Err(Trap::Host("out of coffee".to_owned())),
        }),
    );
    world.name("host", "fail", fail.unwrap());
    let instance = world.load(
        r#"(module $m (import "host" "fail" (func $fail (param i32)))
            (func $run (export "run") (param i32) (call $fail (local.get 0))))"#,
    );
    assert_eq!(world.call(instance, "run", &[0]), []);
    assert_eq!(world.trap(instance, "run", &[1]), Trap::Exit(3));
    let fault = world.try_call(instance, "run", &[2]).unwrap_err();
    assert_eq!(fault.to_string(), "out of coffee");
    assert_eq!(fault.frames.len(), 1);
    assert_eq!(fault.frames[0].func_name.as_deref(), Some("run"));
    // The host may call its own functions, too.
    let direct = world.names[0].2.func().unwrap();
    assert_eq!(world.domain.call(&direct, &[1], &mut []).unwrap_err().trap, Trap::Exit(3));
}

#[test]
fn a_host_function_cannot_forge_references() {
    let mut world = World::new();
    let forge = world.domain.host_func(
        &func_type(&[], &[ValType::Ref(RefType::FUNC)]),
        Box::new(|values| {
            values[0] = 0x1000;
            Ok(())
        }),
    );
    world.name("host", "forge", forge.unwrap());
    let instance = world.load(
        r#"(module (import "host" "forge" (func $forge (result funcref)))
            (func (export "run") (drop (call $forge))))"#,
    );
    assert!(matches!(world.trap(instance, "run", &[]), Trap::Host(_)));
}

#[test]
fn re_entry_goes_deep_and_comes_back() {
    let mut world = World::new();
    let target = Arc::new(std::sync::OnceLock::new());
    let own = Arc::clone(&target);
    let ty = func_type(&[ValType::I32], &[ValType::I32]);
    let bounce = world.domain.host_func_reentrant(
        &ty,
        Box::new(move |domain, values| {
            let func = own.get().expect("set before the first call");
            let mut result = [0];
            domain.call(func, &values[..1], &mut result).map_err(|fault| fault.trap)?;
            values[0] = result[0];
            Ok(())
        }),
    );
    world.name("host", "bounce", bounce.unwrap());
    let instance = world.load(
        r#"(module (import "host" "bounce" (func $bounce (param i32) (result i32)))
            (func (export "sum") (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
                    (else (i32.add (local.get 0) (call $bounce (i32.sub (local.get 0) (i32.const 1))))))))"#,
    );
    assert!(target.set(world.func(instance, "sum")).is_ok());
    for _ in 0..50 {
        assert_eq!(world.call(instance, "sum", &[100]), [5050]);
    }
}

#[test]
fn the_host_reads_and_writes_memories_and_tables() {
    let mut world = World::new();
    let memory = world.domain.host_memory(MemoryType::new(1, None)).unwrap();
    world.name("host", "memory", memory.clone());
    let ty = TableType { element: RefType::EXTERN, minimum: 3, maximum: None, table64: false };
    let table = world.domain.host_table(ty).unwrap();
    world.name("host", "table", table.clone());
    let instance = world.load(
        r#"(module (import "host" "memory" (memory 1)) (import "host" "table" (table $t 3 externref))
            (func (export "load") (param i32) (result i64) (i64.load (local.get 0)))
            (func (export "store") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
            (func (export "get") (param i32) (result externref) (table.get $t (local.get 0)))
            (func (export "grow") (result i32) (table.grow $t (ref.null extern) (i32.const 2))))"#,
    );
    let (memory, Extern::Table(table)) = (memory.memory().unwrap().clone(), table) else { panic!("a table") };
    world.domain.memory_mut(&memory).unwrap()[8..16].copy_from_slice(&77_u64.to_le_bytes());
    assert_eq!(world.call(instance, "load", &[8]), [77]);
    world.call(instance, "store", &[16, 0x1122]);
    assert_eq!(world.domain.memory(&memory).unwrap()[16..18], [0x22, 0x11]);
    assert_eq!(world.domain.memory_grow(&memory, 1), Some(1));
    assert_eq!(world.domain.memory(&memory).unwrap().len(), 2 << 16);
    assert_eq!(world.call(instance, "load", &[65536]), [0]);
    assert_eq!(world.domain.table_set(&table, 1, 0x55), Some(()));
    assert_eq!(world.call(instance, "get", &[1]), [0x55]);
    assert_eq!((world.call(instance, "grow", &[]), world.domain.table_len(&table)), (vec![3], Some(5)));
    assert_eq!((world.domain.table_get(&table, 4), world.domain.table_get(&table, 5)), (Some(0), None));
}
