//! A linked component: a linear program that brings a tree up, and everything static about it.
//!
//! Linking flattens a component. Every component instance is a numbered process, every core instance a numbered
//! step, every function or memory that an adapter or the host needs a numbered slot of the domain's record. What is
//! left to do at launch has no names and no decisions in it.

use std::collections::{BTreeMap, HashMap};
use std::ptr;
use std::sync::{Arc, OnceLock};

use abi::plan::{Endpoint, Passing};
use abi::types::{FuncType, ResourceType};

use super::apart::blueprint::Blueprint;
use super::observe::edge_tally::Tally;
use super::observe::known_edge::KnownEdge;
use super::options::LinkOptions;
use super::port::{EdgePolicy, Port};
use crate::host::{HostEntry, HostFunc, HostResource};
use crate::jit::fuse::Adapters;
use crate::jit::fuse::spec::{AdapterSpec, HostAddress};
use crate::jit::library::Library;
use crate::jit::module::Entity;
use crate::jit::sig::SigId;
use crate::vm::DomainLayout;

/// A core-level definition: where the thing will be once the tree is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoreDef {
    /// An export of a core instance, by launch order.
    Export {
        /// Which core instance.
        instance: u32,
        /// What its module calls it.
        entity: Entity,
    },
    /// A compiled adapter or stub.
    Adapter(u32),
}

/// One step of a launch.
#[derive(Clone)]
pub enum Step {
    /// Loads a library into a process: the next core instance. `args` are its module's imports, in order.
    Load {
        /// The library.
        library: Arc<Library>,
        /// The process.
        process: u32,
        /// One definition per import of the module.
        args: Box<[CoreDef]>,
    },
    /// Fills a function slot.
    Func {
        /// The slot.
        slot: u32,
        /// The function.
        def: CoreDef,
    },
    /// Fills a memory slot.
    Memory {
        /// The slot.
        slot: u32,
        /// The memory.
        def: CoreDef,
    },
}

/// Who provides an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// The host.
    Host,
    /// A process of the tree.
    Process(u32),
    /// Nobody.
    Missing,
    /// A type, module or component: nothing that runs.
    Static,
}

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which domain of the tree.
    pub domain: u32,
    /// Which process of that domain.
    pub process: u32,
}

/// What is known of a process before it runs.
#[derive(Clone, Debug)]
pub struct ProcessInfo {
    /// Its name among its siblings.
    pub name: String,
    /// Names from the root, `/` between them.
    pub path: String,
    /// The process that instantiated it.
    pub parent: Option<u32>,
    /// Where it runs.
    pub place: Place,
    /// The name its component gives itself.
    pub component: Option<String>,
    /// Its imports and who provides each; the second name is what the provider calls it.
    pub imports: Vec<(String, Provider, String)>,
}

/// What is known of a resource type.
#[derive(Clone)]
pub struct ResourceInfo {
    /// The process that implements it; none for one that nobody offers.
    pub place: Option<Place>,
    /// Function slot of its destructor, in that process's domain.
    pub dtor: Option<u32>,
}

/// A function from outside the domain, as one process imports it.
#[derive(Clone)]
pub struct HostImport {
    /// `instance#function`.
    pub name: String,
    /// Its type, resources resolved.
    pub ty: Arc<FuncType>,
    /// Who serves the call.
    pub target: Target,
    /// The importer's side.
    pub caller: Endpoint,
    /// How parameters cross on the caller's side.
    pub params: Passing,
    /// How results cross on the caller's side.
    pub results: Passing,
    /// Whether the caller lowers with the option `async`.
    pub asynchronous: bool,
    /// Core parameters or results, whichever are more.
    pub slots: usize,
    /// Whether the guest can lend handles to it.
    pub lends: bool,
    /// Which edge of the tree this is; none for a built-in.
    pub edge: Option<u32>,
    /// Where compiled code enters the host's function, or the port, if its core values are few and it cannot lend it handles.
    pub entry: Option<HostEntry>,
}

