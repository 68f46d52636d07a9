//! Who watches over a tree is told what becomes of its domains: that one has faulted, has ended, has begun again.
//!
//! Telling never waits for the watcher. Of each domain only the latest events are kept; since every life has its own
//! number, a watcher that has missed some still sees that the life it knows is over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// What has become of the domains of a tree. Its holder is not told any more once it is dropped.
#[derive(Debug)]
pub struct Watch {
    board: Arc<Board>,
    inbox: Arc<Inbox>,
    /// Whether this is the one watch of whoever is responsible for the tree.
    is_charge: bool,
}

/// Where events are left for the watchers.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Whether somebody is responsible for the tree.
    is_in_charge: AtomicBool,
    /// How many inboxes there are: with none, telling is one load.
    watchers: AtomicUsize,
    inboxes: Mutex<Vec<Arc<Inbox>>>,
    /// The life that each generation of a domain is, where one has begun.
    lives: Mutex<Vec<(u32, Life)>>,
}

/// What one watcher has not seen yet.
#[derive(Debug, Default)]
struct Inbox(Mutex<State>);

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

    /// The events from now on, for whoever is responsible for the tree; `None` if somebody is already.
    pub fn watch(self: &Arc<Board>) -> Option<Watch> {
        (!self.is_in_charge.swap(true, Ordering::SeqCst)).then(|| self.inbox(true))
    }

    /// The events from now on, for somebody who only wants to know.
    pub fn overhear(self: &Arc<Board>) -> Watch {
        self.inbox(false)
    }

    fn inbox(self: &Arc<Board>, is_charge: bool) -> Watch {
        let inbox = Arc::<Inbox>::default();
        self.inboxes().push(Arc::clone(&inbox));
        self.watchers.fetch_add(1, Ordering::SeqCst);
        Watch { board: Arc::clone(self), inbox, is_charge }
    }

    /// Whether somebody wants to know.
    fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::SeqCst) > 0
    }

    /// Tells the watchers, if there are any.
    pub fn tell(&self, event: Event) {
        if event.what == What::Began
            && let Some(life) = self.lives().get_mut(event.domain.index as usize)
        {
            *life = (event.domain.generation, event.life);
        }
        if !self.is_watched() {
            return;
        }
        // Whoever is woken may drop its watch.
        let inboxes = self.inboxes().clone();
        inboxes.iter().for_each(|inbox| inbox.put(event.clone()));
    }

    fn inboxes(&self) -> MutexGuard<'_, Vec<Arc<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lives(&self) -> MutexGuard<'_, Vec<(u32, Life)>> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inbox {
    /// Adds an event, in place of the domain's oldest one if there are too many, and wakes the watcher.
    fn put(&self, event: Event) {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut state = self.inbox.state();
        let event = state.events.pop_front();
        if event.is_none() {
            state.waiter = Some(waiter());
        }
        event
    }

    /// How many events nobody has seen, because later ones of the same domain came before they were taken.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.inbox.state().missed
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.board.inboxes().retain(|inbox| !Arc::ptr_eq(inbox, &self.inbox));
        self.board.watchers.fetch_sub(1, Ordering::SeqCst);
        if self.is_charge {
            self.board.is_in_charge.store(false, Ordering::SeqCst);
        }
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

    #[test]
    fn any_number_can_overhear_and_each_sees_all() {
        let board = Arc::<Board>::default();
        let (first, watch) = (board.overhear(), board.watch().expect("nobody is responsible yet"));
        let second = board.overhear();
        board.tell(event(0, 1));
        for each in [&first, &watch, &second] {
            assert_eq!(each.next(Waiter::current), Some(event(0, 1)));
            assert_eq!(each.next(Waiter::current), None);
        }
        drop(first);
        assert!(board.watch().is_none(), "who overhears is not who watches");
        board.tell(event(0, 2));
        assert_eq!(second.next(Waiter::current), Some(event(0, 2)));
        drop((watch, second));
        assert!(!board.is_watched());
    }
}
