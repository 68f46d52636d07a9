//! x86-64, System V.
//!
//! The stack while guest code runs, and on the right the two stacks where it has one of its own:
//!
//! ```text
//! higher   … Rust: Domain::call …                          … Rust: Domain::call …
//!          return address into Rust                        return address into Rust
//!          rbp of Rust               ← enter_fp            rbp of Rust                        ← host_fp
//!          rbx r12 r13 r14 r15, pad  ← landing_sp          rbx r12 r13 r14 r15, pad           ← landing_sp
//!          return address into `enter`
//!          entry trampoline's frame             the guest's:  host_fp, pad                    ← enter_fp
//! lower    guest frames, linked by rbp                        return address into `enter_on`, then as on the left
//! ```
//!
//! A fault in guest code cuts off everything below `landing_sp`: the handler sets `rsp` to it and `rip` to
//! `landed`, which returns 1 from `enter`. Guest frames own nothing, so nothing is lost.

use std::arch::{asm, naked_asm};
use std::mem::offset_of;

/// That this is that processor: relaxed SIMD may take what its instructions do.
pub const X86: bool = true;

/// An entry trampoline: loads the parameters of `code` from the slots at `values`, calls it with `ctx` first,
/// and stores its results to the slots.
pub type Entry = unsafe extern "C" fn(ctx: *mut u8, code: *const u8, values: *mut u128);

/// Where `enter` was called, so that a fault can go back there.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Landing {
    /// The stack pointer to go back to.
    pub sp: usize,
    /// The frame pointer of `enter`, or what `enter_on` left at the end of the guest's stack: guest frames are below it.
    pub fp: usize,
}

/// Runs `entry(ctx, code, values)` on the current stack. Returns 0 when it returned, 1 when it was cut off
/// after a fault.
///
/// # Safety
/// `entry` must be the entry trampoline for the signature of `code`, which takes `ctx` first; `values` must
/// have room for that signature; `landing` must be valid until this returns, and be what the thread's signal
/// handlers go back to.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(
    landing: *mut Landing,
    entry: Entry,
    ctx: *mut u8,
    code: *const u8,
    values: *mut u128,
) -> u32 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rdi + {landing_sp}], rsp",
        "mov [rdi + {enter_fp}], rbp",
        "mov rax, rsi",
        "mov rdi, rdx",
        "mov rsi, rcx",
        "mov rdx, r8",
        "call rax",
        "xor eax, eax",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        landing_sp = const offset_of!(Landing, sp),
        enter_fp = const offset_of!(Landing, fp),
    )
}

/// The same on another stack, whose end, which is aligned to 16, is `stack`.
///
/// # Safety
/// As [`enter`]. Nothing else may use the stack.
#[unsafe(naked)]
pub unsafe extern "C" fn enter_on(
    landing: *mut Landing,
    entry: Entry,
    ctx: *mut u8,
    code: *const u8,
    values: *mut u128,
    stack: usize,
) -> u32 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rdi + {landing_sp}], rsp",
        "mov [r9 - 16], rbp",
        "lea rbp, [r9 - 16]",
        "mov rsp, rbp",
        "mov [rdi + {enter_fp}], rbp",
        "mov rax, rsi",
        "mov rdi, rdx",
        "mov rsi, rcx",
        "mov rdx, r8",
        "call rax",
        "xor eax, eax",
        "mov rbp, [rbp]",
        "lea rsp, [rbp - 5 * 8]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        landing_sp = const offset_of!(Landing, sp),
        enter_fp = const offset_of!(Landing, fp),
    )
}

/// Where a faulted thread goes on, with `rsp` at `landing_sp`: the second half of `enter`.
///
/// # Safety
/// Only [`Interrupted::land`] goes here.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn landed() -> u32 {
    naked_asm!(
        "mov eax, 1",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Finds where an exception is caught.
pub trait FindHandler {
    /// Fills `resume` and returns 0, or returns 1 with a trap pending in the domain of `ctx`.
    ///
    /// `fp` is the frame pointer of the function that throws, `pc` where its call to [`throw`] returns to.
    ///
    /// # Safety
    /// As [`throw`]; `resume` must be valid for writes.
    unsafe extern "C" fn find(
        ctx: *mut u8,
        exception: *mut u8,
        fp: *const usize,
        pc: usize,
        resume: *mut Resume,
    ) -> u32;
}

/// Where guest code goes on after a throw.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Resume {
    /// The handler.
    pub pc: usize,
    /// The stack pointer of its frame.
    pub sp: usize,
    /// The frame pointer of its frame.
    pub fp: usize,
    /// The exception's address, the handler's payload.
    pub payload: usize,
}

/// The built-in `exception_throw`: asks `F` for the handler and goes there, or returns 1 if there is none.
///
/// No Rust frame is on the stack when the frames between are cut off.
///
/// # Safety
/// Called by compiled code only, with its context and an exception of its domain.
#[unsafe(naked)]
pub unsafe extern "C" fn throw<F: FindHandler>(ctx: *mut u8, exception: *mut u8) -> u32 {
    naked_asm!(
        "mov rdx, rbp",   // the thrower's frame
        "mov rcx, [rsp]", // where this call returns to
        "sub rsp, 40",    // a `Resume`, and 8 bytes of alignment
        "mov r8, rsp",
        "call {find}",
        "test eax, eax",
        "jnz 2f",
        "mov rcx, [rsp + {pc}]",
        "mov rbp, [rsp + {fp}]",
        "mov rax, [rsp + {payload}]",
        "mov rsp, [rsp + {sp}]",
        "xor edx, edx",
        "jmp rcx",
        "2:",
        "add rsp, 40",
        "ret",
        find = sym F::find,
        pc = const offset_of!(Resume, pc),
        sp = const offset_of!(Resume, sp),
        fp = const offset_of!(Resume, fp),
        payload = const offset_of!(Resume, payload),
    )
}

