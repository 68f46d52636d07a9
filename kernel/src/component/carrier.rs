//! Calls over a boundary when every domain of a tree has a thread of its own: what crosses, who carries it, who serves it.
//!
//! Without a carrier a call over a boundary runs on the caller's thread, on a stack of its own.

use std::sync::{Arc, Weak};

use abi::fault::{Fault, Trap};
use abi::id::DomainId;
use abi::value::{Resource, Value};

use super::apart;
use super::arrival::Posted;
use super::call;
use super::error::LaunchError;
use super::hooks::destroy;
use super::letter::Letter;
use super::linked::ExportedFunc;
use super::neighbour::Resident;
use super::peers::Peers;
use super::port::EdgePolicy;
use super::running::Running;
use crate::mem::stack::StackBounds;

/// Something that one domain of a tree is to do for another, or for the host.
#[derive(Clone, Debug)]
pub struct Crossing {
    domain: u32,
    work: Work,
    lent: Option<Lent>,
}

/// What a caller has lent for a call.
#[derive(Clone, Debug)]
struct Lent {
    domain: u32,
    generation: u32,
    handles: Vec<(u32, u32)>,
}

#[derive(Clone, Debug)]
enum Work {
    Call {
        func: Arc<ExportedFunc>,
        args: Vec<Value>,
    },
    /// A call that a domain makes, with its values.
    Letter(Arc<Letter>),
    /// A call that compiled code makes.
    Arrival(Arc<Posted>),
    Drop(Resource),
    /// The destructors of what somebody had lent who has ended meanwhile.
    Release(Vec<Resource>),
    /// A borrower is done whose lender has not waited.
    GiveBack(Lent),
}

/// What a crossing is for, as whoever takes it out of the OS process sees it.
pub(super) enum Deed<'c> {
    /// Serve a call of the host.
    Call(&'c Arc<ExportedFunc>, &'c [Value]),
    /// Serve a call of a domain, which gets its answer in the letter.
    Letter(&'c Letter),
    /// Run a destructor.
    Drop(Resource),
    /// Note that handles are lent no more, as process and index.
    GiveBack(&'c [(u32, u32)]),
    /// Destroy what somebody else had lent.
    Release,
}

/// Brings work to the domain that is to do it.
pub trait Carrier: Send + Sync {
    /// Has `crossing` served on behalf of domain `from`, and waits for the answer.
    ///
    /// # Errors
    /// The fault of whoever served it, or why nobody did.
    fn carry(&self, from: u32, crossing: Crossing, policy: &EdgePolicy) -> Result<Option<Value>, Fault>;

    /// Whoever serves a domain in its present life, if it may be called directly, without a message.
    fn resident(&self, _domain: u32) -> Option<Arc<dyn Resident>> {
        None
    }

    /// Whether it matters what a message to a domain carries.
    fn measures(&self, _domain: u32) -> bool {
        true
    }

    /// Has `crossing` served some time after what was carried before it, and waits for nothing.
    fn post(&self, crossing: Crossing);
}

/// Where the values go that nobody is going to get.
#[derive(Clone)]
pub struct Undelivered(Weak<Peers>);

impl Undelivered {
    pub(super) fn new(peers: &Arc<Peers>) -> Undelivered {
        Undelivered(peers.outside())
    }

    /// Destroys what the values own.
    pub fn release(&self, values: &[Value]) {
        if let Some(peers) = self.0.upgrade() {
            peers.release_all(values);
        }
    }

    /// A crossing is not going to be served. If nobody waits for it either, its caller gets back what it has lent.
    pub fn lost(&self, mut crossing: Crossing, abandoned: bool) {
        let Some(peers) = self.0.upgrade() else { return };
        let afterwards = crossing.afterwards().filter(|_| abandoned);
        peers.release_all(&crossing.into_values());
        if let (Some(carrier), Some(afterwards)) = (peers.carrier(), afterwards) {
            carrier.post(afterwards);
        }
    }
}

impl std::fmt::Debug for Undelivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Undelivered").finish()
    }
}

