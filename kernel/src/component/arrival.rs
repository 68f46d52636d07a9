//! Calls over a boundary in compiled code: what the caller's memory has is lifted and lowered into the callee's in one pass,
//! on the callee's stack, while the caller waits below.
//!
//! Calls that lend or move handles do not go this way. A caller whose wait may end before the callee's is not read from
//! after that: where there is a deadline, what is in memory is lifted before the call.

use std::sync::{Arc, Mutex, PoisonError};

use abi::fault::{Fault, Trap};
use abi::flat::flatten;
use abi::plan::{Endpoint, Passing, Plan};
use abi::side::Encoding;
use abi::types::{FuncType, ValType};
use abi::value::Value;

use super::call::{self, Opened, blame, count_bytes};
use super::carrier::Crossing;
use super::dispatch::{self, dispatch};
use super::guest::Guest;
use super::letter::Parcel;
use super::linked::{ExportedFunc, HostImport, Linked, Target};
use super::neighbour::{Resident, lost, neighbour, terms};
use super::peers::Peers;
use super::port::{EdgePolicy, OnFault, Port, failed};
use super::running::Running;
use super::standing::ProcessMeter;
use super::task::deliver;
use crate::domain::Domain;
use crate::jit::fuse::entrance::{CALLERS_MEMORY, COUNTED, ELSEWHERE, LANDED, SLOTS, carried_always};
use crate::jit::fuse::nodes;
use crate::limits::COUNTED_NODES;
use crate::mem::linear::Memory;
use crate::mem::stack::StackBounds;
use crate::sched::handoff::{Away, Errand, Handed, Order, hand_off};
use crate::sched::park::{self, current_thread};
use crate::vm::VmMemorySlot;
use crate::vm::flags::MAY_ENTER;

/// How compiled code makes the calls over a port.
#[derive(Clone, Debug)]
pub struct Direct {
    /// Which adapter of the callee's domain.
    adapter: u32,
    /// Whether it reads the caller's memory.
    reads: bool,
    /// What the arguments carry.
    args: Load,
    /// What a result in a core value carries.
    result: u64,
}

/// How it is known what arguments carry, as [`Value::bytes`] counts it.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// It is always the same.
    Fixed(u64),
    /// Their core values tell.
    Told,
    /// It is counted while they are copied: this much at least.
    Counted(u64),
}

impl Direct {
    /// Whether it reads the caller's memory.
    pub(super) fn reads(&self) -> bool {
        self.reads
    }

    /// The plan of the callee's half of a call, if it is one for compiled code; `adapter` is where it will be.
    pub(super) fn plan(
        ty: &FuncType,
        caller: &Endpoint,
        callee: (&Endpoint, u32),
        policy: &EdgePolicy,
        adapter: u32,
    ) -> Option<(Direct, Plan)> {
        let params = || ty.params.iter().map(|(_, ty)| ty);
        if params().chain(&ty.result).any(ValType::has_handle) {
            return None;
        }
        let in_memory = matches!(Passing::params(ty), Passing::Memory(_));
        let reads = in_memory || params().any(ValType::has_pointer);
        let args = match params().map(fixed_bytes).sum::<Option<u64>>() {
            Some(bytes) => Load::Fixed(bytes),
            None if !in_memory && params().all(is_counted) => Load::Told,
            None => Load::Counted(params().map(carried_always).sum()),
        };
        let counts = matches!(args, Load::Counted(_));
        // What no compiled code is made for before it was refused at link time.
        let is_huge = params().any(|ty| nodes(ty, COUNTED_NODES) > COUNTED_NODES);
        let in_utf8 = !params().any(ValType::has_pointer) || caller.encoding == Encoding::Utf8;
        let retried = matches!(policy.on_fault, OnFault::Retry(_));
        let unreadable = reads && (policy.deadline_ns.is_some() || caller.memory.is_none());
        if counts && is_huge || !in_utf8 || retried || unreadable {
            return None;
        }
        let memory = reads.then_some(CALLERS_MEMORY);
        let process = if counts { COUNTED } else { ELSEWHERE };
        let caller = Endpoint { process, memory, realloc: None, ..caller.clone() };
        let result = ty.result.as_ref().and_then(fixed_bytes).unwrap_or(0);
        let plan = Plan::new(ty.clone(), caller, callee.0.clone(), callee.1);
        Some((Direct { adapter, reads, args, result }, plan))
    }
}

