//! A port: an import that leads into another domain, and what becomes of its caller when that domain fails.

use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::types::{FuncType, ValType};
use abi::value::Value;

use super::arrival::{self, Direct};
use super::carrier::Crossing;
use super::guest::Guest;
use super::letter::{Letter, Parcel};
use super::linked::{ExportedFunc, HostImport};
use super::neighbour::{self, lost, neighbour};
use super::running::Running;
use super::standing::ProcessMeter;
use super::task::{deliver, give};
use crate::domain::Domain;

/// An edge of the tree that crosses a boundary.
#[derive(Clone, Debug)]
pub struct Port {
    /// Whom it leads to.
    pub func: Arc<ExportedFunc>,
    /// What holds for calls over it.
    pub policy: EdgePolicy,
    /// How compiled code makes them, if it does.
    pub direct: Option<Direct>,
}

/// What holds for the calls over an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgePolicy {
    /// What a caller gets when the callee's domain fails.
    pub on_fault: OnFault,
    /// How long a caller waits, from its call on, before that counts as a failure; nanoseconds.
    pub deadline_ns: Option<u64>,
}

/// What a caller gets when the domain that it called faults, is killed, or does not answer in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// The call traps in turn.
    #[default]
    Trap,
    /// An `err`, where the function's result can hold one; else as `Trap`.
    Error,
    /// The domain is started again and gets the same message again, so often; then as `Trap`. A message with handles
    /// in it is not sent twice: the first call has taken them.
    Retry(u32),
}

/// Carries a call through a port, which import `index` of the domain is.
///
/// # Errors
/// The trap that ends the caller's call; boxed, as who passes a result on would copy the room for it.
pub(super) fn call(
    domain: &mut Domain,
    import: &HostImport,
    index: usize,
    port: &Port,
    core: &mut [u64],
) -> Result<(), Box<Trap>> {
    match arrival::call(domain, import, index, port, core) {
        Some(result) => result,
        None => send(domain, import, index, port, core).map_err(Box::new),
    }
}

/// What compiled code does not carry goes in a letter: it is written from the caller's side, served, and its answer is
/// lowered.
fn send(
    domain: &mut Domain,
    import: &HostImport,
    index: usize,
    port: &Port,
    core: &mut [u64],
) -> Result<(), Trap> {
    let running = Running::of_mut(domain);
    let (number, peers) = (running.number, running.peers.upgrade().ok_or(Trap::CannotEnter)?);
    running.refresh(&peers);
    let mut caller = Guest::new(domain, &import.caller);
    let args = Parcel::of_params(&mut caller, &import.ty, &import.params, core)?;
    if let Some(meter) = Running::of(domain).standing.meter(import.caller.process) {
        ProcessMeter::count(&meter.bytes_out, args.carried());
    }
    let letter = Letter::new(&port.func, args, &peers);
    let running = Running::of_mut(domain);
    running.calling = Some(port.func.domain);
    let lent = if import.lends { running.handles.lent() } else { &[] };
    let served = match peers.carrier() {
        None => peers.call_here(&letter).map(|()| None),
        Some(carrier) => {
            let crossing = Crossing::letter(Arc::clone(&letter));
            let crossing = crossing.lending(number, running.generation, lent);
            let neighbour = neighbour(running, &peers, index, port).cloned();
            let after_ns = port.policy.deadline_ns;
            let handed = match neighbour {
                Some(neighbour) => neighbour::deliver(&neighbour, &peers, number, crossing, after_ns),
                None => Err(crossing),
            };
            handed.unwrap_or_else(|crossing| carrier.carry(number, crossing, &port.policy))
        }
    };
    let running = Running::of_mut(domain);
    // The callee may have ended meanwhile, and with it what handles led to.
    running.refresh(&peers);
    match &served {
        // The callee goes on, perhaps with what it borrowed. It says when it is done.
        Err(fault) if import.lends && is_late(fault) => {
            running.handles.leave_lent();
        }
        // The domain ends; who inherits from it waits for the callee.
        Err(fault) if ends_the_caller(fault) => (),
        _ => running.calling = None,
    }
    match served {
        Ok(_) => match letter.take() {
            Some(result) => deliver(&mut Guest::new(domain, &import.caller), import, &result, core),
            None => failed(domain, import, port, lost(), core),
        },
        Err(fault) => failed(domain, import, port, fault, core),
    }
}

/// Gives the caller what it gets when a call has failed.
///
/// # Errors
/// The trap that ends the caller's call.
#[cold]
pub(super) fn failed(
    domain: &mut Domain,
    import: &HostImport,
    port: &Port,
    fault: Fault,
    core: &mut [u64],
) -> Result<(), Trap> {
    let fault = match Running::of(domain).peers.upgrade() {
        Some(peers) => peers.contained(fault),
        None => fault,
    };
    let error = match port.policy.on_fault {
        OnFault::Error if !ends_the_caller(&fault) => error_value(&import.ty, &fault),
        _ => None,
    };
    match error {
        Some(error) => give(&mut Guest::new(domain, &import.caller), import, Some(&error), core),
        None => Err(pass_on(domain, fault)),
    }
}

/// What [`Trap::Limit`] calls the deadline of an edge. Only who waits for an answer says so, and stops waiting.
pub const DEADLINE: &str = "deadline of a call in ns";

pub(super) fn is_late(fault: &Fault) -> bool {
    matches!(fault.trap, Trap::Limit { limit: DEADLINE, .. })
}

/// Whether the fault is not the callee's: the caller itself is ended, or it asked for the whole tree to end.
fn ends_the_caller(fault: &Fault) -> bool {
    let own = crate::sched::park::current_thread().and_then(|thread| thread.verdict());
    matches!(fault.trap, Trap::Exit(_)) || own.is_some_and(|verdict| verdict == fault.trap)
}

/// Leaves the fault for the backtrace of the caller's; gives its trap.
fn pass_on(domain: &mut Domain, fault: Fault) -> Trap {
    let trap = fault.trap.clone();
    domain.inherit(fault);
    trap
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
