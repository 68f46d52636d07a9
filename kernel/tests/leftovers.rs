//! Whoever launches trees for weeks must have the memory of each back: every byte is counted, from text to the end of the tree.
//!
//! One test, so that nobody else allocates meanwhile.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use abi::value::Value;
use atoll_kernel::component::executable::Executable;
use atoll_kernel::component::link::{Isolate, LinkOptions};
use atoll_kernel::component::linked::Export;
use atoll_kernel::host::Imports;
use atoll_kernel::jit::engine::{Engine, EngineOptions};

/// The system's allocator, with a count of the bytes that are out.
struct Counted;

static OUT: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is done by the system's allocator; counting changes nothing of it.
unsafe impl GlobalAlloc for Counted {
    /// # Safety
    /// What the trait says.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        OUT.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    /// # Safety
    /// What the trait says.
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        OUT.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTED: Counted = Counted;

/// Nested components that mean each other's definitions, a resource, an import that nobody offers, a function that traps.
const NESTED: &str = r#"(component
    (import "missing" (func $missing))
    (core module $m
        (memory (export "mem") 1)
        (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func (export "trap") (unreachable)))
    (component $inner
        (type $thing' (resource (rep i32)))
        (export $thing "thing" (type $thing'))
        (core func $new (canon resource.new $thing'))
        (alias outer 1 $m (core module $n))
        (component $innermost
            (alias outer 2 $m (core module $n))
            (core instance $i (instantiate $n))
            (func (export "add") (param "x" u32) (result u32) (canon lift (core func $i "add"))))
        (instance $i (instantiate $innermost))
        (alias export $i "add" (func $add))
        (export "add" (func $add))
        (func (export "make") (param "rep" u32) (result (own $thing)) (canon lift (core func $new))))
    (instance $one (instantiate $inner))
    (instance $other (instantiate $inner))
    (component $front
        (import "add" (func $add (param "x" u32) (result u32)))
        (core func $add' (canon lower (func $add)))
        (core module $m
            (import "" "add" (func $add (param i32) (result i32)))
            (func (export "twice") (param i32) (result i32) (call $add (call $add (local.get 0)))))
        (core instance $i (instantiate $m (with "" (instance (export "add" (func $add'))))))
        (func (export "twice") (param "x" u32) (result u32) (canon lift (core func $i "twice"))))
    (instance $front (instantiate $front (with "add" (func $one "add"))))
    (core instance $i (instantiate $m))
    (func (export "trap") (canon lift (core func $i "trap")))
    (export "one" (instance $one))
    (alias export $front "twice" (func $twice))
    (export "twice" (func $twice)))"#;

/// From bytes to calls and to the end, in one domain and in several; and a component that cannot be linked, and damaged ones.
fn live_and_die(wasm: &[u8]) {
    let engine = Engine::with(EngineOptions { threads: Some(1), ..EngineOptions::default() }).unwrap();
    let parsed = Executable::parse(&engine, wasm).unwrap();
    let loaded = Executable::from_image(&engine, &parsed.to_image()).unwrap();
    assert!(parsed.link(&Imports::default(), &LinkOptions::new("app")).is_err(), "an import is missing");
    for cut in (1..wasm.len()).step_by(97) {
        drop(Executable::parse(&engine, &wasm[..cut]));
    }
    for executable in [parsed, loaded] {
        for isolate in [Isolate::Nothing, Isolate::All] {
            let options = LinkOptions { missing_is_fault: true, isolate, ..LinkOptions::new("app") };
            let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
            for _ in 0..2 {
                let mut tree = executable.launch(&linked, Box::new(())).unwrap();
                let mut call = |path: &[&str], args: &[Value]| {
                    let Some(Export::Func(func)) = tree.export(path) else { panic!("no function {path:?}") };
                    let func = func.clone();
                    tree.call(&func, args)
                };
                assert_eq!(call(&["twice"], &[Value::U32(5)]).unwrap(), Some(Value::U32(7)));
                call(&["one", "make"], &[Value::U32(5)]).unwrap();
                assert!(call(&["trap"], &[]).is_err());
            }
        }
    }
}

#[test]
fn nothing_is_left_of_what_has_lived() {
    let wasm = wat::parse_str(NESTED).unwrap();
    // What is made once and kept, such as the tables of the code generator, is there after the first rounds.
    let mut left = Vec::with_capacity(8);
    for _ in 0..left.capacity() {
        live_and_die(&wasm);
        left.push(OUT.load(Relaxed));
    }
    assert!(left[3..].windows(2).all(|pair| pair[0] == pair[1]), "bytes that are out: {left:?}");
}
