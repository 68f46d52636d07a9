//! Threads: what they do, and where they wait.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use abi::fault::Frame;
use atoll_ipc::launched::Launched;
use kernel::component::link::Isolate;
use kernel::component::observe::inside::{Doing, ThreadView, Unseen};
use kernel::component::port::OnFault;

use super::shelf::{call, domain, launch, number, open_gate, system, text};

const SOON: Duration = Duration::from_secs(20);

/// Process and function of each frame.
fn told(frames: &[Frame]) -> Vec<String> {
    let frame = |frame: &Frame| {
        let name = frame.func_name.clone().unwrap_or_default();
        format!("{} {name}", frame.process_name.rsplit('/').next().unwrap())
    };
    frames.iter().map(frame).collect()
}

/// What a thread does once that is what is expected.
fn view(launched: &Launched, domain: u32, doing: Doing) -> ThreadView {
    let until = Instant::now() + SOON;
    loop {
        let view = launched.thread_view(domain, SOON).unwrap();
        if view.doing == doing || Instant::now() > until {
            assert_eq!(view.doing, doing);
            return view;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_thread_that_runs_is_seen_in_all_its_processes_and_goes_on() {
    let system = system();
    let launched = Arc::new(launch(&system, Isolate::default(), OnFault::Trap));
    assert_eq!(launched.thread_view(0, SOON).unwrap(), ThreadView::default());
    let asking = thread::spawn({
        let launched = Arc::clone(&launched);
        move || call(&launched, "repeat", vec![number(3_000_000)])
    });
    for _ in 0..20 {
        let frames = told(&view(&launched, 0, Doing::Running).frames);
        assert_eq!(frames.last().unwrap(), "front repeat");
        // At most: front, the edge, the store; or, for the key's memory, what calls its allocator, and that.
        let ours = |frame: &String| ["front ", "store "].iter().any(|name| frame.starts_with(name));
        assert!(frames.len() <= 5 && frames.iter().all(ours), "{frames:?}");
    }
    assert_eq!(asking.join().unwrap(), Ok(Some(number(6_000_000))));
    assert_eq!(launched.thread_view(0, SOON).unwrap(), ThreadView::default());
}

#[test]
fn an_endless_loop_is_found_where_it_is() {
    let system = system();
    let launched = Arc::new(launch(&system, Isolate::All, OnFault::Error));
    let asking = thread::spawn({
        let launched = Arc::clone(&launched);
        move || call(&launched, "ask", vec![text("~")])
    });
    let store = domain(&launched, "store");
    let frames = view(&launched, store, Doing::Running).frames;
    assert_eq!(told(&frames), ["store serve"]);
    assert!(frames[0].offset.is_some());
    // Front waits for it, and is seen there.
    let front = domain(&launched, "front");
    let frames = told(&view(&launched, front, Doing::Hosted).frames);
    assert_eq!(frames, ["front front → store  shop:kv/store#get", "front ask"]);
    let waits = launched.domains()[front as usize].waits_for.clone();
    assert_eq!(waits.as_deref(), Some("/shop/store"));
    launched.kill(store, "by a test").unwrap();
    asking.join().unwrap().unwrap();
    launched.wait(store).unwrap();
    assert!(matches!(launched.thread_view(store, SOON), Err(Unseen::Gone(_))));
}

#[test]
fn a_thread_that_waits_in_the_host_is_seen_there_and_still_waits() {
    let system = system();
    let launched = Arc::new(launch(&system, Isolate::default(), OnFault::Trap));
    let asking = thread::spawn({
        let launched = Arc::clone(&launched);
        move || call(&launched, "ask", vec![text("wait")])
    });
    for _ in 0..5 {
        let frames = told(&view(&launched, 0, Doing::Hosted).frames);
        assert_eq!(frames, ["front front → host  log", "front ask"]);
    }
    assert!(!asking.is_finished());
    open_gate();
    asking.join().unwrap().unwrap();
}
