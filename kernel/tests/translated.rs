//! Each operator family outside numerics, translated and run.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use abi::fault::Trap;
use atoll_kernel::domain::externs::Extern;
use atoll_kernel::domain::{Domain, DomainOptions};
use atoll_kernel::instance::InstanceIndex;
use atoll_kernel::jit::engine::{Engine, EngineOptions};
use atoll_kernel::jit::valtype::{CoreFuncType, ValType};

/// A module in a domain of its own.
struct Guest {
    domain: Domain,
    instance: InstanceIndex,
}

impl Guest {
    /// Instantiates modules in order; each may import what those before it export under their place: `0`, `1`, …
    fn linked(texts: &[&str]) -> Guest {
        let engine = Engine::with(EngineOptions { verify: true, ..EngineOptions::default() }).unwrap();
        let mut domain = Domain::new(&engine, DomainOptions::default());
        let one = CoreFuncType { params: [ValType::I32].into(), results: [ValType::I32].into() };
        let double = Box::new(|values: &mut [u128]| {
            values[0] = u128::from((values[0] as u32).wrapping_mul(2));
            Ok(())
        });
        let double = domain.host_func(&one, double).unwrap();
        let fail = domain.host_func(&one, Box::new(|_| Err(Trap::Host("refused".to_owned())))).unwrap();
        let mut instances: Vec<InstanceIndex> = Vec::new();
        for text in texts {
            let library = engine.library(&wat::parse_str(text).unwrap()).unwrap();
            let imports: Vec<Extern> = library
                .module
                .imports
                .iter()
                .map(|import| match (import.module.as_str(), import.name.as_str()) {
                    ("host", "double") => double.clone(),
                    ("host", "fail") => fail.clone(),
                    (place, name) => domain.export(instances[place.parse::<usize>().unwrap()], name).unwrap(),
                })
                .collect();
            instances.push(domain.instantiate(&library, &imports, None).unwrap());
        }
        Guest { instance: *instances.last().unwrap(), domain }
    }

    fn new(text: &str) -> Guest {
        Guest::linked(&[text])
    }

    fn try_call(&mut self, name: &str, args: &[u128]) -> Result<Vec<u128>, Trap> {
        let func = self.domain.export(self.instance, name).unwrap().func().unwrap();
        let results = self.domain.engine().signature(func.sig()).results.len();
        let mut values = vec![0; results];
        self.domain.call(&func, args, &mut values).map_err(|fault| fault.trap)?;
        Ok(values)
    }

    #[track_caller]
    fn call(&mut self, name: &str, args: &[u128]) -> u128 {
        self.try_call(name, args).unwrap()[0]
    }

    #[track_caller]
    fn trap(&mut self, name: &str, args: &[u128]) -> Trap {
        self.try_call(name, args).unwrap_err()
    }
}

#[test]
fn blocks_carry_values() {
    let mut guest = Guest::new(
        r#"(module
            (func (export "swap") (param i32 i64) (result i64 i32)
                (block (result i64 i32) (local.get 1) (local.get 0)))
            (func (export "fac") (param i64) (result i64)
                (i64.const 1) (local.get 0)
                (loop (param i64 i64) (result i64)
                    (local.set 0)
                    (local.get 0) (i64.mul)
                    (i64.sub (local.get 0) (i64.const 1))
                    (local.tee 0)
                    (br_if 0 (i64.gt_s (local.get 0) (i64.const 1)))
                    (drop)))
            (func (export "pick") (param i32) (result i32)
                (block (result i32)
                    (block (result i32)
                        (block (result i32)
                            (br_table 0 1 2 (i32.add (local.get 0) (i32.const 100)) (local.get 0)))
                        (return (i32.add (i32.const 1000))))
                    (i32.add (i32.const 2000))))
            (func (export "if") (param i32) (result i32)
                (i32.const 5)
                (if (param i32) (result i32) (local.get 0) (then (i32.add (i32.const 1)))))
            (func (export "else") (param i32) (result i32)
                (i32.const 5)
                (if (param i32) (result i32) (local.get 0)
                    (then (drop) (br 0 (i32.const 7)))
                    (else (i32.add (i32.const 1)))))
            (func (export "dead") (param i32) (result i32)
                (block (br 0) (if (local.get 0) (then (loop (br 0))) (else (unreachable))))
                (return (local.get 0))
                (block (result i32) (i32.const 1)))
            (func (export "ends") (param i32) (result i32)
                (if (result i32) (local.get 0) (then (return (i32.const 3))) (else (unreachable)))))"#,
    );
    assert_eq!(guest.try_call("swap", &[1, 2]).unwrap(), [2, 1]);
    assert_eq!(guest.call("fac", &[10]), 3_628_800);
    assert_eq!([0, 1, 2, 9].map(|i| guest.call("pick", &[i])), [1100, 2101, 102, 109]);
    assert_eq!([guest.call("if", &[0]), guest.call("if", &[1])], [5, 6]);
    assert_eq!([guest.call("else", &[0]), guest.call("else", &[1])], [6, 7]);
    assert_eq!(guest.call("dead", &[4]), 4);
    assert_eq!(guest.call("ends", &[1]), 3);
    assert_eq!(guest.trap("ends", &[0]), Trap::Unreachable);
}

