//! The component instances of a script: each a tree of processes with a domain of its own.

use std::fmt;
use std::sync::{Arc, OnceLock};

use abi::fault::Fault;
use abi::types::{ResourceType, ValType};
use abi::value::Value;
use abi::wave;
use kernel::component::error::{ComponentError, LaunchError};
use kernel::component::executable::Executable;
use kernel::component::link::LinkOptions;
use kernel::component::linked::Export;
use kernel::component::tree::Tree;
use kernel::host::{HostResource, Import, Imports};
use kernel::jit::compile_error::CompileError;
use kernel::jit::engine::Engine;
use wasmparser::WasmFeatures;
use wast::component::WastVal;

use super::constant;
use super::coreworld::{LoadError, Refusal};
use super::hostshelf;

/// A launched component of this script.
#[derive(Clone, Copy)]
pub(super) struct Running(usize);

/// What a component's function returned: its type and its value, or nothing.
pub(super) struct Answer(pub(super) Option<(ValType, Value)>);

pub(super) struct TreeWorld {
    engine: Engine,
    features: WasmFeatures,
    /// What components may import; made when the first one wants it.
    shelf: OnceLock<Imports>,
    trees: Vec<Tree>,
    /// Resource types that named components gave to later ones.
    given: u32,
}

impl TreeWorld {
    pub(super) fn new(engine: &Engine, features: WasmFeatures) -> TreeWorld {
        TreeWorld { engine: engine.clone(), features, shelf: OnceLock::new(), trees: Vec::new(), given: 0 }
    }

    /// Validates and compiles.
    pub(super) fn load(&self, bytes: &[u8]) -> Result<Executable, Refusal> {
        Executable::parse_with(&self.engine, bytes, self.features).map_err(|error| match error {
            ComponentError::Invalid { .. }
            | ComponentError::Module { source: CompileError::Invalid { .. }, .. } => {
                Refusal::Invalid(error.to_string())
            }
            error => Refusal::Unsupported(error.to_string()),
        })
    }

    /// Links and launches.
    pub(super) fn launch(&mut self, executable: &Executable) -> Result<Running, LoadError> {
        let options = LinkOptions::new("script");
        let linked = executable.link(self.shelf()?, &options);
        let linked = linked.map_err(|error| LoadError::Link(error.to_string()))?;
        let tree = executable.launch(&Arc::new(linked), Box::new(())).map_err(|error| match error {
            LaunchError::Fault(fault) => LoadError::Fault(*fault),
            error => LoadError::Link(error.to_string()),
        })?;
        self.trees.push(tree);
        Ok(Running(self.trees.len() - 1))
    }

    fn shelf(&self) -> Result<&Imports, LoadError> {
        if let Some(shelf) = self.shelf.get() {
            return Ok(shelf);
        }
        let made = hostshelf::imports(&self.engine).map_err(LoadError::Link)?;
        Ok(self.shelf.get_or_init(|| made))
    }

    /// Lets later components import the core modules and resource types of a named one. They cannot import more of it:
    /// it has a domain of its own.
    pub(super) fn register(&mut self, name: &str, running: Running) {
        let mut names = Imports::default();
        for (name, export) in self.trees[running.0].linked().exports() {
            let import = match export {
                Export::Module(library) => Import::Module(Arc::clone(library)),
                Export::Resource(_) => {
                    self.given += 1;
                    Import::Resource(HostResource {
                        ty: ResourceType::host(hostshelf::TYPES + self.given),
                        drop: None,
                    })
                }
                _ => continue,
            };
            names.names.insert(name.to_string(), import);
        }
        if let Some(shelf) = self.shelf.get_mut() {
            shelf.names.insert(name.to_owned(), Import::Instance(names));
        }
    }

    /// Calls an exported function. The outer error says why it cannot be called.
    pub(super) fn invoke(
        &mut self,
        running: Running,
        name: &str,
        args: &[&WastVal<'_>],
    ) -> Result<Result<Answer, Fault>, String> {
        let tree = &mut self.trees[running.0];
        let func = match tree.export(&[name]) {
            Some(Export::Func(func)) => func.clone(),
            Some(_) => return Err(format!("`{name}` is no function")),
            None => return Err(format!("nothing is exported as `{name}`")),
        };
        if args.len() != func.ty.params.len() {
            return Err(format!("it takes other arguments: {}", func.ty));
        }
        let args = args.iter().zip(&func.ty.params).map(|(arg, (_, ty))| constant::value(arg, ty));
        let args: Vec<Value> = args.collect::<Result<_, _>>()?;
        Ok(tree.call(&func, &args).map(|value| Answer(func.ty.result.clone().zip(value))))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("no value"),
            Some((ty, value)) => f.write_str(&wave::print(ty, value)),
        }
    }
}