/// One life of a domain, for the thread that serves it.
pub struct Server {
    peers: Arc<Peers>,
    domain: u32,
    generation: u32,
}

impl Crossing {
    /// A call of an exported function.
    #[must_use]
    pub fn call(func: Arc<ExportedFunc>, args: Vec<Value>) -> Crossing {
        Crossing { domain: func.domain, work: Work::Call { func, args }, lent: None }
    }

    pub(super) fn letter(letter: Arc<Letter>) -> Crossing {
        Crossing { domain: letter.func.domain, work: Work::Letter(letter), lent: None }
    }

    pub(super) fn arrival(domain: u32, posted: Arc<Posted>) -> Crossing {
        Crossing { domain, work: Work::Arrival(posted), lent: None }
    }

    pub(super) fn drop_resource(domain: u32, resource: Resource) -> Crossing {
        Crossing { domain, work: Work::Drop(resource), lent: None }
    }

    pub(super) fn release(borrower: u32, resources: Vec<Resource>) -> Crossing {
        Crossing { domain: borrower, work: Work::Release(resources), lent: None }
    }

    pub(super) fn give_back(domain: u32, generation: u32, handles: Vec<(u32, u32)>) -> Crossing {
        Crossing { domain, work: Work::GiveBack(Lent { domain, generation, handles }), lent: None }
    }

    /// What it is for, and what its caller has lent, as process and index.
    pub(super) fn deed(&self) -> (Deed<'_>, &[(u32, u32)]) {
        let deed = match &self.work {
            Work::Call { func, args } => Deed::Call(func, args),
            Work::Letter(letter) => Deed::Letter(letter),
            Work::Drop(resource) => Deed::Drop(*resource),
            // No adapter reaches into another OS process, so none of these goes there.
            Work::Release(_) | Work::Arrival(_) => Deed::Release,
            Work::GiveBack(lent) => Deed::GiveBack(&lent.handles),
        };
        (deed, self.lent.as_ref().map_or(&[], |lent| &lent.handles))
    }

    /// The same call, for which a life of a domain has lent handles, as process and index.
    pub(super) fn lending(self, domain: u32, generation: u32, handles: &[(u32, u32)]) -> Crossing {
        let lent = Lent { domain, generation, handles: handles.to_vec() };
        Crossing { lent: (!handles.is_empty()).then_some(lent), ..self }
    }

    /// What is to be sent when it has been served and nobody waited for that: its caller gets back what it has lent.
    #[must_use]
    pub fn afterwards(&mut self) -> Option<Crossing> {
        let lent = self.lent.take()?;
        Some(Crossing { domain: lent.domain, work: Work::GiveBack(lent), lent: None })
    }

    /// Which domain of the tree is to serve it.
    #[must_use]
    pub fn domain(&self) -> u32 {
        self.domain
    }

    /// Whether it may be served twice: nothing in it is used up.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        match &self.work {
            Work::Call { func, args } => {
                !func.ty.has_borrow() && args.iter().all(|arg| arg.owned().is_empty())
            }
            Work::Letter(letter) => letter.args.slots().is_empty(),
            _ => false,
        }
    }

    /// How much it carries: the bytes of its values, as [`Value::bytes`] counts them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match &self.work {
            Work::Call { args, .. } => args.iter().map(Value::bytes).sum(),
            Work::Letter(letter) => letter.args.carried(),
            Work::Arrival(posted) => posted.bytes(),
            _ => 0,
        }
    }

    /// The values in it, if it is not going to be served.
    #[must_use]
    pub fn into_values(self) -> Vec<Value> {
        match self.work {
            Work::Call { args, .. } => args,
            Work::Letter(letter) => letter.args.owned().map(Value::Own).collect(),
            Work::Release(resources) => resources.into_iter().map(Value::Own).collect(),
            // Whoever was to be told is no more.
            Work::Arrival(_) | Work::Drop(_) | Work::GiveBack(_) => Vec::new(),
        }
    }
}