#[test]
fn many_values_cross_calls() {
    let list: String = (0..40).map(|_| " i32 i64 f32 f64").collect();
    let gets: String = (0..160).map(|at| format!("(local.get {at})")).collect();
    let mut guest = Guest::new(&format!(
        r#"(module
            (func $id (param {list}) (result {list}) {gets})
            (func (export "twice") (param {list}) (result {list}) (call $id {gets}) (call $id))
            (func (export "tail") (param {list}) (result {list}) (return_call $id {gets})))"#
    ));
    let args: Vec<u128> = (0..160).collect();
    assert_eq!(guest.try_call("twice", &args).unwrap(), args);
    assert_eq!(guest.try_call("tail", &args).unwrap(), args);
}

#[test]
fn calls_reach_every_kind_of_callee() {
    let mut guest = Guest::linked(&[
        r#"(module (global $g (mut i32) (i32.const 40))
            (func (export "add") (param i32) (result i32) (i32.add (global.get $g) (local.get 0))))"#,
        r#"(module
            (type $f (func (param i32) (result i32)))
            (type $g (func (param i64) (result i32)))
            (import "host" "double" (func $double (type $f)))
            (import "host" "fail" (func $fail (type $f)))
            (import "0" "add" (func $add (type $f)))
            (table $t (export "t") 8 funcref)
            (table $typed 4 4 (ref null $f))
            (elem (table $t) (i32.const 0) func $double $add $fail $long)
            (elem (table $typed) (i32.const 0) (ref null $f) (ref.func $add))
            (func $long (type $g) (i32.const 1))
            (func (export "direct") (param i32) (result i32) (call $double (call $add (local.get 0))))
            (func (export "indirect") (param i32 i32) (result i32)
                (call_indirect $t (type $f) (local.get 1) (local.get 0)))
            (func (export "typed") (param i32 i32) (result i32)
                (call_indirect $typed (type $f) (local.get 1) (local.get 0)))
            (func (export "ref") (param i32) (result i32) (call_ref $f (local.get 0) (ref.func $add)))
            (func (export "null") (result i32) (call_ref $f (i32.const 0) (ref.null $f)))
            (func $count (export "count") (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then (return (i32.const 77))))
                (return_call $count (i32.sub (local.get 0) (i32.const 1))))
            (func (export "tails") (param i32 i32) (result i32)
                (return_call_indirect $t (type $f) (local.get 1) (local.get 0)))
            (func (export "tail_ref") (param i32) (result i32)
                (return_call_ref $f (local.get 0) (ref.func $double)))
            (func $deep (export "deep") (param i32) (result i32)
                (i32.add (i32.const 1) (call $deep (local.get 0)))))"#,
    ]);
    assert_eq!(guest.call("direct", &[1]), 82);
    assert_eq!([guest.call("indirect", &[0, 4]), guest.call("indirect", &[1, 4])], [8, 44]);
    assert_eq!(guest.trap("indirect", &[2, 4]), Trap::Host("refused".to_owned()));
    assert_eq!(guest.trap("indirect", &[3, 4]), Trap::BadSignature);
    assert_eq!(guest.trap("indirect", &[4, 4]), Trap::UninitializedElement);
    assert_eq!(guest.trap("indirect", &[8, 4]), Trap::UndefinedElement);
    assert_eq!(guest.trap("indirect", &[0xffff_ffff, 4]), Trap::UndefinedElement);
    assert_eq!(guest.call("typed", &[0, 4]), 44);
    assert_eq!(guest.trap("typed", &[1, 4]), Trap::UninitializedElement);
    assert_eq!(guest.trap("typed", &[4, 4]), Trap::UndefinedElement);
    assert_eq!(guest.call("ref", &[2]), 42);
    assert_eq!(guest.trap("null", &[]), Trap::NullFunctionReference);
    assert_eq!(guest.call("count", &[1_000_000]), 77);
    assert_eq!([guest.call("tails", &[0, 4]), guest.call("tail_ref", &[5])], [8, 10]);
    assert_eq!(guest.trap("deep", &[0]), Trap::StackOverflow);
    assert_eq!(guest.call("direct", &[1]), 82);
}

