//! Calls of the host's functions by guests: in registers, in slots, timed and not; each must be the same call.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::sync::Arc;

use abi::fault::Trap;
use abi::side::Side;
use abi::types::FuncType;
use abi::value::Value;
use atoll_kernel::component::executable::Executable;
use atoll_kernel::component::link::LinkOptions;
use atoll_kernel::component::linked::Export;
use atoll_kernel::component::tree::Tree;
use atoll_kernel::host::{HostCall, HostFunc, Import, Imports};
use atoll_kernel::jit::engine::Engine;

/// So many calls that some are timed, which are made in slots, and most are not, which are made in registers.
const CALLS: u32 = 300;

struct Func<F>(F);

impl<F: Fn(&mut dyn HostCall) -> Result<(), Trap> + Send + Sync> HostFunc for Func<F> {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        (self.0)(call)
    }
}

fn launch(wat: &str, funcs: Vec<(&str, Arc<dyn HostFunc>)>, state: u32) -> Tree {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(wat).unwrap()).unwrap();
    let mut imports = Imports::default();
    imports.names.extend(funcs.into_iter().map(|(name, func)| (name.to_owned(), Import::Func(func))));
    let linked = executable.link(&imports, &LinkOptions::new("app")).unwrap();
    executable.launch(&Arc::new(linked), Box::new(state)).unwrap()
}

fn func<F: Fn(&mut dyn HostCall) -> Result<(), Trap> + Send + Sync + 'static>(func: F) -> Arc<dyn HostFunc> {
    Arc::new(Func(func))
}

fn call(tree: &mut Tree, name: &str, args: &[Value]) -> Result<Option<Value>, Trap> {
    let Some(Export::Func(func)) = tree.export(&[name]) else { panic!("no function `{name}`") };
    let func = func.clone();
    tree.call(&func, args).map_err(|fault| fault.trap)
}

/// Calls and failures of the host's only edge out of the tree.
fn counts(tree: &Tree, name: &str) -> (u64, u64) {
    let edges = tree.edges();
    let edge = edges.iter().find(|view| view.edge.caller.is_some() && &*view.edge.name == name);
    edge.map(|view| (view.calls, view.failures)).unwrap()
}

