//! What one call does, decided once when it is linked.
//!
//! A [`Plan`] joins a caller's `canon lower` to a callee's `canon lift`. Three movers execute it: [`crate::run`]
//! interprets it, the kernel compiles it, and a message carries it; nothing else knows the canonical ABI.
//!
//! A call has four phases. *Args*: lift the parameters from the caller, lower them into the callee. *Invoke*: call the
//! core function. *Results*: lift the results from the callee, lower them into the caller. *Return*: `post-return`.

use crate::flat::{self, CoreType};
use crate::layout::Layout;
use crate::limits::{MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use crate::side::Encoding;
use crate::types::{FuncType, ValType};

/// The canonical options of one side. Memories and functions are slots of the linked tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Which process of the tree.
    pub process: u32,
    /// `string-encoding`
    pub encoding: Encoding,
    /// `memory`
    pub memory: Option<u32>,
    /// `realloc`
    pub realloc: Option<u32>,
    /// `post-return`; only ever on the callee.
    pub post_return: Option<u32>,
}

/// How values cross as core values: as such, or through memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Passing {
    /// One core value each, in order.
    Flat(Vec<CoreType>),
    /// One pointer to a tuple of this layout.
    Memory(Layout),
}

/// A call between two processes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The component-level type, the same for both.
    pub ty: FuncType,
    /// Who calls.
    pub caller: Endpoint,
    /// Who is called.
    pub callee: Endpoint,
    /// The callee's core function, a slot of the linked tree.
    pub core: u32,
    /// How parameters cross; the same on both sides.
    pub params: Passing,
    /// How results cross; in memory, the caller passes the pointer and the callee returns one.
    pub results: Passing,
    /// Whether a borrow can cross, so that the call opens a handle scope.
    pub scope: bool,
}

impl Plan {
    /// Plans a call of type `ty` from `caller` to the core function in slot `core` of `callee`.
    #[must_use]
    pub fn new(ty: FuncType, caller: Endpoint, callee: Endpoint, core: u32) -> Plan {
        let params = Passing::params(&ty);
        let results = Passing::results(&ty);
        let scope = ty.has_borrow();
        Plan { ty, caller, callee, core, params, results, scope }
    }
}

impl Passing {
    /// How the parameters of `ty` cross (CanonicalABI.md, `flatten_functype`).
    #[must_use]
    pub fn params(ty: &FuncType) -> Passing {
        Passing::of(ty.params.iter().map(|(_, ty)| ty), MAX_FLAT_PARAMS)
    }

    /// How the results of `ty` cross.
    #[must_use]
    pub fn results(ty: &FuncType) -> Passing {
        Passing::of(ty.result.iter(), MAX_FLAT_RESULTS)
    }

    /// How parameters and results cross for a caller that lowers with the option `async`: results always in memory.
    #[must_use]
    pub fn asynchronous(ty: &FuncType) -> (Passing, Passing) {
        let params = Passing::of(ty.params.iter().map(|(_, ty)| ty), MAX_FLAT_ASYNC_PARAMS);
        (params, Passing::of(ty.result.iter(), 0))
    }

    fn of<'t>(types: impl Iterator<Item = &'t ValType> + Clone, limit: usize) -> Passing {
        match flat::flatten_all(types.clone(), limit) {
            Some(flat) => Passing::Flat(flat),
            None => Passing::Memory(Layout::tuple(types)),
        }
    }

    /// The core signature of a lowered import: parameters and results as the calling guest sees them.
    #[must_use]
    pub fn lowered(params: &Passing, results: &Passing) -> (Vec<CoreType>, Vec<CoreType>) {
        let mut core_params = params.core();
        match results {
            Passing::Flat(flat) => (core_params, flat.clone()),
            Passing::Memory(_) => {
                core_params.push(CoreType::I32);
                (core_params, Vec::new())
            }
        }
    }

    /// The core signature of a lifted export: parameters and results as the called guest has them.
    #[must_use]
    pub fn lifted(params: &Passing, results: &Passing) -> (Vec<CoreType>, Vec<CoreType>) {
        (params.core(), results.core())
    }

    fn core(&self) -> Vec<CoreType> {
        match self {
            Passing::Flat(flat) => flat.clone(),
            Passing::Memory(_) => vec![CoreType::I32],
        }
    }
}
