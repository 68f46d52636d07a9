//! A launched component: its processes, and calls into what it exports.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::fault::{Fault, Trap};
use abi::id::ProcessId;
use abi::state::ProcessState;
use abi::value::{Resource, Value};

use super::call;
use super::carrier::{Carrier, Server};
use super::error::LaunchError;
use super::hooks::{Hooks, destroy};
use super::linked::{CoreDef, Export, ExportedFunc, Linked, LinkedDomain, ProcessInfo, Step};
use super::running::{HostState, Peers, Running};
use crate::domain::externs::{Extern, Func};
use crate::domain::{Domain, DomainOptions};
use crate::instance::InstanceIndex;
use crate::instance::create::InstantiateError;
use crate::jit::engine::Engine;
use crate::jit::library::Library;
use crate::quota::Quota;
use crate::sched::lock::{Held, ParkingLock};
use crate::vm::VmFuncImport;

static HOOKS: Hooks = Hooks;

/// Pids are unique within the OS process.
static NEXT_PID: AtomicU32 = AtomicU32::new(1);

/// A component tree that has been launched.
pub struct Tree {
    peers: Arc<Peers>,
    linked: Arc<Linked>,
    host: HostState,
    /// Each domain's core instances and their processes, in launch order.
    loaded: Vec<Vec<(InstanceIndex, u32)>>,
}

/// A process as the console shows it.
#[derive(Clone, Debug)]
pub struct ProcessView<'t> {
    /// Its id.
    pub id: ProcessId,
    /// What linking knows of it; `parent` is an index into the same list of processes.
    pub info: &'t ProcessInfo,
    /// What it is doing.
    pub state: ProcessState,
    /// The libraries it has loaded, one a core instance.
    pub libs: Vec<Arc<Library>>,
    /// Bytes of its linear memories.
    pub memory_bytes: u64,
    /// Handles in its table.
    pub handles: u32,
}

impl Tree {
    /// Brings a linked component up: loads its libraries, runs their start functions. `host` is the state that host
    /// functions get.
    ///
    /// # Errors
    /// Address space is exhausted, or a start function or initialiser trapped.
    pub fn launch(
        engine: &Engine,
        linked: Arc<Linked>,
        host: Box<dyn Any + Send>,
    ) -> Result<Tree, LaunchError> {
        let processes =
            u32::try_from(linked.processes.len()).expect("linking bounds the number of processes");
        let first = NEXT_PID.fetch_add(processes, Ordering::Relaxed);
        let ids: Arc<[ProcessId]> =
            (0..processes).map(|index| ProcessId { index: first + index, generation: 0 }).collect();
        let host: HostState = Arc::new(ParkingLock::new(host));
        let peers = Arc::new_cyclic(|peers| {
            let domain = |(number, domain): (u32, &LinkedDomain)| {
                let running =
                    Running::new(&linked, number, peers.clone(), Arc::clone(&host), Arc::clone(&ids));
                let options =
                    DomainOptions { layout: domain.layout, hooks: &HOOKS, state: Box::new(running) };
                Domain::new(engine, options)
            };
            Peers::new((0..).zip(&linked.domains).map(domain).collect())
        });
        let loaded = vec![Vec::new(); linked.domains.len()];
        let mut tree = Tree { peers, linked: Arc::clone(&linked), host, loaded };
        for (domain, step) in &linked.steps {
            tree.step(*domain, step)?;
        }
        for number in 0..tree.peers.count() {
            Running::of_mut(&mut *tree.peers.domain(number).map_err(ended)?).states.fill(ProcessState::Ready);
        }
        Ok(tree)
    }

    fn step(&mut self, number: u32, step: &Step) -> Result<(), LaunchError> {
        let loaded = &mut self.loaded[number as usize];
        let domain = &mut *self.peers.domain(number).map_err(ended)?;
        match step {
            Step::Load { library, process, args } => {
                let args =
                    args.iter().map(|def| resolve(domain, loaded, def)).collect::<Result<Vec<_>, _>>()?;
                let instance =
                    domain.instantiate(library, &args, Some(*process)).map_err(|error| match error {
                        InstantiateError::Fault(fault) => LaunchError::Fault(Box::new(fault)),
                        other => LaunchError::Resource(other.to_string()),
                    })?;
                loaded.push((instance, *process));
            }
            Step::Func { slot, def } => {
                let Extern::Func(func) = resolve(domain, loaded, def)? else { return Err(odd("function")) };
                domain.set_func_slot(*slot, func.import);
                Running::of_mut(domain).funcs[*slot as usize] = Some(func);
            }
            Step::Memory { slot, def } => {
                let Extern::Memory(memory) = resolve(domain, loaded, def)? else { return Err(odd("memory")) };
                domain.set_memory_slot(*slot, &memory.memory);
                Running::of_mut(domain).memories[*slot as usize] = Some(memory);
            }
        }
        Ok(())
    }

    /// What the tree was linked to.
    #[must_use]
    pub fn linked(&self) -> &Linked {
        &self.linked
    }

