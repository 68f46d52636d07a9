//! Who provides what a process imports, over what, and whether calls of it can do anything.

use abi::control::routing::{RouteRow, Routes};
use abi::state::ProcessState;
use ipc::edges::Rung;
use ipc::system::Place;
use kernel::component::linked::{Linked, Provider};
use servers::Explained;

use crate::confine::Reaction;
use crate::measure::Span;

/// What is known of the other processes: whether one can be called, by its place in the list.
pub type States<'s> = &'s dyn Fn(u32) -> Option<ProcessState>;
/// Where a domain runs, by its number.
pub type Places<'p> = &'p dyn Fn(u32) -> Place;
/// What grants say of an interface, for a process by its place in the list.
pub type Grants<'g> = &'g dyn Fn(u32, &str) -> Explained;

/// The imports of a process that run, by its place in the list; none if there is no such process.
#[must_use]
pub fn routes(
    linked: &Linked,
    process: u32,
    states: States<'_>,
    places: Places<'_>,
    grants: Grants<'_>,
) -> Option<Routes> {
    let info = linked.processes().get(process as usize)?;
    let imports = info.imports.iter().filter_map(|(name, provider, known_as)| {
        let mut row = match provider {
            Provider::Static => return None,
            Provider::Missing => missing(),
            Provider::Host => served(&grants(process, known_as), known_as),
            Provider::Process(callee) => wired(linked, process, *callee, states, places),
        };
        row.import.clone_from(name);
        Some(row)
    });
    Some(Routes { path: info.path.clone(), imports: imports.collect() })
}

fn missing() -> RouteRow {
    RouteRow {
        why: "nobody provides it: calling it is a fault".to_owned(),
        advice: Some(
            "compose a component into the file that exports it, or wire one to it in a manifest".to_owned(),
        ),
        ..RouteRow::default()
    }
}

fn served(explained: &Explained, known_as: &str) -> RouteRow {
    let interface = known_as.split(['@', '#']).next().unwrap_or_default();
    RouteRow {
        granted: explained.granted,
        provider: Some(format!("server {interface}")),
        rung: Some(Rung::Server.to_string()),
        why: explained.text.clone(),
        advice: explained.would_grant.clone().filter(|_| !explained.granted),
        ..RouteRow::default()
    }
}

fn wired(linked: &Linked, caller: u32, callee: u32, states: States<'_>, places: Places<'_>) -> RouteRow {
    let [caller, provider] = [caller, callee].map(|index| &linked.processes()[index as usize]);
    let boundary = linked.boundary(caller, provider);
    let policy = boundary.map_or_else(String::new, |policy| {
        let within = policy.deadline_ns.map(|ns| format!(" within {}", Span(ns))).unwrap_or_default();
        format!("over a boundary{within}, on fault {}", Reaction(policy.on_fault))
    });
    let rung = match boundary {
        Some(_) => Rung::between(places(caller.place.domain), places(provider.place.domain)),
        None => Rung::Fused,
    };
    let ended = match states(callee) {
        Some(ProcessState::Faulted) => Some("it has faulted"),
        Some(ProcessState::Exited) => Some("it has ended"),
        _ => None,
    };
    RouteRow {
        granted: ended.is_none(),
        provider: Some(provider.path.clone()),
        rung: Some(rung.to_string()),
        why: ended.map_or(policy, str::to_owned),
        advice: ended.map(|_| format!("`atoll restart {}`", provider.path.trim_start_matches('/'))),
        ..RouteRow::default()
    }
}
