//! Calls from the host into guests.

use std::ops::Range;

use abi::fault::{Fault, Trap};

use super::Domain;
use super::externs::Func;
use super::signatures::{Signature, mask};
use crate::arch::Entry;
use crate::limits::KEPT_STACK_BYTES;
use crate::mem::MemError;
use crate::mem::stack::{GuestStack, StackBounds};
use crate::trap::activation::{Activation, Faulted, Target};
use crate::trap::handler::prepare_thread;
use crate::vm::VmDomainHead;

/// A guest stack that has frames of the domain on it.
#[derive(Clone, Debug)]
pub(super) struct StackInUse {
    /// The addresses that may be used.
    pub usable: Range<usize>,
    /// The addresses below them, where every access faults.
    pub guard: Range<usize>,
    /// How many of the bytes the process may use that was called, if not all.
    pub quota: Option<u64>,
}

impl Domain {
    /// Calls a function with raw values: each in the low bytes of its word, references as their word.
    ///
    /// `args` and `results` must be as many as the signature says. From inside a host function that this
    /// domain called it goes on on the same guest stack.
    ///
    /// # Errors
    /// The guest's fault; or a fault with [`Trap::Host`] if the call does not fit the signature, passes a
    /// reference that is not one of this domain, or cannot be prepared.
    pub fn call(&mut self, func: &Func, args: &[u128], results: &mut [u128]) -> Result<(), Fault> {
        self.call_process(None, func, args, results)
    }

