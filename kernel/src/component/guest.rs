//! A process of a running tree as one side of a call ([`Side`]).

use std::cell::OnceCell;

use abi::fault::{Fault, Trap};
use abi::plan::Endpoint;
use abi::side::{Encoding, Side};
use abi::types::ResourceType;
use abi::value::Resource;

use super::observe::taps;
use super::running::Running;
use crate::domain::Domain;
use crate::domain::externs::{Func, MemoryRef};
use crate::sched::park::checkpoint;
use crate::trap::activation::Target;
use crate::vm::flags::{MAY_ENTER, MAY_LEAVE};

/// A process, with the canonical options of the call at hand.
pub(super) struct Guest<'d> {
    /// Whose process it is.
    pub domain: &'d mut Domain,
    endpoint: &'d Endpoint,
    /// Found at first use: calls that pass numbers need none.
    memory: OnceCell<Option<MemoryRef>>,
}

impl<'d> Guest<'d> {
    /// The side of `endpoint`, whose slots are filled.
    #[inline]
    pub fn new(domain: &'d mut Domain, endpoint: &'d Endpoint) -> Guest<'d> {
        Guest { domain, endpoint, memory: OnceCell::new() }
    }

    /// Calls a core function of this process, by slot; scopes that a fault leaves open are closed.
    ///
    /// # Errors
    /// The guest's fault.
    pub fn call(&mut self, slot: u32, args: &[u128], results: &mut [u128]) -> Result<(), Fault> {
        call_slot(self.domain, self.endpoint.process, slot, args, results)
    }

    /// Runs `work` while the process may not call out.
    pub fn staying<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let process = self.endpoint.process;
        let before = self.domain.flags(process);
        self.domain.set_flags(process, before & !MAY_LEAVE);
        let result = work(self);
        // A fault meanwhile has taken MAY_ENTER away for good.
        let after = self.domain.flags(process);
        self.domain.set_flags(process, (after & MAY_ENTER) | (before & !MAY_ENTER));
        result
    }
}

fn memory_of(domain: &Domain, endpoint: &Endpoint) -> Option<MemoryRef> {
    endpoint.memory.and_then(|slot| Running::of(domain).memories.get(slot as usize)?.clone())
}

/// Calls the core function in a slot as one of `process`.
pub(super) fn call_slot(
    domain: &mut Domain,
    process: u32,
    slot: u32,
    args: &[u128],
    results: &mut [u128],
) -> Result<(), Fault> {
    let (func, depth) = slot_func(domain, slot)?;
    let result = domain.call_process(Some(process), &func, args, results);
    result.inspect_err(|fault| depth.unwind(domain, fault))
}

/// A core function of the domain with all that a call of it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    target: Target,
    /// How many parameters and results it has; none of them is a reference.
    shape: (usize, usize),
}

// SAFETY: the addresses are of code and of what the domain owns, whose state this is part of.
unsafe impl Send for Ready {}

/// Calls the core function in a slot as one of `process`, with the values in place: as many parameters and results as
/// `shape` says, in as many slots at least.
///
/// # Errors
/// The guest's fault.
#[inline]
pub(super) fn call_in_place(
    domain: &mut Domain,
    process: u32,
    slot: u32,
    shape: (usize, usize),
    values: &mut [u128],
) -> Result<(), Box<Fault>> {
    let running = Running::of(domain);
    let depth = Depth { scopes: running.handles.depth(), taps: running.taps.len() };
    let target = match running.ready.get(slot as usize) {
        Some(Some(ready)) if ready.shape == shape && shape.0.max(shape.1) <= values.len() => ready.target,
        _ => make_ready(domain, slot, shape, values.len())?,
    };
    // SAFETY: a function of this domain with the entry of its signature, for which there are slots enough.
    match unsafe { domain.enter(Some(process), target, values.as_mut_ptr()) } {
        Ok(()) => Ok(()),
        Err(fault) => {
            depth.unwind(domain, &fault);
            Err(fault)
        }
    }
}

