//! The run-time half of the component-level built-ins: host calls, handles, scopes.

use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::handle::HandleTable;
use abi::id::ProcessId;
use abi::types::ResourceType;
use abi::value::Resource;

use super::apart;
use super::carrier::{Crossing, Deed};
use super::guest::call_slot;
use super::host_call::Call;
use super::linked::Target;
use super::observe::edge_tally::Tally;
use super::observe::{dump, taps};
use super::onlooker;
use super::port;
use super::running::Running;
use super::task;
use crate::domain::Domain;
use crate::domain::upcalls::ComponentHooks;
use crate::host::HostFunc;
use crate::jit::fuse::reason::Reason;
use crate::vm::flags::MAY_ENTER;

/// The hooks of every domain that runs a tree; what they work on is its [`Running`].
pub(super) struct Hooks;

// SAFETY: domains are looked into and called, never replaced; nor are the handles of a `Running`.
unsafe impl ComponentHooks for Hooks {
    fn handles(&self, domain: &mut Domain) -> *mut HandleTable {
        Running::of_mut(domain).handles.tables.as_mut_ptr()
    }

    fn host_call(&self, domain: &mut Domain, import: u32, values: *mut u64) -> Result<(), Trap> {
        let running = Running::of(domain);
        let depth = running.handles.depth();
        let imports = &running.program().imports;
        let index = import as usize;
        let import = imports.get(index).ok_or(Trap::Unsupported("an unknown host import"))?;
        // SAFETY: the domain holds what it was linked to and the counters as long as it lives, and
        // whoever called us holds the domain. The stub of this import passes as many slots as it has core parameters or results.
        let (import, tallies, core) = unsafe {
            let core = std::slice::from_raw_parts_mut(values, import.slots);
            (&*std::ptr::from_ref(import), &*Arc::as_ptr(&running.tallies), core)
        };
        if import.lends {
            Running::of_mut(domain).handles.enter()?;
        }
        let tally = import.edge.map(|edge| &tallies[edge as usize]);
        let begun = tally.map(Tally::begin);
        let end = |failed| {
            if let Some((tally, begun)) = tally.zip(begun) {
                tally.end(begun, failed);
            }
        };
        let serve = |domain, func: &dyn HostFunc, core| func.call(&mut Call::new(domain, import, core));
        let result = match &import.target {
            // The usual case: no scope to close, and a result that is not looked at but passed on.
            Target::Host(func) if !import.lends => {
                let result = serve(domain, &**func, core);
                end(result.is_err());
                return result;
            }
            Target::Host(func) => serve(domain, &**func, core),
            Target::Port(port) => match port::call(domain, import, index, port, core) {
                Ok(()) if !import.lends => {
                    end(false);
                    return Ok(());
                }
                result => result.map_err(|trap| *trap),
            },
            Target::Task(func) => task::call(domain, import, func, core),
            Target::Return => task::task_return(domain, import, core),
            Target::Backpressure(delta) => task::backpressure(domain, import.caller.process, *delta),
            Target::ContextGet(slot) => {
                core[0] = Running::of(domain).locals[import.caller.process as usize].context[*slot];
                Ok(())
            }
            Target::ContextSet(slot) => {
                Running::of_mut(domain).locals[import.caller.process as usize].context[*slot] = core[0];
                Ok(())
            }
        };
        end(result.is_err());
        let handles = &mut Running::of_mut(domain).handles;
        if result.is_ok() && import.lends {
            handles.exit()?;
        }
        handles.unwind(depth);
        result
    }

    fn resource_new(&self, domain: &mut Domain, process: u32, ty: u32, rep: u32) -> Result<u32, Trap> {
        Running::of_mut(domain).handles.add_own(process, ResourceType(ty), rep)
    }

    fn resource_rep(&self, domain: &mut Domain, process: u32, ty: u32, handle: u32) -> Result<u32, Trap> {
        Running::of_mut(domain).handles.rep(process, ResourceType(ty), handle)
    }

    fn resource_drop(&self, domain: &mut Domain, process: u32, ty: u32, handle: u32) -> Result<(), Trap> {
        let ty = ResourceType(ty);
        if let Some(peers) = Running::of(domain).peers.upgrade() {
            Running::of_mut(domain).refresh(&peers);
        }
        match Running::of_mut(domain).handles.drop(process, ty, handle)? {
            Some(rep) => destroy(domain, Some(process), ty, rep).map_err(|fault| fault.trap),
            None => Ok(()),
        }
    }

    fn transfer_own(
        &self,
        domain: &mut Domain,
        from: u32,
        to: u32,
        ty: u32,
        handle: u32,
    ) -> Result<u32, Trap> {
        let (ty, running) = (ResourceType(ty), Running::of_mut(domain));
        let rep = running.handles.lift_own(from, ty, handle)?;
        running.handles.add_own(to, ty, rep)
    }

