//! A side of a call over a vector of bytes, with an allocator that notes what it is asked for.

use abi::fault::Trap;
use abi::scope::Handles;
use abi::side::{Encoding, Side};
use abi::types::ResourceType;

/// A side; its allocator keeps the pointer when it shrinks, else gives new memory.
pub struct Bump {
    pub encoding: Encoding,
    pub memory: Vec<u8>,
    pub end: u32,
    pub log: Vec<String>,
    pub handles: Handles,
    /// What `realloc` gives instead.
    pub lie: Option<u32>,
}

impl Bump {
    pub fn new(encoding: Encoding, bytes: usize) -> Bump {
        let mut handles = Handles::new(1);
        handles.enter().unwrap();
        Bump { encoding, memory: vec![0; bytes], end: 8, log: Vec::new(), handles, lie: None }
    }
}

impl Side for Bump {
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
        if let Some(lie) = self.lie {
            return Ok(lie);
        }
        let pointer = if old != 0 && new_bytes <= old_bytes {
            old
        } else {
            let pointer = self.end.next_multiple_of(align);
            self.end = pointer + new_bytes;
            let need = self.end as usize;
            if need > self.memory.len() {
                self.memory.resize(need, 0xAA);
            }
            self.memory.copy_within(old as usize..(old + old_bytes) as usize, pointer as usize);
            pointer
        };
        self.log.push(format!("{old},{old_bytes},{align},{new_bytes}>{pointer}"));
        Ok(pointer)
    }

    fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.handles.lift_own(0, ty, index)
    }

    fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.handles.lend(0, ty, index)
    }

    fn lower_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.handles.add_own(0, ty, rep)
    }

    fn lower_borrow(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.handles.borrow(0, ty, rep)
    }
}
