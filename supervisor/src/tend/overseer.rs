//! OTP's supervisors as a state machine: what happens to processes goes in with the time, what is to be done comes out.
//!
//! It runs nothing, waits for nothing and asks no clock, so a test can lead it through any history. Each supervisor does one
//! thing at a time, as OTP's do: what happens to its children meanwhile waits until that is done.
//!
//! ```text
//! begin, started, ended, elapsed, wishes ──► Overseer ──► Order: Start, Ask, Kill
//!                                               │
//!                                               └──────► News: what is to be told
//! ```

use std::collections::VecDeque;

use super::intensity::Intensity;
use super::spec::{Child, Restart, Spec, Strategy};
use crate::steward::Supervised;

/// A process or a supervisor, by its place in the spec: a supervisor before its children, those in start order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub usize);

/// How a process or a supervisor has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It has done what it was to do, or was asked to end.
    Normal,
    /// A fault, a kill, an error.
    Abnormal,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Begin the next life of a process, and say when it has started. If it is up still, that life ends.
    Start(Node),
    /// Ask a process to end, and say when it has.
    Ask(Node),
    /// End a process at once, and say when it has.
    Kill(Node),
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A supervisor has been started, with all of its children.
    Up(Node),
    /// A child has ended and is not started again.
    Finished(Node),
    /// A child has ended and is started again, with others as the strategy says: the n-th restart within the period.
    Restarting(Node, usize),
    /// A child could not be started, the first time: its supervisor ends.
    NotStarted(Node),
    /// A supervisor has made more restarts than it may: it ends its children and itself.
    GaveUp(Node),
    /// The outermost supervisor has ended.
    Over(Outcome),
}

/// Why the outermost supervisor has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to.
    ShutDown,
    /// It gave up.
    GaveUp,
    /// Somebody could not be started the first time.
    NotStarted,
    /// All its children have ended, and none is started again.
    Finished,
}

/// A tree of supervisors.
#[derive(Clone, Debug)]
pub struct Overseer {
    posts: Vec<Post>,
    mail: VecDeque<Mail>,
    orders: VecDeque<Order>,
    news: VecDeque<News>,
    /// The time of what is being handled.
    now_ns: u64,
    over: Option<Outcome>,
}

/// A node, and what its supervisor knows of it.
#[derive(Clone, Debug)]
struct Post {
    name: String,
    parent: Option<Node>,
    status: Status,
    restarts: u64,
    work: Work,
}

#[derive(Clone, Debug)]
enum Work {
    Process { restart: Restart, shutdown_ns: u64, life: Life },
    Supervisor(Boss),
}

/// What a supervisor knows of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Not started yet, or ended by its supervisor.
    Down,
    /// Started, being started, or being ended.
    Live,
    /// Ended, and nothing has been decided yet.
    Ended(Exit),
    /// Ended, and its restart type says that it stays so.
    Finished,
    /// Ended, because somebody wanted that.
    Held,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Down,
    Starting,
    Up,
    /// Asked to end; killed when this time comes.
    Asked {
        until_ns: u64,
    },
    Killed,
}

#[derive(Clone, Debug)]
struct Boss {
    strategy: Strategy,
    intensity: Intensity,
    children: Vec<Node>,
    doing: Doing,
    /// Children that have ended and are yet to be decided on, in order.
    ended: VecDeque<Node>,
    wishes: VecDeque<Wish>,
}

/// What a supervisor is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// Waits for something to happen to its children.
    Watching,
    /// Starts `left` in order.
    Starting {
        current: Option<Node>,
        left: VecDeque<Node>,
        why: Why,
    },
    /// Ends `left` from the back, `then` goes on.
    Ending {
        current: Option<Node>,
        left: Vec<Node>,
        then: Then,
    },
}

/// Why a supervisor starts children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It is being started itself.
    First,
    /// One of them has ended.
    Again,
    /// Somebody wanted it. It is nobody's failure, so nobody counts it.
    Wish,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Then {
    Start(VecDeque<Node>, Why),
    Hold(Node),
    End(Outcome),
}

/// What somebody wants of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Restart(Node),
    Terminate(Node),
}

/// What nodes tell each other.
#[derive(Clone, Copy, Debug)]
enum Mail {
    Start(Node),
    Stop(Node),
    Started(Node),
    Ended(Node, Exit),
}