/// What a value of this type carries, if that is always the same.
fn fixed_bytes(ty: &ValType) -> Option<u64> {
    match ty {
        ValType::Bool | ValType::S8 | ValType::U8 => Some(1),
        ValType::S16 | ValType::U16 => Some(2),
        ValType::S64 | ValType::U64 | ValType::F64 => Some(8),
        ValType::String | ValType::List(_) | ValType::Map(_) => None,
        ValType::FixedList(elem, count) => fixed_bytes(elem)?.checked_mul(u64::from(*count)),
        ValType::Record(fields) => fields.iter().map(|field| fixed_bytes(&field.ty)).sum(),
        ValType::Tuple(types) => types.iter().map(fixed_bytes).sum(),
        ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
            (flatten(ty).len() == 1).then_some(4)
        }
        _ => Some(4),
    }
}

/// Whether what a flat value carries can be told from its core values.
fn is_counted(ty: &ValType) -> bool {
    match ty {
        ValType::List(elem) => fixed_bytes(elem).is_some(),
        ValType::Map(entry) => fixed_bytes(&entry.0).is_some() && fixed_bytes(&entry.1).is_some(),
        ValType::Record(fields) => fields.iter().all(|field| is_counted(&field.ty)),
        ValType::Tuple(types) => types.iter().all(is_counted),
        ValType::String => true,
        other => fixed_bytes(other).is_some(),
    }
}

/// What a flat value carries, of a type that [`is_counted`].
fn bytes(ty: &ValType, core: &mut impl Iterator<Item = u64>) -> u64 {
    let mut pair = |each: Option<u64>| {
        let count = core.nth(1).unwrap_or(0) & u64::from(u32::MAX);
        count.saturating_mul(each.unwrap_or(0))
    };
    match ty {
        ValType::String => pair(Some(1)),
        ValType::List(elem) => pair(fixed_bytes(elem)),
        ValType::Map(entry) => pair(fixed_bytes(&entry.0).zip(fixed_bytes(&entry.1)).map(|(a, b)| a + b)),
        ValType::Record(fields) => fields.iter().map(|field| bytes(&field.ty, core)).sum(),
        ValType::Tuple(types) => types.iter().map(|ty| bytes(ty, core)).sum(),
        other => {
            let values = flatten(other).len();
            core.by_ref().take(values).for_each(drop);
            fixed_bytes(other).unwrap_or(0)
        }
    }
}

/// A call, but for its core values.
pub(super) struct Arrival<'c> {
    pub func: &'c ExportedFunc,
    pub direct: &'c Direct,
    /// What its arguments carry.
    pub bytes: u64,
    /// The caller's memory, if it is read.
    pub memory: Option<VmMemorySlot>,
}

/// A call whose callee is handed the processor. All that runs it is one function, in which its parts are in registers: they were
/// written just before, and to copy them as a block would be to wait for that.
struct Visit<'c> {
    arrival: Arrival<'c>,
    peers: &'c Peers,
    generation: u32,
    /// The caller's core values. They are looked at before anything runs.
    core: &'c [u64],
}

/// A call that is sent as a message: everything that it needs is in it. Its caller waits.
pub(super) struct Posted {
    linked: Arc<Linked>,
    from: u32,
    index: usize,
    core: [u64; SLOTS],
    bytes: u64,
    memory: Option<Arc<Memory>>,
    arrived: Mutex<Option<Arrived>>,
}

/// How it ended: two words, which are passed in registers.
pub(super) enum Arrived {
    /// The callee has returned a core value.
    Core(u64),
    /// Anything else.
    Other(Box<Other>),
}

