//! The core instances of a script: one domain, `spectest`, and what is registered by name.

use std::collections::HashMap;
use std::sync::Arc;

use abi::fault::Fault;
use kernel::domain::externs::Extern;
use kernel::domain::{Domain, DomainOptions};
use kernel::instance::InstanceIndex;
use kernel::instance::create::InstantiateError;
use kernel::jit::compile_error::CompileError;
use kernel::jit::engine::{Engine, EngineOptions};
use kernel::jit::library::Library;
use kernel::jit::valtype::{HeapType, ValType};
use wasmparser::WasmFeatures;

use super::corevalue::{CoreValue, Kind};
use super::spectest;

/// Why a module or component does not load.
pub(super) enum Refusal {
    /// It is malformed or invalid.
    Invalid(String),
    /// It is valid, and we cannot run it.
    Unsupported(String),
}

/// Why something does not become an instance.
pub(super) enum LoadError {
    /// An import does not fit.
    Link(String),
    /// A start function or a segment trapped.
    Fault(Fault),
}

/// A domain of core instances.
pub(super) struct CoreWorld {
    engine: Engine,
    domain: Domain,
    spectest: HashMap<String, Extern>,
    registered: HashMap<String, InstanceIndex>,
    /// What another domain gave, by module and name: shared memories are of use, the rest does not link.
    given: HashMap<String, HashMap<String, Extern>>,
}

impl CoreWorld {
    /// An empty domain that validates with `features`, with `spectest`.
    pub(super) fn new(features: WasmFeatures) -> Result<CoreWorld, String> {
        // Files run side by side; threads of their own for each small module would only get in each other's way.
        let options = EngineOptions { features, threads: Some(1), ..EngineOptions::default() };
        let engine = Engine::with(options).map_err(|error| error.to_string())?;
        CoreWorld::of(engine)
    }

    /// An empty domain for another thread, where `module` has what `instance` exports.
    pub(super) fn beside(&self, shared: Option<(&str, InstanceIndex)>) -> Result<CoreWorld, String> {
        let mut world = CoreWorld::of(self.engine.clone())?;
        if let Some((module, instance)) = shared {
            let exports = self.domain.exports(instance);
            let exports = exports.map(|(name, item)| (name.to_owned(), item)).collect();
            world.given.insert(module.to_owned(), exports);
        }
        Ok(world)
    }

    fn of(engine: Engine) -> Result<CoreWorld, String> {
        let features = engine.options().features;
        let mut domain = Domain::new(&engine, DomainOptions::default());
        let mut shelf = HashMap::new();
        for text in spectest::modules(features) {
            let bytes = wat::parse_str(text).map_err(|error| error.to_string())?;
            let library = engine.library(&bytes).map_err(|error| format!("spectest: {error}"))?;
            let instance =
                domain.instantiate(&library, &[], None).map_err(|error| format!("spectest: {error}"))?;
            let exports = domain.exports(instance).map(|(name, item)| (name.to_owned(), item));
            shelf.extend(exports);
        }
        Ok(CoreWorld { engine, domain, spectest: shelf, registered: HashMap::new(), given: HashMap::new() })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Validates and compiles.
    pub(super) fn load(&self, bytes: &[u8]) -> Result<Arc<Library>, Refusal> {
        self.engine.library(bytes).map_err(|error| match error {
            CompileError::Invalid { .. } => Refusal::Invalid(error.to_string()),
            error => Refusal::Unsupported(error.to_string()),
        })
    }

    pub(super) fn instantiate(&mut self, library: &Arc<Library>) -> Result<InstanceIndex, LoadError> {
        let mut imports = Vec::new();
        for import in &library.module.imports {
            let found = self.import(&import.module, &import.name);
            imports.push(found.ok_or_else(|| {
                LoadError::Link(format!("unknown import: `{}` `{}`", import.module, import.name))
            })?);
        }
        self.domain.instantiate(library, &imports, None).map_err(|error| match error {
            InstantiateError::Fault(fault) => LoadError::Fault(fault),
            error => LoadError::Link(error.to_string()),
        })
    }

    fn import(&self, module: &str, name: &str) -> Option<Extern> {
        match self.registered.get(module) {
            Some(&instance) => self.domain.export(instance, name),
            None if module == "spectest" => self.spectest.get(name).cloned(),
            None => self.given.get(module)?.get(name).cloned(),
        }
    }

    /// Lets later modules import from `instance` by `name`.
    pub(super) fn register(&mut self, name: &str, instance: InstanceIndex) {
        self.registered.insert(name.to_owned(), instance);
    }

    /// The same for what another domain gave as `given`.
    pub(super) fn register_given(&mut self, name: &str, given: &str) {
        if let Some(exports) = self.given.get(given).cloned() {
            self.given.insert(name.to_owned(), exports);
        }
    }

    /// Calls an exported function. The outer error says why it cannot be called.
    pub(super) fn invoke(
        &mut self,
        instance: InstanceIndex,
        name: &str,
        args: &[CoreValue],
    ) -> Result<Result<Vec<CoreValue>, Fault>, String> {
        let func = match self.domain.export(instance, name) {
            Some(Extern::Func(func)) => func,
            Some(_) => return Err(format!("`{name}` is no function")),
            None => return Err(format!("nothing is exported as `{name}`")),
        };
        let ty = self.engine.signature(func.sig());
        let wanted = ty.params.iter().map(kind);
        if !wanted.eq(args.iter().map(|arg| Some(arg.kind))) {
            return Err(format!("it takes other arguments: {:?}", ty.params));
        }
        let args: Vec<u128> = args.iter().map(|arg| arg.bits).collect();
        let mut results = vec![0; ty.results.len()];
        if let Err(fault) = self.domain.call(&func, &args, &mut results) {
            return Ok(Err(fault));
        }
        let typed = |(ty, bits): (&ValType, u128)| {
            let kind = kind(ty).ok_or_else(|| format!("it returns {ty}, which no script can compare"))?;
            Ok(CoreValue { kind, bits })
        };
        ty.results.iter().zip(results).map(typed).collect::<Result<_, String>>().map(Ok)
    }

    /// The value of an exported global.
    pub(super) fn global(&self, instance: InstanceIndex, name: &str) -> Result<CoreValue, String> {
        let Some(Extern::Global(global)) = self.domain.export(instance, name) else {
            return Err(format!("no global is exported as `{name}`"));
        };
        let ty = global.ty().ty;
        let bits = self.domain.global(&global).ok_or("it is another domain's")?;
        let kind = kind(&ty).ok_or_else(|| format!("it holds {ty}, which no script can compare"))?;
        Ok(CoreValue { kind, bits })
    }
}

fn kind(ty: &ValType) -> Option<Kind> {
    Some(match ty {
        ValType::I32 => Kind::I32,
        ValType::I64 => Kind::I64,
        ValType::F32 => Kind::F32,
        ValType::F64 => Kind::F64,
        ValType::V128 => Kind::V128,
        ValType::Ref(ty) if ty.heap.matches(HeapType::Func) => Kind::Func,
        ValType::Ref(ty) if ty.heap.matches(HeapType::Extern) => Kind::Extern,
        ValType::Ref(ty) if ty.heap.matches(HeapType::Exn) => Kind::Exn,
        ValType::Ref(ty) if ty.heap.matches(HeapType::Any) => Kind::Any,
        ValType::Ref(_) => return None,
    })
}
