//! The rules alone: a world that does what the overseer orders, sooner or later, and in which processes end.

use std::collections::BTreeMap;

use abi::sample::Sampler;

use super::chart::Chart;
use super::rulebook::Rulebook;
use crate::tend::overseer::{Exit, News, Node, Order, Outcome, Overseer};

/// In which time restarts are counted.
const PERIOD_NS: u64 = 50;
/// What processes have to end is a multiple of this.
const SHUTDOWN_NS: u64 = 5;

/// Leads supervisors through a history that the choices make, then through a shutdown. Gives how they ended, unless they have
/// no process.
///
/// # Panics
/// If a rule does not hold.
pub fn try_history(choices: &[u8]) -> Option<Outcome> {
    let mut sampler = Sampler::new(choices);
    let is_meddled = sampler.below(2) == 1;
    let events = sampler.below(256) + sampler.below(45);
    let mut paths = (0..).map(|number| format!("p{number}"));
    let spec = Chart { paths: &mut paths, period_ns: PERIOD_NS, shutdown_ns: SHUTDOWN_NS }.draw(&mut sampler);
    let overseer = Overseer::new(&spec);
    let processes = overseer.nodes().map(|(node, _)| node).filter(|node| overseer.is_process(*node));
    let seen: BTreeMap<Node, Seen> = processes.map(|node| (node, Seen::Down)).collect();
    if seen.is_empty() {
        return None;
    }
    let rulebook = Rulebook::new(&spec, is_meddled);
    let mut world =
        World { overseer, rulebook, seen, begun: BTreeMap::new(), starts: 0, now_ns: 0, is_meddled };
    world.overseer.begin(0);
    for _ in 0..events {
        world.obey();
        world.befall(&mut sampler);
    }
    world.calm();
    world.check_at_rest();
    world.overseer.shut_down(world.now_ns);
    world.calm();
    world.check_at_rest();
    assert!(world.overseer.next_ns().is_none(), "it waits for something after its end");
    Some(world.overseer.over().expect("it was shut down, if it had not ended before"))
}

/// What a process does, as the world sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Down,
    Starting,
    Up,
    Ending,
}

struct World {
    overseer: Overseer,
    rulebook: Rulebook,
    seen: BTreeMap<Node, Seen>,
    /// When each was last started: a number that grows.
    begun: BTreeMap<Node, u64>,
    starts: u64,
    now_ns: u64,
    is_meddled: bool,
}

impl World {
    /// Takes what the overseer orders and says; whether there was anything.
    fn obey(&mut self) -> bool {
        let mut any = false;
        while let Some(news) = self.overseer.next_news() {
            any = true;
            self.hear(news);
        }
        while let Some(order) = self.overseer.next_order() {
            any = true;
            self.follow(order);
        }
        any
    }

    fn follow(&mut self, order: Order) {
        match order {
            Order::Start(node) => {
                assert!(self.overseer.over().is_none(), "a start after the end");
                let seen = self.seen[&node];
                assert!(seen == Seen::Down || (self.is_meddled && seen == Seen::Up), "{seen:?}");
                self.rulebook.started(self.overseer.name(node));
                self.starts += 1;
                self.begun.insert(node, self.starts);
                self.seen.insert(node, Seen::Starting);
            }
            Order::Ask(node) => {
                assert_eq!(self.seen[&node], Seen::Up);
                self.seen.insert(node, Seen::Ending);
            }
            Order::Kill(node) => {
                assert_ne!(self.seen[&node], Seen::Down);
                self.seen.insert(node, Seen::Ending);
            }
        }
    }

    fn hear(&mut self, news: News) {
        let name = |node| self.overseer.name(node);
        match news {
            News::Restarting(node, count) => {
                let supervisor = self.overseer.supervisor(node).expect("who is restarted has a supervisor");
                self.rulebook.restarting(name(node), name(supervisor), count, self.now_ns);
            }
            News::GaveUp(node) => self.rulebook.gave_up(name(node), self.now_ns),
            News::Finished(node) => self.rulebook.finished(name(node)),
            News::Up(node) => self.rulebook.up(name(node)),
            News::NotStarted(_) | News::Over(_) => {}
        }
    }

    /// Something happens.
    fn befall(&mut self, sampler: &mut Sampler<'_>) {
        self.now_ns += u64::from(sampler.below(8));
        let node = sampler.below(self.seen.len() as u32) as usize;
        let node = *self.seen.keys().nth(node).expect("one is there");
        let exit = if sampler.below(2) == 0 { Exit::Normal } else { Exit::Abnormal };
        match (self.seen[&node], sampler.below(12)) {
            (Seen::Starting, 0..8) => {
                self.seen.insert(node, Seen::Up);
                self.overseer.started(node, self.now_ns);
            }
            (Seen::Starting, 8) | (Seen::Ending, 0..6) | (Seen::Up, 0..2) => self.ends(node, exit),
            (_, 10) if self.is_meddled => self.overseer.restart(node, self.now_ns),
            (_, 11) if self.is_meddled => self.overseer.terminate(node, self.now_ns),
            _ => self.overseer.elapsed(self.now_ns),
        }
    }

    fn ends(&mut self, node: Node, exit: Exit) {
        // Who ends before it has started has not ended well.
        let is_well = exit == Exit::Normal && self.seen[&node] != Seen::Starting;
        self.rulebook.ended(self.overseer.name(node), is_well);
        self.seen.insert(node, Seen::Down);
        self.overseer.ended(node, exit, self.now_ns);
    }

    /// Lets everything go well until nothing happens any more.
    fn calm(&mut self) {
        for _ in 0..100_000 {
            // What has been said was said at the time that it still is.
            let said = self.obey();
            self.now_ns += PERIOD_NS + 1;
            self.overseer.elapsed(self.now_ns);
            let ordered = self.obey() || said;
            let next = self.seen.iter().find(|(_, seen)| matches!(seen, Seen::Starting | Seen::Ending));
            match next.map(|(node, seen)| (*node, *seen)) {
                Some((node, Seen::Starting)) => {
                    self.seen.insert(node, Seen::Up);
                    self.overseer.started(node, self.now_ns);
                }
                Some((node, _)) => self.ends(node, Exit::Normal),
                None if !ordered => return,
                None => {}
            }
        }
        panic!("it never comes to rest");
    }

    fn check_at_rest(&self) {
        if self.overseer.over().is_some() {
            assert!(self.seen.values().all(|seen| *seen == Seen::Down), "somebody is left: {:?}", self.seen);
            return;
        }
        let up = self.seen.iter().filter(|(_, seen)| **seen == Seen::Up);
        let begun = up.map(|(node, _)| (self.overseer.name(*node).to_owned(), self.begun[node]));
        let begun: BTreeMap<String, u64> = begun.collect();
        let down = self.rulebook.permanent().find(|path| !begun.contains_key(*path));
        assert!(down.is_none() || self.is_meddled, "{down:?} is down");
        self.rulebook.check_order(&begun);
    }
}
