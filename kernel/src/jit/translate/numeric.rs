//! Scalar arithmetic and comparisons (core specification, "Numerics").
//!
//! Shifts and rotations take their amount modulo the width, division traps by itself, and `fmin`, `fmax`, `fabs`,
//! `fneg` and `fcopysign` treat NaNs as wasm does: CLIF was made for that.

use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::{InstBuilder, Value, condcodes::FloatCC, condcodes::IntCC, types};
use wasmparser::Operator as Op;

use super::operands::{Operands, binary, compare, compare_float, unary};

/// Translates constants, arithmetic and comparisons of `i32`, `i64`, `f32` and `f64`; false for any other operator.
pub(in crate::jit) fn numeric<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    integer_compare(t, op) || integer(t, op) || float(t, op) || wide(t, op)
}

fn integer_compare<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I32Eqz | Op::I64Eqz => {
            unary(t, |ins, value| ins.icmp_imm_s(IntCC::Equal, value, 0));
            unary(t, |ins, bit| ins.uextend(types::I32, bit));
        }
        Op::I32Eq | Op::I64Eq => compare(t, IntCC::Equal),
        Op::I32Ne | Op::I64Ne => compare(t, IntCC::NotEqual),
        Op::I32LtS | Op::I64LtS => compare(t, IntCC::SignedLessThan),
        Op::I32LtU | Op::I64LtU => compare(t, IntCC::UnsignedLessThan),
        Op::I32GtS | Op::I64GtS => compare(t, IntCC::SignedGreaterThan),
        Op::I32GtU | Op::I64GtU => compare(t, IntCC::UnsignedGreaterThan),
        Op::I32LeS | Op::I64LeS => compare(t, IntCC::SignedLessThanOrEqual),
        Op::I32LeU | Op::I64LeU => compare(t, IntCC::UnsignedLessThanOrEqual),
        Op::I32GeS | Op::I64GeS => compare(t, IntCC::SignedGreaterThanOrEqual),
        Op::I32GeU | Op::I64GeU => compare(t, IntCC::UnsignedGreaterThanOrEqual),
        _ => return false,
    }
    true
}

fn integer<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I32Const { value } => {
            // The immediate of a narrow constant must have clear upper bits.
            let constant = t.ins().iconst(types::I32, i64::from(value.cast_unsigned()));
            t.push(constant);
        }
        Op::I64Const { value } => {
            let constant = t.ins().iconst(types::I64, *value);
            t.push(constant);
        }
        Op::I32Clz | Op::I64Clz => unary(t, |ins, value| ins.clz(value)),
        Op::I32Ctz | Op::I64Ctz => unary(t, |ins, value| ins.ctz(value)),
        Op::I32Popcnt | Op::I64Popcnt => unary(t, |ins, value| ins.popcnt(value)),
        Op::I32Add | Op::I64Add => binary(t, |ins, left, right| ins.iadd(left, right)),
        Op::I32Sub | Op::I64Sub => binary(t, |ins, left, right| ins.isub(left, right)),
        Op::I32Mul | Op::I64Mul => binary(t, |ins, left, right| ins.imul(left, right)),
        Op::I32DivS | Op::I64DivS => binary(t, |ins, left, right| ins.sdiv(left, right)),
        Op::I32DivU | Op::I64DivU => binary(t, |ins, left, right| ins.udiv(left, right)),
        Op::I32RemS | Op::I64RemS => binary(t, |ins, left, right| ins.srem(left, right)),
        Op::I32RemU | Op::I64RemU => binary(t, |ins, left, right| ins.urem(left, right)),
        Op::I32And | Op::I64And => binary(t, |ins, left, right| ins.band(left, right)),
        Op::I32Or | Op::I64Or => binary(t, |ins, left, right| ins.bor(left, right)),
        Op::I32Xor | Op::I64Xor => binary(t, |ins, left, right| ins.bxor(left, right)),
        Op::I32Shl | Op::I64Shl => binary(t, |ins, left, right| ins.ishl(left, right)),
        Op::I32ShrS | Op::I64ShrS => binary(t, |ins, left, right| ins.sshr(left, right)),
        Op::I32ShrU | Op::I64ShrU => binary(t, |ins, left, right| ins.ushr(left, right)),
        Op::I32Rotl | Op::I64Rotl => binary(t, |ins, left, right| ins.rotl(left, right)),
        Op::I32Rotr | Op::I64Rotr => binary(t, |ins, left, right| ins.rotr(left, right)),
        _ => return false,
    }
    true
}

