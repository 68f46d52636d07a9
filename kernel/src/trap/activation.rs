//! One stretch of guest code on a thread: from the host's call into it to its return or fault.
//!
//! A host function called by a guest may call a guest again, on the same stack: activations nest. The thread
//! knows the innermost one, which is where a fault goes.

use std::cell::Cell;
use std::ptr;

use super::capture::{Capture, Pcs};
use super::site::Edge;
use crate::arch::{self, Entry, Landing, Suspended};

thread_local! {
    // Neither has a destructor, so a signal handler may use them at any time.
    static CURRENT: Cell<*mut Activation> = const { Cell::new(ptr::null_mut()) };
}

/// One stretch of guest code; on the host's stack while it runs.
#[derive(Debug)]
#[repr(C)]
pub struct Activation {
    landing: Landing,
    parent: *mut Activation,
    /// Frame pointer of the stub that called out to the host before this one began; 0 for the outermost.
    caller_fp: usize,
    /// The process that a call from the host entered, if it is known.
    process: Option<u32>,
    capture: Option<Capture>,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The entry trampoline of the function's signature.
    pub entry: Entry,
    /// The function's context.
    pub ctx: *mut u8,
    /// The function.
    pub code: *const u8,
}

impl Activation {
    /// Runs `target` with the slots at `values`: on the stack that ends at `stack`, or on the current one.
    ///
    /// `caller_fp` is the frame pointer of the stub that called out to the host, if a guest's host function
    /// is what calls; `process` is whose function it is. A fault comes back as what the handler captured of
    /// it.
    ///
    /// # Safety
    /// As for [`arch::enter`], or [`arch::enter_on`]. The stack must be a guest stack whose limit is in the function's
    /// domain, the handlers must be installed and the thread must have its signal stack.
    #[inline]
    pub unsafe fn run(
        target: Target,
        values: *mut u128,
        stack: Option<usize>,
        caller_fp: usize,
        process: Option<u32>,
    ) -> Result<(), Box<Faulted>> {
        let (landing, parent) = (Landing::default(), ptr::null_mut());
        let mut activation = Activation { landing, parent, caller_fp, process, capture: None };
        let (this, Target { entry, ctx, code }) = (&raw mut activation, target);
        // SAFETY: the caller's promises; the activation is on this frame, which outlives the call.
        let cut_off = unsafe {
            (*this).parent = Activation::exchange(this);
            let landing = &raw mut (*this).landing;
            let cut_off = match stack {
                None => arch::enter(landing, entry, ctx, code, values),
                Some(stack) => arch::enter_on(landing, entry, ctx, code, values, stack),
            };
            Activation::exchange((*this).parent);
            cut_off
        };
        if cut_off == 0 {
            return Ok(());
        }
        // SAFETY: ours again; the handler's stores happened before we went on.
        Err(unsafe { Faulted::new(&*this) })
    }

    /// The innermost activation of this thread; null if it runs no guest code.
    ///
    /// Safe to call in a signal handler. Never inlined, as [`Self::exchange`].
    #[must_use]
    #[inline(never)]
    pub fn current() -> *mut Activation {
        CURRENT.get()
    }

    /// Makes `activation` the thread's innermost one; gives the one that was.
    ///
    /// Never inlined: guest code may be pre-empted and go on on another OS thread, so no function may use the address
    /// of a thread-local before it and after it.
    #[inline(never)]
    pub(crate) fn exchange(activation: *mut Activation) -> *mut Activation {
        CURRENT.replace(activation)
    }

    /// The one that called the host function that began this one; null for the outermost.
    #[must_use]
    pub fn parent(&self) -> *const Activation {
        self.parent
    }

    /// Where its guest frames end: the frame pointer of `enter`.
    #[must_use]
    pub fn outer_fp(&self) -> usize {
        self.landing.fp
    }

    /// Whose code it is in, if that is known: the innermost adapter says whom it calls. Looks at a few frames only, as
    /// it is asked often.
    pub(crate) fn process_of(&self, suspended: &Suspended) -> Option<u32> {
        let found = Capture::process_of(suspended, self.landing.fp);
        found.filter(|process| *process != Edge::NOBODY).or(self.process)
    }

    /// The frames of its guest code, which is suspended.
    ///
    /// # Safety
    /// It must stand there.
    pub(crate) unsafe fn suspended_stretch(&self, suspended: &Suspended) -> Stretch {
        let mut pcs = vec![suspended.pc];
        pcs.extend(suspended.unlinked_caller());
        // SAFETY: the thread stands where it was interrupted; from its stack pointer on all is its stack.
        unsafe {
            super::capture::walk(suspended.fp, suspended.sp(), self.landing.fp, &mut |pc| pcs.push(pc))
        };
        Stretch { pcs, process: self.process }
    }

    /// The frames of its guest code from the stub's on that called the host, whose frame pointer is `fp`.
    ///
    /// # Safety
    /// The stub must wait for the host.
    pub(crate) unsafe fn stretch_from(&self, fp: usize) -> Stretch {
        let mut pcs = Vec::new();
        // SAFETY: the frames from the stub's on are alive: their functions wait for the host to return.
        unsafe { super::capture::walk(fp, fp, self.landing.fp, &mut |pc| pcs.push(pc)) };
        Stretch { pcs, process: self.process }
    }

