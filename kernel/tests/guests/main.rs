//! Core modules run end to end: compiled, instantiated, called, trapped.
//!
//! Each module of tests is about one part of the kernel; [`World`] is what they share.

mod churn;
mod emptying;
mod faulting;
mod hosting;
mod linking;
mod sharing;
mod throwing;

use std::sync::{Arc, LazyLock};

use abi::fault::{Fault, Trap};
use atoll_kernel::domain::externs::{Extern, Func};
use atoll_kernel::domain::{Domain, DomainOptions};
use atoll_kernel::instance::InstanceIndex;
use atoll_kernel::instance::create::InstantiateError;
use atoll_kernel::instance::matching;
use atoll_kernel::jit::engine::Engine;
use atoll_kernel::jit::library::Library;
use atoll_kernel::jit::valtype::{CoreFuncType, ValType};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("this machine is supported"));

/// A domain and the names that modules in it may import.
struct World {
    domain: Domain,
    names: Vec<(String, String, Extern)>,
}

fn library(wat: &str) -> Arc<Library> {
    let wasm = wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"));
    ENGINE.library(&wasm).unwrap_or_else(|error| panic!("{error}"))
}

fn func_type(params: &[ValType], results: &[ValType]) -> CoreFuncType {
    CoreFuncType { params: params.into(), results: results.into() }
}

impl World {
    fn new() -> World {
        World { domain: Domain::new(&ENGINE, DomainOptions::default()), names: Vec::new() }
    }

    /// Lets later modules import `thing`.
    fn name(&mut self, module: &str, name: &str, thing: Extern) {
        self.names.push((module.to_owned(), name.to_owned(), thing));
    }

    /// Lets later modules import everything that an instance exports.
    fn register(&mut self, module: &str, index: InstanceIndex) {
        let exports =
            self.domain.exports(index).map(|(name, thing)| (module.to_owned(), name.to_owned(), thing));
        let exports: Vec<_> = exports.collect();
        self.names.extend(exports);
    }

    fn try_load(&mut self, wat: &str) -> Result<InstanceIndex, InstantiateError> {
        self.try_instantiate(&library(wat))
    }

    fn try_instantiate(&mut self, library: &Arc<Library>) -> Result<InstanceIndex, InstantiateError> {
        let imports = matching::resolve(library, |module, name| {
            let found = self.names.iter().rev().find(|known| known.0 == module && known.1 == name);
            found.map(|known| known.2.clone())
        })?;
        self.domain.instantiate(library, &imports, None)
    }

    fn load(&mut self, wat: &str) -> InstanceIndex {
        self.try_load(wat).unwrap_or_else(|error| panic!("{error}"))
    }

    fn func(&self, instance: InstanceIndex, name: &str) -> Func {
        self.domain.export(instance, name).and_then(|export| export.func()).expect("an exported function")
    }

    /// Calls an exported function; as many results as it has.
    fn try_call(&mut self, instance: InstanceIndex, name: &str, args: &[u128]) -> Result<Vec<u128>, Fault> {
        let func = self.func(instance, name);
        let mut results = vec![0; ENGINE.signature(func.sig()).results.len()];
        self.domain.call(&func, args, &mut results).map(|()| results)
    }

    fn call(&mut self, instance: InstanceIndex, name: &str, args: &[u128]) -> Vec<u128> {
        self.try_call(instance, name, args).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn trap(&mut self, instance: InstanceIndex, name: &str, args: &[u128]) -> Trap {
        self.try_call(instance, name, args).expect_err("a fault").trap
    }
}

/// A 32-bit integer as a raw value.
fn i32(value: i32) -> u128 {
    u128::from(value.cast_unsigned())
}

/// A 64-bit integer as a raw value.
fn i64(value: i64) -> u128 {
    u128::from(value.cast_unsigned())
}
