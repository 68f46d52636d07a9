//! Linking: executes a component's definitions abstractly and writes down what a launch has to do.
//!
//! Nested instantiations become frames; when the outermost frame is done, nothing is nested any more. Validation has
//! checked every index and every type inside the component, so a failed look-up here is reported, never trusted
//! away; what only linking can check is what the host offers.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use abi::types::ResourceType;

use super::callees::callees;
use super::def::{ComponentDef, CoreInstanceDef, Def, Frame, Frames, FuncDef, InstanceDef, Spaces};
use super::draft::Draft;
use super::edge::exported;
use super::error::LinkError;
use super::linked::{Export, ExportedFunc, Linked, Place, ProcessInfo, Provider, ResourceInfo, Step};
use super::observe::known_edge::{Callee, Edges, KnownEdge, Way};
use super::offer;
pub use super::options::{Isolate, LinkOptions};
use super::parse::{Component, EntityIndex, Item, Sort};
use super::spaces::{at, bind, bundle, dangling, named, outer, push, ty_entity};
use crate::host::{HostResource, Imports};
use crate::jit::engine::Engine;
use crate::jit::fuse::spec::{Implementer, Implementers};
use crate::jit::library::Library;
use crate::limits::{MAX_CORE_INSTANCES, MAX_NESTED_INSTANCES, MAX_PROCESSES};

/// Everything linking has found out so far.
pub(super) struct Linker<'a> {
    pub(super) offers: &'a Imports,
    pub(super) options: &'a LinkOptions,
    pub(super) host_resources: HashMap<ResourceType, HostResource>,
    pub(super) resources: Vec<ResourceInfo>,
    pub(super) engine: &'a Engine,
    libraries: &'a [Arc<Library>],
    frames: Frames,
    pub(super) steps: Vec<(u32, Step)>,
    pub(super) processes: Vec<ProcessInfo>,
    sibling_names: HashSet<(Option<u32>, String)>,
    domains: Vec<Draft>,
    /// Domains that several processes begin together, by their word in [`Isolate::Grouped`].
    groups: HashMap<String, u32>,
    /// What each process exports, in order of their numbers.
    exported: BTreeMap<u32, Exports>,
    core_instances: usize,
    /// Processes that have a context, which begins anew with every call.
    pub(super) with_context: HashSet<u32>,
    pub(super) edges: Edges,
    resource_names: HashMap<ResourceType, Box<str>>,
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
        engine,
        libraries,
        frames: Frames::default(),
        steps: Vec::new(),
        processes: Vec::new(),
        sibling_names: HashSet::new(),
        domains: Vec::new(),
        groups: HashMap::new(),
        exported: BTreeMap::new(),
        core_instances: 0,
        with_context: HashSet::new(),
        edges: Edges::default(),
        resource_names: HashMap::new(),
    };
    let def = ComponentDef { component: Arc::clone(root), outer: None, name: None };
    let instance = linker.instantiate(&def, None, options.name.clone(), None, 0)?;
    let exports = linker.exports(&instance.exports, None);
    let (resources, drafts) = (&linker.resources, linker.domains.into_iter().zip(0..));
    let steps = &linker.steps;
    let domains = drafts.map(|(draft, domain)| {
        let callees = callees(&draft, steps, domain);
        draft.finish(engine, &implementers(resources, domain), &callees)
    });
    let domains = domains.collect::<Result<_, _>>()?;
    Ok(Linked {
        steps: linker.steps,
        domains,
        processes: linker.processes,
        resources: linker.resources,
        resource_names: linker.resource_names,
        host_resources: linker.host_resources,
        exports,
        edges: linker.edges.list,
        exported: linker.exported.into_values().collect(),
        blueprint: None,
        options: options.clone(),
    })
}

/// Who implements which resource types in a domain.
pub(super) fn implementers(resources: &[ResourceInfo], domain: u32) -> Implementers {
    let here = |(resource, number): (&ResourceInfo, u32)| {
        let place = resource.place.filter(|place| place.domain == domain)?;
        Some((ResourceType(number), Implementer { process: place.process, dtor: resource.dtor }))
    };
    resources.iter().zip(0..).filter_map(here).collect()
}

/// What an instance exports, by name, for its parent or whoever else holds the tree: none of it is an edge.
type Exports = BTreeMap<Box<str>, Export>;

fn unnumbered(defs: &Args) -> Exports {
    let export = |def: &Def| match def {
        Def::Func(func) => match &**func {
            FuncDef::Lifted(lifted) => Export::Func(exported(lifted)),
            FuncDef::Host(_) | FuncDef::Missing(_) => Export::Other,
        },
        Def::Instance(instance) => Export::Instance(unnumbered(&instance.exports)),
        Def::Module(library) => Export::Module(Arc::clone(library)),
        Def::Resource(ty) => Export::Resource(*ty),
        Def::Component(_) | Def::Type => Export::Other,
    };
    defs.iter().map(|(name, def)| (name.clone(), export(def))).collect()
}

/// Arguments of a nested instantiation; the outermost one takes what the host offers.
type Args = BTreeMap<Box<str>, Def>;

