//! Tables and globals (core spec, "Table Instructions", "Variable Instructions").
//!
//! A table access computes the element's address, takes the null address instead when the index is out of bounds,
//! and lets the access fault: no branch, and nothing to speculate on.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, TrapCode, Value, types};
use wasmparser::Operator;

use super::super::builtin::Builtin;
use super::super::trapcode;
use super::super::valtype::{TableType, ValType};
use super::translator::{FuncTranslator, Region, clif_type, region};

/// Private globals with alias regions of their own; the rest share one, as there is a bound on kinds of access.
const PRIVATE_REGIONS: u32 = 256;

impl FuncTranslator<'_> {
    /// Table and global operators. Returns whether it was one.
    pub(super) fn slots(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::GlobalGet { global_index } => self.global_get(global_index),
            Operator::GlobalSet { global_index } => {
                let value = self.pop();
                let (base, at, flags) = self.global(global_index);
                self.builder.ins().store(flags, value, base, at);
            }
            Operator::TableGet { table } => {
                let index = self.pop();
                let element = self.element(table, index, trapcode::TABLE_OUT_OF_BOUNDS);
                self.push(element);
            }
            Operator::TableSet { table } => {
                let (index, value) = self.pop2();
                let address = self.element_address(table, index);
                let flags = self.access.element.with_trap_code(Some(trapcode::TABLE_OUT_OF_BOUNDS));
                self.builder.ins().store(flags, value, address, 0);
            }
            Operator::TableSize { table } => {
                let length = self.table_length(table);
                self.push_table_index(table, length);
            }
            Operator::TableGrow { table } => {
                let (element, delta) = self.pop2();
                let (which, delta) = (self.number(table), self.index64(delta));
                let old = self.builtin(Builtin::table_grow, &[which, delta, element]);
                self.push_table_index(table, old.expect("returns the old length"));
            }
            Operator::TableFill { table } => {
                let (at, element, count) = self.pop3();
                let args = [self.number(table), self.index64(at), element, self.index64(count)];
                self.builtin_checked(Builtin::table_fill, &args);
            }
            Operator::TableCopy { dst_table, src_table } => {
                let (to, from, count) = self.pop3();
                let (dst, src) = (self.number(dst_table), self.number(src_table));
                let args = [dst, src, self.index64(to), self.index64(from), self.index64(count)];
                self.builtin_checked(Builtin::table_copy, &args);
            }
            Operator::TableInit { elem_index, table } => {
                let (to, from, count) = self.pop3();
                let args = [self.number(table), self.number(elem_index), self.index64(to), from, count];
                self.builtin_checked(Builtin::table_init, &args);
            }
            Operator::ElemDrop { elem_index } => {
                let which = self.number(elem_index);
                self.builtin(Builtin::elem_drop, &[which]);
            }
            _ => return false,
        }
        true
    }

    /// An index of the module as a built-in takes it.
    pub(super) fn number(&mut self, index: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(index))
    }

    /// Pushes a table's length or index in the table's width.
    fn push_table_index(&mut self, table: u32, value: Value) {
        let narrow = !self.module.tables[table as usize].table64;
        let value = if narrow { self.builder.ins().ireduce(types::I32, value) } else { value };
        self.push(value);
    }

    /// Loads an element; an index out of bounds traps with `outside`.
    pub(super) fn element(&mut self, table: u32, index: Value, outside: TrapCode) -> Value {
        let address = self.element_address(table, index);
        let flags = self.access.element.with_trap_code(Some(outside));
        self.builder.ins().load(types::I64, flags, address, 0)
    }

    fn element_address(&mut self, table: u32, index: Value) -> Value {
        let index = self.index64(index);
        let length = self.table_length(table);
        let (definition, at) = self.table(table);
        let flags = if self.fixed_length(table).is_some() { self.access.fixed } else { self.access.bounds };
        let base = self.builder.ins().load(types::I64, flags, definition, at);
        let scaled = self.builder.ins().ishl_imm_u(index, 3);
        let address = self.builder.ins().iadd(base, scaled);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
        let null = self.word(0);
        self.builder.ins().select_spectre_guard(outside, null, address)
    }

    fn table_length(&mut self, table: u32) -> Value {
        if let Some(length) = self.fixed_length(table) {
            return self.word(length.cast_signed());
        }
        let (definition, at) = self.table(table);
        self.builder.ins().load(types::I64, self.access.bounds, definition, at + 8)
    }

    /// The length of a table of this module that never grows, and so never moves.
    fn fixed_length(&self, table: u32) -> Option<u64> {
        let TableType { minimum, maximum, .. } = self.module.tables[table as usize];
        (table >= self.module.imported.tables && maximum == Some(minimum)).then_some(minimum)
    }

    /// Where a table's `VmTable` is: a base and an offset.
    fn table(&mut self, table: u32) -> (Value, i32) {
        let layout = &self.module.layout;
        match table.checked_sub(self.module.imported.tables) {
            Some(defined) => (self.ctx, layout.table(defined).cast_signed()),
            None => (self.ctx_word(layout.table_import(table)), 0),
        }
    }

    fn global_get(&mut self, global: u32) {
        let ty = self.module.globals[global as usize];
        if let Some(value) = self.constant_global(global) {
            return self.push(value);
        }
        let (base, at, flags) = self.global(global);
        let value = self.builder.ins().load(clif_type(ty.ty), flags, base, at);
        self.push(value);
    }

    /// The value of a global that is the same in every instance.
    fn constant_global(&mut self, global: u32) -> Option<Value> {
        let ty = self.module.globals[global as usize];
        let defined = global.checked_sub(self.module.imported.globals)?;
        if ty.mutable {
            return None;
        }
        let value = self.module.global_inits[defined as usize].constant()?;
        let low = value as u64;
        Some(match ty.ty {
            ValType::I32 => self.builder.ins().iconst(types::I32, i64::from(value as u32)),
            ValType::I64 | ValType::Ref(_) => self.builder.ins().iconst(types::I64, low.cast_signed()),
            ValType::F32 => self.builder.ins().f32const(f32::from_bits(value as u32)),
            ValType::F64 => self.builder.ins().f64const(f64::from_bits(low)),
            ValType::V128 => return None,
        })
    }

    /// Where a global is, and how to access it.
    fn global(&mut self, global: u32) -> (Value, i32, MemFlagsData) {
        let module = self.module;
        let fixed = !module.globals[global as usize].mutable;
        match global.checked_sub(module.imported.globals) {
            None => {
                let at = self.ctx_word(module.layout.global_import(global));
                (at, 0, if fixed { self.access.fixed } else { self.access.global })
            }
            Some(defined) => {
                let at = module.layout.global(defined).cast_signed();
                (self.ctx, at, if fixed { self.access.fixed } else { self.global_flags(global) })
            }
        }
    }

    fn global_flags(&mut self, global: u32) -> MemFlagsData {
        if global >= PRIVATE_REGIONS || self.module.shared_globals[global as usize] {
            return self.access.global;
        }
        let own = region(&mut self.builder, Region::Private(global));
        self.access.global.with_alias_region(Some(own))
    }
}
