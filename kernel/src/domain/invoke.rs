//! Calls from the host into guests.

use std::ops::Range;
use std::sync::Arc;

use abi::fault::{Fault, Trap};

use super::externs::Func;
use super::{Domain, signatures};
use crate::jit::valtype::CoreFuncType;
use crate::mem::MemError;
use crate::mem::stack::GuestStack;
use crate::trap::activation::{Activation, Faulted, Target};
use crate::trap::handler::prepare_thread;
use crate::vm::domain::{DOMAIN, EXIT_FP, STACK_LIMIT};

/// Slots for parameters and results that need no allocation.
const INLINE_SLOTS: usize = 16;

/// A guest stack that has frames of the domain on it.
#[derive(Clone, Debug)]
pub(super) struct StackInUse {
    /// The addresses that may be used.
    pub usable: Range<usize>,
    /// The addresses below them, where every access faults.
    pub guard: Range<usize>,
}

impl Domain {
    /// Calls a function with raw values: each in the low bytes of its word, references as their word.
    ///
    /// `args` and `results` must be as many as the signature says. From inside a host function that this domain called
    /// it goes on on the same guest stack.
    ///
    /// # Errors
    /// The guest's fault; or a fault with [`Trap::Host`] if the call does not fit the signature, passes a reference that
    /// is not one of this domain, or cannot be prepared.
    pub fn call(&mut self, func: &Func, args: &[u128], results: &mut [u128]) -> Result<(), Fault> {
        self.call_process(None, func, args, results)
    }

    /// The same, for a function of process `process`: frames of the call are its, unless an adapter is in between.
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
        if self.signatures.known(func.sig).is_none() {
            self.learn(func)?;
        }
        let signature = self.signatures.known(func.sig).expect("just learnt, if it was not known");
        if func.domain != self.key
            || args.len() != signature.ty.params.len()
            || results.len() != signature.ty.results.len()
            || !signature.checked_params.is_empty()
        {
            self.check(func, args, results)?;
        }
        let signature = self.signatures.known(func.sig).expect("as above");
        let (slots, pins) = (signature.slots, !signature.exceptions.is_empty());
        let ty = Arc::clone(&signature.ty);
        let target = Target { entry: signature.entry, ctx: func.import.ctx, code: func.import.code };
        if slots <= INLINE_SLOTS {
            let mut values = [0; INLINE_SLOTS];
            self.run(process, target, args, &mut values)?;
            take(results, &values, &ty);
        } else {
            let mut values = vec![0; slots];
            self.run(process, target, args, &mut values)?;
            take(results, &values, &ty);
        }
        if pins {
            self.pin_results(func, results);
        }
        Ok(())
    }

    fn run(
        &mut self,
        process: Option<u32>,
        target: Target,
        args: &[u128],
        values: &mut [u128],
    ) -> Result<(), Fault> {
        values[..args.len()].copy_from_slice(args);
        // SAFETY: the function belongs to this domain, the entry is its signature's, and there are slots enough.
        unsafe { self.enter(process, target, values.as_mut_ptr()) }
    }

    /// Runs a function of this domain with its values in slots.
    ///
    /// # Safety
    /// `target` must be a function of this domain with the entry of its signature, and `values` have the slots for it,
    /// holding values of its parameters' types.
    pub(crate) unsafe fn enter(
        &mut self,
        process: Option<u32>,
        target: Target,
        values: *mut u128,
    ) -> Result<(), Fault> {
        prepare_thread().map_err(no_memory)?;
        let this: *mut Domain = self;
        self.record.set(DOMAIN.cast_unsigned(), this);
        let here = (&raw const this) as usize;
        let nested = self.stacks.last().is_some_and(|stack| stack.usable.contains(&here));
        let (limit, exit_fp) = (self.word(STACK_LIMIT), self.word(EXIT_FP));
        let result = if nested {
            // SAFETY: the caller's promises; we are on a guest stack of this domain, whose limit is set.
            unsafe { Activation::run(target, values, exit_fp, process) }
        } else {
            // SAFETY: the caller's promises.
            unsafe { self.run_on_stack(process, target, values) }?
        };
        let stack = if nested { self.stacks.last().cloned() } else { self.stacks.pop() };
        self.record.set(STACK_LIMIT.cast_unsigned(), limit);
        self.record.set(EXIT_FP.cast_unsigned(), exit_fp);
        result.map_err(|faulted| self.explain(&faulted, &stack.map_or(0..0, |stack| stack.guard)))
    }

    /// Takes a stack for the outermost call, or for one that comes through another domain's host function; it is the
    /// last one in use when this returns a result.
    unsafe fn run_on_stack(
        &mut self,
        process: Option<u32>,
        target: Target,
        values: *mut u128,
    ) -> Result<Result<(), Box<Faulted>>, Fault> {
        let mut stack = GuestStack::take().map_err(no_memory)?;
        self.record.set(STACK_LIMIT.cast_unsigned(), stack.guest_limit());
        self.stacks.push(StackInUse { usable: stack.usable(), guard: stack.guard() });
        // SAFETY: the caller's promises; the stack's limit is set.
        let result =
            corosensei::on_stack(&mut stack, || unsafe { Activation::run(target, values, 0, process) });
        if result.is_err() {
            // It may have been deep recursion, whose memory is worth giving back.
            stack.shrink();
        }
        stack.give();
        Ok(result)
    }

    fn word(&self, offset: i32) -> usize {
        self.record.get(offset.cast_unsigned())
    }

    #[cold]
    fn learn(&mut self, func: &Func) -> Result<(), Fault> {
        if func.domain != self.key {
            return Err(refused("the function belongs to another domain".to_owned()));
        }
        self.signatures.learn(&self.engine, func.sig).map_err(|error| refused(error.to_string()))
    }

    #[cold]
    fn check(&self, func: &Func, args: &[u128], results: &[u128]) -> Result<(), Fault> {
        if func.domain != self.key {
            return Err(refused("the function belongs to another domain".to_owned()));
        }
        let signature = self.signatures.known(func.sig).expect("learnt before it is checked");
        let (params, values) = (signature.ty.params.len(), signature.ty.results.len());
        if (args.len(), results.len()) != (params, values) {
            let (given, taken) = (args.len(), results.len());
            return Err(refused(format!(
                "the function has {params} parameters and {values} results, not {given} and {taken}"
            )));
        }
        for &(index, ty) in &signature.checked_params {
            if !self.is_ref(args[index], ty) {
                return Err(refused(format!("argument {index} is no reference of this domain of the type it must have")));
            }
        }
        Ok(())
    }

    #[cold]
    fn pin_results(&mut self, func: &Func, results: &[u128]) {
        let signature: &signatures::Signature = self.signatures.known(func.sig).expect("it was just called");
        for &index in &signature.exceptions {
            self.exceptions.pin(results[index] as usize);
        }
    }
}

fn take(results: &mut [u128], values: &[u128], ty: &CoreFuncType) {
    for ((result, value), ty) in results.iter_mut().zip(values).zip(&ty.results) {
        *result = value & signatures::mask(*ty);
    }
}

fn refused(why: String) -> Fault {
    Fault::new(Trap::Host(why))
}

fn no_memory(error: MemError) -> Fault {
    refused(error.to_string())
}