pub(super) enum Other {
    /// It is for an earlier life.
    Stale,
    /// The caller's values are no values: its own trap.
    Refused(Fault),
    /// The callee has returned a core value, for arguments that carried so much as was only counted on the way.
    Counted(u64, u64),
    /// The callee has returned what was in its memory, for arguments that carried so much.
    Parcel(Parcel, u64),
    Failed(Fault),
}

impl Arrived {
    pub fn other(other: Other) -> Arrived {
        Arrived::Other(Box::new(other))
    }

    #[cold]
    pub fn failed(fault: impl Into<Fault>) -> Arrived {
        Arrived::other(Other::Failed(fault.into()))
    }

    pub fn is_stale(&self) -> bool {
        matches!(self, Arrived::Other(other) if matches!(**other, Other::Stale))
    }

    /// The fault that it ended with, if it did.
    #[inline]
    fn fault(&self) -> Option<&Fault> {
        match self {
            Arrived::Core(_) => None,
            Arrived::Other(other) => match &**other {
                Other::Refused(fault) | Other::Failed(fault) => Some(fault),
                Other::Stale | Other::Counted(..) | Other::Parcel(..) => None,
            },
        }
    }
}

impl Errand for Visit<'_> {
    type Outcome = Arrived;

    #[inline(always)]
    fn run(self, stack: StackBounds) -> Arrived {
        // To lock the domain may be to wait, and the caller may be gone after that.
        let mut slots = [0; SLOTS];
        fill(&mut slots, self.core);
        self.arrival.arrive(self.peers, self.generation, &mut slots, stack)
    }
}

/// Puts core values into the slots of a call. A few are copied one by one: they have just been written, and as a block they would
/// be waited for.
#[inline]
fn fill(slots: &mut [u64; SLOTS], core: &[u64]) {
    match *core {
        [] => (),
        [a] => slots[0] = a,
        [a, b] => (slots[0], slots[1]) = (a, b),
        [a, b, c] => (slots[0], slots[1], slots[2]) = (a, b, c),
        [a, b, c, d] => (slots[0], slots[1], slots[2], slots[3]) = (a, b, c, d),
        _ => slots[..core.len()].copy_from_slice(core),
    }
}

impl Posted {
    /// What its arguments carry.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Serves it in the callee's domain. What the callee returns stays here.
    ///
    /// # Errors
    /// The callee's fault.
    pub fn serve(&self, domain: &mut Domain) -> Result<Option<Value>, Fault> {
        let import = &self.linked.domains[self.from as usize].imports[self.index];
        let Target::Port(Port { func, direct: Some(direct), .. }) = &import.target else { return Ok(None) };
        let memory = self.memory.as_ref().map(|memory| memory.slot());
        let mut slots = self.core;
        let arrival = Arrival { func, direct, bytes: self.bytes, memory };
        let arrived = match arrival.serve(domain, &mut slots) {
            Arrived::Other(other) => match *other {
                Other::Failed(fault) => return Err(fault),
                other => Arrived::other(other),
            },
            core @ Arrived::Core(_) => core,
        };
        *self.arrived.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrived);
        Ok(None)
    }
}

