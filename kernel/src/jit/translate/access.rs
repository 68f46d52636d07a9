//! Addresses in linear memories, and the scalar loads and stores (core spec, "Memory Instructions").
//!
//! A 32-bit memory is reserved to its full 4 GiB and a guard after it, so an access with a small constant offset
//! needs no check: it either hits or faults. In a 64-bit memory such an access takes an index beyond the reservation as
//! the first one behind it, and faults. All others (great offsets, small pages) compare with the memory's length, and
//! take the null address when they fail, even in speculation.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use wasmparser::{MemArg, Operator};

use super::super::trapcode;
use super::super::valtype::MemoryType;
use super::translator::FuncTranslator;
use crate::limits::{MEMORY_GUARD_BYTES, MEMORY64_BYTES};

/// Where an access goes: load or store at `address + offset` with `flags`.
#[derive(Clone, Copy, Debug)]
pub(in crate::jit) struct Place {
    /// Base address, 64 bits.
    pub address: Value,
    /// Constant to add; never negative.
    pub offset: i32,
    /// Flags for linear memory.
    pub flags: MemFlagsData,
}

const GUARD: u64 = MEMORY_GUARD_BYTES as u64;

impl FuncTranslator<'_> {
    /// Pops an index and returns where the access of `bytes` bytes goes; emits what checks it needs.
    pub(super) fn place(&mut self, arg: &MemArg, bytes: u32) -> Place {
        let index = self.pop();
        self.place_at(index, arg, bytes)
    }

    /// The same for an index that is no longer on the stack.
    pub(super) fn place_at(&mut self, index: Value, arg: &MemArg, bytes: u32) -> Place {
        let ty = self.module.memories[arg.memory as usize];
        let index = self.index64(index);
        let flags = self.access.heap;
        match arg.offset.checked_add(u64::from(bytes)) {
            Some(end) if ty.page_log2 == 16 && end <= GUARD => {
                let index = if ty.memory64 { self.reachable_index(index) } else { index };
                let base = self.memory_base(arg.memory);
                let address = self.builder.ins().iadd(base, index);
                Place { address, offset: offset32(arg.offset), flags }
            }
            Some(end) => {
                let outside = self.outside(&ty, arg, index, end);
                let base = self.memory_base(arg.memory);
                let mut address = self.builder.ins().iadd(base, index);
                if arg.offset > 0 {
                    let by = self.word(arg.offset.cast_signed());
                    address = self.builder.ins().iadd(address, by);
                }
                let null = self.word(0);
                let address = self.builder.ins().select_spectre_guard(outside, null, address);
                Place { address, offset: 0, flags }
            }
            // No memory is that long.
            None => {
                self.builder.ins().trap(trapcode::MEMORY_OUT_OF_BOUNDS);
                self.go_on_dead();
                Place { address: self.ctx, offset: 0, flags }
            }
        }
    }

    /// An index into a 64-bit memory, or the first one behind the reservation, where the guard is, for all beyond.
    /// A minimum is a conditional move: nothing is speculated on.
    fn reachable_index(&mut self, index: Value) -> Value {
        let limit = self.word(MEMORY64_BYTES as i64);
        self.builder.ins().umin(index, limit)
    }

    /// Whether an access that ends `end` bytes after `index` leaves the memory.
    fn outside(&mut self, ty: &MemoryType, arg: &MemArg, index: Value, end: u64) -> Value {
        let length = self.memory_bytes(arg.memory);
        let by = self.word(end.cast_signed());
        let last = if ty.memory64 {
            self.builder.ins().uadd_overflow_trap(index, by, trapcode::MEMORY_OUT_OF_BOUNDS)
        } else {
            self.builder.ins().iadd(index, by)
        };
        self.builder.ins().icmp(IntCC::UnsignedGreaterThan, last, length)
    }

    /// The first byte of a memory.
    pub(super) fn memory_base(&mut self, memory: u32) -> Value {
        self.ctx_word(self.module.layout.memory(memory))
    }

    /// A memory's length in bytes.
    pub(super) fn memory_bytes(&mut self, memory: u32) -> Value {
        let definition = self.ctx_word(self.module.layout.memory(memory) + 8);
        self.builder.ins().load(types::I64, self.access.bounds, definition, 8)
    }

    /// Goes on translating in a block that is never reached.
    pub(super) fn go_on_dead(&mut self) {
        let block = self.builder.create_block();
        self.builder.seal_block(block);
        self.builder.switch_to_block(block);
    }

    /// Scalar loads and stores. Returns whether it was one.
    pub(super) fn scalar_access(&mut self, op: &Operator<'_>) -> bool {
        use types::{F32, F64, I8, I16, I32, I64};
        match op {
            Operator::I32Load { memarg } => self.load(memarg, I32),
            Operator::I64Load { memarg } => self.load(memarg, I64),
            Operator::F32Load { memarg } => self.load(memarg, F32),
            Operator::F64Load { memarg } => self.load(memarg, F64),
            Operator::I32Load8S { memarg } => self.load_extended(memarg, I8, I32, true),
            Operator::I32Load8U { memarg } => self.load_extended(memarg, I8, I32, false),
            Operator::I32Load16S { memarg } => self.load_extended(memarg, I16, I32, true),
            Operator::I32Load16U { memarg } => self.load_extended(memarg, I16, I32, false),
            Operator::I64Load8S { memarg } => self.load_extended(memarg, I8, I64, true),
            Operator::I64Load8U { memarg } => self.load_extended(memarg, I8, I64, false),
            Operator::I64Load16S { memarg } => self.load_extended(memarg, I16, I64, true),
            Operator::I64Load16U { memarg } => self.load_extended(memarg, I16, I64, false),
            Operator::I64Load32S { memarg } => self.load_extended(memarg, I32, I64, true),
            Operator::I64Load32U { memarg } => self.load_extended(memarg, I32, I64, false),
            Operator::I32Store { memarg } => self.store(memarg, I32),
            Operator::I64Store { memarg } => self.store(memarg, I64),
            Operator::F32Store { memarg } => self.store(memarg, F32),
            Operator::F64Store { memarg } => self.store(memarg, F64),
            Operator::I32Store8 { memarg } | Operator::I64Store8 { memarg } => self.store(memarg, I8),
            Operator::I32Store16 { memarg } | Operator::I64Store16 { memarg } => self.store(memarg, I16),
            Operator::I64Store32 { memarg } => self.store(memarg, I32),
            _ => return false,
        }
        true
    }

    fn load(&mut self, arg: &MemArg, ty: Type) {
        let at = self.place(arg, ty.bytes());
        let value = self.builder.ins().load(ty, at.flags, at.address, at.offset);
        self.push(value);
    }

    fn load_extended(&mut self, arg: &MemArg, narrow: Type, wide: Type, signed: bool) {
        let at = self.place(arg, narrow.bytes());
        let ins = self.builder.ins();
        let (flags, address, offset) = (at.flags, at.address, at.offset);
        let value = match (narrow, signed) {
            (types::I8, true) => ins.sload8(wide, flags, address, offset),
            (types::I8, false) => ins.uload8(wide, flags, address, offset),
            (types::I16, true) => ins.sload16(wide, flags, address, offset),
            (types::I16, false) => ins.uload16(wide, flags, address, offset),
            (_, true) => ins.sload32(flags, address, offset),
            (_, false) => ins.uload32(flags, address, offset),
        };
        self.push(value);
    }

    /// Stores the low bytes of the top operand.
    fn store(&mut self, arg: &MemArg, narrow: Type) {
        let value = self.pop();
        let at = self.place(arg, narrow.bytes());
        let whole = self.builder.func.dfg.value_type(value) == narrow;
        let ins = self.builder.ins();
        let (flags, address, offset) = (at.flags, at.address, at.offset);
        match (narrow, whole) {
            (_, true) => ins.store(flags, value, address, offset),
            (types::I8, _) => ins.istore8(flags, value, address, offset),
            (types::I16, _) => ins.istore16(flags, value, address, offset),
            _ => ins.istore32(flags, value, address, offset),
        };
    }
}

fn offset32(offset: u64) -> i32 {
    i32::try_from(offset).expect("smaller than the guard")
}
