//! `atoll bench call`: one call of a component, again and again.

use std::time::{Duration, Instant};

use ipc::edges::{EdgeRow, End};
use ipc::launched::Launched;
use servers::Wasi;

use super::CallArgs;
use super::ground::{Floor, Ground};
use super::pacing::TURNS;
use super::readings::Readings;
use super::scoresheet::{FloorRow, Hop, Row, Sheet};
use crate::complaint::Complaint;
use crate::console::Trouble;
use crate::exit_code::Exit;
use crate::launch;
use crate::live::Live;
use crate::program::Program;
use crate::progress::Progress;

/// How long it is called.
const USUAL: Duration = Duration::from_secs(3);
const QUICK: Duration = Duration::from_millis(300);
/// How much of that is called before anything counts.
const WARM_UP: u32 = 10;
/// Calls for which every edge is counted.
const COUNTED_CALLS: u64 = 10_000;
/// Samples of the floor.
const FLOOR_SAMPLES: u32 = 2_000;

/// Measures one call.
///
/// # Errors
/// The file cannot be run, there is no such function, or the guest faulted.
pub fn measure(args: &CallArgs) -> Result<Sheet, Trouble> {
    let source = Program::read(&args.file)?;
    let engine = launch::engine()?;
    let executable = launch::executable(&engine, &source)?;
    let linked = std::sync::Arc::new(launch::link(&source.path, &executable, &args.confines.boundaries)?);
    args.confines.limits.check(&linked)?;
    let (func, values) = launch::invocation(&source.path, &linked, &args.invoke, "--invoke")?;
    let wasi = Wasi::builder().args([source.name.as_str()]).build();
    let wasi = wasi.map_err(|error| Complaint::new(Exit::Failed, "no system servers").because(error))?;
    let mut sheet = Sheet::begin("call", args.output.quick);
    let live = Live::start(&engine, &source.path, linked, wasi, &args.confines)?;
    let time = args.time.map(|time| Duration::from_nanos(time.0));
    let time = time.unwrap_or(if args.output.quick { QUICK } else { USUAL });
    let _progress = Progress::of(&format!("calling {}", args.invoke));
    let once = || -> Result<u64, Trouble> {
        let values = values.clone();
        let start = Instant::now();
        let result = live.call(&func, values);
        let ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match result {
            Ok(_) => Ok(ns),
            Err(fault) => Err(Trouble::Fault { fault: Box::new(fault), aftermath: live.aftermath() }),
        }
    };
    let warmed_up = Instant::now() + time / WARM_UP;
    while Instant::now() < warmed_up {
        once()?;
    }
    let mut ground = Ground::new();
    let (mut row, mut floor) = (Readings::new(1), Readings::new(1));
    for turn in 1..=TURNS {
        let until = Instant::now() + time / TURNS;
        let calls = args.calls.map(|calls| u64::from(calls.0) * u64::from(turn) / u64::from(TURNS));
        // Whoever says how many calls means that many.
        while calls.map_or_else(|| Instant::now() < until, |calls| row.samples() < calls) {
            row.note(once()?);
        }
        floor.add(&ground.measure(Floor::Threads, 0, FLOOR_SAMPLES / TURNS, 1)?);
    }
    let floor = FloorRow::of(Floor::Threads.name(0), &floor);
    sheet.file = Some(source.path.clone());
    sheet.edges = below(live.launched(), row.samples(), &mut || once().map(drop))?;
    sheet.rows.push(Row::of("call", &args.invoke, 0, &row, Some(floor)));
    live.leave();
    Ok(sheet)
}

/// Calls once more while every edge is counted and timed, which makes those slower that are fused: what each takes.
fn below(
    launched: &Launched,
    calls: u64,
    once: &mut dyn FnMut() -> Result<(), Trouble>,
) -> Result<Vec<Hop>, Trouble> {
    let counting = launched.count(|_| true).map_err(|error| {
        Complaint::new(Exit::Failed, "the edges below the call cannot be counted").because(error)
    })?;
    let before = launched.edges();
    let calls = calls.min(COUNTED_CALLS);
    for _ in 0..calls {
        once()?;
    }
    let edges = launched.edges();
    drop(counting);
    let hop = |(edge, before): (EdgeRow, EdgeRow)| {
        let (calls_since, latency) = (edge.calls.checked_sub(before.calls)?, edge.latency?);
        (calls_since > 0 && edge.caller != End::Host).then(|| Hop {
            caller: edge.caller.to_string(),
            callee: edge.callee.to_string(),
            function: edge.function,
            rung: edge.rung.to_string(),
            calls_each: calls_since as f64 / calls.max(1) as f64,
            samples: latency.samples,
            median_ns: latency.p50_ns,
            p99_ns: latency.p99_ns,
        })
    };
    Ok(edges.into_iter().zip(before).filter_map(hop).collect())
}
