//! Lifting and lowering: who calls whom, and through what.

use std::rc::Rc;
use std::sync::Arc;

use abi::flat::CoreType;
use abi::plan::{Endpoint, Passing, Plan};
use abi::types::{FuncType, ValType};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};

use super::arrival::Direct;
use super::def::{Frame, FuncDef, HostDef, Lifted};
use super::draft::slot;
use super::error::LinkError;
use super::host_call::REGISTERS;
use super::link::{Linker, counted};
use super::linked::{CoreDef, ExportedFunc, HostImport, Step, Target};
use super::observe::known_edge::{Callee, KnownEdge, Way, interface_of};
use super::parse::{EntityIndex, Options, ResourceBuiltin, TaskBuiltin};
use super::port::{EdgePolicy, Port};
use super::resolve::Resolver;
use super::spaces::{at, dangling};
use crate::host::HostEntry;
use crate::jit::fuse::spec::{AdapterSpec, Refusal};
use crate::limits::MAX_ADAPTERS;

impl Linker<'_> {
    pub(super) fn lift(
        &mut self,
        frame: &Rc<Frame>,
        core: u32,
        ty: u32,
        options: &Options,
    ) -> Result<(), LinkError> {
        let core = at(&frame.spaces.borrow().core_funcs, core)?;
        let ComponentAnyTypeId::Func(id) = frame.component.types.as_ref().component_any_type_at(ty) else {
            return Err(dangling("function type"));
        };
        let ty = Resolver::new(frame).func(id)?;
        let endpoint = self.endpoint(frame, options)?;
        let callback =
            options.callback.map(|index| at(&frame.spaces.borrow().core_funcs, index)).transpose()?;
        let def = FuncDef::Lifted(Lifted {
            ty,
            process: frame.process,
            domain: self.place_of(frame.process).domain,
            endpoint,
            core: self.func_slot(frame, core),
            asynchronous: options.asynchronous,
            callback: callback.map(|def| self.func_slot(frame, def)),
            unsupported: options.unsupported,
        });
        frame.spaces.borrow_mut().funcs.push((Rc::new(def), Rc::from("")));
        Ok(())
    }

    pub(super) fn lower(&mut self, frame: &Rc<Frame>, func: u32, options: &Options) -> Result<(), LinkError> {
        let (def, name) = at(&frame.spaces.borrow().funcs, func)?;
        let caller = self.endpoint(frame, options)?;
        let spec = match &*def {
            FuncDef::Lifted(lifted) => self.call(frame, lifted, caller, &name, options)?,
            FuncDef::Host(host) => self.host(frame, host, caller, options)?,
            FuncDef::Missing(missing) => {
                let entity = frame.component.entity(EntityIndex::Func(func));
                let Some(ComponentEntityType::Func(id)) = entity else { return Err(dangling("function")) };
                let ty = Resolver::new(frame).func(id)?;
                self.refuse(
                    frame,
                    &ty,
                    options.asynchronous,
                    missing.clone(),
                    Refusal::Message(format!("import `{missing}` is missing")),
                )
            }
        };
        let edge = self.known(frame, &def, &name, &spec);
        self.adapter(frame, spec, edge)
    }

    /// The edge that a lowered function is, if it can be called.
    fn known(&mut self, frame: &Frame, def: &FuncDef, name: &str, spec: &AdapterSpec) -> Option<u32> {
        let import = match spec {
            AdapterSpec::Host { import, .. } => self.draft(frame).imports.get(*import as usize),
            AdapterSpec::Call { .. } => None,
            _ => return None,
        };
        let way = match import.map(|import| &import.target) {
            None => Way::Fused,
            Some(Target::Port(port)) => Way::Boundary(port.policy),
            Some(Target::Host(_)) => Way::Server,
            Some(_) => Way::Task,
        };
        let (name, ty, callee) = match def {
            FuncDef::Lifted(lifted) => (name, Arc::new(lifted.ty.clone()), Callee::Process(lifted.process)),
            FuncDef::Host(host) => {
                (&*host.name, Arc::clone(&host.ty), Callee::Server(interface_of(&host.name).into()))
            }
            FuncDef::Missing(_) => return None,
        };
        let edge = KnownEdge { caller: Some(frame.process), callee, name: name.into(), ty, way };
        Some(self.edges.number(edge))
    }

    fn call(
        &mut self,
        frame: &Frame,
        lifted: &Lifted,
        caller: Endpoint,
        name: &str,
        options: &Options,
    ) -> Result<AdapterSpec, LinkError> {
        let (from, to) = (&self.processes[frame.process as usize], &self.processes[lifted.process as usize]);
        let edge = format!("{} → {}  {name}", from.name, to.name);
        if let Some(what) = options.unsupported.or(lifted.unsupported) {
            let why = Refusal::Message(format!("not supported: {what}"));
            return Ok(self.refuse(frame, &lifted.ty, options.asynchronous, edge, why));
        }
        if self.related(frame.process, lifted.process) {
            return Ok(self.refuse(frame, &lifted.ty, options.asynchronous, edge, Refusal::Reentrance));
        }
        let context =
            [frame.process, lifted.process].iter().any(|process| self.with_context.contains(process));
        let task = options.asynchronous || lifted.asynchronous || context;
        let target = match from.place.domain == lifted.domain {
            false => {
                let policy = self.options.policy((&from.name, &from.path), (&to.name, &to.path));
                let direct = if task { None } else { self.arrival(&caller, lifted, &policy)? };
                Target::Port(Port { func: Arc::new(exported(lifted)), policy, direct })
            }
            true if task => Target::Task(exported(lifted)),
            true => {
                let plan = Plan::new(lifted.ty.clone(), caller, lifted.endpoint.clone(), lifted.core);
                return Ok(AdapterSpec::Call { plan, name: edge });
            }
        };
        let ty = Arc::new(lifted.ty.clone());
        self.outside(frame, name.to_owned(), ty, target, caller, options.asynchronous, edge)
    }

    fn host(
        &mut self,
        frame: &Frame,
        host: &HostDef,
        caller: Endpoint,
        options: &Options,
    ) -> Result<AdapterSpec, LinkError> {
        let asynchronous = options.asynchronous.then_some("an asynchronous call of the host");
        if let Some(what) = options.unsupported.or(asynchronous) {
            let why = Refusal::Message(format!("not supported: {what}"));
            return Ok(self.refuse(frame, &host.ty, options.asynchronous, host.name.clone(), why));
        }
        let edge = format!("{} → host  {}", self.processes[frame.process as usize].name, host.name);
        let target = Target::Host(Arc::clone(&host.func));
        self.outside(frame, host.name.clone(), Arc::clone(&host.ty), target, caller, false, edge)
    }

    /// The callee's half of a call over a boundary, where compiled code can make it.
    fn arrival(
        &mut self,
        caller: &Endpoint,
        lifted: &Lifted,
        policy: &EdgePolicy,
    ) -> Result<Option<Direct>, LinkError> {
        let draft = self.draft_of(lifted.domain);
        let adapter = counted(draft.specs.len(), "lowered functions", MAX_ADAPTERS)?;
        let callee = (&lifted.endpoint, lifted.core);
        Ok(Direct::plan(&lifted.ty, caller, callee, policy, adapter).map(|(direct, plan)| {
            draft.specs.push(AdapterSpec::Arrival { plan });
            draft.edges.push(None);
            direct
        }))
    }

    /// A stub for a call that the kernel carries.
    #[allow(clippy::too_many_arguments)]
    fn outside(
        &mut self,
        frame: &Frame,
        name: String,
        ty: Arc<FuncType>,
        target: Target,
        caller: Endpoint,
        asynchronous: bool,
        edge: String,
    ) -> Result<AdapterSpec, LinkError> {
        let process = caller.process;
        let leaves = matches!(target, Target::Host(_) | Target::Port(..) | Target::Task(_) | Target::Return);
        let (params, results) = passing(&ty, asynchronous);
        let (core_params, core_results) = core_signature(&params, &results, asynchronous);
        let slots = core_params.len().max(core_results.len());
        let lends = ty.has_borrow();
        let entry = match &target {
            _ if lends || slots > REGISTERS => None,
            Target::Host(func) => Some(func.entry()),
            Target::Port(Port { direct: Some(_), .. }) => Some(HostEntry::of_port()),
            _ => None,
        };
        let imports = &mut self.draft(frame).imports;
        let import = counted(imports.len(), "imports from outside a domain", MAX_ADAPTERS)?;
        imports.push(HostImport {
            name,
            ty,
            target,
            caller,
            params,
            results,
            asynchronous,
            slots,
            lends,
            edge: None,
            entry,
        });
        let (params, results) = (core_params, core_results);
        Ok(AdapterSpec::Host { params, results, import, address: None, process, leaves, name: edge })
    }

    fn refuse(
        &self,
        frame: &Frame,
        ty: &FuncType,
        asynchronous: bool,
        name: String,
        reason: Refusal,
    ) -> AdapterSpec {
        let (params, results) = passing(ty, asynchronous);
        let (params, results) = core_signature(&params, &results, asynchronous);
        let process = self.place_of(frame.process).process;
        AdapterSpec::Refuse { params, results, reason, process, name }
    }

    pub(super) fn task_builtin(&mut self, frame: &Rc<Frame>, builtin: &TaskBuiltin) -> Result<(), LinkError> {
        let func = |params: &[ValType], result| {
            let params = params.iter().map(|ty| (Box::from("value"), ty.clone())).collect();
            Arc::new(FuncType { params, result, is_async: false })
        };
        let mut caller = self.endpoint(frame, &Options::default())?;
        let (name, ty, target) = match builtin {
            TaskBuiltin::Return { result, options } => {
                caller = self.endpoint(frame, options)?;
                let result = result.map(|ty| Resolver::new(frame).written(ty)).transpose()?;
                ("task.return", func(result.as_slice(), None), Target::Return)
            }
            TaskBuiltin::ContextGet(slot) => {
                ("context.get", func(&[], Some(ValType::U32)), Target::ContextGet(*slot as usize))
            }
            TaskBuiltin::ContextSet(slot) => {
                ("context.set", func(&[ValType::U32], None), Target::ContextSet(*slot as usize))
            }
            TaskBuiltin::BackpressureInc => ("backpressure.inc", func(&[], None), Target::Backpressure(1)),
            TaskBuiltin::BackpressureDec => ("backpressure.dec", func(&[], None), Target::Backpressure(-1)),
        };
        if matches!(target, Target::ContextGet(_) | Target::ContextSet(_)) {
            self.with_context.insert(frame.process);
        }
        let spec = self.outside(frame, name.to_owned(), ty, target, caller, false, name.to_owned())?;
        self.adapter(frame, spec, None)
    }

    pub(super) fn resource_builtin(
        &mut self,
        frame: &Rc<Frame>,
        kind: ResourceBuiltin,
        ty: u32,
    ) -> Result<(), LinkError> {
        let ComponentAnyTypeId::Resource(id) = frame.component.types.as_ref().component_any_type_at(ty)
        else {
            return Err(dangling("resource type"));
        };
        let ty = frame.resource(id.resource()).ok_or_else(|| dangling("resource type"))?;
        let process = self.place_of(frame.process).process;
        let spec = match kind {
            ResourceBuiltin::New => AdapterSpec::ResourceNew { process, ty },
            ResourceBuiltin::Rep => AdapterSpec::ResourceRep { process, ty },
            ResourceBuiltin::Drop => AdapterSpec::ResourceDrop { process, ty },
        };
        self.adapter(frame, spec, None)
    }

    /// It has its place and its signature, so that what never calls it runs.
    pub(super) fn unsupported_builtin(
        &mut self,
        frame: &Rc<Frame>,
        name: &'static str,
    ) -> Result<(), LinkError> {
        let index =
            u32::try_from(frame.spaces.borrow().core_funcs.len()).map_err(|_| dangling("core function"))?;
        let types = frame.component.types.as_ref();
        let id = types.core_function_at(index);
        let ty = types[id].unwrap_func();
        let core = |types: &[wasmparser::ValType]| {
            types
                .iter()
                .map(|ty| match ty {
                    wasmparser::ValType::I32 => Ok(CoreType::I32),
                    wasmparser::ValType::I64 => Ok(CoreType::I64),
                    _ => Err(LinkError::Unsupported(name.to_owned())),
                })
                .collect::<Result<Vec<_>, _>>()
        };
        let (params, results) = (core(ty.params())?, core(ty.results())?);
        let reason = Refusal::Message(format!("not supported: {name}"));
        let process = self.place_of(frame.process).process;
        let spec = AdapterSpec::Refuse { params, results, reason, process, name: name.to_owned() };
        self.adapter(frame, spec, None)
    }

    fn adapter(&mut self, frame: &Rc<Frame>, spec: AdapterSpec, edge: Option<u32>) -> Result<(), LinkError> {
        let draft = self.draft(frame);
        let index = counted(draft.specs.len(), "lowered functions", MAX_ADAPTERS)?;
        if let AdapterSpec::Host { import, .. } = &spec {
            draft.imports[*import as usize].edge = edge;
        }
        draft.specs.push(spec);
        draft.edges.push(edge);
        frame.spaces.borrow_mut().core_funcs.push(CoreDef::Adapter(index));
        Ok(())
    }

    /// Whether one of the processes is the other, or inside it: then a call would enter an instance twice.
    fn related(&self, a: u32, b: u32) -> bool {
        let within = |mut inner: u32, outer: u32| {
            loop {
                if inner == outer {
                    return true;
                }
                match self.processes[inner as usize].parent {
                    Some(parent) => inner = parent,
                    None => return false,
                }
            }
        };
        within(a, b) || within(b, a)
    }

    fn endpoint(&mut self, frame: &Frame, options: &Options) -> Result<Endpoint, LinkError> {
        let spaces = frame.spaces.borrow();
        let func = |index: Option<u32>| index.map(|index| at(&spaces.core_funcs, index)).transpose();
        let (realloc, post_return) = (func(options.realloc)?, func(options.post_return)?);
        let memory = options.memory.map(|index| at(&spaces.core_memories, index)).transpose()?;
        Ok(Endpoint {
            process: self.place_of(frame.process).process,
            encoding: options.encoding,
            memory: memory.map(|def| self.memory_slot(frame, def)),
            realloc: realloc.map(|def| self.func_slot(frame, def)),
            post_return: post_return.map(|def| self.func_slot(frame, def)),
        })
    }

    pub(super) fn func_slot(&mut self, frame: &Frame, def: CoreDef) -> u32 {
        let (slot, new) = slot(&mut self.draft(frame).func_slots, &def);
        if new {
            self.steps.push((self.place_of(frame.process).domain, Step::Func { slot, def }));
        }
        slot
    }

    fn memory_slot(&mut self, frame: &Frame, def: CoreDef) -> u32 {
        let (slot, new) = slot(&mut self.draft(frame).memory_slots, &def);
        if new {
            self.steps.push((self.place_of(frame.process).domain, Step::Memory { slot, def }));
        }
        slot
    }
}

/// A lifted function as those outside its domain call it.
pub(super) fn exported(lifted: &Lifted) -> ExportedFunc {
    ExportedFunc {
        domain: lifted.domain,
        ty: Arc::new(lifted.ty.clone()),
        callee: lifted.endpoint.clone(),
        core: lifted.core,
        params: Passing::params(&lifted.ty),
        results: Passing::results(&lifted.ty),
        asynchronous: lifted.asynchronous,
        callback: lifted.callback,
        unsupported: lifted.unsupported,
        lends: lifted.ty.has_borrow(),
        edge: None,
    }
}

/// How parameters and results cross on a caller's side.
fn passing(ty: &FuncType, asynchronous: bool) -> (Passing, Passing) {
    match asynchronous {
        true => Passing::asynchronous(ty),
        false => (Passing::params(ty), Passing::results(ty)),
    }
}

/// The core signature of a lowered function: an asynchronous one returns the state of its subtask.
fn core_signature(params: &Passing, results: &Passing, asynchronous: bool) -> (Vec<CoreType>, Vec<CoreType>) {
    let (params, mut results) = Passing::lowered(params, results);
    if asynchronous {
        results = vec![CoreType::I32];
    }
    (params, results)
}
