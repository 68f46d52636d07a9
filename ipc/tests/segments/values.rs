//! What a domain does is the same in a process of its own.

use abi::value::{Resource, Value};
use atoll_ipc::actor::CallLimits;
use kernel::quota::{Quota, Quotas};

use crate::town::{Plan, TOKEN, Town};

/// Every set of domains that can be apart.
const PLACES: [&[&str]; 5] = [&[], &["depot"], &["bank"], &["depot", "bank"], &["depot", "bank", "front"]];

/// What a town answers to a list of calls must be the same wherever its domains run.
fn same(calls: &[(&str, &[u32])]) -> Vec<String> {
    let answers = PLACES.map(|apart| {
        let town = Town::new(Plan { apart, ..Plan::default() });
        calls.iter().map(|(name, args)| town.ask(name, args)).collect::<Vec<_>>()
    });
    for (place, answers_there) in PLACES.iter().zip(&answers) {
        assert_eq!(answers_there, &answers[0], "with {place:?} apart");
    }
    answers.into_iter().next().unwrap()
}

#[test]
fn numbers_and_faults() {
    let answers = same(&[
        ("add", &[2, 3]),
        ("add", &[u32::MAX, 2]),
        ("started", &[]),
        ("hoard", &[3]),
        ("hoard", &[100_000]),
        ("front.sum", &[100]),
        ("deep", &[1000]),
        ("boom", &[]),
        ("add", &[2, 3]),
        ("bank.drops", &[]),
        ("front.sum", &[3]),
    ]);
    assert_eq!(answers[..2], ["U32(5)", "U32(1)"]);
    assert_eq!(answers[2], "U32(77)", "its start function called its neighbour");
    assert_eq!(answers[3..7], ["S32(40)", "S32(-1)", "U32(5050)", "U32(1000)"]);
    assert_eq!(answers[7..9], ["wasm `unreachable` instruction executed", "cannot enter component instance"]);
}

#[test]
fn resources_of_the_host_and_of_neighbours() {
    let answers = same(&[
        ("keep", &[7]),
        ("look", &[]),
        ("lose", &[]),
        ("look", &[]),
        ("hold", &[9]),
        ("bank.drops", &[]),
    ]);
    assert_eq!(answers[..3], ["done", "U32(1007)", "done"]);
    let answers = same(&[("hold", &[9]), ("ask", &[]), ("ask", &[]), ("free", &[]), ("ask", &[])]);
    assert_eq!(answers[..4], ["done", "U32(9)", "U32(9)", "done"]);
    assert!(answers[4].starts_with("unknown handle index"), "{}", answers[4]);
}

#[test]
fn texts_and_lists() {
    let town = Town::apart();
    for text in ["", "a", "grün 猫 🦀", &"x".repeat(100_000)] {
        let text = Value::String(text.into());
        assert_eq!(town.call("echo", vec![text.clone()]).unwrap(), Some(text));
    }
    for len in [0, 1, 4096, 2_000_000] {
        let list = Value::List((0..len).map(|i| Value::U8(i as u8)).collect());
        assert_eq!(town.call("echo-bytes", vec![list.clone()]).unwrap(), Some(list));
    }
    assert_eq!(
        town.call("first", Vec::new()).unwrap(),
        Some(Value::String("from the first contents".into()))
    );
    let greet = |name: &str| {
        town.call("greet", vec![Value::String(name.into())]).map_err(|fault| fault.trap.to_string())
    };
    assert_eq!(greet("Ann"), Ok(Some(Value::String("hello Ann, number 1 of 0".into()))));
    assert_eq!(greet("Bob"), Ok(Some(Value::String("hello Bob, number 2 of 0".into()))));
    assert_eq!(greet(""), Err("nobody is there".to_owned()));
}

