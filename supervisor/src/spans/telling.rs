//! From what a tree does to `tracing`: any subscriber is told, the console's own or that of a program which embeds this library.
//!
//! A call is told when it has ended, and `tracing` cannot be told of the past: a `call` span closes at once, and its times are in
//! its fields `began_unix_ns` and `took_ns`. So is the call that it was made in, `within`; its parent is the tree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use abi::fault::Trap;
use abi::id::DomainId;
use abi::state::ProcessState;
use ipc::edge_glob::EdgeGlob;
use ipc::fates::{Event, Watch, What};
use ipc::launched::DomainView;
use ipc::traced::{Trace, TracedCall};
use kernel::component::observe::feed::Outcome;
use kernel::sched::park::Waiter;
use tracing::field::Empty;
use tracing::{Dispatch, Span, dispatcher, error, info, info_span, warn};

use super::nesting::{Nested, Nesting};
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::limits::TRACED_CALLS;
use crate::steward::Steward;

/// The target of all spans and events that tell of trees.
pub const TARGET: &str = "atoll";

/// How long one step of waiting takes, after which the tree may have ended.
const STEP: Duration = Duration::from_millis(20);

/// Tells of one tree.
pub struct Teller {
    steward: Arc<dyn Steward>,
    watch: Watch,
    /// The domains as they stood when the watch began.
    first: Vec<DomainView>,
    calls: Option<(Trace, Nesting)>,
}

impl Teller {
    /// Listens to a tree from now on: to what becomes of its domains, and to calls over the edges that fit a pattern.
    ///
    /// # Errors
    /// Calls cannot be traced.
    pub fn new(steward: &Arc<dyn Steward>, calls: Option<&EdgeGlob>) -> Result<Teller, Complaint> {
        let launched = steward.launched();
        let calls = calls.map(|glob| {
            let edges = launched.edges();
            let nesting = Nesting::new(edges.iter().map(|edge| (edge, glob.matches(edge))));
            launched.trace(|edge| glob.matches(edge), TRACED_CALLS).map(|trace| (trace, nesting))
        });
        let calls = calls.transpose().map_err(|error| {
            Complaint::new(Exit::Failed, "--spans: calls cannot be traced").because(error)
        })?;
        let (watch, first) = (launched.overhear(), launched.domains());
        Ok(Teller { steward: Arc::clone(steward), watch, first, calls })
    }

    /// Tells a subscriber, until it is over. `after` runs when something was told and nothing is waiting.
    pub fn tell(mut self, dispatch: &Dispatch, is_over: &AtomicBool, after: &(dyn Fn() + Sync)) {
        dispatcher::with_default(dispatch, || {
            let tree = info_span!(
                target: TARGET, parent: None, "tree",
                tree = self.steward.name(), file = self.steward.file(), error = Empty
            );
            info!(target: TARGET, parent: &tree, "launched");
            let calls = self.calls.take();
            thread::scope(|scope| {
                if let Some((trace, nesting)) = calls {
                    let tree = &tree;
                    let tell = move || {
                        dispatcher::with_default(dispatch, || {
                            tell_calls(&trace, nesting, tree, is_over, after);
                        });
                    };
                    let thread = thread::Builder::new().name("atoll-calls".to_owned());
                    if let Err(error) = thread.spawn_scoped(scope, tell) {
                        warn!(target: TARGET, parent: tree, because = %error, "calls cannot be told");
                    }
                }
                self.tell_lives(&tree, is_over, after);
            });
            self.tell_end(&tree);
        });
        after();
    }

    /// What becomes of the domains: a span for each life.
    fn tell_lives(&self, tree: &Span, is_over: &AtomicBool, after: &dyn Fn()) {
        let mut lives = BTreeMap::new();
        for domain in &self.first {
            let life = self.life(tree, domain.id);
            if let Some(trap) = &domain.ended {
                ended(&life, trap);
            } else {
                lives.insert(domain.id.index, life);
            }
        }
        after();
        loop {
            // Looked at before the events: those that came before the end are told.
            let is_over = is_over.load(Ordering::SeqCst);
            let mut any = false;
            while let Some(event) = self.watch.next(Waiter::current) {
                self.happened(tree, &mut lives, event);
                any = true;
            }
            if any {
                after();
            }
            if is_over {
                return;
            }
            thread::park();
        }
    }

