//! The way back: one answer, given once, taken once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::fault::{Fault, Trap};
use kernel::sched::park::Waiter;

use crate::mailbox::Answer;

#[derive(Debug, Default)]
struct Slot {
    answer: Option<Answer>,
    waiter: Option<Waiter>,
}

/// Where an answer goes. Dropped without one, it answers that the domain is gone: no call is ever left waiting.
#[derive(Debug)]
pub struct Reply(Option<Arc<Mutex<Slot>>>);

/// Where an answer comes from.
#[derive(Debug)]
pub struct Pending(Arc<Mutex<Slot>>);

/// Both ends of one answer.
#[must_use]
pub fn pair() -> (Reply, Pending) {
    let slot = Arc::<Mutex<Slot>>::default();
    (Reply(Some(Arc::clone(&slot))), Pending(slot))
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reply {
    /// Gives the answer.
    pub fn answer(mut self, answer: Answer) {
        self.give(answer);
    }

    fn give(&mut self, answer: Answer) {
        let Some(slot) = self.0.take() else { return };
        let mut slot = lock(&slot);
        slot.answer = Some(answer);
        let waiter = slot.waiter.take();
        drop(slot);
        waiter.iter().for_each(Waiter::wake);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.give(Err(Fault::new(Trap::Gone("it ended before it answered".to_owned()))));
    }
}

impl Pending {
    /// The answer, if it is there; else `waiter` is woken when it comes.
    #[must_use]
    pub fn take(&self, waiter: impl FnOnce() -> Waiter) -> Option<Answer> {
        let mut slot = lock(&self.0);
        let answer = slot.answer.take();
        if answer.is_none() {
            slot.waiter = Some(waiter());
        }
        answer
    }

    /// The answer, if it is there.
    #[must_use]
    pub fn try_take(&self) -> Option<Answer> {
        lock(&self.0).answer.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_once_and_always() {
        let (reply, pending) = pair();
        assert!(pending.try_take().is_none());
        reply.answer(Ok(None));
        assert_eq!(pending.try_take(), Some(Ok(None)));
        assert!(pending.try_take().is_none());
        let (reply, pending) = pair();
        drop(reply);
        assert!(matches!(pending.try_take(), Some(Err(Fault { trap: Trap::Gone(_), .. }))));
    }
}
