//! Calls over a boundary when every domain of a tree has a thread of its own: what crosses, who carries it, who serves it.
//!
//! Without a carrier a call over a boundary runs on the caller's thread, on a stack of its own.

use std::sync::Arc;

use abi::fault::{Fault, Trap};
use abi::value::{Resource, Value};

use super::call;
use super::hooks::destroy;
use super::linked::ExportedFunc;
use super::running::Peers;

/// Something that one domain of a tree is to do for another, or for the host.
#[derive(Clone, Debug)]
pub struct Crossing {
    domain: u32,
    work: Work,
}

#[derive(Clone, Debug)]
enum Work {
    Call { func: Arc<ExportedFunc>, args: Vec<Value> },
    Drop(Resource),
}

/// Brings work to the domain that is to do it.
pub trait Carrier: Send + Sync {
    /// Has `carrier` served on behalf of domain `from`, and waits for the answer.
    ///
    /// # Errors
    /// The fault of whoever served it, or why nobody did.
    fn carry(&self, from: u32, crossing: Crossing) -> Result<Option<Value>, Fault>;
}

/// One domain of a tree, for the thread that serves it.
pub struct Server {
    peers: Arc<Peers>,
    domain: u32,
}

impl Crossing {
    /// A call of an exported function.
    #[must_use]
    pub fn call(func: Arc<ExportedFunc>, args: Vec<Value>) -> Crossing {
        Crossing { domain: func.domain, work: Work::Call { func, args } }
    }

    pub(super) fn drop_resource(domain: u32, resource: Resource) -> Crossing {
        Crossing { domain, work: Work::Drop(resource) }
    }

    /// Which domain of the tree is to serve it.
    #[must_use]
    pub fn domain(&self) -> u32 {
        self.domain
    }
}

impl Server {
    pub(super) fn new(peers: Arc<Peers>, domain: u32) -> Server {
        Server { peers, domain }
    }

    /// Serves a crossing, on the calling thread.
    ///
    /// # Errors
    /// The fault; [`Trap::Gone`] once the domain has ended.
    pub fn serve(&self, crossing: &Crossing) -> Result<Option<Value>, Fault> {
        let mut domain = self.peers.domain(self.domain)?;
        match &crossing.work {
            Work::Call { func, args } => call::call(&mut domain, func, args),
            Work::Drop(resource) => destroy(&mut domain, None, resource.ty, resource.rep).map(|()| None),
        }
    }

    /// Ends the domain: its memories are unmapped, its handles are no more, and calls to it are refused with the reason.
    pub fn end(&self, why: &Trap) {
        self.peers.end(self.domain, why);
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("domain", &self.domain).finish_non_exhaustive()
    }
}
