//! Calls over a boundary whose callee can run at once: the processor is handed over to its thread, and comes back.
//!
//! A domain remembers for each of its ports who serves it in its present life. Whoever is busy, or must not be called this
//! way, gets a message instead ([`super::carrier`]).

use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::value::Value;

use super::carrier::{Crossing, serve_call};
use super::peers::Peers;
use super::port::{OnFault, Port};
use super::running::Running;
use crate::mem::stack::StackBounds;
use crate::sched::handoff::{Errand, Handed, Order, Terms, Witness, hand_off};
use crate::sched::park;
use crate::sched::thread::Thread;

/// What a call comes to.
pub type Answer = Result<Option<Value>, Fault>;

/// Takes an answer; whether somebody waited for it.
pub type Receiver = Box<dyn FnOnce(Answer) -> bool + Send>;

/// Whoever serves a domain in one of its lives, as the threads of other domains find it.
pub trait Resident: Witness {
    /// The thread that serves it. Its body keeps the domain.
    fn thread(&self) -> &Thread;

    /// Waits, for domain `from`, for a call that was handed over at `began_ns` and has left the processor, `after_ns` from
    /// then at most. `go_on` lets it go on.
    ///
    /// # Errors
    /// The callee's fault; that it is gone; that the time has passed, or that the caller is condemned.
    fn follow(
        &self,
        from: u32,
        began_ns: u64,
        after_ns: Option<u64>,
        go_on: &mut dyn FnMut(Receiver),
    ) -> Answer;
}

/// What is known of whoever is behind a port.
#[derive(Default)]
pub(super) enum Near {
    /// Nothing yet, in this life of it.
    #[default]
    Unknown,
    /// It only takes messages.
    Far,
    /// It may be called directly.
    Next(Neighbour),
}

/// Whoever serves a domain, in the life that was found.
#[derive(Clone)]
pub(super) struct Neighbour {
    pub resident: Arc<dyn Resident>,
    pub generation: u32,
}

/// Who is behind a port, which import `index` of a domain is, if it may be called directly. To be asked after
/// [`Running::refresh`].
#[inline]
pub(super) fn neighbour<'r>(
    running: &'r mut Running,
    peers: &Peers,
    index: usize,
    port: &Port,
) -> Option<&'r Neighbour> {
    if !matches!(running.near.get(index), Some(Near::Next(_) | Near::Far)) {
        look_around(running, peers, index, port);
    }
    match running.near.get(index) {
        Some(Near::Next(neighbour)) => Some(neighbour),
        _ => None,
    }
}

#[cold]
fn look_around(running: &mut Running, peers: &Peers, index: usize, port: &Port) {
    let Some(carrier) = peers.carrier() else { return };
    let imports = running.program().imports.len();
    running.near.resize_with(imports, Near::default);
    let to = port.func.domain;
    let generation = peers.generation(to);
    let resident = match port.policy.on_fault {
        // What is sent again is a message.
        OnFault::Retry(_) => None,
        _ => carrier.resident(to),
    };
    running.near[index] =
        resident.map_or(Near::Far, |resident| Near::Next(Neighbour { resident, generation }));
}

/// A call with component values on its way.
struct Delivery {
    peers: Arc<Peers>,
    generation: u32,
    crossing: Crossing,
}

enum Delivered {
    Served {
        answer: Answer,
        /// What is to be sent if nobody waits for the answer.
        afterwards: Option<Crossing>,
    },
    /// It is for an earlier life.
    Stale(Crossing),
}

impl Errand for Delivery {
    type Outcome = Delivered;

    fn run(mut self, stack: StackBounds) -> Delivered {
        // Only the thread that runs this begins another life.
        if self.peers.generation(self.crossing.domain()) != self.generation {
            return Delivered::Stale(self.crossing);
        }
        let answer = serve_call(&self.peers, self.generation, &self.crossing, stack);
        Delivered::Served { answer, afterwards: self.crossing.afterwards() }
    }
}

/// Has a call of domain `from` served at once, or gives it back.
pub(super) fn deliver(
    neighbour: &Neighbour,
    peers: &Arc<Peers>,
    from: u32,
    crossing: Crossing,
    after_ns: Option<u64>,
) -> Result<Answer, Crossing> {
    let Neighbour { resident, generation } = neighbour;
    let began_ns = after_ns.map_or(0, |_| park::now_ns());
    let terms = terms(&**resident, crossing.domain(), from, began_ns, after_ns);
    let delivery = Delivery { peers: Arc::clone(peers), generation: *generation, crossing };
    let mut order = Order::new(delivery);
    // SAFETY: the errand owns what it refers to.
    match unsafe { hand_off(&terms, &mut order) } {
        Handed::Refused => Err(order.errand().expect("nobody has taken it").crossing),
        Handed::Done => match order.outcome().expect("it is done") {
            Delivered::Stale(crossing) => Err(crossing),
            Delivered::Served { answer, .. } => Ok(answer),
        },
        Handed::Lost => Ok(Err(lost())),
        Handed::Left(away) => {
            let (mut away, peers) = (Some(away), Arc::clone(peers));
            Ok(resident.follow(from, began_ns, after_ns, &mut |receiver| {
                let (Some(away), peers) = (away.take(), Arc::clone(&peers)) else { return };
                away.go_on(move |delivered| receive(&peers, delivered, receiver));
            }))
        }
    }
}

fn receive(peers: &Peers, delivered: Delivered, receiver: Receiver) {
    match delivered {
        Delivered::Served { answer, afterwards } => {
            if !receiver(answer)
                && let (Some(carrier), Some(afterwards)) = (peers.carrier(), afterwards)
            {
                carrier.post(afterwards);
            }
        }
        Delivered::Stale(crossing) => peers.release_all(&crossing.into_values()),
    }
}

/// The terms of a call that domain `from` makes.
#[inline]
pub(super) fn terms(
    resident: &dyn Resident,
    to: u32,
    from: u32,
    began_ns: u64,
    after_ns: Option<u64>,
) -> Terms<'_> {
    let deadline_ns = after_ns.map(|after_ns| began_ns.saturating_add(after_ns));
    Terms { callee: resident.thread(), to, from, deadline_ns, witness: resident }
}

/// The fault of a call whose callee's thread ended without an answer.
pub(super) fn lost() -> Fault {
    Fault::new(Trap::Gone("it ended before it answered".to_owned()))
}
