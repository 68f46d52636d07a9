//! What everybody may see of a domain, also while a thread executes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use abi::fault::{Fault, Trap};
use abi::state::ProcessState;

use super::apart::Confinement;
use super::observe::code_slots::Slots;
use crate::instance::Instance;
use crate::jit::library::Library;
use crate::mem::linear::Memory;
use crate::vm::DomainLayout;

/// How many faults of a domain are kept; older ones are only counted.
pub(super) const KEPT_FAULTS: usize = 64;

/// The processes of a domain as they stand. It outlives the domain's lives.
#[derive(Debug)]
pub(super) struct Standing {
    state: Mutex<State>,
    meters: Box<[ProcessMeter]>,
    /// Which process a thread has called, plus one; 0 for none.
    serving: AtomicU32,
    /// Counts what changes but calls and handles.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    processes: Vec<Process>,
    /// What was loaded, and where its code finds what it calls.
    slots: Slots,
    /// The memories of the processes, each with whose it is.
    memories: Vec<(u32, Arc<Memory>)>,
    faults: VecDeque<Fault>,
    /// How many faults there were, those included that are not kept.
    faulted: u64,
    ended: Option<Trap>,
    /// When this life began.
    began: Option<Instant>,
    /// What keeps the OS process of this life from harm, if that is another one.
    confinement: Option<Confinement>,
}

/// One process.
#[derive(Clone, Debug)]
struct Process {
    state: ProcessState,
    /// Bytes of memories in another OS process.
    bytes_apart: u64,
}

/// One process, as it is shown.
#[derive(Clone, Debug)]
pub(super) struct ProcessStanding {
    pub state: ProcessState,
    pub libs: Vec<Arc<Library>>,
    pub memories: Vec<Arc<Memory>>,
    /// Bytes of memories in another OS process.
    pub bytes_apart: u64,
}

/// What one process has used. Counted as long as the tree stands, over all lives of its domain.
#[derive(Debug, Default)]
pub(super) struct ProcessMeter {
    pub calls: AtomicU64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub faults: AtomicU64,
    pub peak_memory: AtomicU64,
    pub handles: AtomicU32,
    /// Domains run at several workers.
    _apart: [u64; 8],
}

impl ProcessMeter {
    /// Counts a call into the process, what it brought, what went out. Only whoever executes the domain counts,
    /// so nothing has to be locked.
    #[inline]
    pub fn count(counter: &AtomicU64, more: u64) {
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }
}

impl State {
    fn memories_of(&self, process: u32) -> impl Iterator<Item = &Arc<Memory>> {
        self.memories.iter().filter(move |(of, _)| *of == process).map(|(_, memory)| memory)
    }

    fn memory_bytes(&self, process: u32) -> u64 {
        self.memories_of(process).map(|memory| memory.bytes() as u64).sum()
    }

    fn process(&self, process: u32) -> Option<ProcessStanding> {
        let Process { state, bytes_apart } = self.processes.get(process as usize)?.clone();
        let (libs, memories) = (self.slots.libs(process), self.memories_of(process).cloned().collect());
        Some(ProcessStanding { state, libs, memories, bytes_apart })
    }
}

