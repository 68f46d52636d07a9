//! What the component model adds to a domain: its built-ins, and who is who.
//!
//! The kernel's core knows processes by their index in the domain's layout and nothing else of them.

use abi::fault::{Fault, Trap};
use abi::handle::HandleTable;
use abi::id::ProcessId;

use super::Domain;

/// The run-time half of the component-level built-ins ([`crate::jit::builtin`]), called by adapters and host
/// stubs.
///
/// An implementation has no state of its own: a built-in may call guests, whose adapters call built-ins
/// again, so whatever it needs is in [`Domain::state`], reached anew each time.
///
/// # Safety
/// The domain that a method gets runs guest code further up the stack: an implementation must not replace
/// it, nor move anything out of it. What [`ComponentHooks::handles`] gives stays where it is, one table for each
/// process of the layout, and changes only by the methods of the tables, as long as there is the domain.
pub unsafe trait ComponentHooks: Sync {
    /// `host_call`: serves a call of host import `import`. `values` has room for the stub's parameters and
    /// results, 64 bits each, whichever are more.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn host_call(&self, domain: &mut Domain, import: u32, values: *mut u64) -> Result<(), Trap>;

    /// The first of the handle tables of the domain's processes, which compiled code reads and writes; null if it
    /// has none.
    fn handles(&self, domain: &mut Domain) -> *mut HandleTable;

    /// `resource_new`: the handle for `rep` in the table of `process`.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn resource_new(&self, domain: &mut Domain, process: u32, ty: u32, rep: u32) -> Result<u32, Trap>;

    /// `resource_rep`: the representation behind a handle.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn resource_rep(&self, domain: &mut Domain, process: u32, ty: u32, handle: u32) -> Result<u32, Trap>;

    /// `resource_drop`: drops a handle; may run the destructor.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn resource_drop(&self, domain: &mut Domain, process: u32, ty: u32, handle: u32) -> Result<(), Trap>;

    /// `transfer_own`: moves an own handle from caller to callee.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn transfer_own(
        &self,
        domain: &mut Domain,
        from: u32,
        to: u32,
        ty: u32,
        handle: u32,
    ) -> Result<u32, Trap>;

    /// `transfer_borrow`: lends a handle to the callee.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn transfer_borrow(
        &self,
        domain: &mut Domain,
        from: u32,
        to: u32,
        ty: u32,
        handle: u32,
    ) -> Result<u32, Trap>;

    /// `scope_enter`: opens a handle scope for a call of `callee`.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn scope_enter(&self, domain: &mut Domain, callee: u32) -> Result<(), Trap>;

    /// `scope_exit`: closes the innermost scope.
    ///
    /// # Errors
    /// The trap that ends the guest's call.
    fn scope_exit(&self, domain: &mut Domain) -> Result<(), Trap>;

    /// `abi_trap`: the trap that an adapter found, by its number in the adapter compiler's list and three
    /// details.
    fn abi_trap(&self, domain: &mut Domain, why: u32, details: [u64; 3]) -> Trap;

    /// `refuse`: the trap of adapter `adapter`, a function that may be linked but not called.
    fn refuse(&self, domain: &mut Domain, adapter: u32) -> Trap;

    /// Who process `process` of this domain is: its id, and its name as a path from the root.
    fn process(&self, domain: &Domain, process: u32) -> Option<(ProcessId, String)>;

    /// Some guest code was cut off. `processes` had frames on that stretch of stack; they may not be entered
    /// any more already. The fault may be completed before the host gets it.
    fn faulted(&self, domain: &mut Domain, processes: &[u32], fault: &mut Fault);

    /// Limits the handles of a process.
    fn limit_handles(&self, _domain: &mut Domain, _process: u32, _limit: Option<u32>) {}

    /// `tap_begin`: a call over a watched edge begins, with these core parameters of the adapter.
    fn tap_begin(&self, _domain: &mut Domain, _adapter: u32, _params: &[u64]) {}

    /// `tap_end`: it returns, with these core results.
    fn tap_end(&self, _domain: &mut Domain, _adapter: u32, _params: &[u64], _results: &[u64]) {}

    /// A memory of a process has grown.
    fn grew(&self, _domain: &mut Domain, _process: u32) {}
}

/// For domains of core modules: no processes, and no adapters that could call a component-level built-in.
#[derive(Debug)]
pub struct NoHooks;

const NO_COMPONENTS: Trap = Trap::Unsupported("a component-level built-in in a domain without components");

// SAFETY: does nothing with a domain.
unsafe impl ComponentHooks for NoHooks {
    fn handles(&self, _: &mut Domain) -> *mut HandleTable {
        std::ptr::null_mut()
    }
    fn host_call(&self, _: &mut Domain, _: u32, _: *mut u64) -> Result<(), Trap> {
        Err(NO_COMPONENTS)
    }
    fn resource_new(&self, _: &mut Domain, _: u32, _: u32, _: u32) -> Result<u32, Trap> {
        Err(NO_COMPONENTS)
    }
    fn resource_rep(&self, _: &mut Domain, _: u32, _: u32, _: u32) -> Result<u32, Trap> {
        Err(NO_COMPONENTS)
    }
    fn resource_drop(&self, _: &mut Domain, _: u32, _: u32, _: u32) -> Result<(), Trap> {
        Err(NO_COMPONENTS)
    }
    fn transfer_own(&self, _: &mut Domain, _: u32, _: u32, _: u32, _: u32) -> Result<u32, Trap> {
        Err(NO_COMPONENTS)
    }
    fn transfer_borrow(&self, _: &mut Domain, _: u32, _: u32, _: u32, _: u32) -> Result<u32, Trap> {
        Err(NO_COMPONENTS)
    }
    fn scope_enter(&self, _: &mut Domain, _: u32) -> Result<(), Trap> {
        Err(NO_COMPONENTS)
    }
    fn scope_exit(&self, _: &mut Domain) -> Result<(), Trap> {
        Err(NO_COMPONENTS)
    }
    fn abi_trap(&self, _: &mut Domain, _: u32, _: [u64; 3]) -> Trap {
        NO_COMPONENTS
    }
    fn refuse(&self, _: &mut Domain, _: u32) -> Trap {
        NO_COMPONENTS
    }
    fn process(&self, _: &Domain, _: u32) -> Option<(ProcessId, String)> {
        None
    }
    fn faulted(&self, _: &mut Domain, _: &[u32], _: &mut Fault) {}
}
