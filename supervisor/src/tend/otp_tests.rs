//! What OTP's documentation says of supervisors, sentence by sentence (System Documentation, "Supervisor Behaviour", and
//! the reference of `supervisor`).

use super::child_spec::{Child, Restart, Spec, Strategy};
use super::overseer::{Exit, Outcome};
use super::stage::{Stage, child, permanent, supervisor};

const ABC: [&str; 3] = ["a", "b", "c"];

fn abc(strategy: Strategy, restart: Restart) -> Spec {
    let children =
        ABC.iter().map(|name| child(name, if *name == "b" { restart } else { Restart::Permanent }));
    supervisor("s", strategy, 3, children.collect())
}

/// "The child processes are started in the order in which they are listed, from left to right", and "terminated in the
/// reversed start order".
#[test]
fn children_are_started_in_order_and_terminated_in_the_reversed_order() {
    let mut stage = Stage::begin(&abc(Strategy::OneForOne, Restart::Permanent));
    assert_eq!(stage.play(), "start a, start b, start c, s up");
    assert_eq!(stage.shut_down(), "ask c, ask b, ask a, over: ShutDown");
}

/// "one_for_one: If one child process terminates and is to be restarted, only that child process is affected."
#[test]
fn one_for_one_affects_only_that_child() {
    let mut stage = Stage::up(&abc(Strategy::OneForOne, Restart::Permanent));
    assert_eq!(stage.faults("b"), "b again (1), start b");
}

/// "one_for_all: If one child process terminates and is to be restarted, all other child processes are terminated and
/// then all child processes are restarted."
#[test]
fn one_for_all_terminates_the_others_and_restarts_all() {
    let mut stage = Stage::up(&abc(Strategy::OneForAll, Restart::Permanent));
    assert_eq!(stage.faults("b"), "b again (1), ask c, ask a, start a, start b, start c");
}

/// "rest_for_one: If one child process terminates and is to be restarted, the rest of the child processes (that is, the
/// child processes after the terminated child process in the start order) are terminated. Then the terminated child
/// process and all child processes after it are restarted."
#[test]
fn rest_for_one_restarts_it_and_those_after_it() {
    let mut stage = Stage::up(&abc(Strategy::RestForOne, Restart::Permanent));
    assert_eq!(stage.faults("b"), "b again (1), ask c, start b, start c");
    assert_eq!(stage.faults("c"), "c again (2), start c");
    assert_eq!(stage.faults("a"), "a again (3), ask c, ask b, start a, start b, start c");
}

/// "A permanent child process is always restarted."
#[test]
fn a_permanent_child_is_always_restarted() {
    for strategy in [Strategy::OneForOne, Strategy::RestForOne, Strategy::OneForAll] {
        let mut stage = Stage::up(&supervisor("s", strategy, 9, permanent(&["a"])));
        assert_eq!(stage.faults("a"), "a again (1), start a");
        assert_eq!(stage.returns("a"), "a again (2), start a");
    }
}

/// "A transient child process is restarted only if it terminates abnormally".
#[test]
fn a_transient_child_is_restarted_only_if_it_terminates_abnormally() {
    let mut stage = Stage::up(&abc(Strategy::OneForOne, Restart::Transient));
    assert_eq!(stage.faults("b"), "b again (1), start b");
    assert_eq!(stage.returns("b"), "b finished");
    let mut stage = Stage::up(&abc(Strategy::OneForAll, Restart::Transient));
    assert_eq!(stage.returns("b"), "b finished");
    // Its siblings' restart is one of all children, and it is one still.
    assert_eq!(stage.faults("a"), "a again (1), ask c, start a, start b, start c");
}

/// "A temporary child process is never restarted (even when the supervisor restart strategy is rest_for_one or
/// one_for_all and a sibling death causes the temporary process to be terminated)."
#[test]
fn a_temporary_child_is_never_restarted() {
    let mut stage = Stage::up(&abc(Strategy::OneForOne, Restart::Temporary));
    assert_eq!(stage.faults("b"), "b finished");
    for strategy in [Strategy::RestForOne, Strategy::OneForAll] {
        let mut stage = Stage::up(&abc(strategy, Restart::Temporary));
        assert_eq!(stage.faults("a"), "a again (1), ask c, ask b, start a, start c");
        assert_eq!(stage.faults("a"), "a again (2), ask c, start a, start c");
    }
}