/// A component that passes what it gets on to the host's `take`, and gives what that returns.
fn passing(params: &str, result: &str, core_params: &str, core_result: &str) -> String {
    let named: Vec<String> =
        params.split_whitespace().enumerate().map(|(at, ty)| format!("(param \"p{at}\" {ty})")).collect();
    let ty = format!("{} (result {result})", named.join(" "));
    let gets: Vec<String> =
        (0..core_params.split_whitespace().count()).map(|at| format!("(local.get {at})")).collect();
    format!(
        r#"(component
          (import "take" (func $take {ty}))
          (core func $take' (canon lower (func $take)))
          (core module $m
            (import "" "take" (func $take (param {core_params}) (result {core_result})))
            (func (export "pass") (param {core_params}) (result {core_result}) (call $take {})))
          (core instance $i (instantiate $m (with "" (instance (export "take" (func $take'))))))
          (func (export "pass") {ty} (canon lift (core func $i "pass"))))"#,
        gets.join(" ")
    )
}

#[test]
fn core_values_of_every_type_get_there_and_come_back() {
    let args = [Value::U32(u32::MAX - 1), Value::U64(u64::MAX - 2), Value::F32(-1.5), Value::F64(2.25)];
    let bits = [u64::from(u32::MAX - 1), u64::MAX - 2, u64::from((-1.5_f32).to_bits()), 2.25_f64.to_bits()];
    for (at, (ty, core)) in
        [("u32", "i32"), ("u64", "i64"), ("f32", "f32"), ("f64", "f64")].iter().enumerate()
    {
        let wat = passing("u32 u64 f32 f64", ty, "i32 i64 f32 f64", core);
        let take = func(move |call| {
            assert_eq!(call.core()[..4], bits);
            call.core()[0] = bits[at];
            Ok(())
        });
        let mut tree = launch(&wat, vec![("take", take)], 0);
        for _ in 0..CALLS {
            assert_eq!(call(&mut tree, "pass", &args), Ok(Some(args[at].clone())));
        }
        assert_eq!(counts(&tree, "take"), (CALLS.into(), 0));
    }
}

#[test]
fn more_core_values_than_registers_go_in_slots() {
    let wat = passing("u32 u32 u32 u32 u32", "u32", "i32 i32 i32 i32 i32", "i32");
    let take = func(|call| {
        assert_eq!(call.core()[..5], [1, 2, 3, 4, 5]);
        call.core()[0] = 6;
        Ok(())
    });
    let mut tree = launch(&wat, vec![("take", take)], 0);
    let args: Vec<Value> = (1..=5).map(Value::U32).collect();
    for _ in 0..CALLS {
        assert_eq!(call(&mut tree, "pass", &args), Ok(Some(Value::U32(6))));
    }
    assert_eq!(counts(&tree, "take"), (CALLS.into(), 0));
}

#[test]
fn a_trap_of_the_host_ends_the_call_and_is_counted() {
    // Before and after calls are no longer timed.
    for good in [3, CALLS] {
        let take = func(move |call| {
            let at = call.core()[0];
            if at < u64::from(good) { Ok(()) } else { Err(Trap::Host(format!("no {at}"))) }
        });
        let mut tree = launch(&passing("u32", "u32", "i32", "i32"), vec![("take", take)], 0);
        for at in 0..good {
            assert_eq!(call(&mut tree, "pass", &[Value::U32(at)]), Ok(Some(Value::U32(at))));
        }
        let trap = call(&mut tree, "pass", &[Value::U32(good)]).unwrap_err();
        assert_eq!(trap, Trap::Host(format!("no {good}")));
        assert_eq!(counts(&tree, "take"), (u64::from(good) + 1, 1));
        assert_eq!(call(&mut tree, "pass", &[Value::U32(0)]), Err(Trap::CannotEnter));
        let fault = tree.faults().pop().unwrap();
        let frames: Vec<_> = fault.frames.iter().filter_map(|frame| frame.func_name.clone()).collect();
        assert!(frames[0].contains("host") && frames[0].contains("take"), "{frames:?}");
    }
}

#[test]
fn the_state_is_there_and_the_caller_is_known() {
    let take = func(|call| {
        let add = call.core()[0] as u32;
        assert_eq!(call.process_index(), 0);
        assert_eq!(call.func_type().params.len(), 1);
        let state = call.state().downcast_mut::<u32>().unwrap();
        *state += add;
        let sum = *state;
        call.release_state();
        call.core()[0] = sum.into();
        Ok(())
    });
    let mut tree = launch(&passing("u32", "u32", "i32", "i32"), vec![("take", take)], 7);
    for at in 1..=CALLS {
        assert_eq!(call(&mut tree, "pass", &[Value::U32(2)]), Ok(Some(Value::U32(7 + 2 * at))));
    }
    assert_eq!(tree.host_state().downcast_ref::<u32>(), Some(&(7 + 2 * CALLS)));
}

/// `fill` gets a string and returns one, for which it has the guest allocate; `leave` is called by that.
const ALLOCATING: &str = r#"
(component
  (import "fill" (func $fill (param "s" string) (result string)))
  (import "leave" (func $leave))
  (core module $libc
    (import "" "leave" (func $leave))
    (memory (export "mem") 1)
    (global $mode (export "mode") (mut i32) (i32.const 0))
    (func $realloc (export "realloc") (param i32 i32 i32 i32) (result i32)
      (if (i32.eq (global.get $mode) (i32.const 1)) (then unreachable))
      (if (i32.eq (global.get $mode) (i32.const 2)) (then (call $leave)))
      (i32.const 1024)))
  (core func $leave' (canon lower (func $leave)))
  (core instance $libc (instantiate $libc (with "" (instance (export "leave" (func $leave'))))))
  (core func $fill' (canon lower (func $fill) (memory $libc "mem") (realloc (func $libc "realloc"))))
  (core module $m
    (import "" "fill" (func $fill (param i32 i32 i32)))
    (import "" "mem" (memory 1))
    (import "" "mode" (global $mode (mut i32)))
    (data (i32.const 16) "pear")
    (func $run (export "run") (param $mode i32) (result i32)
      (global.set $mode (local.get $mode))
      (call $fill (i32.const 16) (i32.const 4) (i32.const 64))
      (i32.add (i32.load (i32.const 68)) (i32.load8_u (i32.load (i32.const 64))))))
  (core instance $i (instantiate $m (with "" (instance
    (export "fill" (func $fill')) (export "mem" (memory $libc "mem")) (export "mode" (global $libc "mode"))))))
  (func (export "run") (param "mode" u32) (result u32) (canon lift (core func $i "run"))))
"#;

/// The same, through the typed way.
fn fill() -> Arc<dyn HostFunc> {
    func(|call| {
        let mut core = [0; 3];
        core.copy_from_slice(&call.core()[..3]);
        let (name,) = abi::typed::imported::lift_params::<(String,)>(call as &mut dyn Side, &core)?;
        let text = format!("{name}-{name}");
        abi::typed::imported::lower_result::<(String,), String>(call as &mut dyn Side, &core, &text)?;
        Ok(())
    })
}

#[test]
fn a_host_function_may_call_back_for_memory() {
    let launch = || launch(ALLOCATING, vec![("fill", fill()), ("leave", func(|_| Ok(())))], 0);
    let mut tree = launch();
    for _ in 0..CALLS {
        assert_eq!(call(&mut tree, "run", &[Value::U32(0)]), Ok(Some(Value::U32(9 + u32::from(b'p')))));
    }
    assert_eq!(call(&mut tree, "run", &[Value::U32(1)]), Err(Trap::Unreachable));
    let fault = tree.faults().pop().unwrap();
    let frames: Vec<_> = fault.frames.iter().filter_map(|frame| frame.func_name.as_deref()).collect();
    assert!(frames[0].contains("realloc"), "the fault is that of the guest's code: {frames:?}");
    assert!(frames.iter().any(|frame| frame.contains("run")), "and goes on below the host: {frames:?}");
    // Who allocates may not leave, however far the count of calls has got.
    for before in [0, CALLS] {
        let mut tree = launch();
        for _ in 0..before {
            call(&mut tree, "run", &[Value::U32(0)]).unwrap();
        }
        assert_eq!(call(&mut tree, "run", &[Value::U32(2)]), Err(Trap::CannotLeave));
        assert_eq!(counts(&tree, "leave"), (0, 0));
    }
}
