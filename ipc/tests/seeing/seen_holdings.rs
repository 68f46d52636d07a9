//! What processes hold: memories and handles.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use abi::handle::Kind;
use atoll_ipc::launched::Launched;
use kernel::component::link::Isolate;
use kernel::component::observe::holdings::{HandleRow, Implementer};
use kernel::component::port::OnFault;
use kernel::quota::Quota;

use super::shelf::{call, domain, launch, number, process, system, text};

const SOON: Duration = Duration::from_secs(20);

#[test]
fn memories_say_where_they_are_and_how_much_of_them_is_there() {
    let system = system();
    let launched = launch(&system, Isolate::default(), OnFault::Trap);
    let maps = launched.tree().memory_maps(process(&launched, "store"));
    let [map] = &maps[..] else { panic!("{maps:?}") };
    assert_eq!((map.bytes, map.maximum_bytes, map.is_shared), (2 << 16, Some(8 << 16), false));
    assert!(map.reserved_bytes > 4 << 30);
    if let Some(resident) = map.resident_bytes {
        assert!(resident <= map.bytes && resident.is_multiple_of(4096), "{resident}");
    }
    assert_eq!(launched.tree().memory_maps(99), []);
}

#[test]
fn tables_are_counted_by_process_and_domain() {
    let system = system();
    for (isolate, beside) in [(Isolate::default(), 2), (Isolate::All, 0)] {
        let launched = launch(&system, isolate, OnFault::Trap);
        let elements = |name: &str| launched.table_elements(process(&launched, name), SOON).unwrap();
        assert_eq!((elements("front"), elements("store")), ((2, 2), (0, beside)));
        assert!(launched.table_elements(99, SOON).is_err());
    }
}

fn handles(launched: &Launched, name: &str) -> Vec<HandleRow> {
    launched.handles(process(launched, name), SOON).unwrap()
}

#[test]
fn handles_say_what_they_are_and_where_they_lead() {
    let system = system();
    for isolate in [Isolate::default(), Isolate::All] {
        let launched = launch(&system, isolate, OnFault::Trap);
        [3, 5].into_iter().for_each(|n| assert_eq!(call(&launched, "keep", vec![number(n)]), Ok(None)));
        let row = |index, rep| HandleRow {
            index,
            ty: "token".to_owned(),
            kind: Kind::Own,
            rep,
            lends: 0,
            implementer: Implementer::Process(process(&launched, "store") as u32),
        };
        assert_eq!(handles(&launched, "front"), [row(1, 3), row(2, 5)]);
        assert_eq!(handles(&launched, "store"), []);
    }
}

#[test]
fn handles_of_a_domain_that_runs_are_read_while_it_stands_and_lost_ones_are_gone() {
    let system = system();
    let launched = Arc::new(launch(&system, Isolate::All, OnFault::Trap));
    call(&launched, "keep", vec![number(3)]).unwrap();
    let asking = thread::spawn({
        let launched = Arc::clone(&launched);
        move || call(&launched, "ask", vec![text("~")])
    });
    let store = domain(&launched, "store");
    while launched.domain(store).unwrap().calls() < 2 {
        thread::sleep(Duration::from_millis(1));
    }
    // Front waits for the store, which is in a loop.
    assert_eq!(handles(&launched, "front").len(), 1);
    assert_eq!(handles(&launched, "store"), []);
    launched.restart(store, "by a test").unwrap();
    asking.join().unwrap().unwrap_err();
}

#[test]
fn quotas_are_told_as_they_were_set() {
    let system = system();
    let launched = launch(&system, Isolate::default(), OnFault::Trap);
    let store = process(&launched, "store");
    let quota = Quota { handles: Some(7), ..Quota::default() };
    launched.tree().set_quota(store, quota).unwrap();
    assert_eq!(launched.tree().quotas(store).unwrap().0, quota);
    assert_eq!(launched.tree().quotas(process(&launched, "front")).unwrap().0, Quota::default());
}
