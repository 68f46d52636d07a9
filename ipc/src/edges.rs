//! The edges of a tree that runs: who calls whom, over which rung, how often and how fast.

use std::fmt;

use abi::id::ProcessId;
use kernel::component::observe::edge_view::{Counted, EdgeView};
use kernel::component::observe::known_edge::{Callee, KnownEdge, Way};
use kernel::component::observe::latency::Percentiles;
use kernel::component::port::EdgePolicy;

use crate::launched::Launched;
use crate::system::Place;

/// An edge as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeRow {
    /// Its place in the tree's list of edges, which never changes.
    pub number: u32,
    /// Who calls.
    pub caller: End,
    /// Who is called.
    pub callee: End,
    /// `interface#function`, or the function's name alone.
    pub function: String,
    /// The function's type, as WIT has it.
    pub ty: String,
    /// How calls get there.
    pub rung: Rung,
    /// What holds for calls over it, where it crosses a boundary.
    pub policy: Option<EdgePolicy>,
    /// Whether calls are counted now.
    pub counted: Counted,
    /// The calls that were counted, over all lives of the domains.
    pub calls: u64,
    /// Those of them that ended with a fault.
    pub failures: u64,
    /// How long calls took, of those that were timed: the first ones, and then one of 64. Waiting for the callee is in
    /// it, but for calls from the host.
    pub latency: Option<Percentiles>,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The host: whoever holds the tree.
    Host,
    /// A process of the tree.
    Process {
        /// Its id, in its present life.
        id: ProcessId,
        /// Its path from the root.
        path: String,
        /// Its name among its siblings.
        name: String,
    },
    /// A server of the host, by the interface that it serves.
    Server(String),
}

/// What carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Compiled code, on the caller's stack.
    Fused,
    /// The caller's worker, handed over to the callee's thread, if that is idle; else as [`Rung::Channel`].
    Handoff,
    /// A message to a domain's own thread.
    Channel,
    /// Shared memory, to another OS process.
    Segment,
    /// The kernel, to a function of the host.
    Server,
}

impl Launched {
    /// The edges: what each process imports from others and from servers, and what the host can call. Waits for nobody.
    #[must_use]
    pub fn edges(&self) -> Vec<EdgeRow> {
        let tree = self.tree();
        let end = |process: u32| match tree
            .linked()
            .processes()
            .get(process as usize)
            .zip(tree.process_id(process))
        {
            Some((info, id)) => End::Process { id, path: info.path.clone(), name: info.name.clone() },
            None => End::Host,
        };
        let row = |EdgeView { number, edge, counted, calls, failures, latency }: EdgeView<'_>| EdgeRow {
            number,
            caller: edge.caller.map_or(End::Host, end),
            callee: match &edge.callee {
                Callee::Process(process) => end(*process),
                Callee::Server(interface) => End::Server(interface.to_string()),
            },
            function: edge.name.to_string(),
            ty: edge.ty.to_string(),
            rung: match edge.way {
                Way::Fused | Way::Task => Rung::Fused,
                Way::Boundary(_) => self.rung(edge),
                Way::Entry => Rung::Channel,
                Way::Server => Rung::Server,
            },
            policy: match edge.way {
                Way::Boundary(policy) => Some(policy),
                _ => None,
            },
            counted,
            calls,
            failures,
            latency,
        };
        tree.edges().into_iter().map(row).collect()
    }
}

impl Launched {
    /// What carries calls over a boundary.
    fn rung(&self, edge: &KnownEdge) -> Rung {
        let place = |process: u32| {
            let process = self.tree().linked().processes().get(process as usize)?;
            self.place(process.place.domain)
        };
        let callee = match &edge.callee {
            Callee::Process(process) => place(*process),
            Callee::Server(_) => None,
        };
        Rung::between(edge.caller.and_then(place).unwrap_or_default(), callee.unwrap_or_default())
    }
}

impl Rung {
    /// What carries calls over a boundary between domains at these places: a callee that may run at the caller's worker
    /// needs no message.
    #[must_use]
    pub fn between(caller: Place, callee: Place) -> Rung {
        match (caller, callee) {
            (Place::OwnProcess, _) | (_, Place::OwnProcess) => Rung::Segment,
            (Place::Worker(caller), Place::Worker(callee)) if caller != callee => Rung::Channel,
            _ => Rung::Handoff,
        }
    }
}

impl End {
    /// The name alone: what a line of a trace begins with.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            End::Host => "host",
            End::Process { name, .. } => name,
            End::Server(interface) => interface,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Process { path, .. } => path,
            other => other.name(),
        })
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rung::Fused => "fused",
            Rung::Handoff => "handoff",
            Rung::Channel => "channel",
            Rung::Segment => "segment",
            Rung::Server => "server",
        })
    }
}