#[test]
fn handles_cross_in_both_directions() {
    for apart in PLACES {
        let town = Town::new(Plan { apart, ..Plan::default() });
        let token = |rep| Resource { ty: TOKEN, rep, generation: 0 };
        assert_eq!(town.call("take", vec![Value::Own(token(5))]).unwrap(), Some(Value::U32(1005)));
        assert_eq!(town.dropped.load(std::sync::atomic::Ordering::SeqCst), 1);
        town.ask("keep", &[6]);
        assert_eq!(town.call("hand-out", Vec::new()).unwrap(), Some(Value::Own(token(6))));
        assert_eq!(town.ask("look", &[]), "unknown handle index 2", "it is given away");
        // One that depot makes, and is asked about, and destroys when it is dropped.
        let town = Town::new(Plan { apart, ..Plan::default() });
        let Some(Value::Own(slip)) = town.call("issue", vec![Value::U32(8)]).unwrap() else { panic!() };
        assert_eq!((slip.rep, slip.generation), (8, 0));
        assert_eq!(town.call("worth", vec![Value::Borrow(slip)]).unwrap(), Some(Value::U32(8)));
        town.launched.drop_resource(slip);
        assert_eq!(town.ask("torn", &[]), "U32(1)");
    }
}

#[test]
fn what_a_process_holds_is_seen_and_limited() {
    let pages = |pages: u64| Some(pages << 16);
    let limit = |memory_bytes| Plan {
        apart: &["depot"],
        quotas: Quotas {
            processes: vec![(2, Quota { memory_bytes, ..Quota::default() })],
            domains: Vec::new(),
        },
        ..Plan::default()
    };
    let town = Town::new(limit(pages(50)));
    let depot = |town: &Town| {
        let tree = town.launched.tree();
        let view = tree.processes().into_iter().find(|process| process.info.name == "depot").unwrap();
        (
            view.memory_bytes >> 16,
            view.meters.calls,
            view.meters.host_calls,
            view.state.to_string(),
            view.libs.len(),
        )
    };
    assert_eq!(town.launched.tree().linked().processes()[2].name, "depot");
    assert_eq!(town.ask("hoard", &[11]), "S32(-1)");
    assert_eq!(town.ask("hoard", &[10]), "S32(40)");
    assert_eq!(town.ask("touch", &[40 << 16]), "done");
    let libs = depot(&town).4;
    assert_eq!(depot(&town), (50, 3, 2, "ready".to_owned(), libs), "two calls of bank when it started");
    assert_eq!(libs, 3);
    town.ask("keep", &[1]);
    assert_eq!(depot(&town).2, 3);
    town.ask("boom", &[]);
    assert_eq!(depot(&town).3, "faulted");
    let faults = town.launched.tree().faults();
    assert_eq!(faults.len(), 1);
    assert_eq!(&*faults[0].process_name, "/town/depot");
    assert_eq!(faults[0].frames[0].process_name, "/town/depot");
    // Deeper than its stack may be.
    assert_eq!(Town::apart().ask("deep", &[100_000_000]), "call stack exhausted");
}

#[test]
fn a_call_ends_at_its_limit_and_the_process_lives() {
    for apart in [&[][..], &["depot"]] {
        let limits = CallLimits { wall_clock_ns: Some(30_000_000), message_bytes: None };
        let town = Town::new(Plan { apart, limits, ..Plan::default() });
        let limit = "wall-clock time of a call in ns exceeded: 30000000 is more than 30000000";
        assert_eq!(town.ask("spin", &[]), limit, "{apart:?}");
        assert_eq!(town.ask("add", &[1, 2]), "cannot enter component instance", "{apart:?}");
        // While its neighbour works for it.
        let limits = CallLimits { wall_clock_ns: Some(30_000_000), message_bytes: None };
        let town = Town::new(Plan { apart, limits, ..Plan::default() });
        town.ask("hold", &[1]);
        assert_eq!(town.ask("wait", &[]), limit, "{apart:?}");
    }
}