    /// The same, for a function of process `process`: frames of the call are its, unless an adapter is in
    /// between.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_process(
        &mut self,
        process: Option<u32>,
        func: &Func,
        args: &[u128],
        results: &mut [u128],
    ) -> Result<(), Fault> {
        let known = self.signatures.known(func.sig).filter(|signature| {
            func.domain == self.key
                && args.len() == signature.ty.params.len()
                && results.len() == signature.ty.results.len()
                && signature.checked_params.is_empty()
        });
        let signature = match known {
            Some(signature) => signature,
            None => self.check(func, args, results)?,
        };
        let target = Target { entry: signature.entry, ctx: func.import.ctx, code: func.import.code };
        match signature.slots {
            0..=4 => self.run::<4>(process, func, target, args, results),
            5..=16 => self.run::<16>(process, func, target, args, results),
            slots => {
                let mut values = vec![0; slots];
                values[..args.len()].copy_from_slice(args);
                // SAFETY: the function belongs to this domain, the entry is its signature's, there are slots
                // enough.
                unsafe { self.enter(process, target, values.as_mut_ptr())? };
                self.take_results(func, &values, results);
                Ok(())
            }
        }
    }

    /// What a call of a function of this domain needs, with how many parameters and results it has: for who calls it often,
    /// with [`Self::enter`].
    ///
    /// # Errors
    /// A fault with [`Trap::Host`] if the function is another domain's, or takes or gives references.
    pub(crate) fn target(&mut self, func: &Func) -> Result<(Target, usize, usize), Fault> {
        let ty = self.engine.signature(func.sig);
        let (args, results) = (vec![0; ty.params.len()], vec![0; ty.results.len()]);
        let signature = self.check(func, &args, &results)?;
        if !signature.checked_params.is_empty() || !signature.exceptions.is_empty() {
            return Err(refused("the function takes or gives references".to_owned()));
        }
        let target = Target { entry: signature.entry, ctx: func.import.ctx, code: func.import.code };
        Ok((target, args.len(), results.len()))
    }

    /// With the slots on our stack: a call allocates nothing.
    #[inline]
    fn run<const SLOTS: usize>(
        &mut self,
        process: Option<u32>,
        func: &Func,
        target: Target,
        args: &[u128],
        results: &mut [u128],
    ) -> Result<(), Fault> {
        let mut values = [0; SLOTS];
        for (value, arg) in values.iter_mut().zip(args) {
            *value = *arg;
        }
        // SAFETY: the function belongs to this domain, the entry is its signature's, and there are slots
        // enough.
        unsafe { self.enter(process, target, values.as_mut_ptr())? };
        self.take_results(func, &values, results);
        Ok(())
    }

    #[inline]
    fn take_results(&mut self, func: &Func, values: &[u128], results: &mut [u128]) {
        let signature = self.signatures.known(func.sig).expect("it was just called");
        for ((result, value), ty) in results.iter_mut().zip(values).zip(&signature.ty.results) {
            *result = value & mask(*ty);
        }
        for &index in &signature.exceptions {
            if let Some(exceptions) = &mut self.exceptions {
                exceptions.pin(results[index] as usize);
            }
        }
    }

    /// Runs an adapter of this domain that is entered from outside, with its values in slots.
    ///
    /// # Safety
    /// The adapter must be one of this domain's program, and take these slots.
    pub(crate) unsafe fn enter_adapter(
        &mut self,
        process: u32,
        entry: Entry,
        slots: *mut u64,
    ) -> Result<(), Box<Fault>> {
        let target = Target { entry, ctx: self.vm(), code: std::ptr::null() };
        // SAFETY: the caller's promises; it has no other use for a code.
        unsafe { self.enter(Some(process), target, slots.cast()) }
    }

    /// Runs a function of this domain with its values in slots.
    ///
    /// A fault is boxed: it is large, and who passes a result on would copy the room for it.
    ///
    /// Never inlined: guest code may go on on another OS thread, so who calls guests twice must not keep the address of
    /// a thread-local that is used here.
    ///
    /// # Safety
    /// `target` must be a function of this domain with the entry of its signature, and `values` have the slots for it,
    /// holding values of its parameters' types.
    #[inline(never)]
    pub(crate) unsafe fn enter(
        &mut self,
        process: Option<u32>,
        target: Target,
        values: *mut u128,
    ) -> Result<(), Box<Fault>> {
        prepare_thread().map_err(no_memory)?;
        let this: *mut Domain = self;
        self.head().domain = this;
        let here = (&raw const this) as usize;
        let nested = self.stacks.last().is_some_and(|stack| stack.usable.contains(&here));
        let VmDomainHead { stack_limit, exit_fp, .. } = *self.head();
        let result = if nested {
            // SAFETY: the caller's promises; we are on a guest stack of this domain, whose limit is set.
            unsafe { Activation::run(target, values, None, exit_fp, process) }
        } else {
            // SAFETY: the caller's promises.
            unsafe { self.run_on_stack(process, target, values) }?
        };
        let head = self.head();
        (head.stack_limit, head.exit_fp) = (stack_limit, exit_fp);
        match result {
            Ok(()) => {
                self.stacks.truncate(self.stacks.len() - usize::from(!nested));
                Ok(())
            }
            Err(faulted) => Err(Box::new(self.cut_off(&faulted, nested))),
        }
    }

    #[cold]
    fn cut_off(&mut self, faulted: &Faulted, nested: bool) -> Fault {
        let stack = if nested { self.stacks.last().cloned() } else { self.stacks.pop() };
        self.explain(faulted, stack.as_ref())
    }

    /// Runs `work` on the stack that it is called on: calls into `process` and what they call in turn take no other one.
    /// Nothing else of the domain may be on that stack.
    #[inline(always)]
    pub(crate) fn on_stack<T>(
        &mut self,
        process: Option<u32>,
        stack: StackBounds,
        work: impl FnOnce(&mut Domain) -> T,
    ) -> T {
        let (quota, here) = (self.stack_quota(process), (&raw const process) as usize);
        let allowed = quota.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let limit = stack.guest_limit().max(here.saturating_sub(allowed));
        let VmDomainHead { stack_limit, exit_fp, .. } = *self.head();
        let head = self.head();
        (head.stack_limit, head.exit_fp) = (limit, 0);
        self.stacks.push(StackInUse { usable: stack.usable(), guard: stack.guard(), quota });
        let result = work(self);
        self.stacks.pop();
        // A fault in there was not one of a call that a host function made.
        self.nested = None;
        let head = self.head();
        (head.stack_limit, head.exit_fp) = (stack_limit, exit_fp);
        result
    }

    /// Takes a stack for the outermost call, or for one that comes through another domain's host function; it
    /// is the last one in use when this returns a result.
    ///
    /// # Safety
    /// As for [`Self::enter`].
    unsafe fn run_on_stack(
        &mut self,
        process: Option<u32>,
        target: Target,
        values: *mut u128,
    ) -> Result<Result<(), Box<Faulted>>, Fault> {
        let mut stack = GuestStack::take().map_err(no_memory)?;
        let quota = self.stack_quota(process);
        let allowed = quota.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let limit = stack.guest_limit().max(stack.usable().end.saturating_sub(allowed));
        self.head().stack_limit = limit;
        self.stacks.push(StackInUse { usable: stack.usable(), guard: stack.guard(), quota });
        // SAFETY: the caller's promises; the stack's limit is set.
        let result = unsafe { Activation::run(target, values, Some(stack.usable().end), 0, process) };
        if let Err(faulted) = &result
            && stack.usable().end.saturating_sub(faulted.capture.sp) > KEPT_STACK_BYTES
        {
            // It was deep recursion, whose memory is worth giving back.
            stack.shrink();
        }
        stack.give();
        Ok(result)
    }

    /// What is not known to be right: a signature that is called for the first time, references, mistakes.
    #[cold]
    fn check(&mut self, func: &Func, args: &[u128], results: &[u128]) -> Result<&Signature, Fault> {
        if func.domain != self.key {
            return Err(refused("the function belongs to another domain".to_owned()));
        }
        if self.signatures.known(func.sig).is_none() {
            self.signatures.learn(&self.engine, func.sig).map_err(|error| refused(error.to_string()))?;
        }
        let signature = self.signatures.known(func.sig).expect("just learnt, if it was not known");
        let (params, values) = (signature.ty.params.len(), signature.ty.results.len());
        if (args.len(), results.len()) != (params, values) {
            let (given, taken) = (args.len(), results.len());
            return Err(refused(format!(
                "the function has {params} parameters and {values} results, not {given} and {taken}"
            )));
        }
        for &(index, ty) in &signature.checked_params {
            if !self.is_ref(args[index], ty) {
                return Err(refused(format!(
                    "argument {index} is no reference of this domain of the type it must have"
                )));
            }
        }
        Ok(signature)
    }
}

fn refused(why: String) -> Fault {
    Fault::new(Trap::Host(why))
}

fn no_memory(error: MemError) -> Fault {
    refused(error.to_string())
}
