//! Values that are one core value: what of it is the type's, and what is none of its values.

use abi::flat::{self, CoreType};
use abi::layout::Layout;
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};

use super::copy::{Lane, Source};
use super::emit::{Emit, clif_type};
use super::reason::Reason;
use super::region::Region;

impl Emit<'_> {
    /// Lifts a value that is one core value, and gives it as it is lowered.
    pub fn lift_scalar(&mut self, lane: &Lane, ty: &ValType, source: Source<'_>) -> Value {
        let value = match source {
            Source::Flat(values) => {
                let value = self.cast(values[0], clif_type(core_of(ty)));
                self.trim(ty, value)
            }
            Source::Memory(region) => self.load_scalar(ty, region),
        };
        match ty {
            ValType::Bool => {
                let truth = self.builder.ins().icmp_imm_u(IntCC::NotEqual, value, 0);
                self.builder.ins().uextend(types::I32, truth)
            }
            ValType::Char => {
                self.check_char(value);
                value
            }
            ValType::Flags(labels) if labels.len() < 32 => {
                self.builder.ins().band_imm_u(value, (1_i64 << labels.len()) - 1)
            }
            ValType::Own(resource) => self.transfer_own(lane, *resource, value),
            ValType::Borrow(resource) => self.transfer_borrow(lane, *resource, value),
            _ => value,
        }
    }

    /// Leaves of an `i32` what the type has.
    fn trim(&mut self, ty: &ValType, value: Value) -> Value {
        let ins = self.builder.ins();
        match ty {
            ValType::U8 => ins.band_imm_u(value, 0xFF),
            ValType::U16 => ins.band_imm_u(value, 0xFFFF),
            ValType::S8 => {
                let low = ins.ireduce(types::I8, value);
                self.builder.ins().sextend(types::I32, low)
            }
            ValType::S16 => {
                let low = ins.ireduce(types::I16, value);
                self.builder.ins().sextend(types::I32, low)
            }
            _ => value,
        }
    }

    fn load_scalar(&mut self, ty: &ValType, region: Region) -> Value {
        match ty {
            ValType::S8 | ValType::S16 => self.load_sint(region, Layout::of(ty).size),
            ValType::S64 | ValType::U64 => self.load(region, types::I64),
            ValType::F32 => self.load(region, types::F32),
            ValType::F64 => self.load(region, types::F64),
            _ => self.load_uint(region, Layout::of(ty).size),
        }
    }

    /// Stores a value that has been lifted.
    pub fn store_scalar(&mut self, ty: &ValType, value: Value, region: Region) {
        match self.type_of(value) {
            types::I32 => self.store_uint(region, value, Layout::of(ty).size),
            _ => self.store(region, value),
        }
    }

    /// A Unicode scalar value is below 0x11_0000 and no surrogate.
    fn check_char(&mut self, value: Value) {
        let large = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, value, 0x11_0000);
        let from_surrogates = self.builder.ins().iadd_imm_s(value, -0xD800);
        let surrogate = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, from_surrogates, 0x800);
        let invalid = self.builder.ins().bor(large, surrogate);
        self.fail_if(invalid, Reason::InvalidChar, &[value]);
    }
}

/// The core type of a type that flattens to one.
fn core_of(ty: &ValType) -> CoreType {
    flat::flatten(ty).first().copied().unwrap_or(CoreType::I32)
}
