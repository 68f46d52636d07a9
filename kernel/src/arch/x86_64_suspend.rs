//! Taking a thread off the processor between any two instructions of compiled code, and putting it back bit by bit.
//!
//! The signal handler pushes the interrupted pc and lets the thread go on in [`preempted`], which makes this frame on
//! the guest's own stack, in the headroom below its limit:
//!
//! ```text
//! higher   … the interrupted function's frame …
//!          its pc                                  ← as if it had called
//!          flags
//!          rbp                                     ← Frame
//!          rax rbx rcx rdx rsi rdi r8 … r15
//!          (aligned to 64)
//! lower    the vector state, as xsave64 lays it out
//! ```
//!
//! Compiled code keeps nothing below its stack pointer (Cranelift has no red zone), so this is safe between any two of
//! its instructions.

use std::arch::naked_asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::x86_64::{Landing, landed};

/// Which parts of the vector state are saved: what XCR0 has of x87, SSE, AVX and the three of AVX-512. Compiled code
/// touches no others; protection keys belong to the OS thread.
static COMPONENTS: AtomicU64 = AtomicU64::new(0);
/// Bytes that `xsave64` writes for them, header included.
static STATE_BYTES: AtomicUsize = AtomicUsize::new(0);

const USED: u64 = 0b1110_0111;
/// The legacy area and the header.
const SMALLEST_STATE: usize = 512 + 64;

/// What [`preempted`] keeps where its handler can find it.
#[derive(Debug)]
#[repr(C)]
pub struct Suspended {
    /// The frame pointer of the interrupted function, or of its caller at the edges of it.
    pub fp: usize,
    flags: usize,
    /// The interrupted instruction.
    pub pc: usize,
}

impl Suspended {
    /// The stack pointer of the interrupted function.
    #[must_use]
    pub fn sp(&self) -> usize {
        (&raw const *self) as usize + size_of::<Suspended>()
    }

    /// Where the interrupted function returns to, if it has not linked its frame yet, or has unlinked it already: then
    /// the frame pointer is still, or again, its caller's.
    #[must_use]
    pub fn unlinked_caller(&self) -> Option<usize> {
        const PUSH_RBP: u8 = 0x55;
        const MOV_RBP_RSP: [u8; 3] = [0x48, 0x89, 0xe5];
        const RETURNS: [u8; 2] = [0xc3, 0xc2];
        // SAFETY: compiled code is readable, and each next byte is looked at only if those before begin an instruction
        // that has it.
        let code = |offset: usize| unsafe { (self.pc as *const u8).add(offset).read() };
        let moves = |offset| MOV_RBP_RSP.iter().zip(offset..).all(|(byte, at)| code(at) == *byte);
        let depth = match code(0) {
            PUSH_RBP if moves(1) => 0,
            opcode if RETURNS.contains(&opcode) => 0,
            _ if moves(0) => 1,
            _ => return None,
        };
        // SAFETY: the stack in use; compiled code has its return address there.
        Some(unsafe { (self.sp() as *const usize).add(depth).read() })
    }
}

/// Finds out how much state this processor has to save. To be called before [`preempted`] is.
///
/// # Errors
/// What the processor lacks.
pub fn prepare_suspend() -> Result<(), &'static str> {
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return Err("a processor with XSAVE, enabled by the operating system");
    }
    // SAFETY: the bit above says that the instruction exists.
    let components = unsafe { _xgetbv(0) } & USED;
    let mut bytes = SMALLEST_STATE;
    for component in (2..u64::BITS).filter(|bit| components & 1 << bit != 0) {
        let leaf = __cpuid_count(0xd, component);
        bytes = bytes.max(leaf.ebx as usize + leaf.eax as usize);
    }
    STATE_BYTES.store(bytes, Ordering::Relaxed);
    COMPONENTS.store(components, Ordering::Release);
    Ok(())
}

/// Who decides what a suspended thread does.
pub trait Switch {
    /// Returns when the thread is to go on: null to continue where it was, or where to cut its guest off.
    ///
    /// # Safety
    /// Called by [`preempted`] only; `frame` lives as long as the call.
    unsafe extern "C" fn switch(frame: *const Suspended) -> *const Landing;
}

/// Where a thread goes on whose pc was pushed by a signal handler: saves everything, calls `S`, restores everything.
///
/// # Safety
/// Reached by a handler's doing only, with an interrupted pc of compiled code on top of the stack.
#[unsafe(naked)]
pub unsafe extern "C" fn preempted<S: Switch>() {
    naked_asm!(
        "pushfq",
        "push rbp",
        "mov rbp, rsp",
        "push rax",
        "push rbx",
        "push rcx",
        "push rdx",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, [rip + {bytes}]",
        "and rsp, -64",
        "xor eax, eax", // the header must be zero before the first save
        "mov [rsp + 512], rax",
        "mov [rsp + 520], rax",
        "mov [rsp + 528], rax",
        "mov [rsp + 536], rax",
        "mov [rsp + 544], rax",
        "mov [rsp + 552], rax",
        "mov [rsp + 560], rax",
        "mov [rsp + 568], rax",
        "mov eax, [rip + {components}]",
        "xor edx, edx",
        "xsave64 [rsp]",
        "cld",
        "mov rdi, rbp",
        "call {switch}",
        "test rax, rax",
        "jnz 2f",
        "mov eax, [rip + {components}]",
        "xor edx, edx",
        "xrstor64 [rsp]",
        "lea rsp, [rbp - 14 * 8]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rbx",
        "pop rax",
        "pop rbp",
        "popfq",
        "ret",
        "2:",
        "mov rsp, [rax + {landing_sp}]",
        "jmp {landed}",
        bytes = sym STATE_BYTES,
        components = sym COMPONENTS,
        switch = sym S::switch,
        landed = sym landed,
        landing_sp = const offset_of!(Landing, sp),
    )
}
