//! Looking into a domain that may be executing: it is locked if nobody executes it, and held still if somebody does.

use std::time::{Duration, Instant};

use abi::fault::{Frame, Trap};

use super::super::peers::Peers;
use super::super::running::Running;
use super::super::tree::Tree;
use crate::domain::Domain;
use crate::domain::live_frames::Live;
use crate::jit::fuse::spec::AdapterSpec;
use crate::sched::thread::Thread;

/// How long a thread is waited for before it is seen whether it has ended what it did.
const STEP: Duration = Duration::from_millis(5);

/// Why a domain could not be looked into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// It has ended, or there is no such domain.
    #[error("{0}")]
    Gone(Trap),
    /// It did not come to a place where it can be looked at: it is in host code that takes long.
    #[error("the domain is busy in a function of the host")]
    Busy,
}

/// What a domain's thread is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadView {
    /// Doing.
    pub doing: Doing,
    /// Its wasm frames over all processes of its domain, innermost first. One that waits in a function of the host, or for
    /// another domain, has the edge over which it went first.
    pub frames: Vec<Frame>,
}

/// What a thread does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doing {
    /// Nothing: it has no call to serve.
    #[default]
    Nothing,
    /// It runs guest code.
    Running,
    /// It is in a function of the host, or waits there for another domain.
    Hosted,
}

impl Tree {
    /// What a domain's thread is doing now: `thread` is the one that serves it. Waits until it stands, which is its next
    /// tick or the end of a wait, `timeout` at most, and lets it go on.
    ///
    /// # Errors
    /// [`Unseen`]
    pub fn thread_view(
        &self,
        domain: u32,
        thread: Option<&Thread>,
        timeout: Duration,
    ) -> Result<ThreadView, Unseen> {
        self.look(domain, thread, timeout, |domain, live| match live {
            None => ThreadView::default(),
            Some(live) => {
                let doing = if live.is_in_host() { Doing::Hosted } else { Doing::Running };
                ThreadView { doing, frames: frames(domain, live) }
            }
        })
    }

    /// Runs `work` with a domain that stands still meanwhile, and with the thread that executes it, if one does.
    pub(super) fn look<T>(
        &self,
        domain: u32,
        thread: Option<&Thread>,
        timeout: Duration,
        work: impl FnOnce(&Domain, Option<&Live>) -> T,
    ) -> Result<T, Unseen> {
        if domain >= self.domain_count() {
            return Err(Unseen::Gone(Trap::Gone("the tree has no such domain".to_owned())));
        }
        look(self.peers(), domain, thread, timeout, work)
    }
}

/// The frames of a thread; if it has called the host, or over a boundary, with that edge innermost.
pub(super) fn frames(domain: &Domain, live: &Live<'_>) -> Vec<Frame> {
    let mut frames = domain.live_frames(live);
    let running = Running::of(domain);
    let called = domain.serving();
    let edge = running.program().specs.iter().find_map(|spec| match spec {
        AdapterSpec::Host { import, name, .. } if *import == called => Some(name),
        _ => None,
    });
    if let (true, Some(name), Some(caller)) = (live.is_in_host(), edge, frames.first()) {
        let edge = Frame {
            func_name: Some(name.clone()),
            module: None,
            func_index: None,
            offset: None,
            ..caller.clone()
        };
        frames.insert(0, edge);
    }
    frames
}

fn look<T>(
    peers: &Peers,
    number: u32,
    thread: Option<&Thread>,
    timeout: Duration,
    work: impl FnOnce(&Domain, Option<&Live>) -> T,
) -> Result<T, Unseen> {
    let until = Instant::now() + timeout;
    loop {
        match peers.idle(number) {
            Ok(domain) => return Ok(work(&domain, None)),
            Err(Trap::CannotEnter) => {}
            Err(gone) => return Err(Unseen::Gone(gone)),
        }
        let standstill = thread.and_then(|thread| thread.hold(STEP));
        // A thread that has guest code on its stack is that of its domain, and holds the domain's lock.
        if let Some(live) = standstill.as_ref().and_then(Live::of) {
            // SAFETY: it stands until `standstill` is dropped.
            if let Some(domain) = unsafe { peers.held(number) } {
                return Ok(work(domain, Some(&live)));
            }
        }
        drop(standstill);
        if Instant::now() >= until {
            return Err(Unseen::Busy);
        }
        if thread.is_none() {
            std::thread::sleep(STEP);
        }
    }
}