impl HostImport {
    /// Where the stub of this import finds what it calls, as long as the import stays where it is.
    pub(super) fn address(&self) -> Option<HostAddress> {
        let code = self.entry?.code() as usize;
        let tally = self.edge.map(|edge| edge * Tally::BYTES);
        Some(HostAddress { code, import: ptr::from_ref(self) as usize, tally })
    }
}

/// Who serves a call that leaves its domain.
#[derive(Clone)]
pub enum Target {
    /// The host.
    Host(Arc<dyn HostFunc>),
    /// A process of another domain of the tree: a port.
    Port(Port),
    /// A process of the same domain, in a call that makes a task: one side of it is `async`, or the callee has a
    /// context.
    Task(ExportedFunc),
    /// `task.return`
    Return,
    /// `context.get` of a slot
    ContextGet(usize),
    /// `context.set` of a slot
    ContextSet(usize),
    /// `backpressure.inc` and `.dec`, by what they add
    Backpressure(i32),
}

/// A function that can be called from outside its domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedFunc {
    /// Which domain of the tree.
    pub domain: u32,
    /// Its type, resources resolved.
    pub ty: Arc<FuncType>,
    /// The callee's side.
    pub callee: Endpoint,
    /// Function slot of the core function.
    pub core: u32,
    /// How parameters cross.
    pub params: Passing,
    /// How results cross.
    pub results: Passing,
    /// Whether it is lifted with the option `async`: it gives its result with `task.return`.
    pub asynchronous: bool,
    /// Function slot of its `callback`.
    pub callback: Option<u32>,
    /// An option that it cannot be called with.
    pub unsupported: Option<&'static str>,
    /// Whether its caller can lend it handles.
    pub lends: bool,
    /// Which edge of the tree it is for the host; none for a process that calls it, whose import is the edge.
    pub edge: Option<u32>,
}

/// One export of the outermost component.
#[derive(Clone)]
pub enum Export {
    /// A function.
    Func(ExportedFunc),
    /// An instance: more names.
    Instance(BTreeMap<Box<str>, Export>),
    /// A core module.
    Module(Arc<Library>),
    /// A resource type.
    Resource(ResourceType),
    /// A type, or a component; nothing to call.
    Other,
}

/// What one domain of a tree is made of.
pub struct LinkedDomain {
    /// The layout of its record.
    pub(crate) layout: DomainLayout,
    /// Its processes, as indices of the tree's.
    pub(crate) processes: Vec<u32>,
    /// The functions from outside that it uses.
    pub(crate) imports: Vec<HostImport>,
    /// Adapters and stubs.
    pub(crate) adapters: Adapters,
    /// What they were made of.
    pub(crate) specs: Vec<AdapterSpec>,
    /// For each of them the edge that it is, if it is one.
    pub(crate) edges: Vec<Option<u32>>,
    /// The same for calls that are watched, once somebody does.
    pub(crate) tapped: OnceLock<Adapters>,
    /// Their core signatures.
    pub(crate) adapter_sigs: Vec<SigId>,
    /// How many function slots there are.
    pub(crate) func_slots: usize,
    /// How many memory slots there are.
    pub(crate) memory_slots: usize,
}

/// A component, linked to what a host offers.
pub struct Linked {
    /// What a launch does, and in which domain.
    pub(crate) steps: Vec<(u32, Step)>,
    /// The domains; the root process is in the first.
    pub(crate) domains: Vec<LinkedDomain>,
    /// The processes, the root first, parents before children.
    pub(crate) processes: Vec<ProcessInfo>,
    /// The guests' resource types.
    pub(crate) resources: Vec<ResourceInfo>,
    /// What resource types are called, as far as somebody exports or imports them by a name.
    pub(crate) resource_names: HashMap<ResourceType, Box<str>>,
    /// The host's resource types that the tree uses.
    pub(crate) host_resources: HashMap<ResourceType, HostResource>,
    /// What the outermost component exports.
    pub(crate) exports: BTreeMap<Box<str>, Export>,
    /// Who calls whom.
    pub(crate) edges: Vec<KnownEdge>,
    /// What each process exports to its parent.
    pub(crate) exported: Vec<BTreeMap<Box<str>, Export>>,
    /// How it was linked, for whoever is to do it again elsewhere.
    pub(crate) blueprint: Option<Blueprint>,
    /// How it was linked.
    pub(crate) options: LinkOptions,
}

