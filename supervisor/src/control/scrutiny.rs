//! A process in full: what `inspect` shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use abi::control::faultview::{FaultView, FrameView};
use abi::control::inspection::{
    ConfinementRow, DomainFacts, HandleRow, Inspection, LibRow, MemoryMap, MemoryPart, Quota, ThreadRow,
};
use abi::control::process_row::{ProcessRow, Supervision};
use abi::handle::Kind;
use ipc::launched::{DomainView, Launched};
use ipc::system::Place;
use kernel::component::apart::Confinement;
use kernel::component::observe;
use kernel::component::observe::holdings::Implementer;
use kernel::component::observe::inside::{Doing, Unseen};
use kernel::component::tree::{ProcessView, Tree};
use kernel::jit::library::Library;
use kernel::limits::GUEST_STACK_BYTES;
use kernel::quota::DomainQuota;
use kernel::sched::account::WHOLE_CORE;

use super::{digest, traces};
use crate::complaint::Complaint;
use crate::limits::HANDLES_SHOWN;
use crate::steward::{Steward, domain_of};
use crate::survey;

/// How many of a process's faults are shown, the last ones.
const FAULTS: usize = 8;

/// How long a domain may take to stand still for a look.
const LOOK: Duration = Duration::from_millis(500);

/// How long a domain is watched for how much it uses of the processors, where that is limited.
const WATCH: Duration = Duration::from_millis(200);

/// Everything about the process with this path.
///
/// # Errors
/// There is no such process.
pub fn inspect(steward: &dyn Steward, path: &str) -> Result<Inspection, Complaint> {
    let launched = steward.launched();
    let tree = launched.tree();
    let number = domain_of(launched, path)?;
    let cpu = cpu_in_use(launched, number);
    let views = tree.processes();
    let index = views.iter().position(|view| view.info.path == path);
    let index = index.expect("every process that the tree has is in its list");
    let view = &views[index];
    let domains = launched.domains();
    let domain = domains.get(number as usize).expect("a process is in a domain of its tree");
    let mut faults = tree.faults();
    faults.retain(|fault| {
        &*fault.process_name == path || fault.frames.iter().any(|frame| frame.process_name == path)
    });
    let supervised = steward.supervised(path).map(Supervision::from);
    let facts = survey::process(view, &views, tree.linked());
    let process = digest::process(view, &domains, faults.last(), supervised);
    let (handles, tables) = (launched.handles(index, LOOK), launched.table_elements(index, LOOK));
    let held = Held {
        view,
        index,
        handles: handles.as_ref().map_or(view.handles.into(), |rows| rows.len() as u64),
        tables: tables.as_ref().ok().copied(),
        cpu,
    };
    let is_busy = matches!(handles, Err(Unseen::Busy)) || matches!(tables, Err(Unseen::Busy));
    let handles = handles.unwrap_or_default();
    let older = faults.len().saturating_sub(FAULTS);
    Ok(Inspection {
        process: process.clone(),
        component: facts.component,
        domain: domain_facts(tree, domain, path, &views),
        libs: facts
            .libs
            .into_iter()
            .map(|lib| LibRow { shared_with: sharers(&lib.hash, path, &views), lib })
            .collect(),
        memories: memories(tree, view, index),
        more_handles: u32::try_from(handles.len().saturating_sub(HANDLES_SHOWN)).unwrap_or(u32::MAX),
        handles: handles.into_iter().take(HANDLES_SHOWN).map(|row| handle(tree, row)).collect(),
        quotas: held.quotas(tree, domain, &views),
        threads: thread(launched, view, &process).into_iter().collect(),
        imports: facts.imports,
        edges: traces::edges_of(launched, path),
        faults: faults.iter().skip(older).map(FaultView::from).collect(),
        unknown: unknown(tree.is_apart(number), is_busy),
    })
}