#[test]
fn memories_are_bounded() {
    let mut guest = Guest::new(
        r#"(module
            (memory $m 1 3) (memory $wide i64 1) (memory $tiny 5 (pagesize 1))
            (data (memory $m) (i32.const 8) "\f1\f2\f3\f4\f5\f6\f7\f8")
            (data $passive "abc")
            (func (export "load") (param i32) (result i32) (i32.load $m offset=8 (local.get 0)))
            (func (export "load8") (param i32) (result i32) (i32.load8_s $m (local.get 0)))
            (func (export "far") (param i32) (result i64) (i64.load $m offset=0x8000000 (local.get 0)))
            (func (export "farthest") (param i32) (result i64) (i64.load $m offset=0xffffffff (local.get 0)))
            (func (export "wide") (param i64) (result i64) (i64.load $wide offset=8 (local.get 0)))
            (func (export "wide_far") (param i64) (result i64)
                (i64.load $wide offset=0xfffffffffffffff0 (local.get 0)))
            (func (export "wide_never") (param i64) (result i64)
                (i64.load $wide offset=0xffffffffffffffff (local.get 0)))
            (func (export "wide_set") (param i64 i64) (i64.store32 $wide (local.get 0) (local.get 1)))
            (func (export "tiny") (param i32) (result i32) (i32.load16_u $tiny (local.get 0)))
            (func (export "sizes") (result i32 i64 i32)
                (memory.size $m) (memory.size $wide) (memory.size $tiny))
            (func (export "grow") (param i32 i64 i32) (result i32 i64 i32)
                (memory.grow $m (local.get 0)) (memory.grow $wide (local.get 1)) (memory.grow $tiny (local.get 2)))
            (func (export "copy") (param i32 i32 i32)
                (memory.copy $m $m (local.get 0) (local.get 1) (local.get 2)))
            (func (export "cross") (param i32 i64 i32)
                (memory.copy $m $wide (local.get 0) (local.get 1) (local.get 2)))
            (func (export "fill") (param i64 i32 i64)
                (memory.fill $wide (local.get 0) (local.get 1) (local.get 2)))
            (func (export "init") (param i32 i32 i32)
                (memory.init $m $passive (local.get 0) (local.get 1) (local.get 2)))
            (func (export "drop") (data.drop $passive)))"#,
    );
    assert_eq!(guest.call("load", &[0]), 0xf4f3_f2f1);
    assert_eq!(guest.call("load8", &[8]), 0xffff_fff1);
    assert_eq!(guest.call("load", &[65536 - 12]), 0);
    for at in [65536 - 11, 65536, 0x7fff_ffff, 0xffff_ffff] {
        assert_eq!(guest.trap("load", &[at]), Trap::MemoryOutOfBounds, "{at:#x}");
    }
    for name in ["far", "farthest"] {
        assert_eq!(guest.trap(name, &[0]), Trap::MemoryOutOfBounds);
        assert_eq!(guest.trap(name, &[0xffff_ffff]), Trap::MemoryOutOfBounds);
    }
    guest.try_call("wide_set", &[16, 0x1_2345_6789]).unwrap();
    assert_eq!(guest.call("wide", &[8]), 0x2345_6789);
    assert_eq!(guest.call("wide", &[65536 - 16]), 0);
    for at in [65536 - 15, 65536, 1 << 32, (1 << 63) - 1, u128::from(u64::MAX)] {
        assert_eq!(guest.trap("wide", &[at]), Trap::MemoryOutOfBounds, "{at:#x}");
        assert_eq!(guest.trap("wide_far", &[at]), Trap::MemoryOutOfBounds, "{at:#x}");
    }
    assert_eq!(guest.trap("wide_far", &[32]), Trap::MemoryOutOfBounds);
    assert_eq!(guest.trap("wide_never", &[1]), Trap::MemoryOutOfBounds);
    assert_eq!(guest.call("tiny", &[3]), 0);
    assert_eq!(guest.trap("tiny", &[4]), Trap::MemoryOutOfBounds);
    assert_eq!(guest.try_call("sizes", &[]).unwrap(), [1, 1, 5]);
    assert_eq!(guest.try_call("grow", &[1, 2, 3]).unwrap(), [1, 1, 5]);
    assert_eq!(guest.try_call("grow", &[9, 0, 0]).unwrap(), [0xffff_ffff, 3, 8]);
    assert_eq!(guest.call("load", &[65536]), 0);
    assert_eq!(guest.call("tiny", &[4]), 0);
    guest.try_call("copy", &[9, 8, 3]).unwrap();
    assert_eq!(guest.call("load", &[0]), 0xf3f2_f1f1);
    assert_eq!(guest.trap("copy", &[0, 131_072, 1]), Trap::MemoryOutOfBounds);
    guest.try_call("fill", &[100, 0x155, 4]).unwrap();
    guest.try_call("cross", &[8, 98, 8]).unwrap();
    assert_eq!(guest.call("load", &[0]), 0x5555_0000);
    assert_eq!(guest.trap("fill", &[u128::from(u64::MAX), 0, 2]), Trap::MemoryOutOfBounds);
    guest.try_call("init", &[8, 1, 2]).unwrap();
    assert_eq!(guest.call("load", &[0]), 0x5555_6362);
    assert_eq!(guest.trap("init", &[8, 2, 2]), Trap::MemoryOutOfBounds);
    guest.try_call("drop", &[]).unwrap();
    assert_eq!(guest.trap("init", &[8, 0, 1]), Trap::MemoryOutOfBounds);
}

