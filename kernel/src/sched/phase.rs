//! The state of a thread as workers, wakers and the thread itself see it: one word, changed by compare-and-swap.

use super::atomics::{AtomicU8, Ordering};

/// Waits, or has nothing to do; in no queue.
const IDLE: u8 = 0;
/// In exactly one queue, or about to be put there by who made it so.
const READY: u8 = 1;
/// A worker has it.
const RUNNING: u8 = 2;
/// Will never run again.
const DONE: u8 = 3;
const PHASE: u8 = 3;
/// Somebody woke it while it did not wait: its next wait is over at once.
const TOKEN: u8 = 4;

/// The state of one thread.
///
/// ```text
///          wake               begin             park
///   IDLE ───────▶ READY ─────────────▶ RUNNING ───────▶ IDLE      (with a token: READY)
///    │              ▲                 ▲  │   │ end
///    │              └─────────────────│──┘   └─────────▶ DONE
///    │                     preempt    │
///    └────────────────────────────────┘
///                  claim
/// ```
#[derive(Debug)]
pub struct State(AtomicU8);

/// What whoever changed a state has to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Then {
    /// Put the thread into a queue: nobody else will.
    Enqueue,
    /// Nothing.
    Nothing,
}

impl Default for State {
    fn default() -> State {
        State(AtomicU8::new(IDLE))
    }
}

impl State {
    fn update(&self, change: impl Fn(u8) -> Option<u8>) -> Result<u8, u8> {
        let mut now = self.0.load(Ordering::Acquire);
        loop {
            let Some(next) = change(now) else { return Err(now) };
            match self.0.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(before) => return Ok(before),
                Err(actual) => now = actual,
            }
        }
    }

    /// Ends the thread's wait, or its next one.
    pub fn wake(&self) -> Then {
        let before = self.update(|now| match now & PHASE {
            IDLE => Some(READY),
            DONE => None,
            _ => Some(now | TOKEN),
        });
        if before.is_ok_and(|before| before & PHASE == IDLE) { Then::Enqueue } else { Then::Nothing }
    }

    /// A worker took it out of a queue and runs it.
    pub fn begin(&self) {
        let before = self.update(|now| Some(now & TOKEN | RUNNING));
        debug_assert!(before.is_ok_and(|before| before & PHASE == READY), "only what is in a queue is begun");
    }

    /// Takes it if it waits, without a queue; whether that was so. Whoever did runs it, or parks it again.
    #[must_use]
    pub fn claim(&self) -> bool {
        self.update(|now| (now == IDLE).then_some(RUNNING)).is_ok()
    }

    /// It is off the processor and waits.
    pub fn park(&self) -> Then {
        let before = self.update(|now| Some(if now & TOKEN == 0 { IDLE } else { READY }));
        if before.is_ok_and(|before| before & TOKEN != 0) { Then::Enqueue } else { Then::Nothing }
    }

    /// It is off the processor and can go on.
    pub fn preempt(&self) -> Then {
        let before = self.update(|now| Some(now & TOKEN | READY));
        debug_assert!(before.is_ok_and(|before| before & PHASE == RUNNING), "only what runs is pre-empted");
        Then::Enqueue
    }

    /// It has ended.
    pub fn end(&self) {
        let before = self.update(|_| Some(DONE));
        debug_assert!(before.is_ok_and(|before| before & PHASE != DONE), "nothing ends twice");
    }

    /// Whether it was woken since it last waited; forgets that.
    pub fn take_token(&self) -> bool {
        self.update(|now| (now & TOKEN != 0).then_some(now & !TOKEN)).is_ok()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) & PHASE == DONE
    }

    /// Whether it waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.load(Ordering::Acquire) & PHASE == IDLE
    }

    /// Whether a worker has it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.load(Ordering::Acquire) & PHASE == RUNNING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_is_never_lost_and_never_counted_twice() {
        let state = State::default();
        assert_eq!(state.wake(), Then::Enqueue);
        assert_eq!(state.wake(), Then::Nothing); // in the queue already
        state.begin();
        assert!(state.take_token());
        assert_eq!(state.park(), Then::Nothing);
        assert_eq!(state.wake(), Then::Enqueue);
        state.begin();
        assert_eq!(state.wake(), Then::Nothing);
        assert_eq!(state.preempt(), Then::Enqueue);
        state.begin();
        assert_eq!(state.park(), Then::Enqueue); // the token lived through the pre-emption
        assert!(!state.claim()); // it is in a queue
        state.begin();
        assert!(!state.claim());
        assert_eq!(state.park(), Then::Nothing);
        assert!(state.claim());
        assert_eq!(state.wake(), Then::Nothing);
        assert_eq!(state.park(), Then::Enqueue);
        state.begin();
        state.end();
        assert_eq!(state.wake(), Then::Nothing);
        assert!(state.is_done());
    }
}
