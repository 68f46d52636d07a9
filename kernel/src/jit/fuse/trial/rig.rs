//! A domain of two processes with a memory each, whose core functions are the host's.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::OnceLock;

use abi::fault::{Fault, Trap};
use abi::flat::CoreType;
use abi::handle::HandleTable;
use abi::id::ProcessId;
use abi::plan::{Endpoint, Passing, Plan};
use abi::scope::Handles;
use abi::side::Encoding;
use abi::types::{FuncType, ResourceType};

use crate::domain::externs::{Extern, Func, MemoryRef};
use crate::domain::upcalls::ComponentHooks;
use crate::domain::{Domain, DomainOptions};
use crate::jit::engine::{Engine, EngineOptions};
use crate::jit::fuse::Adapters;
use crate::jit::fuse::reason::Reason;
use crate::jit::fuse::spec::{AdapterSpec, Callees, Implementer, Implementers};
use crate::jit::sig::SigId;
use crate::jit::valtype::{CoreFuncType, ValType as CoreVal};
use crate::mem::linear::MemoryType;
use crate::vm::{self, DomainLayout, VmFuncImport, flags};

use super::ploy::{Ploy, carried_out};

/// Function slots, which are also the numbers of the host imports behind them.
pub const REALLOC: [u32; 2] = [0, 1];
pub const CORE: u32 = 2;
pub const POST_RETURN: u32 = 3;
const SLOTS: u32 = 4;
/// Whose the host imports are that stand for the guests' own code: it may always call out.
const NOBODY: u32 = 2;
/// The resource type that process 1 defines.
pub const DEFINED: ResourceType = ResourceType(0);
/// Another one, whose destructor is in the slot [`POST_RETURN`].
pub const DESTROYED: ResourceType = ResourceType(2);

/// Pages of one byte, so that bounds are exact.
const CAPACITY: u64 = 1 << 20;

/// What the callee's core function does: reads its parameters from the slots and leaves its results there.
pub type Core = Box<dyn FnMut(&mut Domain, &mut [u64]) -> Result<(), Trap> + Send>;

/// Compiled adapters, for any number of worlds.
pub struct Rig {
    layout: DomainLayout,
    adapters: Adapters,
    room: Vec<usize>,
    /// How many of them fill function slots.
    filled: u32,
    sigs: Vec<SigId>,
    encodings: [Encoding; 2],
}

/// A domain of two processes; 0 calls 1.
pub struct World {
    pub domain: Domain,
    /// What can be called from outside, first the adapter that a test is about.
    funcs: Vec<Func>,
}

/// What the hooks work on.
pub struct Guests {
    pub memories: Vec<MemoryRef>,
    pub encodings: [Encoding; 2],
    /// Where the next allocation begins.
    pub ends: [u32; 2],
    /// What `realloc` gives instead.
    pub lie: [Option<u32>; 2],
    /// What `realloc` does the next times that an adapter calls it.
    pub ploys: [VecDeque<Ploy>; 2],
    /// Where each process's memory may change.
    pub grants: [Vec<Range<u64>>; 2],
    /// The trap that must end the call, as a ploy has failed.
    pub due: Option<Trap>,
    /// Whether a ploy gave out memory that is in use.
    pub overlapping: bool,
    /// The adapter, for a ploy that calls it.
    pub adapter: Option<Func>,
    pub handles: Handles,
    pub core: Option<Core>,
    /// How many slots the stub of an import has.
    room: Vec<usize>,
    /// What was called, in order, and whether its process could call out then.
    pub log: Vec<(u32, bool)>,
    /// How far above the hook's frame the last stub noted its own.
    pub noted: Option<usize>,
    adapters: Adapters,
}

impl Guests {
    /// Whether an import was called.
    pub fn called(&self, import: u32) -> bool {
        self.log.iter().any(|(called, _)| *called == import)
    }
}

/// One engine for all tests.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let options = EngineOptions { verify: true, threads: Some(1), ..EngineOptions::default() };
        Engine::with(options).expect("this machine is supported")
    })
}

/// Process `process` with everything that an endpoint can have.
pub fn side(process: u32, encoding: Encoding) -> Endpoint {
    let (memory, realloc) = (Some(process), Some(REALLOC[process as usize]));
    Endpoint { process, encoding, memory, realloc, post_return: None }
}

