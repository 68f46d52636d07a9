//! Calls of lifted functions from outside their domain: by the host, or by another domain through a port.

use abi::fault::{Fault, Trap};
use abi::plan::Passing;
use abi::run;
use abi::state::ProcessState;
use abi::types::{FuncType, ValType};
use abi::value::Value;

use super::guest::{Guest, call_slot};
use super::linked::{ExportedFunc, HostImport, OnFault};
use super::running::Running;
use super::task::{give, run_task};
use crate::domain::Domain;
use crate::vm::flags::MAY_ENTER;

/// Calls a lifted function of `domain` with component values (`canon lift`, called from outside).
///
/// # Errors
/// The fault; [`Trap::CannotEnter`] if an earlier one ended the process.
pub(super) fn call(domain: &mut Domain, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
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
    let scope = func.ty.has_borrow();
    if scope {
        Running::of_mut(domain).handles.enter()?;
    }
    let result = call_in_scope(domain, func, args);
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
    let values: Vec<u64> = results.iter().map(|value| *value as u64).collect();
    let mut guest = Guest::new(domain, &func.callee);
    match run::lift_results(&mut guest, &func.ty, &func.results, &values) {
        Ok(value) => {
            if let Some(slot) = func.callee.post_return {
                guest.staying(|guest| guest.call(slot, &results, &mut []))?;
            }
            Ok(value)
        }
        Err(trap) => Err(blame(domain, process, trap)),
    }
}

/// Carries a call through a port: lifts from the caller's side, calls in the other domain, lowers what comes back.
///
/// # Errors
/// The trap that ends the caller's call.
pub(super) fn through_port(
    caller: &mut Guest<'_>,
    import: &HostImport,
    core: &mut [u64],
    serve: impl FnOnce(Vec<Value>) -> Result<Option<Value>, Fault>,
    on_fault: OnFault,
) -> Result<(), Trap> {
    let args = run::lift_params(caller, &import.ty, &import.params, core)?;
    let value = match serve(args) {
        Ok(value) => value,
        Err(fault) => match on_fault {
            OnFault::Error => Some(error_value(&import.ty, &fault).ok_or(fault.trap)?),
            OnFault::Trap => return Err(fault.trap),
        },
    };
    give(caller, import, value.as_ref(), core)
}

/// The `err` that tells a caller of a fault, if the function's result can hold one: no payload, a string, or a variant
/// with a case `internal-error` or `fault` of no payload, a string or an optional string.
fn error_value(ty: &FuncType, fault: &Fault) -> Option<Value> {
    let Some(ValType::Result(result)) = &ty.result else { return None };
    let text = || Value::String(fault.trap.to_string().into());
    let payload = match &result.err {
        None => None,
        Some(ValType::String) => Some(text()),
        Some(ValType::Variant(cases)) => {
            let fits = |ty: &Option<ValType>| match ty {
                None | Some(ValType::String) => true,
                Some(ValType::Option(some)) => **some == ValType::String,
                Some(_) => false,
            };
            let case = cases
                .iter()
                .position(|case| matches!(&*case.name, "internal-error" | "fault") && fits(&case.ty))?;
            let payload = match &cases[case].ty {
                None => None,
                Some(ValType::String) => Some(Box::new(text())),
                Some(_) => Some(Box::new(Value::Option(Some(Box::new(text()))))),
            };
            Some(Value::Variant(u32::try_from(case).ok()?, payload))
        }
        Some(_) => return None,
    };
    Some(Value::Result(Err(payload.map(Box::new))))
}

/// A trap that a process's values caused outside its code: it never runs again.
fn blame(domain: &mut Domain, process: u32, trap: Trap) -> Fault {
    // The host's own mistakes, and faults that were laid at a door already, are nobody's.
    let guilty = !matches!(trap, Trap::Host(_)) && domain.flags(process) & MAY_ENTER != 0;
    let fault = fault_in(domain, process, trap);
    if guilty {
        domain.set_flags(process, domain.flags(process) & !MAY_ENTER);
        let running = Running::of_mut(domain);
        running.states[process as usize] = ProcessState::Faulted;
        running.faults.push(fault.clone());
    }
    fault
}

fn fault_in(domain: &Domain, process: u32, trap: Trap) -> Fault {
    let running = Running::of(domain);
    let mut fault = Fault::new(trap);
    if let Some(index) = running.in_tree(process) {
        fault.domain = Some(running.id());
        fault.process = running.ids.get(index).copied();
        fault.process_name = running.linked.processes[index].path.clone();
    }
    fault
}
