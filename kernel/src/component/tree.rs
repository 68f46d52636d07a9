//! A launched component: its processes, and calls into what it exports.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use abi::fault::{Fault, Trap};
use abi::id::ProcessId;
use abi::state::ProcessState;
use abi::types::ResourceType;
use abi::value::{Resource, Value};

use super::apart::{self, Apart, Confinement};
use super::call;
use super::carrier::{Carrier, Deed, Server, Undelivered};
use super::error::LaunchError;
use super::hooks::destroy;
use super::linked::{CoreDef, Export, ExportedFunc, Linked, Place, ProcessInfo, Step};
use super::observe::{edge_view, watcher};
use super::onlooker::Onlooker;
use super::peers::{Entered, Peers};
use super::running::Running;
use crate::domain::Domain;
use crate::domain::externs::{Extern, Func};
use crate::instance::create::InstantiateError;
use crate::instance::{Instance, InstanceIndex};
use crate::jit::engine::Engine;
use crate::jit::library::Library;
use crate::quota::{DomainQuota, Quota, Quotas};
use crate::sched::lock::{Held, ParkingLock};
use crate::vm::VmFuncImport;

/// Pids are unique within the OS process.
static NEXT_PID: AtomicU32 = AtomicU32::new(1);

/// A component tree that has been launched.
pub struct Tree {
    peers: Arc<Peers>,
}

/// What processes hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of linear memories.
    pub memory_bytes: u64,
    /// Handles.
    pub handles: u64,
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
    /// What it has used.
    pub meters: Meters,
    /// What it may hold, if that is limited.
    pub quota: Option<Quota>,
    /// How long ago this life of its domain began.
    pub age: Duration,
    /// Whether other processes are in its domain.
    pub shares_domain: bool,
}