/// Process 1 implements these.
pub fn implementers() -> Implementers {
    let implementer = |dtor| Implementer { process: 1, dtor };
    Implementers::from([(DEFINED, implementer(None)), (DESTROYED, implementer(Some(POST_RETURN)))])
}

/// A call to the host.
pub fn host(import: u32, process: u32, params: &[CoreType], results: &[CoreType]) -> AdapterSpec {
    let name = format!("import {import}");
    AdapterSpec::Host {
        params: params.to_vec(),
        results: results.to_vec(),
        import,
        address: None,
        process,
        leaves: true,
        name,
    }
}

impl Rig {
    /// One call of this type.
    pub fn new(ty: &FuncType, encodings: [Encoding; 2], post_return: bool) -> Rig {
        let mut callee = side(1, encodings[1]);
        callee.post_return = post_return.then_some(POST_RETURN);
        Rig::of(Plan::new(ty.clone(), side(0, encodings[0]), callee, CORE))
    }

    /// One call of this plan.
    pub fn of(plan: Plan) -> Rig {
        let encodings = [plan.caller.encoding, plan.callee.encoding];
        let (params, results) = Passing::lifted(&plan.params, &plan.results);
        let realloc = |process: usize| host(REALLOC[process], NOBODY, &[CoreType::I32; 4], &[CoreType::I32]);
        let slots = [
            realloc(0),
            realloc(1),
            host(CORE, NOBODY, &params, &results),
            host(POST_RETURN, NOBODY, &results, &[]),
        ];
        let spec = AdapterSpec::Call { plan, name: "caller → callee  test#call".to_owned() };
        Rig::with(slots.into(), vec![spec], encodings)
    }

    /// Several adapters; others fill the first function slots.
    pub fn with(slots: Vec<AdapterSpec>, specs: Vec<AdapterSpec>, encodings: [Encoding; 2]) -> Rig {
        let layout = DomainLayout::new(3, SLOTS, 2);
        let filled = slots.len() as u32;
        let all: Vec<AdapterSpec> = slots.into_iter().chain(specs).collect();
        let compiled = Adapters::compile(engine(), &all, layout, &implementers(), &Callees::new());
        let adapters = compiled.expect("they are small");
        let sigs = all[filled as usize..].iter().map(signature).collect();
        Rig { layout, adapters, room: all.iter().map(room).collect(), filled, sigs, encodings }
    }

    /// Two processes that have done nothing yet.
    pub fn world(&self) -> World {
        let guests = Guests {
            memories: Vec::new(),
            room: self.room.clone(),
            encodings: self.encodings,
            ends: [8; 2],
            lie: [None; 2],
            ploys: Default::default(),
            grants: Default::default(),
            due: None,
            overlapping: false,
            adapter: None,
            handles: Handles::new(2),
            core: None,
            log: Vec::new(),
            noted: None,
            adapters: self.adapters.clone(),
        };
        let options = DomainOptions { layout: self.layout, hooks: &Trial, state: Box::new(guests) };
        let mut domain = Domain::new(engine(), options);
        let memories = vec![memory(&mut domain), memory(&mut domain)];
        for (memory, slot) in memories.iter().zip(0..) {
            domain.set_memory_slot(slot, &memory.memory);
        }
        guests_of(&mut domain).memories = memories;
        let import = |adapter| VmFuncImport { code: self.adapters.func(adapter), ctx: domain.vm() };
        let key = domain.key();
        let func = |(adapter, sig): (u32, &SigId)| Func { import: import(adapter), sig: *sig, domain: key };
        let funcs: Vec<Func> = (self.filled..).zip(&self.sigs).map(func).collect();
        let imports: Vec<VmFuncImport> = (0..self.filled).map(import).collect();
        for (import, slot) in imports.into_iter().zip(0..) {
            domain.set_func_slot(slot, import);
        }
        guests_of(&mut domain).adapter = funcs.first().copied();
        World { funcs, domain }
    }
}

impl World {
    /// A world for one call of this type.
    #[cfg(test)]
    pub fn new(ty: &FuncType, encodings: [Encoding; 2], post_return: bool) -> World {
        Rig::new(ty, encodings, post_return).world()
    }