impl std::fmt::Debug for Posted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Posted").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Arrival<'_> {
    /// Serves the call in the life of the callee's domain that it is for, on a stack of that domain's thread, which runs this.
    #[inline(always)]
    pub fn arrive(
        &self,
        peers: &Peers,
        generation: u32,
        slots: &mut [u64; SLOTS],
        stack: StackBounds,
    ) -> Arrived {
        let func = self.func;
        // Only the thread that runs this begins another life.
        if peers.generation(func.domain) != generation {
            return Arrived::other(Other::Stale);
        }
        let mut domain = match peers.life(func.domain, generation) {
            Ok(domain) => domain,
            Err(trap) => return Arrived::failed(trap),
        };
        Running::of_mut(&mut domain).refresh(peers);
        domain.on_stack(Some(func.callee.process), stack, |domain| self.serve(domain, slots))
    }

    #[inline(always)]
    fn serve(&self, domain: &mut Domain, slots: &mut [u64; SLOTS]) -> Arrived {
        let mut opened = Opened::default();
        if let Err(fault) = call::open(domain, self.func, &mut opened) {
            return Arrived::failed(*fault);
        }
        let arrived = self.invoke(domain, slots);
        match call::close(domain, self.func, &opened, arrived.fault(), (0, 0)) {
            Ok(()) => arrived,
            Err(fault) => Arrived::failed(*fault),
        }
    }

    #[inline(always)]
    fn invoke(&self, domain: &mut Domain, slots: &mut [u64; SLOTS]) -> Arrived {
        let (func, process) = (self.func, self.func.callee.process);
        let program = Running::of(domain).program();
        let adapters = Running::of(domain).watch.arrivals(program);
        let (entry, memories) = (adapters.entrance(self.direct.adapter), program.memory_slots);
        if let Some(memory) = self.memory {
            domain.lend_memory(memories, memory);
        }
        // SAFETY: the adapter is of this domain's program, and takes as many slots.
        let entered = unsafe { domain.enter_adapter(process, entry, slots.as_mut_ptr()) };
        if let Err(fault) = entered {
            return faulted(domain, process, slots[LANDED] != 0, *fault);
        }
        match (self.direct.args, &func.results) {
            (Load::Fixed(_) | Load::Told, Passing::Flat(_)) => {
                count_bytes(domain, func, self.bytes, self.direct.result);
                Arrived::Core(slots[0])
            }
            _ => returned(domain, func, self.direct, self.bytes, slots[0]),
        }
    }
}

/// What a call comes to whose adapter has returned this, and whose arguments carried so much as far as that is told.
fn returned(domain: &mut Domain, func: &ExportedFunc, direct: &Direct, told: u64, core: u64) -> Arrived {
    let bytes = match direct.args {
        Load::Counted(always) => always.saturating_add(domain.carried()),
        Load::Fixed(_) | Load::Told => told,
    };
    if let Passing::Flat(_) = &func.results {
        count_bytes(domain, func, bytes, direct.result);
        return Arrived::other(Other::Counted(core, bytes));
    }
    let result = call::finish(domain, func, &[u128::from(core as u32)], |guest, core| {
        Parcel::of_results(guest, &func.ty, &func.results, core)
    });
    match result {
        Ok(result) => {
            count_bytes(domain, func, bytes, result.carried());
            Arrived::other(Other::Parcel(result, bytes))
        }
        Err(fault) => Arrived::failed(fault),
    }
}

/// What a call comes to whose adapter has faulted; `landed` once the callee had been entered.
#[cold]
fn faulted(domain: &mut Domain, process: u32, landed: bool, fault: Fault) -> Arrived {
    let may_enter = domain.flags(process) & MAY_ENTER != 0;
    if landed || !may_enter || is_verdict(&fault.trap) {
        return Arrived::failed(fault);
    }
    // Nothing of the callee has run that went wrong.
    match fault.trap {
        Trap::StackOverflow | Trap::Limit { .. } => Arrived::failed(blame(domain, process, fault.trap)),
        _ => Arrived::other(Other::Refused(fault)),
    }
}

fn is_verdict(trap: &Trap) -> bool {
    current_thread().and_then(|thread| thread.verdict()).is_some_and(|verdict| verdict == *trap)
}

