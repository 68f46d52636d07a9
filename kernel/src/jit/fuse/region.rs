//! Guest memory that has been checked, and the only loads and stores of it.
//!
//! A guest's pointer becomes a [`Region`] by a check against its memory's length. A memory never moves and never
//! shrinks, so a region stays good whatever runs in between. Parts of a region are compared with it when the adapter
//! is compiled; a mistake there is an error of the compiler, not an access.

use abi::plan::Endpoint;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};

use super::emit::Emit;
use super::reason::Reason;
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;

/// Bytes of a guest's memory that are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    /// The host's address of the checked bytes.
    address: Value,
    /// Where this region begins among them.
    at: u32,
    /// Where it ends among them.
    end: u32,
}

/// Why a pointer to a fixed number of bytes may be refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refuse {
    /// It is misaligned.
    pub unaligned: Reason,
    /// It is out of bounds.
    pub outside: Reason,
}

/// More bytes than this are copied by the kernel.
const INLINE_BYTES: u32 = 64;

impl Region {
    /// The `bytes` bytes at `address` have been checked by whoever calls this.
    pub fn checked(address: Value, bytes: u32) -> Region {
        Region { address, at: 0, end: bytes }
    }

    /// A part of it.
    pub fn part(self, offset: u32, bytes: u32) -> Region {
        let at = self.at.saturating_add(offset);
        let end = at.saturating_add(bytes);
        assert!(end <= self.end, "a part of a region ends at {end}, the region at {}", self.end);
        Region { at, end, ..self }
    }

    /// How many bytes it has.
    pub fn bytes(self) -> u32 {
        self.end - self.at
    }

    fn offset(self) -> i32 {
        i32::try_from(self.at).expect("validation bounds values below 2^28 bytes")
    }
}

impl Emit<'_> {
    /// Checks a pointer to `bytes` bytes of a side's memory.
    pub fn region(
        &mut self,
        side: &Endpoint,
        pointer: Value,
        bytes: u32,
        align: u32,
        refuse: Refuse,
    ) -> Region {
        self.check_align(pointer, align, refuse.unaligned);
        let count = self.int(types::I64, bytes);
        let address = self.check_range(side, pointer, count, refuse.outside);
        Region::checked(address, bytes)
    }

    /// Traps for `reason` unless a pointer is a multiple of `align`.
    pub fn check_align(&mut self, pointer: Value, align: u32, reason: Reason) {
        if align > 1 {
            let low = self.builder.ins().band_imm_u(pointer, i64::from(align - 1));
            let align = self.int(types::I64, align);
            self.fail_if(low, reason, &[pointer, align]);
        }
    }

    /// Traps for `outside` unless `bytes`, less than 2^32, from an `i32` pointer on are in bounds. Gives the address.
    pub fn check_range(&mut self, side: &Endpoint, pointer: Value, bytes: Value, outside: Reason) -> Value {
        let (pointer, memory) = (self.wide(pointer), self.memory_bytes(side));
        let end = self.builder.ins().iadd(pointer, bytes);
        let beyond = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, memory);
        self.fail_if(beyond, outside, &[pointer, bytes, memory]);
        self.address(side, pointer)
    }

    /// The address of a pointer that has been checked.
    pub fn address(&mut self, side: &Endpoint, pointer: Value) -> Value {
        let (pointer, base) = (self.wide(pointer), self.memory_base(side));
        self.builder.ins().iadd(base, pointer)
    }

    /// `bytes` bytes at an offset of two checked addresses that leaves room for them.
    pub fn places(&mut self, (from, to): (Value, Value), at: Value, bytes: u32) -> (Region, Region) {
        [from, to].map(|base| Region::checked(self.builder.ins().iadd(base, at), bytes)).into()
    }

    /// The address of a region's first byte.
    pub fn region_address(&mut self, region: Region) -> Value {
        match region.at {
            0 => region.address,
            at => self.builder.ins().iadd_imm_u(region.address, i64::from(at)),
        }
    }

    /// Loads a value of type `ty` from the beginning of a region.
    pub fn load(&mut self, region: Region, ty: Type) -> Value {
        let region = region.part(0, ty.bytes());
        self.builder.ins().load(ty, guest(), region.address, region.offset())
    }

    /// Loads 1, 2 or 4 bytes as an `i32`.
    pub fn load_uint(&mut self, region: Region, bytes: u32) -> Value {
        let value = self.load(region, int_type(bytes));
        if bytes == 4 { value } else { self.builder.ins().uextend(types::I32, value) }
    }

    /// Loads 1, 2 or 4 bytes with their sign as an `i32`.
    pub fn load_sint(&mut self, region: Region, bytes: u32) -> Value {
        let value = self.load(region, int_type(bytes));
        if bytes == 4 { value } else { self.builder.ins().sextend(types::I32, value) }
    }

    /// Stores a value at the beginning of a region.
    pub fn store(&mut self, region: Region, value: Value) {
        let region = region.part(0, self.type_of(value).bytes());
        self.builder.ins().store(guest(), value, region.address, region.offset());
    }

    /// Stores the low 1, 2 or 4 bytes of an `i32`.
    pub fn store_uint(&mut self, region: Region, value: Value, bytes: u32) {
        let value = if bytes == 4 { value } else { self.builder.ins().ireduce(int_type(bytes), value) };
        self.store(region, value);
    }

    /// Copies all bytes of a region to another of the same length.
    pub fn copy_region(&mut self, from: Region, to: Region) {
        let bytes = from.bytes();
        if bytes > INLINE_BYTES {
            let (source, target) = (self.region_address(from), self.region_address(to));
            let bytes = self.int(types::I64, bytes);
            return self.move_bytes(target, source, bytes);
        }
        let mut loaded = Vec::new();
        let mut at = 0;
        while at < bytes {
            let ty = match bytes - at {
                16.. => types::I8X16,
                8.. => types::I64,
                4.. => types::I32,
                2.. => types::I16,
                _ => types::I8,
            };
            loaded.push((at, self.load(from.part(at, ty.bytes()), ty)));
            at += ty.bytes();
        }
        for (at, value) in loaded {
            let bytes = self.type_of(value).bytes();
            self.store(to.part(at, bytes), value);
        }
    }

    /// Copies checked bytes, which may overlap.
    pub fn move_bytes(&mut self, target: Value, source: Value, bytes: Value) {
        self.builtin_status(Builtin::move_bytes, &[target, source, bytes]);
    }
}

/// An integer type of so many bytes.
fn int_type(bytes: u32) -> Type {
    match bytes {
        1 => types::I8,
        2 => types::I16,
        _ => types::I32,
    }
}

/// A guest's memory. Were a check wrong, the access would be the guest's fault and not the kernel's.
fn guest() -> MemFlagsData {
    MemFlagsData::new()
        .with_endianness(Endianness::Little)
        .with_trap_code(Some(trapcode::MEMORY_OUT_OF_BOUNDS))
}
