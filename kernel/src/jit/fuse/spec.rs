//! What the functions are that the adapter compiler makes.

use std::collections::HashMap;
use std::sync::Arc;

use abi::flat::CoreType;
use abi::plan::Plan;
use abi::types::ResourceType;

use crate::jit::library::Library;

/// One function for the adapter compiler. Each is a core function of the caller's core signature, with the `VmDomain`
/// as its context.
#[derive(Clone, Debug)]
pub enum AdapterSpec {
    /// A call between two processes of the domain.
    Call {
        /// What the call does.
        plan: Plan,
        /// The edge, for backtraces: `caller → callee  instance#function`.
        name: String,
    },
    /// The callee's half of a call over a boundary ([`super::entrance`]).
    Arrival {
        /// What the call does. Its caller is in another domain; only its encoding and its memory count.
        plan: Plan,
    },
    /// A call to the host.
    Host {
        /// Core parameters as the guest passes them.
        params: Vec<CoreType>,
        /// Core results as the guest gets them.
        results: Vec<CoreType>,
        /// Number of the host import in the linked tree.
        import: u32,
        /// Where the host's function is, if it takes core values in registers.
        address: Option<HostAddress>,
        /// The calling process.
        process: u32,
        /// Whether the caller must be allowed to leave.
        leaves: bool,
        /// The edge, for backtraces.
        name: String,
    },
    /// `resource.new`, as `process` calls it.
    ResourceNew {
        /// The calling process.
        process: u32,
        /// The resource type.
        ty: ResourceType,
    },
    /// `resource.rep`, as `process` calls it.
    ResourceRep {
        /// The calling process.
        process: u32,
        /// The resource type.
        ty: ResourceType,
    },
    /// `resource.drop`, as `process` calls it.
    ResourceDrop {
        /// The calling process.
        process: u32,
        /// The resource type.
        ty: ResourceType,
    },
    /// A function that may be linked but not called.
    Refuse {
        /// Core parameters as the guest passes them.
        params: Vec<CoreType>,
        /// Core results as the guest gets them.
        results: Vec<CoreType>,
        /// Why a call is a fault.
        reason: Refusal,
        /// The calling process.
        process: u32,
        /// The edge, for backtraces.
        name: String,
    },
}

/// Where the stub of an import finds what it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// Address of the code: a `crate::component::host_call::EnterHost`.
    pub code: usize,
    /// Address of its second argument, behind the `VmDomain`.
    pub import: usize,
    /// Where the edge's counters are, from the first on.
    pub tally: Option<u32>,
}

/// The resource types that processes of the domain implement. All others are the host's or another domain's.
pub type Implementers = HashMap<ResourceType, Implementer>;

/// Who implements a resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Implementer {
    /// The process, of the same domain.
    pub process: u32,
    /// Function slot of its destructor.
    pub dtor: Option<u32>,
}

/// What linking knows of the core functions in a domain's function slots: those that are defined by a library.
pub type Callees = HashMap<u32, Callee>;

/// A core function that is defined by a library.
#[derive(Clone, Debug)]
pub struct Callee {
    /// The library.
    pub library: Arc<Library>,
    /// Which of the functions that it defines.
    pub func: u32,
    /// Those of its imports that are adapters of the domain, by function index: number, core parameters and results.
    pub adapters: Arc<AdapterImports>,
}

/// Imported functions that are adapters: number, core parameters and results.
pub type AdapterImports = HashMap<u32, (u32, Vec<CoreType>, Vec<CoreType>)>;

/// Why a function may be linked but not called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Caller and callee are the same process, or one is inside the other: `cannot enter component instance`.
    Reentrance,
    /// The text of a [`abi::fault::Trap::Host`]: a missing import, or something that is not supported.
    Message(String),
}
