//! Who watches over a tree is told what becomes of its domains: that one has faulted, has ended, has begun again.
//!
//! Telling never waits for the watcher. Of each domain only the latest events are kept; since every life has its own
//! number, a watcher that has missed some still sees that the life it knows is over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use abi::fault::{Fault, Trap};
use abi::id::DomainId;
use kernel::component::onlooker::Onlooker;
use kernel::sched::park::Waiter;

use crate::limits::EVENTS_OF_A_DOMAIN;

/// Names one life of one domain. A later life has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life(pub u64);

/// Something that has become of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which domain, and in which generation.
    pub domain: DomainId,
    /// In which life.
    pub life: Life,
    /// What.
    pub what: What,
}

/// What has become of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// This life has begun: everything is loaded anew, and calls are served. Of the first lives nothing is told.
    Began,
    /// A call has faulted or asked for the end, and has ended processes of it. Its others can be called still.
    Faulted {
        /// What happened.
        fault: Box<Fault>,
        /// Which of its processes this has ended, as indices of the tree's processes.
        processes: Vec<u32>,
    },
    /// This life has ended, and its memory is given back.
    Ended(Trap),
}

/// What has become of the domains of a tree. Nobody is told any more once it is dropped.
#[derive(Debug)]
pub struct Watch(Arc<Board>);

/// Where events are left for the watcher.
#[derive(Debug, Default)]
pub(crate) struct Board {
    is_watched: AtomicBool,
    state: Mutex<State>,
    /// The life that each generation of a domain is, where one has begun.
    lives: Mutex<Vec<(u32, Life)>>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    waiter: Option<Waiter>,
    missed: u64,
}

impl Board {
    /// The next domain has its first life.
    pub fn add(&self, life: Life) {
        self.lives().push((0, life));
    }

    /// The events from now on, unless somebody has them already.
    pub fn watch(self: &Arc<Board>) -> Option<Watch> {
        (!self.is_watched.swap(true, Ordering::SeqCst)).then(|| Watch(Arc::clone(self)))
    }

    /// Whether somebody wants to know.
    pub fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::SeqCst)
    }

    /// Tells the watcher, if there is one.
    pub fn tell(&self, event: Event) {
        if event.what == What::Began
            && let Some(life) = self.lives().get_mut(event.domain.index as usize)
        {
            *life = (event.domain.generation, event.life);
        }
        if !self.is_watched() {
            return;
        }
        let mut state = self.state();
        let same = |other: &Event| other.domain.index == event.domain.index;
        if state.events.iter().filter(|other| same(other)).count() >= EVENTS_OF_A_DOMAIN {
            let oldest = state.events.iter().position(same).expect("there are some");
            state.events.remove(oldest);
            state.missed += 1;
        }
        state.events.push_back(event);
        let waiter = state.waiter.take();
        drop(state);
        waiter.iter().for_each(Waiter::wake);
    }

    fn lives(&self) -> MutexGuard<'_, Vec<(u32, Life)>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Onlooker for Board {
    fn fell(&self, domain: DomainId, processes: &[u32], fault: &Fault) {
        if !self.is_watched() {
            return;
        }
        let known = self.lives().get(domain.index as usize).copied();
        // One that falls before it has begun ends, and that is told.
        if let Some((generation, life)) = known.filter(|(generation, _)| *generation == domain.generation) {
            let domain = DomainId { generation, ..domain };
            let what = What::Faulted { fault: Box::new(fault.clone()), processes: processes.to_vec() };
            self.tell(Event { domain, life, what });
        }
    }
}

impl Watch {
    /// The next event, if there is one; else `waiter` is woken when it comes.
    pub fn next(&self, waiter: impl FnOnce() -> Waiter) -> Option<Event> {
        let mut state = self.0.state();
        let event = state.events.pop_front();
        if event.is_none() {
            state.waiter = Some(waiter());
        }
        event
    }

    /// How many events nobody has seen, because later ones of the same domain came before they were taken.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.0.state().missed
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.is_watched.store(false, Ordering::SeqCst);
        *self.0.state() = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(index: u32, life: u64) -> Event {
        Event { domain: DomainId { index, generation: 0 }, life: Life(life), what: What::Began }
    }

    #[test]
    fn the_latest_events_of_each_domain_are_kept() {
        let board = Arc::<Board>::default();
        board.tell(event(0, 0));
        let watch = board.watch().expect("nobody watches yet");
        assert!(board.watch().is_none());
        for life in 0..20 {
            board.tell(event(0, life));
        }
        board.tell(event(1, 7));
        let take = || watch.next(Waiter::current);
        let first = 20 - EVENTS_OF_A_DOMAIN as u64;
        for life in first..20 {
            assert_eq!(take(), Some(event(0, life)));
        }
        assert_eq!((take(), take(), watch.missed()), (Some(event(1, 7)), None, first));
        drop(watch);
        board.tell(event(0, 0));
        assert_eq!(board.watch().expect("nobody watches any more").next(Waiter::current), None);
    }
}