/// What a process has used since its tree was launched, in all lives of its domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meters {
    /// Calls into it from outside its domain.
    pub calls: u64,
    /// Its calls of the host, and over boundaries.
    pub host_calls: u64,
    /// Bytes of the values that came with these calls, as [`Value::bytes`] counts them.
    pub bytes_in: u64,
    /// Bytes of the values that it gave out that way.
    pub bytes_out: u64,
    /// Faults that ended it.
    pub faults: u64,
    /// The most bytes that its memories ever had.
    pub peak_memory_bytes: u64,
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
        Tree::launch_within(engine, linked, host, &Quotas::default())
    }

    /// The same with limits, which what it begins with must keep already.
    ///
    /// # Errors
    /// As [`Tree::launch`]; a library that begins with more than a quota leaves.
    pub fn launch_within(
        engine: &Engine,
        linked: Arc<Linked>,
        host: Box<dyn Any + Send>,
        quotas: &Quotas,
    ) -> Result<Tree, LaunchError> {
        Tree::launch_apart(engine, linked, host, quotas, Apart::default())
    }

    /// The same with some domains in OS processes of their own.
    ///
    /// # Errors
    /// As [`Tree::launch_within`]; a process that does not start.
    pub fn launch_apart(
        engine: &Engine,
        linked: Arc<Linked>,
        host: Box<dyn Any + Send>,
        quotas: &Quotas,
        apart: Apart,
    ) -> Result<Tree, LaunchError> {
        let processes =
            u32::try_from(linked.processes.len()).expect("linking bounds the number of processes");
        let first = NEXT_PID.fetch_add(processes, Ordering::Relaxed);
        let peers =
            Peers::new(engine, Arc::clone(&linked), Arc::new(ParkingLock::new(host)), first, quotas, apart);
        (0..peers.count())
            .filter(|number| peers.is_apart(*number))
            .try_for_each(|number| apart::begin(&peers, number))?;
        let mut begin = 0;
        for steps in linked.steps.chunk_by(|(one, _), (next, _)| one == next) {
            let number = steps[0].0;
            if peers.is_apart(number) {
                (begin..begin + steps.len()).try_for_each(|index| apart::step(&peers, number, index))?;
            } else {
                let mut domain = peers.domain(number).map_err(ended)?;
                steps.iter().try_for_each(|(_, next)| step(&mut domain, next))?;
            }
            begin += steps.len();
        }
        for number in 0..peers.count() {
            peers.standing(number).up();
        }
        Ok(Tree { peers })
    }

    /// What the tree was linked to.
    #[must_use]
    pub fn linked(&self) -> &Linked {
        &self.peers.linked
    }

    /// The export at a path of names: one name, or an instance's and one in it.
    #[must_use]
    pub fn export(&self, path: &[&str]) -> Option<&Export> {
        let (first, rest) = path.split_first()?;
        let mut export = self.peers.linked.exports.get(*first)?;
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
        if self.peers.is_apart(func.domain) {
            let deed = Deed::Call(&Arc::new(func.clone()), args);
            return apart::serve(&self.peers, func.domain, None, &deed);
        }
        call::call(&mut *self.enter(func.domain)?, func, args)
    }

    /// What looks at its domains.
    pub(super) fn peers(&self) -> &Arc<Peers> {
        &self.peers
    }

    /// A domain, when nobody executes it any more.
    #[inline]
    pub(super) fn enter(&mut self, domain: u32) -> Result<Entered<'_>, Trap> {
        Peers::domain_of(&mut self.peers, domain)
    }

    /// The id of a process, by its place in [`Linked::processes`], in its present life.
    #[must_use]
    pub fn process_id(&self, process: u32) -> Option<ProcessId> {
        self.peers.process_id(process as usize)
    }

    /// How many domains it has.
    #[must_use]
    pub fn domain_count(&self) -> u32 {
        self.peers.count()
    }

    /// Limits a process, by its index in [`Linked::processes`], from now on; what it has already stays. The limit holds
    /// in the next lives of its domain too.
    ///
    /// # Errors
    /// [`Trap::Gone`] if its domain has ended, or there is no such process.
    pub fn set_quota(&self, process: usize, quota: Quota) -> Result<(), Trap> {
        let nobody = || Trap::Gone("the tree has no such process".to_owned());
        let place = self.linked().processes.get(process).ok_or_else(nobody)?.place;
        self.peers.set_quota(place.domain, place.process, quota)
    }

    /// The same for all processes of a domain together.
    ///
    /// # Errors
    /// [`Trap::Gone`] if the domain has ended, or there is no such domain.
    pub fn set_domain_quota(&self, domain: u32, quota: DomainQuota) -> Result<(), Trap> {
        if domain >= self.peers.count() {
            return Err(Trap::Gone("the tree has no such domain".to_owned()));
        }
        self.peers.set_total_quota(domain, quota)
    }

    /// Ends a domain where no thread serves it: its memories are unmapped, what it held of others is given back, and
    /// calls to it are refused with the reason. Waits until nobody executes it.
    pub fn end(&self, domain: u32, why: &Trap) {
        self.peers.end(domain, self.peers.generation(domain), why);
    }

    /// Begins the next life of a domain where no thread serves it: ends this one, loads everything anew.
    ///
    /// # Errors
    /// Address space is exhausted, or a start function trapped: then the domain is gone.
    pub fn restart(&self, domain: u32, why: &Trap) -> Result<(), LaunchError> {
        Peers::restart(&self.peers, domain, why, &mut 0, &|| true).map(|_| ())
    }

    /// A domain, for a thread that serves calls to it.
    #[must_use]
    pub fn server(&self, domain: u32) -> Server {
        Server::new(Arc::clone(&self.peers), domain)
    }

    /// Where the values go that nobody is going to get.
    #[must_use]
    pub fn undelivered(&self) -> Undelivered {
        Undelivered::new(&self.peers)
    }

    /// Which domain implements a resource type, if a process of the tree does.
    #[must_use]
    pub fn implementer(&self, ty: ResourceType) -> Option<u32> {
        self.peers.implementer(ty)
    }

    /// Has calls between the domains carried to the threads that serve them. The first carrier stays.
    pub fn carry_with(&self, carrier: Arc<dyn Carrier>) {
        self.peers.carry_with(carrier);
    }

    /// Lets somebody watch over the tree. The first one stays.
    pub fn watch_with(&self, onlooker: Arc<dyn Onlooker>) {
        self.peers.watch_with(onlooker);
    }

    /// From now on a process that asks for the end of the program (`wasi:cli/exit`) ends alone with those on its stack: who
    /// called it from another domain gets that as a failure, and is not ended in turn.
    pub fn contain_exits(&self) {
        self.peers.contain_exits();
    }

    /// Drops a resource that the host holds: runs its destructor.
    ///
    /// # Errors
    /// The destructor's fault.
    pub fn drop_resource(&mut self, resource: Resource) -> Result<(), Fault> {
        let domain = self.peers.implementer(resource.ty).unwrap_or(0);
        if self.peers.generation(domain) != resource.generation {
            return Ok(());
        }
        if self.peers.is_apart(domain) {
            return apart::serve(&self.peers, domain, None, &Deed::Drop(resource)).map(|_| ());
        }
        destroy(&mut *self.peers.domain(domain)?, None, resource.ty, resource.rep)
    }

    /// Whether a domain runs in another OS process.
    #[must_use]
    pub fn is_apart(&self, domain: u32) -> bool {
        self.peers.is_apart(domain)
    }

    /// The OS process that a domain runs in, if it is another one, and what keeps that from harm; none between its lives.
    /// Waits for nobody.
    #[must_use]
    pub fn confinement(&self, domain: u32) -> Option<Confinement> {
        self.peers.is_apart(domain).then(|| self.peers.standing(domain).confinement()).flatten()
    }

    /// The state that was given to [`Tree::launch`].
    pub fn host_state(&self) -> Held<'_, Box<dyn Any + Send>> {
        self.peers.host.lock()
    }

    /// The faults that ended processes of this tree, domain by domain, oldest first: those that are kept.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        (0..self.peers.count()).flat_map(|number| self.peers.standing(number).faults()).collect()
    }

    /// Which life of a domain this is.
    #[must_use]
    pub fn generation(&self, domain: u32) -> u32 {
        self.peers.generation(domain)
    }

    /// What all processes hold together; of domains that are executing, nothing.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for domain in (0..self.peers.count()).filter_map(|number| self.peers.idle(number).ok()) {
            let tables = &Running::of(&domain).handles.tables;
            usage.handles += tables.iter().map(|table| u64::from(table.live())).sum::<u64>();
            let instances =
                (0..).take(domain.instance_count()).map(|index| domain.instance(InstanceIndex(index)));
            usage.memory_bytes += instances.map(Instance::own_memory_bytes).sum::<u64>();
        }
        usage
    }

    /// How far into their memories the processes have ever written, together: what is left behind shows here before memories
    /// grow. Of domains that are executing, nothing.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        let domains = (0..self.peers.count()).filter_map(|number| self.peers.idle(number).ok());
        let written = |domain: &Domain| {
            let instances = (0..).take(domain.instance_count());
            instances.map(|index| domain.instance(InstanceIndex(index)).written_bytes()).sum::<u64>()
        };
        domains.map(|domain| written(&domain)).sum()
    }

    /// The processes, the root first, parents before children. Waits for nobody: a thread may be executing them.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessView<'_>> {
        let calls_out = edge_view::calls_out(&self.peers);
        let infos = self.linked().processes.iter().enumerate();
        infos.filter_map(|(index, info)| self.view(index, info, calls_out[index])).collect()
    }

    fn view<'t>(&'t self, index: usize, info: &'t ProcessInfo, host_calls: u64) -> Option<ProcessView<'t>> {
        let Place { domain, process } = info.place;
        // The handles are in the domain; while it runs, those it had when it was last left count.
        if let Ok(idle) = self.peers.idle(domain) {
            Running::of(&idle).count_handles();
        }
        let standing = self.peers.standing(domain);
        let now = standing.process(process)?;
        let meter = standing.meter(process)?;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(ProcessView {
            id: self.peers.process_id(index)?,
            info,
            state: now.state,
            libs: now.libs,
            memory_bytes: now.memories.iter().map(|memory| memory.bytes() as u64).sum::<u64>()
                + now.bytes_apart,
            handles: meter.handles.load(Ordering::Relaxed),
            meters: Meters {
                calls: read(&meter.calls),
                host_calls,
                bytes_in: read(&meter.bytes_in),
                bytes_out: read(&meter.bytes_out),
                faults: read(&meter.faults),
                peak_memory_bytes: read(&meter.peak_memory),
            },
            quota: self.peers.quota(index),
            age: standing.age(),
            shares_domain: self.linked().domains[domain as usize].processes.len() > 1,
        })
    }
}