/// Makes a call through a port, which import `index` is, if compiled code can: at once if its callee is free, else with a
/// message.
///
/// # Errors
/// The trap that ends the caller's call; boxed, as who passes a result on would copy the room for it.
#[inline]
pub(super) fn call(
    domain: &mut Domain,
    import: &HostImport,
    index: usize,
    port: &Port,
    core: &mut [u64],
) -> Option<Result<(), Box<Trap>>> {
    let direct = port.direct.as_ref()?;
    let running = Running::of_mut(domain);
    // SAFETY: whoever executes a domain of a tree holds its peers.
    let peers = unsafe { &*running.peers.as_ptr() };
    if peers.is_apart(port.func.domain) {
        return None;
    }
    running.refresh(peers);
    let bytes = match direct.args {
        Load::Fixed(bytes) | Load::Counted(bytes) => bytes,
        Load::Told => {
            let mut core = core.iter().copied();
            import.ty.params.iter().map(|(_, ty)| bytes(ty, &mut core)).sum()
        }
    };
    let dispatched = match running.lines.get(port.func.domain as usize) {
        Some(Some(_)) => dispatch(domain, (import, index, port), direct, (core, bytes)),
        _ => None,
    };
    let arrived =
        match dispatched.or_else(|| visit(domain, peers, (import, index, port), direct, (core, bytes))) {
            Some(arrived) => arrived,
            None => post(domain, peers, (import, index, port), direct, (core, bytes))?,
        };
    let count_out = |domain: &Domain, bytes| {
        if let Some(meter) = Running::of(domain).standing.meter(import.caller.process) {
            ProcessMeter::count(&meter.bytes_out, bytes);
        }
    };
    let other = match arrived {
        Arrived::Core(value) => {
            count_out(domain, bytes);
            core.first_mut().into_iter().for_each(|first| *first = value);
            return Some(Ok(()));
        }
        Arrived::Other(other) => *other,
    };
    let carried = match &other {
        Other::Counted(_, bytes) | Other::Parcel(_, bytes) => *bytes,
        _ => bytes,
    };
    count_out(domain, carried);
    let ended = match other {
        Other::Counted(value, _) => {
            core.first_mut().into_iter().for_each(|first| *first = value);
            Ok(())
        }
        Other::Parcel(result, _) => deliver(&mut Guest::new(domain, &import.caller), import, &result, core),
        Other::Failed(fault) => failed(domain, import, port, fault, core),
        Other::Refused(fault) => Err(fault.trap),
        Other::Stale => Err(Trap::CannotEnter),
    };
    Some(ended.map_err(Box::new))
}

/// Hands the processor over to the callee, if it is free.
#[inline]
fn visit(
    domain: &mut Domain,
    peers: &Peers,
    (import, index, port): (&HostImport, usize, &Port),
    direct: &Direct,
    (core, bytes): (&[u64], u64),
) -> Option<Arrived> {
    let running = Running::of_mut(domain);
    let from = running.number;
    let found = neighbour(running, peers, index, port)?;
    // SAFETY: what a domain knows of its neighbours changes only when it refreshes that, and it is executed by us.
    let (resident, generation) = (unsafe { &*std::ptr::from_ref(&*found.resident) }, found.generation);
    let memory = import.caller.memory.filter(|_| direct.reads).map(|slot| domain.memory_slot(slot));
    let after_ns = port.policy.deadline_ns;
    let began_ns = after_ns.map_or(0, |_| park::now_ns());
    let terms = terms(resident, port.func.domain, from, began_ns, after_ns);
    let arrival = Arrival { func: &port.func, direct, bytes, memory };
    let mut order = Order::new(Visit { arrival, peers, generation, core });
    // SAFETY: if it leaves, it is given what keeps the peers, with them the program, and the memory.
    match unsafe { hand_off(&terms, &mut order) } {
        Handed::Refused => None,
        Handed::Done => order.outcome().filter(|arrived| !arrived.is_stale()),
        Handed::Lost => Some(Arrived::failed(lost())),
        Handed::Left(away) => Some(follow(domain, import, resident, (began_ns, after_ns), away)),
    }
}

