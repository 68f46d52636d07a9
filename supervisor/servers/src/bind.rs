//! What generated bindings are made of: one host function object, whatever its types.
//!
//! A call's parameters are lifted, the server is called, its result is lowered; the server sees neither the guest's
//! memory nor its handles.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use crate::turn::Turn;
use abi::fault::Trap;
use abi::id::ProcessId;
use abi::side::Side;
use abi::typed::{Own, Resource, Typed, imported};
use abi::types::{FuncType, ValType};
use kernel::host::{HostCall, HostFunc, HostResource, Import, Imports};

/// The state of servers, one for each tree that runs.
pub trait State: Any + Send {
    /// A process of the tree is about to call, or goes on after it has waited; what it may do can depend on who it is.
    /// `index` is that of [`Linked::processes`](kernel::component::linked::Linked::processes).
    fn called_by(&mut self, process: ProcessId, index: u32) {
        let _ = (process, index);
    }
}

/// The instance that serves one interface, being filled.
#[derive(Default)]
pub struct Instance {
    imports: Imports,
}

impl Instance {
    /// Adds a function: its interface and name, the labels of its parameters, what serves it.
    pub fn func<S: State, P: Typed + 'static, R: Typed + 'static>(
        &mut self,
        interface: &'static str,
        name: &'static str,
        labels: &'static [&'static str],
        serve: fn(&mut S, P) -> Result<R, Trap>,
    ) {
        self.add(interface, name, labels, Serve::<S, P, R>::AtOnce(serve));
    }

    /// Adds a function that may wait.
    pub fn waiting_func<S: State, P: Typed + 'static, R: Typed + 'static>(
        &mut self,
        interface: &'static str,
        name: &'static str,
        labels: &'static [&'static str],
        serve: fn(&mut Turn<'_, S>, P) -> Result<R, Trap>,
    ) {
        self.add(interface, name, labels, Serve::<S, P, R>::Waiting(serve));
    }

    fn add<S: State, P: Typed + 'static, R: Typed + 'static>(
        &mut self,
        interface: &'static str,
        name: &'static str,
        labels: &'static [&'static str],
        serve: Serve<S, P, R>,
    ) {
        let func = Func { interface, name, labels, serve, ty: OnceLock::new() };
        self.imports.names.insert(name.into(), Import::Func(Arc::new(func)));
    }

    /// Adds a resource type, and what happens when its owner drops it.
    pub fn resource<S: State, T: Resource + 'static>(
        &mut self,
        label: &'static str,
        dropped: fn(&mut S, Own<T>) -> Result<(), Trap>,
    ) {
        let drop = move |state: &mut (dyn Any + Send), rep: u32| match state.downcast_mut::<S>() {
            Some(state) => dropped(state, Own::new(rep)),
            None => Err(wrong_state("a resource", label)),
        };
        let resource = HostResource { ty: T::TYPE, drop: Some(Arc::new(drop)) };
        self.imports.names.insert(label.into(), Import::Resource(resource));
    }

    /// The instance as an import.
    #[must_use]
    pub fn finish(self) -> Import {
        Import::Instance(self.imports)
    }
}

/// A function served by `S`, with parameters `P`, a tuple, and result `R`, `()` for none.
struct Func<S, P, R> {
    interface: &'static str,
    name: &'static str,
    labels: &'static [&'static str],
    serve: Serve<S, P, R>,
    /// Built when a guest imports the function: most guests import few.
    ty: OnceLock<FuncType>,
}

/// What serves a function.
enum Serve<S, P, R> {
    AtOnce(fn(&mut S, P) -> Result<R, Trap>),
    Waiting(fn(&mut Turn<'_, S>, P) -> Result<R, Trap>),
}

impl<S: State, P: Typed, R: Typed> HostFunc for Func<S, P, R> {
    fn ty(&self) -> Option<&FuncType> {
        Some(self.ty.get_or_init(|| func_type::<P, R>(self.labels)))
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        let mut core = [0; imported::MAX_CORE_PARAMS];
        let core = &mut core[..imported::core_params::<P, R>()];
        let len = core.len();
        core.copy_from_slice(&call.core()[..len]);
        let params = imported::lift_params(call as &mut dyn Side, core)?;
        let mut turn = Turn::of_call(call).ok_or_else(|| wrong_state(self.interface, self.name))?;
        let result = match self.serve {
            Serve::AtOnce(serve) => serve(turn.state(), params)?,
            Serve::Waiting(serve) => serve(&mut turn, params)?,
        };
        // Lowering runs guest code, its allocator.
        call.release_state();
        if let Some(value) = imported::lower_result::<P, R>(call as &mut dyn Side, core, &result)? {
            call.core()[0] = value;
        }
        Ok(())
    }
}

fn func_type<P: Typed, R: Typed>(labels: &[&str]) -> FuncType {
    let types = match P::ty() {
        ValType::Tuple(types) => types,
        other => Arc::new([other]) as Arc<[ValType]>,
    };
    let params = labels.iter().zip(types.iter()).map(|(label, ty)| ((*label).into(), ty.clone())).collect();
    FuncType { params, result: R::payload(), is_async: false }
}

fn wrong_state(interface: &str, name: &str) -> Trap {
    Trap::Host(format!("{interface}#{name}: the tree was launched with a state that does not serve it"))
}
