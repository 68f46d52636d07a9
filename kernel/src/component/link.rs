//! Linking: executes a component's definitions abstractly and writes down what a launch has to do.
//!
//! Nested instantiations become frames; when the outermost frame is done, nothing is nested any more. Validation has
//! checked every index and every type inside the component, so a failed look-up here is reported, never trusted
//! away; what only linking can check is what the host offers.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use abi::flat::CoreType;
use abi::plan::{Endpoint, Passing, Plan};
use abi::types::{FuncType, ResourceType};
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentOuterAliasKind, ExternalKind};

use super::def::{ComponentDef, CoreInstanceDef, Def, Frame, FuncDef, HostDef, InstanceDef, Lifted, Spaces};
use super::error::LinkError;
use super::linked::{
    CoreDef, Export, ExportedFunc, HostImport, Linked, ProcessInfo, Provider, ResourceInfo, Step,
};
use super::offer;
use super::parse::{Component, EntityIndex, Item, Options, ResourceBuiltin, Sort};
use super::resolve::Resolver;
use crate::host::{HostResource, Imports};
use crate::jit::engine::Engine;
use crate::jit::fuse::Adapters;
use crate::jit::fuse::spec::{AdapterSpec, Refusal};
use crate::jit::library::Library;
use crate::jit::sig::SigId;
use crate::jit::valtype::{CoreFuncType, ValType};
use crate::limits::{MAX_ADAPTERS, MAX_CORE_INSTANCES, MAX_NESTED_INSTANCES, MAX_PROCESSES};
use crate::vm::DomainLayout;

/// How to link.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// The name of the root process.
    pub name: String,
    /// Whether an import that nobody offers is an error now, or a fault when it is called.
    pub missing_is_fault: bool,
}

/// Everything linking has found out so far.
pub(super) struct Linker<'a> {
    pub(super) offers: &'a Imports,
    pub(super) options: &'a LinkOptions,
    pub(super) host_resources: HashMap<ResourceType, HostResource>,
    pub(super) resources: Vec<ResourceInfo>,
    libraries: &'a [Arc<Library>],
    steps: Vec<Step>,
    processes: Vec<ProcessInfo>,
    sibling_names: HashSet<(Option<u32>, String)>,
    imports: Vec<HostImport>,
    specs: Vec<AdapterSpec>,
    func_slots: HashMap<CoreDef, u32>,
    memory_slots: HashMap<CoreDef, u32>,
    core_instances: u32,
}

/// Links `root`, whose core modules are `libraries` in order of appearance, to what the host offers.
///
/// # Errors
/// An import that nobody offers or that is offered as something else; a limit; an adapter that does not compile.
pub(super) fn link(
    engine: &Engine,
    root: &Arc<Component>,
    libraries: &[Arc<Library>],
    offers: &Imports,
    options: &LinkOptions,
) -> Result<Linked, LinkError> {
    let mut linker = Linker {
        offers,
        options,
        host_resources: HashMap::new(),
        resources: Vec::new(),
        libraries,
        steps: Vec::new(),
        processes: Vec::new(),
        sibling_names: HashSet::new(),
        imports: Vec::new(),
        specs: Vec::new(),
        func_slots: HashMap::new(),
        memory_slots: HashMap::new(),
        core_instances: 0,
    };
    let def = ComponentDef { component: Arc::clone(root), outer: None, name: None };
    let instance = linker.instantiate(&def, None, options.name.clone(), None, 0)?;
    let exports = instance.exports.iter().map(|(name, def)| (name.clone(), export(def))).collect();
    let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let layout = DomainLayout::new(
        count(linker.processes.len()),
        count(linker.func_slots.len()),
        count(linker.memory_slots.len()),
    );
    let adapters = Adapters::compile(engine, &linker.specs, layout)?;
    Ok(Linked {
        steps: linker.steps,
        layout,
        processes: linker.processes,
        resources: linker.resources,
        host_resources: linker.host_resources,
        imports: linker.imports,
        adapters,
        adapter_sigs: linker.specs.iter().map(|spec| sig(engine, spec)).collect(),
        func_slots: linker.func_slots.len(),
        memory_slots: linker.memory_slots.len(),
        exports,
    })
}