/// "If more than MaxR number of restarts occur in the last MaxT seconds, the supervisor terminates all the child
/// processes and then itself."
#[test]
fn more_restarts_than_intensity_within_period_terminate_the_supervisor() {
    let mut stage = Stage::up(&supervisor("s", Strategy::OneForOne, 2, permanent(&ABC)));
    assert_eq!(stage.faults("a"), "a again (1), start a");
    assert_eq!(stage.faults("b"), "b again (2), start b");
    assert_eq!(stage.faults("a"), "s gave up, ask c, ask b, over: GaveUp");
    assert_eq!(stage.overseer.over(), Some(Outcome::GaveUp));
    let mut stage = Stage::up(&supervisor("s", Strategy::OneForOne, 2, permanent(&ABC)));
    for now_ns in (0..100).step_by(3) {
        stage.now_ns = now_ns;
        assert!(stage.faults("a").ends_with("start a"), "two in each period of five are not too many");
    }
}

fn nested(outer: u32, inner: u32) -> Spec {
    let below = supervisor("below", Strategy::OneForOne, inner, permanent(&["b", "c"]));
    let mut children = permanent(&["a"]);
    children.push(Child::Supervisor(below));
    children.extend(permanent(&["d"]));
    supervisor("top", Strategy::RestForOne, outer, children)
}

/// "When the supervisor terminates, then the next higher-level supervisor takes some action. It either restarts the
/// terminated supervisor or terminates itself."
#[test]
fn the_next_higher_supervisor_restarts_the_terminated_one_or_terminates_itself() {
    let mut stage = Stage::up(&nested(1, 1));
    assert_eq!(stage.faults("b"), "b again (1), start b");
    let restarted = "below gave up, ask b, below again (1), ask d, start b, start c, below up, start d";
    assert_eq!(stage.faults("c"), restarted);
    // It begins anew, with nothing counted.
    assert_eq!(stage.faults("c"), "c again (1), start c");
    assert_eq!(stage.faults("c"), "below gave up, ask b, top gave up, ask d, ask a, over: GaveUp");
}

/// "If the child process is another supervisor, it is to be given enough time to shut down its subtree".
#[test]
fn a_supervisor_below_takes_its_children_down_in_its_turn() {
    let mut stage = Stage::begin(&nested(1, 1));
    assert_eq!(stage.play(), "start a, start b, start c, below up, start d, top up");
    stage.stubborn = vec!["c"];
    assert_eq!(stage.shut_down(), "ask d, ask c");
    assert_eq!(stage.at(10), "kill c, ask b, ask a, over: ShutDown");
    let mut stage = Stage::up(&nested(1, 1));
    assert_eq!(
        stage.faults("a"),
        "a again (1), ask d, ask c, ask b, start a, start b, start c, below up, start d"
    );
}

/// "An integer time-out value means that the supervisor tells the child process to terminate and then waits for an exit
/// signal back. If no exit signal is received within the specified time, the child process is unconditionally
/// terminated using exit(Child, kill)."
#[test]
fn who_does_not_terminate_within_its_time_is_killed() {
    let mut stage = Stage::up(&abc(Strategy::OneForOne, Restart::Permanent));
    stage.stubborn = vec!["b"];
    assert_eq!(stage.shut_down(), "ask c, ask b");
    assert_eq!(stage.overseer.next_ns(), Some(10));
    assert_eq!(stage.at(9), "");
    assert_eq!(stage.at(10), "kill b, ask a, over: ShutDown");
    assert_eq!(stage.overseer.next_ns(), None);
}

/// "brutal_kill means that the child process is unconditionally terminated using exit(Child, kill)": a time of none.
#[test]
fn a_shutdown_time_of_none_kills() {
    let brutal = Child::Process { path: "a".to_owned(), restart: Restart::Permanent, shutdown_ns: 0 };
    let mut stage = Stage::up(&supervisor("s", Strategy::OneForOne, 1, vec![brutal]));
    assert_eq!(stage.shut_down(), "kill a, over: ShutDown");
}

/// "If the start of a child fails, the supervisor terminates all already started child processes and then itself".
#[test]
fn who_cannot_be_started_the_first_time_takes_the_supervisor_along() {
    let mut stage = Stage::begin(&abc(Strategy::OneForOne, Restart::Temporary));
    stage.broken = vec!["b"];
    assert_eq!(stage.play(), "start a, start b, b not started, ask a, over: NotStarted");
    let mut stage = Stage::begin(&nested(9, 9));
    stage.broken = vec!["c"];
    let failed =
        "start a, start b, start c, c not started, ask b, below not started, ask a, over: NotStarted";
    assert_eq!(stage.play(), failed);
}

/// A restart that fails is tried again, and each try is a restart that is counted.
#[test]
fn a_restart_that_fails_is_tried_again_until_intensity_is_reached() {
    let mut stage = Stage::up(&abc(Strategy::OneForOne, Restart::Permanent));
    stage.broken = vec!["b"];
    let tries = "b again (1), start b, b again (2), start b, b again (3), start b, s gave up";
    assert_eq!(stage.faults("b"), format!("{tries}, ask c, ask a, over: GaveUp"));
    let mut stage = Stage::up(&abc(Strategy::RestForOne, Restart::Permanent));
    stage.broken = vec!["c"];
    let tries =
        "a again (1), ask c, ask b, start a, start b, start c, c again (2), start c, c again (3), start c";
    assert_eq!(stage.faults("a"), format!("{tries}, s gave up, ask b, ask a, over: GaveUp"));
}

