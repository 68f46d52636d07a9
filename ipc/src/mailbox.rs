//! Where calls wait for their domain: bounded, first come first served.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::fault::{Fault, Trap};
use abi::value::Value;
use kernel::component::carrier::Crossing;
use kernel::sched::park::Waiter;

use crate::reply::Reply;

/// What a caller gets back.
pub type Answer = Result<Option<Value>, Fault>;

/// A call under way to its domain.
#[derive(Debug)]
pub struct Message {
    /// What to do.
    pub crossing: Crossing,
    /// Where the answer goes. Dropping it unanswered answers that the domain is gone.
    pub reply: Reply,
}

/// The calls that wait for one domain.
#[derive(Debug)]
pub struct Mailbox {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Message>,
    /// Who waits for room, in order.
    senders: VecDeque<Waiter>,
    closed: Option<Trap>,
    /// The most that ever waited.
    peak: usize,
}

/// Why a message was not taken; it comes back.
#[derive(Debug)]
pub enum Refused {
    /// There is no room now.
    Full(Message),
    /// There will never be.
    Closed(Trap),
}

impl Mailbox {
    /// An empty mailbox with room for `capacity` messages, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Arc<Mailbox> {
        Arc::new(Mailbox { capacity: capacity.max(1), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message behind those that wait. Where there is no room, `waiter` is woken when there may be.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn push(&self, message: Message, waiter: impl FnOnce() -> Waiter) -> Result<(), Refused> {
        let mut state = self.state();
        if let Some(why) = &state.closed {
            let why = why.clone();
            drop(state); // the reply wakes somebody
            return Err(Refused::Closed(why));
        }
        if state.waiting.len() >= self.capacity {
            state.senders.push_back(waiter());
            return Err(Refused::Full(message));
        }
        state.waiting.push_back(message);
        state.peak = state.peak.max(state.waiting.len());
        Ok(())
    }

    /// Takes the message that has waited longest.
    #[must_use]
    pub fn take(&self) -> Option<Message> {
        let mut state = self.state();
        let message = state.waiting.pop_front();
        // All of them: one may have gone away since, and would not pass it on.
        let senders = if message.is_some() { std::mem::take(&mut state.senders) } else { VecDeque::new() };
        drop(state);
        senders.iter().for_each(Waiter::wake);
        message
    }

    /// Takes no more messages; those that wait are answered with the reason, as all later ones are.
    pub fn close(&self, why: &Trap) {
        let mut state = self.state();
        state.closed.get_or_insert_with(|| why.clone());
        let (waiting, senders) = (std::mem::take(&mut state.waiting), std::mem::take(&mut state.senders));
        drop(state);
        for message in waiting {
            message.reply.answer(Err(Fault::new(Trap::Gone(why.to_string()))));
        }
        senders.iter().for_each(Waiter::wake);
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most messages that ever waited.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.state().peak
    }
}