impl Linker<'_> {
    /// What the host can call: each function is an edge.
    fn exports(&mut self, defs: &Args, interface: Option<&str>) -> BTreeMap<Box<str>, Export> {
        let mut exports = BTreeMap::new();
        for (name, def) in defs {
            let full = interface.map_or_else(|| name.to_string(), |interface| format!("{interface}#{name}"));
            let export = match def {
                Def::Func(func) => match &**func {
                    FuncDef::Lifted(lifted) => {
                        let ty = Arc::new(lifted.ty.clone());
                        let callee = Callee::Process(lifted.process);
                        let edge = KnownEdge { caller: None, callee, name: full.into(), ty, way: Way::Entry };
                        let edge = Some(self.edges.number(edge));
                        Export::Func(ExportedFunc { edge, ..exported(lifted) })
                    }
                    FuncDef::Host(_) | FuncDef::Missing(_) => Export::Other,
                },
                Def::Instance(instance) => Export::Instance(self.exports(&instance.exports, Some(&full))),
                Def::Module(library) => Export::Module(Arc::clone(library)),
                Def::Resource(ty) => Export::Resource(*ty),
                Def::Component(_) | Def::Type => Export::Other,
            };
            exports.insert(name.clone(), export);
        }
        exports
    }

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
        let frame = self.frames.enter(Frame {
            process,
            outer: def.outer.clone(),
            component: Arc::clone(&def.component),
            spaces: RefCell::new(Spaces::default()),
        });
        let mut exports = BTreeMap::new();
        for item in &def.component.items {
            self.item(&frame, item, args.as_ref(), &mut exports, depth)?;
        }
        self.exported.insert(process, unnumbered(&exports));
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
        let place = self.place(index, parent, &unique, &path)?;
        self.processes.push(ProcessInfo {
            name: unique,
            path,
            parent,
            place,
            component,
            imports: Vec::new(),
        });
        Ok(index)
    }

    /// Puts a process into its parent's domain, or into a new one that it begins.
    fn place(&mut self, index: u32, parent: Option<u32>, name: &str, path: &str) -> Result<Place, LinkError> {
        let domain = match parent {
            Some(parent) if !self.options.isolate.begins(name, path) => self.place_of(parent).domain,
            _ => match self.options.isolate.group(path).map(|group| (group, self.groups.get(group))) {
                Some((_, Some(shared))) => *shared,
                group => {
                    self.domains.push(Draft::default());
                    let new = counted(self.domains.len() - 1, "domains", MAX_PROCESSES)?;
                    if let Some((group, None)) = group {
                        self.groups.insert(group.to_owned(), new);
                    }
                    new
                }
            },
        };
        let processes = &mut self.domains[domain as usize].processes;
        processes.push(index);
        Ok(Place { domain, process: counted(processes.len() - 1, "processes", MAX_PROCESSES)? })
    }

    /// The first name that a resource type is given is its name.
    pub(super) fn name_resource(&mut self, def: &Def, name: &str) {
        if let Def::Resource(ty) = def {
            self.resource_names.entry(*ty).or_insert_with(|| name.into());
        }
    }

    /// Whether an import that nobody offers is no error.
    pub(super) fn lenient(&self) -> bool {
        self.options.missing_is_fault || self.offers.stand_in.is_some()
    }

    pub(super) fn place_of(&self, process: u32) -> Place {
        self.processes[process as usize].place
    }

    pub(super) fn draft(&mut self, frame: &Frame) -> &mut Draft {
        self.draft_of(self.place_of(frame.process).domain)
    }

    pub(super) fn draft_of(&mut self, domain: u32) -> &mut Draft {
        &mut self.domains[domain as usize]
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
                let def = Def::Instance(Rc::new(bundle(frame, parts)?));
                push(frame, Sort::Instance, def, "", EntityIndex::Instance(*instance))?;
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
                let dtor = dtor.map(|def| self.func_slot(frame, def));
                let number =
                    counted(self.resources.len(), "resource types", ResourceType::host(0).0 as usize)?;
                self.resources.push(ResourceInfo { place: Some(self.place_of(frame.process)), dtor });
                bind(frame, ty_entity(frame, *ty), &Def::Resource(ResourceType(number)));
            }
            Item::Lift { core, ty, options } => self.lift(frame, *core, *ty, options)?,
            Item::Lower { func, options } => self.lower(frame, *func, options)?,
            Item::ResourceBuiltin { kind, ty } => self.resource_builtin(frame, *kind, *ty)?,
            Item::TaskBuiltin(builtin) => self.task_builtin(frame, builtin)?,
            Item::UnsupportedBuiltin(name) => self.unsupported_builtin(frame, name)?,
            Item::Export { name, sort, index, ty } => {
                let def = frame.spaces.borrow().def(frame, *sort, *index)?;
                self.name_resource(&def, name);
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
            let label = match (provider, &def) {
                (Provider::Process(index), _) => self.processes[index as usize].path.clone(),
                (_, Def::Func(func)) => match &**func {
                    FuncDef::Host(host) => host.name.clone(),
                    _ => offered,
                },
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
        counted(self.core_instances, "core instances", MAX_CORE_INSTANCES)?;
        self.core_instances += 1;
        let place = self.place_of(frame.process);
        let draft = &mut self.domains[place.domain as usize];
        let index = draft.core_instances;
        draft.core_instances += 1;
        self.steps.push((
            place.domain,
            Step::Load { library: Arc::clone(&library), process: place.process, args: resolved.into() },
        ));
        spaces.core_instances.push(CoreInstanceDef::Launched(index, library));
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
}

pub(super) fn counted(len: usize, what: &'static str, limit: usize) -> Result<u32, LinkError> {
    if len >= limit {
        return Err(LinkError::TooMany { what, limit });
    }
    u32::try_from(len).map_err(|_| LinkError::TooMany { what, limit })
}
