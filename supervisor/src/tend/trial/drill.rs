//! Trees that run on a schedule that the choices make, supervised, while they are called and their processes are killed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use abi::callers::Callers;
use abi::fault::Trap;
use abi::sample::Sampler;
use abi::value::Value;
use ipc::launched::{Call, Launched};
use ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::options::{Isolate, LinkOptions};
use kernel::component::port::{DEADLINE, EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::Machine;

use super::chart::Chart;
use super::rulebook::Rulebook;
use crate::tend::child_spec::Spec;
use crate::tend::driver::{Driver, Wish};
use crate::tend::happening::Happening;
use crate::tend::overseer::{Node, Outcome};

/// Steps of a schedule; far more than any takes.
const STEPS: u32 = 40_000;
/// Steps without anything to do, after which nothing more comes.
const CALM: u32 = 3;
/// The longest deadline of an edge: most calls take less.
const DEADLINE_NS: u64 = 8_000_000;
/// Restarts are counted in one of these times: one passes by, the other does not.
const PERIODS_NS: [u64; 2] = [1 << 40, 20_000_000];
/// What processes have to end is a multiple of this.
const SHUTDOWN_NS: u64 = 1_000_000;
/// Who kills and restarts.
const BY: &str = "by a test";

/// Compiles the text of a component.
pub type Make<'m> = &'m mut dyn FnMut(&str) -> (Engine, Arc<Executable>);

/// Does what the choices say, one case in eight twice. Gives how the supervisors had ended before they were shut down.
///
/// # Panics
/// If a promise is not kept: an answer is lost or wrong, a trap is none that can be, a generation goes back, somebody is
/// restarted otherwise than the rules say or is down who must not be, something is left, or the second time is not like the
/// first.
pub fn try_drill(make: Make<'_>, choices: &[u8]) -> Option<Outcome> {
    let mut sampler = Sampler::new(choices);
    let is_twice = sampler.below(8) == 7;
    let (outcome, lines) = run(make, sampler.clone());
    if is_twice {
        assert_eq!(run(make, sampler), (outcome, lines), "the same choices have two histories");
    }
    outcome
}

fn run(make: Make<'_>, mut sampler: Sampler<'_>) -> (Option<Outcome>, Vec<String>) {
    let mut drill = Drill::new(make, &mut sampler);
    drill.disturb(&mut sampler);
    drill.check_at_rest();
    let outcome = drill.driver.over();
    drill.driver.desk().wish(Wish::ShutDown(BY.to_owned()));
    drill.settle(&mut Vec::new());
    assert!(drill.driver.over().is_some(), "it does not end");
    drill.check_at_rest();
    let Drill { system, launched, driver, lines, .. } = drill;
    drop(driver);
    assert_eq!(Arc::strong_count(&launched), 1, "somebody holds the tree");
    drop(launched);
    system.machine().run_until_idle();
    assert_eq!(system.machine().thread_count(), 0, "guest threads are left");
    (outcome, lines)
}

struct Drill {
    callers: Callers,
    system: System,
    launched: Arc<Launched>,
    driver: Driver,
    rulebook: Rulebook,
    told: Arc<Mutex<Vec<Happening>>>,
    /// Those that are up, and when they were started: a number that grows.
    up: BTreeMap<String, u64>,
    starts: u64,
    /// The last generation of each domain.
    generations: Vec<u32>,
    /// Whether people start and end processes as well.
    is_meddled: bool,
    is_hasty: bool,
    /// What is added to the machine's time.
    later_ns: u64,
    /// What has happened, in order.
    lines: Vec<String>,
}

/// A call that is not answered yet.
struct Asked {
    at: u32,
    x: u32,
    call: Pin<Box<Call>>,
}

impl Drill {
    fn new(make: Make<'_>, sampler: &mut Sampler<'_>) -> Drill {
        let callers = Callers::of(sampler);
        let (engine, executable) = make(&callers.text());
        let on_fault = [OnFault::Trap, OnFault::Error, OnFault::Retry(1)][sampler.below(3) as usize];
        let is_hasty = sampler.below(4) == 3;
        let edge = EdgePolicy { on_fault, deadline_ns: is_hasty.then(|| 1 + sampler.word() % DEADLINE_NS) };
        let options = LinkOptions { isolate: Isolate::All, edge, ..LinkOptions::new("root") };
        let linked = executable.link(&Imports::default(), &options).expect("it needs nobody");
        let system = System::on(Machine::simulate(sampler.word()).expect("time can be simulated"));
        let placement = Placement { mailbox: 1 + sampler.below(3) as usize, ..Placement::default() };
        let launched = system.launch(&engine, Arc::new(linked), Box::new(()), placement);
        let launched = Arc::new(launched.expect("there is room for a small tree"));
        let is_meddled = sampler.below(3) == 2;
        let spec = supervisors(callers.all.len(), sampler);
        let told = Arc::<Mutex<Vec<Happening>>>::default();
        let notes = Arc::clone(&told);
        let tell = move |happening: &Happening| {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(happening.clone());
        };
        let driver = Driver::new(&launched, &spec, &|_| None, Box::new(tell));
        let mut drill = Drill {
            rulebook: Rulebook::new(&spec, is_meddled),
            generations: vec![0; launched.tree().domain_count() as usize],
            driver: driver.expect("each process begins a domain"),
            callers,
            system,
            launched,
            told,
            up: BTreeMap::new(),
            starts: 0,
            is_meddled,
            is_hasty,
            later_ns: 0,
            lines: Vec::new(),
        };
        drill.driver.begin(0);
        drill.hear(0);
        assert_eq!(drill.up.len(), drill.callers.all.len(), "who is launched is started: {:?}", drill.lines);
        drill
    }

    /// Calls while processes are killed, and people meddle.
    fn disturb(&mut self, sampler: &mut Sampler<'_>) {
        let mut calls = Vec::new();
        let mut left = 4 + sampler.below(12);
        let mut calm = 0;
        for _ in 0..STEPS {
            let is_over = self.driver.over().is_some();
            match sampler.below(256) {
                0..48 if left > 0 => {
                    left -= 1;
                    let (at, x) = (sampler.below(self.callers.all.len() as u32), sampler.word() as u32);
                    calls.push(self.call(at, x));
                }
                48..54 if !is_over => {
                    let at = sampler.below(self.generations.len() as u32);
                    self.lines.push(format!("kill {at}"));
                    self.launched.kill(at, BY).expect("the tree has this domain");
                }
                54..60 if self.is_meddled => self.meddle(sampler),
                _ => {}
            }
            calm = if self.step(&mut calls) { 0 } else { calm + 1 };
            if calm > CALM && left == 0 {
                break;
            }
        }
        self.settle(&mut calls);
        assert!(calls.is_empty(), "{} answers are lost", calls.len());
    }

    fn meddle(&mut self, sampler: &mut Sampler<'_>) {
        let nodes: Vec<Node> = self.driver.domains().map(|(_, node)| node).collect();
        let node = nodes[sampler.below(nodes.len() as u32) as usize];
        let wish = if sampler.below(2) == 0 { Wish::Restart(node) } else { Wish::Terminate(node) };
        self.lines.push(format!("{wish:?}"));
        self.driver.desk().wish(wish);
    }

    fn call(&self, at: u32, x: u32) -> Asked {
        let func = self.launched.func(&[&format!("go{at}")]).expect("it is exported");
        let call = self.launched.start_call(&func, vec![Value::U32(x)]).expect("it is short");
        Asked { at, x, call: Box::pin(call) }
    }

    /// Lets everything happen that is going to.
    fn settle(&mut self, calls: &mut Vec<Asked>) {
        let mut calm = 0;
        for _ in 0..STEPS {
            calm = if self.step(calls) { 0 } else { calm + 1 };
            if calm > CALM {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// One turn of everybody; whether there was anything to do.
    fn step(&mut self, calls: &mut Vec<Asked>) -> bool {
        let now_ns = self.system.machine().clock().now_ns() + self.later_ns;
        let next_ns = self.driver.turn(now_ns, Waker::noop());
        let told = self.hear(now_ns);
        let before = calls.len();
        calls.retain_mut(|asked| !self.is_answered(asked));
        self.look();
        if self.system.machine().step() || told || calls.len() < before {
            return true;
        }
        // Nobody does anything: the time comes that the supervisors wait for.
        let waits = next_ns.filter(|next_ns| *next_ns > now_ns);
        self.later_ns += waits.map_or(0, |next_ns| next_ns - now_ns);
        waits.is_some()
    }

    /// Holds what was told against the rules; whether there was anything.
    fn hear(&mut self, now_ns: u64) -> bool {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for happening in &told {
            self.lines.push(format!("{now_ns}: {} {happening}", happening.subject().unwrap_or("tree")));
            match happening {
                Happening::Started { process, .. } => {
                    self.rulebook.started(process);
                    self.starts += 1;
                    self.up.insert(process.clone(), self.starts);
                }
                Happening::Faulted { process, .. } | Happening::Ended { process, .. } => {
                    self.up.remove(process);
                }
                Happening::Restarting { process, supervisor, restarts, .. } => {
                    self.rulebook.restarting(process, supervisor, *restarts, now_ns);
                }
                Happening::Finished { process } => self.rulebook.finished(process),
                Happening::GaveUp { supervisor, .. } => self.rulebook.gave_up(supervisor, now_ns),
                Happening::Up { supervisor } => self.rulebook.up(supervisor),
                // Who is killed while a supervisor that was started again starts it: all others were launched.
                Happening::NotStarted { .. }
                | Happening::Stopping { .. }
                | Happening::Killing { .. }
                | Happening::ShuttingDown { .. }
                | Happening::Over { .. } => {}
            }
        }
        !told.is_empty()
    }

    fn is_answered(&mut self, asked: &mut Asked) -> bool {
        let Poll::Ready(answer) = asked.call.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            return false;
        };
        let Asked { at, x, .. } = *asked;
        let answer = answer.map(number).map_err(|fault| fault.trap);
        self.lines.push(format!("go{at}({x}) → {answer:?}"));
        match answer {
            Ok(answer) => {
                assert!(self.callers.may_answer(at, x, answer, true), "go{at}({x}) is {answer}");
            }
            Err(Trap::Unreachable) => assert!(self.callers.is_faulty(), "go{at}({x})"),
            Err(Trap::Limit { limit, .. }) if limit.starts_with(DEADLINE) => {
                assert!(self.is_hasty, "go{at}({x})")
            }
            Err(Trap::Gone(_) | Trap::Killed(_) | Trap::CannotEnter) => {}
            Err(trap) => panic!("go{at}({x}): {trap}"),
        }
        true
    }

    /// Generations only grow.
    fn look(&mut self) {
        for (domain, seen) in (0..).zip(&mut self.generations) {
            let generation = self.launched.tree().generation(domain);
            assert!(generation >= *seen, "domain {domain} was in generation {seen} and is in {generation}");
            *seen = generation;
        }
    }

    /// Who must be up is up and serves; where all is over, nobody is left and nothing is held.
    fn check_at_rest(&mut self) {
        if self.driver.over().is_some() {
            assert!(self.up.is_empty(), "somebody is left: {:?}", self.up);
            let supervised: Vec<u32> = self.driver.domains().map(|(domain, _)| domain).collect();
            let views = self.launched.domains();
            assert!(supervised.iter().all(|domain| views[*domain as usize].ended.is_some()));
            assert_eq!(self.launched.tree().usage().memory_bytes, 0, "memory of ended lives is held");
        } else {
            self.rulebook.check_order(&self.up);
            let down = self.rulebook.permanent().find(|path| !self.up.contains_key(*path));
            assert!(down.is_none() || self.is_meddled, "{down:?} is down");
        }
        for at in (0..).take(self.callers.all.len()) {
            let is_up = self.up.contains_key(&path(at as usize));
            // Nobody is called for that, and nobody traps.
            let mut calls = vec![self.call(at, 0)];
            self.settle(&mut calls);
            assert!(calls.is_empty(), "an answer is lost");
            let answered = self.lines.iter().rev().find(|line| line.starts_with("go")).cloned();
            let answered = answered.unwrap_or_default();
            assert_eq!(answered.contains("→ Ok("), is_up, "{}", self.lines.join("\n"));
        }
    }
}

/// The path of a process by its number.
fn path(at: usize) -> String {
    format!("/root/c{at}")
}

/// Supervisors of so many processes: whom none of those below supervises the outermost does.
fn supervisors(count: usize, sampler: &mut Sampler<'_>) -> Spec {
    let mut paths = (0..count).map(path);
    let period_ns = PERIODS_NS[sampler.below(2) as usize];
    let mut chart = Chart { paths: &mut paths, period_ns, shutdown_ns: SHUTDOWN_NS };
    let mut spec = chart.draw(sampler);
    while let Some(path) = chart.paths.next() {
        spec.children.push(chart.process(sampler, path));
    }
    spec
}

fn number(value: Option<Value>) -> u32 {
    match value {
        Some(Value::U32(number)) => number,
        Some(Value::Result(Ok(some))) => number(some.map(|some| *some)),
        other => panic!("{other:?}"),
    }
}
