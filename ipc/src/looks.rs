//! A look into a tree that runs: what its threads do, what its processes hold, and dumps of them. Nothing is stopped but
//! the thread that is looked at, for the moment that this takes.

use std::io::{self, Write};
use std::time::Duration;

use kernel::component::observe::holdings::HandleRow;
use kernel::component::observe::inside::{ThreadView, Unseen};

use crate::launched::Launched;

impl Launched {
    /// What the thread of a domain does now, and its wasm frames over all processes of the domain; whom it waits for is in
    /// [`Launched::domains`]. Waits for its next tick or the end of a wait, `timeout` at most.
    ///
    /// # Errors
    /// [`Unseen`]
    pub fn thread_view(&self, domain: u32, timeout: Duration) -> Result<ThreadView, Unseen> {
        let actor = self.domain(domain);
        let thread = actor.as_ref().and_then(|actor| actor.thread());
        self.tree().thread_view(domain, thread, timeout)
    }

    /// The handle table of a process, by its index in the tree.
    ///
    /// # Errors
    /// [`Unseen`]
    pub fn handles(&self, process: usize, timeout: Duration) -> Result<Vec<HandleRow>, Unseen> {
        let actor = self.actor_of(process);
        let thread = actor.as_ref().and_then(|actor| actor.thread());
        self.tree().handles(process, thread, timeout)
    }

    /// Elements of the tables of a process, by its index in the tree, and of all processes of its domain together.
    ///
    /// # Errors
    /// [`Unseen`]
    pub fn table_elements(&self, process: usize, timeout: Duration) -> Result<(u64, u64), Unseen> {
        let actor = self.actor_of(process);
        let thread = actor.as_ref().and_then(|actor| actor.thread());
        self.tree().table_elements(process, thread, timeout)
    }

    /// Writes the core dump of a process, by its index in the tree, whatever it is doing; gives its length. Its domain
    /// stands still meanwhile; `timeout` is how long to wait until it does.
    ///
    /// # Errors
    /// [`Unseen`]; what `out` says.
    pub fn dump(
        &self,
        process: usize,
        timeout: Duration,
        out: &mut dyn Write,
    ) -> Result<io::Result<u64>, Unseen> {
        let actor = self.actor_of(process);
        let thread = actor.as_ref().and_then(|actor| actor.thread());
        self.tree().dump(process, thread, timeout, out)
    }

    fn actor_of(&self, process: usize) -> Option<std::sync::Arc<crate::actor::Actor>> {
        let place = self.tree().linked().processes().get(process)?.place;
        self.domain(place.domain)
    }
}
