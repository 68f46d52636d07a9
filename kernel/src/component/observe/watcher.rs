//! Who watches which edges, and what that changes in the running tree.
//!
//! As long as nobody watches an edge of a domain its compiled code is as it was made. When somebody does, the domain gets
//! a second set of adapters: for each edge one that reports its calls ([`super::taps`]), and adapters into which no callee
//! is written, so that every call goes over the edge that it is of. The places from which adapters are called are then
//! rewritten, in this life of the domain and in the next ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::super::link::implementers;
use super::super::linked::LinkedDomain;
use super::super::peers::Peers;
use super::super::running::Running;
use super::super::tree::Tree;
use super::edge_tally::Tally;
use super::feed::{CallEvent, Feed};
use super::known_edge::KnownEdge;
use crate::jit::compile_error::CompileError;
use crate::jit::fuse::Adapters;
use crate::jit::fuse::spec::AdapterSpec;

/// What is done with the calls over an edge: bits.
pub(in super::super) mod mode {
    /// They are counted.
    pub const COUNT: u8 = 1;
    /// They are told.
    pub const TRACE: u8 = 2;
}

/// Who watches a tree.
#[derive(Debug, Default)]
pub(in super::super) struct Watch {
    /// Held for moments only: guests wait for it.
    feeds: Mutex<Vec<Arc<Feed>>>,
    /// Held by whoever makes the tree follow the feeds.
    tuning: Mutex<()>,
    /// Whether there is any feed.
    active: AtomicBool,
}

impl Watch {
    fn feeds(&self) -> MutexGuard<'_, Vec<Arc<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever wants to know of a call.
    pub fn tell(&self, event: CallEvent) {
        let (feeds, edge) = (self.feeds(), event.edge as usize);
        let mut wanting = feeds.iter().filter(|feed| feed.traces() && feed.wants(edge));
        let Some(first) = wanting.next() else { return };
        wanting.for_each(|feed| feed.push(event.clone()));
        first.push(event);
    }

    /// Sets the modes of edges to what the feeds want.
    fn set_modes(&self, tallies: &[Tally], feeds: &[Arc<Feed>]) {
        self.active.store(!feeds.is_empty(), Ordering::SeqCst);
        for (edge, tally) in tallies.iter().enumerate() {
            let wanted = feeds.iter().filter(|feed| feed.wants(edge));
            let bits = wanted.map(|feed| if feed.traces() { mode::COUNT | mode::TRACE } else { mode::COUNT });
            tally.set_mode(bits.fold(0, |all, bits| all | bits));
        }
    }

    /// The adapters through which a domain is entered from others: those into which nothing is written, if calls that
    /// its processes make may be watched.
    #[inline]
    pub fn arrivals<'p>(&self, program: &'p LinkedDomain) -> &'p Adapters {
        match self.active.load(Ordering::Relaxed) {
            true => program.tapped.get().unwrap_or(&program.adapters),
            false => &program.adapters,
        }
    }
}

/// What is to be called in place of an adapter of this domain.
fn code(peers: &Peers, program: &LinkedDomain, adapter: u32) -> *const u8 {
    let watched = |edge: &Option<u32>| edge.is_some_and(|edge| peers.mode(edge) != 0);
    let Some(tapped) = program.tapped.get().filter(|_| program.edges.iter().any(watched)) else {
        return program.adapters.func(adapter);
    };
    let index = adapter as usize;
    match program.specs.get(index) {
        Some(_) if program.edges.get(index).is_some_and(watched) => {
            tapped.func(adapter + program.specs.len() as u32)
        }
        Some(AdapterSpec::Call { .. }) => tapped.func(adapter),
        _ => program.adapters.func(adapter),
    }
}

/// Has every adapter of a domain called as the modes say.
fn tune(peers: &Peers, number: u32) {
    let program = &peers.linked.domains[number as usize];
    let count = u32::try_from(program.specs.len()).expect("adapters are bounded");
    let mut adapters: HashMap<*const u8, u32> = HashMap::new();
    adapters.extend((0..count).map(|adapter| (program.adapters.func(adapter), adapter)));
    if let Some(tapped) = program.tapped.get() {
        adapters.extend((0..2 * count).map(|func| (tapped.func(func), func % count)));
    }
    let other = |now| adapters.get(&now).map(|adapter| code(peers, program, *adapter));
    peers.standing(number).replace(&other);
}

/// An instance was loaded: if somebody watches, what it calls is looked at too. To be called after it is among the slots.
pub(in super::super) fn loaded(running: &Running) {
    if running.watch.active.load(Ordering::SeqCst)
        && let Some(peers) = running.peers.upgrade()
    {
        tune(&peers, running.number);
    }
}

/// Makes the second set of adapters of every domain that needs it and has none.
fn prepare(peers: &Peers) -> Result<(), CompileError> {
    for (program, number) in peers.linked.domains.iter().zip(0..) {
        let watched = |edge: &Option<u32>| edge.is_some_and(|edge| peers.mode(edge) != 0);
        if program.tapped.get().is_none() && program.edges.iter().any(watched) {
            let implementers = implementers(&peers.linked.resources, number);
            let made =
                Adapters::compile_tapped(&peers.engine, &program.specs, program.layout, &implementers)?;
            // Whoever else has launched the same program may have been faster.
            let _ = program.tapped.set(made);
        }
    }
    Ok(())
}

/// Changes the feeds, and lets the running tree follow them.
fn change(peers: &Peers, how: impl FnOnce(&mut Vec<Arc<Feed>>)) -> Result<(), CompileError> {
    let _alone = peers.watch.tuning.lock().unwrap_or_else(PoisonError::into_inner);
    let feeds = {
        let mut feeds = peers.watch.feeds();
        how(&mut feeds);
        feeds.clone()
    };
    peers.watch.set_modes(&peers.tallies, &feeds);
    let prepared = prepare(peers);
    (0..peers.count()).for_each(|number| tune(peers, number));
    prepared
}

/// Watches edges of a running tree. Dropping it ends that, and once nobody watches the tree runs as it did before.
#[derive(Debug)]
pub struct Watcher {
    feed: Arc<Feed>,
    peers: Weak<Peers>,
}

impl Tree {
    /// Watches the edges that `chosen` says, by their numbers: counts their calls, and tells each of them, if there is
    /// `room` for any that nobody has read yet. Guests go on meanwhile, and from a moment in this call on all their calls
    /// are seen. Not for a thread that runs a guest.
    ///
    /// # Errors
    /// There is no room for the code that reports calls.
    pub fn watch(
        &self,
        chosen: &dyn Fn(u32, &KnownEdge) -> bool,
        room: usize,
    ) -> Result<Watcher, CompileError> {
        let peers = self.peers();
        let wanted = (0..).zip(&peers.linked.edges).map(|(number, edge)| chosen(number, edge)).collect();
        let feed = Arc::new(Feed::new(wanted, room));
        let watcher = Watcher { feed: Arc::clone(&feed), peers: peers.outside() };
        change(peers, |feeds| feeds.push(feed)).map(|()| watcher)
    }
}

impl Watcher {
    /// The calls that have come, in the order in which they ended; waits for the first one, `timeout` at most.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> Vec<CallEvent> {
        self.feed.wait(timeout)
    }

    /// How many calls were lost because nobody read them in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.feed.lost()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let Some(peers) = self.peers.upgrade() else { return };
        // Fewer edges are watched than before, so there is nothing to compile that could fail.
        let _ = change(&peers, |feeds| feeds.retain(|feed| !Arc::ptr_eq(feed, &self.feed)));
    }
}
