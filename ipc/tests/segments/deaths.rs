//! However the process of a domain ends, that is a fault of the domain, and of nobody else.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use abi::fault::Trap;
use abi::value::Value;
use atoll_ipc::segment::far_side::PROBE;
use kernel::component::port::{EdgePolicy, OnFault};

use crate::town::{Plan, Town};

/// Sends a signal to another process.
fn signal(process: i32, name: &str) {
    let sent = std::process::Command::new("/bin/kill").args(["-s", name, &process.to_string()]).status();
    assert!(sent.unwrap().success());
}

/// Whether a process is there.
fn is_there(process: i32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn death_by_any_signal_is_a_fault_of_the_domain_and_it_begins_again() {
    for name in ["KILL", "SEGV", "ABRT", "TERM", "BUS", "ILL"] {
        let town = Town::apart();
        let (depot, process) = (town.domain("depot"), town.process_id());
        let asking = town.begin("spin");
        signal(process, name);
        let told = asking.join().unwrap().to_string();
        assert_eq!(told, format!("killed: its process was ended by SIG{name}"));
        assert_eq!(town.ask("add", &[1, 2]), format!("the domain is gone: {told}"));
        assert_eq!(town.ask("bank.drops", &[]), "U32(0)", "its neighbour lives");
        town.launched.restart(depot, "a test").unwrap();
        assert_eq!(town.ask("add", &[1, 2]), "U32(3)");
        assert_ne!(town.process_id(), process);
        assert_eq!(town.launched.tree().generation(depot), 1);
        let faults = town.launched.tree().faults();
        assert_eq!((faults.len(), &*faults[0].process_name), (1, "/town/depot"));
    }
}

#[test]
fn death_between_calls_is_noticed_by_the_next_one() {
    let town = Town::apart();
    let process = town.process_id();
    signal(process, "KILL");
    assert_eq!(town.ask("add", &[1, 2]), "killed: its process was ended by SIGKILL");
    assert_eq!(town.ask("front.sum", &[2]), "the domain is gone: killed: its process was ended by SIGKILL");
}

#[test]
fn callers_are_told_as_their_edge_says() {
    let edge = EdgePolicy { on_fault: OnFault::Retry(2), deadline_ns: None };
    let town = Town::new(Plan { apart: &["depot"], edge, ..Plan::default() });
    signal(town.process_id(), "KILL");
    assert_eq!(town.ask("front.sum", &[10]), "U32(55)", "it was started again for that");
    let edge = EdgePolicy { on_fault: OnFault::Trap, deadline_ns: None };
    let town = Town::new(Plan { apart: &["depot"], edge, ..Plan::default() });
    assert_eq!(town.ask("front.poke", &[]), "wasm `unreachable` instruction executed");
    let fault = town.launched.tree().faults().into_iter().find(|fault| fault.frames.len() > 1).unwrap();
    let chain: Vec<&str> = fault.frames.iter().map(|frame| frame.process_name.as_str()).collect();
    assert!(chain.starts_with(&["/town/depot"]) && chain.contains(&"/town/front"), "{chain:?}");
}

#[test]
fn whoever_is_killed_is_gone_at_once() {
    let town = Town::apart();
    let (depot, process) = (town.domain("depot"), town.process_id());
    let asking = town.begin("spin");
    let began = Instant::now();
    town.launched.kill(depot, "by a test").unwrap();
    town.launched.wait(depot).unwrap();
    assert_eq!(asking.join().unwrap().to_string(), "killed: by a test");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(!is_there(process), "and so is its process");
    assert_eq!(town.ask("bank.drops", &[]), "U32(1)", "and what it had of its neighbour");
}

#[test]
fn what_it_held_of_others_is_given_back() {
    let town = Town::apart();
    town.ask("keep", &[1]);
    town.ask("hold", &[2]);
    assert_eq!((town.dropped.load(Ordering::SeqCst), &*town.ask("bank.drops", &[])), (0, "U32(0)"));
    signal(town.process_id(), "KILL");
    assert!(town.ask("look", &[]).starts_with("killed"));
    town.launched.restart(town.domain("depot"), "a test").unwrap();
    assert_eq!(town.ask("add", &[1, 2]), "U32(3)");
    assert_eq!(town.dropped.load(Ordering::SeqCst), 1, "the token");
    // The counter that it kept, and the one that its start function had made.
    assert_eq!(town.ask("bank.drops", &[]), "U32(2)");
    // Its own are of an earlier life now.
    let Some(Value::Own(slip)) = town.call("issue", vec![Value::U32(8)]).unwrap() else { panic!() };
    assert_eq!(slip.generation, 1);
    town.launched.restart(town.domain("depot"), "a test").unwrap();
    let gone = town.call("worth", vec![Value::Borrow(slip)]).unwrap_err().trap;
    assert!(matches!(gone, Trap::Gone(_)), "{gone}");
}

#[test]
fn handles_into_a_neighbour_that_begins_again_lead_nowhere() {
    for apart in [&[][..], &["depot"], &["depot", "bank"]] {
        let town = Town::new(Plan { apart, ..Plan::default() });
        town.ask("hold", &[2]);
        assert_eq!(town.ask("ask", &[]), "U32(2)");
        town.launched.restart(town.domain("bank"), "a test").unwrap();
        assert_eq!(town.ask("bank.drops", &[]), "U32(0)");
        let gone = "the domain is gone: what handle 2 led to ended with it";
        assert_eq!(town.ask("ask", &[]), gone, "{apart:?}");
    }
}

#[test]
fn an_exit_is_for_the_whole_tree_if_the_host_says_so() {
    let town = Town::apart();
    let exit = town.call("leave", vec![Value::U8(7)]).unwrap_err();
    assert_eq!(exit.trap, Trap::Exit(7));
    assert!(town.launched.tree().faults().is_empty(), "nobody's fault");
}

#[test]
fn a_domain_that_waits_for_itself_is_told() {
    let edge = EdgePolicy { on_fault: OnFault::Trap, deadline_ns: Some(30_000_000) };
    let town = Town::new(Plan { apart: &["depot"], edge, ..Plan::default() });
    town.ask("hold", &[3]);
    let late = town.ask("wait", &[]);
    assert!(late.starts_with("deadline of a call in ns exceeded"), "{late}");
}

#[test]
fn a_process_that_is_locked_down_can_do_nothing_but_compute() {
    let town = Town::new(Plan { apart: &["depot"], argument: Some(PROBE), ..Plan::default() });
    let held = town.launched.tree().confinement(town.domain("depot")).unwrap().held.join("\n");
    let attempts: Vec<&str> = held.lines().filter(|line| line.contains(": ")).collect();
    let tried: Vec<&str> =
        attempts.iter().filter_map(|line| line.split_once(": ").map(|(name, _)| name)).collect();
    for name in
        ["open", "create", "socket", "kill the parent", "ptrace", "execve", "fork", "executable memory"]
    {
        assert!(tried.contains(&name), "{name} was not tried: {held}");
        let line = attempts.iter().find(|line| line.starts_with(&format!("{name}: "))).unwrap();
        assert!(line.contains("os error 1)"), "{line}");
    }
    assert!(!held.contains(": done"), "{held}");
    assert!(held.contains("no new privileges") && held.contains("system calls"), "{held}");
    // And it still works, ticks and traps included.
    assert_eq!(town.ask("add", &[1, 2]), "U32(3)");
    assert_eq!(town.ask("deep", &[100_000_000]), "call stack exhausted");
    eprintln!("{held}");
}

#[test]
fn a_program_that_is_none_of_ours_is_refused() {
    use atoll_ipc::segment::spawn::Program;
    use kernel::component::apart::{Apart, ApartDomain};
    use kernel::component::executable::Executable;
    use kernel::component::link::LinkOptions;
    use kernel::component::tree::Tree;
    use kernel::host::Imports;
    use kernel::jit::engine::Engine;
    use kernel::quota::Quotas;

    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str("(component)").unwrap()).unwrap();
    let linked = Arc::new(executable.link(&Imports::default(), &LinkOptions::new("nothing")).unwrap());
    let launch = |path: &str| {
        let domains = vec![ApartDomain { number: 0, call_ns: None }];
        let apart = Apart::new(domains, Arc::new(Program::at(path)));
        Tree::launch_apart(&engine, Arc::clone(&linked), Box::new(()), &Quotas::default(), apart)
            .err()
            .unwrap()
            .to_string()
    };
    let missing = launch("/nonexistent/program");
    assert!(missing.contains("the process of /nothing cannot be started: /nonexistent/program"), "{missing}");
    let other = launch("/bin/true");
    assert!(other.contains("cannot be started: killed: its process ended with exit code"), "{other}");
}