impl Overseer {
    /// The supervisors of a spec, none of which is up.
    #[must_use]
    pub fn new(spec: &Spec) -> Overseer {
        let mut posts = Vec::new();
        add(&mut posts, None, spec);
        let (mail, orders, news) = Default::default();
        Overseer { posts, mail, orders, news, now_ns: 0, over: None }
    }

    /// Starts everybody, in order.
    pub fn begin(&mut self, now_ns: u64) {
        self.handle(now_ns, Mail::Start(ROOT));
    }

    /// A process that was to be started has been.
    pub fn started(&mut self, node: Node, now_ns: u64) {
        if let Some(life @ Life::Starting) = self.life_mut(node) {
            *life = Life::Up;
            self.handle(now_ns, Mail::Started(node));
        }
    }

    /// A process has ended, or could not be started.
    pub fn ended(&mut self, node: Node, exit: Exit, now_ns: u64) {
        if let Some(life) = self.life_mut(node).filter(|life| **life != Life::Down) {
            *life = Life::Down;
            self.handle(now_ns, Mail::Ended(node, exit));
        }
    }

    /// Time has passed: who has been asked to end and should have by now is killed.
    pub fn elapsed(&mut self, now_ns: u64) {
        for node in (0..self.posts.len()).map(Node) {
            if let Some(life @ Life::Asked { .. }) = self.life_mut(node)
                && matches!(life, Life::Asked { until_ns } if *until_ns <= now_ns)
            {
                *life = Life::Killed;
                self.orders.push_back(Order::Kill(node));
            }
        }
    }