/// The core signature that importers of a lowered function see.
fn sig(engine: &Engine, spec: &AdapterSpec) -> SigId {
    let (params, results) = spec.signature();
    let core = |types: &[CoreType]| {
        types
            .iter()
            .map(|ty| match ty {
                CoreType::I32 => ValType::I32,
                CoreType::I64 => ValType::I64,
                CoreType::F32 => ValType::F32,
                CoreType::F64 => ValType::F64,
            })
            .collect()
    };
    engine.intern(&CoreFuncType { params: core(&params), results: core(&results) })
}

fn export(def: &Def) -> Export {
    match def {
        Def::Func(func) => match &**func {
            FuncDef::Lifted(lifted) => Export::Func(ExportedFunc {
                ty: Arc::new(lifted.ty.clone()),
                callee: lifted.endpoint.clone(),
                core: lifted.core,
                params: Passing::params(&lifted.ty),
                results: Passing::results(&lifted.ty),
                unsupported: lifted.unsupported,
            }),
            FuncDef::Host(_) | FuncDef::Missing(_) => Export::Other,
        },
        Def::Instance(instance) => {
            Export::Instance(instance.exports.iter().map(|(name, def)| (name.clone(), export(def))).collect())
        }
        Def::Module(library) => Export::Module(Arc::clone(library)),
        Def::Resource(ty) => Export::Resource(*ty),
        Def::Component(_) | Def::Type => Export::Other,
    }
}

/// Arguments of a nested instantiation; the outermost one takes what the host offers.
type Args = BTreeMap<Box<str>, Def>;