fn float<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::F32Const { value } => {
            let constant = t.ins().f32const(Ieee32::with_bits(value.bits()));
            t.push(constant);
        }
        Op::F64Const { value } => {
            let constant = t.ins().f64const(Ieee64::with_bits(value.bits()));
            t.push(constant);
        }
        Op::F32Eq | Op::F64Eq => compare_float(t, FloatCC::Equal),
        Op::F32Ne | Op::F64Ne => compare_float(t, FloatCC::NotEqual),
        Op::F32Lt | Op::F64Lt => compare_float(t, FloatCC::LessThan),
        Op::F32Gt | Op::F64Gt => compare_float(t, FloatCC::GreaterThan),
        Op::F32Le | Op::F64Le => compare_float(t, FloatCC::LessThanOrEqual),
        Op::F32Ge | Op::F64Ge => compare_float(t, FloatCC::GreaterThanOrEqual),
        Op::F32Abs | Op::F64Abs => unary(t, |ins, value| ins.fabs(value)),
        Op::F32Neg | Op::F64Neg => unary(t, |ins, value| ins.fneg(value)),
        Op::F32Ceil | Op::F64Ceil => unary(t, |ins, value| ins.ceil(value)),
        Op::F32Floor | Op::F64Floor => unary(t, |ins, value| ins.floor(value)),
        Op::F32Trunc | Op::F64Trunc => unary(t, |ins, value| ins.trunc(value)),
        Op::F32Nearest | Op::F64Nearest => unary(t, |ins, value| ins.nearest(value)),
        Op::F32Sqrt | Op::F64Sqrt => unary(t, |ins, value| ins.sqrt(value)),
        Op::F32Add | Op::F64Add => binary(t, |ins, left, right| ins.fadd(left, right)),
        Op::F32Sub | Op::F64Sub => binary(t, |ins, left, right| ins.fsub(left, right)),
        Op::F32Mul | Op::F64Mul => binary(t, |ins, left, right| ins.fmul(left, right)),
        Op::F32Div | Op::F64Div => binary(t, |ins, left, right| ins.fdiv(left, right)),
        Op::F32Min | Op::F64Min => binary(t, |ins, left, right| ins.fmin(left, right)),
        Op::F32Max | Op::F64Max => binary(t, |ins, left, right| ins.fmax(left, right)),
        Op::F32Copysign | Op::F64Copysign => binary(t, |ins, left, right| ins.fcopysign(left, right)),
        _ => return false,
    }
    true
}

/// 128-bit results in two `i64`, low half first (the wide-arithmetic proposal).
fn wide<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I64Add128 | Op::I64Sub128 => {
            let (low, high) = t.pop2();
            let right = t.ins().iconcat(low, high);
            let (low, high) = t.pop2();
            let left = t.ins().iconcat(low, high);
            let sum = if matches!(op, Op::I64Add128) {
                t.ins().iadd(left, right)
            } else {
                t.ins().isub(left, right)
            };
            push_halves(t, sum);
        }
        Op::I64MulWideS | Op::I64MulWideU => {
            let signed = matches!(op, Op::I64MulWideS);
            let (left, right) = t.pop2();
            let [left, right] = [left, right].map(|half| {
                if signed { t.ins().sextend(types::I128, half) } else { t.ins().uextend(types::I128, half) }
            });
            let product = t.ins().imul(left, right);
            push_halves(t, product);
        }
        _ => return false,
    }
    true
}

fn push_halves<'f>(t: &mut impl Operands<'f>, value: Value) {
    let (low, high) = t.ins().isplit(value);
    t.push(low);
    t.push(high);
}
