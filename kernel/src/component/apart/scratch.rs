//! Host functions called with values: the side of a caller that has no memory here.
//!
//! Parameters are put into a memory of their own, as a guest's would be, and what the function writes there is read. It is
//! a new one for each call, so there is nothing in it of others.

use std::any::Any;
use std::sync::Arc;

use abi::fault::Trap;
use abi::handle::HandleTable;
use abi::id::ProcessId;
use abi::plan::Passing;
use abi::scope::ScopeId;
use abi::side::{Encoding, Side};
use abi::types::{FuncType, ResourceType};
use abi::value::Resource;

use crate::component::letter::Parcel;
use crate::component::linked::HostImport;
use crate::host::{HostCall, HostFunc};
use crate::limits::MEMORY32_BYTES;
use crate::sched::lock::{Held, ParkingLock};
use crate::sched::park::checkpoint;

/// Bytes at the beginning that nothing is put into, so that no pointer is 0.
const FIRST: u32 = 8;

/// Who calls, and with what.
pub(super) struct Caller<'c> {
    pub import: &'c HostImport,
    pub process: ProcessId,
    /// Where it is in the tree.
    pub index: u32,
    pub host: &'c ParkingLock<Box<dyn Any + Send>>,
    /// Which life the implementer of each type is in.
    pub lives: &'c dyn Fn(ResourceType) -> u32,
}

/// Calls a host function. Gives its result, and what it has not taken of the parameters.
///
/// # Errors
/// Whatever it traps with.
pub(super) fn call(
    caller: &Caller<'_>,
    func: &dyn HostFunc,
    args: &Parcel,
) -> (Result<Parcel, Trap>, Vec<Resource>) {
    let mut call = Scratch {
        caller,
        memory: vec![0; FIRST as usize],
        core: Vec::new(),
        handles: HandleTable::default(),
        state: None,
    };
    let result = call.run(func, args);
    let left = call.handles.owned().map(|(ty, rep, _)| call.resource(ty, rep)).collect();
    (result, left)
}

struct Scratch<'c> {
    caller: &'c Caller<'c>,
    memory: Vec<u8>,
    core: Vec<u64>,
    handles: HandleTable,
    state: Option<Held<'c, Box<dyn Any + Send>>>,
}

impl Scratch<'_> {
    fn run(&mut self, func: &dyn HostFunc, args: &Parcel) -> Result<Parcel, Trap> {
        let HostImport { ty, params, results, slots, .. } = self.caller.import;
        let mut core = args.lower_params(self, ty, params)?;
        let mut pointer = None;
        if let Passing::Memory(layout) = results {
            let side: &mut dyn Side = self;
            let at = side.allocate(0, 0, layout.align, layout.size)?;
            core.push(u64::from(at));
            pointer = Some(u64::from(at));
        }
        core.resize(core.len().max(*slots), 0);
        self.core = core;
        func.call(self)?;
        self.state = None;
        let returned = pointer.map_or_else(|| self.core.clone(), |pointer| vec![pointer]);
        Parcel::of_results(self, ty, results, &returned)
    }

    fn resource(&self, ty: ResourceType, rep: u32) -> Resource {
        Resource { ty, rep, generation: (self.caller.lives)(ty) }
    }
}

impl HostCall for Scratch<'_> {
    fn core(&mut self) -> &mut [u64] {
        &mut self.core
    }

    fn func_type(&self) -> Arc<FuncType> {
        Arc::clone(&self.caller.import.ty)
    }

    fn process(&self) -> ProcessId {
        self.caller.process
    }

    fn process_index(&self) -> u32 {
        self.caller.index
    }

    fn state(&mut self) -> &mut (dyn Any + Send) {
        let host = self.caller.host;
        &mut ***self.state.get_or_insert_with(|| host.lock())
    }

    fn release_state(&mut self) {
        self.state = None;
    }
}

impl Side for Scratch<'_> {
    fn encoding(&self) -> Encoding {
        Encoding::Utf8
    }

    fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn realloc(&mut self, old: u32, old_bytes: u32, align: u32, new_bytes: u32) -> Result<u32, Trap> {
        let at = self.memory.len().next_multiple_of(align as usize);
        let end = at + new_bytes as usize;
        if end > MEMORY32_BYTES {
            let (value, allowed) = (end as u64, MEMORY32_BYTES as u64);
            return Err(Trap::Limit { limit: "bytes of a host call's values", value, allowed });
        }
        self.memory.resize(end, 0);
        let (old, kept) = (old as usize, old_bytes.min(new_bytes) as usize);
        self.memory.copy_within(old..old + kept, at);
        Ok(at as u32)
    }

    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.handles.lift_own(ty, index)
    }

    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.handles.rep(ty, index)
    }

    fn lower_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.handles.add_own(ty, rep)
    }

    fn lower_borrow(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.handles.add_borrow(ty, rep, ScopeId(0))
    }

    fn checkpoint(&mut self) -> Result<(), Trap> {
        checkpoint()
    }

    fn generation(&self, ty: ResourceType) -> u32 {
        (self.caller.lives)(ty)
    }

    fn known(&self, resource: &Resource) -> Result<ResourceType, Trap> {
        let lives = (self.caller.lives)(resource.ty) == resource.generation;
        Ok(if lives { resource.ty } else { ResourceType::GONE })
    }
}
