//! From a component's bytes to its definitions, validated.
//!
//! A [`Component`] is the static text: index spaces are filled in order by its [`Item`]s, nothing is resolved yet. What
//! linking makes of it is in [`super::link`].

use std::sync::Arc;

use wasmparser::component_types::ComponentEntityType;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind, ComponentInstance,
    ComponentName, ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentValType, ExternalKind,
    Instance, KnownCustom, NameMap, Parser, Payload, ValidPayload, Validator, WasmFeatures, types::Types,
};

use super::error::ComponentError;
use super::validate;
use crate::jit::compile::Source;

/// A component as it is written.
pub struct Component {
    /// The name of its name section, if any.
    pub name: Option<Box<str>>,
    /// Everything that validation found out about its index spaces.
    pub types: Types,
    /// Its definitions, in order.
    pub items: Vec<Item>,
    /// Names of component instances, by index.
    pub instance_names: Vec<(u32, Box<str>)>,
    /// Names of nested components, by index.
    pub component_names: Vec<(u32, Box<str>)>,
}

/// What an index of a component-level index space means.
pub type Sort = ComponentExternalKind;

/// One definition. Those that add a type or an instance carry the index it gets.
pub enum Item {
    /// `import`
    Import { name: Box<str>, sort: Sort, ty: EntityIndex },
    /// `core module`: an index into [`Parsed::modules`].
    Module(u32),
    /// `component`
    Component(Arc<Component>),
    /// `core instance (instantiate …)`
    CoreInstantiate { module: u32, args: Vec<(Box<str>, u32)> },
    /// `core instance (export …)…`
    CoreBundle(Vec<(Box<str>, ExternalKind, u32)>),
    /// `instance (instantiate …)`
    Instantiate { component: u32, args: Vec<(Box<str>, Sort, u32)>, instance: u32 },
    /// `instance (export …)…`
    Bundle { exports: Vec<(Box<str>, Sort, u32)>, instance: u32 },
    /// `alias core export`
    CoreAlias { instance: u32, kind: ExternalKind, name: Box<str> },
    /// `alias export`
    Alias { instance: u32, sort: Sort, name: Box<str>, ty: EntityIndex },
    /// `alias outer`
    Outer { kind: ComponentOuterAliasKind, depth: u32, index: u32 },
    /// A resource type with its destructor, a core function.
    Resource { ty: u32, dtor: Option<u32> },
    /// `canon lift`
    Lift { core: u32, ty: u32, options: Options },
    /// `canon lower`
    Lower { func: u32, options: Options },
    /// `canon resource.new`, `.drop` and `.rep`
    ResourceBuiltin { kind: ResourceBuiltin, ty: u32 },
    /// A canonical built-in of tasks.
    TaskBuiltin(TaskBuiltin),
    /// Another canonical built-in: it can be linked, calling it is refused.
    UnsupportedBuiltin(&'static str),
    /// `export`
    Export { name: Box<str>, sort: Sort, index: u32, ty: EntityIndex },
}

/// Where validation knows the type of what an item adds: nowhere for core items, else an index of the sort.
#[derive(Clone, Copy)]
pub enum EntityIndex {
    /// A type, by its index in the type index space.
    Type(u32),
    /// An instance, by its index in the instance index space.
    Instance(u32),
    /// A function, by its index in the function index space.
    Func(u32),
    /// A component, by its index in the component index space.
    Component(u32),
    /// A core module, by its index in the module index space.
    Module(u32),
    /// A value.
    Value,
}

/// Which built-in of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceBuiltin {
    /// `resource.new`
    New,
    /// `resource.drop`
    Drop,
    /// `resource.rep`
    Rep,
}

/// A built-in of tasks.
#[derive(Clone, Debug)]
pub enum TaskBuiltin {
    /// `task.return`
    Return { result: Option<ComponentValType>, options: Options },
    /// `context.get` of a slot
    ContextGet(u32),
    /// `context.set` of a slot
    ContextSet(u32),
    /// `backpressure.inc`
    BackpressureInc,
    /// `backpressure.dec`
    BackpressureDec,
}

/// Canonical options as written; indices are core indices of the component.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `string-encoding`
    pub encoding: abi::side::Encoding,
    /// `memory`
    pub memory: Option<u32>,
    /// `realloc`
    pub realloc: Option<u32>,
    /// `post-return`
    pub post_return: Option<u32>,
    /// `async`
    pub asynchronous: bool,
    /// `callback`
    pub callback: Option<u32>,
    /// An option that calls cannot be made with, by name.
    pub unsupported: Option<&'static str>,
}

