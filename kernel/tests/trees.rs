//! Component trees from text to calls: what is a process, who is wired to whom, what a fault takes with it.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::sync::{Arc, Barrier};

use abi::fault::Trap;
use abi::state::ProcessState;
use abi::value::Value;
use atoll_kernel::component::direct_func::DirectFunc;
use atoll_kernel::component::error::LinkError;
use atoll_kernel::component::executable::Executable;
use atoll_kernel::component::link::{Isolate, LinkOptions};
use atoll_kernel::component::linked::{Export, ExportedFunc, Provider};
use atoll_kernel::component::port::{EdgePolicy, OnFault};
use atoll_kernel::component::tree::Tree;
use atoll_kernel::host::Imports;
use atoll_kernel::jit::engine::Engine;
use atoll_kernel::quota::{DomainQuota, Quota, Quotas};

fn options() -> LinkOptions {
    LinkOptions::new("app")
}

fn launch_with(wat: &str, options: &LinkOptions) -> Tree {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(wat).unwrap()).unwrap();
    let linked = executable.link(&Imports::default(), options).unwrap();
    executable.launch(&Arc::new(linked), Box::new(())).unwrap()
}

fn launch(wat: &str) -> Tree {
    launch_with(wat, &options())
}

fn launch_isolated(wat: &str, names: &[&str], on_fault: OnFault) -> Tree {
    let isolate = Isolate::Named(names.iter().map(|name| (*name).to_owned()).collect());
    launch_with(wat, &LinkOptions { isolate, edge: EdgePolicy { on_fault, deadline_ns: None }, ..options() })
}

fn func(tree: &Tree, path: &[&str]) -> ExportedFunc {
    match tree.export(path) {
        Some(Export::Func(func)) => func.clone(),
        _ => panic!("no exported function {path:?}"),
    }
}

fn call(tree: &mut Tree, path: &[&str], args: &[Value]) -> Result<Option<Value>, Trap> {
    let func = func(tree, path);
    tree.call(&func, args).map_err(|fault| fault.trap)
}

