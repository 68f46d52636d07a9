//! Calls with an asynchronous side, as far as nobody waits: the callee runs at once and to its end on the caller's
//! stack, so a subtask is returned before its caller goes on (CanonicalABI.md, `canon_lift`, `canon_lower`).
//!
//! A callee that has to wait for something is refused; so are the built-ins that wait.

use abi::fault::{Fault, Trap};
use abi::plan::Endpoint;
use abi::run;
use abi::types::{FuncType, ValType};
use abi::value::Value;

use super::guest::{Guest, call_slot};
use super::letter::Parcel;
use super::linked::{ExportedFunc, HostImport};
use super::running::Running;
use crate::domain::Domain;

/// The state of a subtask that has returned, as an asynchronous caller gets it.
const RETURNED: u64 = 2;
/// What a callback says: that its task is done, or that it wants to be called again.
const EXIT: u32 = 0;
const YIELD: u32 = 1;
/// How often a task may ask to be called again before it counts as waiting for somebody.
const MAX_YIELDS: usize = 1 << 20;

/// A task of a function that is lifted with the option `async`.
pub(super) struct Task {
    process: u32,
    result_type: Option<ValType>,
    side: Endpoint,
    /// What `task.return` gave; none as long as it was not called.
    result: Option<Option<Value>>,
}

/// Runs an asynchronously lifted function whose core parameters are lowered; gives what it returned.
///
/// # Errors
/// The fault of the guest's code, or that it ended without a result, or has to wait.
pub(super) fn run_task(
    domain: &mut Domain,
    func: &ExportedFunc,
    core: &[u128],
) -> Result<Option<Value>, Fault> {
    let process = func.callee.process;
    let task = Task { process, result_type: func.ty.result.clone(), side: func.callee.clone(), result: None };
    let tasks = &mut Running::of_mut(domain).tasks;
    let depth = tasks.len();
    tasks.push(task);
    let ran = run_to_end(domain, func, core);
    let tasks = &mut Running::of_mut(domain).tasks;
    tasks.truncate(depth + 1);
    let task = tasks.pop().expect("it was pushed above");
    ran?;
    let missing = "async-lifted export failed to produce a result";
    task.result.ok_or_else(|| Fault::new(Trap::Host(missing.to_owned())))
}

fn run_to_end(domain: &mut Domain, func: &ExportedFunc, core: &[u128]) -> Result<(), Fault> {
    let process = func.callee.process;
    let Some(callback) = func.callback else {
        return call_slot(domain, process, func.core, core, &mut []);
    };
    let mut code = [0u128];
    call_slot(domain, process, func.core, core, &mut code)?;
    for _ in 0..MAX_YIELDS {
        match code[0] as u32 {
            EXIT => return Ok(()),
            YIELD => call_slot(domain, process, callback, &[0; 3], &mut code)?,
            code if code & 0xf == 2 => break,
            code => return Err(Fault::new(Trap::Host(format!("unsupported callback code: {code}")))),
        }
    }
    Err(Fault::new(Trap::Unsupported("an asynchronous call whose callee waits")))
}

/// Carries a call inside one domain through a task.
///
/// # Errors
/// The trap that ends the caller's call.
pub(super) fn call(
    domain: &mut Domain,
    import: &HostImport,
    func: &ExportedFunc,
    core: &mut [u64],
) -> Result<(), Trap> {
    let mut caller = Guest::new(domain, &import.caller);
    let args = run::lift_params(&mut caller, &import.ty, &import.params, core)?;
    let value = super::call::call(domain, func, &args).map_err(|fault| fault.trap)?;
    give(&mut Guest::new(domain, &import.caller), import, value.as_ref(), core)
}

/// Lowers a result into the caller, and tells an asynchronous one that its subtask has returned.
///
/// # Errors
/// Whatever the spec traps for.
pub(super) fn give(
    caller: &mut Guest<'_>,
    import: &HostImport,
    value: Option<&Value>,
    core: &mut [u64],
) -> Result<(), Trap> {
    run::lower_results(caller, &import.ty, &import.params, &import.results, value, core)?;
    returned(import, core);
    Ok(())
}

/// The same with a result that has come in a letter.
///
/// # Errors
/// As [`give`].
pub(super) fn deliver(
    caller: &mut Guest<'_>,
    import: &HostImport,
    result: &Parcel,
    core: &mut [u64],
) -> Result<(), Trap> {
    result.lower_results(caller, &import.ty, (&import.params, &import.results), core)?;
    returned(import, core);
    Ok(())
}

fn returned(import: &HostImport, core: &mut [u64]) {
    if import.asynchronous {
        core[0] = RETURNED;
    }
}

/// `task.return`: the result of the task that calls it (CanonicalABI.md, `canon_task_return`).
///
/// # Errors
/// There is no such task, it has returned already, or it has another result type or other options.
pub(super) fn task_return(domain: &mut Domain, import: &HostImport, core: &[u64]) -> Result<(), Trap> {
    let side = &import.caller;
    let odd = |what: &str| Err(Trap::Host(what.to_owned()));
    match Running::of(domain).tasks.last() {
        Some(task) if task.process == side.process => {
            let FuncType { params, .. } = &*import.ty;
            let result = params.first().map(|(_, ty)| ty);
            let same = task.side.encoding == side.encoding && task.side.memory == side.memory;
            if result != task.result_type.as_ref() || !same {
                return odd("invalid `task.return` signature and/or options for current task");
            }
            if task.result.is_some() {
                return odd("`task.return` or `task.cancel` called more than once for current task");
            }
        }
        _ => return odd("`task.return` called in a task that is not asynchronous"),
    }
    let mut values = run::lift_params(&mut Guest::new(domain, side), &import.ty, &import.params, core)?;
    let task = Running::of_mut(domain).tasks.last_mut().expect("it was there above");
    task.result = Some(values.pop());
    Ok(())
}

/// `backpressure.inc` and `.dec`: a counter that only a call which waits would look at.
///
/// # Errors
/// It leaves 16 bits.
pub(super) fn backpressure(domain: &mut Domain, process: u32, delta: i32) -> Result<(), Trap> {
    let counter = &mut Running::of_mut(domain).locals[process as usize].backpressure;
    let moved = i32::from(*counter) + delta;
    *counter = u16::try_from(moved).map_err(|_| Trap::Host("backpressure counter overflow".to_owned()))?;
    Ok(())
}
