//! Calls, traced in a tree that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use abi::fault::Trap;
use abi::value::Value;
use atoll_ipc::edge_glob::EdgeGlob;
use atoll_ipc::edges::EdgeRow;
use atoll_ipc::launched::Launched;
use atoll_ipc::traced::{Trace, TracedCall};
use kernel::component::link::Isolate;
use kernel::component::observe::edge_view::Counted;
use kernel::component::port::OnFault;

use super::shelf::{call, domain, edge, launch, number, system, text};

/// What is traced, without the times.
fn lines(calls: &[TracedCall]) -> Vec<String> {
    calls.iter().for_each(|call| println!("{call}"));
    let line = |call: &TracedCall| call.to_string().rsplit_once("  ").unwrap().0.to_owned();
    calls.iter().map(line).collect()
}

/// The calls that have come; those that were made before this are all among them.
fn told(trace: &Trace) -> Vec<String> {
    lines(&trace.wait(Duration::from_millis(200)))
}

fn all(_: &EdgeRow) -> bool {
    true
}

#[test]
fn calls_are_told_as_they_end_with_what_went_in_and_came_out() {
    let system = system();
    for isolate in [Isolate::default(), Isolate::All] {
        let launched = launch(&system, isolate, OnFault::Trap);
        let trace = launched.trace(all, 100).unwrap();
        assert_eq!(
            call(&launched, "ask", vec![text("k1")]),
            Ok(Some(Value::Result(Ok(Some(Box::new(text("k1")))))))
        );
        assert_eq!(
            told(&trace),
            [
                r#"front → host  log("k1")"#,
                r#"front → store  shop:kv/store#get("k1") = ok("k1")"#,
                r#"host → front  ask("k1") = ok("k1")"#,
            ]
        );
        call(&launched, "ask", vec![text("?")]).unwrap();
        assert_eq!(told(&trace)[1], r#"front → store  shop:kv/store#get("?") = err("?")"#);
        drop(trace);
        assert_eq!(call(&launched, "tokens", vec![number(4)]), Ok(Some(number(8))));
    }
}

#[test]
fn handles_are_looked_at_and_stay_what_they_are() {
    let system = system();
    for isolate in [Isolate::default(), Isolate::All] {
        let launched = launch(&system, isolate, OnFault::Trap);
        let trace = launched.trace(EdgeGlobs(&["*store#*"]).chosen(), 100).unwrap();
        for round in 0..3 {
            assert_eq!(call(&launched, "tokens", vec![number(round)]), Ok(Some(number(2 * round))));
            let own = format!("own({round})");
            assert_eq!(
                told(&trace),
                [
                    format!("front → store  shop:kv/store#make({round}) = {own}"),
                    format!("front → store  shop:kv/store#look(borrow({round})) = {round}"),
                    format!("front → store  shop:kv/store#take({own}) = {round}"),
                ]
            );
        }
        let handles: u32 = launched.tree().processes().iter().map(|process| process.handles).sum();
        assert_eq!(handles, 0);
    }
}

struct EdgeGlobs<'g>(&'g [&'g str]);

impl EdgeGlobs<'_> {
    fn chosen(&self) -> impl Fn(&EdgeRow) -> bool {
        let globs: Vec<EdgeGlob> = self.0.iter().map(|glob| EdgeGlob::new(glob)).collect();
        move |row| globs.iter().any(|glob| glob.matches(row))
    }
}

#[test]
fn a_call_that_traps_is_told_with_the_trap_and_so_are_those_around_it() {
    let system = system();
    for isolate in [Isolate::default(), Isolate::All] {
        let launched = launch(&system, isolate, OnFault::Trap);
        let trace = launched.trace(EdgeGlobs(&["front -> store", "ask"]).chosen(), 100).unwrap();
        assert_eq!(call(&launched, "ask", vec![text("!")]), Err(Trap::Unreachable));
        assert_eq!(
            told(&trace),
            [
                r#"front → store  shop:kv/store#get("!") ✗ wasm `unreachable` instruction executed"#,
                r#"host → front  ask("!") ✗ wasm `unreachable` instruction executed"#,
            ]
        );
    }
}

#[test]
fn a_wild_pointer_is_invalid_in_the_trace_and_traps_as_without_it() {
    let system = system();
    let launched = launch(&system, Isolate::default(), OnFault::Trap);
    let trace = launched.trace(all, 100).unwrap();
    let trap = call(&launched, "wild", vec![]).unwrap_err();
    assert!(matches!(trap, Trap::StringOutOfBounds { .. }), "{trap}");
    assert!(told(&trace)[0].starts_with("front → store  shop:kv/store#get(«invalid») ✗ string pointer"));
}

/// Sees calls of a loop that was running when the trace began: compiled code looks each time whom it calls.
#[test]
fn a_trace_comes_into_a_running_loop_and_goes_again() {
    let system = system();
    let launched = Arc::new(launch(&system, Isolate::default(), OnFault::Trap));
    let done = Arc::new(AtomicBool::new(false));
    const ROUNDS: u32 = 2_000_000;
    let looping = thread::spawn({
        let (launched, done) = (Arc::clone(&launched), Arc::clone(&done));
        move || {
            let sum = call(&launched, "repeat", vec![number(ROUNDS)]);
            done.store(true, Ordering::SeqCst);
            sum
        }
    });
    let until = Instant::now() + Duration::from_secs(60);
    while launched.domains()[0].calls == 0 && Instant::now() < until {
        thread::yield_now();
    }
    let mut seen = 0;
    while seen < 5 && !done.load(Ordering::SeqCst) {
        let trace = launched.trace(EdgeGlobs(&["*#get"]).chosen(), 16).unwrap();
        thread::sleep(Duration::from_millis(5));
        let calls = trace.wait(Duration::from_secs(10));
        seen += u32::from(!calls.is_empty());
        let calls = calls.get(..16).unwrap_or_default();
        // The loop calls it directly, and through a table.
        for (index, args) in ["(\"k1\")", "(\"k\")"].into_iter().enumerate() {
            let those = calls.iter().filter(|call| &*call.args == args).count();
            assert!(calls.is_empty() || those == 8, "{those} of {} are {args}, the {index}th", calls.len());
        }
        drop(trace);
        // A watch that only counts.
        let count = launched.count(EdgeGlobs(&["*#get"]).chosen()).unwrap();
        assert_eq!(edge(&launched, "front", "shop:kv/store#get").counted, Counted::Watched);
        drop(count);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(looping.join().unwrap(), Ok(Some(number(2 * ROUNDS))));
    assert!(seen > 0, "the loop was over before the first trace had begun");
    let get = edge(&launched, "front", "shop:kv/store#get");
    assert_eq!(get.counted, Counted::Unwatched);
    assert!(get.calls > 0 && get.calls < 4_000_000, "{} of the calls were watched", get.calls);
}

#[test]
fn with_a_trace_all_results_are_the_same() {
    let system = system();
    let launched = launch(&system, Isolate::default(), OnFault::Trap);
    let ask = |launched: &Launched, trace: bool| -> Vec<_> {
        let _trace = trace.then(|| launched.trace(all, 8).unwrap());
        let keys = ["k1", "?x", "", "a longer key with ünïcode ✓"];
        let asked = keys.map(|key| call(launched, "ask", vec![text(key)]));
        let more = [("tokens", 7), ("repeat", 3)].map(|(name, n)| call(launched, name, vec![number(n)]));
        asked.into_iter().chain(more).collect()
    };
    let plain = ask(&launched, false);
    assert_eq!(ask(&launched, true), plain);
    assert_eq!(ask(&launched, false), plain);
}

#[test]
fn who_reads_too_slowly_loses_the_oldest_and_is_told_how_many() {
    let system = system();
    let launched = launch(&system, Isolate::default(), OnFault::Trap);
    let trace = launched.trace(EdgeGlobs(&["*#get"]).chosen(), 4).unwrap();
    let other = launched.trace(EdgeGlobs(&["repeat"]).chosen(), 4).unwrap();
    call(&launched, "repeat", vec![number(50)]).unwrap();
    assert_eq!((trace.wait(Duration::ZERO).len(), trace.lost()), (4, 96));
    assert_eq!((told(&other), other.lost()), (vec!["host → front  repeat(50) = 100".to_owned()], 0));
    assert_eq!(edge(&launched, "front", "shop:kv/store#get").calls, 100);
}

#[test]
fn a_trace_goes_on_in_the_next_life() {
    let system = system();
    let launched = launch(&system, Isolate::All, OnFault::Trap);
    let trace = launched.trace(EdgeGlobs(&["front -> store"]).chosen(), 100).unwrap();
    launched.restart(domain(&launched, "front"), "by a test").unwrap();
    launched.restart(domain(&launched, "store"), "by a test").unwrap();
    call(&launched, "ask", vec![text("k1")]).unwrap();
    assert_eq!(told(&trace), [r#"front → store  shop:kv/store#get("k1") = ok("k1")"#]);
}