#[test]
fn tables_and_references() {
    let mut guest = Guest::new(
        r#"(module
            (type $f (func (result i32)))
            (table $t 4 10 externref) (table $wide i64 2 funcref) (table $fixed 2 2 externref)
            (func $seven (type $f) (i32.const 7))
            (elem $e func $seven)
            (func (export "get") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
            (func (export "fixed") (param i32) (result i32) (ref.is_null (table.get $fixed (local.get 0))))
            (func (export "set") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
            (func (export "wide") (param i64) (result i32) (call_indirect $wide (type $f) (local.get 0)))
            (func (export "init") (param i64 i32 i32)
                (table.init $wide $e (local.get 0) (local.get 1) (local.get 2)))
            (func (export "drop") (elem.drop $e))
            (func (export "grow") (param i32 externref) (result i32) (table.grow $t (local.get 1) (local.get 0)))
            (func (export "grow_wide") (param i64) (result i64) (table.grow $wide (ref.null func) (local.get 0)))
            (func (export "sizes") (result i32 i64) (table.size $t) (table.size $wide))
            (func (export "fill") (param i32 externref i32)
                (table.fill $t (local.get 0) (local.get 1) (local.get 2)))
            (func (export "copy") (param i32 i32 i32)
                (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
            (func (export "as_non_null") (param externref) (drop (ref.as_non_null (local.get 0))))
            (func (export "br_on_null") (param externref) (result i32)
                (block (drop (br_on_null 0 (local.get 0))) (return (i32.const 1))) (i32.const 2))
            (func (export "br_on_non_null") (param externref) (result i32)
                (drop (block (result (ref extern)) (br_on_non_null 0 (local.get 0)) (return (i32.const 2))))
                (i32.const 1)))"#,
    );
    assert_eq!(guest.call("get", &[3]), 1);
    assert_eq!(guest.trap("get", &[4]), Trap::TableOutOfBounds);
    assert_eq!(guest.trap("set", &[0xffff_ffff, 9]), Trap::TableOutOfBounds);
    assert_eq!(guest.call("fixed", &[1]), 1);
    assert_eq!(guest.trap("fixed", &[2]), Trap::TableOutOfBounds);
    guest.try_call("set", &[2, 9]).unwrap();
    assert_eq!(guest.call("get", &[2]), 0);
    assert_eq!(guest.trap("wide", &[1]), Trap::UninitializedElement);
    guest.try_call("init", &[1, 0, 1]).unwrap();
    assert_eq!(guest.call("wide", &[1]), 7);
    for at in [2, 1 << 32, u128::from(u64::MAX)] {
        assert_eq!(guest.trap("wide", &[at]), Trap::UndefinedElement);
    }
    assert_eq!(guest.trap("init", &[2, 0, 1]), Trap::TableOutOfBounds);
    guest.try_call("drop", &[]).unwrap();
    assert_eq!(guest.trap("init", &[0, 0, 1]), Trap::TableOutOfBounds);
    assert_eq!(guest.call("grow", &[6, 5]), 4);
    assert_eq!(guest.call("grow", &[1, 5]), 0xffff_ffff);
    assert_eq!(guest.call("grow_wide", &[1]), 2);
    assert_eq!(guest.try_call("sizes", &[]).unwrap(), [10, 3]);
    assert_eq!(guest.call("get", &[9]), 0);
    guest.try_call("fill", &[0, 0, 10]).unwrap();
    assert_eq!(guest.call("get", &[9]), 1);
    guest.try_call("fill", &[0, 3, 1]).unwrap();
    guest.try_call("copy", &[5, 0, 1]).unwrap();
    assert_eq!([guest.call("get", &[5]), guest.call("get", &[6])], [0, 1]);
    assert_eq!(guest.trap("copy", &[9, 0, 2]), Trap::TableOutOfBounds);
    assert_eq!(guest.trap("fill", &[11, 0, 0]), Trap::TableOutOfBounds);
    assert_eq!(guest.trap("as_non_null", &[0]), Trap::NullReference);
    guest.try_call("as_non_null", &[1]).unwrap();
    assert_eq!([guest.call("br_on_null", &[0]), guest.call("br_on_null", &[1])], [2, 1]);
    assert_eq!([guest.call("br_on_non_null", &[0]), guest.call("br_on_non_null", &[1])], [2, 1]);
}

#[test]
fn globals_keep_every_type() {
    let mut guest = Guest::linked(&[
        r#"(module (global (export "m") (mut i32) (i32.const 3)) (global (export "c") f64 (f64.const 1.5)))"#,
        r#"(module
            (import "0" "m" (global $m (mut i32))) (import "0" "c" (global $c f64))
            (global $v (mut v128) (v128.const i64x2 1 2))
            (global $k v128 (v128.const i64x2 5 6))
            (global $x i64 (i64.add (i64.const 40) (i64.const 2)))
            (global $p (mut f32) (f32.const 1))
            (func (export "step") (result i32)
                (global.set $m (i32.add (global.get $m) (i32.const 1))) (global.get $m))
            (func (export "c") (result f64) (global.get $c))
            (func (export "x") (result i64) (global.get $x))
            (func (export "k") (result v128) (global.get $k))
            (func (export "v") (result v128) (local v128)
                (local.set 0 (global.get $v)) (global.set $v (v128.const i64x2 3 4)) (local.get 0)))"#,
    ]);
    assert_eq!([guest.call("step", &[]), guest.call("step", &[])], [4, 5]);
    assert_eq!(guest.call("c", &[]), u128::from(1.5f64.to_bits()));
    assert_eq!(guest.call("x", &[]), 42);
    assert_eq!(guest.call("k", &[]), 5 | 6 << 64);
    assert_eq!([guest.call("v", &[]), guest.call("v", &[])], [1 | 2 << 64, 3 | 4 << 64]);
}

#[test]
fn exceptions_find_their_handler() {
    let mut guest = Guest::linked(&[
        r#"(module
            (tag $e (export "e") (param i32 f64 v128)) (tag $f (export "f"))
            (func (export "throw") (param i32)
                (if (local.get 0) (then (throw $f)))
                (throw $e (i32.const 7) (f64.const 2.5) (v128.const i64x2 1 2))))"#,
        r#"(module
            (import "0" "e" (tag $e (param i32 f64 v128))) (import "0" "f" (tag $f))
            (import "0" "throw" (func $throw (param i32)))
            (import "host" "double" (func $double (param i32) (result i32)))
            (tag $own (param i32))
            (func $between (param i32) (call $throw (local.get 0)) (drop (call $double (i32.const 1))))
            (func (export "catch") (param i32) (result i32)
                (block $own (result i32)
                    (block $f
                        (block $e (result i32 f64 v128)
                            (try_table (catch $own $own) (catch $e $e) (catch $f $f) (call $between (local.get 0)))
                            (unreachable))
                        (drop) (i32.trunc_f64_s) (i32.add) (return))
                    (return (i32.const 100))))
            (func (export "nested") (param i32) (result i32) (local i32)
                (local.set 1 (i32.const 10))
                (block $all
                    (try_table (catch_all $all)
                        (block $own (result i32)
                            (try_table (catch $own $own)
                                (local.set 1 (i32.const 20))
                                (call $throw (local.get 0))
                                (local.set 1 (i32.const 30)))
                            (unreachable))
                        (drop)))
                (local.get 1))
            (func (export "local") (param i32) (result i32)
                (block $out (result i32)
                    (try_table (catch $own $out) (throw $own (local.get 0)))
                    (unreachable)))
            (func (export "again") (param i32) (result i32)
                (block $outer (result i32)
                    (try_table (result i32) (catch $own $outer)
                        (block $inner (result exnref)
                            (try_table (catch_all_ref $inner) (throw $own (local.get 0)))
                            (unreachable))
                        (throw_ref))))
            (func (export "ref") (param i32) (result i32)
                (block $outer (result i32 exnref)
                    (try_table (catch_ref $own $outer) (throw $own (local.get 0)))
                    (unreachable))
                (drop))
            (func (export "uncaught") (param i32) (result i32)
                (block (try_table (catch $f 0) (call $throw (local.get 0)))) (i32.const 1))
            (func (export "null") (throw_ref (ref.null exn)))
            (func (export "many") (param i32) (result i32) (local $sum i32)
                (loop $again
                    (block $out (result i32)
                        (try_table (catch $own $out) (call $raise (local.get 0)))
                        (unreachable))
                    (local.set $sum (i32.add (local.get $sum)))
                    (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (local.get $sum))
            (func $raise (param i32) (throw $own (local.get 0))))"#,
    ]);
    assert_eq!([guest.call("catch", &[0]), guest.call("catch", &[1])], [9, 100]);
    assert_eq!(guest.call("nested", &[0]), 20);
    assert_eq!(guest.call("local", &[5]), 5);
    assert_eq!(guest.call("again", &[6]), 6);
    assert_eq!(guest.call("ref", &[8]), 8);
    assert_eq!(guest.call("uncaught", &[1]), 1);
    assert_eq!(guest.trap("uncaught", &[0]), Trap::UncaughtException);
    assert_eq!(guest.trap("null", &[]), Trap::NullExceptionReference);
    assert_eq!(guest.call("many", &[20_000]), 200_010_000);
}

#[test]
fn a_fault_says_where() {
    let text = r#"(module $lib
        (func $inner (param i32) (drop (i32.div_u (i32.const 1) (local.get 0))))
        (func $outer (export "run") (param i32) (call $inner (local.get 0))))"#;
    let mut guest = Guest::new(text);
    let func = guest.domain.export(guest.instance, "run").unwrap().func().unwrap();
    let fault = guest.domain.call(&func, &[0], &mut []).unwrap_err();
    assert_eq!(fault.trap, Trap::IntegerDivideByZero);
    let names: Vec<_> = fault.frames.iter().map(|frame| frame.func_name.as_deref().unwrap()).collect();
    assert_eq!(names, ["inner", "outer"]);
    let wasm = wat::parse_str(text).unwrap();
    assert_eq!(fault.frames[0].module.as_deref(), Some("lib"));
    assert_eq!(wasm[fault.frames[0].offset.unwrap() as usize], 0x6e, "i32.div_u");
    assert_eq!(wasm[fault.frames[1].offset.unwrap() as usize], 0x10, "call");
}
