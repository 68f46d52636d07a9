//! Calls of a random tree while its domains are killed, started again and given up on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use abi::callers::{Callers, MEMORY_BYTES};
use abi::fault::Trap;
use abi::sample::Sampler;
use abi::value::Value;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::port::{DEADLINE, EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::sched::machine::Machine;

use super::forge::Forge;
use crate::launched::{Call, Launched};
use crate::system::{Placement, System};

/// Steps of a schedule; far more than any takes.
const STEPS: u32 = 20_000;
/// The longest deadline of an edge: most calls take less.
const DEADLINE_NS: u64 = 8_000_000;
/// Who kills and restarts.
const BY: &str = "by a test";

/// Runs what the choices say, one case in four twice. Gives how often the processor was handed over to a callee in the last
/// lives.
///
/// # Panics
/// If a promise is not kept: an answer is lost or wrong, a trap is none that can be, a generation goes back, something is
/// left, or the second time is not like the first.
pub fn try_calls(forge: &mut Forge, choices: &[u8]) -> u64 {
    let mut sampler = Sampler::new(choices);
    let is_twice = sampler.below(4) == 3;
    let history = run(forge, sampler.clone());
    if is_twice {
        assert_eq!(run(forge, sampler), history, "the same choices have two histories");
    }
    history.visits
}

/// What a schedule shows.
#[derive(Debug, Default, PartialEq, Eq)]
struct History {
    /// What was done and answered, in order, with the step.
    lines: Vec<String>,
    /// How often the processor was handed over.
    visits: u64,
}

fn run(forge: &mut Forge, mut sampler: Sampler<'_>) -> History {
    let presence = Arc::new(());
    let mut disorder = Disorder::new(forge, &mut sampler, Arc::clone(&presence));
    let served = disorder.disturb(&mut sampler);
    disorder.check_served(&served);
    disorder.begin_anew();
    disorder.check_service();
    disorder.check_rest();
    let history = std::mem::take(&mut disorder.history);
    let Disorder { system, launched, .. } = disorder;
    drop(launched);
    system.machine().run_until_idle();
    assert_eq!(system.machine().thread_count(), 0, "guest threads are left");
    assert_eq!(Arc::strong_count(&presence), 1, "the tree is left");
    history
}

/// A tree, and what may become of calls to it.
struct Disorder {
    callers: Callers,
    system: System,
    launched: Launched,
    /// Whether a domain may come to wait for itself.
    is_cyclic: bool,
    /// Whether nobody is killed and nobody traps.
    is_calm: bool,
    /// Whether a call that fails is tried again.
    retries: bool,
    /// Whether callers wait no longer than some calls take.
    is_hasty: bool,
    /// The highest generation of each domain that was seen.
    generations: Vec<u32>,
    history: History,
}

/// A call that is not answered yet.
struct Asked {
    at: u32,
    x: u32,
    /// What is answered if nobody else makes it fail.
    value: Option<u32>,
    call: Pin<Box<Call>>,
}

impl Disorder {
    fn new(forge: &mut Forge, sampler: &mut Sampler<'_>, presence: Arc<()>) -> Disorder {
        let callers = Callers::of(sampler);
        let count = callers.all.len();
        let executable = forge.executable(&callers.text());
        let (isolate, is_cyclic) = match sampler.below(3) {
            0 => (Isolate::All, false),
            1 => (Isolate::Nothing, false),
            _ => {
                let named = (0..count).filter(|_| sampler.below(2) == 0).map(|at| format!("c{at}"));
                (Isolate::Named(named.collect()), true)
            }
        };
        let retries = sampler.below(3) == 0;
        let on_fault = match retries {
            true => OnFault::Retry(1),
            false => [OnFault::Error, OnFault::Trap][sampler.below(2) as usize],
        };
        let is_hasty = sampler.below(4) == 3;
        let deadline_ns = is_hasty.then(|| 1 + sampler.word() % DEADLINE_NS);
        let edge = EdgePolicy { on_fault, deadline_ns };
        let options = LinkOptions { isolate, edge, ..LinkOptions::new("root") };
        let linked = executable.link(&Imports::default(), &options).expect("it needs nobody");
        let machine = Machine::simulate(sampler.word()).expect("time can be simulated");
        let system = System::on(machine);
        let placement = Placement { mailbox: 1 + sampler.below(3) as usize, ..Placement::default() };
        let launched = system.launch(forge.engine(), Arc::new(linked), Box::new(presence), placement);
        let launched = launched.expect("there is room for a small tree");
        let is_calm = !callers.is_faulty() && !is_hasty && sampler.below(2) == 0;
        let generations = vec![0; launched.tree().domain_count() as usize];
        let history = History::default();
        Disorder { callers, system, launched, is_cyclic, is_calm, retries, is_hasty, generations, history }
    }

    /// Calls while domains are killed and started again; gives how often each process should have been called.
    fn disturb(&mut self, sampler: &mut Sampler<'_>) -> Vec<u32> {
        let mut served = vec![0; self.callers.all.len()];
        let mut calls = Vec::<Asked>::new();
        let mut left = 4 + sampler.below(10);
        for step in 0..STEPS {
            match sampler.below(256) {
                0..64 if left > 0 => {
                    left -= 1;
                    let (at, x) = (sampler.below(served.len() as u32), sampler.word() as u32);
                    let value = self.callers.answer(at, x, &mut served);
                    let call = start(&self.launched, &format!("go{at}"), &[x]);
                    calls.push(Asked { at, x, value, call });
                }
                64..68 if !self.is_calm => {
                    let domain = self.any_domain(sampler);
                    self.note(format!("{step}: kill {domain}"));
                    self.launched.kill(domain, BY).expect("the tree has this domain");
                }
                68..72 if !self.is_calm => {
                    let domain = self.any_domain(sampler);
                    self.note(format!("{step}: restart {domain}"));
                    self.launched.restart(domain, BY).expect("the machine runs");
                }
                // Nobody waits for it any more.
                72..76 if !self.is_calm => drop(calls.pop()),
                _ => {}
            }
            calls.retain_mut(|asked| !self.is_answered(step, asked));
            self.look();
            if !self.system.machine().step() && left == 0 {
                break;
            }
        }
        calls.retain_mut(|asked| !self.is_answered(STEPS, asked));
        assert!(calls.is_empty(), "{} answers are lost", calls.len());
        served
    }

    fn any_domain(&self, sampler: &mut Sampler<'_>) -> u32 {
        sampler.below(self.generations.len() as u32)
    }

    fn note(&mut self, line: String) {
        self.history.lines.push(line);
    }

    /// Looks whether a call is answered, and how.
    fn is_answered(&mut self, step: u32, asked: &mut Asked) -> bool {
        let Some(answer) = poll(&mut asked.call) else { return false };
        let Asked { at, x, value, .. } = *asked;
        self.note(format!("{step}: go{at}({x}) → {answer:?}"));
        match answer {
            Ok(answer) => {
                let may_fail = !self.is_calm || self.is_cyclic;
                let is_right = self.callers.may_answer(at, x, answer, may_fail);
                assert!(is_right, "go{at}({x}) is {answer}, not {value:?}");
            }
            Err(trap) => assert!(self.can_end(&trap, value), "go{at}({x}): {trap}"),
        }
        true
    }

    /// Whether a call that has this value if all goes well may end with this trap.
    fn can_end(&self, trap: &Trap, value: Option<u32>) -> bool {
        match trap {
            Trap::Unreachable => value.is_none(),
            Trap::Deadlock(_) => self.is_cyclic,
            // Late, or late before there was room for its message.
            Trap::Limit { limit, .. } => self.is_hasty && limit.starts_with(DEADLINE),
            Trap::Gone(_) | Trap::Killed(_) | Trap::CannotEnter => !self.is_calm || self.is_cyclic,
            _ => false,
        }
    }

    /// Generations only grow.
    fn look(&mut self) {
        for (domain, seen) in (0..).zip(&mut self.generations) {
            let generation = self.launched.tree().generation(domain);
            assert!(generation >= *seen, "domain {domain} was in generation {seen} and is in {generation}");
            *seen = generation;
        }
    }

    /// Where nothing goes wrong, each process was called as often as answers say.
    fn check_served(&self, served: &[u32]) {
        if !self.is_calm || self.is_cyclic {
            return;
        }
        let ask = |at| ask(&self.system, &self.launched, &format!("served{at}"), &[]);
        let counted: Vec<u32> = (0..served.len()).map(|at| ask(at).expect("nobody traps")).collect();
        assert_eq!(counted, served);
    }

    /// Whatever has happened: who begins again has nothing of the life before.
    fn begin_anew(&mut self) {
        self.restart_all();
        self.system.machine().run_until_idle();
        let before = self.generations.clone();
        self.look();
        let grown = before.iter().zip(&self.generations).all(|(before, now)| now > before);
        assert!(grown, "{before:?} before the restart, {:?} after it", self.generations);
        let usage = self.launched.tree().usage();
        let memory_bytes = MEMORY_BYTES * self.callers.all.len() as u64;
        assert_eq!((usage.memory_bytes, usage.handles), (memory_bytes, 0), "of lives before");
    }

    fn restart_all(&self) {
        for domain in (0..).take(self.generations.len()) {
            self.launched.restart(domain, BY).expect("the machine runs");
        }
    }

    /// Who begins again serves again.
    fn check_service(&mut self) {
        for at in (0..).take(self.callers.all.len()) {
            let value = self.callers.answer(at, 6, &mut vec![0; self.callers.all.len()]);
            let answer = ask(&self.system, &self.launched, &format!("go{at}"), &[6]);
            self.note(format!("go{at}(6) → {answer:?}"));
            match &answer {
                Ok(answer) => assert!(self.callers.may_answer(at, 6, *answer, true), "go{at}(6) is {answer}"),
                Err(trap) if value.is_some() => {
                    assert!(self.is_cyclic || self.is_hasty, "go{at}(6): {trap}");
                    assert!(self.can_end(trap, value), "go{at}(6): {trap}");
                }
                Err(trap) => assert!(self.can_end(trap, value), "go{at}(6): {trap}"),
            }
            // What has trapped is down, and with retries one of it may be up again.
            if self.is_hasty || self.callers.is_forgiving || (answer.is_err() && !self.retries) {
                self.restart_all();
            }
        }
    }

    /// Nobody waits any more.
    fn check_rest(&mut self) {
        self.system.machine().run_until_idle();
        for domain in self.launched.domains() {
            assert_eq!((domain.waiting, &domain.waits_for), (0, &None), "{}", domain.name);
        }
        let domains = (0..).take(self.generations.len());
        let threads = domains.filter_map(|domain| self.launched.domain(domain)?.thread().cloned());
        self.history.visits = threads.map(|thread| thread.visits()).sum();
    }
}

fn start(launched: &Launched, name: &str, args: &[u32]) -> Pin<Box<Call>> {
    let func = launched.func(&[name]).expect("it is exported");
    let args = args.iter().map(|arg| Value::U32(*arg)).collect();
    Box::pin(launched.start_call(&func, args).expect("it is short"))
}

/// The answer, if it has come: a number, or 0 for none.
fn poll(call: &mut Pin<Box<Call>>) -> Option<Result<u32, Trap>> {
    let answer = match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => return None,
        Poll::Ready(answer) => answer,
    };
    Some(match answer {
        Ok(Some(Value::U32(value))) => Ok(value),
        Ok(Some(Value::Result(Ok(Some(value))))) => match *value {
            Value::U32(value) => Ok(value),
            other => panic!("{other:?}"),
        },
        Ok(None) => Ok(0),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault.trap),
    })
}

/// Calls, and steps until the answer has come.
///
/// # Errors
/// The trap.
///
/// # Panics
/// If none comes.
pub fn ask(system: &System, launched: &Launched, name: &str, args: &[u32]) -> Result<u32, Trap> {
    let mut call = start(launched, name, args);
    for _ in 0..STEPS {
        if let Some(answer) = poll(&mut call) {
            return answer;
        }
        system.machine().step();
    }
    panic!("{name} is not answered");
}