    /// The export at a path of names: one name, or an instance's and one in it.
    #[must_use]
    pub fn export(&self, path: &[&str]) -> Option<&Export> {
        let (first, rest) = path.split_first()?;
        let mut export = self.linked.exports.get(*first)?;
        for name in rest {
            let Export::Instance(exports) = export else { return None };
            export = exports.get(*name)?;
        }
        Some(export)
    }

    /// Calls an exported function with component values (`canon lift`, called by the host).
    ///
    /// Resources in `args` are taken by value where the parameter is `own`; those in the result are the caller's.
    ///
    /// # Errors
    /// The fault; [`abi::fault::Trap::CannotEnter`] if an earlier one ended the process.
    pub fn call(&mut self, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
        call::call(&mut *self.peers.domain(func.domain)?, func, args)
    }

    /// How many domains it has.
    #[must_use]
    pub fn domain_count(&self) -> u32 {
        self.peers.count()
    }

    /// Limits a process, by its index in [`Linked::processes`], from now on; what it has already stays.
    ///
    /// # Errors
    /// [`Trap::Gone`] if its domain has ended, or there is no such process.
    pub fn set_quota(&self, process: usize, quota: Quota) -> Result<(), Trap> {
        let nobody = || Trap::Gone("the tree has no such process".to_owned());
        let place = self.linked.processes.get(process).ok_or_else(nobody)?.place;
        self.peers.domain(place.domain)?.set_quota(place.process, quota);
        Ok(())
    }

    /// A domain, for a thread that serves calls to it.
    #[must_use]
    pub fn server(&self, domain: u32) -> Server {
        Server::new(Arc::clone(&self.peers), domain)
    }

    /// Has calls between the domains carried to the threads that serve them. The first carrier stays.
    pub fn carry_with(&self, carrier: Arc<dyn Carrier>) {
        self.peers.carry_with(carrier);
    }

    /// Drops a resource that the host holds: runs its destructor.
    ///
    /// # Errors
    /// The destructor's fault.
    pub fn drop_resource(&mut self, resource: Resource) -> Result<(), Fault> {
        let place = self.linked.resources.get(resource.ty.0 as usize).and_then(|resource| resource.place);
        let domain = place.map_or(0, |place| place.domain);
        destroy(&mut *self.peers.domain(domain)?, None, resource.ty, resource.rep)
    }

    /// The state that was given to [`Tree::launch`].
    pub fn host_state(&mut self) -> Held<'_, Box<dyn Any + Send>> {
        self.host.lock()
    }

    /// The faults that ended processes of this tree, domain by domain, oldest first.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        (0..self.peers.count()).flat_map(|number| self.peers.faults(number)).collect()
    }

    /// The processes, the root first, parents before children.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessView<'_>> {
        let mut views: Vec<_> = self.linked.processes.iter().map(ProcessView::new).collect();
        for (number, loaded) in (0..).zip(&self.loaded) {
            let Ok(domain) = self.peers.domain(number) else {
                let gone = self.linked.domains[number as usize].processes.iter();
                gone.for_each(|index| views[*index as usize].state = ProcessState::Exited);
                continue;
            };
            let running = Running::of(&domain);
            let in_tree = &running.program().processes;
            for (local, index) in in_tree.iter().enumerate() {
                let view = &mut views[*index as usize];
                view.id = running.ids[*index as usize];
                view.state = running.states[local].clone();
                view.handles = running.handles.tables[local].live();
            }
            for (instance, local) in loaded {
                let instance = domain.instance(*instance);
                let view = &mut views[in_tree[*local as usize] as usize];
                view.libs.push(Arc::clone(&instance.library));
                view.memory_bytes += instance.own_memory_bytes();
            }
        }
        views
    }
}

impl<'t> ProcessView<'t> {
    fn new(info: &'t ProcessInfo) -> ProcessView<'t> {
        ProcessView {
            id: ProcessId { index: 0, generation: 0 },
            info,
            state: ProcessState::Starting,
            libs: Vec::new(),
            memory_bytes: 0,
            handles: 0,
        }
    }
}

fn resolve(domain: &Domain, loaded: &[(InstanceIndex, u32)], def: &CoreDef) -> Result<Extern, LaunchError> {
    match def {
        CoreDef::Export { instance, name } => {
            let (index, _) = loaded.get(*instance as usize).ok_or_else(|| odd("core instance"))?;
            domain.export(*index, name).ok_or_else(|| odd("core export"))
        }
        CoreDef::Adapter(index) => {
            let program = Running::of(domain).program();
            let import = VmFuncImport { code: program.adapters.func(*index), ctx: domain.vm() };
            let sig = program.adapter_sigs[*index as usize];
            Ok(Extern::Func(Func { import, sig, domain: domain.key() }))
        }
    }
}

/// A domain is ended by whoever holds the tree, which is not launched yet.
fn ended(trap: Trap) -> LaunchError {
    LaunchError::Resource(trap.to_string())
}

/// Linking promises that this cannot happen.
fn odd(what: &str) -> LaunchError {
    LaunchError::Resource(format!("a {what} that linking found is not there at launch"))
}
