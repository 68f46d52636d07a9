//! Sizes, growth and bulk operations of linear memories (core spec, "Memory Instructions").

use cranelift_codegen::ir::{InstBuilder, Value, types};
use wasmparser::Operator;

use super::super::builtin::Builtin;
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
                let (dst, src) = (self.number(dst_mem), self.number(src_mem));
                let args = [dst, src, self.index64(to), self.index64(from), self.index64(count)];
                self.builtin_checked(Builtin::memory_copy, &args);
            }
            Operator::MemoryFill { mem } => {
                let (at, byte, count) = self.pop3();
                let args = [self.number(mem), self.index64(at), byte, self.index64(count)];
                self.builtin_checked(Builtin::memory_fill, &args);
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

    /// Pushes a number of pages in the memory's width.
    fn push_memory_index(&mut self, memory: u32, value: Value) {
        let narrow = !self.module.memories[memory as usize].memory64;
        let value = if narrow { self.builder.ins().ireduce(types::I32, value) } else { value };
        self.push(value);
    }
}
