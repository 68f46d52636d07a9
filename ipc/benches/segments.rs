//! What a call costs whose callee is in another OS process, beside what two processes need to wake each other by turns.
//!
//! The floor is a ping-pong over two words of shared memory: each side writes its word, wakes the other by a futex and sleeps
//! until that has written. Both are measured by turns in one run, on whatever cores the system gives both; the median counts.
//! `ATOLL_TURNS` sets how many turns there are. `--test` does everything once.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use abi::value::Value;
use atoll_ipc::launched::Launched;
use atoll_ipc::segment::spawn::Program;
use atoll_ipc::system::{Place, Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::{Engine, EngineOptions};
use kernel::mem::shared::SharedMemory;
use kernel::os::futex;
use kernel::os::handover;
use kernel::os::offspring::Offspring;
use kernel::quota::Quotas;
use kernel::sched::machine::MachineOptions;

const PAIR: &str = r#"
(component
  (component $Callee
    (core module $m
      (memory (export "mem") 40)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
      (func (export "take") (param i32 i32) (result i32) (local.get 1))
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
    (core instance $i (instantiate $m))
    (func (export "take") (param "bytes" (list u8)) (result u32) (canon lift (core func $i "take")
      (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))
  (component $Caller
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (import "take" (func $take (param "bytes" (list u8)) (result u32)))
    (core module $libc (memory (export "mem") 40))
    (core instance $libc (instantiate $libc))
    (core func $add' (canon lower (func $add)))
    (core func $take' (canon lower (func $take) (memory (core memory $libc "mem"))))
    (core module $m
      (import "" "add" (func $add (param i32 i32) (result i32)))
      (import "" "take" (func $take (param i32 i32) (result i32)))
      (func (export "pairs") (param $n i32) (param $size i32) (result i32)
        (local $sum i32)
        (loop $again
          (local.set $sum (call $add (local.get $sum) (local.get $n)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
      (func (export "bytes") (param $n i32) (param $size i32) (result i32)
        (local $sum i32)
        (loop $again
          (local.set $sum (call $take (i32.const 65536) (local.get $size)))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))
    (core instance $i (instantiate $m (with "" (instance (export "add" (func $add')) (export "take" (func $take'))))))
    (func (export "pairs") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "pairs")))
    (func (export "bytes") (param "n" u32) (param "size" u32) (result u32) (canon lift (core func $i "bytes"))))
  (instance $callee (instantiate $Callee))
  (instance $caller (instantiate $Caller (with "add" (func $callee "add")) (with "take" (func $callee "take"))))
  (export "pairs" (func $caller "pairs"))
  (export "bytes" (func $caller "bytes")))
"#;

const PONG: &str = "__pong";
const PING_AT: usize = 0;
const PONG_AT: usize = 64;
const BYTES: usize = 4096;

/// A name, how often it is done in a turn, and what does it so often.
type Row<'r> = (&'r str, u32, Box<dyn FnMut(u32) + 'r>);

fn main() {
    if std::env::args().nth(1).is_some_and(|argument| argument == PONG) {
        pong();
    }
    let smoke = std::env::args().any(|argument| argument == "--test");
    let turns = std::env::var("ATOLL_TURNS").ok().and_then(|turns| turns.parse().ok());
    let turns: usize = if smoke { 1 } else { turns.unwrap_or(21) };
    let (system, here) = launch(Place::Anywhere);
    let (other, apart) = launch(Place::OwnProcess);
    let mut floor = Ping::start();
    let mut rows: Vec<Row<'_>> = vec![
        ("futex ping-pong of two processes", 2000, Box::new(|count| floor.times(count))),
        ("u32 pair, one process", 20_000, calls(&here, "pairs", 0)),
        ("u32 pair, two processes", 2000, calls(&apart, "pairs", 0)),
        ("list<u8> 64 KiB, two processes", 100, calls(&apart, "bytes", 64 << 10)),
        ("list<u8> 1 MiB, two processes", 4, calls(&apart, "bytes", 1 << 20)),
        ("memcpy of 1 MiB", 20, Box::new(copies)),
    ];
    let mut times = vec![Vec::new(); rows.len()];
    for _ in 0..turns {
        for ((_, count, work), times) in rows.iter_mut().zip(&mut times) {
            let count = if smoke { 1 } else { *count };
            let began = Instant::now();
            work(count);
            times.push(began.elapsed().as_nanos() as f64 / f64::from(count));
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    for ((name, ..), time) in rows.iter().zip(&medians) {
        println!("{name:<36} {time:>12.0} ns   {:>6.2} x the ping-pong", time / medians[0]);
    }
    drop(rows);
    drop((here, apart));
    drop((system, other));
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn launch(place: Place) -> (System, Arc<Launched>) {
    let options = EngineOptions { verify: false, ..EngineOptions::default() };
    let engine = Engine::with(options).expect("a known machine");
    let executable =
        Executable::parse(&engine, &wat::parse_str(PAIR).expect("well formed")).expect("compiles");
    let options =
        LinkOptions { isolate: Isolate::Named(vec!["callee".to_owned()]), ..LinkOptions::new("pair") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).expect("links"));
    let system = System::start(MachineOptions { workers: Some(1), ..MachineOptions::default() });
    let system = system.expect("a machine").with_program(Program::at(env!("CARGO_BIN_EXE_atoll-segment")));
    let placement = |_: u32, path: &str| {
        let place = if path.ends_with("/callee") { place } else { Place::Anywhere };
        Placement { place, ..Placement::default() }
    };
    let launched = system.launch_within(&engine, linked, Box::new(()), Quotas::default(), placement);
    let launched = Arc::new(launched.expect("launches"));
    (system, launched)
}

/// Has the caller loop.
fn calls(launched: &Arc<Launched>, name: &str, size: u32) -> Box<dyn FnMut(u32)> {
    let (launched, func) = (Arc::clone(launched), launched.func(&[name]).expect("is exported"));
    Box::new(move |count| {
        launched.call(&func, vec![Value::U32(count), Value::U32(size)]).expect("does not trap");
    })
}

/// Copies a mebibyte.
fn copies(count: u32) {
    let (from, mut to) = (vec![1_u8; 1 << 20], vec![0_u8; 1 << 20]);
    for _ in 0..count {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&mut to);
    }
}

/// One side of the ping-pong, and the process that is the other.
struct Ping {
    memory: SharedMemory,
    turn: u32,
    _child: Offspring,
}

impl Ping {
    fn start() -> Ping {
        let memory = SharedMemory::create(BYTES).expect("a page");
        let (ours, theirs) = UnixStream::pair().expect("a socket");
        let program = std::env::current_exe().expect("this program");
        let child = Offspring::start(&program, &[PONG.into()], OwnedFd::from(theirs)).expect("a process");
        handover::send(ours.as_fd(), b"go", &[memory.file()]).expect("it listens");
        Ping { memory, turn: 0, _child: child }
    }

    fn times(&mut self, count: u32) {
        let (ping, pong) = (self.memory.word(PING_AT), self.memory.word(PONG_AT));
        for _ in 0..count {
            self.turn += 1;
            ping.store(self.turn, Ordering::Release);
            futex::wake(ping, 1);
            while pong.load(Ordering::Acquire) != self.turn {
                futex::wait(pong, self.turn - 1, None);
            }
        }
    }
}

fn pong() -> ! {
    let (_, files) = handover::receive(std::io::stdin().as_fd(), &mut [0; 8]).expect("a message");
    let memory = SharedMemory::open(files.into_iter().next().expect("a file"), BYTES).expect("a page");
    let (ping, pong) = (memory.word(PING_AT), memory.word(PONG_AT));
    for turn in 1.. {
        while ping.load(Ordering::Acquire) != turn {
            futex::wait(ping, turn - 1, None);
        }
        pong.store(turn, Ordering::Release);
        futex::wake(pong, 1);
    }
    std::process::exit(0)
}
