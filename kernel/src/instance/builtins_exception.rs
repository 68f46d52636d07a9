//! Built-ins of core exceptions: making one, and finding where it is caught.
//!
//! All functions that compiled code calls have one contract: called by compiled code of an instance, with its
//! context and exceptions of its domain.

use abi::fault::Trap;

use super::builtins::domain_of;
use crate::arch::{FindHandler, Resume};
use crate::limits::EXCEPTIONS;
use crate::mem::code;
use crate::trap::activation::Activation;
use crate::trap::site::Catch;
use crate::vm::VmTag;

/// `exception_new`: the address of the payload, which the caller fills; null with a trap pending.
///
/// # Safety
/// The module\'s contract.
pub(super) unsafe extern "C" fn new(ctx: *mut u8, tag: *mut VmTag, bytes: u32) -> usize {
    // SAFETY: the module's contract.
    let domain = unsafe { domain_of(ctx) };
    let exceptions = domain.exceptions_collected();
    exceptions.add(tag as usize, bytes).unwrap_or_else(|| {
        domain.leave(Trap::Limit {
            limit: "core exceptions",
            value: EXCEPTIONS as u64 + 1,
            allowed: EXCEPTIONS as u64,
        });
        0
    })
}

/// Finds where `exception_throw` goes on.
#[derive(Debug)]
pub(super) struct Handlers;

impl FindHandler for Handlers {
    /// # Safety
    /// The trait's contract, and the module's.
    unsafe extern "C" fn find(
        ctx: *mut u8,
        exception: *mut u8,
        fp: *const usize,
        pc: usize,
        resume: *mut Resume,
    ) -> u32 {
        // SAFETY: the thread runs guest code, so its innermost activation is on a frame that waits for it.
        let outer_fp = unsafe { (*Activation::current()).outer_fp() };
        let (mut fp, mut pc) = (fp, pc);
        while (fp as usize) < outer_fp {
            // A return address may be one past its code.
            let Some((info, offset)) = code::lookup(pc - 1) else { break };
            match info.catches(offset + 1) {
                Catch::Pass => {}
                Catch::Stop => break,
                Catch::Land { offset: handler, frame_bytes } => {
                    let base = pc - 1 - offset as usize;
                    let (pc, sp) = (base + handler as usize, fp as usize - frame_bytes as usize);
                    // SAFETY: `throw` made room for it.
                    unsafe { resume.write(Resume { pc, sp, fp: fp as usize, payload: exception as usize }) };
                    return 0;
                }
            }
            // SAFETY: compiled code keeps frame pointers: two words are there, of a function that waits for
            // its callee.
            (fp, pc) = unsafe { (fp.read() as *const usize, fp.add(1).read()) };
        }
        // SAFETY: the module's contract.
        unsafe { domain_of(ctx) }.leave(Trap::UncaughtException)
    }
}
