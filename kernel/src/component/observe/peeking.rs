//! A process as one side of a call that is only looked at ([`abi::peek`]).

use abi::fault::Trap;
use abi::plan::Endpoint;
use abi::side::{Encoding, Side};
use abi::types::ResourceType;

use super::super::running::Running;
use crate::domain::Domain;

/// A process, with the canonical options of the call that is looked at. It gives nothing away and takes nothing.
pub(super) struct Peeking<'d> {
    pub domain: &'d Domain,
    pub endpoint: &'d Endpoint,
}

const LOOKS: Trap = Trap::Unsupported("changing what is only looked at");

impl Peeking<'_> {
    fn rep(&self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        let table = Running::of(self.domain).handles.tables.get(self.endpoint.process as usize);
        table.ok_or(LOOKS)?.rep(ty, index)
    }
}

impl Side for Peeking<'_> {
    fn encoding(&self) -> Encoding {
        self.endpoint.encoding
    }

    fn memory(&self) -> &[u8] {
        let memories = &Running::of(self.domain).memories;
        let memory = self.endpoint.memory.and_then(|slot| memories.get(slot as usize)?.as_ref());
        memory.and_then(|memory| self.domain.memory(memory)).unwrap_or(&[])
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut []
    }

    fn realloc(&mut self, _: u32, _: u32, _: u32, _: u32) -> Result<u32, Trap> {
        Err(LOOKS)
    }

    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.rep(ty, index)
    }

    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.rep(ty, index)
    }

    fn lower_own(&mut self, _: ResourceType, _: u32) -> Result<u32, Trap> {
        Err(LOOKS)
    }

    fn lower_borrow(&mut self, _: ResourceType, _: u32) -> Result<u32, Trap> {
        Err(LOOKS)
    }

    fn generation(&self, ty: ResourceType) -> u32 {
        Running::of(self.domain).life_of(ty)
    }
}