impl Standing {
    /// A domain of so many processes that are starting.
    pub fn new(processes: usize) -> Standing {
        let standing = Standing {
            state: Mutex::default(),
            meters: (0..processes).map(|_| ProcessMeter::default()).collect(),
            serving: AtomicU32::new(0),
            changes: AtomicU64::new(0),
        };
        standing.begin();
        standing
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A life begins.
    pub fn begin(&self) {
        let starting = Process { state: ProcessState::Starting, bytes_apart: 0 };
        let mut state = self.state();
        state.processes.clear();
        state.processes.resize(self.meters.len(), starting);
        state.ended = None;
        state.began = Some(Instant::now());
    }

    /// Everything is loaded.
    pub fn up(&self) {
        for process in &mut self.state().processes {
            if process.state == ProcessState::Starting {
                process.state = ProcessState::Ready;
            }
        }
    }

    /// A process has loaded a library.
    pub fn loaded(&self, process: u32, instance: &Instance) {
        let mut state = self.state();
        state.memories.extend(instance.own_memories().map(|memory| (process, Arc::clone(memory))));
        state.slots.add(process, instance.ctx.base(), &instance.library);
        self.note_memory_of(process, &state);
    }

    /// The record of this life's domain is there.
    ///
    /// # Safety
    /// It and the instances that are loaded must stay where they are until [`Standing::end`].
    pub unsafe fn placed(&self, record: *mut u8, layout: DomainLayout) {
        // SAFETY: the caller's promise.
        unsafe { self.state().slots.begin(record, layout) };
    }

    /// Replaces the adapters that code of this life calls by what `other` gives for their addresses.
    pub fn replace(&self, other: &dyn Fn(*const u8) -> Option<*const u8>) {
        self.state().slots.replace(other);
    }

    /// This life runs in another OS process.
    pub fn confine(&self, confinement: Confinement) {
        self.state().confinement = Some(confinement);
    }

    /// What keeps that from harm, until this life ends.
    pub fn confinement(&self) -> Option<Confinement> {
        self.state().confinement.clone()
    }

    /// A process in another OS process has loaded a library.
    pub fn loaded_apart(&self, process: u32, library: &Arc<Library>) {
        self.state().slots.add(process, std::ptr::null_mut(), library);
    }

    /// What a process in another OS process holds, as that says.
    pub fn note_apart(&self, process: u32, memory_bytes: u64, handles: u32) {
        if let Some(process) = self.state().processes.get_mut(process as usize) {
            process.bytes_apart = memory_bytes;
        }
        if let Some(meter) = self.meter(process) {
            meter.peak_memory.fetch_max(memory_bytes, Ordering::Relaxed);
            meter.handles.store(handles, Ordering::Relaxed);
        }
    }

    /// How many processes there are.
    pub fn count(&self) -> u32 {
        u32::try_from(self.meters.len()).expect("linking bounds the number of processes")
    }

    /// Another number whenever states, memories or faults have changed.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// The faults that are kept of those after the first so many, and how many there were.
    pub fn faults_since(&self, seen: u64) -> (Vec<Fault>, u64) {
        let state = self.state();
        let new = usize::try_from(state.faulted.saturating_sub(seen)).unwrap_or(usize::MAX);
        let old = state.faults.len().saturating_sub(new);
        (state.faults.iter().skip(old).cloned().collect(), state.faulted)
    }

    /// Keeps the most that a process's memories ever were.
    pub fn note_memory(&self, process: u32) {
        self.note_memory_of(process, &self.state());
    }

    fn note_memory_of(&self, process: u32, state: &State) {
        self.changed();
        let bytes = state.memory_bytes(process);
        if let Some(meter) = self.meter(process) {
            meter.peak_memory.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes of a process's memories.
    pub fn memory_bytes(&self, process: u32) -> u64 {
        self.state().memory_bytes(process)
    }

    /// Processes have ended.
    pub fn ended_processes(&self, processes: &[u32], exited: bool) {
        self.changed();
        let mut state = self.state();
        for process in processes {
            if let Some(process) = state.processes.get_mut(*process as usize) {
                process.state = if exited { ProcessState::Exited } else { ProcessState::Faulted };
            }
        }
    }

    /// Keeps a fault.
    pub fn keep(&self, fault: Fault, processes: &[u32]) {
        for process in processes {
            if let Some(meter) = self.meter(*process) {
                meter.faults.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.changed();
        let mut state = self.state();
        state.faulted += 1;
        if state.faults.len() == KEPT_FAULTS {
            state.faults.pop_front();
        }
        state.faults.push_back(fault);
    }

    /// The faults that are kept, oldest first.
    pub fn faults(&self) -> Vec<Fault> {
        self.state().faults.iter().cloned().collect()
    }

    /// The domain is about to be no more: its memories are let go.
    pub fn end(&self, why: &Trap) {
        let mut state = self.state();
        state.slots.end();
        state.memories.clear();
        for process in &mut state.processes {
            process.bytes_apart = 0;
            if process.state != ProcessState::Faulted {
                process.state = ProcessState::Exited;
            }
        }
        state.ended.get_or_insert_with(|| why.clone());
        state.confinement = None;
        for meter in &self.meters {
            meter.handles.store(0, Ordering::Relaxed);
        }
    }

    /// Why it has ended, if it has.
    pub fn ended(&self) -> Option<Trap> {
        self.state().ended.clone()
    }

    /// How long ago this life began.
    pub fn age(&self) -> Duration {
        self.state().began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// A process as it stands; one that a thread has called and is not back from is running.
    pub fn process(&self, process: u32) -> Option<ProcessStanding> {
        let mut standing = self.state().process(process)?;
        let served = self.serving.load(Ordering::Relaxed) == process + 1;
        if served && standing.state == ProcessState::Ready {
            standing.state = ProcessState::Running;
        }
        Some(standing)
    }

    /// What a process has used.
    #[inline]
    pub fn meter(&self, process: u32) -> Option<&ProcessMeter> {
        self.meters.get(process as usize)
    }

    /// A thread enters a process from outside its domain; gives which one it was in before. Only whoever executes the
    /// domain enters.
    #[inline]
    pub fn enter(&self, process: u32) -> u32 {
        let before = self.serving.load(Ordering::Relaxed);
        self.serving.store(process + 1, Ordering::Relaxed);
        before
    }

    /// It is back.
    #[inline]
    pub fn leave(&self, before: u32) {
        self.serving.store(before, Ordering::Relaxed);
    }
}
