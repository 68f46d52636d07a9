//! A tree to look at: front asks a store over an interface, and tells the host what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use abi::fault::Trap;
use abi::types::FuncType;
use abi::value::Value;
use atoll_ipc::edges::EdgeRow;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::{HostCall, HostFunc, Import, Imports};
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;
use kernel::sched::park;

/// `get` of a key that begins with `!` traps, with `?` gives an error, with `~` never answers.
pub const SHELF: &str = r#"
(component
  (import "log" (func $log (param "text" string)))
  (component $Store
    (core module $m
      (memory (export "mem") 2 8)
      (global $next (export "next") (mut i32) (i32.const 1024))
      (global $calls (mut i64) (i64.const 0))
      (data (i32.const 70000) "on the second page")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (if (i32.gt_u (global.get $next) (i32.const 32768)) (then (global.set $next (i32.const 1024))))
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
      (func $serve (export "get") (param $at i32) (param $len i32) (result i32) (local $first i32)
        (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
        (local.set $first (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $first) (i32.const 33)) (then (unreachable)))
        (if (i32.eq (local.get $first) (i32.const 126)) (then (loop $l (br $l))))
        (i32.store8 (i32.const 16) (i32.eq (local.get $first) (i32.const 63)))
        (i32.store (i32.const 20) (local.get $at))
        (i32.store (i32.const 24) (local.get $len))
        (i32.const 16))
      (func (export "look") (param i32) (result i32) (local.get 0))
      (func (export "dtor") (param i32)))
    (core instance $i (instantiate $m))
    (type $token' (resource (rep i32) (dtor (core func $i "dtor"))))
    (core func $new (canon resource.new $token'))
    (core func $rep (canon resource.rep $token'))
    (core func $drop (canon resource.drop $token'))
    (core module $n
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "take") (param i32) (result i32)
        (call $rep (local.get 0)) (call $drop (local.get 0))))
    (core instance $j (instantiate $n (with "" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (type $key (result string (error string)))
    (func $get (param "key" string) (result (result string (error string)))
      (canon lift (core func $i "get") (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
    (func $make (param "n" u32) (result (own $token')) (canon lift (core func $j "make")))
    (func $look (param "t" (borrow $token')) (result u32) (canon lift (core func $i "look")))
    (func $take (param "t" (own $token')) (result u32) (canon lift (core func $j "take")))
    (component $Iface
      (import "t" (type $t (sub resource)))
      (import "get" (func $get (param "key" string) (result (result string (error string)))))
      (import "make" (func $make (param "n" u32) (result (own $t))))
      (import "look" (func $look (param "t" (borrow $t)) (result u32)))
      (import "take" (func $take (param "t" (own $t)) (result u32)))
      (export $token "token" (type $t))
      (export "get" (func $get))
      (export "make" (func $make) (func (param "n" u32) (result (own $token))))
      (export "look" (func $look) (func (param "t" (borrow $token)) (result u32)))
      (export "take" (func $take) (func (param "t" (own $token)) (result u32))))
    (instance $iface (instantiate $Iface (with "t" (type $token'))
      (with "get" (func $get)) (with "make" (func $make)) (with "look" (func $look)) (with "take" (func $take))))
    (export "shop:kv/store" (instance $iface)))
  (instance $store (instantiate $Store))
  (alias export $store "shop:kv/store" (instance $kv))
  (component $Front
    (import "shop:kv/store" (instance $kv
      (export "token" (type $token (sub resource)))
      (export "get" (func (param "key" string) (result (result string (error string)))))
      (export "make" (func (param "n" u32) (result (own $token))))
      (export "look" (func (param "t" (borrow $token)) (result u32)))
      (export "take" (func (param "t" (own $token)) (result u32)))))
    (import "log" (func $log (param "text" string)))
    (alias export $kv "token" (type $token))
    (core module $libc
      (memory (export "mem") 1)
      (data (i32.const 256) "k1")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $libc (instantiate $libc))
    (alias export $kv "get" (func $get)) (alias export $kv "make" (func $make))
    (alias export $kv "look" (func $look)) (alias export $kv "take" (func $take))
    (core func $get' (canon lower (func $get) (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core func $make' (canon lower (func $make)))
    (core func $look' (canon lower (func $look)))
    (core func $take' (canon lower (func $take)))
    (core func $log' (canon lower (func $log) (memory (core memory $libc "mem"))))
    (core func $drop' (canon resource.drop $token))
    (core module $m
      (import "" "mem" (memory 1))
      (import "" "get" (func $get (param i32 i32 i32)))
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "look" (func $look (param i32) (result i32)))
      (import "" "take" (func $take (param i32) (result i32)))
      (import "" "log" (func $log (param i32 i32)))
      (table 2 funcref)
      (elem (i32.const 0) func $get $look)
      (type $getter (func (param i32 i32 i32)))
      (func $ask (export "ask") (param $at i32) (param $len i32) (result i32)
        (call $log (local.get $at) (local.get $len))
        (call $get (local.get $at) (local.get $len) (i32.const 64))
        (i32.const 64))
      (func (export "tokens") (param $n i32) (result i32) (local $t i32)
        (local.set $t (call $make (local.get $n)))
        (i32.add (call $look (local.get $t)) (call $take (local.get $t))))
      (func (export "keep") (param $n i32) (drop (call $make (local.get $n))))
      (func $repeat (export "repeat") (param $n i32) (result i32) (local $sum i32)
        (loop $l
          (if (local.get $n) (then
            (call $get (i32.const 256) (i32.const 2) (i32.const 64))
            (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 72))))
            (call_indirect (type $getter) (i32.const 256) (i32.const 1) (i32.const 64) (i32.const 0))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l))))
        (local.get $sum))
      (func (export "wild") (result i32)
        (call $get (i32.const -16) (i32.const 64) (i32.const 64))
        (i32.const 64)))
    (core instance $i (instantiate $m (with "" (instance
      (export "mem" (memory $libc "mem")) (export "get" (func $get')) (export "make" (func $make'))
      (export "look" (func $look')) (export "take" (func $take')) (export "log" (func $log'))))))
    (func (export "ask") (param "key" string) (result (result string (error string)))
      (canon lift (core func $i "ask") (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (func (export "tokens") (param "n" u32) (result u32) (canon lift (core func $i "tokens")))
    (func (export "keep") (param "n" u32) (canon lift (core func $i "keep")))
    (func (export "repeat") (param "n" u32) (result u32) (canon lift (core func $i "repeat")))
    (func (export "wild") (result (result string (error string)))
      (canon lift (core func $i "wild") (memory (core memory $libc "mem")))))
  (instance $front (instantiate $Front (with "shop:kv/store" (instance $kv)) (with "log" (func $log))))
  (export "ask" (func $front "ask"))
  (export "tokens" (func $front "tokens"))
  (export "keep" (func $front "keep"))
  (export "repeat" (func $front "repeat"))
  (export "wild" (func $front "wild")))
"#;

pub fn system() -> System {
    System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap()
}

/// The tree on a system, in one domain or with each process in one of its own.
pub fn launch(system: &System, isolate: Isolate, on_fault: OnFault) -> Launched {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(SHELF).unwrap()).unwrap();
    let edge = EdgePolicy { on_fault, deadline_ns: None };
    let options = LinkOptions { isolate, edge, ..LinkOptions::new("shop") };
    let linked = Arc::new(executable.link(&imports(), &options).unwrap());
    system.launch(&engine, linked, Box::new(()), Placement::default()).unwrap()
}

/// Takes a text. If it is `wait`, waits until somebody opens the gate.
struct Log;

static GATE: AtomicBool = AtomicBool::new(false);

/// Lets go who waits in `log`.
pub fn open_gate() {
    GATE.store(true, Ordering::SeqCst);
}

impl HostFunc for Log {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        let (pointer, bytes) = (call.core()[0] as usize, call.core()[1] as usize);
        let waits = call.memory().get(pointer..pointer + bytes) == Some(b"wait");
        while waits && !GATE.load(Ordering::SeqCst) {
            park::park(Some(park::now_ns() + 1_000_000))?;
        }
        Ok(())
    }
}

fn imports() -> Imports {
    let mut imports = Imports::default();
    imports.names.insert("log".to_owned(), Import::Func(Arc::new(Log)));
    imports
}

pub fn text(text: &str) -> Value {
    Value::String(text.into())
}

pub fn number(number: u32) -> Value {
    Value::U32(number)
}

pub fn call(launched: &Launched, name: &str, args: Vec<Value>) -> Result<Option<Value>, Trap> {
    launched.call(&launched.func(&[name]).unwrap(), args).map_err(|fault| fault.trap)
}

/// The index of a process in the tree, by its name.
pub fn process(launched: &Launched, name: &str) -> usize {
    let processes = launched.tree().linked().processes();
    processes.iter().position(|process| process.name == name).unwrap()
}

/// The number of the domain of a process.
pub fn domain(launched: &Launched, name: &str) -> u32 {
    launched.tree().linked().processes()[process(launched, name)].place.domain
}

/// The one edge to a function.
pub fn edge(launched: &Launched, caller: &str, function: &str) -> EdgeRow {
    let rows = launched.edges();
    let mut found = rows.iter().filter(|row| row.caller.name() == caller && row.function == function);
    let row = found.next().unwrap_or_else(|| panic!("no {caller} → {function} among {rows:#?}")).clone();
    assert_eq!(found.next(), None);
    row
}
