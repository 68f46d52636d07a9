//! Rows of calls over a boundary: each process a domain with a thread of its own. The rung follows from where the domains are
//! placed.

use std::sync::Arc;
use std::thread;

use abi::value::Value;
use atoll_benches::contest::{Clock, Goal, Row, Who, Work};
use corosensei::{Coroutine, CoroutineResult};
use crossbeam_channel::bounded;
use ipc::system::{Place, Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::host::Imports;
use kernel::jit::engine::{Engine, EngineOptions};
use kernel::quota::Quotas;
use kernel::sched::machine::MachineOptions;

use crate::floors;
use crate::rows::{Make, guest};

const KIB: u32 = 1024;

/// Which rung the calls between two domains take.
#[derive(Clone, Copy)]
enum Rung {
    /// The callee may run where the caller does.
    Handoff,
    /// They are at two workers.
    Channel,
}

/// The rows of this file.
pub fn rows() -> Vec<Make> {
    let mut rows: Vec<Make> = vec![
        Box::new(|| {
            let floor = ("two stack switches", two_switches());
            row("handoff, u32 pair", (Rung::Handoff, "pair", "run", 0), floor, Some(6.0))
        }),
        Box::new(|| {
            let floor = ("crossbeam ping-pong", ping_pong());
            row("channel, u32 pair", (Rung::Channel, "pair", "run", 0), floor, Some(1.3))
        }),
    ];
    let bulk = [("string", "text"), ("list<u8>", "bytes")];
    let sizes = [("16 B", 16), ("1 KiB", KIB), ("64 KiB", 64 * KIB), ("1 MiB", 1024 * KIB)];
    for (rung, what) in [(Rung::Handoff, "handoff"), (Rung::Channel, "channel")] {
        for (ty, func) in bulk {
            for (name, bytes) in sizes {
                rows.push(Box::new(move || {
                    let floor = ("memcpy", floors::memcpy(bytes as usize));
                    row(&format!("{what}, {ty} {name}"), (rung, "bulk", func, bytes), floor, None)
                }));
            }
        }
    }
    rows
}

fn row(
    name: &str,
    (rung, file, func, size): (Rung, &str, &str, u32),
    (floor, work): (&'static str, Work<'static>),
    goal: Option<f64>,
) -> Row<'static> {
    let contenders = vec![(Who::Atoll, calls(rung, file, func, size)), (Who::Floor, work)];
    // Who waits for another thread uses little processor time of its own.
    let clock = match rung {
        Rung::Handoff => Clock::OsProcess,
        Rung::Channel => Clock::Wall,
    };
    let goals = goal.map(|times| Goal { times, than: Who::Floor });
    Row { name: name.to_owned(), floor, contenders, goals: goals.into_iter().collect(), clock }
}

/// A guest that loops over calls of its sibling, which is another domain.
fn calls(rung: Rung, file: &str, func: &str, size: u32) -> Work<'static> {
    let options = EngineOptions { verify: false, ..EngineOptions::default() };
    let engine = Engine::with(options).expect("a known machine");
    let executable = Executable::parse(&engine, &guest(file)).expect("compiles");
    let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("bench") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).expect("links"));
    let workers = match rung {
        Rung::Handoff => 1,
        Rung::Channel => 2,
    };
    let machine = MachineOptions { workers: Some(workers), ..MachineOptions::default() };
    let system = System::start(machine).expect("a machine with workers");
    // The root, the callee, the caller.
    let place = move |number: u32| match rung {
        Rung::Handoff => Place::Anywhere,
        Rung::Channel => Place::Worker((number == 2).into()),
    };
    let placement = |number, _: &str| Placement { place: place(number), ..Placement::default() };
    let launched = system.launch_within(&engine, linked, Box::new(()), Quotas::default(), placement);
    let launched = launched.expect("launches");
    let func = launched.func(&[func]).expect("is exported");
    Box::new(move |count| {
        let _machine = &system;
        let args = vec![Value::U32(count), Value::U32(size)];
        launched.call(&func, args).expect("does not trap");
    })
}

/// Switches to another stack and back.
fn two_switches() -> Work<'static> {
    Box::new(|count| {
        let mut other = Coroutine::<(), (), ()>::new(move |yielder, ()| {
            for _ in 1..count {
                yielder.suspend(());
            }
        });
        while let CoroutineResult::Yield(()) = other.resume(()) {}
    })
}

/// Sends a number to another OS thread, which sends it back; both block while they wait.
fn ping_pong() -> Work<'static> {
    let (ping, pings) = bounded::<u32>(1);
    let (pong, pongs) = bounded::<u32>(1);
    thread::spawn(move || {
        while let Ok(number) = pings.recv() {
            if pong.send(number).is_err() {
                break;
            }
        }
    });
    Box::new(move |count| {
        for number in 0..count {
            ping.send(number).expect("the other thread listens");
            assert_eq!(pongs.recv(), Ok(number));
        }
    })
}