impl Linker<'_> {
    fn instantiate(
        &mut self,
        def: &ComponentDef,
        parent: Option<u32>,
        name: String,
        args: Option<Args>,
        depth: usize,
    ) -> Result<InstanceDef, LinkError> {
        if depth > MAX_NESTED_INSTANCES {
            return Err(LinkError::TooMany {
                what: "nested component instances",
                limit: MAX_NESTED_INSTANCES,
            });
        }
        let process = self.process(def, parent, name)?;
        let frame = Rc::new(Frame {
            process,
            outer: def.outer.clone(),
            component: Arc::clone(&def.component),
            spaces: RefCell::new(Spaces::default()),
        });
        let mut exports = BTreeMap::new();
        for item in &def.component.items {
            self.item(&frame, item, args.as_ref(), &mut exports, depth)?;
        }
        Ok(InstanceDef { exports, provider: Provider::Process(process) })
    }

    fn process(&mut self, def: &ComponentDef, parent: Option<u32>, name: String) -> Result<u32, LinkError> {
        let index = counted(self.processes.len(), "processes", MAX_PROCESSES)?;
        let mut unique = name.clone();
        let mut copy = 2;
        while !self.sibling_names.insert((parent, unique.clone())) {
            unique = format!("{name}-{copy}");
            copy += 1;
        }
        let path = match parent.and_then(|parent| self.processes.get(parent as usize)) {
            Some(parent) => format!("{}/{unique}", parent.path),
            None => format!("/{unique}"),
        };
        let component = def.name.as_deref().or(def.component.name.as_deref()).map(str::to_owned);
        self.processes.push(ProcessInfo { name: unique, path, parent, component, imports: Vec::new() });
        Ok(index)
    }

    fn item(
        &mut self,
        frame: &Rc<Frame>,
        item: &Item,
        args: Option<&Args>,
        exports: &mut BTreeMap<Box<str>, Def>,
        depth: usize,
    ) -> Result<(), LinkError> {
        match item {
            Item::Import { name, sort, ty } => self.import(frame, name, *sort, *ty, args)?,
            Item::Module(index) => {
                let library = self.libraries.get(*index as usize).ok_or_else(|| dangling("core module"))?;
                frame.spaces.borrow_mut().modules.push(Arc::clone(library));
            }
            Item::Component(component) => {
                let mut spaces = frame.spaces.borrow_mut();
                let name = named(&frame.component.component_names, spaces.components.len());
                let component = Arc::clone(component);
                spaces.components.push(ComponentDef { component, outer: Some(Rc::clone(frame)), name });
            }
            Item::CoreInstantiate { module, args } => self.load(frame, *module, args)?,
            Item::CoreBundle(parts) => {
                let mut spaces = frame.spaces.borrow_mut();
                let bundle = parts
                    .iter()
                    .map(|(name, kind, index)| Ok((name.clone(), at(spaces.core(*kind)?, *index)?)))
                    .collect::<Result<_, LinkError>>()?;
                spaces.core_instances.push(CoreInstanceDef::Bundle(Rc::new(bundle)));
            }
            Item::Instantiate { component, args, instance } => {
                self.nested(frame, *component, args, *instance, depth)?;
            }
            Item::Bundle { exports: parts, instance } => {
                let def = bundle(frame, parts)?;
                push(
                    frame,
                    Sort::Instance,
                    Def::Instance(Rc::new(def)),
                    "",
                    EntityIndex::Instance(*instance),
                )?;
            }
            Item::CoreAlias { instance, kind, name } => {
                let mut spaces = frame.spaces.borrow_mut();
                let def = at(&spaces.core_instances, *instance)?.export(name)?;
                spaces.core_mut(*kind)?.push(def);
            }
            Item::Alias { instance, sort, name, ty } => {
                let (def, origin) = at(&frame.spaces.borrow().instances, *instance)?;
                let found = def.exports.get(name).ok_or_else(|| dangling("instance export"))?.clone();
                let full = if origin.is_empty() { name.to_string() } else { format!("{origin}#{name}") };
                push(frame, *sort, found, &full, *ty)?;
            }
            Item::Outer { kind, depth, index } => outer(frame, *kind, *depth, *index)?,
            Item::Resource { ty, dtor } => {
                let dtor = dtor.map(|index| at(&frame.spaces.borrow().core_funcs, index)).transpose()?;
                let dtor = dtor.map(|def| self.func_slot(def));
                let number =
                    counted(self.resources.len(), "resource types", ResourceType::host(0).0 as usize)?;
                self.resources.push(ResourceInfo { process: Some(frame.process), dtor });
                bind(frame, ty_entity(frame, *ty), &Def::Resource(ResourceType(number)));
            }
            Item::Lift { core, ty, options } => self.lift(frame, *core, *ty, options)?,
            Item::Lower { func, options } => self.lower(frame, *func, options)?,
            Item::ResourceBuiltin { kind, ty } => self.resource_builtin(frame, *kind, *ty)?,
            Item::UnsupportedBuiltin(name) => self.unsupported_builtin(frame, name)?,
            Item::Export { name, sort, index, ty } => {
                let def = frame.spaces.borrow().def(frame, *sort, *index)?;
                exports.insert(name.clone(), def.clone());
                push(frame, *sort, def, name, *ty)?;
            }
        }
        Ok(())
    }

    fn import(
        &mut self,
        frame: &Rc<Frame>,
        name: &str,
        sort: Sort,
        ty: EntityIndex,
        args: Option<&Args>,
    ) -> Result<(), LinkError> {
        let (def, offered) = match args {
            Some(args) => {
                (args.get(name).ok_or_else(|| dangling("instantiation argument"))?.clone(), name.to_owned())
            }
            None => offer::root_import(self, frame, name, ty)?,
        };
        let provider = def.provider();
        if provider != Provider::Static {
            let label = match provider {
                Provider::Process(index) => self.processes[index as usize].path.clone(),
                _ => offered,
            };
            self.processes[frame.process as usize].imports.push((name.to_owned(), provider, label));
        }
        push(frame, sort, def, name, ty)
    }

    fn load(&mut self, frame: &Rc<Frame>, module: u32, args: &[(Box<str>, u32)]) -> Result<(), LinkError> {
        let mut spaces = frame.spaces.borrow_mut();
        let library = at(&spaces.modules, module)?;
        let mut resolved = Vec::new();
        for import in &library.module.imports {
            let (_, instance) = args
                .iter()
                .find(|(name, _)| **name == *import.module)
                .ok_or_else(|| dangling("core instantiation argument"))?;
            resolved.push(at(&spaces.core_instances, *instance)?.export(&import.name)?);
        }
        let index = counted(self.core_instances as usize, "core instances", MAX_CORE_INSTANCES)?;
        self.core_instances += 1;
        self.steps.push(Step::Load { library, process: frame.process, args: resolved.into() });
        spaces.core_instances.push(CoreInstanceDef::Launched(index));
        Ok(())
    }

    fn nested(
        &mut self,
        frame: &Rc<Frame>,
        component: u32,
        args: &[(Box<str>, Sort, u32)],
        instance: u32,
        depth: usize,
    ) -> Result<(), LinkError> {
        let (def, args) = {
            let spaces = frame.spaces.borrow();
            let def = at(&spaces.components, component)?;
            let args = args
                .iter()
                .map(|(name, sort, index)| Ok((name.clone(), spaces.def(frame, *sort, *index)?)))
                .collect::<Result<Args, LinkError>>()?;
            (def, args)
        };
        let name = named(&frame.component.instance_names, instance as usize)
            .or_else(|| def.name.clone())
            .or_else(|| def.component.name.clone())
            .map(|name| name.to_string())
            .or_else(|| def.component.exported_name())
            .unwrap_or_else(|| format!("instance-{instance}"));
        let made = self.instantiate(&def, Some(frame.process), name.clone(), Some(args), depth + 1)?;
        push(frame, Sort::Instance, Def::Instance(Rc::new(made)), &name, EntityIndex::Instance(instance))
    }

    fn lift(&mut self, frame: &Rc<Frame>, core: u32, ty: u32, options: &Options) -> Result<(), LinkError> {
        let core = at(&frame.spaces.borrow().core_funcs, core)?;
        let ComponentAnyTypeId::Func(id) = frame.component.types.as_ref().component_any_type_at(ty) else {
            return Err(dangling("function type"));
        };
        let ty = Resolver::new(frame).func(id)?;
        let endpoint = self.endpoint(frame, options)?;
        let unsupported = options.unsupported.or_else(|| unsupported(&ty));
        let core = self.func_slot(core);
        let def = FuncDef::Lifted(Lifted { ty, endpoint, core, unsupported });
        frame.spaces.borrow_mut().funcs.push((Rc::new(def), Rc::from("")));
        Ok(())
    }

    fn lower(&mut self, frame: &Rc<Frame>, func: u32, options: &Options) -> Result<(), LinkError> {
        let (def, name) = at(&frame.spaces.borrow().funcs, func)?;
        let caller = self.endpoint(frame, options)?;
        let spec = match &*def {
            FuncDef::Lifted(lifted) => self.call(frame, lifted, caller, &name, options.unsupported),
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
        &self,
        frame: &Frame,
        lifted: &Lifted,
        caller: Endpoint,
        name: &str,
        option: Option<&'static str>,
    ) -> AdapterSpec {
        let (from, to) =
            (&self.processes[frame.process as usize], &self.processes[lifted.endpoint.process as usize]);
        let name = format!("{} → {}  {name}", from.name, to.name);
        if let Some(what) = option.or(lifted.unsupported) {
            return self.refuse(frame, &lifted.ty, name, Refusal::Message(format!("not supported: {what}")));
        }
        if self.related(frame.process, lifted.endpoint.process) {
            return self.refuse(frame, &lifted.ty, name, Refusal::Reentrance);
        }
        let plan = Plan::new(lifted.ty.clone(), caller, lifted.endpoint.clone(), lifted.core);
        AdapterSpec::Call { plan, name }
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
        let import = counted(self.imports.len(), "host imports", MAX_ADAPTERS)?;
        let (params, results) = Passing::lowered(&Passing::params(&host.ty), &Passing::results(&host.ty));
        self.imports.push(HostImport {
            name: host.name.clone(),
            ty: Arc::clone(&host.ty),
            func: Arc::clone(&host.func),
            caller,
            slots: params.len().max(results.len()),
            lends: host.ty.has_borrow(),
        });
        let name = format!("{} → host  {}", self.processes[frame.process as usize].name, host.name);
        Ok(AdapterSpec::Host { params, results, import, process: frame.process, name })
    }

    fn refuse(&self, frame: &Frame, ty: &FuncType, name: String, reason: Refusal) -> AdapterSpec {
        let (params, results) = Passing::lowered(&Passing::params(ty), &Passing::results(ty));
        AdapterSpec::Refuse { params, results, reason, process: frame.process, name }
    }

    fn resource_builtin(
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
        let process = frame.process;
        let spec = match kind {
            ResourceBuiltin::New => AdapterSpec::ResourceNew { process, ty },
            ResourceBuiltin::Rep => AdapterSpec::ResourceRep { process, ty },
            ResourceBuiltin::Drop => AdapterSpec::ResourceDrop { process, ty },
        };
        self.adapter(frame, spec)
    }

    /// It has its place and its signature, so that what never calls it runs.
    fn unsupported_builtin(&mut self, frame: &Rc<Frame>, name: &'static str) -> Result<(), LinkError> {
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
        let process = frame.process;
        self.adapter(frame, AdapterSpec::Refuse { params, results, reason, process, name: name.to_owned() })
    }

    fn adapter(&mut self, frame: &Rc<Frame>, spec: AdapterSpec) -> Result<(), LinkError> {
        let index = counted(self.specs.len(), "lowered functions", MAX_ADAPTERS)?;
        self.specs.push(spec);
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
            process: frame.process,
            encoding: options.encoding,
            memory: memory.map(|def| self.memory_slot(def)),
            realloc: realloc.map(|def| self.func_slot(def)),
            post_return: post_return.map(|def| self.func_slot(def)),
        })
    }

    fn func_slot(&mut self, def: CoreDef) -> u32 {
        let (slot, new) = slot(&mut self.func_slots, &def);
        if new {
            self.steps.push(Step::Func { slot, def });
        }
        slot
    }

    fn memory_slot(&mut self, def: CoreDef) -> u32 {
        let (slot, new) = slot(&mut self.memory_slots, &def);
        if new {
            self.steps.push(Step::Memory { slot, def });
        }
        slot
    }
}