/// The domain of the process with this path.
fn domain_facts(tree: &Tree, domain: &DomainView, path: &str, views: &[ProcessView<'_>]) -> DomainFacts {
    let number = domain.id.index;
    let others = views.iter().filter(|view| view.info.place.domain == number && view.info.path != path);
    let confinement = tree.confinement(number);
    DomainFacts {
        row: digest::domain_row(domain),
        shared_with: others.map(|view| view.info.path.clone()).collect(),
        placement: match domain.placement.place {
            Place::Anywhere => "anywhere".to_owned(),
            Place::Worker(worker) => format!("worker {worker}"),
            Place::OwnProcess => "process".to_owned(),
        },
        cpu_weight: domain.placement.share.weight,
        confinement: confinement
            .map(|Confinement { process_id, held }| ConfinementRow { os_pid: process_id, held }),
    }
}

/// What is not known of a process, and why.
fn unknown(is_apart: bool, is_busy: bool) -> Vec<String> {
    let apart = "it runs in an OS process of its own: that process's memory maps, tables, handles and threads are not \
                 looked into from here";
    let busy =
        "it is in a function of the host that takes long: its handles and tables cannot be read meanwhile";
    let said = [(is_apart, apart), (is_busy, busy)];
    said.into_iter().filter(|(holds, _)| *holds).map(|(_, why)| why.to_owned()).collect()
}

/// How much a domain uses of the processors now, in thousandths of one; only where that is limited. One that runs in an OS
/// process of its own pays for a call when that is over.
fn cpu_in_use(launched: &Launched, domain: u32) -> Option<u64> {
    if launched.tree().is_apart(domain) {
        return None;
    }
    let account = launched.account(domain).filter(|account| account.is_capped())?;
    let (began, before_ns) = (Instant::now(), account.used_ns());
    std::thread::sleep(WATCH);
    let used_ns = account.used_ns().saturating_sub(before_ns);
    let passed_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
    Some(used_ns.saturating_mul(WHOLE_CORE.into()) / passed_ns)
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

/// What a process holds, and its domain.
struct Held<'h> {
    view: &'h ProcessView<'h>,
    index: usize,
    handles: u64,
    /// Elements of its tables, and of those of its domain, if they are known.
    tables: Option<(u64, u64)>,
    /// What its domain uses of the processors, if that is limited.
    cpu: Option<u64>,
}

impl Held<'_> {
    /// Limits beside what is used of them: those of the process, then those of its domain.
    fn quotas(&self, tree: &Tree, domain: &DomainView, views: &[ProcessView<'_>]) -> Vec<Quota> {
        let row = |of: &str, name: &str, unit: &str| {
            let [name, of, unit] = [name, of, unit].map(str::to_owned);
            Quota { name, of, unit, ..Quota::default() }
        };
        let (view, limits) = (self.view, domain.placement.limits);
        let (quota, total) = tree.quotas(self.index).unwrap_or_default();
        let stack =
            quota.stack_bytes.map_or(GUEST_STACK_BYTES as u64, |bytes| bytes.min(GUEST_STACK_BYTES as u64));
        let beside = views.iter().filter(|other| other.info.place.domain == view.info.place.domain);
        let in_all = beside.map(|view| view.memory_bytes).sum();
        let cap = domain.placement.share.cap;
        let mut rows = vec![
            Quota {
                used: Some(view.memory_bytes),
                peak: Some(view.meters.peak_memory_bytes),
                allowed: quota.memory_bytes,
                ..row("process", "memory", "bytes")
            },
            Quota {
                used: self.tables.map(|(own, _)| own),
                allowed: quota.table_elements,
                ..row("process", "table elements", "")
            },
            Quota {
                used: Some(self.handles),
                allowed: quota.handles.map(u64::from),
                ..row("process", "handles", "")
            },
            Quota { allowed: Some(stack), ..row("process", "stack", "bytes") },
            Quota {
                used: Some(domain.waiting as u64),
                peak: Some(domain.most_waiting as u64),
                allowed: Some(domain.placement.mailbox as u64),
                ..row("domain", "mailbox", "")
            },
            Quota { allowed: limits.message_bytes, ..row("domain", "message", "bytes") },
            Quota { allowed: limits.wall_clock_ns, ..row("domain", "call time", "ns") },
            Quota { used: self.cpu, allowed: cap.map(u64::from), ..row("domain", "cpu", "per mille") },
        ];
        if view.shares_domain || total != DomainQuota::default() {
            rows.push(Quota {
                used: Some(in_all),
                allowed: total.memory_bytes,
                ..row("domain", "memory", "bytes")
            });
            rows.push(Quota {
                used: self.tables.map(|(_, all)| all),
                allowed: total.table_elements,
                ..row("domain", "table elements", "")
            });
        }
        rows
    }
}