    /// The frames of the activations around it, from the inside out.
    ///
    /// # Safety
    /// They must wait for this one, which lives.
    pub(crate) unsafe fn outer_stretches(&self) -> Vec<Stretch> {
        let mut chain = Vec::new();
        let (mut inner, mut fp) = (self, self.caller_fp);
        while fp != 0 && !inner.parent.is_null() {
            // SAFETY: the parents live longer than this one.
            let outer = unsafe { &*inner.parent };
            // SAFETY: the stub at `fp` waits for what began `inner`.
            chain.push(unsafe { outer.stretch_from(fp) });
            (inner, fp) = (outer, outer.caller_fp);
        }
        chain
    }

    /// Ends its guest code, which is suspended, without a fault of its own; gives where it is to go on.
    pub(crate) fn cut_off(&mut self, suspended: &Suspended) -> *const Landing {
        self.capture = Some(Capture::of_suspended(suspended, self.landing.fp));
        &raw const self.landing
    }

    /// Handles a fault of its guest code: keeps what is needed to explain it, and cuts the guest off.
    pub(super) fn fault(&mut self, registers: &mut arch::Interrupted, signal: i32, address: usize) {
        self.capture = Some(Capture::take(registers, signal, address, self.landing.fp));
        registers.land(&self.landing);
    }
}

/// Guest code that faulted: what the handler saw, and everything on the call chain.
#[derive(Debug)]
pub struct Faulted {
    /// The signal and where it came from.
    pub capture: Capture,
    /// The addresses of the frames, innermost first, with the process each activation was entered for.
    pub chain: Vec<Stretch>,
}

/// The frames of one activation.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// The instruction that faulted, or return addresses, innermost first.
    pub pcs: Vec<usize>,
    /// The process that the host called, if it is known.
    pub process: Option<u32>,
}

impl Faulted {
    /// # Safety
    /// `activation` must have just been cut off, on this thread, its parents being alive.
    #[cold]
    #[inline(never)] // uses the thread's room for addresses: see `Activation::exchange`
    unsafe fn new(activation: &Activation) -> Box<Faulted> {
        let capture =
            activation.capture.expect("only the handler cuts an activation off, after it has captured");
        let first = Stretch { pcs: Pcs::of_thread().take(capture.frames), process: activation.process };
        let mut chain = vec![first];
        // SAFETY: the parents are on the stacks that we are running on, and wait for us to return.
        chain.extend(unsafe { activation.outer_stretches() });
        Box::new(Faulted { capture, chain })
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, Entry, Faulted, Target, ptr};
    use crate::mem::code::CodeBlock;
    use crate::mem::stack::GuestStack;
    use crate::trap::handler::prepare_thread;

    /// push rbp; mov rbp, rsp; call rsi; pop rbp; ret
    const ENTRY: [u8; 8] = [0x55, 0x48, 0x89, 0xe5, 0xff, 0xd6, 0x5d, 0xc3];
    /// push rbp; mov rbp, rsp
    const FRAME: [u8; 4] = [0x55, 0x48, 0x89, 0xe5];

    fn run(code: &[u8]) -> (Result<(), Box<Faulted>>, CodeBlock) {
        prepare_thread().unwrap();
        let block = CodeBlock::publish(64, |bytes, _| {
            bytes[..8].copy_from_slice(&ENTRY);
            bytes[16..16 + 4].copy_from_slice(&FRAME);
            bytes[20..20 + code.len()].copy_from_slice(code);
        })
        .unwrap();
        // SAFETY: the bytes are an entry trampoline and a function.
        let entry: Entry = unsafe { std::mem::transmute(block.base()) };
        let target = Target { entry, ctx: ptr::null_mut(), code: block.base().wrapping_add(16) };
        let stack = GuestStack::take().unwrap();
        // SAFETY: the function needs no values and no domain.
        let result =
            unsafe { Activation::run(target, ptr::null_mut(), Some(stack.usable().end), 0, Some(3)) };
        stack.give();
        (result, block)
    }

    #[test]
    fn faults_come_back_with_their_frames() {
        let faults: [(&[u8], i32, usize); 4] = [
            (&[0x0f, 0x0b], libc::SIGILL, 0),                               // ud2
            (&[0x31, 0xc0, 0x8b, 0x40, 0x10], libc::SIGSEGV, 2),            // xor eax, eax; mov eax, [rax+16]
            (&[0x31, 0xc9, 0x31, 0xc0, 0x99, 0xf7, 0xf9], libc::SIGFPE, 5), // xor; cdq; idiv ecx
            (&[0xfd, 0x0f, 0x0b], libc::SIGILL, 1),                         // std; ud2
        ];
        for (code, signal, at) in faults.into_iter().cycle().take(100) {
            let (result, block) = run(code);
            let faulted = result.unwrap_err();
            let base = block.base() as usize;
            assert_eq!((faulted.capture.signal, faulted.capture.pc), (signal, base + 20 + at));
            assert_eq!(faulted.chain.len(), 1);
            assert_eq!(faulted.chain[0].process, Some(3));
            assert_eq!(faulted.chain[0].pcs, [base + 20 + at, base + 6]);
            if signal == libc::SIGSEGV {
                assert_eq!(faulted.capture.address, 16);
            }
        }
        assert!(Activation::current().is_null());
    }

    #[test]
    fn code_that_returns_returns() {
        assert!(run(&[0x5d, 0xc3]).0.is_ok()); // pop rbp; ret
    }

    #[test]
    fn recursion_into_the_guard_is_caught() {
        // call itself
        let (result, block) = run(&[0xe8, 0xf7, 0xff, 0xff, 0xff]);
        let faulted = result.unwrap_err();
        assert_eq!(faulted.capture.signal, libc::SIGSEGV);
        let pcs = &faulted.chain[0].pcs;
        assert!(pcs.len() > 50_000, "{}", pcs.len());
        assert_eq!(pcs.last(), Some(&(block.base() as usize + 6)));
    }
}