/// The slot of a definition, and whether it is a new one. Core instances, adapters and so slots are bounded.
fn slot(slots: &mut HashMap<CoreDef, u32>, def: &CoreDef) -> (u32, bool) {
    if let Some(slot) = slots.get(def) {
        return (*slot, false);
    }
    let slot = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    slots.insert(def.clone(), slot);
    (slot, true)
}

fn unsupported(ty: &FuncType) -> Option<&'static str> {
    ty.is_async.then_some("async function types")
}

fn counted(len: usize, what: &'static str, limit: usize) -> Result<u32, LinkError> {
    if len >= limit {
        return Err(LinkError::TooMany { what, limit });
    }
    u32::try_from(len).map_err(|_| LinkError::TooMany { what, limit })
}

fn named(names: &[(u32, Box<str>)], index: usize) -> Option<Box<str>> {
    names.iter().find(|(at, _)| *at as usize == index).map(|(_, name)| name.clone())
}

/// Validation promises that this cannot happen; a broken promise is an error, not a panic.
pub(super) fn dangling(what: &str) -> LinkError {
    LinkError::Unsupported(format!(
        "a reference to a {what} that validation accepted but linking cannot find"
    ))
}

fn at<T: Clone>(space: &[T], index: u32) -> Result<T, LinkError> {
    space.get(index as usize).cloned().ok_or_else(|| dangling("definition"))
}