/// Finds out what a call of the function in a slot needs: once in a life of the domain.
#[cold]
fn make_ready(domain: &mut Domain, slot: u32, shape: (usize, usize), slots: usize) -> Result<Target, Fault> {
    let (func, _) = slot_func(domain, slot)?;
    let (target, params, results) = domain.target(&func)?;
    if (params, results) != shape || params.max(results) > slots {
        let text = format!("the core function has {params} parameters and {results} results, not {shape:?}");
        return Err(Fault::new(Trap::Host(text)));
    }
    let ready = &mut Running::of_mut(domain).ready;
    if ready.len() <= slot as usize {
        ready.resize(slot as usize + 1, None);
    }
    ready[slot as usize] = Some(Ready { target, shape });
    Ok(target)
}

/// What is open when a guest is called: a fault ends what is opened later.
struct Depth {
    scopes: usize,
    taps: usize,
}

impl Depth {
    #[cold]
    fn unwind(&self, domain: &mut Domain, fault: &Fault) {
        Running::of_mut(domain).handles.unwind(self.scopes);
        taps::unwind(domain, self.taps, fault);
    }
}

/// The function in a slot, and what is open.
fn slot_func(domain: &Domain, slot: u32) -> Result<(Func, Depth), Fault> {
    let running = Running::of(domain);
    let func = running.funcs.get(slot as usize).and_then(Option::as_ref);
    let missing = || Fault::new(Trap::Host("a function of a tree that is not up".to_owned()));
    let depth = Depth { scopes: running.handles.depth(), taps: running.taps.len() };
    Ok((*func.ok_or_else(missing)?, depth))
}

impl Side for Guest<'_> {
    fn encoding(&self) -> Encoding {
        self.endpoint.encoding
    }

    fn memory(&self) -> &[u8] {
        let memory = self.memory.get_or_init(|| memory_of(self.domain, self.endpoint)).as_ref();
        memory.and_then(|memory| self.domain.memory(memory)).unwrap_or(&[])
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        let memory = self.memory.get_or_init(|| memory_of(self.domain, self.endpoint)).as_ref();
        memory.and_then(|memory| self.domain.memory_mut(memory)).unwrap_or(&mut [])
    }

    fn realloc(&mut self, old: u32, old_bytes: u32, align: u32, new_bytes: u32) -> Result<u32, Trap> {
        let Some(slot) = self.endpoint.realloc else {
            return Err(Trap::Unsupported(
                "a call that needs the canonical option `realloc`, which is missing",
            ));
        };
        let args = [old, old_bytes, align, new_bytes].map(u128::from);
        let mut results = [0];
        // It runs as a thread of its own, with a context of its own.
        let process = self.endpoint.process as usize;
        let context = std::mem::take(&mut Running::of_mut(self.domain).locals[process].context);
        let result = self.staying(|guest| guest.call(slot, &args, &mut results));
        Running::of_mut(self.domain).locals[process].context = context;
        result.map_err(|fault| fault.trap)?;
        Ok(results[0] as u32)
    }

    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        Running::of_mut(self.domain).handles.lift_own(self.endpoint.process, ty, index)
    }

    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        Running::of_mut(self.domain).handles.lend(self.endpoint.process, ty, index)
    }

    fn lower_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        Running::of_mut(self.domain).handles.add_own(self.endpoint.process, ty, rep)
    }

    fn lower_borrow(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        Running::of_mut(self.domain).lower_borrow(self.endpoint.process, ty, rep)
    }

    fn checkpoint(&mut self) -> Result<(), Trap> {
        checkpoint()
    }

    fn generation(&self, ty: ResourceType) -> u32 {
        Running::of(self.domain).life_of(ty)
    }

    fn known(&self, resource: &Resource) -> Result<ResourceType, Trap> {
        Running::of(self.domain).known(self.endpoint.process, resource)
    }
}
