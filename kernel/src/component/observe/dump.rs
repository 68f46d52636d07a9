//! Core dumps of processes, in the format of the WebAssembly tool conventions (Coredump.md): what a process has in its
//! memories and globals, and the frames of its code.
//!
//! ```text
//!   core           the process's path
//!   coremodules    its libraries                     coreinstances  its instances of them: memories, globals
//!   corestack      the frames of its code, innermost first; frames of other processes are in their dumps
//!   memory section, global section                   data section   what is not zero, by pages
//! ```
//!
//! Locals and operands are not kept where they could be found, so frames have none. References in globals are null.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use abi::fault::{Fault, Frame, Trap};
use abi::id::ProcessId;

use super::super::linked::Place;
use super::super::running::Running;
use super::super::tree::Tree;
use super::dump_sections::{Encoder, Instance, Snapshot};
use super::inside::Unseen;
use crate::domain::Domain;
use crate::sched::thread::Thread;

/// Takes the dumps of processes that faulted.
pub trait Dumps: Send + Sync {
    /// A process has faulted and is as the fault left it: `write` writes its dump. Called on the thread that ran it,
    /// which goes on afterwards.
    fn faulted(&self, process: ProcessId, path: &str, fault: &Fault, write: &mut WriteDump<'_>);
}

/// Writes a dump; gives its length in bytes.
pub type WriteDump<'d> = dyn FnMut(&mut dyn Write) -> io::Result<u64> + 'd;

/// Who gets the dumps of which processes.
pub(in super::super) struct DumpOrder {
    /// By index in the tree.
    processes: Vec<bool>,
    dumps: Arc<dyn Dumps>,
}

impl Tree {
    /// Writes the core dump of a process, whatever it is doing; gives its length in bytes. `thread` is the one that
    /// serves its domain: it is held as long as this takes, once it can be, for which `timeout` at most is waited.
    ///
    /// # Errors
    /// [`Unseen`]; what `out` says.
    pub fn dump(
        &self,
        process: usize,
        thread: Option<&Thread>,
        timeout: Duration,
        out: &mut dyn Write,
    ) -> Result<io::Result<u64>, Unseen> {
        let nobody = || Trap::Gone("the tree has no such process".to_owned());
        let info = self.linked().processes().get(process).ok_or_else(|| Unseen::Gone(nobody()))?;
        let Place { domain, process } = info.place;
        self.look(domain, thread, timeout, |domain, live| {
            let frames = live.map(|live| domain.live_frames(live)).unwrap_or_default();
            write(domain, process, &frames, out)
        })
    }

    /// Has the processes dumped, by their indices, when they fault, in this life of their domains and the next ones,
    /// before anything of them is let go. The first order stays.
    pub fn dump_on_fault(&self, processes: &[usize], dumps: Arc<dyn Dumps>) {
        let all = 0..self.linked().processes().len();
        let processes = all.map(|process| processes.contains(&process)).collect();
        let _ = self.peers().dumps.set(DumpOrder { processes, dumps });
    }
}

/// Some processes of a domain have faulted: dumps those for which that was ordered.
pub(in super::super) fn faulted(domain: &Domain, processes: &[u32], fault: &Fault) {
    // Who was ended by somebody did nothing that a dump could show.
    if matches!(fault.trap, Trap::Exit(_) | Trap::Killed(_)) {
        return;
    }
    let running = Running::of(domain);
    let Some(peers) = running.peers.upgrade() else { return };
    let Some(order) = peers.dumps.get() else { return };
    for process in processes {
        let Some(index) = running.in_tree(*process) else { continue };
        if let (Some(true), Some(id)) = (order.processes.get(index), peers.process_id(index)) {
            let path = &running.linked.processes[index].path;
            let mut write = |out: &mut dyn Write| write(domain, *process, &fault.frames, out);
            order.dumps.faulted(id, path, fault, &mut write);
        }
    }
}

/// Writes the dump of a process of a domain that stands still.
fn write(domain: &Domain, process: u32, frames: &[Frame], out: &mut dyn Write) -> io::Result<u64> {
    let running = Running::of(domain);
    let index = running.in_tree(process).unwrap_or_default();
    let path = &running.linked.processes[index].path;
    let id = running.peers.upgrade().and_then(|peers| peers.process_id(index));
    let mut snapshot = Snapshot::default();
    for instance in domain.instances().filter(|instance| instance.process == Some(process)) {
        snapshot.add(instance);
    }
    let own = frames.iter().filter(|frame| frame.process == id);
    let frames: Vec<_> = own.filter_map(|frame| placed(&snapshot.instances, frame)).collect();
    let mut encoder = Encoder::new(out);
    encoder.write(path, &snapshot, &frames)?;
    Ok(encoder.written())
}

/// A frame as the dump has it: instance, function, offset in the function.
fn placed(instances: &[Instance<'_>], frame: &Frame) -> Option<[u32; 3]> {
    let (func, offset) = (frame.func_index?, frame.offset);
    let same = |(index, instance): (u32, &Instance<'_>)| {
        let module = &instance.library.module;
        let start = instance.body_of(func, offset)?;
        (module.name == frame.module).then(|| [index, func, offset.map_or(0, |offset| offset - start)])
    };
    (0..).zip(instances).find_map(same)
}