    /// A world for one call of this plan.
    #[cfg(test)]
    pub fn of(plan: Plan) -> World {
        Rig::of(plan).world()
    }

    /// A world for one adapter; others fill the first function slots.
    #[cfg(test)]
    pub fn with(slots: Vec<AdapterSpec>, spec: AdapterSpec, encodings: [Encoding; 2]) -> World {
        Rig::with(slots, vec![spec], encodings).world()
    }

    pub fn guests(&mut self) -> &mut Guests {
        guests_of(&mut self.domain)
    }

    /// Calls the adapter with as many core values as it takes; gives its results.
    pub fn call(&mut self, core: &[u64]) -> Result<Vec<u64>, Fault> {
        self.call_nth(0, 0, core)
    }

    /// Calls one of several adapters as this process.
    pub fn call_nth(&mut self, nth: usize, process: u32, core: &[u64]) -> Result<Vec<u64>, Fault> {
        self.guests().log.clear();
        call_as(&mut self.domain, process, self.funcs[nth], core)
    }
}

/// Calls an adapter as a process, with the first of these core values.
pub fn call_as(domain: &mut Domain, process: u32, func: Func, core: &[u64]) -> Result<Vec<u64>, Fault> {
    let ty = engine().signature(func.sig);
    let args: Vec<u128> = core.iter().map(|value| u128::from(*value)).collect();
    let mut results = vec![0; ty.results.len()];
    domain.call_process(Some(process), &func, &args[..ty.params.len()], &mut results)?;
    Ok(results.into_iter().map(|value| value as u64).collect())
}

fn signature(spec: &AdapterSpec) -> SigId {
    let (params, results) = spec.signature();
    let core = |types: &[CoreType]| types.iter().map(|core| core_val(*core)).collect();
    engine().intern(&CoreFuncType { params: core(&params), results: core(&results) })
}

/// The state of a domain of two guests.
pub fn guests_of(domain: &mut Domain) -> &mut Guests {
    domain.state_mut().expect("a domain of two guests")
}

/// The bytes of a process's memory.
pub fn memory_of(domain: &mut Domain, process: usize) -> &mut [u8] {
    let memory = guests_of(domain).memories[process].clone();
    domain.memory_mut(&memory).expect("the domain's own")
}

/// Gives new memory to a process, as its allocator does, which traps where there is no more.
pub fn allocate(
    domain: &mut Domain,
    process: usize,
    old: [u32; 2],
    align: u32,
    bytes: u32,
) -> Result<u32, Trap> {
    let guests = guests_of(domain);
    if let Some(lie) = guests.lie[process] {
        return Ok(lie);
    }
    let [pointer, old_bytes] = old;
    if pointer != 0 && bytes <= old_bytes {
        return Ok(pointer);
    }
    let new = guests.ends[process].next_multiple_of(align);
    let need = u64::from(new) + u64::from(bytes);
    let memory = guests.memories[process].clone();
    let have = memory.memory.bytes() as u64;
    if need > have && domain.memory_grow(&memory, need - have).is_none() {
        return Err(Trap::Unreachable);
    }
    let guests = guests_of(domain);
    guests.ends[process] = new + bytes;
    guests.grants[process].push(u64::from(new)..need);
    memory_of(domain, process).copy_within(pointer as usize..(pointer + old_bytes) as usize, new as usize);
    Ok(new)
}

fn memory(domain: &mut Domain) -> MemoryRef {
    let ty = MemoryType { page_log2: 0, ..MemoryType::new(64, Some(CAPACITY)) };
    match domain.host_memory(ty) {
        Ok(Extern::Memory(memory)) => memory,
        other => panic!("{other:?}"),
    }
}

fn core_val(core: CoreType) -> CoreVal {
    match core {
        CoreType::I32 => CoreVal::I32,
        CoreType::I64 => CoreVal::I64,
        CoreType::F32 => CoreVal::F32,
        CoreType::F64 => CoreVal::F64,
    }
}

fn room(spec: &AdapterSpec) -> usize {
    let (params, results) = spec.signature();
    params.len().max(results.len())
}

