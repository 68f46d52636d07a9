//! Where calls wait for their domain: bounded, first come first served.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::fault::{Fault, Trap};
use abi::value::Value;
use kernel::component::carrier::{Crossing, Undelivered};
use kernel::sched::park::Waiter;

use crate::reply::Reply;

/// What a caller gets back.
pub type Answer = Result<Option<Value>, Fault>;

/// Something under way to the domain that is to do it. Dropped unserved, what it carries is released.
#[derive(Debug)]
pub struct Message {
    crossing: Option<Crossing>,
    /// Where the answer goes, if somebody waits for one. Dropped unanswered it says that the domain is gone.
    reply: Option<Reply>,
    undelivered: Undelivered,
}

impl Message {
    /// A message whose answer goes to `reply`.
    #[must_use]
    pub fn new(crossing: Crossing, reply: Option<Reply>, undelivered: Undelivered) -> Message {
        Message { crossing: Some(crossing), reply, undelivered }
    }

    /// What to do, for whoever does it, and where the answer goes.
    #[must_use]
    pub fn open(mut self) -> (Option<Crossing>, Option<Reply>) {
        (self.crossing.take(), self.reply.take())
    }

    /// Whether somebody waited for the answer and does not any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.reply.as_ref().is_some_and(Reply::is_abandoned)
    }

    /// Answers without having served it.
    pub fn refuse(mut self, why: &Trap) {
        if let Some(reply) = self.reply.take_if(|reply| !reply.is_abandoned()) {
            reply.answer(Err(Fault::new(Trap::Gone(why.to_string()))));
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if let Some(crossing) = self.crossing.take() {
            let abandoned = self.reply.as_ref().is_some_and(Reply::is_abandoned);
            self.undelivered.lost(crossing, abandoned);
        }
    }
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

    /// Puts a message behind those that wait, whether there is room or not: one that nobody waits for, of which there are
    /// no more than what was called for before. Once the mailbox is closed it is dropped.
    pub fn post(&self, message: Message) {
        let mut state = self.state();
        if state.closed.is_none() {
            state.waiting.push_back(message);
            return;
        }
        drop(state); // what it carries is released, perhaps into another mailbox
        drop(message);
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
            message.refuse(why);
        }
        senders.iter().for_each(Waiter::wake);
    }

    /// Takes no more messages; those that wait are served.
    pub fn shut(&self, why: &Trap) {
        let mut state = self.state();
        state.closed.get_or_insert_with(|| why.clone());
        let senders = std::mem::take(&mut state.senders);
        drop(state);
        senders.iter().for_each(Waiter::wake);
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Why it takes no more messages, if it does not.
    #[must_use]
    pub fn closed(&self) -> Option<Trap> {
        self.state().closed.clone()
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
