//! A call of a host function by a guest: what the function sees of it, and the way in from compiled code.
//!
//! Where core values are few the stub passes them in registers to [`enter`], of which there is one for each type of host
//! function: that can be written into it, and then no call, no lookup and no store is left that it does not need. The
//! stub has counted the call, and noted where it goes.

use std::any::Any;
use std::sync::Arc;

use abi::fault::Trap;
use abi::id::ProcessId;
use abi::side::{Encoding, Side};
use abi::types::{FuncType, ResourceType};
use abi::value::Resource;

use super::guest::Guest;
use super::linked::{HostImport, Target};
use super::port;
use super::running::Running;
use crate::domain::Domain;
use crate::host::{HostCall, HostFunc};
use crate::instance::builtins::domain_of_record;
use crate::sched::lock::{Held, ParkingLock};
use crate::sched::park::{checkpoint_in_host, checkpoint_of_call};

/// How many core values [`enter`] takes.
pub(crate) const REGISTERS: usize = 4;

/// What [`enter`] returns, in two registers.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Served {
    /// 0, or that a trap is pending.
    status: u64,
    /// The core result, if there is one.
    value: u64,
}

/// [`enter`] for a type of host function.
pub(crate) type EnterHost = unsafe extern "C" fn(*mut u8, *const HostImport, u64, u64, u64, u64) -> Served;

/// Serves a call of a host function of type `F`, whose core parameters are `a` to `d`.
///
/// # Safety
/// Called by the stub of `import`, with its `VmDomain`; the import has an entry for a function of type `F`.
pub(crate) unsafe extern "C" fn enter<F: HostFunc>(
    record: *mut u8,
    import: *const HostImport,
    a: u64,
    b: u64,
    c: u64,
    d: u64,
) -> Served {
    // SAFETY: the caller's promises. The domain holds what it was linked to, and whoever called us holds the domain.
    let (domain, import) = unsafe { (domain_of_record(record), &*import) };
    let entry = import.entry.expect("a stub calls what has an entry");
    // SAFETY: the caller's promise; the import holds the function.
    let func = unsafe { &*entry.func().cast::<F>() };
    domain.forget_faults();
    let mut core = [a, b, c, d];
    let result = func.call(&mut Call::new(domain, import, &mut core));
    if let Err(trap) = result {
        return failed(domain, import, trap);
    }
    served(domain, checkpoint_in_host(), core[0])
}

/// The same for an import that leads into another domain.
///
/// # Safety
/// As [`enter`]; the import is a port, and the stub has noted its number.
pub(crate) unsafe extern "C" fn enter_port(
    record: *mut u8,
    import: *const HostImport,
    a: u64,
    b: u64,
    c: u64,
    d: u64,
) -> Served {
    // SAFETY: the caller's promises, as in `enter`.
    let (domain, import) = unsafe { (domain_of_record(record), &*import) };
    let Target::Port(port) = &import.target else { unreachable!("only ports are entered here") };
    domain.forget_faults();
    let (index, mut core) = (domain.serving() as usize, [a, b, c, d]);
    if let Err(trap) = port::call(domain, import, index, port, &mut core[..import.slots]) {
        return failed(domain, import, *trap);
    }
    served(domain, checkpoint_of_call(), core[0])
}

/// A call that has ended, unless a checkpoint behind it has found that more is to end.
#[inline]
fn served(domain: &mut Domain, checkpoint: Result<(), Trap>, value: u64) -> Served {
    match checkpoint {
        Ok(()) => Served { status: 0, value },
        Err(trap) => pending(domain, trap),
    }
}

#[cold]
#[inline(never)]
fn failed(domain: &mut Domain, import: &HostImport, trap: Trap) -> Served {
    if let Some(edge) = import.edge {
        Running::of(domain).tallies[edge as usize].fail();
    }
    pending(domain, trap)
}

#[cold]
#[inline(never)]
fn pending(domain: &mut Domain, trap: Trap) -> Served {
    Served { status: domain.leave(trap).into(), value: 0 }
}

/// What a host function sees of its call.
pub(crate) struct Call<'d> {
    guest: Guest<'d>,
    import: &'d HostImport,
    core: &'d mut [u64],
    /// Taken at first use: a call that needs no state needs no lock.
    state: Option<Held<'d, Box<dyn Any + Send>>>,
}

impl<'d> Call<'d> {
    /// A call of an import, with these core values.
    #[inline]
    pub fn new(domain: &'d mut Domain, import: &'d HostImport, core: &'d mut [u64]) -> Call<'d> {
        Call { guest: Guest::new(domain, &import.caller), import, core, state: None }
    }

    #[inline(never)]
    fn take_state(&mut self) {
        let host = Arc::as_ptr(&Running::of(self.guest.domain).host);
        // SAFETY: the domain holds the host's state, and whoever made this call holds the domain.
        let host: &'d ParkingLock<Box<dyn Any + Send>> = unsafe { &*host };
        self.state = Some(host.lock());
    }
}

impl HostCall for Call<'_> {
    #[inline]
    fn core(&mut self) -> &mut [u64] {
        self.core
    }

    #[inline]
    fn func_type(&self) -> Arc<FuncType> {
        Arc::clone(&self.import.ty)
    }

    #[inline]
    fn import(&self) -> u32 {
        let imports = &Running::of(self.guest.domain).program().imports;
        let at = imports.iter().position(|import| std::ptr::eq(import, self.import));
        at.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
    }

    #[inline]
    fn process(&self) -> ProcessId {
        let running = Running::of(self.guest.domain);
        let index = running.in_tree(self.import.caller.process).expect("linking placed the caller");
        // SAFETY: whoever executes a domain of a tree holds its peers.
        let peers = unsafe { &*running.peers.as_ptr() };
        peers.process_id(index).expect("the caller is one of the tree's processes")
    }

    #[inline]
    fn process_index(&self) -> u32 {
        let processes = &Running::of(self.guest.domain).program().processes;
        *processes.get(self.import.caller.process as usize).expect("linking placed the caller")
    }

    #[inline]
    fn state(&mut self) -> &mut (dyn Any + Send) {
        if self.state.is_none() {
            self.take_state();
        }
        &mut ***self.state.as_mut().expect("taken above")
    }

    #[inline]
    fn release_state(&mut self) {
        self.state = None;
    }
}

impl Side for Call<'_> {
    #[inline]
    fn encoding(&self) -> Encoding {
        self.guest.encoding()
    }

    #[inline]
    fn memory(&self) -> &[u8] {
        self.guest.memory()
    }

    #[inline]
    fn memory_mut(&mut self) -> &mut [u8] {
        self.guest.memory_mut()
    }

    #[inline]
    fn realloc(&mut self, old: u32, old_bytes: u32, align: u32, new_bytes: u32) -> Result<u32, Trap> {
        self.guest.realloc(old, old_bytes, align, new_bytes)
    }

    #[inline]
    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.guest.lift_own(ty, index)
    }

    #[inline]
    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.guest.lift_borrow(ty, index)
    }

    #[inline]
    fn lower_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.guest.lower_own(ty, rep)
    }

    #[inline]
    fn lower_borrow(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.guest.lower_borrow(ty, rep)
    }

    #[inline]
    fn checkpoint(&mut self) -> Result<(), Trap> {
        self.guest.checkpoint()
    }

    #[inline]
    fn generation(&self, ty: ResourceType) -> u32 {
        self.guest.generation(ty)
    }

    #[inline]
    fn known(&self, resource: &Resource) -> Result<ResourceType, Trap> {
        self.guest.known(resource)
    }
}
