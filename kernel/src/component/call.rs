//! Calls of lifted functions from outside their domain: by the host, or for another domain.

use abi::fault::{Fault, Trap};
use abi::plan::Passing;
use abi::run;
use abi::value::Value;

use super::guest::{Guest, call_slot};
use super::linked::ExportedFunc;
use super::observe::{dump, taps};
use super::onlooker;
use super::running::Running;
use super::standing::ProcessMeter;
use super::task::run_task;
use crate::domain::Domain;
use crate::vm::flags::MAY_ENTER;

/// Calls a lifted function of `domain` with component values (`canon lift`, called from outside).
///
/// # Errors
/// The fault; [`Trap::CannotEnter`] if an earlier one ended the process.
pub(super) fn call(domain: &mut Domain, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
    guarded(domain, func, |domain| {
        let result = taps::entered(domain, func, args, |domain| call_in_scope(domain, func, args));
        let bytes_out = result.as_ref().ok().and_then(Option::as_ref).map_or(0, Value::bytes);
        count_bytes(domain, func, args.iter().map(Value::bytes).sum(), bytes_out);
        result
    })
}

/// Runs `work`, a call of this function, if it may be entered, in a task and a handle scope of its own.
///
/// # Errors
/// The fault of `work`; [`Trap::CannotEnter`] if an earlier one ended the process.
pub(super) fn guarded<T>(
    domain: &mut Domain,
    func: &ExportedFunc,
    work: impl FnOnce(&mut Domain) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if let Some(what) = func.unsupported {
        return Err(Fault::new(Trap::Unsupported(what)));
    }
    let process = func.callee.process;
    if domain.flags(process) & MAY_ENTER == 0 {
        return Err(fault_in(domain, process, Trap::CannotEnter));
    }
    let running = Running::of_mut(domain);
    // A task begins with an empty context.
    running.contexts[process as usize] = [0; 2];
    let depth = running.handles.depth();
    let scope = func.lends;
    if scope {
        running.handles.enter()?;
    }
    let before = Running::of(domain).standing.enter(process);
    let begun = func.edge.map(|edge| (edge, Running::of(domain).tallies[edge as usize].begin()));
    let open = Running::of(domain).taps.len();
    let result = work(domain);
    if let Err(fault) = &result {
        taps::unwind(domain, open, fault);
    }
    if let Some((edge, begun)) = begun {
        Running::of(domain).tallies[edge as usize].end(begun, result.is_err());
    }
    let standing = &Running::of(domain).standing;
    standing.leave(before);
    if let Some(meter) = standing.meter(process) {
        ProcessMeter::count(&meter.calls, 1);
    }
    let handles = &mut Running::of_mut(domain).handles;
    let closed = if scope && result.is_ok() { handles.exit() } else { Ok(()) };
    handles.unwind(depth);
    match closed {
        Ok(()) => result,
        Err(trap) => Err(blame(domain, process, trap)),
    }
}

fn call_in_scope(domain: &mut Domain, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
    let process = func.callee.process;
    let lowered = run::lower_params(&mut Guest::new(domain, &func.callee), &func.ty, &func.params, args);
    let core: Vec<u128> = match lowered {
        Ok(core) => core.into_iter().map(u128::from).collect(),
        // It was never the callee's, and never got there.
        Err(trap @ Trap::Gone(_)) => return Err(fault_in(domain, process, trap)),
        Err(trap) => return Err(blame(domain, process, trap)),
    };
    if func.asynchronous {
        return run_task(domain, func, &core);
    }
    let count = match &func.results {
        Passing::Flat(flat) => flat.len(),
        Passing::Memory(_) => 1,
    };
    let mut results = vec![0u128; count];
    call_slot(domain, process, func.core, &core, &mut results)?;
    lift_result(domain, func, &results)
}

/// Lifts what the core function has returned, and lets the callee clean up.
///
/// # Errors
/// The callee's fault.
pub(super) fn lift_result(
    domain: &mut Domain,
    func: &ExportedFunc,
    results: &[u128],
) -> Result<Option<Value>, Fault> {
    let process = func.callee.process;
    let values: Vec<u64> = results.iter().map(|value| *value as u64).collect();
    let mut guest = Guest::new(domain, &func.callee);
    match run::lift_results(&mut guest, &func.ty, &func.results, &values) {
        Ok(value) => {
            if let Some(slot) = func.callee.post_return {
                guest.staying(|guest| guest.call(slot, results, &mut []))?;
            }
            Ok(value)
        }
        Err(trap) => Err(blame(domain, process, trap)),
    }
}

/// Counts what came with a call of this function, and what its result was.
pub(super) fn count_bytes(domain: &Domain, func: &ExportedFunc, bytes_in: u64, bytes_out: u64) {
    if let Some(meter) = Running::of(domain).standing.meter(func.callee.process) {
        ProcessMeter::count(&meter.bytes_in, bytes_in);
        ProcessMeter::count(&meter.bytes_out, bytes_out);
    }
}

/// A trap that a process's values caused outside its code: it never runs again.
pub(super) fn blame(domain: &mut Domain, process: u32, trap: Trap) -> Fault {
    // The host's own mistakes, and faults that were laid at a door already, are nobody's.
    let guilty = !matches!(trap, Trap::Host(_)) && domain.flags(process) & MAY_ENTER != 0;
    let fault = fault_in(domain, process, trap);
    if guilty {
        domain.set_flags(process, domain.flags(process) & !MAY_ENTER);
        let standing = &Running::of(domain).standing;
        standing.ended_processes(&[process], false);
        standing.keep(fault.clone(), &[process]);
        dump::faulted(domain, &[process], &fault);
        onlooker::tell(Running::of(domain), &[process], &fault);
    }
    fault
}

fn fault_in(domain: &Domain, process: u32, trap: Trap) -> Fault {
    let running = Running::of(domain);
    let mut fault = Fault::new(trap);
    if let Some(index) = running.in_tree(process) {
        fault.domain = Some(running.id());
        fault.process = running.peers.upgrade().and_then(|peers| peers.process_id(index));
        fault.process_name = running.linked.processes[index].path.as_str().into();
    }
    fault
}