    fn happened(&self, tree: &Span, lives: &mut BTreeMap<u32, Span>, event: Event) {
        let Event { domain, what, .. } = event;
        match what {
            What::Began => {
                lives.insert(domain.index, self.life(tree, domain));
            }
            What::Faulted { fault, processes } => {
                let all = self.steward.launched().tree().linked().processes();
                let paths = processes.iter().filter_map(|process| all.get(*process as usize));
                let paths = paths.map(|process| &*process.path).collect::<Vec<_>>().join(" ");
                let (trap, process) = (fault.trap.to_string(), &*fault.process_name);
                let parent = lives.get(&domain.index).unwrap_or(tree);
                let generation = domain.generation;
                error!(target: TARGET, parent: parent, generation, error = trap, process, ends = paths, "faulted");
                parent.record("error", &*trap);
            }
            What::Ended(trap) => {
                // Of a life whose beginning was missed nothing is known but its end.
                let life = lives.remove(&domain.index).unwrap_or_else(|| self.life(tree, domain));
                ended(&life, &trap);
            }
        }
    }

    /// A life of a domain that begins.
    fn life(&self, tree: &Span, domain: DomainId) -> Span {
        let linked = self.steward.launched().tree().linked();
        let name = linked.domain_roots().find(|(number, _)| *number == domain.index);
        let processes = linked.processes().iter().filter(|process| process.place.domain == domain.index);
        let processes = processes.map(|process| &*process.path).collect::<Vec<_>>().join(" ");
        let (name, generation) = (name.map_or("", |(_, path)| path), domain.generation);
        let life = info_span!(
            target: TARGET, parent: tree, "domain",
            domain = name, generation, processes, error = Empty
        );
        info!(target: TARGET, parent: &life, "{}", if generation == 0 { "started" } else { "restarted" });
        life
    }

    fn tell_end(&self, tree: &Span) {
        let missed = self.watch.missed();
        if missed > 0 {
            warn!(target: TARGET, parent: tree, missed, "events were missed");
        }
        let root = self.steward.launched().tree().processes().into_iter().next();
        if root.is_some_and(|root| root.state == ProcessState::Faulted) {
            tree.record("error", "its root has faulted");
        }
        info!(target: TARGET, parent: tree, "ended");
    }
}

fn ended(life: &Span, trap: &Trap) {
    let why = trap.to_string();
    info!(target: TARGET, parent: life, because = &*why, "ended");
    // Whom somebody has ended, and who has ended as it should, has not failed.
    if !matches!(trap, Trap::Killed(_) | Trap::Exit(0)) {
        life.record("error", &*why);
    }
}

/// Tells calls until it is over; what has ended until then is told.
fn tell_calls(trace: &Trace, mut nesting: Nesting, tree: &Span, is_over: &AtomicBool, after: &dyn Fn()) {
    let mut lost = 0;
    loop {
        let is_over = is_over.load(Ordering::SeqCst);
        let calls = trace.wait(if is_over { Duration::ZERO } else { STEP });
        if trace.lost() > lost {
            warn!(target: TARGET, parent: tree, lost = trace.lost() - lost, "calls were lost");
            lost = trace.lost();
            nesting.forget();
        }
        for call in &calls {
            let edge = &call.edge;
            tell_call(call, nesting.place(&edge.caller, &edge.callee, call.began_unix_ns), tree);
        }
        if !calls.is_empty() {
            after();
        }
        if is_over {
            return;
        }
    }
}

fn tell_call(call: &TracedCall, Nested { number, within }: Nested, tree: &Span) {
    let TracedCall { edge, began_unix_ns, took_ns, args, outcome } = call;
    let (caller, callee) = (edge.caller.to_string(), edge.callee.to_string());
    let (result, error) = match outcome {
        Outcome::Returned(value) => (value.as_deref(), None),
        Outcome::Trapped(why) => (None, Some(&**why)),
    };
    info_span!(
        target: TARGET, parent: tree, "call",
        number, within, caller, callee, function = &*edge.function, rung = %edge.rung,
        args = &**args, result, error, began_unix_ns, took_ns
    );
}