/// What [`parse`] finds.
pub struct Parsed<'a> {
    /// The outermost component.
    pub root: Component,
    /// The core modules anywhere inside, validated but for their function bodies.
    pub modules: Vec<Source<'a>>,
}

/// How many indices each index space has so far.
#[derive(Default)]
struct Counts {
    types: u32,
    instances: u32,
    funcs: u32,
    components: u32,
    modules: u32,
}

struct Open {
    name: Option<Box<str>>,
    items: Vec<Item>,
    counts: Counts,
    /// The types of its type sections: their index and where they stand.
    defined: Vec<(u32, u64)>,
    instance_names: Vec<(u32, Box<str>)>,
    component_names: Vec<(u32, Box<str>)>,
}

/// Parses and validates a component; function bodies are left to the compiler.
///
/// # Errors
/// What is malformed or invalid, with the byte offset; or that the bytes are a core module.
pub fn parse(bytes: &[u8], features: WasmFeatures) -> Result<Parsed<'_>, ComponentError> {
    let mut validator = Validator::new_with_features(features);
    let mut open: Vec<Open> = Vec::new();
    let mut modules: Vec<Source<'_>> = Vec::new();
    // Sections of a core module pass by; what is known of it comes from the compiler.
    let mut in_module = false;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if open.is_empty() && !matches!(payload, Payload::Version { .. }) {
            return Err(ComponentError::NotAComponent);
        }
        let valid = validator.payload(&payload)?;
        if in_module {
            in_module = !matches!(payload, Payload::End(_));
            if let (ValidPayload::Func(func, body), Some(module)) = (valid, modules.last_mut()) {
                module.funcs.push((func, body));
            }
            continue;
        }
        match payload {
            Payload::Version { encoding, .. } => {
                if encoding == wasmparser::Encoding::Module {
                    return Err(ComponentError::NotAComponent);
                }
                open.push(Open::new());
            }
            Payload::ModuleSection { unchecked_range, .. } => {
                let index =
                    u32::try_from(modules.len()).map_err(|_| ComponentError::TooMany("core modules"))?;
                let range = unchecked_range.start as usize..unchecked_range.end as usize;
                // A range beyond the end is an error of the next payload.
                let wasm = bytes.get(range).unwrap_or_default();
                modules.push(Source { wasm, start: unchecked_range.start, funcs: Vec::new() });
                last(&mut open)?.items.push(Item::Module(index));
                last(&mut open)?.counts.modules += 1;
                in_module = true;
            }
            Payload::End(_) => {
                let done = open.pop().ok_or(ComponentError::NotAComponent)?;
                let ValidPayload::End(types) = valid else { return Err(ComponentError::NotAComponent) };
                validate::sizes(&types, &done.defined)?;
                let component = done.close(types);
                match open.last_mut() {
                    None => return Ok(Parsed { root: component, modules }),
                    Some(parent) => {
                        parent.items.push(Item::Component(Arc::new(component)));
                        parent.counts.components += 1;
                    }
                }
            }
            payload => last(&mut open)?.section(payload)?,
        }
    }
    Err(ComponentError::NotAComponent)
}

fn last(open: &mut [Open]) -> Result<&mut Open, ComponentError> {
    open.last_mut().ok_or(ComponentError::NotAComponent)
}

impl Open {
    fn new() -> Open {
        Open {
            name: None,
            items: Vec::new(),
            counts: Counts::default(),
            defined: Vec::new(),
            instance_names: Vec::new(),
            component_names: Vec::new(),
        }
    }

    fn close(self, types: Types) -> Component {
        Component {
            name: self.name,
            types,
            items: self.items,
            instance_names: self.instance_names,
            component_names: self.component_names,
        }
    }