impl Linked {
    /// The processes, the root first, parents before children.
    #[must_use]
    pub fn processes(&self) -> &[ProcessInfo] {
        &self.processes
    }

    /// The domains, in order, each by its number and the path of the process that it begins with.
    pub fn domain_roots(&self) -> impl Iterator<Item = (u32, &str)> {
        let root = |domain: &LinkedDomain| {
            let first = domain.processes.first().and_then(|index| self.processes.get(*index as usize));
            first.map_or("", |process| process.path.as_str())
        };
        (0..).zip(self.domains.iter().map(root))
    }

    /// Who calls whom: what each process imports from others and from servers, and what the host can call.
    #[must_use]
    pub fn edges(&self) -> &[KnownEdge] {
        &self.edges
    }

    /// What a process exports to its parent, by its index in [`Linked::processes`].
    #[must_use]
    pub fn exported_by(&self, process: usize) -> Option<&BTreeMap<Box<str>, Export>> {
        self.exported.get(process)
    }

    /// The functions of a domain that can be called from outside it, each once: whoever links the same component in the
    /// same way gets them in the same order.
    pub(crate) fn callables(&self, domain: u32) -> Vec<Arc<ExportedFunc>> {
        let mut found: Vec<Arc<ExportedFunc>> = Vec::new();
        let mut slots: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut add = |func: &ExportedFunc, shared: Option<&Arc<ExportedFunc>>| {
            let same = slots.entry(func.core).or_default();
            if func.domain == domain && !same.iter().any(|index| *found[*index] == *func) {
                same.push(found.len());
                found.push(shared.map_or_else(|| Arc::new(func.clone()), Arc::clone));
            }
        };
        for exports in std::iter::once(&self.exports).chain(&self.exported) {
            collect(exports, &mut |func| add(func, None));
        }
        for import in self.domains.iter().flat_map(|domain| &domain.imports) {
            if let Target::Port(port) = &import.target {
                add(&port.func, Some(&port.func));
            }
        }
        found
    }

    /// How many steps a launch has in a domain.
    #[must_use]
    pub fn steps_of(&self, domain: u32) -> usize {
        self.steps.iter().filter(|(number, _)| *number == domain).count()
    }

    /// Whether a launch runs code of guests: start functions.
    #[must_use]
    pub fn starts_code(&self) -> bool {
        let starts =
            |step: &Step| matches!(step, Step::Load { library, .. } if library.module.start.is_some());
        self.steps.iter().any(|(_, step)| starts(step))
    }

    /// How many domains the tree has.
    #[must_use]
    pub fn domains(&self) -> usize {
        self.domains.len()
    }

    /// What holds for calls of one process by another, if that is in another domain.
    #[must_use]
    pub fn boundary(&self, caller: &ProcessInfo, callee: &ProcessInfo) -> Option<EdgePolicy> {
        let policy = || self.options.policy((&caller.name, &caller.path), (&callee.name, &callee.path));
        (caller.place.domain != callee.place.domain).then(policy)
    }

    /// What the outermost component exports.
    #[must_use]
    pub fn exports(&self) -> &BTreeMap<Box<str>, Export> {
        &self.exports
    }
}

/// Visits every exported function.
fn collect(exports: &BTreeMap<Box<str>, Export>, visit: &mut dyn FnMut(&ExportedFunc)) {
    for export in exports.values() {
        match export {
            Export::Func(func) => visit(func),
            Export::Instance(inner) => collect(inner, visit),
            _ => {}
        }
    }
}
