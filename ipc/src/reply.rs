//! The way back: one answer, given once, taken once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::fault::{Fault, Trap};
use kernel::component::carrier::Undelivered;
use kernel::sched::park::Waiter;

use crate::mailbox::Answer;

#[derive(Debug, Default)]
struct Slot {
    answer: Option<Answer>,
    waiter: Option<Waiter>,
    /// Nobody waits for the answer any more.
    abandoned: bool,
}

/// Where an answer goes. Dropped without one, it answers that the domain is gone: no call is ever left waiting.
#[derive(Debug)]
pub struct Reply {
    slot: Option<Arc<Mutex<Slot>>>,
    undelivered: Option<Undelivered>,
}

/// Where an answer comes from. Whoever drops it does not want the answer: what that owns is released.
#[derive(Debug)]
pub struct Pending {
    slot: Arc<Mutex<Slot>>,
    undelivered: Option<Undelivered>,
}

/// Both ends of one answer. What an answer owns that nobody takes goes to `undelivered`.
#[must_use]
pub fn pair(undelivered: Option<Undelivered>) -> (Reply, Pending) {
    let slot = Arc::<Mutex<Slot>>::default();
    let reply = Reply { slot: Some(Arc::clone(&slot)), undelivered: undelivered.clone() };
    (reply, Pending { slot, undelivered })
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn release(undelivered: Option<&Undelivered>, answer: Option<Answer>) {
    if let (Some(undelivered), Some(Ok(Some(value)))) = (undelivered, answer) {
        undelivered.release(&[value]);
    }
}

impl Reply {
    /// Gives the answer; whether somebody waits for it.
    pub fn answer(mut self, answer: Answer) -> bool {
        self.give(answer)
    }

    /// Whether nobody waits for the answer any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| lock(slot).abandoned)
    }

    fn give(&mut self, answer: Answer) -> bool {
        let Some(slot) = self.slot.take() else { return false };
        let mut slot = lock(&slot);
        if slot.abandoned {
            drop(slot);
            release(self.undelivered.as_ref(), Some(answer));
            return false;
        }
        slot.answer = Some(answer);
        let waiter = slot.waiter.take();
        drop(slot);
        waiter.iter().for_each(Waiter::wake);
        true
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
        let mut slot = lock(&self.slot);
        let answer = slot.answer.take();
        if answer.is_none() {
            slot.waiter = Some(waiter());
        }
        answer
    }

    /// Waits no more: the answer, if it came at the last moment; whoever answers from now on is told.
    #[must_use]
    pub fn abandon(&self) -> Option<Answer> {
        let mut slot = lock(&self.slot);
        slot.abandoned = true;
        slot.answer.take()
    }

    /// The answer, if it is there.
    #[must_use]
    pub fn try_take(&self) -> Option<Answer> {
        lock(&self.slot).answer.take()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut slot = lock(&self.slot);
        slot.abandoned = true;
        let answer = slot.answer.take();
        drop(slot);
        release(self.undelivered.as_ref(), answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_once_and_always() {
        let (reply, pending) = pair(None);
        assert!(pending.try_take().is_none());
        assert!(reply.answer(Ok(None)));
        assert_eq!(pending.try_take(), Some(Ok(None)));
        assert!(pending.try_take().is_none());
        let (reply, pending) = pair(None);
        drop(reply);
        assert!(matches!(pending.try_take(), Some(Err(Fault { trap: Trap::Gone(_), .. }))));
        let (reply, pending) = pair(None);
        drop(pending);
        assert!(!reply.answer(Ok(None)));
        let (reply, pending) = pair(None);
        assert_eq!(pending.abandon(), None);
        assert!(!reply.answer(Ok(None)));
    }
}