    fn section(&mut self, payload: Payload<'_>) -> Result<(), ComponentError> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.items.push(core_instance(instance?));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    let item = self.instance(instance?);
                    self.items.push(item);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    let item = self.alias(alias?);
                    self.items.push(item);
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section.into_iter_with_offsets() {
                    let (offset, ty) = ty?;
                    let EntityIndex::Type(index) = self.counts.add(Sort::Type) else { continue };
                    self.defined.push((index, offset));
                    if let ComponentType::Resource { dtor, .. } = ty {
                        self.items.push(Item::Resource { ty: index, dtor });
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for func in section {
                    let item = self.canonical(func?);
                    self.items.push(item);
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let sort = sort_of(&import.ty);
                    let ty = self.counts.add(sort);
                    self.items.push(Item::Import { name: import.name.name.into(), sort, ty });
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    let ty = self.counts.add(export.kind);
                    let name = export.name.name.into();
                    self.items.push(Item::Export { name, sort: export.kind, index: export.index, ty });
                }
            }
            Payload::ComponentStartSection { .. } => {
                return Err(ComponentError::Unsupported("component start function"));
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::ComponentName(names) = section.as_known() {
                    // A broken name section only costs the names.
                    names.into_iter().map_while(Result::ok).for_each(|name| self.names(name));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn names(&mut self, name: ComponentName<'_>) {
        match name {
            ComponentName::Component { name, .. } => self.name = Some(name.into()),
            ComponentName::Instances(map) => self.instance_names = collect(map),
            ComponentName::Components(map) => self.component_names = collect(map),
            _ => {}
        }
    }

    fn instance(&mut self, instance: ComponentInstance<'_>) -> Item {
        let index = self.counts.instances;
        self.counts.instances += 1;
        match instance {
            ComponentInstance::Instantiate { component_index, args } => Item::Instantiate {
                component: component_index,
                args: args.iter().map(|arg| (arg.name.into(), arg.kind, arg.index)).collect(),
                instance: index,
            },
            ComponentInstance::FromExports(exports) => Item::Bundle {
                exports: exports
                    .iter()
                    .map(|export| (export.name.name.into(), export.kind, export.index))
                    .collect(),
                instance: index,
            },
        }
    }

    fn alias(&mut self, alias: ComponentAlias<'_>) -> Item {
        match alias {
            ComponentAlias::InstanceExport { kind, instance_index, name } => Item::Alias {
                instance: instance_index,
                sort: kind,
                name: name.into(),
                ty: self.counts.add(kind),
            },
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                Item::CoreAlias { instance: instance_index, kind, name: name.into() }
            }
            ComponentAlias::Outer { kind, count, index } => {
                match kind {
                    ComponentOuterAliasKind::CoreModule => self.counts.modules += 1,
                    ComponentOuterAliasKind::CoreType => {}
                    ComponentOuterAliasKind::Type => self.counts.types += 1,
                    ComponentOuterAliasKind::Component => self.counts.components += 1,
                }
                Item::Outer { kind, depth: count, index }
            }
        }
    }

    fn canonical(&mut self, func: CanonicalFunction) -> Item {
        match func {
            CanonicalFunction::Lift { core_func_index, type_index, options } => {
                self.counts.funcs += 1;
                Item::Lift { core: core_func_index, ty: type_index, options: Options::read(&options) }
            }
            CanonicalFunction::Lower { func_index, options } => {
                Item::Lower { func: func_index, options: Options::read(&options) }
            }
            CanonicalFunction::ResourceNew { resource } => {
                Item::ResourceBuiltin { kind: ResourceBuiltin::New, ty: resource }
            }
            CanonicalFunction::ResourceDrop { resource } => {
                Item::ResourceBuiltin { kind: ResourceBuiltin::Drop, ty: resource }
            }
            CanonicalFunction::ResourceRep { resource } => {
                Item::ResourceBuiltin { kind: ResourceBuiltin::Rep, ty: resource }
            }
            CanonicalFunction::TaskReturn { result, options } => {
                Item::TaskBuiltin(TaskBuiltin::Return { result, options: Options::read(&options) })
            }
            CanonicalFunction::ContextGet { slot, .. } => Item::TaskBuiltin(TaskBuiltin::ContextGet(slot)),
            CanonicalFunction::ContextSet { slot, .. } => Item::TaskBuiltin(TaskBuiltin::ContextSet(slot)),
            CanonicalFunction::BackpressureInc => Item::TaskBuiltin(TaskBuiltin::BackpressureInc),
            CanonicalFunction::BackpressureDec => Item::TaskBuiltin(TaskBuiltin::BackpressureDec),
            other => Item::UnsupportedBuiltin(builtin_name(&other)),
        }
    }
}

impl Counts {
    fn add(&mut self, sort: Sort) -> EntityIndex {
        let (count, entity): (&mut u32, fn(u32) -> EntityIndex) = match sort {
            Sort::Type => (&mut self.types, EntityIndex::Type),
            Sort::Instance => (&mut self.instances, EntityIndex::Instance),
            Sort::Func => (&mut self.funcs, EntityIndex::Func),
            Sort::Component => (&mut self.components, EntityIndex::Component),
            Sort::Module => (&mut self.modules, EntityIndex::Module),
            Sort::Value => return EntityIndex::Value,
        };
        let index = *count;
        *count += 1;
        entity(index)
    }
}

impl Options {
    fn read(options: &[CanonicalOption]) -> Options {
        let mut read = Options::default();
        for option in options {
            match *option {
                CanonicalOption::UTF8 => read.encoding = abi::side::Encoding::Utf8,
                CanonicalOption::UTF16 => read.encoding = abi::side::Encoding::Utf16,
                CanonicalOption::CompactUTF16 => read.encoding = abi::side::Encoding::CompactUtf16,
                CanonicalOption::Memory(index) => read.memory = Some(index),
                CanonicalOption::Realloc(index) => read.realloc = Some(index),
                CanonicalOption::PostReturn(index) => read.post_return = Some(index),
                CanonicalOption::Async => read.asynchronous = true,
                CanonicalOption::Callback(index) => read.callback = Some(index),
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    read.unsupported = Some("canonical option `gc`");
                }
            }
        }
        read
    }
}

impl Component {
    /// What to call an instance whose component has no name: what it is there for, the first function or interface
    /// that it exports. `shop:kv/store@1.0.0` is called `store`.
    #[must_use]
    pub fn exported_name(&self) -> Option<String> {
        self.items.iter().find_map(|item| match item {
            Item::Export { name, sort: Sort::Func | Sort::Instance, .. } => {
                let unversioned = name.split('@').next()?;
                unversioned.rsplit(['/', ':']).next().map(str::to_owned)
            }
            _ => None,
        })
    }

    /// The type of what an item added, as validation knows it. `None` for what has no component-level type.
    #[must_use]
    pub fn entity(&self, index: EntityIndex) -> Option<ComponentEntityType> {
        let types = self.types.as_ref();
        Some(match index {
            EntityIndex::Type(index) => {
                let id = types.component_any_type_at(index);
                ComponentEntityType::Type { referenced: id, created: id }
            }
            EntityIndex::Instance(index) => ComponentEntityType::Instance(types.component_instance_at(index)),
            EntityIndex::Func(index) => ComponentEntityType::Func(types.component_function_at(index)),
            EntityIndex::Component(index) => ComponentEntityType::Component(types.component_at(index)),
            EntityIndex::Module(index) => ComponentEntityType::Module(types.module_at(index)),
            EntityIndex::Value => return None,
        })
    }
}

fn core_instance(instance: Instance<'_>) -> Item {
    match instance {
        Instance::Instantiate { module_index, args } => Item::CoreInstantiate {
            module: module_index,
            args: args.iter().map(|arg| (arg.name.into(), arg.index)).collect(),
        },
        Instance::FromExports(exports) => Item::CoreBundle(
            exports.iter().map(|export| (export.name.into(), export.kind, export.index)).collect(),
        ),
    }
}

fn sort_of(ty: &ComponentTypeRef) -> Sort {
    match ty {
        ComponentTypeRef::Module(_) => Sort::Module,
        ComponentTypeRef::Func(_) => Sort::Func,
        ComponentTypeRef::Value(_) => Sort::Value,
        ComponentTypeRef::Type(_) => Sort::Type,
        ComponentTypeRef::Instance(_) => Sort::Instance,
        ComponentTypeRef::Component(_) => Sort::Component,
    }
}

fn collect(map: NameMap<'_>) -> Vec<(u32, Box<str>)> {
    map.into_iter().map_while(Result::ok).map(|naming| (naming.index, naming.name.into())).collect()
}

/// The name of a built-in that only asynchronous components use.
fn builtin_name(func: &CanonicalFunction) -> &'static str {
    match func {
        CanonicalFunction::TaskCancel => "canon task.cancel",
        CanonicalFunction::ThreadYield { .. } => "canon thread.yield",
        CanonicalFunction::SubtaskDrop | CanonicalFunction::SubtaskCancel { .. } => "canon subtask",
        CanonicalFunction::StreamNew { .. } => "canon stream.new",
        CanonicalFunction::StreamRead { .. } => "canon stream.read",
        CanonicalFunction::StreamWrite { .. } => "canon stream.write",
        CanonicalFunction::FutureNew { .. } => "canon future.new",
        CanonicalFunction::FutureRead { .. } => "canon future.read",
        CanonicalFunction::FutureWrite { .. } => "canon future.write",
        CanonicalFunction::WaitableSetNew
        | CanonicalFunction::WaitableSetWait { .. }
        | CanonicalFunction::WaitableSetPoll { .. }
        | CanonicalFunction::WaitableSetDrop
        | CanonicalFunction::WaitableJoin => "canon waitable-set",
        CanonicalFunction::ErrorContextNew { .. }
        | CanonicalFunction::ErrorContextDebugMessage { .. }
        | CanonicalFunction::ErrorContextDrop => "canon error-context",
        _ => "an asynchronous or threading canonical built-in",
    }
}