/// A supervisor that cannot start a child when it is started again has not been restarted: that is tried again, too.
#[test]
fn a_supervisor_whose_child_cannot_be_started_again_is_restarted_until_intensity_is_reached() {
    let mut stage = Stage::up(&nested(2, 0));
    stage.broken = vec!["c"];
    let fails = "start b, start c, c not started, ask b";
    let tries = format!("ask d, {fails}, below again (2), {fails}, top gave up, ask a, over: GaveUp");
    assert_eq!(stage.faults("b"), format!("below gave up, ask c, below again (1), {tries}"));
}

/// "terminate_child: the process is terminated and the child specification is kept. The child process can later be
/// restarted by the supervisor" (`restart_child`), and no restart is counted.
#[test]
fn a_child_can_be_terminated_and_restarted_from_outside() {
    let mut stage = Stage::up(&supervisor("s", Strategy::OneForAll, 1, permanent(&ABC)));
    let b = stage.node("b");
    stage.overseer.terminate(b, 0);
    assert_eq!(stage.play(), "ask b");
    let known = stage.overseer.supervised(b).expect("it has a supervisor");
    assert!(known.given_up && known.restarts == 0);
    // Unlike OTP's, who was ended for good stays so when its siblings are started again.
    assert_eq!(stage.faults("a"), "a again (1), ask c, start a, start c");
    for _ in 0..5 {
        stage.overseer.restart(b, 0);
        assert_eq!(stage.play(), "start b");
    }
    let known = stage.overseer.supervised(b).expect("it has a supervisor");
    assert!(!known.given_up && known.restarts == 0);
    stage.overseer.restart(stage.node("a"), 0);
    assert_eq!(stage.play(), "start a");
}

/// A supervisor does one thing at a time: what happens meanwhile is dealt with when that is done, if it still matters.
#[test]
fn what_happens_during_a_restart_waits_for_its_end() {
    let mut stage = Stage::up(&supervisor("s", Strategy::RestForOne, 9, permanent(&["a", "b", "c", "d"])));
    stage.stubborn = vec!["d"];
    assert_eq!(stage.faults("b"), "b again (1), ask d");
    // One that is to be ended next ends by itself, one that has nothing to do with it ends, too.
    assert_eq!(stage.faults("c"), "");
    assert_eq!(stage.faults("a"), "");
    stage.stubborn.clear();
    let then =
        "start b, start c, start d, a again (2), ask d, ask c, ask b, start a, start b, start c, start d";
    assert_eq!(stage.ends("d", Exit::Normal), then);
}

/// A shutdown comes before everything else that a supervisor is doing.
#[test]
fn a_shutdown_does_not_wait_for_a_restart() {
    let mut stage = Stage::up(&supervisor("s", Strategy::OneForAll, 9, permanent(&ABC)));
    stage.stubborn = vec!["c"];
    assert_eq!(stage.faults("a"), "a again (1), ask c");
    assert_eq!(stage.shut_down(), "");
    assert_eq!(stage.ends("c", Exit::Normal), "ask b, over: ShutDown");
    assert_eq!(stage.shut_down(), "");
    // One that is being started is killed: there is nothing yet that could be asked.
    let mut stage = Stage::begin(&supervisor("s", Strategy::OneForAll, 9, permanent(&ABC)));
    assert_eq!(stage.overseer.next_order(), Some(super::overseer::Order::Start(stage.node("a"))));
    assert_eq!(stage.shut_down(), "kill a, over: ShutDown");
}

/// Where nothing is left that could ever run, there is nothing to supervise. (OTP's supervisors stay, as children can be
/// added to them.)
#[test]
fn when_all_children_have_finished_the_outermost_supervisor_ends() {
    let once = |name: &str| child(name, Restart::Temporary);
    let below = supervisor("below", Strategy::OneForOne, 1, vec![once("b"), child("c", Restart::Transient)]);
    let mut stage =
        Stage::up(&supervisor("s", Strategy::OneForOne, 1, vec![once("a"), Child::Supervisor(below)]));
    assert_eq!(stage.faults("b"), "b finished");
    assert_eq!(stage.returns("a"), "a finished");
    assert_eq!(stage.returns("c"), "c finished, over: Finished");
    let mut stage = Stage::begin(&supervisor("s", Strategy::OneForOne, 1, Vec::new()));
    assert_eq!(stage.play(), "s up, over: Finished");
}
