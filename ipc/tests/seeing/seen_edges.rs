//! Edges as rows: who calls whom, how often and how fast.

use atoll_ipc::edges::{End, Rung};
use kernel::component::link::Isolate;
use kernel::component::observe::edge_view::Counted;
use kernel::component::port::OnFault;

use super::shelf::{call, edge, launch, number, system, text};

#[test]
fn an_edge_is_a_row_with_both_ends_and_what_it_carries() {
    let system = system();
    let launched = launch(&system, Isolate::default(), OnFault::Trap);
    let get = edge(&launched, "front", "shop:kv/store#get");
    assert_eq!((get.callee.to_string(), get.rung), ("/shop/store".to_owned(), Rung::Fused));
    assert_eq!(get.ty, "func(key: string) -> result<string, string>");
    assert_eq!((get.counted, get.calls), (Counted::Unwatched, 0));
    let log = edge(&launched, "front", "log");
    assert_eq!(
        (log.callee, log.rung, log.counted),
        (End::Server("log".into()), Rung::Server, Counted::Always)
    );
    let ask = edge(&launched, "host", "ask");
    assert_eq!((ask.caller, ask.callee.name(), ask.rung), (End::Host, "front", Rung::Channel));
    // Five functions of front, four of the store, the log.
    assert_eq!(launched.edges().len(), 10);
}

#[test]
fn calls_over_boundaries_of_servers_and_from_the_host_are_counted() {
    let system = system();
    let launched = launch(&system, Isolate::All, OnFault::Error);
    for _ in 0..10 {
        call(&launched, "ask", vec![text("k1")]).unwrap();
    }
    call(&launched, "ask", vec![text("!")]).unwrap();
    let get = edge(&launched, "front", "shop:kv/store#get");
    assert_eq!((get.rung, get.policy.unwrap().on_fault), (Rung::Handoff, OnFault::Error));
    // The kernel answered the last one for the store: front's call did not fail.
    assert_eq!((get.calls, get.failures), (11, 0));
    let latency = get.latency.unwrap();
    assert_eq!(latency.samples, 11);
    assert!(latency.p50_ns > 0 && latency.p50_ns <= latency.p99_ns && latency.p99_ns <= latency.max_ns);
    assert_eq!(edge(&launched, "front", "log").calls, 11);
    assert_eq!(edge(&launched, "host", "ask").calls, 11);
    assert_eq!(edge(&launched, "host", "tokens").calls, 0);
    call(&launched, "tokens", vec![number(4)]).unwrap_err(); // the store is gone
    let make = edge(&launched, "front", "shop:kv/store#make");
    assert_eq!((make.calls, make.failures), (1, 1));
    assert_eq!(edge(&launched, "host", "tokens").failures, 1);
    // What a process has called is what its edges carried.
    let front = launched.tree().processes().into_iter().find(|process| process.info.name == "front").unwrap();
    assert_eq!(front.meters.host_calls, 11 + 11 + 1);
}

#[test]
fn calls_over_a_boundary_that_are_not_timed_are_counted() {
    const CALLS: u64 = 400;
    let system = system();
    let launched = launch(&system, Isolate::All, OnFault::Trap);
    for _ in 0..CALLS {
        call(&launched, "ask", vec![text("k1")]).unwrap();
    }
    call(&launched, "ask", vec![text("!")]).unwrap_err();
    let get = edge(&launched, "front", "shop:kv/store#get");
    assert_eq!((get.rung, get.calls, get.failures), (Rung::Handoff, CALLS + 1, 1));
    let samples = get.latency.unwrap().samples;
    assert!((64..CALLS).contains(&samples), "{samples}");
}
