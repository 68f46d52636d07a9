//! A tree in short: what `ps` and `top` show, made without waiting for anybody.

use std::collections::HashMap;
use std::time::Duration;

use abi::control::domain_row::DomainRow;
use abi::control::process_row::{Condition, ProcessRow, Supervision, TreeSummary, last_name};
use abi::fault::Fault;
use abi::state::ProcessState;
use ipc::launched::DomainView;
use kernel::component::tree::ProcessView;

use super::os_process;
use crate::blame;
use crate::steward::{Steward, Supervised};

/// The tree as it stands; it has run so long.
#[must_use]
pub fn summary(steward: &dyn Steward, age: Duration) -> TreeSummary {
    let launched = steward.launched();
    let domains = launched.domains();
    let tree = launched.tree();
    let views = tree.processes();
    let has_faulted = views.iter().any(|view| view.meters.faults > 0);
    let faults = if has_faulted { tree.faults() } else { Vec::new() };
    let last_faults = last_faults(&faults);
    let processes = views.iter().map(|view| {
        let supervised = steward.supervised(&view.info.path).map(Supervision::from);
        let fault = last_faults.get(&*view.info.path).copied();
        process(view, &domains, fault, supervised)
    });
    TreeSummary {
        name: steward.name().to_owned(),
        file: steward.file().to_owned(),
        os_pid: std::process::id(),
        age_ns: nanoseconds(age),
        processes: processes.collect(),
        domains: domains.iter().map(domain_row).collect(),
    }
}

/// The last fault that each process had a part in, by path.
fn last_faults(faults: &[Fault]) -> HashMap<&str, &Fault> {
    let mut last = HashMap::new();
    for fault in faults {
        let on_stack = fault.frames.iter().map(|frame| &*frame.process_name);
        for path in on_stack.chain([&*fault.process_name]) {
            last.insert(path, fault);
        }
    }
    last
}

/// One process.
#[must_use]
pub fn process(
    view: &ProcessView<'_>,
    domains: &[DomainView],
    fault: Option<&Fault>,
    supervised: Option<Supervision>,
) -> ProcessRow {
    let place = view.info.place;
    let domain = domains.get(place.domain as usize);
    ProcessRow {
        pid: view.id.index,
        generation: view.id.generation,
        path: view.info.path.clone(),
        parent: view.info.parent,
        domain: place.domain,
        condition: condition(&view.state, domain, domains, fault),
        supervised,
        cpu_ns: domain.map_or(0, |domain| cpu_ns(domain, place.process, view.shares_domain)),
        memory_bytes: view.memory_bytes,
        peak_memory_bytes: view.meters.peak_memory_bytes,
        memory_limit: view.quota.and_then(|quota| quota.memory_bytes),
        handles: view.handles,
        calls: view.meters.calls,
        calls_out: view.meters.host_calls,
        faults: view.meters.faults,
        last_fault: fault
            .filter(|_| view.meters.faults > 0 && view.state != ProcessState::Faulted)
            .map(|fault| faulted(Some(fault)).to_string()),
        age_ns: nanoseconds(view.age),
    }
}

/// Processor time of a process. Who is alone in a domain has all of its; of others ticks have seen a part.
fn cpu_ns(domain: &DomainView, process: u32, shares_domain: bool) -> u64 {
    if !shares_domain {
        return domain.cpu_ns;
    }
    domain.cpu_samples_ns.get(process as usize).copied().unwrap_or(0)
}

fn condition(
    state: &ProcessState,
    domain: Option<&DomainView>,
    domains: &[DomainView],
    fault: Option<&Fault>,
) -> Condition {
    match state {
        ProcessState::Starting => Condition::Starting,
        ProcessState::Ready => Condition::Ready,
        ProcessState::Running => running(domain, domains),
        ProcessState::Faulted => faulted(fault),
        ProcessState::Exited => {
            let why = domain.and_then(|domain| domain.ended.as_ref());
            Condition::Exited { why: why.map(ToString::to_string) }
        }
    }
}

fn faulted(fault: Option<&Fault>) -> Condition {
    let forgotten = || "its record is not kept any more".to_owned();
    Condition::Faulted {
        trap: fault.map_or_else(forgotten, |fault| fault.trap.to_string()),
        place: fault.and_then(place),
    }
}

/// What a process is doing that a thread is in.
fn running(domain: Option<&DomainView>, domains: &[DomainView]) -> Condition {
    let Some(domain) = domain else { return Condition::Running };
    let awaited =
        domain.waits_for.as_deref().and_then(|path| domains.iter().find(|other| other.name == path));
    match awaited {
        Some(other) => Condition::Waiting {
            path: other.name.clone(),
            generation: other.id.generation,
            mailbox: count(other.waiting),
        },
        // Its thread here waits all the time for what happens there.
        None if domain.os_pid.is_some_and(os_process::is_running) => Condition::Running,
        None if domain.is_idle => Condition::WaitingForHost,
        None => Condition::Running,
    }
}

/// Where a fault happened: `process#function`.
fn place(fault: &Fault) -> Option<String> {
    let frame = fault.frames.iter().find(|frame| frame.func_index.is_some())?;
    let function = blame::function(frame);
    let function = function.rsplit_once('!').map_or(function.as_str(), |(_, name)| name);
    Some(format!("{}#{function}", last_name(&frame.process_name)))
}

/// One domain.
#[must_use]
pub fn domain_row(view: &DomainView) -> DomainRow {
    DomainRow {
        domain: view.id.index,
        generation: view.id.generation,
        begins_with: view.name.clone(),
        cpu_ns: view.cpu_ns,
        cpu_cap: view.placement.share.cap,
        waiting: count(view.waiting),
        most_waiting: count(view.most_waiting),
        calls: view.calls,
        is_idle: view.is_idle,
        waits_for: view.waits_for.as_deref().map(str::to_owned),
        ended: view.ended.as_ref().map(ToString::to_string),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

impl From<Supervised> for Supervision {
    fn from(known: Supervised) -> Supervision {
        Supervision {
            supervisor: known.supervisor,
            strategy: known.strategy.to_string(),
            restart: known.restart.to_string(),
            restarts: known.restarts,
            given_up: known.given_up,
        }
    }
}
