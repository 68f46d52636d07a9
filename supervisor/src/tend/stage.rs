//! A stage for tests: processes that do what they are told, and a protocol of it.

use super::child_spec::{Child, Restart, Spec, Strategy};
use super::overseer::{Exit, News, Node, Order, Overseer};

/// An overseer with processes that start at once, and end when they are asked to.
pub(super) struct Stage {
    pub overseer: Overseer,
    pub now_ns: u64,
    /// Names of processes that do not end when they are asked to.
    pub stubborn: Vec<&'static str>,
    /// Names of processes that cannot be started.
    pub broken: Vec<&'static str>,
    log: Vec<String>,
}

pub(super) fn supervisor(name: &str, strategy: Strategy, intensity: u32, children: Vec<Child>) -> Spec {
    Spec { name: name.to_owned(), strategy, intensity, period_ns: 5, children }
}

pub(super) fn child(name: &str, restart: Restart) -> Child {
    Child::Process { path: name.to_owned(), restart, shutdown_ns: 10 }
}

pub(super) fn permanent(names: &[&str]) -> Vec<Child> {
    names.iter().map(|name| child(name, Restart::Permanent)).collect()
}

impl Stage {
    /// A tree that has come up; its protocol begins after that.
    pub fn up(spec: &Spec) -> Stage {
        let mut stage = Stage::begin(spec);
        stage.play();
        stage.log.clear();
        stage
    }

    /// A tree that is to come up.
    pub fn begin(spec: &Spec) -> Stage {
        let mut overseer = Overseer::new(spec);
        overseer.begin(0);
        Stage { overseer, now_ns: 0, stubborn: Vec::new(), broken: Vec::new(), log: Vec::new() }
    }

    pub fn node(&self, name: &str) -> Node {
        self.overseer.nodes().find(|(_, known)| *known == name).expect("a name of the test's own").0
    }

    /// Does what there is to do; what was done, in order.
    pub fn play(&mut self) -> String {
        loop {
            while let Some(news) = self.overseer.next_news() {
                self.log.push(self.tell(news));
            }
            let Some(order) = self.overseer.next_order() else { break };
            let name = |node| self.overseer.name(node).to_owned();
            match order {
                Order::Start(node) => {
                    self.log.push(format!("start {}", name(node)));
                    if self.broken.contains(&self.overseer.name(node)) {
                        self.overseer.ended(node, Exit::Abnormal, self.now_ns);
                    } else {
                        self.overseer.started(node, self.now_ns);
                    }
                }
                Order::Ask(node) => {
                    self.log.push(format!("ask {}", name(node)));
                    if !self.stubborn.contains(&self.overseer.name(node)) {
                        self.overseer.ended(node, Exit::Normal, self.now_ns);
                    }
                }
                Order::Kill(node) => {
                    self.log.push(format!("kill {}", name(node)));
                    self.overseer.ended(node, Exit::Abnormal, self.now_ns);
                }
            }
        }
        std::mem::take(&mut self.log).join(", ")
    }

    fn tell(&self, news: News) -> String {
        match news {
            News::Up(node) => format!("{} up", self.overseer.name(node)),
            News::Finished(node) => format!("{} finished", self.overseer.name(node)),
            News::Restarting(node, count) => format!("{} again ({count})", self.overseer.name(node)),
            News::NotStarted(node) => format!("{} not started", self.overseer.name(node)),
            News::GaveUp(node) => format!("{} gave up", self.overseer.name(node)),
            News::Over(outcome) => format!("over: {outcome:?}"),
        }
    }

    /// A process ends; what is done then.
    pub fn ends(&mut self, name: &str, exit: Exit) -> String {
        self.overseer.ended(self.node(name), exit, self.now_ns);
        self.play()
    }

    pub fn faults(&mut self, name: &str) -> String {
        self.ends(name, Exit::Abnormal)
    }

    pub fn returns(&mut self, name: &str) -> String {
        self.ends(name, Exit::Normal)
    }

    pub fn shut_down(&mut self) -> String {
        self.overseer.shut_down(self.now_ns);
        self.play()
    }

    /// Time passes.
    pub fn at(&mut self, now_ns: u64) -> String {
        self.now_ns = now_ns;
        self.overseer.elapsed(now_ns);
        self.play()
    }
}
