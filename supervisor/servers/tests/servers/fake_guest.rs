//! A guest without code: a memory, an allocator, handles, and calls of host functions with values.

use std::any::Any;
use std::sync::Arc;

use abi::fault::Trap;
use abi::id::ProcessId;
use abi::plan::Passing;
use abi::run;
use abi::side::{Encoding, Side};
use abi::types::{FuncType, ResourceType};
use abi::value::Value;
use kernel::host::{HostCall, HostFunc, Import, Imports};

/// Beyond this the guest is out of memory.
const MAX_MEMORY: u32 = 64 << 20;

/// The guest and the tree's state.
pub struct FakeGuest {
    pub encoding: Encoding,
    pub memory: Vec<u8>,
    pub handles: Vec<Option<(ResourceType, u32)>>,
    end: u32,
    core: Vec<u64>,
    state: Box<dyn Any + Send>,
}

impl FakeGuest {
    pub fn new(encoding: Encoding, state: impl Any + Send) -> FakeGuest {
        let (memory, handles) = (vec![0; 1 << 16], vec![None]);
        FakeGuest { encoding, memory, handles, end: 16, core: vec![0; 32], state: Box::new(state) }
    }

    /// Calls a function with values.
    pub fn call(&mut self, func: &dyn HostFunc, args: &[Value]) -> Result<Option<Value>, Trap> {
        let ty = func.ty().expect("servers have fixed types").clone();
        let (params, results) = (Passing::params(&ty), Passing::results(&ty));
        let mut core = run::lower_params(self, &ty, &params, args)?;
        let mut returned = None;
        if let Passing::Memory(layout) = &results {
            let pointer = self.realloc(0, 0, layout.align, layout.size)?;
            core.push(pointer.into());
            returned = Some(u64::from(pointer));
        }
        self.call_core(func, &core)?;
        let core = returned.map_or(self.core.clone(), |pointer| vec![pointer]);
        run::lift_results(self, &ty, &results, &core)
    }

    /// Calls a function with core values, as a guest that keeps to no rules could; gives the first core value.
    pub fn call_core(&mut self, func: &dyn HostFunc, core: &[u64]) -> Result<u64, Trap> {
        // What is left of earlier calls is in the registers that a call does not use.
        self.core.fill(0xdead_beef_dead_beef);
        self.core[..core.len()].copy_from_slice(core);
        func.call(self)?;
        Ok(self.core[0])
    }

    /// A handle that the guest owns.
    pub fn own(&mut self, ty: ResourceType, rep: u32) -> u32 {
        self.handles.push(Some((ty, rep)));
        u32::try_from(self.handles.len() - 1).unwrap()
    }

    fn handle(&mut self, ty: ResourceType, index: u32) -> Result<&mut Option<(ResourceType, u32)>, Trap> {
        let entry = self.handles.get_mut(index as usize).filter(|entry| entry.is_some());
        let entry = entry.ok_or(Trap::UnknownHandle(index))?;
        if entry.is_some_and(|(other, _)| other != ty) {
            return Err(Trap::WrongHandleType { index });
        }
        Ok(entry)
    }
}

/// A function by the name of its interface and its own.
pub fn func(imports: &Imports, interface: &str, name: &str) -> Arc<dyn HostFunc> {
    let Some(Import::Instance(instance)) = imports.names.get(interface) else { panic!("no {interface}") };
    match instance.names.get(name) {
        Some(Import::Func(func)) => func.clone(),
        _ => panic!("no {interface}#{name}"),
    }
}

impl Side for FakeGuest {
    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn memory(&self) -> &[u8] {
        &self.memory
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn realloc(&mut self, old: u32, old_bytes: u32, align: u32, new_bytes: u32) -> Result<u32, Trap> {
        let pointer = self.end.next_multiple_of(align);
        if pointer.checked_add(new_bytes).is_none_or(|end| end > MAX_MEMORY) {
            return Err(Trap::Unreachable);
        }
        self.end = pointer + new_bytes;
        self.memory.resize(self.memory.len().max(self.end as usize), 0);
        self.memory.copy_within(old as usize..(old + old_bytes.min(new_bytes)) as usize, pointer as usize);
        Ok(pointer)
    }

    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        Ok(self.handle(ty, index)?.take().unwrap().1)
    }

    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        Ok(self.handle(ty, index)?.unwrap().1)
    }

    fn lower_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        Ok(self.own(ty, rep))
    }

    fn lower_borrow(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        Ok(self.own(ty, rep))
    }
}

impl HostCall for FakeGuest {
    fn core(&mut self) -> &mut [u64] {
        &mut self.core
    }

    fn func_type(&self) -> Arc<FuncType> {
        Arc::new(FuncType { params: [].into(), result: None, is_async: false })
    }

    fn process(&self) -> ProcessId {
        ProcessId { index: 1, generation: 0 }
    }

    fn process_index(&self) -> u32 {
        0
    }

    fn state(&mut self) -> &mut (dyn Any + Send) {
        &mut *self.state
    }

    fn release_state(&mut self) {}
}
