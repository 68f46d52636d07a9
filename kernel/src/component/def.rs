//! What an index means while a component is being linked.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use abi::plan::Endpoint;
use abi::types::{FuncType, ResourceType};
use wasmparser::component_types::ResourceId;

use super::linked::{CoreDef, Provider};
use super::parse::Component;
use crate::host::HostFunc;
use crate::jit::library::Library;

/// A component-level definition.
#[derive(Clone)]
pub enum Def {
    /// A function.
    Func(Rc<FuncDef>),
    /// A component instance.
    Instance(Rc<InstanceDef>),
    /// A core module.
    Module(Arc<Library>),
    /// A component, not instantiated.
    Component(ComponentDef),
    /// A resource type.
    Resource(ResourceType),
    /// Any other type; validation knows it.
    Type,
}

/// A component-level function.
pub enum FuncDef {
    /// Lifted from a core function of a process.
    Lifted(Lifted),
    /// The host's.
    Host(HostDef),
    /// Imported, but nobody offers it: calling it is a fault that says so.
    Missing(String),
}

/// A lifted function.
pub struct Lifted {
    /// Its type, resources resolved.
    pub ty: FuncType,
    /// The process, by its index in the tree.
    pub process: u32,
    /// That process's domain.
    pub domain: u32,
    /// The callee's side, by its index in the domain.
    pub endpoint: Endpoint,
    /// Function slot of the core function.
    pub core: u32,
    /// Whether it is lifted with the option `async`.
    pub asynchronous: bool,
    /// Function slot of its `callback`.
    pub callback: Option<u32>,
    /// An option that it cannot be called with.
    pub unsupported: Option<&'static str>,
}

/// A function of the host.
pub struct HostDef {
    /// Full name: `instance#function`.
    pub name: String,
    /// Its type as imported, resources resolved.
    pub ty: Arc<FuncType>,
    /// The implementation.
    pub func: Arc<dyn HostFunc>,
}

/// A component instance: its exports and whose they are.
pub struct InstanceDef {
    /// Exports by name.
    pub exports: BTreeMap<Box<str>, Def>,
    /// Who provides it.
    pub provider: Provider,
}

/// A component and the frame that its outer aliases mean.
#[derive(Clone)]
pub struct ComponentDef {
    /// The text.
    pub component: Arc<Component>,
    /// Where it is defined; none for the root.
    pub outer: Option<Rc<Frame>>,
    /// The name it has there.
    pub name: Option<Box<str>>,
}

/// A core instance.
#[derive(Clone)]
pub enum CoreInstanceDef {
    /// Instantiated from a module: its number in launch order.
    Launched(u32, Arc<Library>),
    /// Put together from other definitions.
    Bundle(Rc<BTreeMap<Box<str>, CoreDef>>),
}

/// The index spaces of one component instance while it is being linked.
pub struct Frame {
    /// The process it becomes.
    pub process: u32,
    /// Where its component is defined.
    pub outer: Option<Rc<Frame>>,
    /// Its text.
    pub component: Arc<Component>,
    /// The index spaces.
    pub spaces: RefCell<Spaces>,
}

/// The frames of a link. Who defines a component has it in its index spaces, and it refers to them: such circles are cut
/// when the link is over.
#[derive(Default)]
pub struct Frames(Vec<Rc<Frame>>);

impl Frames {
    /// One more.
    pub fn enter(&mut self, frame: Frame) -> Rc<Frame> {
        let frame = Rc::new(frame);
        self.0.push(Rc::clone(&frame));
        frame
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.0.iter().for_each(|frame| drop(frame.spaces.take()));
    }
}

/// The index spaces themselves.
#[derive(Default)]
pub struct Spaces {
    /// Core functions.
    pub core_funcs: Vec<CoreDef>,
    /// Core tables.
    pub core_tables: Vec<CoreDef>,
    /// Core memories.
    pub core_memories: Vec<CoreDef>,
    /// Core globals.
    pub core_globals: Vec<CoreDef>,
    /// Core tags.
    pub core_tags: Vec<CoreDef>,
    /// Core instances.
    pub core_instances: Vec<CoreInstanceDef>,
    /// Core modules.
    pub modules: Vec<Arc<Library>>,
    /// Functions, with the name they came by.
    pub funcs: Vec<(Rc<FuncDef>, Rc<str>)>,
    /// Instances, with the name they came by.
    pub instances: Vec<(Rc<InstanceDef>, Rc<str>)>,
    /// Components.
    pub components: Vec<ComponentDef>,
    /// What validation's resource ids mean here.
    pub resources: HashMap<ResourceId, ResourceType>,
}

impl Frame {
    /// The frame `depth` levels out.
    pub fn out(self: &Rc<Frame>, depth: u32) -> Option<Rc<Frame>> {
        let mut frame = Rc::clone(self);
        for _ in 0..depth {
            frame = Rc::clone(frame.outer.as_ref()?);
        }
        Some(frame)
    }

    /// What a resource id of validation means here; types from outside mean what they mean there.
    pub fn resource(&self, id: ResourceId) -> Option<ResourceType> {
        let found = self.spaces.borrow().resources.get(&id).copied();
        found.or_else(|| self.outer.as_ref()?.resource(id))
    }
}

impl Def {
    /// Who provides this, for the console.
    pub fn provider(&self) -> Provider {
        match self {
            Def::Func(func) => match &**func {
                FuncDef::Lifted(lifted) => Provider::Process(lifted.process),
                FuncDef::Host(_) => Provider::Host,
                FuncDef::Missing(_) => Provider::Missing,
            },
            // Whose functions they are: an instance that only passes them on (as toolchains make them) serves nothing.
            Def::Instance(instance) => {
                let func = instance.exports.values().find(|def| matches!(def, Def::Func(_)));
                func.map_or(instance.provider, Def::provider)
            }
            Def::Module(_) | Def::Component(_) | Def::Resource(_) | Def::Type => Provider::Static,
        }
    }
}
