//! A process in full: what `inspect` shows.

use std::sync::Arc;
use std::time::Duration;

use abi::control::faultview::{FaultView, FrameView};
use abi::control::inspection::{HandleRow, Inspection, LibRow, MemoryMap, MemoryPart, Quota, ThreadRow};
use abi::control::process_row::{ProcessRow, Supervision};
use abi::handle::Kind;
use ipc::launched::{DomainView, Launched};
use kernel::component::observe;
use kernel::component::observe::holdings::Implementer;
use kernel::component::observe::inside::{Doing, Unseen};
use kernel::component::tree::{ProcessView, Tree};
use kernel::jit::library::Library;

use super::{digest, traces};
use crate::complaint::Complaint;
use crate::limits::HANDLES_SHOWN;
use crate::steward::{Steward, domain_of};
use crate::survey;

/// How many of a process's faults are shown, the last ones.
const FAULTS: usize = 8;

/// How long a domain may take to stand still for a look.
const LOOK: Duration = Duration::from_millis(500);

/// Everything about the process with this path.
///
/// # Errors
/// There is no such process.
pub fn inspect(steward: &dyn Steward, path: &str) -> Result<Inspection, Complaint> {
    let launched = steward.launched();
    let tree = launched.tree();
    domain_of(launched, path)?;
    let views = tree.processes();
    let index = views.iter().position(|view| view.info.path == path);
    let index = index.expect("every process that the tree has is in its list");
    let view = &views[index];
    let domains = launched.domains();
    let mut faults = tree.faults();
    faults.retain(|fault| {
        &*fault.process_name == path || fault.frames.iter().any(|frame| frame.process_name == path)
    });
    let supervised = steward.supervised(path).map(Supervision::from);
    let facts = survey::process(view, &views, tree.linked());
    let process = digest::process(view, &domains, faults.last(), supervised);
    // Of a domain that does not come to stand they are not known.
    let handles = launched.handles(index, LOOK).unwrap_or_default();
    let older = faults.len().saturating_sub(FAULTS);
    Ok(Inspection {
        process: process.clone(),
        component: facts.component,
        libs: facts
            .libs
            .into_iter()
            .map(|lib| LibRow { shared_with: sharers(&lib.hash, path, &views), lib })
            .collect(),
        memories: memories(tree, view, index),
        more_handles: u32::try_from(handles.len().saturating_sub(HANDLES_SHOWN)).unwrap_or(u32::MAX),
        handles: handles.into_iter().take(HANDLES_SHOWN).map(|row| handle(tree, row)).collect(),
        quotas: quotas(view, domains.get(view.info.place.domain as usize)),
        threads: thread(launched, view, &process).into_iter().collect(),
        imports: facts.imports,
        edges: traces::edges_of(launched, path),
        faults: faults.iter().skip(older).map(FaultView::from).collect(),
    })
}

/// The memories of a process. Each belongs to a library, in the order in which they were loaded.
fn memories(tree: &Tree, view: &ProcessView<'_>, index: usize) -> Vec<MemoryMap> {
    let defined = |library: &Arc<Library>| {
        let module = &library.module;
        let count = module.memories.len().saturating_sub(module.imported.memories as usize);
        vec![module.name.clone(); count]
    };
    let mut libraries = view.libs.iter().flat_map(defined);
    let maps = (0..).zip(tree.memory_maps(index));
    maps.map(|(number, map): (u32, _)| {
        let part = |from, bytes, what: &str| MemoryPart { from, bytes, what: what.to_owned() };
        let beyond = map.reserved_bytes.saturating_sub(map.bytes);
        let mut parts = vec![part(map.base as u64, map.bytes, "usable")];
        if beyond > 0 {
            parts.push(part(map.base as u64 + map.bytes, beyond, "kept free: growth and guard"));
        }
        MemoryMap {
            library: libraries.next().flatten(),
            name: format!("memory {number}{}", if map.is_shared { ", shared" } else { "" }),
            bytes: map.bytes,
            maximum_bytes: map.maximum_bytes,
            resident_bytes: map.resident_bytes,
            parts,
        }
    })
    .collect()
}

fn handle(tree: &Tree, row: observe::holdings::HandleRow) -> HandleRow {
    let of = match row.implementer {
        Implementer::Host => "host".to_owned(),
        Implementer::Gone => "gone".to_owned(),
        Implementer::Process(index) => {
            tree.linked().processes().get(index as usize).map_or_else(String::new, |info| info.path.clone())
        }
    };
    let mode = if row.kind == Kind::Own { "own" } else { "borrow" };
    HandleRow { index: row.index, mode: mode.to_owned(), ty: row.ty, of, lent: row.lends }
}

/// The thread of the process's domain, if it is in the process.
fn thread(launched: &Launched, view: &ProcessView<'_>, process: &ProcessRow) -> Option<ThreadRow> {
    let seen = match launched.thread_view(view.info.place.domain, LOOK) {
        Ok(seen) => seen,
        Err(Unseen::Gone(_)) => return None,
        Err(Unseen::Busy) => {
            let state = "in a function of the host".to_owned();
            return Some(ThreadRow { state, backtrace: Vec::new() });
        }
    };
    let is_in_it = seen.frames.iter().any(|frame| frame.process_name == view.info.path);
    let state = match seen.doing {
        Doing::Running => "running".to_owned(),
        Doing::Hosted => process.condition.to_string(),
        Doing::Nothing => return None,
    };
    is_in_it.then(|| ThreadRow { state, backtrace: seen.frames.iter().map(FrameView::from).collect() })
}

/// Who else has a library.
fn sharers(hash: &str, path: &str, views: &[ProcessView<'_>]) -> Vec<String> {
    let others = views.iter().filter(|view| view.info.path != path);
    let have = others.filter(|view| view.libs.iter().any(|library| survey::hex(&library.hash) == hash));
    have.map(|view| view.info.path.clone()).collect()
}

/// Limits beside what is used of them.
fn quotas(view: &ProcessView<'_>, domain: Option<&DomainView>) -> Vec<Quota> {
    let quota = view.quota.unwrap_or_default();
    let row = |name: &str, unit: &str, used: u64, peak: Option<u64>, allowed: Option<u64>| Quota {
        name: name.to_owned(),
        unit: unit.to_owned(),
        used,
        peak,
        allowed,
    };
    let waiting = domain.map_or(0, |domain| domain.waiting as u64);
    let peak = Some(view.meters.peak_memory_bytes);
    vec![
        row("memory", "bytes", view.memory_bytes, peak, quota.memory_bytes),
        row("handles", "", view.handles.into(), None, quota.handles.map(u64::from)),
        row("mailbox", "", waiting, domain.map(|domain| domain.most_waiting as u64), None),
    ]
}
