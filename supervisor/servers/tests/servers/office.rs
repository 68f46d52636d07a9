//! Domains that wait beside others, on one worker.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use abi::fault::{Fault, Trap};
use abi::value::Value;
use ipc::launched::Launched;
use ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::ExportedFunc;
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::{Machine, MachineOptions};
use servers::wasi::Builder;
use servers::{Input, Output, Wasi};

/// The clerk tells the time. The porter sleeps, skips what comes in, and sends zeroes out.
const OFFICE: &str = r#"
(component
  (import "wasi:io/error@0.2.12" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/poll@0.2.12" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.12" (instance $streams
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "input-stream" (type $input (sub resource)))
    (export "output-stream" (type $output (sub resource)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "[method]input-stream.blocking-skip" (func
      (param "self" (borrow $input)) (param "len" u64) (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.blocking-write-zeroes-and-flush" (func
      (param "self" (borrow $output)) (param "len" u64) (result (result (error $stream-error)))))))
  (alias export $streams "input-stream" (type $input))
  (alias export $streams "output-stream" (type $output))
  (alias export $streams "stream-error" (type $stream-error))
  (import "wasi:cli/stdin@0.2.12" (instance $stdin
    (alias outer 1 $input (type $outer-input))
    (export "input-stream" (type $input (eq $outer-input)))
    (export "get-stdin" (func (result (own $input))))))
  (import "wasi:cli/stdout@0.2.12" (instance $stdout
    (alias outer 1 $output (type $outer-output))
    (export "output-stream" (type $output (eq $outer-output)))
    (export "get-stdout" (func (result (own $output))))))
  (import "wasi:clocks/monotonic-clock@0.2.12" (instance $clock
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (export "now" (func (result u64)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))

  (component $Clerk
    (import "now" (func $now (result u64)))
    (core func $now' (canon lower (func $now)))
    (core module $m
      (import "" "now" (func $now (result i64)))
      (func (export "time") (result i64) (call $now)))
    (core instance $i (instantiate $m (with "" (instance (export "now" (func $now'))))))
    (func (export "time") (result u64) (canon lift (core func $i "time"))))

  (component $Porter
    (import "pollable" (type $pollable (sub resource)))
    (import "input" (type $input (sub resource)))
    (import "output" (type $output (sub resource)))
    (import "error" (type $error (sub resource)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (import "stream-error" (type $stream-error (eq $stream-error')))
    (import "block" (func $block (param "self" (borrow $pollable))))
    (import "subscribe" (func $subscribe (param "when" u64) (result (own $pollable))))
    (import "stdin" (func $stdin (result (own $input))))
    (import "stdout" (func $stdout (result (own $output))))
    (import "skip" (func $skip
      (param "self" (borrow $input)) (param "len" u64) (result (result u64 (error $stream-error)))))
    (import "zeroes" (func $zeroes
      (param "self" (borrow $output)) (param "len" u64) (result (result (error $stream-error)))))
    (core module $libc (memory (export "mem") 1))
    (core instance $libc (instantiate $libc))
    (core func $block' (canon lower (func $block)))
    (core func $subscribe' (canon lower (func $subscribe)))
    (core func $stdin' (canon lower (func $stdin)))
    (core func $stdout' (canon lower (func $stdout)))
    (core func $skip' (canon lower (func $skip) (memory (core memory $libc "mem"))))
    (core func $zeroes' (canon lower (func $zeroes) (memory (core memory $libc "mem"))))
    (core func $forget' (canon resource.drop $pollable))
    (core module $m
      (import "" "mem" (memory 1))
      (import "" "block" (func $block (param i32)))
      (import "" "forget" (func $forget (param i32)))
      (import "" "subscribe" (func $subscribe (param i64) (result i32)))
      (import "" "stdin" (func $stdin (result i32)))
      (import "" "stdout" (func $stdout (result i32)))
      (import "" "skip" (func $skip (param i32 i64 i32)))
      (import "" "zeroes" (func $zeroes (param i32 i64 i32)))
      (func (export "sleep") (param $ns i64) (local $pollable i32)
        (local.set $pollable (call $subscribe (local.get $ns)))
        (call $block (local.get $pollable))
        (call $forget (local.get $pollable)))
      (func (export "skip") (param $len i64) (result i64)
        (call $skip (call $stdin) (local.get $len) (i32.const 32))
        (if (i32.load8_u (i32.const 32)) (then (unreachable)))
        (i64.load (i32.const 40)))
      (func (export "send") (param $pages i64) (local $out i32)
        (local.set $out (call $stdout))
        (loop $more
          (call $zeroes (local.get $out) (i64.const 4096) (i32.const 32))
          (if (i32.load8_u (i32.const 32)) (then (unreachable)))
          (local.set $pages (i64.sub (local.get $pages) (i64.const 1)))
          (br_if $more (i64.ne (local.get $pages) (i64.const 0))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "mem" (memory $libc "mem")) (export "block" (func $block'))
      (export "forget" (func $forget')) (export "subscribe" (func $subscribe'))
      (export "stdin" (func $stdin')) (export "stdout" (func $stdout'))
      (export "skip" (func $skip')) (export "zeroes" (func $zeroes'))))))
    (func (export "sleep") (param "ns" u64) (canon lift (core func $i "sleep")))
    (func (export "skip") (param "len" u64) (result u64) (canon lift (core func $i "skip")))
    (func (export "send") (param "pages" u64) (canon lift (core func $i "send"))))

  (instance $clerk (instantiate $Clerk (with "now" (func $clock "now"))))
  (instance $porter (instantiate $Porter
    (with "pollable" (type $pollable)) (with "input" (type $input)) (with "output" (type $output))
    (with "error" (type $error)) (with "stream-error" (type $stream-error))
    (with "block" (func $poll "[method]pollable.block"))
    (with "subscribe" (func $clock "subscribe-duration"))
    (with "stdin" (func $stdin "get-stdin")) (with "stdout" (func $stdout "get-stdout"))
    (with "skip" (func $streams "[method]input-stream.blocking-skip"))
    (with "zeroes" (func $streams "[method]output-stream.blocking-write-zeroes-and-flush"))))
  (export "time" (func $clerk "time"))
  (export "sleep" (func $porter "sleep"))
  (export "skip" (func $porter "skip"))
  (export "send" (func $porter "send")))
"#;

const HOUR_NS: u64 = 3_600_000_000_000;

struct Office {
    launched: Launched,
}

impl Office {
    fn open(machine: Machine, wasi: Builder) -> (System, Office) {
        let engine = Engine::new().unwrap();
        let executable = Executable::parse(&engine, &wat::parse_str(OFFICE).unwrap()).unwrap();
        let mut imports = Imports::default();
        servers::register(&mut imports);
        let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("office") };
        let linked = Arc::new(executable.link(&imports, &options).unwrap());
        let tree = executable.launch(&linked, Box::new(wasi.build().unwrap())).unwrap();
        let system = System::on(machine);
        let placement = Placement { mailbox: 4, ..Placement::default() };
        let launched = system.run(tree, placement);
        (system, Office { launched })
    }

    /// With one worker, which whoever blocks it takes from everybody.
    fn of_one(wasi: Builder) -> (System, Office) {
        Office::open(Machine::start(MachineOptions { workers: Some(1), ..Default::default() }).unwrap(), wasi)
    }

    fn func(&self, name: &str) -> Arc<ExportedFunc> {
        self.launched.func(&[name]).unwrap()
    }

    fn call(&self, name: &str, args: &[u64]) -> Result<Option<Value>, Fault> {
        self.launched.call(&self.func(name), args.iter().map(|arg| Value::U64(*arg)).collect())
    }

    /// Returns when the porter waits in its call of this number, and the clerk has told the time meanwhile.
    fn meanwhile(&self, call: u64) {
        let porter = self.launched.domain(self.func("sleep").domain).unwrap();
        while porter.calls() < call || !porter.thread().unwrap().is_idle() {
            thread::sleep(Duration::from_millis(1));
        }
        for _ in 0..2 {
            assert!(matches!(self.call("time", &[]), Ok(Some(Value::U64(_)))));
        }
        assert!(porter.thread().unwrap().is_idle());
    }
}

#[test]
fn who_sleeps_leaves_the_worker_and_is_killed_in_sleep() {
    let (_system, office) = Office::of_one(Wasi::builder());
    thread::scope(|scope| {
        let sleeping = scope.spawn(|| office.call("sleep", &[HOUR_NS]));
        office.meanwhile(1);
        office.launched.kill(office.func("sleep").domain, "by a test").unwrap();
        assert_eq!(sleeping.join().unwrap().unwrap_err().trap, Trap::Killed("by a test".to_owned()));
    });
    assert!(office.call("time", &[]).is_ok());
}

#[test]
fn who_waits_for_input_leaves_the_worker() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (_system, office) = Office::of_one(Wasi::builder().stdin(Input::fd(reader.into())));
    thread::scope(|scope| {
        let skipping = scope.spawn(|| office.call("skip", &[8]));
        office.meanwhile(1);
        writer.write_all(b"abc").unwrap();
        assert_eq!(skipping.join().unwrap(), Ok(Some(Value::U64(3))));
        let skipping = scope.spawn(|| office.call("skip", &[8]));
        office.meanwhile(2);
        office.launched.kill(office.func("skip").domain, "by a test").unwrap();
        assert_eq!(skipping.join().unwrap().unwrap_err().trap, Trap::Killed("by a test".to_owned()));
    });
}

#[test]
fn who_waits_for_room_leaves_the_worker() {
    let (mut reader, writer) = io::pipe().unwrap();
    let (_system, office) = Office::of_one(Wasi::builder().stdout(Output::fd(writer.into())));
    // More than a pipe holds.
    let pages = 1 << 10;
    thread::scope(|scope| {
        let sending = scope.spawn(|| office.call("send", &[pages]));
        office.meanwhile(1);
        let mut left = pages * 4096;
        let mut bytes = vec![1; 1 << 16];
        while left > 0 {
            let count = reader.read(&mut bytes).unwrap();
            assert!(bytes[..count].iter().all(|byte| *byte == 0));
            left -= count as u64;
        }
        assert_eq!(sending.join().unwrap(), Ok(None));
    });
}

#[test]
fn on_a_simulated_machine_nobody_waits() {
    for seed in 0..20 {
        let (system, office) = Office::open(Machine::simulate(seed).unwrap(), Wasi::builder());
        let call = |name: &str, args: &[u64]| {
            let args = args.iter().map(|arg| Value::U64(*arg)).collect();
            Box::pin(office.launched.start_call(&office.func(name), args).unwrap())
        };
        let mut context = Context::from_waker(Waker::noop());
        let (mut sleep, mut time) = (call("sleep", &[HOUR_NS]), call("time", &[]));
        assert!(Pin::new(&mut sleep).as_mut().poll(&mut context).is_pending());
        assert!(Pin::new(&mut time).as_mut().poll(&mut context).is_pending());
        system.machine().run_until_idle();
        assert!(Pin::new(&mut sleep).as_mut().poll(&mut context).is_ready(), "seed {seed}");
        assert!(Pin::new(&mut time).as_mut().poll(&mut context).is_ready(), "seed {seed}");
        assert!(system.machine().clock().now_ns() >= HOUR_NS, "seed {seed}");
    }
}