/// A front that greets through a back: strings in both directions across one edge.
const GREETER: &str = r#"
(component
  (component $Back
    (core module $m
      (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (memory.copy (local.get $at) (local.get 0) (local.get 1))
        (local.get $at))
      (data (i32.const 16) "hello, ")
      (func (export "greet") (param $p i32) (param $n i32) (result i32)
        (memory.copy (i32.const 512) (i32.const 16) (i32.const 7))
        (memory.copy (i32.const 519) (local.get $p) (local.get $n))
        (i32.store (i32.const 8) (i32.const 512))
        (i32.store (i32.const 12) (i32.add (i32.const 7) (local.get $n)))
        (i32.const 8)))
    (core instance $i (instantiate $m))
    (func (export "greet") (param "name" string) (result string)
      (canon lift (core func $i "greet") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))
  (component $Front
    (import "greet" (func $greet (param "name" string) (result string)))
    (core module $libc
      (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 4096))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (memory.copy (local.get $at) (local.get 0) (local.get 1))
        (local.get $at)))
    (core instance $libc (instantiate $libc))
    (core func $greet' (canon lower (func $greet)
      (memory (core memory $libc "mem")) (realloc (core func $libc "realloc")) string-encoding=utf16))
    (core module $m
      (import "" "greet" (func $greet (param i32 i32 i32)))
      (import "" "mem" (memory 1))
      (func (export "welcome") (param i32 i32) (result i32)
        (call $greet (local.get 0) (local.get 1) (i32.const 64))
        (i32.const 64)))
    (core instance $m (instantiate $m (with "" (instance
      (export "greet" (func $greet')) (export "mem" (memory $libc "mem"))))))
    (func (export "welcome") (param "name" string) (result string)
      (canon lift (core func $m "welcome") (memory (core memory $libc "mem"))
        (realloc (core func $libc "realloc")) string-encoding=utf16)))
  (instance $back (instantiate $Back))
  (instance $front (instantiate $Front (with "greet" (func $back "greet"))))
  (export "welcome" (func $front "welcome")))
"#;

#[test]
fn strings_cross_two_edges_and_two_encodings() {
    let mut tree = launch(GREETER);
    for name in ["", "Ann", "日本 🦀"] {
        let greeting = call(&mut tree, &["welcome"], &[Value::String(name.into())]).unwrap();
        assert_eq!(greeting, Some(Value::String(format!("hello, {name}").into())));
    }
}

#[test]
fn functions_are_called_with_rust_types() {
    let mut tree = launch(GREETER);
    let func = func(&tree, &["welcome"]);
    let welcome = DirectFunc::<(String,), String>::new(&func).unwrap();
    for name in ["", "Ann", "日本 🦀"] {
        assert_eq!(welcome.call(&mut tree, &(name.to_owned(),)).unwrap(), format!("hello, {name}"));
    }
    assert!(DirectFunc::<(String,), ()>::new(&func).is_err());
    assert!(DirectFunc::<(String, u32), String>::new(&func).is_err());
    let long = DirectFunc::<(String,), String>::new(&func).unwrap();
    let fault = long.call(&mut tree, &("x".repeat(1 << 20),)).unwrap_err();
    assert!(fault.process.is_some(), "{fault:?}");
    assert_eq!(long.call(&mut tree, &(String::new(),)).unwrap_err().trap, Trap::CannotEnter);
}

/// A front whose calls go through a middle that does nothing but pass them on, which is written into the adapter.
const THROUGH: &str = r#"
(component
  (component $Back
    (core module $m
      (func (export "sum") (param i32 i64) (result i64) (i64.sub (local.get 1) (i64.const 7)))
      (func (export "boom") (result i32) (i32.load (i32.const -4)) )
      (memory 1))
    (core instance $i (instantiate $m))
    (func (export "sum") (param "a" u32) (param "b" u64) (result u64) (canon lift (core func $i "sum")))
    (func (export "boom") (result u32) (canon lift (core func $i "boom"))))
  (component $Middle
    (import "sum" (func $sum (param "a" u32) (param "b" u64) (result u64)))
    (import "boom" (func $boom (result u32)))
    (core func $sum' (canon lower (func $sum)))
    (core func $boom' (canon lower (func $boom)))
    (core module $m
      (import "" "boom" (func $boom (result i32)))
      (import "" "sum" (func $sum (param i32 i64) (result i64)))
      (func (export "sum") (param i32 i64) (result i64)
        (i64.add (call $sum (local.get 0) (local.get 1)) (i64.shl (i64.const 3) (i64.const 40))))
      (func (export "boom") (result i32) (call $boom)))
    (core instance $i (instantiate $m (with "" (instance
      (export "sum" (func $sum')) (export "boom" (func $boom'))))))
    (func (export "sum") (param "a" u32) (param "b" u64) (result u64) (canon lift (core func $i "sum")))
    (func (export "boom") (result u32) (canon lift (core func $i "boom"))))
  (component $Front
    (import "sum" (func $sum (param "a" u32) (param "b" u64) (result u64)))
    (import "boom" (func $boom (result u32)))
    (core func $sum' (canon lower (func $sum)))
    (core func $boom' (canon lower (func $boom)))
    (core module $m
      (import "" "boom" (func $boom (result i32)))
      (import "" "sum" (func $sum (param i32 i64) (result i64)))
      (func (export "sum") (param i32 i64) (result i64) (local i32) (call $sum (local.get 0) (local.get 1)))
      (func (export "boom") (result i32) (local i32) (call $boom)))
    (core instance $i (instantiate $m (with "" (instance
      (export "sum" (func $sum')) (export "boom" (func $boom'))))))
    (func (export "sum") (param "a" u32) (param "b" u64) (result u64) (canon lift (core func $i "sum")))
    (func (export "boom") (result u32) (canon lift (core func $i "boom"))))
  (instance $back (instantiate $Back))
  (instance $middle (instantiate $Middle (with "sum" (func $back "sum")) (with "boom" (func $back "boom"))))
  (instance $front (instantiate $Front (with "sum" (func $middle "sum")) (with "boom" (func $middle "boom"))))
  (export "sum" (func $front "sum"))
  (export "boom" (func $front "boom"))
  (export "middle" (func $middle "sum"))
  (export "back" (func $back "sum")))
"#;

#[test]
fn a_function_that_is_written_into_its_adapter_is_called_as_any_other() {
    let wasm = wat::parse_str(THROUGH).unwrap();
    let engine = Engine::new().unwrap();
    let image = Executable::parse(&engine, &wasm).unwrap().to_image();
    let other = Engine::new().unwrap();
    // From an image nothing is known of bodies: everything is called.
    let loaded = Executable::from_image(&other, &image).unwrap();
    let linked = Arc::new(loaded.link(&Imports::default(), &options()).unwrap());
    for mut tree in [launch(THROUGH), loaded.launch(&linked, Box::new(())).unwrap()] {
        let args = [Value::U32(1), Value::U64(u64::MAX)];
        let sum = u64::MAX.wrapping_sub(7).wrapping_add(3 << 40);
        assert_eq!(call(&mut tree, &["sum"], &args), Ok(Some(Value::U64(sum))));
        let trap = call(&mut tree, &["boom"], &[]).unwrap_err();
        assert!(matches!(trap, Trap::MemoryOutOfBounds), "{trap:?}");
        for export in ["sum", "middle", "back"] {
            assert_eq!(
                call(&mut tree, &[export], &args),
                Err(Trap::CannotEnter),
                "{export} had a part in it"
            );
        }
        let fault = tree.faults().pop().unwrap();
        assert_eq!(&*fault.process_name, "/app/back");
        let names: Vec<_> = fault.frames.iter().map(|frame| &*frame.process_name).collect();
        assert!(names.contains(&"/app/middle") && names.contains(&"/app/front"), "{names:?}");
    }
}

#[test]
fn every_component_instance_is_a_process() {
    let tree = launch(GREETER);
    let processes = tree.processes();
    let paths: Vec<_> = processes.iter().map(|process| process.info.path.as_str()).collect();
    assert_eq!(paths, ["/app", "/app/back", "/app/front"]);
    assert!(processes.iter().all(|process| process.state == ProcessState::Ready));
    assert_eq!(processes[1].info.parent, Some(0));
    assert_eq!(
        processes[2].info.imports,
        [("greet".to_owned(), Provider::Process(1), "/app/back".to_owned())]
    );
    assert_eq!(processes.iter().map(|process| process.libs.len()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(processes[2].memory_bytes, 65536);
}

#[test]
fn a_nameless_instance_is_called_after_what_it_exports() {
    let nameless = "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m))
      (func $f (canon lift (core func $i \"f\"))) (instance $x (export \"get\" (func $f)))
      (export \"shop:kv/store@1.0.0\" (instance $x)))";
    let tree = launch(&format!(
        "(component (component $C {} (instance (instantiate 0)) (instance (instantiate 0)))",
        nameless.trim_start_matches("(component")
    ));
    let paths: Vec<_> = tree.processes().iter().map(|process| process.info.path.clone()).collect();
    assert_eq!(paths, ["/app", "/app/C", "/app/C-2"]);
    let binary = wat::parse_str(format!(
        "(component {nameless} (instance (instantiate 0)) (instance (instantiate 0)))"
    ));
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &binary.unwrap()).unwrap();
    let linked = executable.link(&Imports::default(), &options()).unwrap();
    let names: Vec<_> = linked.processes().iter().map(|process| process.name.as_str()).collect();
    assert_eq!(names, ["app", "store", "store-2"]);
}

/// Two children and what each exports; `b` calls `a`.
const SIBLINGS: &str = r#"
(component
  (component $A
    (core module $m
      (global $calls (mut i32) (i32.const 0))
      (func (export "div") (param i32 i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (i32.div_u (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "div") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "div"))))
  (component $B
    (import "div" (func $div (param "a" u32) (param "b" u32) (result u32)))
    (core func $div' (canon lower (func $div)))
    (core module $m
      (import "" "div" (func $div (param i32 i32) (result i32)))
      (func (export "half") (param i32) (result i32) (call $div (local.get 0) (i32.const 2)))
      (func (export "over") (param i32) (result i32) (call $div (i32.const 100) (local.get 0)))
      (func (export "alone") (result i32) (i32.const 7)))
    (core instance $i (instantiate $m (with "" (instance (export "div" (func $div'))))))
    (func (export "half") (param "a" u32) (result u32) (canon lift (core func $i "half")))
    (func (export "over") (param "a" u32) (result u32) (canon lift (core func $i "over")))
    (func (export "alone") (result u32) (canon lift (core func $i "alone"))))
  (instance $a (instantiate $A))
  (instance $b (instantiate $B (with "div" (func $a "div"))))
  (instance $c (instantiate $B (with "div" (func $a "div"))))
  (instance $d (instantiate $A))
  (export "b" (instance $b))
  (export "c" (instance $c))
  (export "d" (instance $d)))
"#;

#[test]
fn a_fault_takes_those_on_the_stack_and_nobody_else() {
    let mut tree = launch(SIBLINGS);
    assert_eq!(call(&mut tree, &["b", "half"], &[Value::U32(10)]), Ok(Some(Value::U32(5))));
    assert_eq!(call(&mut tree, &["b", "over"], &[Value::U32(0)]), Err(Trap::IntegerDivideByZero));
    // b called a, and both are gone.
    assert_eq!(call(&mut tree, &["b", "alone"], &[]), Err(Trap::CannotEnter));
    // c was not on the stack: it runs, but a is gone for it too, and trying that ends it.
    assert_eq!(call(&mut tree, &["c", "alone"], &[]), Ok(Some(Value::U32(7))));
    assert_eq!(call(&mut tree, &["c", "half"], &[Value::U32(10)]), Err(Trap::CannotEnter));
    assert_eq!(call(&mut tree, &["c", "alone"], &[]), Err(Trap::CannotEnter));
    // d never had to do with it.
    assert_eq!(call(&mut tree, &["d", "div"], &[Value::U32(8), Value::U32(2)]), Ok(Some(Value::U32(4))));
    let states: Vec<_> = tree.processes().into_iter().map(|process| process.state).collect();
    use ProcessState::{Faulted, Ready};
    assert_eq!(states, [Ready, Faulted, Faulted, Faulted, Ready]);
}

#[test]
fn a_fault_names_everybody_on_the_call_chain() {
    let mut tree = launch(SIBLINGS);
    let over = func(&tree, &["b", "over"]);
    let fault = tree.call(&over, &[Value::U32(0)]).unwrap_err();
    assert_eq!(&*fault.process_name, "/app/a");
    let frames: Vec<_> = fault.frames.iter().map(|frame| &*frame.process_name).collect();
    assert_eq!(frames.first(), Some(&"/app/a"));
    assert_eq!(frames.last(), Some(&"/app/b"));
    assert_eq!(tree.faults().len(), 1);
}

/// A counter as a resource with a destructor, and a user that borrows it.
const RESOURCES: &str = r#"
(component
  (component $Counter
    (core module $m
      (global $dropped (mut i32) (i32.const 0))
      (func (export "dtor") (param i32) (global.set $dropped (i32.add (global.get $dropped) (local.get 0))))
      (func (export "dropped") (result i32) (global.get $dropped)))
    (core instance $i (instantiate $m))
    (type $counter' (resource (rep i32) (dtor (core func $i "dtor"))))
    (export $counter "counter" (type $counter'))
    (core func $new (canon resource.new $counter'))
    (core module $n
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "read") (param i32) (result i32) (local.get 0)))
    (core instance $j (instantiate $n (with "" (instance (export "new" (func $new))))))
    (func (export "make") (param "n" u32) (result (own $counter)) (canon lift (core func $j "make")))
    (func (export "read") (param "c" (borrow $counter)) (result u32) (canon lift (core func $j "read")))
    (func (export "dropped") (result u32) (canon lift (core func $i "dropped"))))
  (component $User
    (import "counter" (type $counter (sub resource)))
    (import "make" (func $make (param "n" u32) (result (own $counter))))
    (import "read" (func $read (param "c" (borrow $counter)) (result u32)))
    (core func $make' (canon lower (func $make)))
    (core func $read' (canon lower (func $read)))
    (core func $drop (canon resource.drop $counter))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "read" (func $read (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "use") (param i32) (result i32)
        (local $h i32) (local $n i32)
        (local.set $h (call $make (local.get 0)))
        (local.set $n (call $read (local.get $h)))
        (call $drop (local.get $h))
        (local.get $n))
      (func (export "twice") (param i32)
        (local $h i32)
        (local.set $h (call $make (local.get 0)))
        (call $drop (local.get $h))
        (call $drop (local.get $h))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make')) (export "read" (func $read')) (export "drop" (func $drop))))))
    (func (export "use") (param "n" u32) (result u32) (canon lift (core func $i "use")))
    (func (export "twice") (param "n" u32) (canon lift (core func $i "twice"))))
  (instance $c (instantiate $Counter))
  (instance $u (instantiate $User
    (with "counter" (type $c "counter")) (with "make" (func $c "make")) (with "read" (func $c "read"))))
  (export "c" (instance $c))
  (export "use" (func $u "use"))
  (export "twice" (func $u "twice")))
"#;

#[test]
fn resources_are_made_lent_and_destroyed() {
    let mut tree = launch(RESOURCES);
    assert_eq!(call(&mut tree, &["use"], &[Value::U32(42)]), Ok(Some(Value::U32(42))));
    assert_eq!(call(&mut tree, &["c", "dropped"], &[]), Ok(Some(Value::U32(42))));
    assert!(tree.processes().iter().all(|process| process.handles == 0));
}

#[test]
fn the_host_holds_resources_too() {
    let mut tree = launch(RESOURCES);
    let Some(Value::Own(counter)) = call(&mut tree, &["c", "make"], &[Value::U32(5)]).unwrap() else {
        panic!("make returns a resource")
    };
    assert_eq!(call(&mut tree, &["c", "read"], &[Value::Borrow(counter)]), Ok(Some(Value::U32(5))));
    tree.drop_resource(counter).unwrap();
    assert_eq!(call(&mut tree, &["c", "dropped"], &[]), Ok(Some(Value::U32(5))));
}

#[test]
fn a_handle_dropped_twice_is_unknown() {
    let mut tree = launch(RESOURCES);
    assert_eq!(call(&mut tree, &["twice"], &[Value::U32(3)]), Err(Trap::UnknownHandle(1)));
    assert_eq!(call(&mut tree, &["c", "dropped"], &[]), Ok(Some(Value::U32(3))));
}

#[test]
fn a_boundary_changes_no_answer() {
    for isolate in [Isolate::Nothing, Isolate::All, Isolate::Named(vec!["back".to_owned()])] {
        let options = LinkOptions { isolate, ..options() };
        let mut tree = launch_with(GREETER, &options);
        let greeting = call(&mut tree, &["welcome"], &[Value::String("日本 🦀".into())]);
        assert_eq!(greeting, Ok(Some(Value::String("hello, 日本 🦀".into()))));
    }
    let mut tree = launch_with(RESOURCES, &LinkOptions { isolate: Isolate::All, ..options() });
    assert_eq!(tree.linked().domains(), 3);
    assert_eq!(call(&mut tree, &["use"], &[Value::U32(42)]), Ok(Some(Value::U32(42))));
    assert_eq!(call(&mut tree, &["c", "dropped"], &[]), Ok(Some(Value::U32(42))));
    assert_eq!(call(&mut tree, &["twice"], &[Value::U32(3)]), Err(Trap::UnknownHandle(1)));
    assert_eq!(call(&mut tree, &["c", "dropped"], &[]), Ok(Some(Value::U32(45))));
}

/// A shop: the store traps when it is asked for what it does not have; the cart asks it and tells.
const SHOP: &str = r#"
(component
  (component $Store
    (core module $m
      (memory (export "mem") 1)
      (func (export "stock") (param $item i32) (result i32)
        (if (i32.gt_u (local.get $item) (i32.const 9)) (then (unreachable)))
        (i32.store8 (i32.const 16) (i32.const 0))
        (i32.store (i32.const 20) (i32.mul (local.get $item) (i32.const 10)))
        (i32.const 16)))
    (core instance $i (instantiate $m))
    (func (export "stock") (param "item" u32) (result (result u32 (error string)))
      (canon lift (core func $i "stock") (memory (core memory $i "mem")))))
  (component $Cart
    (import "stock" (func $stock (param "item" u32) (result (result u32 (error string)))))
    (core module $libc
      (memory (export "mem") 1)
      (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $libc (instantiate $libc))
    (core func $stock' (canon lower (func $stock)
      (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "" "stock" (func $stock (param i32 i32)))
      (import "" "mem" (memory 1))
      (func (export "order") (param $item i32) (result i32)
        (call $stock (local.get $item) (i32.const 64))
        (if (result i32) (i32.load8_u (i32.const 64))
          (then (i32.sub (i32.const 0) (i32.load (i32.const 72))))
          (else (i32.load (i32.const 68))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "stock" (func $stock')) (export "mem" (memory $libc "mem"))))))
    (func (export "order") (param "item" u32) (result s32) (canon lift (core func $i "order"))))
  (instance $store (instantiate $Store))
  (instance $cart (instantiate $Cart (with "stock" (func $store "stock"))))
  (export "order" (func $cart "order")))
"#;

#[test]
fn without_a_boundary_a_fault_takes_the_caller_too() {
    let mut tree = launch(SHOP);
    assert_eq!(call(&mut tree, &["order"], &[Value::U32(4)]), Ok(Some(Value::S32(40))));
    assert_eq!(call(&mut tree, &["order"], &[Value::U32(10)]), Err(Trap::Unreachable));
    assert_eq!(call(&mut tree, &["order"], &[Value::U32(4)]), Err(Trap::CannotEnter));
}

#[test]
fn across_a_boundary_a_caller_can_get_an_error() {
    let mut tree = launch_isolated(SHOP, &["store"], OnFault::Error);
    assert_eq!(call(&mut tree, &["order"], &[Value::U32(4)]), Ok(Some(Value::S32(40))));
    let told = -i32::try_from(Trap::Unreachable.to_string().len()).unwrap();
    assert_eq!(call(&mut tree, &["order"], &[Value::U32(10)]), Ok(Some(Value::S32(told))));
    // The store is gone, the cart lives and is told so.
    let told = -i32::try_from(Trap::CannotEnter.to_string().len()).unwrap();
    assert_eq!(call(&mut tree, &["order"], &[Value::U32(4)]), Ok(Some(Value::S32(told))));
    let states: Vec<_> = tree.processes().into_iter().map(|process| process.state).collect();
    assert_eq!(states, [ProcessState::Ready, ProcessState::Faulted, ProcessState::Ready]);
    assert_eq!(tree.faults().len(), 1);
}

#[test]
fn across_a_boundary_a_fault_is_the_callers_by_default() {
    let mut tree = launch_isolated(SHOP, &["/app/store"], OnFault::Trap);
    assert_eq!(call(&mut tree, &["order"], &[Value::U32(10)]), Err(Trap::Unreachable));
    let states: Vec<_> = tree.processes().into_iter().map(|process| process.state).collect();
    assert_eq!(states, [ProcessState::Ready, ProcessState::Faulted, ProcessState::Faulted]);
}

#[test]
fn a_missing_import_is_named() {
    let engine = Engine::new().unwrap();
    let wat = r#"(component (import "a:b/c@1.0.0" (instance (export "f" (func)))))"#;
    let executable = Executable::parse(&engine, &wat::parse_str(wat).unwrap()).unwrap();
    let error = executable.link(&Imports::default(), &options()).err().unwrap();
    assert!(matches!(&error, LinkError::Missing { name, .. } if name == "a:b/c@1.0.0"), "{error}");
}

#[test]
fn a_missing_import_can_wait_until_it_is_called() {
    let engine = Engine::new().unwrap();
    let wat = r#"
      (component
        (import "f" (func $f (param "a" u32)))
        (core func $f' (canon lower (func $f)))
        (core module $m
          (import "" "f" (func $f (param i32)))
          (func (export "g") (call $f (i32.const 1)))
          (func (export "h") (result i32) (i32.const 3)))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
        (func (export "g") (canon lift (core func $i "g")))
        (func (export "h") (result u32) (canon lift (core func $i "h"))))"#;
    let executable = Executable::parse(&engine, &wat::parse_str(wat).unwrap()).unwrap();
    let options = LinkOptions { missing_is_fault: true, ..options() };
    let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
    let mut tree = executable.launch(&linked, Box::new(())).unwrap();
    assert_eq!(call(&mut tree, &["h"], &[]), Ok(Some(Value::U32(3))));
    assert_eq!(call(&mut tree, &["g"], &[]), Err(Trap::Host("import `f` is missing".to_owned())));
}

#[test]
fn an_image_runs_as_what_it_was_made_from() {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(GREETER).unwrap()).unwrap();
    let image = executable.to_image();
    drop((executable, engine));
    let engine = Engine::new().unwrap();
    let executable = Executable::from_image(&engine, &image).unwrap();
    let linked = Arc::new(executable.link(&Imports::default(), &options()).unwrap());
    let mut tree = executable.launch(&linked, Box::new(())).unwrap();
    let greeting = call(&mut tree, &["welcome"], &[Value::String("Bo".into())]);
    assert_eq!(greeting, Ok(Some(Value::String("hello, Bo".into()))));
    for cut in [0, 1, 20, image.len() / 2, image.len() - 1] {
        assert!(Executable::from_image(&engine, &image[..cut]).is_err(), "cut at {cut}");
    }
}

/// Two processes that take as much memory and as many table elements as they get: each export grows by one page or ten
/// elements and tells what there was before.
const GROWERS: &str = r#"
(component
  (component $Grower
    (core module $m
      (memory 1)
      (table 10 funcref)
      (func (export "page") (result i32) (memory.grow (i32.const 1)))
      (func (export "ten") (result i32) (table.grow (ref.null func) (i32.const 10))))
    (core instance $i (instantiate $m))
    (func (export "page") (result s32) (canon lift (core func $i "page")))
    (func (export "ten") (result s32) (canon lift (core func $i "ten"))))
  (instance $a (instantiate $Grower))
  (instance $b (instantiate $Grower))
  (export "a" (instance $a))
  (export "b" (instance $b)))
"#;

#[test]
fn a_process_stops_at_its_own_quota() {
    let mut tree = launch(GROWERS);
    let a = tree.linked().processes().iter().position(|process| process.name == "a").unwrap();
    tree.set_quota(a, Quota { memory_bytes: Some(3 << 16), table_elements: Some(25), ..Quota::default() })
        .unwrap();
    let mut grow = |path: [&str; 2]| call(&mut tree, &path, &[]).unwrap().unwrap();
    let pages: Vec<Value> = (0..4).map(|_| grow(["a", "page"])).collect();
    assert_eq!(pages, [1, 2, -1, -1].map(Value::S32));
    assert_eq!([grow(["a", "ten"]), grow(["a", "ten"])], [10, -1].map(Value::S32));
    let pages: Vec<Value> = (0..4).map(|_| grow(["b", "page"])).collect();
    assert_eq!(pages, [1, 2, 3, 4].map(Value::S32));
    assert_eq!([grow(["b", "ten"]), grow(["b", "ten"])], [10, 20].map(Value::S32));
}

#[test]
fn a_domain_stops_at_its_quota_and_a_launch_too() {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(GROWERS).unwrap()).unwrap();
    let linked = Arc::new(executable.link(&Imports::default(), &options()).unwrap());
    let launch = |quotas: &Quotas| Tree::launch_within(&engine, Arc::clone(&linked), Box::new(()), quotas);
    let total = DomainQuota { memory_bytes: Some(4 << 16), table_elements: None };
    let mut tree = launch(&Quotas { domains: vec![(0, total)], ..Quotas::default() }).unwrap();
    let mut grow = |path: [&str; 2]| call(&mut tree, &path, &[]).unwrap().unwrap();
    let pages = [grow(["a", "page"]), grow(["b", "page"]), grow(["a", "page"]), grow(["b", "page"])];
    assert_eq!(pages, [1, 1, -1, -1].map(Value::S32), "each began with one");
    let none = Quota { memory_bytes: Some(0xffff), ..Quota::default() };
    let error = launch(&Quotas { processes: vec![(1, none)], ..Quotas::default() }).err().unwrap();
    assert!(
        error.to_string().contains("65536 bytes of memory, which is more than its quota leaves"),
        "{error}"
    );
}

/// The state of a life that was ended is told before anybody can begin the next one, which is up then.
#[test]
fn who_ends_a_life_does_not_end_the_next_one() {
    const ROUNDS: u32 = 20_000;
    let tree = launch_isolated(GREETER, &["back"], OnFault::Trap);
    let is_back = |path: &str| path == "/app/back";
    let place = tree.linked().processes().iter().find(|info| is_back(&info.path)).unwrap().place;
    let (domain, why, both) = (place.domain, Trap::Killed("a test".into()), Barrier::new(2));
    let mut wrong = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                both.wait();
                tree.end(domain, &why);
                both.wait();
            }
        });
        for round in 0..ROUNDS {
            both.wait();
            tree.restart(domain, &why).unwrap();
            both.wait();
            // Whoever was last: a process is ready if its domain is there.
            let state = tree.processes().iter().find(|view| is_back(&view.info.path)).unwrap().state.clone();
            let is_there = tree.set_domain_quota(domain, DomainQuota::default()).is_ok();
            if (state == ProcessState::Ready) != is_there {
                wrong.push((round, state));
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}