    fn transfer_borrow(
        &self,
        domain: &mut Domain,
        from: u32,
        to: u32,
        ty: u32,
        handle: u32,
    ) -> Result<u32, Trap> {
        let (ty, running) = (ResourceType(ty), Running::of_mut(domain));
        let rep = running.handles.lend(from, ty, handle)?;
        running.lower_borrow(to, ty, rep)
    }

    fn scope_enter(&self, domain: &mut Domain, _callee: u32) -> Result<(), Trap> {
        Running::of_mut(domain).handles.enter()
    }

    fn scope_exit(&self, domain: &mut Domain) -> Result<(), Trap> {
        Running::of_mut(domain).handles.exit()
    }

    fn abi_trap(&self, _domain: &mut Domain, why: u32, details: [u64; 3]) -> Trap {
        match Reason::numbered(why) {
            Some(reason) => reason.trap(details),
            None => Trap::Unsupported("an adapter's trap that has no reason"),
        }
    }

    fn refuse(&self, domain: &mut Domain, adapter: u32) -> Trap {
        let text = Running::of(domain).program().adapters.refusal(adapter);
        Trap::Host(text.unwrap_or("a function that may not be called").to_owned())
    }

    fn process(&self, domain: &Domain, process: u32) -> Option<(ProcessId, String)> {
        let running = Running::of(domain);
        let index = running.in_tree(process)?;
        let id = running.peers.upgrade()?.process_id(index)?;
        Some((id, running.linked.processes.get(index)?.path.clone()))
    }

    fn faulted(&self, domain: &mut Domain, processes: &[u32], fault: &mut Fault) {
        let running = Running::of_mut(domain);
        // A fault that came over a boundary happened in the domain behind it.
        fault.domain = fault.domain.or(Some(running.id()));
        let exited = matches!(fault.trap, Trap::Exit(_));
        running.standing.ended_processes(processes, exited);
        // Who ends nobody here is another domain's: it keeps it.
        if !exited && !processes.is_empty() {
            running.standing.keep(fault.clone(), processes);
            dump::faulted(domain, processes, fault);
        }
        onlooker::tell(Running::of(domain), processes, fault);
    }

    fn limit_handles(&self, domain: &mut Domain, process: u32, limit: Option<u32>) {
        if let Some(table) = Running::of_mut(domain).handles.tables.get_mut(process as usize) {
            table.set_limit(limit);
        }
    }

    fn tap_begin(&self, domain: &mut Domain, adapter: u32, params: &[u64]) {
        taps::begin(domain, adapter, params);
    }

    fn tap_end(&self, domain: &mut Domain, adapter: u32, params: &[u64], results: &[u64]) {
        taps::end(domain, adapter, params, results);
    }

    fn grew(&self, domain: &mut Domain, process: u32) {
        Running::of(domain).standing.note_memory(process);
    }
}

/// Runs the destructor of a resource whose last own handle is gone; `dropper` is the process that dropped it, or the
/// host.
///
/// # Errors
/// The destructor's fault, or that its process may not be entered.
pub(super) fn destroy(
    domain: &mut Domain,
    dropper: Option<u32>,
    ty: ResourceType,
    rep: u32,
) -> Result<(), Fault> {
    let linked = Arc::clone(&Running::of(domain).linked);
    if let Some(resource) = linked.host_resources.get(&ty) {
        if let Some(drop) = &resource.drop {
            let host = Arc::clone(&Running::of(domain).host);
            drop(&mut **host.lock(), rep)?;
        }
        return Ok(());
    }
    let Some(resource) = linked.resources.get(ty.0 as usize) else { return Ok(()) };
    let (Some(place), Some(dtor)) = (resource.place, resource.dtor) else { return Ok(()) };
    let number = Running::of(domain).number;
    if place.domain != number {
        let peers = Running::of(domain).peers.upgrade().ok_or(Trap::CannotEnter)?;
        if let Some(carrier) = peers.carrier() {
            // Nobody waits for a destructor in another domain: what it does wrong is its own.
            let resource = Resource { ty, rep, generation: Running::of(domain).life_of(ty) };
            carrier.post(Crossing::drop_resource(place.domain, resource));
            return Ok(());
        }
        if peers.is_apart(place.domain) {
            let resource = Resource { ty, rep, generation: Running::of(domain).life_of(ty) };
            return apart::serve(&peers, place.domain, None, &Deed::Drop(resource)).map(|_| ());
        }
        return destroy(&mut *peers.idle(place.domain)?, None, ty, rep);
    }
    if dropper != Some(place.process) && domain.flags(place.process) & MAY_ENTER == 0 {
        return Err(Fault::new(Trap::CannotEnter));
    }
    call_slot(domain, place.process, dtor, &[u128::from(rep)], &mut [])
}