/// Sends the callee a message, and waits. Nothing if nobody carries messages, or if what this one carries matters and is not
/// known.
fn post(
    domain: &mut Domain,
    peers: &Peers,
    (import, index, port): (&HostImport, usize, &Port),
    direct: &Direct,
    (core, bytes): (&[u64], u64),
) -> Option<Arrived> {
    dispatch::draw(Running::of_mut(domain), peers, index, port);
    let (running, carrier) = (Running::of(domain), peers.carrier()?);
    if matches!(direct.args, Load::Counted(_)) && carrier.measures(port.func.domain) {
        return None;
    }
    let slot = import.caller.memory.filter(|_| direct.reads);
    let memory = slot.and_then(|slot| running.memories.get(slot as usize)?.clone());
    let mut slots = [0; SLOTS];
    fill(&mut slots, core);
    let posted = Arc::new(Posted {
        linked: Arc::clone(&running.linked),
        from: running.number,
        index,
        core: slots,
        bytes,
        memory: memory.map(|memory| memory.memory),
        arrived: Mutex::new(None),
    });
    let crossing = Crossing::arrival(port.func.domain, Arc::clone(&posted));
    Some(match carrier.carry(running.number, crossing, &port.policy) {
        Ok(_) => {
            let arrived = posted.arrived.lock().unwrap_or_else(PoisonError::into_inner).take();
            arrived.unwrap_or_else(|| Arrived::failed(lost()))
        }
        Err(fault) => Arrived::failed(fault),
    })
}

/// Waits for a call that has left the processor.
#[cold]
fn follow(
    domain: &Domain,
    import: &HostImport,
    resident: &dyn Resident,
    (began_ns, after_ns): (u64, Option<u64>),
    away: Away<Arrived>,
) -> Arrived {
    let running = Running::of(domain);
    let memory = import.caller.memory.and_then(|slot| running.memories.get(slot as usize)?.clone());
    let mut sent = Some((away, running.peers.upgrade(), memory));
    let parcel = Arc::new(Mutex::new(None));
    let answer = resident.follow(running.number, began_ns, after_ns, &mut |receiver| {
        let (Some((away, peers, memory)), parcel) = (sent.take(), Arc::clone(&parcel)) else { return };
        away.go_on(move |arrived| {
            drop((peers, memory));
            *parcel.lock().unwrap_or_else(PoisonError::into_inner) = Some(arrived);
            receiver(Ok(None));
        });
    });
    match answer {
        Ok(_) => {
            let arrived = parcel.lock().unwrap_or_else(PoisonError::into_inner).take();
            arrived.unwrap_or_else(|| Arrived::failed(lost()))
        }
        Err(fault) => Arrived::failed(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::types::ResourceType;

    fn load(ty: ValType, policy: &EdgePolicy) -> Option<Load> {
        let ty = FuncType { params: [("p".into(), ty)].into(), result: None, is_async: false };
        let caller = Endpoint { memory: Some(0), ..Endpoint::default() };
        let callee = Endpoint { memory: Some(1), realloc: Some(0), ..Endpoint::default() };
        Direct::plan(&ty, &caller, (&callee, 0), policy, 0).map(|(direct, _)| direct.args)
    }

    fn list(elem: ValType) -> ValType {
        ValType::List(Arc::new(elem))
    }

    #[test]
    fn what_compiled_code_takes_over_a_boundary() {
        let load = |ty| load(ty, &EdgePolicy::default());
        let pair = |a, b| ValType::Tuple([a, b].into());
        assert!(matches!(load(pair(ValType::U8, ValType::U32)), Some(Load::Fixed(5))));
        assert!(matches!(load(pair(ValType::U8, ValType::String)), Some(Load::Told)));
        assert!(matches!(load(list(list(ValType::U8))), Some(Load::Counted(0))));
        assert!(matches!(load(pair(ValType::U16, list(ValType::String))), Some(Load::Counted(2))));
        assert!(matches!(load(ValType::Option(Arc::new(ValType::String))), Some(Load::Counted(4))));
        assert!(load(list(ValType::Own(ResourceType(0)))).is_none(), "handles go in letters");
        let huge = ValType::Tuple((0..300).map(|_| ValType::String).collect());
        assert!(load(list(huge)).is_none(), "so do types that would be much code");
    }

    #[test]
    fn what_may_be_read_late_is_read_before() {
        let late = EdgePolicy { deadline_ns: Some(1), ..EdgePolicy::default() };
        assert!(load(list(ValType::U8), &late).is_none());
        assert!(load(ValType::U8, &late).is_some());
    }
}
