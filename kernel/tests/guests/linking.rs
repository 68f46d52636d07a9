//! Imports, exports, and what instances share.

use abi::fault::Trap;
use atoll_kernel::instance::create::InstantiateError;
use atoll_kernel::instance::matching::LinkProblem;
use atoll_kernel::jit::valtype::{GlobalType, MemoryType, RefType, TableType, ValType};

use super::{World, func_type, i32, library};

fn problem(world: &mut World, wat: &str) -> LinkProblem {
    match world.try_load(wat) {
        Err(InstantiateError::Link(error)) => error.problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn instances_share_what_they_import() {
    let mut world = World::new();
    let owner = world.load(
        r#"(module (memory (export "m") 1 3) (table (export "t") 3 funcref)
            (global (export "g") (mut i32) (i32.const 1))
            (func (export "get") (result i32) (global.get 0))
            (func (export "load") (result i32) (i32.load (i32.const 100)))
            (func (export "pages") (result i32) (memory.size))
            (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"#,
    );
    world.register("owner", owner);
    let user = world.load(
        r#"(module (import "owner" "m" (memory 1)) (import "owner" "t" (table 3 funcref))
            (import "owner" "g" (global $g (mut i32))) (import "owner" "get" (func $get (result i32)))
            (global $own (mut i32) (i32.const 77))
            (func $mine (result i32) (global.get $own))
            (elem (i32.const 1) func $mine $get)
            (data (i32.const 100) "\2a")
            (func (export "set") (param i32) (global.set $g (local.get 0)))
            (func (export "grow") (result i32) (memory.grow (i32.const 1)))
            (func (export "grow-table") (result i32) (table.grow (ref.func $mine) (i32.const 5))))"#,
    );
    assert_eq!(world.call(owner, "load", &[]), [42]);
    world.call(user, "set", &[5]);
    assert_eq!(world.call(owner, "get", &[]), [5]);
    assert_eq!((world.call(owner, "call", &[1]), world.call(owner, "call", &[2])), (vec![77], vec![5]));
    assert_eq!(world.trap(owner, "call", &[0]), Trap::UninitializedElement);
    assert_eq!((world.call(user, "grow", &[]), world.call(owner, "pages", &[])), (vec![1], vec![2]));
    assert_eq!(world.trap(owner, "call", &[7]), Trap::UndefinedElement);
    assert_eq!((world.call(user, "grow-table", &[]), world.call(owner, "call", &[7])), (vec![3], vec![77]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut world = World::new();
    let table = TableType { element: RefType::FUNC, minimum: 10, maximum: Some(20), table64: false };
    let table = world.domain.host_table(table).unwrap();
    world.name("h", "table", table);
    let memory = world.domain.host_memory(MemoryType::new(1, Some(2))).unwrap();
    world.name("h", "memory", memory);
    let constant = GlobalType {
        ty: ValType::Ref(RefType { nullable: false, heap: RefType::EXTERN.heap }),
        mutable: false,
    };
    let constant = world.domain.host_global(constant, 5).unwrap();
    world.name("h", "constant", constant);
    let variable = world.domain.host_global(GlobalType { ty: ValType::I32, mutable: true }, 6).unwrap();
    world.name("h", "variable", variable);
    let func = world.domain.host_func(&func_type(&[ValType::I32], &[]), Box::new(|_| Ok(()))).unwrap();
    world.name("h", "func", func);
    let tag = world.domain.host_tag(&func_type(&[ValType::I32], &[]));
    world.name("h", "tag", tag);
    let fits = [
        r#"(import "h" "func" (func (param i32)))"#,
        r#"(import "h" "table" (table 10 funcref))"#,
        r#"(import "h" "table" (table 5 20 funcref))"#,
        r#"(import "h" "table" (table 0 30 funcref))"#,
        r#"(import "h" "memory" (memory 1))"#,
        r#"(import "h" "memory" (memory 0 3))"#,
        r#"(import "h" "constant" (global externref))"#,
        r#"(import "h" "constant" (global (ref extern)))"#,
        r#"(import "h" "variable" (global (mut i32)))"#,
        r#"(import "h" "tag" (tag (param i32)))"#,
    ];
    for wat in fits {
        world.load(&format!("(module {wat})"));
    }
    let misfits = [
        r#"(import "h" "func" (func))"#,
        r#"(import "h" "func" (func (param i32) (result i32)))"#,
        r#"(import "h" "func" (global i32))"#,
        r#"(import "h" "table" (table 11 funcref))"#,
        r#"(import "h" "table" (table 5 19 funcref))"#,
        r#"(import "h" "table" (table 10 externref))"#,
        r#"(import "h" "table" (table i64 10 funcref))"#,
        r#"(import "h" "memory" (memory 2))"#,
        r#"(import "h" "memory" (memory 1 1))"#,
        r#"(import "h" "memory" (memory i64 1))"#,
        r#"(import "h" "memory" (memory 1 2 shared))"#,
        r#"(import "h" "constant" (global funcref))"#,
        r#"(import "h" "variable" (global i32))"#,
        r#"(import "h" "variable" (global (mut i64)))"#,
        r#"(import "h" "tag" (tag))"#,
    ];
    for wat in misfits {
        assert_eq!(problem(&mut world, &format!("(module {wat})")), LinkProblem::Incompatible, "{wat}");
    }
    let unknown = r#"(module (import "h" "nothing" (func)))"#;
    assert_eq!(problem(&mut world, unknown), LinkProblem::Unknown);
    let error = world.try_load(unknown).unwrap_err().to_string();
    assert_eq!(error, "unknown import: `h` `nothing`: nothing provides this function");
    let error =
        world.try_load(r#"(module (import "h" "func" (func (result i64))))"#).unwrap_err().to_string();
    let expected =
        "incompatible import type: `h` `func`: expected function () -> (i64), found function (i32) -> ()";
    assert_eq!(error, expected);
}

#[test]
fn what_grew_fits_a_larger_minimum() {
    let mut world = World::new();
    let owner = world.load(
        r#"(module (memory (export "m") 1) (func (export "grow") (drop (memory.grow (i32.const 4)))))"#,
    );
    world.register("owner", owner);
    let user = r#"(module (import "owner" "m" (memory 5)))"#;
    assert_eq!(problem(&mut world, user), LinkProblem::Incompatible);
    world.call(owner, "grow", &[]);
    world.load(user);
}

#[test]
fn another_domains_things_are_refused() {
    let mut one = World::new();
    let mut two = World::new();
    let owner = one.load(r#"(module (memory (export "m") 1) (func (export "f")))"#);
    one.register("owner", owner);
    two.names = one.names.clone();
    assert_eq!(problem(&mut two, r#"(module (import "owner" "m" (memory 1)))"#), LinkProblem::Foreign);
    assert_eq!(problem(&mut two, r#"(module (import "owner" "f" (func)))"#), LinkProblem::Foreign);
    let func = one.func(owner, "f");
    assert!(matches!(two.domain.call(&func, &[], &mut []).unwrap_err().trap, Trap::Host(_)));
    let memory = one.domain.export(owner, "m").unwrap();
    assert!(two.domain.memory(memory.memory().unwrap()).is_none());
}

#[test]
fn globals_and_constant_expressions() {
    let mut world = World::new();
    let base = world.domain.host_global(GlobalType { ty: ValType::I32, mutable: false }, 40).unwrap();
    world.name("h", "base", base);
    let instance = world.load(
        r#"(module (import "h" "base" (global $base i32))
            (global $a i32 (i32.add (global.get $base) (i32.const 2)))
            (global (export "b") (mut i64) (i64.mul (i64.const -3) (i64.const 5)))
            (global $f funcref (ref.func $answer))
            (global (export "v") v128 (v128.const i64x2 7 8))
            (table $t 2 funcref (ref.func $answer))
            (memory 1)
            (data (offset (i32.add (global.get $base) (i32.const 60))) "x")
            (elem (table $t) (offset (i32.sub (global.get $a) (i32.const 42))) funcref (global.get $f))
            (func $answer (result i32) (global.get $a))
            (func (export "load") (result i32) (i32.load8_u (i32.const 100)))
            (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"#,
    );
    assert_eq!(world.call(instance, "load", &[]), [u128::from(b'x')]);
    assert_eq!(world.call(instance, "call", &[0]), [42]);
    assert_eq!(world.call(instance, "call", &[1]), [42]);
    let [b, v] = ["b", "v"].map(|name| world.domain.export(instance, name).unwrap());
    let atoll_kernel::domain::externs::Extern::Global(b) = b else { panic!("{b:?}") };
    let atoll_kernel::domain::externs::Extern::Global(v) = v else { panic!("{v:?}") };
    assert_eq!(world.domain.global(&b), Some(super::i64(-15)));
    assert_eq!(world.domain.global(&v), Some(8 << 64 | 7));
    assert_eq!((world.domain.set_global(&b, 9), world.domain.global(&b)), (Some(()), Some(9)));
    assert_eq!(world.domain.set_global(&v, 9), None);
}

#[test]
fn segments_that_do_not_fit() {
    let mut world = World::new();
    let owner = world.load(
        r#"(module (memory (export "m") 1) (table (export "t") 4 funcref)
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"#,
    );
    world.register("owner", owner);
    let fault = |world: &mut World, wat: &str| match world.try_load(wat) {
        Err(InstantiateError::Fault(fault)) => fault.trap,
        other => panic!("{other:?}"),
    };
    // The second segment traps; the first stays where it was written.
    let data =
        r#"(module (import "owner" "m" (memory 1)) (data (i32.const 5) "a") (data (i32.const 65535) "bc"))"#;
    assert_eq!(fault(&mut world, data), Trap::MemoryOutOfBounds);
    assert_eq!(world.call(owner, "load", &[5]), [u128::from(b'a')]);
    let elements = r#"(module (import "owner" "t" (table 4 funcref)) (memory 1) (data (i32.const 0) "Q")
        (func $f (result i32) (i32.load8_u (i32.const 0)))
        (elem (i32.const 1) func $f) (elem (i32.const 3) func $f $f))"#;
    assert_eq!(fault(&mut world, elements), Trap::TableOutOfBounds);
    assert_eq!(world.call(owner, "call", &[1]).len(), 1);
    assert_eq!(
        fault(&mut world, r#"(module (memory 1) (data (i32.const 65536) "x"))"#),
        Trap::MemoryOutOfBounds
    );
    assert_eq!(fault(&mut world, r#"(module (memory 0) (data (i32.const -1) ""))"#), Trap::MemoryOutOfBounds);
    assert_eq!(fault(&mut world, r#"(module (func $s unreachable) (start $s))"#), Trap::Unreachable);
    world.load(r#"(module (memory 1) (data (i32.const 65536) ""))"#);
}

#[test]
fn instances_of_one_library_do_not_see_each_other() {
    let mut world = World::new();
    let library = library(
        r#"(module (memory 3) (data (i32.const 100) "hello") (data (i32.const 131070) "worl\64\21")
            (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#,
    );
    let a = world.try_instantiate(&library).unwrap();
    let b = world.try_instantiate(&library).unwrap();
    world.call(a, "store", &[100, 1]);
    world.call(a, "store", &[131_074, 2]);
    world.call(a, "store", &[196_607, 3]);
    let c = world.try_instantiate(&library).unwrap();
    for other in [b, c] {
        assert_eq!(world.call(other, "load", &[100]), [u128::from(b'h')]);
        assert_eq!(world.call(other, "load", &[131_074]), [u128::from(b'd')]);
        assert_eq!(world.call(other, "load", &[196_607]), [0]);
    }
    assert_eq!([100, 131_074, 196_607].map(|at| world.call(a, "load", &[at])[0]), [1, 2, 3]);
    // The next user of the pages starts from the image again.
    drop(world);
    let mut world = World::new();
    let d = world.try_instantiate(&library).unwrap();
    assert_eq!([100, 131_074, 196_607].map(|at| world.call(d, "load", &[at])[0]), [104, 100, 0]);
}

#[test]
fn references_go_in_and_out() {
    let mut world = World::new();
    let instance = world.load(
        r#"(module (table $t 1 funcref) (table $e 1 externref)
            (func $seven (export "seven") (result i32) (i32.const 7))
            (func (export "give") (result funcref) (ref.func $seven))
            (func (export "call") (param funcref) (result i32)
                (table.set $t (i32.const 0) (local.get 0)) (call_indirect $t (result i32) (i32.const 0)))
            (func (export "keep") (param externref) (table.set $e (i32.const 0) (local.get 0)))
            (func (export "kept") (result externref) (table.get $e (i32.const 0))))"#,
    );
    let word = world.call(instance, "give", &[])[0];
    assert_eq!(world.call(instance, "call", &[word]), [7]);
    let func = world.domain.func_of_ref(word).unwrap();
    let mut result = [0];
    world.domain.call(&func, &[], &mut result).unwrap();
    assert_eq!(result, [7]);
    let made = world.domain.host_func(
        &func_type(&[], &[ValType::I32]),
        Box::new(|values| {
            values[0] = 8;
            Ok(())
        }),
    );
    let word = world.domain.ref_of_func(&made.unwrap().func().unwrap()).unwrap();
    assert_eq!(world.call(instance, "call", &[word]), [8]);
    assert_eq!(world.trap(instance, "call", &[0]), Trap::UninitializedElement);
    for forged in [8, 0xdead_beef, word + 8, u128::MAX] {
        assert!(matches!(world.trap(instance, "call", &[forged]), Trap::Host(_)));
    }
    world.call(instance, "keep", &[0x1234]);
    assert_eq!(world.call(instance, "kept", &[]), [0x1234]);
    assert!(matches!(world.trap(instance, "call", &[]), Trap::Host(_)));
    assert_eq!(i32(-1), 0xffff_ffff);
}