fn ty_entity(frame: &Frame, index: u32) -> ComponentEntityType {
    let id = frame.component.types.as_ref().component_any_type_at(index);
    ComponentEntityType::Type { referenced: id, created: id }
}

/// Adds a definition to its index space, and learns what the resource types in it are.
fn push(frame: &Rc<Frame>, sort: Sort, def: Def, name: &str, ty: EntityIndex) -> Result<(), LinkError> {
    if let Some(entity) = frame.component.entity(ty) {
        bind(frame, entity, &def);
    }
    let mut spaces = frame.spaces.borrow_mut();
    match (sort, def) {
        (Sort::Func, Def::Func(func)) => spaces.funcs.push((func, Rc::from(name))),
        (Sort::Instance, Def::Instance(instance)) => spaces.instances.push((instance, Rc::from(name))),
        (Sort::Module, Def::Module(library)) => spaces.modules.push(library),
        (Sort::Component, Def::Component(component)) => spaces.components.push(component),
        (Sort::Type, Def::Resource(_) | Def::Type) => {}
        _ => return Err(LinkError::Unsupported(format!("`{name}`: component-level values"))),
    }
    Ok(())
}

/// Notes which resource type each resource id in `entity` is, by walking it beside the definition it describes.
pub(super) fn bind(frame: &Frame, entity: ComponentEntityType, def: &Def) {
    match (entity, def) {
        (ComponentEntityType::Type { referenced, created }, Def::Resource(ty)) => {
            let mut spaces = frame.spaces.borrow_mut();
            for id in [referenced, created] {
                if let ComponentAnyTypeId::Resource(id) = id {
                    spaces.resources.insert(id.resource(), *ty);
                }
            }
        }
        (ComponentEntityType::Instance(id), Def::Instance(instance)) => {
            let types: TypesRef<'_> = frame.component.types.as_ref();
            for (name, item) in &types[id].exports {
                if let Some(def) = instance.exports.get(name.as_str()) {
                    bind(frame, item.ty, def);
                }
            }
        }
        _ => {}
    }
}

