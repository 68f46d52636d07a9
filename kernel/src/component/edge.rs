//! Lifting and lowering: who calls whom, and through what.

use std::rc::Rc;
use std::sync::Arc;

use abi::flat::CoreType;
use abi::plan::{Endpoint, Passing, Plan};
use abi::types::FuncType;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};

use super::def::{Frame, FuncDef, HostDef, Lifted};
use super::draft::slot;
use super::error::LinkError;
use super::link::{Linker, counted};
use super::linked::{CoreDef, ExportedFunc, HostImport, Step, Target};
use super::parse::{EntityIndex, Options, ResourceBuiltin};
use super::resolve::Resolver;
use super::spaces::{at, dangling};
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
        let unsupported = options.unsupported.or_else(|| unsupported(&ty));
        let core = self.func_slot(frame, core);
        let (process, domain) = (frame.process, self.place_of(frame.process).domain);
        let def = FuncDef::Lifted(Lifted { ty, process, domain, endpoint, core, unsupported });
        frame.spaces.borrow_mut().funcs.push((Rc::new(def), Rc::from("")));
        Ok(())
    }

    pub(super) fn lower(&mut self, frame: &Rc<Frame>, func: u32, options: &Options) -> Result<(), LinkError> {
        let (def, name) = at(&frame.spaces.borrow().funcs, func)?;
        let caller = self.endpoint(frame, options)?;
        let spec = match &*def {
            FuncDef::Lifted(lifted) => self.call(frame, lifted, caller, &name, options.unsupported)?,
            FuncDef::Host(host) => self.host(frame, host, caller, options.unsupported)?,
            FuncDef::Missing(missing) => {
                let entity = frame.component.entity(EntityIndex::Func(func));
                let Some(ComponentEntityType::Func(id)) = entity else { return Err(dangling("function")) };
                let ty = Resolver::new(frame).func(id)?;
                self.refuse(
                    frame,
                    &ty,
                    missing.clone(),
                    Refusal::Message(format!("import `{missing}` is missing")),
                )
            }
        };
        self.adapter(frame, spec)
    }

    fn call(
        &mut self,
        frame: &Frame,
        lifted: &Lifted,
        caller: Endpoint,
        name: &str,
        option: Option<&'static str>,
    ) -> Result<AdapterSpec, LinkError> {
        let (from, to) = (&self.processes[frame.process as usize], &self.processes[lifted.process as usize]);
        let edge = format!("{} → {}  {name}", from.name, to.name);
        if let Some(what) = option.or(lifted.unsupported) {
            return Ok(self.refuse(
                frame,
                &lifted.ty,
                edge,
                Refusal::Message(format!("not supported: {what}")),
            ));
        }
        if self.related(frame.process, lifted.process) {
            return Ok(self.refuse(frame, &lifted.ty, edge, Refusal::Reentrance));
        }
        if from.place.domain != lifted.domain {
            let target = Target::Port(exported(lifted), self.options.on_fault);
            return self.outside(frame, name.to_owned(), Arc::new(lifted.ty.clone()), target, caller, edge);
        }
        let plan = Plan::new(lifted.ty.clone(), caller, lifted.endpoint.clone(), lifted.core);
        Ok(AdapterSpec::Call { plan, name: edge })
    }

    fn host(
        &mut self,
        frame: &Frame,
        host: &HostDef,
        caller: Endpoint,
        option: Option<&'static str>,
    ) -> Result<AdapterSpec, LinkError> {
        if let Some(what) = option.or_else(|| unsupported(&host.ty)) {
            let why = Refusal::Message(format!("not supported: {what}"));
            return Ok(self.refuse(frame, &host.ty, host.name.clone(), why));
        }
        let edge = format!("{} → host  {}", self.processes[frame.process as usize].name, host.name);
        let target = Target::Host(Arc::clone(&host.func));
        self.outside(frame, host.name.clone(), Arc::clone(&host.ty), target, caller, edge)
    }

    /// A stub for a call that leaves the domain.
    fn outside(
        &mut self,
        frame: &Frame,
        name: String,
        ty: Arc<FuncType>,
        target: Target,
        caller: Endpoint,
        edge: String,
    ) -> Result<AdapterSpec, LinkError> {
        let process = caller.process;
        let (params, results) = Passing::lowered(&Passing::params(&ty), &Passing::results(&ty));
        let (slots, lends) = (params.len().max(results.len()), ty.has_borrow());
        let imports = &mut self.draft(frame).imports;
        let import = counted(imports.len(), "imports from outside a domain", MAX_ADAPTERS)?;
        imports.push(HostImport { name, ty, target, caller, slots, lends });
        Ok(AdapterSpec::Host { params, results, import, process, name: edge })
    }

    fn refuse(&self, frame: &Frame, ty: &FuncType, name: String, reason: Refusal) -> AdapterSpec {
        let (params, results) = Passing::lowered(&Passing::params(ty), &Passing::results(ty));
        AdapterSpec::Refuse { params, results, reason, process: self.place_of(frame.process).process, name }
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
        self.adapter(frame, spec)
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
        self.adapter(frame, AdapterSpec::Refuse { params, results, reason, process, name: name.to_owned() })
    }

    fn adapter(&mut self, frame: &Rc<Frame>, spec: AdapterSpec) -> Result<(), LinkError> {
        let specs = &mut self.draft(frame).specs;
        let index = counted(specs.len(), "lowered functions", MAX_ADAPTERS)?;
        specs.push(spec);
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
        unsupported: lifted.unsupported,
    }
}

fn unsupported(ty: &FuncType) -> Option<&'static str> {
    ty.is_async.then_some("async function types")
}