/// Copies bytes that another process may write meanwhile, or read: which of them are old and which new is left open.
///
/// One instruction, of which the compiler knows only that it reads and writes memory.
///
/// # Safety
/// `count` bytes at `from` must be readable and at `to` writable, those on our side for nobody else, and the two must not overlap.
pub unsafe fn copy_bytes(from: *const u8, to: *mut u8, count: usize) {
    // SAFETY: the caller's promise; the direction flag is clear, as the convention has it.
    unsafe {
        asm!(
            "rep movsb",
            inout("rcx") count => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Cycles of the processor's clock, which goes on at the same pace whoever runs.
#[inline]
#[must_use]
pub fn cycles() -> u64 {
    // SAFETY: every x86-64 has the instruction, and Linux lets everybody execute it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The registers that a callee preserves, where callers may keep values while they wait.
#[must_use]
pub fn kept_registers() -> [usize; 6] {
    let mut kept = [0; 6];
    // SAFETY: stores six registers to the array and changes nothing else.
    unsafe {
        asm!(
            "mov [{kept}], rbx",
            "mov [{kept} + 8], rbp",
            "mov [{kept} + 16], r12",
            "mov [{kept} + 24], r13",
            "mov [{kept} + 32], r14",
            "mov [{kept} + 40], r15",
            kept = in(reg) &raw mut kept,
            options(nostack, preserves_flags),
        );
    }
    kept
}

/// The registers of a thread that a signal interrupted.
pub struct Interrupted(*mut libc::ucontext_t);

impl Interrupted {
    /// The registers that the third argument of a signal handler points to.
    ///
    /// # Safety
    /// `context` must be that argument, and the handler must not have returned while this value is used.
    #[must_use]
    pub unsafe fn new(context: *mut libc::c_void) -> Interrupted {
        Interrupted(context.cast())
    }

    /// All general registers, in the order of [`named_registers`].
    pub fn general(&self) -> GeneralRegisters {
        REGISTERS.map(|(_, index)| self.register(index))
    }

    fn register(&self, index: libc::c_int) -> usize {
        // SAFETY: `new`'s caller promised a valid context; the index is one of libc's register constants.
        unsafe { (&raw const (*self.0).uc_mcontext.gregs).cast::<i64>().add(index as usize).read() as usize }
    }

    fn set_register(&mut self, index: libc::c_int, value: usize) {
        // SAFETY: as in `register`.
        unsafe {
            (&raw mut (*self.0).uc_mcontext.gregs).cast::<i64>().add(index as usize).write(value as i64)
        }
    }

    /// The instruction.
    #[must_use]
    pub fn pc(&self) -> usize {
        self.register(libc::REG_RIP)
    }

    /// The stack pointer.
    #[must_use]
    pub fn sp(&self) -> usize {
        self.register(libc::REG_RSP)
    }

    /// The frame pointer.
    #[must_use]
    pub fn fp(&self) -> usize {
        self.register(libc::REG_RBP)
    }

    /// Lets the thread go on in `target`, as if its code had called that between two instructions.
    ///
    /// # Safety
    /// The thread was interrupted in compiled code, on a guest stack; `target` must restore every register before it
    /// returns.
    pub unsafe fn divert(&mut self, target: unsafe extern "C" fn()) {
        let sp = self.sp() - size_of::<usize>();
        // SAFETY: compiled code keeps nothing below its stack pointer, and every guest stack has headroom there.
        unsafe { (sp as *mut usize).write(self.pc()) };
        self.set_register(libc::REG_RSP, sp);
        self.set_register(libc::REG_RIP, target as *const () as usize);
    }

    /// Lets the thread go on where the `enter` that filled `landing` returns 1.
    pub fn land(&mut self, landing: &Landing) {
        const DIRECTION: usize = 1 << 10;
        self.set_register(libc::REG_RIP, landed as *const () as usize);
        self.set_register(libc::REG_RSP, landing.sp);
        self.set_register(libc::REG_EFL, self.register(libc::REG_EFL) & !DIRECTION);
    }
}

/// The general registers of an interrupted thread.
pub type GeneralRegisters = [usize; 18];

const REGISTERS: [(&str, libc::c_int); 18] = [
    ("rax", libc::REG_RAX),
    ("rbx", libc::REG_RBX),
    ("rcx", libc::REG_RCX),
    ("rdx", libc::REG_RDX),
    ("rsi", libc::REG_RSI),
    ("rdi", libc::REG_RDI),
    ("rbp", libc::REG_RBP),
    ("rsp", libc::REG_RSP),
    ("r8", libc::REG_R8),
    ("r9", libc::REG_R9),
    ("r10", libc::REG_R10),
    ("r11", libc::REG_R11),
    ("r12", libc::REG_R12),
    ("r13", libc::REG_R13),
    ("r14", libc::REG_R14),
    ("r15", libc::REG_R15),
    ("rip", libc::REG_RIP),
    ("rflags", libc::REG_EFL),
];

/// Registers with their names.
#[must_use]
pub fn named_registers(values: GeneralRegisters) -> Vec<(&'static str, u64)> {
    REGISTERS.iter().zip(values).map(|((name, _), value)| (*name, value as u64)).collect()
}