fn outer(frame: &Rc<Frame>, kind: ComponentOuterAliasKind, depth: u32, index: u32) -> Result<(), LinkError> {
    let source = frame.out(depth).ok_or_else(|| dangling("outer component"))?;
    match kind {
        ComponentOuterAliasKind::CoreModule => {
            let library = at(&source.spaces.borrow().modules, index)?;
            frame.spaces.borrow_mut().modules.push(library);
        }
        ComponentOuterAliasKind::Component => {
            let component = at(&source.spaces.borrow().components, index)?;
            frame.spaces.borrow_mut().components.push(component);
        }
        // Types need no place of their own: validation's index says it all.
        ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
    }
    Ok(())
}

impl Spaces {
    fn core(&self, kind: ExternalKind) -> Result<&[CoreDef], LinkError> {
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &self.core_funcs,
            ExternalKind::Table => &self.core_tables,
            ExternalKind::Memory => &self.core_memories,
            ExternalKind::Global => &self.core_globals,
            ExternalKind::Tag => &self.core_tags,
        })
    }

    fn core_mut(&mut self, kind: ExternalKind) -> Result<&mut Vec<CoreDef>, LinkError> {
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &mut self.core_funcs,
            ExternalKind::Table => &mut self.core_tables,
            ExternalKind::Memory => &mut self.core_memories,
            ExternalKind::Global => &mut self.core_globals,
            ExternalKind::Tag => &mut self.core_tags,
        })
    }

    fn def(&self, frame: &Frame, sort: Sort, index: u32) -> Result<Def, LinkError> {
        Ok(match sort {
            Sort::Func => Def::Func(at(&self.funcs, index)?.0),
            Sort::Instance => Def::Instance(at(&self.instances, index)?.0),
            Sort::Module => Def::Module(at(&self.modules, index)?),
            Sort::Component => Def::Component(at(&self.components, index)?),
            Sort::Type => match frame.component.types.as_ref().component_any_type_at(index) {
                ComponentAnyTypeId::Resource(id) => {
                    let known = self.resources.get(&id.resource()).copied();
                    let known = known.or_else(|| frame.outer.as_ref()?.resource(id.resource()));
                    Def::Resource(known.ok_or_else(|| dangling("resource type"))?)
                }
                _ => Def::Type,
            },
            Sort::Value => return Err(LinkError::Unsupported("component-level values".to_owned())),
        })
    }
}

/// An instance put together from other definitions. It is whoever's its first running part is.
fn bundle(frame: &Frame, parts: &[(Box<str>, Sort, u32)]) -> Result<InstanceDef, LinkError> {
    let spaces = frame.spaces.borrow();
    let exports = parts
        .iter()
        .map(|(name, sort, index)| Ok((name.clone(), spaces.def(frame, *sort, *index)?)))
        .collect::<Result<BTreeMap<_, _>, LinkError>>()?;
    let running = exports.values().map(Def::provider).find(|provider| *provider != Provider::Static);
    Ok(InstanceDef { exports, provider: running.unwrap_or(Provider::Static) })
}

impl CoreInstanceDef {
    fn export(&self, name: &str) -> Result<CoreDef, LinkError> {
        match self {
            CoreInstanceDef::Launched(instance) => {
                Ok(CoreDef::Export { instance: *instance, name: name.into() })
            }
            CoreInstanceDef::Bundle(bundle) => {
                bundle.get(name).cloned().ok_or_else(|| dangling("core instance export"))
            }
        }
    }
}
