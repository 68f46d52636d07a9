//! What a cut-off stretch of guest code means: which trap, in whose frames, and who may not be entered any
//! more.

use std::collections::BTreeSet;

use abi::fault::{Fault, Frame, Trap};
use abi::id::ProcessId;

use super::enter::StackInUse;
use super::{Domain, Pending};
use crate::arch;
use crate::jit::trapcode::{self, trap_of};
use crate::limits::{FAULT_FRAMES, FAULT_FRAMES_OVER_BOUNDARIES, NULL_BYTES};
use crate::mem::code;
use crate::sched::park::current_thread;
use crate::trap::activation::{Faulted, Stretch};
use crate::trap::capture::{CUT_OFF, Capture};
use crate::vm::flags;

/// A frame and whose it is.
#[derive(Clone, Copy)]
struct Placed {
    /// An address inside the frame's instruction.
    at: usize,
    process: Option<u32>,
}

impl Domain {
    /// Makes a fault of what the handler captured. The processes with frames on the stretch that was cut off
    /// may not be entered any more.
    #[cold]
    pub(super) fn explain(&mut self, faulted: &Faulted, stack: Option<&StackInUse>) -> Fault {
        let cause = self.cause(&faulted.capture, stack);
        let mut chain = faulted.chain.iter().enumerate();
        let innermost = chain.next().map(|(_, stretch)| place(stretch, true)).unwrap_or_default();
        let dead: BTreeSet<u32> = innermost.iter().filter_map(|placed| placed.process).collect();
        let mut frames = || {
            let outer = chain.by_ref().flat_map(|(_, stretch)| place(stretch, false));
            self.frames(innermost.iter().copied().chain(outer))
        };
        let mut fault = match cause {
            Pending::Fault(fault) => *fault,
            Pending::Inherited(mut fault) => {
                fault.frames.extend(frames());
                fault.frames.truncate(FAULT_FRAMES_OVER_BOUNDARIES);
                *fault
            }
            Pending::Trap(trap) => {
                let frames = frames();
                let (process, process_name) = match frames.first() {
                    Some(first) => (first.process, first.process_name.clone()),
                    None => (None, String::new()),
                };
                let registers =
                    faulted.capture.registers.map(|values| Box::new(arch::named_registers(values)));
                Fault { trap, process, process_name: process_name.into(), domain: None, frames, registers }
            }
        };
        let dead: Vec<u32> = dead.into_iter().filter(|&process| process < self.layout.processes()).collect();
        for &process in &dead {
            self.set_flags(process, self.flags(process) & !flags::MAY_ENTER);
        }
        self.hooks.faulted(self, &dead, &mut fault);
        if !self.stacks.is_empty() {
            self.nested = Some(Box::new(fault.clone()));
        }
        fault
    }

    fn cause(&mut self, capture: &Capture, stack: Option<&StackInUse>) -> Pending {
        if capture.signal == CUT_OFF {
            // Whoever pardoned it meanwhile has the better reason; there is none to be had here any more.
            let verdict = current_thread().and_then(|thread| thread.verdict());
            return Pending::Trap(
                verdict.unwrap_or_else(|| Trap::Killed("for no reason that is known".to_owned())),
            );
        }
        let accessed = capture.signal == libc::SIGSEGV || capture.signal == libc::SIGBUS;
        if accessed && stack.is_some_and(|stack| stack.guard.contains(&capture.address)) {
            return Pending::Trap(too_deep(stack));
        }
        let Some(code) = code::lookup(capture.pc).and_then(|(info, offset)| info.trap(offset)) else {
            bug("compiled code faulted where it cannot trap", capture);
        };
        if code == trapcode::PENDING {
            // A built-in that a verdict cut short leaves no trap.
            let verdict = || current_thread().and_then(|thread| thread.verdict()).map(Pending::Trap);
            let Some(pending) = self.pending.take().or_else(verdict) else {
                bug("no trap is pending", capture)
            };
            return pending;
        }
        let Some(trap) = trap_of(code) else { bug("compiled code reached what cannot be reached", capture) };
        if trap == Trap::StackOverflow {
            return Pending::Trap(too_deep(stack));
        }
        let inside = |address| self.memories().any(|memory| memory.covers(address));
        if accessed && capture.address >= NULL_BYTES && !inside(capture.address) {
            bug("compiled code accessed what is not its domain's", capture);
        }
        Pending::Trap(trap)
    }

    /// The frames of a thread that stands; `exact` says that its innermost address is that of an instruction to go on at,
    /// not one to return to.
    pub(super) fn frames_of(&self, chain: &[Stretch], exact: bool) -> Vec<Frame> {
        let placed = chain.iter().enumerate();
        self.frames(placed.flat_map(|(index, stretch)| place(stretch, exact && index == 0)))
    }

    /// The frames that backtraces show, from the innermost on, as many as a fault keeps.
    fn frames(&self, chain: impl Iterator<Item = Placed>) -> Vec<Frame> {
        let mut names: Vec<(u32, Option<(ProcessId, String)>)> = Vec::new();
        let mut frames = Vec::new();
        for placed in chain {
            if frames.len() == FAULT_FRAMES {
                break;
            }
            let Some(frame) = code::lookup(placed.at).and_then(|(info, offset)| info.frame(offset)) else {
                continue;
            };
            let who = placed.process.and_then(|process| {
                if !names.iter().any(|(known, _)| *known == process) {
                    names.push((process, self.hooks.process(self, process)));
                }
                names.iter().find(|(known, _)| *known == process)?.1.clone()
            });
            let (process, process_name) = who.map_or((None, String::new()), |(id, name)| (Some(id), name));
            frames.push(Frame {
                process,
                process_name,
                module: frame.module,
                func_index: frame.func_index,
                func_name: frame.func_name,
                offset: frame.offset,
            });
        }
        frames
    }
}

/// Whose each frame of a stretch is: the process that the host called has the outermost ones; an adapter is
/// its caller's, and what it calls is its callee's.
///
/// `exact` says that the innermost address is that of an instruction that faulted, not one to return to.
fn place(stretch: &Stretch, exact: bool) -> Vec<Placed> {
    let mut process = stretch.process;
    let mut placed = Vec::with_capacity(stretch.pcs.len());
    for (index, &pc) in stretch.pcs.iter().enumerate().rev() {
        let at = if index == 0 && exact { pc } else { pc - 1 };
        match code::lookup(at).and_then(|(info, offset)| info.edge(offset)) {
            Some(edge) => {
                placed.push(Placed { at, process: Some(edge.caller) });
                process = Some(edge.callee);
            }
            None => placed.push(Placed { at, process }),
        }
    }
    placed.reverse();
    placed
}

/// A stack that is full: because the process may not use more of it, or at all.
fn too_deep(stack: Option<&StackInUse>) -> Trap {
    match stack.and_then(|stack| stack.quota) {
        Some(allowed) => Trap::Limit { limit: "bytes of a process's stack", value: allowed + 1, allowed },
        None => Trap::StackOverflow,
    }
}

/// A fault that no guest can cause.
fn bug(what: &str, capture: &Capture) -> ! {
    let Capture { signal, pc, address, .. } = capture;
    eprintln!(
        "atoll: {what}: signal {signal} at {pc:#x}, address {address:#x}. This is a bug of the kernel."
    );
    std::process::abort();
}