/// Notes where the stub that called says its frame is.
fn note(domain: &mut Domain) {
    // SAFETY: the domain's own record.
    let frame = unsafe { domain.vm().add(vm::domain::EXIT_FP as usize).cast::<usize>().read() };
    let here = &raw const frame as usize;
    guests_of(domain).noted = frame.checked_sub(here);
}

struct Trial;

// SAFETY: domains are looked into and called, never replaced; nor are the tables of the handles.
unsafe impl ComponentHooks for Trial {
    fn handles(&self, domain: &mut Domain) -> *mut HandleTable {
        guests_of(domain).handles.tables.as_mut_ptr()
    }

    fn host_call(&self, domain: &mut Domain, import: u32, values: *mut u64) -> Result<(), Trap> {
        note(domain);
        let room = guests_of(domain).room[import as usize];
        // SAFETY: the stub has so many slots.
        let slots = unsafe { std::slice::from_raw_parts_mut(values, room) };
        let process = usize::from(import != REALLOC[0]);
        let may_leave = domain.flags(process as u32) & flags::MAY_LEAVE != 0;
        let guests = guests_of(domain);
        guests.log.push((import, may_leave));
        match import {
            CORE => {
                let mut core = guests.core.take().expect("who calls has a callee");
                let result = core(domain, slots);
                guests_of(domain).core = Some(core);
                result
            }
            POST_RETURN => Ok(()),
            _ => {
                let [old, old_bytes, align, bytes] = [0, 1, 2, 3].map(|at| slots[at] as u32);
                slots[0] = u64::from(carried_out(domain, process, [old, old_bytes], align, bytes)?);
                Ok(())
            }
        }
    }

    fn resource_new(&self, domain: &mut Domain, process: u32, ty: u32, rep: u32) -> Result<u32, Trap> {
        guests_of(domain).handles.add_own(process, ResourceType(ty), rep)
    }

    fn resource_rep(&self, domain: &mut Domain, process: u32, ty: u32, handle: u32) -> Result<u32, Trap> {
        guests_of(domain).handles.rep(process, ResourceType(ty), handle)
    }

    fn resource_drop(&self, domain: &mut Domain, process: u32, ty: u32, handle: u32) -> Result<(), Trap> {
        note(domain);
        guests_of(domain).handles.drop(process, ResourceType(ty), handle).map(|_| ())
    }

    fn transfer_own(
        &self,
        domain: &mut Domain,
        from: u32,
        to: u32,
        ty: u32,
        handle: u32,
    ) -> Result<u32, Trap> {
        let handles = &mut guests_of(domain).handles;
        let rep = handles.lift_own(from, ResourceType(ty), handle)?;
        handles.add_own(to, ResourceType(ty), rep)
    }

    fn transfer_borrow(
        &self,
        domain: &mut Domain,
        from: u32,
        to: u32,
        ty: u32,
        handle: u32,
    ) -> Result<u32, Trap> {
        let (handles, ty) = (&mut guests_of(domain).handles, ResourceType(ty));
        let rep = handles.lend(from, ty, handle)?;
        if (ty, to) == (DEFINED, 1) { Ok(rep) } else { handles.borrow(to, ty, rep) }
    }

    fn scope_enter(&self, domain: &mut Domain, _callee: u32) -> Result<(), Trap> {
        guests_of(domain).handles.enter()
    }

    fn scope_exit(&self, domain: &mut Domain) -> Result<(), Trap> {
        guests_of(domain).handles.exit()
    }

    fn abi_trap(&self, _: &mut Domain, why: u32, details: [u64; 3]) -> Trap {
        Reason::numbered(why).expect("a reason").trap(details)
    }

    fn refuse(&self, domain: &mut Domain, adapter: u32) -> Trap {
        Trap::Host(guests_of(domain).adapters.refusal(adapter).expect("a refusal").to_owned())
    }

    fn process(&self, _: &Domain, process: u32) -> Option<(ProcessId, String)> {
        Some((
            ProcessId { index: process, generation: 0 },
            ["/caller", "/callee", "/nobody"][process as usize].into(),
        ))
    }

    fn faulted(&self, _: &mut Domain, _: &[u32], _: &mut Fault) {}
}