/// Executes one step of a launch, after those before it.
pub(super) fn step(domain: &mut Domain, step: &Step) -> Result<(), LaunchError> {
    match step {
        Step::Load { library, process, args } => {
            let args = args.iter().map(|def| resolve(domain, def)).collect::<Result<Vec<_>, _>>()?;
            let instance =
                domain.instantiate(library, &args, Some(*process)).map_err(|error| match error {
                    InstantiateError::Fault(fault) => LaunchError::Fault(Box::new(fault)),
                    other => LaunchError::Resource(other.to_string()),
                })?;
            let running = Running::of(domain);
            running.standing.loaded(*process, domain.instance(instance));
            watcher::loaded(running);
        }
        Step::Func { slot, def } => {
            let Extern::Func(func) = resolve(domain, def)? else { return Err(odd("function")) };
            domain.set_func_slot(*slot, func.import);
            Running::of_mut(domain).funcs[*slot as usize] = Some(func);
        }
        Step::Memory { slot, def } => {
            let Extern::Memory(memory) = resolve(domain, def)? else { return Err(odd("memory")) };
            domain.set_memory_slot(*slot, &memory.memory);
            Running::of_mut(domain).memories[*slot as usize] = Some(memory);
        }
    }
    Ok(())
}

fn resolve(domain: &Domain, def: &CoreDef) -> Result<Extern, LaunchError> {
    match def {
        // The instances of a domain are numbered in the order in which they are loaded.
        CoreDef::Export { instance, entity } if (*instance as usize) < domain.instance_count() => {
            Ok(domain.instance(InstanceIndex(*instance)).entity(domain.key(), *entity))
        }
        CoreDef::Export { .. } => Err(odd("core instance")),
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
