//! Sizes, growth and bulk operations of linear memories (core spec, "Memory Instructions").

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use wasmparser::Operator;

use super::super::builtin::Builtin;
use super::super::trapcode;
use super::translator::FuncTranslator;

impl FuncTranslator<'_> {
    /// Memory operators other than loads and stores. Returns whether it was one.
    pub(super) fn bulk(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::MemorySize { mem } => {
                let bytes = self.memory_bytes(mem);
                let log2 = i64::from(self.module.memories[mem as usize].page_log2);
                let pages = if log2 == 0 { bytes } else { self.builder.ins().ushr_imm_u(bytes, log2) };
                self.push_memory_index(mem, pages);
            }
            Operator::MemoryGrow { mem } => {
                let delta = self.pop();
                let args = [self.number(mem), self.index64(delta)];
                let old = self.builtin(Builtin::memory_grow, &args);
                self.push_memory_index(mem, old.expect("returns the old size"));
            }
            Operator::MemoryCopy { dst_mem, src_mem } => {
                let (to, from, count) = self.pop3();
                let count = self.index64(count);
                let to = self.range(dst_mem, to, count);
                let from = self.range(src_mem, from, count);
                self.watch_bulk(count);
                self.builtin_checked(Builtin::move_bytes, &[to, from, count]);
            }
            Operator::MemoryFill { mem } => {
                let (at, byte, count) = self.pop3();
                let count = self.index64(count);
                let to = self.range(mem, at, count);
                self.watch_bulk(count);
                self.builtin_checked(Builtin::fill_bytes, &[to, byte, count]);
            }
            Operator::MemoryInit { data_index, mem } => {
                let (to, from, count) = self.pop3();
                let args = [self.number(mem), self.number(data_index), self.index64(to), from, count];
                self.builtin_checked(Builtin::memory_init, &args);
            }
            Operator::DataDrop { data_index } => {
                let which = self.number(data_index);
                self.builtin(Builtin::data_drop, &[which]);
            }
            _ => return false,
        }
        true
    }

    /// The host address of `count` bytes at a guest address; traps unless the memory has them all.
    fn range(&mut self, memory: u32, at: Value, count: Value) -> Value {
        let at = self.index64(at);
        let end = if self.module.memories[memory as usize].memory64 {
            self.builder.ins().uadd_overflow_trap(at, count, trapcode::MEMORY_OUT_OF_BOUNDS)
        } else {
            self.builder.ins().iadd(at, count)
        };
        let length = self.memory_bytes(memory);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, length);
        self.builder.ins().trapnz(outside, trapcode::MEMORY_OUT_OF_BOUNDS);
        let base = self.memory_base(memory);
        self.builder.ins().iadd(base, at)
    }

    /// Pushes a number of pages in the memory's width.
    fn push_memory_index(&mut self, memory: u32, value: Value) {
        let narrow = !self.module.memories[memory as usize].memory64;
        let value = if narrow { self.builder.ins().ireduce(types::I32, value) } else { value };
        self.push(value);
    }
}