    /// When to say that time has passed, at the latest.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        let until_ns = |post: &Post| match post.work {
            Work::Process { life: Life::Asked { until_ns }, .. } => Some(until_ns),
            _ => None,
        };
        self.posts.iter().filter_map(until_ns).min()
    }

    /// Somebody wants a child to begin another life, whatever it is doing. No supervisor counts it.
    pub fn restart(&mut self, node: Node, now_ns: u64) {
        self.wish(node, Wish::Restart(node), now_ns);
    }

    /// Somebody wants a child to end, and not to be started again.
    pub fn terminate(&mut self, node: Node, now_ns: u64) {
        self.wish(node, Wish::Terminate(node), now_ns);
    }

    /// Ends everybody, in reverse order.
    pub fn shut_down(&mut self, now_ns: u64) {
        self.handle(now_ns, Mail::Stop(ROOT));
    }

    /// The next thing to do.
    pub fn next_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// The next thing to tell.
    pub fn next_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Why the outermost supervisor has ended, if it has.
    #[must_use]
    pub fn over(&self) -> Option<Outcome> {
        self.over
    }

    /// The nodes with their names: a process's is its path.
    pub fn nodes(&self) -> impl Iterator<Item = (Node, &str)> {
        self.posts.iter().enumerate().map(|(index, post)| (Node(index), &*post.name))
    }

    /// The name of a node.
    #[must_use]
    pub fn name(&self, node: Node) -> &str {
        &self.posts[node.0].name
    }

    /// The supervisor of a node, if it has one.
    #[must_use]
    pub fn supervisor(&self, node: Node) -> Option<Node> {
        self.posts[node.0].parent
    }

    /// Whether a node is a process, and not a supervisor.
    #[must_use]
    pub fn is_process(&self, node: Node) -> bool {
        matches!(self.posts[node.0].work, Work::Process { .. })
    }

    /// Whether a process is not running and not about to end.
    #[must_use]
    pub fn is_down(&self, node: Node) -> bool {
        matches!(self.posts[node.0].work, Work::Process { life: Life::Down, .. })
    }

    /// Whether a process has been told to end.
    #[must_use]
    pub fn is_ending(&self, node: Node) -> bool {
        matches!(self.posts[node.0].work, Work::Process { life: Life::Asked { .. } | Life::Killed, .. })
    }

    /// How a child is supervised.
    #[must_use]
    pub fn supervised(&self, node: Node) -> Option<Supervised> {
        let post = &self.posts[node.0];
        let supervisor = post.parent?;
        let Work::Supervisor(boss) = &self.posts[supervisor.0].work else { return None };
        let given_up = match post.status {
            Status::Finished | Status::Held => true,
            Status::Down => boss.doing == Doing::Nothing,
            Status::Live | Status::Ended(_) => false,
        };
        Some(Supervised {
            supervisor: self.name(supervisor).to_owned(),
            strategy: boss.strategy,
            restart: self.restart_type(node),
            restarts: post.restarts,
            given_up: given_up || self.over.is_some(),
        })
    }

    fn restart_type(&self, node: Node) -> Restart {
        match self.posts[node.0].work {
            Work::Process { restart, .. } => restart,
            Work::Supervisor(_) => Restart::Permanent,
        }
    }

    fn life_mut(&mut self, node: Node) -> Option<&mut Life> {
        match &mut self.posts.get_mut(node.0)?.work {
            Work::Process { life, .. } => Some(life),
            Work::Supervisor(_) => None,
        }
    }

    fn boss(&mut self, node: Node) -> &mut Boss {
        match &mut self.posts[node.0].work {
            Work::Supervisor(boss) => boss,
            Work::Process { .. } => unreachable!("only supervisors are parents"),
        }
    }

    fn status(&self, node: Node) -> Status {
        self.posts[node.0].status
    }

    fn set_status(&mut self, node: Node, status: Status) {
        self.posts[node.0].status = status;
    }

    fn handle(&mut self, now_ns: u64, mail: Mail) {
        self.now_ns = now_ns;
        self.mail.push_back(mail);
        self.settle();
    }

    fn settle(&mut self) {
        self.deliver();
        if self.over.is_none() && self.is_spent(ROOT) {
            self.end_all(ROOT, Outcome::Finished);
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        // Each step is one of an operation that has an end; whatever lasts waits for news from outside.
        while let Some(mail) = self.mail.pop_front() {
            match mail {
                Mail::Start(node) if self.is_process(node) => self.start_process(node),
                Mail::Start(node) => self.start_supervisor(node),
                Mail::Stop(node) if self.is_process(node) => self.stop_process(node),
                Mail::Stop(node) => self.stop_supervisor(node),
                Mail::Started(node) => self.child_started(node),
                Mail::Ended(node, exit) => self.child_ended(node, exit),
            }
        }
    }

    fn wish(&mut self, node: Node, wish: Wish, now_ns: u64) {
        let Some(supervisor) = self.posts.get(node.0).and_then(|post| post.parent) else { return };
        if self.boss(supervisor).doing == Doing::Nothing {
            return;
        }
        self.now_ns = now_ns;
        self.boss(supervisor).wishes.push_back(wish);
        self.go_on(supervisor);
        self.settle();
    }

    fn start_process(&mut self, node: Node) {
        if let Some(life) = self.life_mut(node) {
            *life = Life::Starting;
            self.orders.push_back(Order::Start(node));
        }
    }

    fn stop_process(&mut self, node: Node) {
        let now_ns = self.now_ns;
        let Work::Process { life, shutdown_ns, .. } = &mut self.posts[node.0].work else { return };
        match *life {
            Life::Down => self.mail.push_back(Mail::Ended(node, Exit::Normal)),
            // Half of it is there; nothing could be asked.
            Life::Up if *shutdown_ns > 0 => {
                *life = Life::Asked { until_ns: now_ns.saturating_add(*shutdown_ns) };
                self.orders.push_back(Order::Ask(node));
            }
            Life::Up | Life::Starting => {
                *life = Life::Killed;
                self.orders.push_back(Order::Kill(node));
            }
            Life::Asked { .. } | Life::Killed => {}
        }
    }

    fn start_supervisor(&mut self, node: Node) {
        let children = self.boss(node).children.clone();
        for child in &children {
            self.set_status(*child, Status::Down);
        }
        let boss = self.boss(node);
        boss.intensity.clear();
        boss.doing = Doing::Starting { current: None, left: children.into(), why: Why::First };
        self.go_on(node);
    }

    fn stop_supervisor(&mut self, node: Node) {
        self.end_all(node, Outcome::ShutDown);
    }

    /// Ends all children of a supervisor and then itself, whatever it is doing.
    fn end_all(&mut self, node: Node, outcome: Outcome) {
        let boss = self.boss(node);
        let current = match &boss.doing {
            // It has ended already, or does so.
            Doing::Nothing | Doing::Ending { then: Then::End(_), .. } => return,
            // That one is asked already; it is not asked again.
            Doing::Ending { current, .. } => *current,
            Doing::Starting { .. } | Doing::Watching => None,
        };
        boss.wishes.clear();
        let left = boss.children.clone();
        boss.doing = Doing::Ending { current, left, then: Then::End(outcome) };
        self.go_on(node);
    }

    fn child_started(&mut self, node: Node) {
        let Some(supervisor) = self.supervisor(node) else { return };
        match &mut self.boss(supervisor).doing {
            Doing::Starting { current, .. } if *current == Some(node) => *current = None,
            // It is to end again already.
            _ => return,
        }
        self.go_on(supervisor);
    }

    fn child_ended(&mut self, node: Node, exit: Exit) {
        let Some(supervisor) = self.supervisor(node) else { return };
        let boss = self.boss(supervisor);
        match &mut boss.doing {
            Doing::Ending { current, .. } if *current == Some(node) => {
                *current = None;
                self.put_down(node);
            }
            Doing::Starting { current, why: Why::First, .. } if *current == Some(node) => {
                self.set_status(node, Status::Down);
                self.news.push_back(News::NotStarted(node));
                self.end_all(supervisor, Outcome::NotStarted);
                return;
            }
            // Those that were to follow it are its strategy's concern.
            Doing::Starting { current, .. } if *current == Some(node) => {
                boss.doing = Doing::Watching;
                boss.ended.push_front(node);
                self.set_status(node, Status::Ended(Exit::Abnormal));
            }
            _ => {
                boss.ended.push_back(node);
                self.set_status(node, Status::Ended(exit));
            }
        }
        self.go_on(supervisor);
    }

    /// A child has been ended by its supervisor.
    fn put_down(&mut self, node: Node) {
        let temporary = self.restart_type(node) == Restart::Temporary;
        self.set_status(node, if temporary { Status::Finished } else { Status::Down });
    }

    /// Takes what a supervisor is doing as far as it goes without news.
    fn go_on(&mut self, node: Node) {
        loop {
            match &mut self.boss(node).doing {
                Doing::Nothing => return,
                Doing::Starting { current: Some(_), .. } | Doing::Ending { current: Some(_), .. } => return,
                Doing::Starting { current, left, why } => {
                    let why = *why;
                    *current = left.pop_front();
                    match *current {
                        Some(child) => self.start_child(child, why),
                        None => self.all_started(node, why),
                    }
                }
                Doing::Ending { left, .. } => match left.pop() {
                    Some(child) => self.end_child(node, child),
                    None => self.all_ended(node),
                },
                Doing::Watching => {
                    if !self.decide(node) {
                        return;
                    }
                }
            }
        }
    }

    fn start_child(&mut self, child: Node, why: Why) {
        self.set_status(child, Status::Live);
        self.posts[child.0].restarts += u64::from(why == Why::Again);
        self.mail.push_back(Mail::Start(child));
    }

    fn end_child(&mut self, node: Node, child: Node) {
        match self.status(child) {
            Status::Live => {
                if let Doing::Ending { current, .. } = &mut self.boss(node).doing {
                    *current = Some(child);
                }
                self.mail.push_back(Mail::Stop(child));
            }
            Status::Ended(_) => self.put_down(child),
            Status::Down | Status::Finished | Status::Held => {}
        }
    }

    fn all_ended(&mut self, node: Node) {
        let boss = self.boss(node);
        let Doing::Ending { then, .. } = std::mem::replace(&mut boss.doing, Doing::Watching) else { return };
        match then {
            Then::Start(left, why) => boss.doing = Doing::Starting { current: None, left, why },
            Then::Hold(child) => self.set_status(child, Status::Held),
            Then::End(outcome) => {
                boss.doing = Doing::Nothing;
                boss.ended.clear();
                if node == ROOT {
                    self.over = Some(outcome);
                    self.news.push_back(News::Over(outcome));
                } else {
                    let exit = if outcome == Outcome::ShutDown { Exit::Normal } else { Exit::Abnormal };
                    self.mail.push_back(Mail::Ended(node, exit));
                }
            }
        }
    }

    fn all_started(&mut self, node: Node, why: Why) {
        self.boss(node).doing = Doing::Watching;
        if why != Why::First {
            return;
        }
        self.news.push_back(News::Up(node));
        if node != ROOT {
            self.mail.push_back(Mail::Started(node));
        }
    }

    /// Decides on the next thing that a supervisor has been told; whether there was one.
    fn decide(&mut self, node: Node) -> bool {
        let boss = self.boss(node);
        if let Some(child) = boss.ended.pop_front() {
            // Somebody may have started it or ended it for good since.
            if let Status::Ended(exit) = self.status(child) {
                self.decide_on(node, child, exit);
            }
            return true;
        }
        if let Some(wish) = boss.wishes.pop_front() {
            match wish {
                Wish::Restart(child) => self.fulfil_restart(node, child),
                Wish::Terminate(child) => {
                    let (left, then) = (vec![child], Then::Hold(child));
                    self.boss(node).doing = Doing::Ending { current: None, left, then };
                }
            }
            return true;
        }
        false
    }

    fn fulfil_restart(&mut self, node: Node, child: Node) {
        let start = VecDeque::from([child]);
        self.boss(node).doing = if self.is_process(child) {
            Doing::Starting { current: None, left: start, why: Why::Wish }
        } else {
            Doing::Ending { current: None, left: vec![child], then: Then::Start(start, Why::Wish) }
        };
    }

    fn decide_on(&mut self, node: Node, child: Node, exit: Exit) {
        let again = match self.restart_type(child) {
            Restart::Permanent => true,
            Restart::Transient => exit == Exit::Abnormal,
            Restart::Temporary => false,
        };
        if !again {
            self.set_status(child, Status::Finished);
            self.news.push_back(News::Finished(child));
            return;
        }
        self.set_status(child, Status::Down);
        let now_ns = self.now_ns;
        let intensity = &mut self.boss(node).intensity;
        if !intensity.allows(now_ns) {
            self.news.push_back(News::GaveUp(node));
            self.end_all(node, Outcome::GaveUp);
            return;
        }
        let count = intensity.counted();
        self.news.push_back(News::Restarting(child, count));
        self.start_again(node, child);
    }

    /// Starts a child again, and with it whom the strategy says.
    fn start_again(&mut self, node: Node, child: Node) {
        let boss = self.boss(node);
        let first = boss.children.iter().position(|other| *other == child).unwrap_or(0);
        let (ending, starting) = match boss.strategy {
            Strategy::OneForOne => (vec![], vec![child]),
            Strategy::OneForAll => (boss.children.clone(), boss.children.clone()),
            Strategy::RestForOne => (boss.children[first + 1..].to_vec(), boss.children[first..].to_vec()),
        };
        // Temporary children are never started again, nor is who was ended for good.
        let starting = starting.into_iter().filter(|other| {
            self.restart_type(*other) != Restart::Temporary && self.status(*other) != Status::Held
        });
        let then = Then::Start(starting.collect(), Why::Again);
        self.boss(node).doing = Doing::Ending { current: None, left: ending, then };
    }

    /// Whether all processes below a supervisor have ended, and stay so.
    fn is_spent(&self, node: Node) -> bool {
        match &self.posts[node.0].work {
            Work::Process { .. } => self.status(node) == Status::Finished,
            Work::Supervisor(boss) => {
                boss.doing == Doing::Watching && boss.children.iter().all(|child| self.is_spent(*child))
            }
        }
    }
}

/// The outermost supervisor.
const ROOT: Node = Node(0);

fn add(posts: &mut Vec<Post>, parent: Option<Node>, spec: &Spec) -> Node {
    let node = Node(posts.len());
    let boss = Boss {
        strategy: spec.strategy,
        intensity: Intensity::new(spec.intensity, spec.period_ns),
        children: Vec::new(),
        doing: Doing::Nothing,
        ended: VecDeque::new(),
        wishes: VecDeque::new(),
    };
    let post = |name: &str, parent, work| Post {
        name: name.to_owned(),
        parent,
        status: Status::Down,
        restarts: 0,
        work,
    };
    posts.push(post(&spec.name, parent, Work::Supervisor(boss)));
    let mut children = Vec::new();
    for child in &spec.children {
        children.push(match child {
            Child::Process { path, restart, shutdown_ns } => {
                let work = Work::Process { restart: *restart, shutdown_ns: *shutdown_ns, life: Life::Down };
                posts.push(post(path, Some(node), work));
                Node(posts.len() - 1)
            }
            Child::Supervisor(spec) => add(posts, Some(node), spec),
        });
    }
    if let Work::Supervisor(boss) = &mut posts[node.0].work {
        boss.children = children;
    }
    node
}
