//! Calls of lifted functions from outside their domain: by the host, or for another domain.

use abi::fault::{Fault, Trap};
use abi::plan::Passing;
use abi::run;
use abi::value::Value;

use super::guest::{Guest, call_slot};
use super::letter::{Letter, Parcel, result_types};
use super::linked::ExportedFunc;
use super::observe::edge_tally::Begun;
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

/// The same with a letter, which gets the answer.
///
/// # Errors
/// As [`call`].
pub(super) fn answer(domain: &mut Domain, letter: &Letter) -> Result<(), Fault> {
    let (func, args) = (&*letter.func, &letter.args);
    let answer = guarded(domain, func, |domain| {
        let lowered = args.lower_params(&mut Guest::new(domain, &func.callee), &func.ty, &func.params);
        let core = lowered.map_err(|trap| unlowered(domain, func, trap))?;
        let answer = match invoke(domain, func, core)? {
            Returned::Task(value) => Parcel::of_values(result_types(&func.ty), value.as_slice())?,
            Returned::Core(results) => finish(domain, func, &results, |guest, core| {
                Parcel::of_results(guest, &func.ty, &func.results, core)
            })?,
        };
        count_bytes(domain, func, args.carried(), answer.carried());
        Ok(answer)
    })?;
    letter.put(answer);
    Ok(())
}

/// Runs `work`, a call of this function, if it may be entered, in a task and a handle scope of its own.
///
/// # Errors
/// The fault of `work`; [`Trap::CannotEnter`] if an earlier one ended the process.
#[inline]
pub(super) fn guarded<T>(
    domain: &mut Domain,
    func: &ExportedFunc,
    work: impl FnOnce(&mut Domain) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let mut opened = Opened::default();
    open(domain, func, &mut opened)?;
    let result = work(domain);
    close(domain, func, &opened, result.as_ref().err(), (0, 0))?;
    result
}

/// A call that is being made: what is put back when it is over.
#[derive(Default)]
pub(super) struct Opened {
    scopes: usize,
    taps: usize,
    before: u32,
    begun: Option<(u32, Begun)>,
}

/// Begins a call of this function, if it may be entered.
///
/// # Errors
/// [`Trap::CannotEnter`] if an earlier fault ended the process.
#[inline]
pub(super) fn open(domain: &mut Domain, func: &ExportedFunc, opened: &mut Opened) -> Result<(), Box<Fault>> {
    let process = func.callee.process;
    if func.unsupported.is_some() || domain.flags(process) & MAY_ENTER == 0 {
        return Err(Box::new(unopened(domain, func)));
    }
    let running = Running::of_mut(domain);
    // A task begins with an empty context.
    running.locals[process as usize].context = [0; 2];
    (opened.scopes, opened.taps) = (running.handles.depth(), running.taps.len());
    if func.lends {
        running.handles.enter().map_err(Fault::from)?;
    }
    opened.before = running.standing.enter(process);
    opened.begun = func.edge.map(|edge| (edge, running.tallies[edge as usize].begin()));
    Ok(())
}

#[cold]
fn unopened(domain: &Domain, func: &ExportedFunc) -> Fault {
    match func.unsupported {
        Some(what) => Fault::new(Trap::Unsupported(what)),
        None => fault_in(domain, func.callee.process, Trap::CannotEnter),
    }
}

/// Ends it, with the fault that it ended with, if it did; `carried` is what is yet to be counted of what came with it and of
/// its result, bytes.
///
/// # Errors
/// A borrow is left in a callee that returned.
#[inline]
pub(super) fn close(
    domain: &mut Domain,
    func: &ExportedFunc,
    opened: &Opened,
    fault: Option<&Fault>,
    carried: (u64, u64),
) -> Result<(), Box<Fault>> {
    let process = func.callee.process;
    if let Some(fault) = fault {
        taps::unwind(domain, opened.taps, fault);
    }
    let running = Running::of_mut(domain);
    if let Some((edge, begun)) = opened.begun {
        running.tallies[edge as usize].end(begun, fault.is_some());
    }
    running.standing.leave(opened.before);
    if let Some(meter) = running.standing.meter(process) {
        ProcessMeter::count(&meter.calls, 1);
        ProcessMeter::count(&meter.bytes_in, carried.0);
        ProcessMeter::count(&meter.bytes_out, carried.1);
    }
    let closed = if func.lends && fault.is_none() { running.handles.exit() } else { Ok(()) };
    running.handles.unwind(opened.scopes);
    match closed {
        Ok(()) => Ok(()),
        Err(trap) => Err(Box::new(blame(domain, process, trap))),
    }
}

fn call_in_scope(domain: &mut Domain, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
    let lowered = run::lower_params(&mut Guest::new(domain, &func.callee), &func.ty, &func.params, args);
    let core = lowered.map_err(|trap| unlowered(domain, func, trap))?;
    match invoke(domain, func, core)? {
        Returned::Task(value) => Ok(value),
        Returned::Core(results) => finish(domain, func, &results, |guest, core| {
            run::lift_results(guest, &func.ty, &func.results, core)
        }),
    }
}

/// What a function has given.
enum Returned {
    /// Its core results.
    Core(Vec<u128>),
    /// The result of the task that it was.
    Task(Option<Value>),
}

/// Runs the core function.
///
/// # Errors
/// The guest's fault.
fn invoke(domain: &mut Domain, func: &ExportedFunc, core: Vec<u64>) -> Result<Returned, Fault> {
    let core: Vec<u128> = core.into_iter().map(u128::from).collect();
    if func.asynchronous {
        return run_task(domain, func, &core).map(Returned::Task);
    }
    let count = match &func.results {
        Passing::Flat(flat) => flat.len(),
        Passing::Memory(_) => 1,
    };
    let mut results = vec![0u128; count];
    call_slot(domain, func.callee.process, func.core, &core, &mut results)?;
    Ok(Returned::Core(results))
}

/// Lifts what the core function has returned, and lets the callee clean up.
///
/// # Errors
/// The callee's fault.
pub(super) fn finish<T>(
    domain: &mut Domain,
    func: &ExportedFunc,
    results: &[u128],
    lift: impl FnOnce(&mut Guest<'_>, &[u64]) -> Result<T, Trap>,
) -> Result<T, Fault> {
    let values: Vec<u64> = results.iter().map(|value| *value as u64).collect();
    let mut guest = Guest::new(domain, &func.callee);
    match lift(&mut guest, &values) {
        Ok(value) => {
            if let Some(slot) = func.callee.post_return {
                guest.staying(|guest| guest.call(slot, results, &mut []))?;
            }
            Ok(value)
        }
        Err(trap) => Err(blame(domain, func.callee.process, trap)),
    }
}

/// The fault of a call whose arguments could not be lowered.
#[cold]
fn unlowered(domain: &mut Domain, func: &ExportedFunc, trap: Trap) -> Fault {
    match trap {
        // It was never the callee's, and never got there.
        Trap::Gone(_) => fault_in(domain, func.callee.process, trap),
        trap => blame(domain, func.callee.process, trap),
    }
}

/// Counts what came with a call of this function, and what its result was.
#[inline]
pub(super) fn count_bytes(domain: &Domain, func: &ExportedFunc, bytes_in: u64, bytes_out: u64) {
    if let Some(meter) = Running::of(domain).standing.meter(func.callee.process) {
        ProcessMeter::count(&meter.bytes_in, bytes_in);
        ProcessMeter::count(&meter.bytes_out, bytes_out);
    }
}

/// A trap that a process's values caused outside its code: it never runs again.
#[cold]
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
