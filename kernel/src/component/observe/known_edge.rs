//! The edges of a tree, as linking found them: one for each function that a process imports from another or from a
//! server, and one for each function that the host can call.

use std::collections::HashMap;
use std::sync::Arc;

use abi::types::FuncType;

use super::super::port::EdgePolicy;

/// One edge.
#[derive(Clone, Debug)]
pub struct KnownEdge {
    /// Who calls, as an index of the tree's processes; none for the host.
    pub caller: Option<u32>,
    /// Who is called.
    pub callee: Callee,
    /// `interface#function`, or the function's name alone.
    pub name: Arc<str>,
    /// The function's type.
    pub ty: Arc<FuncType>,
    /// How the call gets there.
    pub way: Way,
}

/// Who is called over an edge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A process of the tree.
    Process(u32),
    /// A server of the host, by the interface that it serves.
    Server(Box<str>),
}

/// How a call gets from one side of an edge to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Compiled code of the caller's domain calls the callee on the caller's stack.
    Fused,
    /// The kernel carries it inside one domain: one side is asynchronous, or the callee has a context.
    Task,
    /// Over a boundary, into another domain.
    Boundary(EdgePolicy),
    /// To a server of the host.
    Server,
    /// From the host, into the tree.
    Entry,
}

impl Way {
    /// Whether every call is counted; else only those that are made while somebody watches the edge.
    #[must_use]
    pub fn is_counted(self) -> bool {
        self != Way::Fused
    }
}

/// The edges while they are being found. One that is lowered twice, for two core modules of a process, is one edge.
#[derive(Debug, Default)]
pub(in super::super) struct Edges {
    pub list: Vec<KnownEdge>,
    numbers: HashMap<(Option<u32>, Callee, Arc<str>), u32>,
}

impl Edges {
    /// The number of an edge, which is added if it is new. Lowered functions are bounded, and so are exports.
    pub fn number(&mut self, edge: KnownEdge) -> u32 {
        let key = (edge.caller, edge.callee.clone(), Arc::clone(&edge.name));
        let next = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.list.push(edge);
        }
        number
    }
}

/// The interface in `interface#function`; the whole name of a function that is in none.
pub(in super::super) fn interface_of(name: &str) -> &str {
    name.split_once('#').map_or(name, |(interface, _)| interface)
}
