//! Where a domain is called directly: the caller hands the processor over to its thread.

use std::sync::{Arc, Weak};

use abi::fault::Trap;
use kernel::component::neighbour::{Answer, Receiver, Resident};
use kernel::sched::handoff::Witness;
use kernel::sched::thread::Thread;

use crate::actor::Actor;
use crate::launched::Shared;
use crate::waits::Station;

/// One life of a domain, for the threads of other domains of its tree.
pub(crate) struct Doorway {
    shared: Weak<Shared>,
    actor: Arc<Actor>,
    thread: Thread,
}

impl Doorway {
    /// The way to a domain whose calls have no limits of their own; to others goes a message.
    pub fn new(shared: &Weak<Shared>, actor: Arc<Actor>) -> Option<Doorway> {
        let thread = actor.thread()?.clone();
        actor.is_open().then(|| Doorway { shared: Weak::clone(shared), actor, thread })
    }
}

impl Witness for Doorway {
    fn waits(&self, from: u32) {
        if let Some(shared) = self.shared.upgrade()
            && let Ok(from) = shared.actor(from)
        {
            shared.waits.note(&from, &self.actor);
        }
    }

    fn is_back(&self, from: u32) {
        if let Some(shared) = self.shared.upgrade()
            && let Ok(from) = shared.actor(from)
        {
            shared.waits.forget(from.station());
        }
    }

    fn enter(&self, from: u32, waits: &dyn Fn() -> bool) -> Option<u64> {
        let shared = self.shared.upgrade()?;
        let from = shared.actor(from).ok()?;
        shared.waits.note_while(&from, &self.actor, waits).then_some(from.station().0)
    }

    fn leave(&self, entry: u64) {
        if let Some(shared) = self.shared.upgrade() {
            shared.waits.forget(Station(entry));
        }
    }
}

impl Resident for Doorway {
    fn thread(&self) -> &Thread {
        &self.thread
    }

    fn follow(
        &self,
        from: u32,
        began_ns: u64,
        after_ns: Option<u64>,
        go_on: &mut dyn FnMut(Receiver),
    ) -> Answer {
        let shared = self.shared.upgrade().ok_or_else(|| Trap::Gone("its tree has ended".to_owned()))?;
        self.actor.follow(&*shared.actor(from)?, &shared.waits, began_ns, after_ns, go_on)
    }
}
