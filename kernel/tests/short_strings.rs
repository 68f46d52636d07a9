//! Strings that are so short that they cross in the adapter itself, and allocators that are written into it.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::sync::Arc;

use abi::fault::Trap;
use abi::value::Value;
use atoll_kernel::component::executable::Executable;
use atoll_kernel::component::link::LinkOptions;
use atoll_kernel::component::linked::Export;
use atoll_kernel::component::tree::Tree;
use atoll_kernel::host::Imports;
use atoll_kernel::jit::engine::Engine;

/// `$Back` takes strings into memory that its `realloc` gives, which `allocator` is; `get` reads a byte there, and `calls`
/// says how often memory was asked for. `$Front` sends `n` bytes from `p` on of its memory, which `put` fills.
fn wat(allocator: &str) -> String {
    format!(
        r#"(component
  (component $Back
    (core module $m
      (memory (export "mem") 1)
      (global $calls (mut i32) (i32.const 0))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        {allocator})
      (func (export "take") (param i32 i32) (result i32) (local.get 1))
      (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
      (func (export "calls") (result i32) (global.get $calls)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "s" string) (result u32)
      (canon lift (core func $i "take") (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
    (func (export "get") (param "at" u32) (result u32) (canon lift (core func $i "get")))
    (func (export "calls") (result u32) (canon lift (core func $i "calls"))))
  (component $Front
    (import "take" (func $take (param "s" string) (result u32)))
    (core module $libc (memory (export "mem") 1))
    (core instance $libc (instantiate $libc))
    (core func $take' (canon lower (func $take) (memory (core memory $libc "mem"))))
    (core module $m
      (import "" "take" (func $take (param i32 i32) (result i32)))
      (import "" "mem" (memory 1))
      (func (export "put") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
      (func (export "send") (param i32 i32) (result i32) (call $take (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m (with "" (instance
      (export "take" (func $take')) (export "mem" (memory $libc "mem"))))))
    (func (export "put") (param "at" u32) (param "byte" u32) (canon lift (core func $i "put")))
    (func (export "send") (param "p" u32) (param "n" u32) (result u32) (canon lift (core func $i "send"))))
  (instance $back (instantiate $Back))
  (instance $front (instantiate $Front (with "take" (func $back "take"))))
  (export "put" (func $front "put"))
  (export "send" (func $front "send"))
  (export "get" (func $back "get"))
  (export "calls" (func $back "calls")))"#
    )
}

/// Nothing but globals and constants, so it is written into the adapter.
const SMALL: &str = "(i32.const 4096)";
/// The same with a local, so it is called.
const CALLED: &str = "(local $at i32) (local.set $at (i32.const 4096)) (local.get $at)";

fn launch(allocator: &str) -> Tree {
    let engine = Engine::new().unwrap();
    // Locals come before everything else.
    let (locals, rest) = match allocator.strip_prefix("(local $at i32)") {
        Some(rest) => ("(local $at i32)", rest),
        None => ("", allocator),
    };
    let text = wat(rest).replace(
        "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32)",
        &format!("(func (export \"realloc\") (param i32 i32 i32 i32) (result i32) {locals}"),
    );
    let executable = Executable::parse(&engine, &wat::parse_str(text).unwrap()).unwrap();
    let linked = executable.link(&Imports::default(), &LinkOptions::new("app")).unwrap();
    executable.launch(&Arc::new(linked), Box::new(())).unwrap()
}

fn call(tree: &mut Tree, name: &str, args: &[u32]) -> Result<u32, Trap> {
    let Some(Export::Func(func)) = tree.export(&[name]) else { panic!("no function `{name}`") };
    let (func, args) = (func.clone(), args.iter().map(|arg| Value::U32(*arg)).collect::<Vec<_>>());
    match tree.call(&func, &args) {
        Ok(Some(Value::U32(value))) => Ok(value),
        Ok(_) => Ok(0),
        Err(fault) => Err(fault.trap),
    }
}

fn put(tree: &mut Tree, at: u32, bytes: &[u8]) {
    for (at, byte) in (at..).zip(bytes) {
        call(tree, "put", &[at, u32::from(*byte)]).unwrap();
    }
}

#[test]
fn every_length_arrives_as_it_was() {
    for allocator in [SMALL, CALLED] {
        let mut tree = launch(allocator);
        let letters: Vec<u8> = (0..70).map(|at| b'a' + at % 26).collect();
        put(&mut tree, 300, &letters);
        for len in 0..letters.len() as u32 {
            assert_eq!(call(&mut tree, "send", &[300, len]), Ok(len));
            for at in 0..len {
                assert_eq!(
                    call(&mut tree, "get", &[4096 + at]),
                    Ok(u32::from(letters[at as usize])),
                    "{len}"
                );
            }
        }
        assert_eq!(call(&mut tree, "calls", &[]), Ok(letters.len() as u32));
    }
}

#[test]
fn what_is_no_ascii_is_checked_wherever_it_is() {
    let mut tree = launch(SMALL);
    for len in 2..36_u32 {
        for at in 0..len - 1 {
            let mut text = vec![b'x'; len as usize];
            text[at as usize..at as usize + 2].copy_from_slice("é".as_bytes());
            put(&mut tree, 300, &text);
            assert_eq!(call(&mut tree, "send", &[300, len]), Ok(len));
            for (place, byte) in (4096..).zip(&text) {
                assert_eq!(call(&mut tree, "get", &[place]), Ok(u32::from(*byte)));
            }
        }
    }
    for (len, at) in [
        (1, 0),
        (3, 1),
        (7, 6),
        (9, 0),
        (15, 14),
        (16, 7),
        (31, 2),
        (31, 17),
        (32, 3),
        (32, 31),
        (33, 32),
        (64, 0),
    ] {
        let mut tree = launch(SMALL);
        put(&mut tree, 300, &vec![b'x'; len]);
        put(&mut tree, 300 + at, &[0xFF]);
        let trap = call(&mut tree, "send", &[300, len as u32]).unwrap_err();
        assert!(matches!(trap, Trap::InvalidUtf8 | Trap::IncompleteUtf8), "{len} {at}: {trap:?}");
        blamed_alone(&mut tree, "/app/front", ("send", &[300, 0]), "calls");
    }
}

/// Who did wrong is ended, and who had no part in it goes on.
fn blamed_alone(tree: &mut Tree, who: &str, (ended, args): (&str, &[u32]), goes_on: &str) {
    assert_eq!(&*tree.faults().pop().unwrap().process_name, who);
    assert_eq!(call(tree, ended, args), Err(Trap::CannotEnter));
    assert!(call(tree, goes_on, &[]).is_ok(), "it had no part in it");
}

#[test]
fn a_string_out_of_bounds_is_its_senders_fault_whatever_its_length() {
    for (pointer, len) in [(65536, 1), (65535, 2), (65530, 32), (u32::MAX, 16), (65530, 40), (0, u32::MAX)] {
        let mut tree = launch(SMALL);
        let trap = call(&mut tree, "send", &[pointer, len]).unwrap_err();
        assert!(matches!(trap, Trap::StringOutOfBounds { .. } | Trap::StringTooLong { .. }), "{trap:?}");
        assert_eq!(call(&mut tree, "calls", &[]), Ok(0), "nothing is allocated for it");
        blamed_alone(&mut tree, "/app/front", ("send", &[0, 0]), "calls");
    }
    let mut tree = launch(SMALL);
    assert_eq!(call(&mut tree, "send", &[65536, 0]), Ok(0), "nothing at the end is in bounds");
}

#[test]
fn what_an_allocator_returns_is_checked_and_its_own_fault() {
    for (len, place) in [(1, "65536"), (16, "65521"), (40, "65500"), (0, "65537"), (3, "-1")] {
        for called in ["", "(local $at i32)"] {
            let mut tree = launch(&format!("{called}(i32.const {place})"));
            let trap = call(&mut tree, "send", &[300, len]).unwrap_err();
            assert!(matches!(trap, Trap::ReallocOutOfBounds { .. }), "{trap:?}");
            assert_eq!(&*tree.faults().pop().unwrap().process_name, "/app/back");
            assert_eq!(call(&mut tree, "calls", &[]), Err(Trap::CannotEnter), "it is ended");
        }
    }
    let mut tree = launch("(i32.const 65520)");
    assert_eq!(call(&mut tree, "send", &[300, 16]), Ok(16), "it ends where the memory ends");
}
