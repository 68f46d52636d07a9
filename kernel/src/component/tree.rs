//! A launched component: its processes, and calls into what it exports.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abi::fault::{Fault, Trap};
use abi::id::ProcessId;
use abi::plan::Passing;
use abi::run;
use abi::state::ProcessState;
use abi::value::{Resource, Value};

use super::error::LaunchError;
use super::guest::{Guest, call_slot};
use super::hooks::{Hooks, destroy};
use super::linked::{CoreDef, Export, ExportedFunc, Linked, ProcessInfo, Step};
use super::running::Running;
use crate::domain::externs::{Extern, Func};
use crate::domain::{Domain, DomainOptions};
use crate::instance::InstanceIndex;
use crate::instance::create::InstantiateError;
use crate::jit::engine::Engine;
use crate::jit::library::Library;
use crate::vm::VmFuncImport;
use crate::vm::flags::MAY_ENTER;

static HOOKS: Hooks = Hooks;

/// Pids are unique within the OS process.
static NEXT_PID: AtomicU32 = AtomicU32::new(1);

/// A component tree that has been launched, in one domain.
pub struct Tree {
    domain: Domain,
    linked: Arc<Linked>,
    /// Each core instance and its process, in launch order.
    loaded: Vec<(InstanceIndex, u32)>,
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
    pub libs: Vec<&'t Arc<Library>>,
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
        let first_pid = NEXT_PID.fetch_add(processes, Ordering::Relaxed);
        let running = Running::new(Arc::clone(&linked), host, first_pid);
        let options = DomainOptions { layout: linked.layout, hooks: &HOOKS, state: Box::new(running) };
        let mut tree = Tree { domain: Domain::new(engine, options), linked, loaded: Vec::new() };
        let linked = Arc::clone(&tree.linked);
        for step in &linked.steps {
            tree.step(step)?;
        }
        for state in &mut Running::of_mut(&mut tree.domain).states {
            *state = ProcessState::Ready;
        }
        Ok(tree)
    }

    fn step(&mut self, step: &Step) -> Result<(), LaunchError> {
        match step {
            Step::Load { library, process, args } => {
                let args = args.iter().map(|def| self.resolve(def)).collect::<Result<Vec<_>, _>>()?;
                let loaded =
                    self.domain.instantiate(library, &args, Some(*process)).map_err(|error| match error {
                        InstantiateError::Fault(fault) => LaunchError::Fault(Box::new(fault)),
                        other => LaunchError::Resource(other.to_string()),
                    })?;
                self.loaded.push((loaded, *process));
            }
            Step::Func { slot, def } => {
                let Extern::Func(func) = self.resolve(def)? else { return Err(odd("function")) };
                self.domain.set_func_slot(*slot, func.import);
                Running::of_mut(&mut self.domain).funcs[*slot as usize] = Some(func);
            }
            Step::Memory { slot, def } => {
                let Extern::Memory(memory) = self.resolve(def)? else { return Err(odd("memory")) };
                self.domain.set_memory_slot(*slot, &memory.memory);
                Running::of_mut(&mut self.domain).memories[*slot as usize] = Some(memory);
            }
        }
        Ok(())
    }

    fn resolve(&self, def: &CoreDef) -> Result<Extern, LaunchError> {
        match def {
            CoreDef::Export { instance, name } => {
                let (index, _) = self.loaded.get(*instance as usize).ok_or_else(|| odd("core instance"))?;
                self.domain.export(*index, name).ok_or_else(|| odd("core export"))
            }
            CoreDef::Adapter(index) => {
                let code = self.linked.adapters.func(*index);
                let import = VmFuncImport { code, ctx: self.domain.vm() };
                let sig = self.linked.adapter_sigs[*index as usize];
                Ok(Extern::Func(Func { import, sig, domain: self.domain.key() }))
            }
        }
    }

    /// What the tree was linked to.
    #[must_use]
    pub fn linked(&self) -> &Linked {
        &self.linked
    }

    /// The exported function at a path of names: one name, or an instance's and the function's.
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
    /// The fault; [`Trap::CannotEnter`] if an earlier one ended the process.
    pub fn call(&mut self, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
        if let Some(what) = func.unsupported {
            return Err(Fault::new(Trap::Unsupported(what)));
        }
        let process = func.callee.process;
        if self.domain.flags(process) & MAY_ENTER == 0 {
            return Err(self.fault_in(process, Trap::CannotEnter));
        }
        let depth = Running::of(&self.domain).handles.depth();
        let scope = func.ty.has_borrow();
        if scope {
            Running::of_mut(&mut self.domain).handles.enter()?;
        }
        let result = self.call_in_scope(func, args);
        let handles = &mut Running::of_mut(&mut self.domain).handles;
        let closed = if scope && result.is_ok() { handles.exit() } else { Ok(()) };
        handles.unwind(depth);
        match closed {
            Ok(()) => result,
            Err(trap) => Err(self.blame(process, trap)),
        }
    }

    fn call_in_scope(&mut self, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
        let process = func.callee.process;
        let mut guest = Guest::new(&mut self.domain, &func.callee);
        let lowered = run::lower_params(&mut guest, &func.ty, &func.params, args);
        let core = match lowered {
            Ok(core) => core.into_iter().map(u128::from).collect::<Vec<_>>(),
            Err(trap) => return Err(self.blame(process, trap)),
        };
        let count = match &func.results {
            Passing::Flat(flat) => flat.len(),
            Passing::Memory(_) => 1,
        };
        let mut results = vec![0u128; count];
        call_slot(&mut self.domain, process, func.core, &core, &mut results)?;
        let values: Vec<u64> = results.iter().map(|value| *value as u64).collect();
        let mut guest = Guest::new(&mut self.domain, &func.callee);
        match run::lift_results(&mut guest, &func.ty, &func.results, &values) {
            Ok(value) => {
                if let Some(slot) = func.callee.post_return {
                    guest.staying(|guest| guest.call(slot, &results, &mut []))?;
                }
                Ok(value)
            }
            Err(trap) => Err(self.blame(process, trap)),
        }
    }

    /// Drops a resource that the host holds: runs its destructor.
    ///
    /// # Errors
    /// The destructor's fault.
    pub fn drop_resource(&mut self, resource: Resource) -> Result<(), Fault> {
        destroy(&mut self.domain, None, resource.ty, resource.rep)
    }

    /// A trap that a process's values caused outside its code: it never runs again.
    fn blame(&mut self, process: u32, trap: Trap) -> Fault {
        // The host's own mistakes, and faults that were laid at a door already, are nobody's.
        let guilty = !matches!(trap, Trap::Host(_)) && self.domain.flags(process) & MAY_ENTER != 0;
        let fault = self.fault_in(process, trap);
        if guilty {
            self.domain.set_flags(process, self.domain.flags(process) & !MAY_ENTER);
            let running = Running::of_mut(&mut self.domain);
            running.states[process as usize] = ProcessState::Faulted;
            running.faults.push(fault.clone());
        }
        fault
    }

    fn fault_in(&self, process: u32, trap: Trap) -> Fault {
        let running = Running::of(&self.domain);
        let mut fault = Fault::new(trap);
        fault.process = running.ids.get(process as usize).copied();
        fault.process_name =
            self.linked.processes.get(process as usize).map(|info| info.path.clone()).unwrap_or_default();
        fault
    }

    /// The state that was given to [`Tree::launch`].
    pub fn host_state(&mut self) -> &mut (dyn Any + Send) {
        &mut *Running::of_mut(&mut self.domain).host
    }

    /// The faults that ended processes of this tree, oldest first.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &Running::of(&self.domain).faults
    }

    /// The processes, the root first, parents before children.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessView<'_>> {
        let running = Running::of(&self.domain);
        let mut views: Vec<_> = self
            .linked
            .processes
            .iter()
            .enumerate()
            .map(|(index, info)| ProcessView {
                id: running.ids[index],
                info,
                state: running.states[index].clone(),
                libs: Vec::new(),
                memory_bytes: 0,
                handles: running.handles.tables[index].live(),
            })
            .collect();
        for (instance, process) in &self.loaded {
            let instance = self.domain.instance(*instance);
            let view = &mut views[*process as usize];
            view.libs.push(&instance.library);
            view.memory_bytes += instance.own_memory_bytes();
        }
        views
    }
}

/// Linking promises that this cannot happen.
fn odd(what: &str) -> LaunchError {
    LaunchError::Resource(format!("a {what} that linking found is not there at launch"))
}