impl Server {
    pub(super) fn new(peers: Arc<Peers>, domain: u32) -> Server {
        let generation = peers.generation(domain);
        Server { peers, domain, generation }
    }

    /// Begins the next life of the domain once nobody executes it; from now on this serves that. Gives whether it has: not
    /// if it is not `wanted` any more by then. Who begins a later life must have seen to that before.
    ///
    /// # Errors
    /// Address space is exhausted, or a start function trapped: then the domain is gone.
    pub fn restart(&mut self, why: &Trap, wanted: &dyn Fn() -> bool) -> Result<bool, LaunchError> {
        Peers::restart(&self.peers, self.domain, why, &mut self.generation, wanted)
    }

    /// Serves a crossing, on the calling thread.
    ///
    /// # Errors
    /// The fault; [`Trap::Gone`] once this life of the domain has ended.
    pub fn serve(&self, crossing: &Crossing) -> Result<Option<Value>, Fault> {
        if let Work::Release(resources) = &crossing.work {
            resources.iter().for_each(|resource| self.peers.release(*resource));
            return Ok(None);
        }
        if self.peers.is_apart(self.domain) {
            return apart::serve(&self.peers, self.domain, Some(self.generation), &crossing.deed().0);
        }
        let mut domain = self.peers.life(self.domain, self.generation)?;
        Running::of_mut(&mut domain).refresh(&self.peers);
        match &crossing.work {
            Work::Call { func, args } => call::call(&mut domain, func, args),
            Work::Letter(letter) => call::answer(&mut domain, letter).map(|()| None),
            Work::Arrival(posted) => posted.serve(&mut domain),
            Work::Drop(resource) if resource.generation != self.generation => Ok(None),
            Work::Drop(resource) => destroy(&mut domain, None, resource.ty, resource.rep).map(|()| None),
            Work::GiveBack(lent) => {
                if lent.generation == self.generation {
                    Running::of_mut(&mut domain).handles.give_back(&lent.handles);
                }
                Ok(None)
            }
            Work::Release(_) => Ok(None),
        }
    }

    /// Sends something to another domain of the tree, for nobody who waits.
    pub fn post(&self, crossing: Crossing) {
        if let Some(carrier) = self.peers.carrier() {
            carrier.post(crossing);
        }
    }

    /// Ends this life of the domain: its memories are unmapped, what it held of others is given back, and calls to it
    /// are refused with the reason.
    pub fn end(&self, why: &Trap) {
        self.peers.end(self.domain, self.generation, why);
    }

    /// The domain, in the life that this serves.
    #[must_use]
    pub fn domain_id(&self) -> DomainId {
        DomainId { index: self.domain, generation: self.generation }
    }

    /// Which of the domain's lives this serves.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }
}

/// Serves a call in one life of its domain, on the stack of the calling thread, which has these bounds.
///
/// # Errors
/// The fault; [`Trap::Gone`] once this life has ended.
pub(super) fn serve_call(
    peers: &Peers,
    generation: u32,
    crossing: &Crossing,
    stack: StackBounds,
) -> Result<Option<Value>, Fault> {
    let Work::Letter(letter) = &crossing.work else { return Ok(None) };
    let func = &letter.func;
    if peers.is_apart(func.domain) {
        return apart::serve(peers, func.domain, Some(generation), &Deed::Letter(letter));
    }
    let mut domain = peers.life(func.domain, generation)?;
    Running::of_mut(&mut domain).refresh(peers);
    domain.on_stack(Some(func.callee.process), stack, |domain| call::answer(domain, letter))?;
    Ok(None)
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("domain", &self.domain).finish_non_exhaustive()
    }
}
