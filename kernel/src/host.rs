//! Functions and resources that the host gives to guests.

use std::any::Any;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::Arc;

use abi::fault::Trap;
use abi::id::ProcessId;
use abi::plan::Passing;
use abi::run;
use abi::side::Side;
use abi::types::{FuncType, ResourceType};
use abi::value::Value;

use crate::component::host_call::{EnterHost, enter, enter_port};
use crate::jit::library::Library;

/// What a host function sees of the call it serves: the caller as a [`Side`], the core values, the host's own state.
pub trait HostCall: Side {
    /// The core parameters as the guest passed them, 64 bits each; results are written from index 0.
    ///
    /// Longer than both. `f32` is in the low half. Where parameters or results cross in memory
    /// ([`abi::plan::Passing`]), the value is a pointer; a result pointer is the last parameter.
    fn core(&mut self) -> &mut [u64];

    /// The component-level type of the function as the guest imports it, its resource types resolved.
    fn func_type(&self) -> Arc<FuncType>;

    /// Which of its domain's imports the function is, by number.
    fn import(&self) -> u32 {
        u32::MAX
    }

    /// Who calls.
    fn process(&self) -> ProcessId;

    /// Who calls, as an index of [`Linked::processes`](crate::component::linked::Linked::processes): the same in every
    /// life and every tree that is launched from it.
    fn process_index(&self) -> u32;

    /// The state that the launcher gave to this tree. Calls of other domains that need it wait until this one has
    /// ended, or released it.
    fn state(&mut self) -> &mut (dyn Any + Send);

    /// Lets other calls have the state until this one asks for it again: before it waits, or runs guest code.
    fn release_state(&mut self);
}

/// A function that the host implements. Compiled code calls it by an address that is made for its type.
pub trait HostFunc: Enterable + Send + Sync {
    /// Its type if it is fixed; linking refuses an import of another type. `None` takes whatever is imported.
    fn ty(&self) -> Option<&FuncType>;

    /// Serves one call.
    ///
    /// # Errors
    /// A trap ends the guest's call; [`Trap::Exit`] ends the tree without blame.
    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap>;
}

/// What every [`HostFunc`] has and nobody implements: its [`HostEntry`].
pub trait Enterable {
    /// Where compiled code calls this function.
    fn entry(&self) -> HostEntry;
}

impl<F: HostFunc> Enterable for F {
    fn entry(&self) -> HostEntry {
        HostEntry { code: enter::<F>, func: ptr::from_ref(self).cast() }
    }
}

/// Where compiled code calls a host function, and which one that is; or a port.
#[derive(Clone, Copy)]
pub struct HostEntry {
    code: EnterHost,
    func: *const (),
}

// SAFETY: the addresses of code and of a host function, if there is one, which any thread may call.
unsafe impl Send for HostEntry {}
// SAFETY: as above.
unsafe impl Sync for HostEntry {}

impl HostEntry {
    /// Where compiled code calls a port.
    pub(crate) fn of_port() -> HostEntry {
        HostEntry { code: enter_port, func: ptr::null() }
    }

    /// The code.
    pub(crate) fn code(self) -> EnterHost {
        self.code
    }

    /// The function, which is of the type that the code is made for.
    pub(crate) fn func(self) -> *const () {
        self.func
    }
}

/// A function over values, of whatever type it is imported with.
pub struct OverValues<F>(pub F);

impl<F> HostFunc for OverValues<F>
where
    F: Fn(&mut dyn HostCall, Vec<Value>) -> Result<Option<Value>, Trap> + Send + Sync,
{
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, call: &mut dyn HostCall) -> Result<(), Trap> {
        serve_values(call, &self.0)
    }
}

/// Serves a call with what is answered to its arguments.
///
/// # Errors
/// The answer's trap; what is wrong with the arguments, or with where the result is to be put.
pub fn serve_values(
    call: &mut dyn HostCall,
    answer: impl FnOnce(&mut dyn HostCall, Vec<Value>) -> Result<Option<Value>, Trap>,
) -> Result<(), Trap> {
    let ty = call.func_type();
    let (params, results) = (Passing::params(&ty), Passing::results(&ty));
    let mut core = call.core().to_vec();
    let args = run::lift_params(call, &ty, &params, &core)?;
    let result = answer(call, args)?;
    run::lower_results(call, &ty, &params, &results, result.as_ref(), &mut core)?;
    call.core().copy_from_slice(&core);
    Ok(())
}

/// What the host does when a guest drops its own handle of a resource: with the state of the tree, and the
/// representation.
pub type DropResource = dyn Fn(&mut (dyn Any + Send), u32) -> Result<(), Trap> + Send + Sync;

/// A resource type that the host implements.
#[derive(Clone)]
pub struct HostResource {
    /// Its number, [`ResourceType::host`].
    pub ty: ResourceType,
    /// Called when a guest drops its own handle.
    pub drop: Option<Arc<DropResource>>,
}

/// One thing that the host offers by name.
#[derive(Clone)]
pub enum Import {
    /// A function.
    Func(Arc<dyn HostFunc>),
    /// An instance: more names.
    Instance(Imports),
    /// A resource type.
    Resource(HostResource),
    /// A core module.
    Module(Arc<Library>),
}

/// Makes a function for an import that nobody offers, by its name: `instance#function`, or the import's own.
pub type StandIn = dyn Fn(&str) -> Arc<dyn HostFunc> + Send + Sync;

/// What the host offers, by import name.
#[derive(Clone, Default)]
pub struct Imports {
    /// The names, as written in a component's imports.
    pub names: BTreeMap<String, Import>,
    /// Who serves the functions that have no name here, where somebody does; resource types that have none are then
    /// types that nothing happens to.
    pub stand_in: Option<Arc<StandIn>>,
}
