//! Random trees of supervisors led through random histories: whatever happens, in whatever order, the rules hold.
//!
//! `ATOLL_SEEDS` sets how many seeds are tried, `ATOLL_SEED` tries one.

use std::collections::BTreeMap;

use kernel::sched::seeded::Random;

use super::child_spec::{Child, Restart, Spec, Strategy};
use super::overseer::{Exit, News, Node, Order, Overseer};

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
    specs: BTreeMap<Node, (Strategy, u32, u64, Vec<Node>)>,
    restart: BTreeMap<Node, Restart>,
    seen: BTreeMap<Node, Seen>,
    /// When each was last started: a number that grows.
    begun: BTreeMap<Node, u64>,
    starts: u64,
    /// The restarts of each supervisor since it was started, by hand.
    restarts: BTreeMap<Node, Vec<u64>>,
    now_ns: u64,
    meddled: bool,
}

const PERIOD_NS: u64 = 50;

fn spec(random: &mut Random, depth: u32, count: &mut u32) -> Spec {
    let strategies = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];
    let restarts = [Restart::Permanent, Restart::Permanent, Restart::Transient, Restart::Temporary];
    *count += 1;
    let name = format!("s{count}");
    let children = (0..1 + random.below(4)).map(|_| {
        if depth > 0 && random.below(3) == 0 {
            return Child::Supervisor(spec(random, depth - 1, count));
        }
        *count += 1;
        Child::Process {
            path: format!("p{count}"),
            restart: restarts[random.below(4) as usize],
            shutdown_ns: random.below(4) * 5,
        }
    });
    let children = children.collect();
    let strategy = strategies[random.below(3) as usize];
    Spec { name, strategy, intensity: random.below(6) as u32, period_ns: PERIOD_NS, children }
}

impl World {
    fn new(spec: &Spec) -> World {
        let overseer = Overseer::new(spec);
        let mut world = World {
            specs: BTreeMap::new(),
            restart: BTreeMap::new(),
            seen: BTreeMap::new(),
            begun: BTreeMap::new(),
            starts: 0,
            restarts: BTreeMap::new(),
            now_ns: 0,
            meddled: false,
            overseer,
        };
        let mut next = 0;
        world.know(spec, &mut next);
        world
    }

    /// Numbers the nodes as the overseer does.
    fn know(&mut self, spec: &Spec, next: &mut usize) -> Node {
        let node = Node(*next);
        assert_eq!(self.overseer.name(node), spec.name);
        let mut children = Vec::new();
        for child in &spec.children {
            *next += 1;
            match child {
                Child::Process { path, restart, .. } => {
                    let node = Node(*next);
                    assert_eq!(self.overseer.name(node), path);
                    self.restart.insert(node, *restart);
                    self.seen.insert(node, Seen::Down);
                    children.push(node);
                }
                Child::Supervisor(spec) => children.push(self.know(spec, next)),
            }
        }
        self.specs.insert(node, (spec.strategy, spec.intensity, spec.period_ns, children));
        node
    }

    /// Takes what the overseer orders and says; whether there was anything.
    fn obey(&mut self) -> bool {
        let mut any = false;
        while let Some(news) = self.overseer.next_news() {
            any = true;
            self.hear(news);
        }
        while let Some(order) = self.overseer.next_order() {
            any = true;
            match order {
                Order::Start(node) => {
                    assert!(self.overseer.over().is_none(), "a start after the end");
                    let seen = self.seen[&node];
                    assert!(seen == Seen::Down || (self.meddled && seen == Seen::Up), "{seen:?}");
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
        any
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Restarting(node, count) => {
                let supervisor = self.overseer.supervisor(node).expect("who is restarted has a supervisor");
                assert_ne!(self.restart.get(&node), Some(&Restart::Temporary));
                let (_, intensity, period_ns, _) = self.specs[&supervisor];
                let now_ns = self.now_ns;
                let restarts = self.restarts.entry(supervisor).or_default();
                restarts.push(now_ns);
                restarts.retain(|at_ns| now_ns - at_ns <= period_ns);
                assert_eq!(restarts.len(), count);
                assert!(count <= intensity as usize, "more than the intensity");
            }
            News::GaveUp(node) => {
                let (_, intensity, period_ns, _) = self.specs[&node];
                let restarts = self.restarts.remove(&node).unwrap_or_default();
                let lately = restarts.iter().filter(|at_ns| self.now_ns - **at_ns <= period_ns).count();
                assert_eq!(lately, intensity as usize, "it gives up at the first that is too many");
            }
            News::Finished(node) => assert_ne!(self.restart[&node], Restart::Permanent),
            // It has counted nothing yet.
            News::Up(node) => drop(self.restarts.remove(&node)),
            News::NotStarted(_) | News::Over(_) => {}
        }
    }

    /// Something happens.
    fn befall(&mut self, random: &mut Random) {
        self.now_ns += random.below(8);
        let node =
            *self.seen.keys().nth(random.below(self.seen.len() as u64) as usize).expect("one is there");
        let exit = if random.below(2) == 0 { Exit::Normal } else { Exit::Abnormal };
        match (self.seen[&node], random.below(12)) {
            (Seen::Starting, 0..8) => {
                self.seen.insert(node, Seen::Up);
                self.overseer.started(node, self.now_ns);
            }
            (Seen::Starting, 8) | (Seen::Ending, 0..6) | (Seen::Up, 0..2) => self.ends(node, exit),
            (_, 10) if self.meddled => self.overseer.restart(node, self.now_ns),
            (_, 11) if self.meddled => self.overseer.terminate(node, self.now_ns),
            _ => self.overseer.elapsed(self.now_ns),
        }
    }

    fn ends(&mut self, node: Node, exit: Exit) {
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
        for (node, restart) in &self.restart {
            if *restart == Restart::Permanent && !self.meddled {
                assert_eq!(self.seen[node], Seen::Up, "{}", self.overseer.name(*node));
            }
        }
        for (strategy, .., children) in self.specs.values() {
            if *strategy == Strategy::OneForOne || self.meddled {
                continue;
            }
            let begun = children.iter().filter(|child| self.seen.get(child) == Some(&Seen::Up));
            let begun: Vec<u64> = begun.map(|child| self.begun[child]).collect();
            assert!(begun.is_sorted(), "{strategy}: {begun:?}");
        }
    }
}

#[test]
fn the_rules_hold_in_any_history() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("ATOLL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("ATOLL_SEEDS").unwrap_or(2000),
    };
    let mut outcomes = BTreeMap::<String, u32>::new();
    for seed in seeds {
        let mut random = Random::new(seed);
        let spec = spec(&mut random, 2, &mut 0);
        if seed % 100 == 0 {
            eprintln!("ATOLL_SEED={seed}");
        }
        let mut world = World::new(&spec);
        world.meddled = random.below(2) == 0;
        if world.seen.is_empty() {
            continue;
        }
        world.overseer.begin(0);
        for _ in 0..random.below(300) {
            world.obey();
            world.befall(&mut random);
        }
        world.calm();
        world.check_at_rest();
        world.overseer.shut_down(world.now_ns);
        world.calm();
        world.check_at_rest();
        let over = world.overseer.over().expect("it was shut down, if it had not ended before");
        *outcomes.entry(format!("{over:?}")).or_default() += 1;
        assert!(world.overseer.next_ns().is_none());
    }
    // Where many are tried, histories end in every way.
    assert!(outcomes.len() == 4 || outcomes.values().sum::<u32>() < 1000, "{outcomes:?}");
}
