//! Calls of compiled code to a domain that is bound to another worker, while that looks for work: over a line, not posted.

use std::ptr::NonNull;
use std::sync::Arc;

use super::arrival::{Arrival, Arrived, Direct, Other};
use super::linked::{HostImport, Target};
use super::neighbour::{lost, neighbour};
use super::peers::Peers;
use super::port::Port;
use super::running::Running;
use crate::domain::Domain;
use crate::jit::fuse::entrance::SLOTS;
use crate::mem::linear::Memory;
use crate::mem::stack::StackBounds;
use crate::sched::express::{Called, Commission, Line};

/// How many core values are beside the answer: a call with no more than these and a number for an answer is one cache line.
const NEAR: usize = 2;

/// A call, but for what is behind the first of its core values.
pub(super) struct Dispatch {
    /// Which import of the caller.
    index: u32,
    count: u32,
    /// What its arguments carry.
    bytes: u64,
    core: [u64; NEAR],
}

/// The rest of it. Its caller may be gone when it is served.
pub(super) struct Papers {
    peers: NonNull<Peers>,
    /// The life of the callee's domain that it is for.
    generation: u32,
    from: u32,
    /// The caller's memory, if the last call read one.
    memory: Option<Arc<Memory>>,
    core: [u64; SLOTS - NEAR],
}

// SAFETY: peers are shared by the threads of all their domains.
unsafe impl Send for Papers {}

impl Commission for Dispatch {
    type Outcome = Arrived;
    type Rest = Papers;

    fn run(&self, papers: &Papers, stack: StackBounds) -> Arrived {
        // SAFETY: the body of the thread that runs this keeps them.
        let peers = unsafe { papers.peers.as_ref() };
        let import = &peers.linked.domains[papers.from as usize].imports[self.index as usize];
        let Target::Port(Port { func, direct: Some(direct), .. }) = &import.target else {
            return Arrived::other(Other::Stale);
        };
        let mut slots = [0; SLOTS];
        slots[..NEAR].copy_from_slice(&self.core);
        if self.count as usize > NEAR {
            slots[NEAR..].copy_from_slice(&papers.core);
        }
        let memory = papers.memory.as_ref().filter(|_| direct.reads()).map(|memory| memory.slot());
        let arrival = Arrival { func, direct, bytes: self.bytes, memory };
        arrival.arrive(peers, papers.generation, &mut slots, stack)
    }
}

impl Dispatch {
    fn write(&mut self, papers: &mut Papers, (index, bytes): (u32, u64), core: &[u64]) {
        let (near, far) = core.split_at(core.len().min(NEAR));
        papers.core[..far.len()].copy_from_slice(far);
        (self.index, self.count, self.bytes) = (index, (near.len() + far.len()) as u32, bytes);
        self.core[..near.len()].copy_from_slice(near);
    }
}

/// Has a call served by a callee that is bound to another worker, if there is a line to it and it has nothing else to do.
#[inline(never)]
pub(super) fn dispatch(
    domain: &mut Domain,
    (import, index, port): (&HostImport, usize, &Port),
    direct: &Direct,
    (core, bytes): (&[u64], u64),
) -> Option<Arrived> {
    // Who waits with a deadline sleeps.
    if port.policy.deadline_ns.is_some() {
        return None;
    }
    let running = Running::of_mut(domain);
    let to = port.func.domain;
    let line = running.lines.get_mut(to as usize)?.take()?;
    let memory = import.caller.memory.filter(|_| direct.reads());
    let memory = memory.and_then(|slot| running.memories.get(slot as usize)?.as_ref());
    let number = u32::try_from(index).ok()?;
    let (called, line) = line.call(|dispatch, papers| {
        if let Some(memory) = memory
            && !papers.memory.as_ref().is_some_and(|known| Arc::ptr_eq(known, &memory.memory))
        {
            papers.memory = Some(Arc::clone(&memory.memory));
        }
        dispatch.write(papers, (number, bytes), core);
    });
    running.lines[to as usize] = line;
    match called {
        Called::Refused => None,
        Called::Done(arrived) => Some(arrived).filter(|arrived| !arrived.is_stale()),
        Called::Lost => Some(Arrived::failed(lost())),
        Called::Condemned(trap) => Some(Arrived::failed(trap)),
    }
}

/// Draws a line to whoever is behind a port, which import `index` is, for the next calls, unless there is one or no message can be
/// done without: only who is bound to a worker is at another one while it has nothing to do.
#[cold]
pub(super) fn draw(running: &mut Running, peers: &Peers, index: usize, port: &Port) {
    let (from, to) = (running.number, port.func.domain as usize);
    if running.lines.get(to).is_some_and(Option::is_some) {
        return;
    }
    let Some(found) = neighbour(running, peers, index, port) else { return };
    let (resident, generation) = (Arc::clone(&found.resident), found.generation);
    let dispatch = Dispatch { index: 0, count: 0, bytes: 0, core: [0; NEAR] };
    let core = [0; SLOTS - NEAR];
    let papers = Papers { peers: NonNull::from(peers), generation, from, memory: None, core };
    let callee = (resident.thread(), port.func.domain);
    if running.lines.len() <= to {
        running.lines.resize_with(to + 1, || None);
    }
    running.lines[to] = Line::new(callee, from, Arc::clone(&resident) as Arc<_>, (dispatch, papers));
}
