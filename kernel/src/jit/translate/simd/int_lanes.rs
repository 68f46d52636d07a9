//! Arithmetic and comparisons of integer lanes.
//!
//! A shift takes its amount modulo the lane's width, as in wasm.

use cranelift_codegen::ir::{InstBuilder, Type, condcodes::IntCC, types};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator as Op;

use cranelift_codegen::ir::Value;

use crate::jit::translate::operands::{Operands, binary_vector, pop_as, push_vector, unary_vector};

use super::lane_convert::extended_pair;

const B: Type = types::I8X16;
const H: Type = types::I16X8;
const W: Type = types::I32X4;
const D: Type = types::I64X2;

/// Translates operators on integer lanes that keep their width; false for any other operator.
pub(super) fn int_lanes<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    compare(t, op)
        || unary(t, op)
        || test(t, op)
        || shift(t, op)
        || arithmetic(t, op)
        || saturating(t, op)
        || order(t, op)
}

#[rustfmt::skip]
fn compare<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    let (shape, condition) = match op {
        Op::I8x16Eq => (B, IntCC::Equal),
        Op::I16x8Eq => (H, IntCC::Equal),
        Op::I32x4Eq => (W, IntCC::Equal),
        Op::I64x2Eq => (D, IntCC::Equal),
        Op::I8x16Ne => (B, IntCC::NotEqual),
        Op::I16x8Ne => (H, IntCC::NotEqual),
        Op::I32x4Ne => (W, IntCC::NotEqual),
        Op::I64x2Ne => (D, IntCC::NotEqual),
        Op::I8x16LtS => (B, IntCC::SignedLessThan),
        Op::I16x8LtS => (H, IntCC::SignedLessThan),
        Op::I32x4LtS => (W, IntCC::SignedLessThan),
        Op::I64x2LtS => (D, IntCC::SignedLessThan),
        Op::I8x16LtU => (B, IntCC::UnsignedLessThan),
        Op::I16x8LtU => (H, IntCC::UnsignedLessThan),
        Op::I32x4LtU => (W, IntCC::UnsignedLessThan),
        Op::I8x16GtS => (B, IntCC::SignedGreaterThan),
        Op::I16x8GtS => (H, IntCC::SignedGreaterThan),
        Op::I32x4GtS => (W, IntCC::SignedGreaterThan),
        Op::I64x2GtS => (D, IntCC::SignedGreaterThan),
        Op::I8x16GtU => (B, IntCC::UnsignedGreaterThan),
        Op::I16x8GtU => (H, IntCC::UnsignedGreaterThan),
        Op::I32x4GtU => (W, IntCC::UnsignedGreaterThan),
        Op::I8x16LeS => (B, IntCC::SignedLessThanOrEqual),
        Op::I16x8LeS => (H, IntCC::SignedLessThanOrEqual),
        Op::I32x4LeS => (W, IntCC::SignedLessThanOrEqual),
        Op::I64x2LeS => (D, IntCC::SignedLessThanOrEqual),
        Op::I8x16LeU => (B, IntCC::UnsignedLessThanOrEqual),
        Op::I16x8LeU => (H, IntCC::UnsignedLessThanOrEqual),
        Op::I32x4LeU => (W, IntCC::UnsignedLessThanOrEqual),
        Op::I8x16GeS => (B, IntCC::SignedGreaterThanOrEqual),
        Op::I16x8GeS => (H, IntCC::SignedGreaterThanOrEqual),
        Op::I32x4GeS => (W, IntCC::SignedGreaterThanOrEqual),
        Op::I64x2GeS => (D, IntCC::SignedGreaterThanOrEqual),
        Op::I8x16GeU => (B, IntCC::UnsignedGreaterThanOrEqual),
        Op::I16x8GeU => (H, IntCC::UnsignedGreaterThanOrEqual),
        Op::I32x4GeU => (W, IntCC::UnsignedGreaterThanOrEqual),
        _ => return false,
    };
    binary_vector(t, shape, |ins, left, right| ins.icmp(condition, left, right));
    true
}

fn unary<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16Abs => unary_vector(t, B, |ins, value| ins.iabs(value)),
        Op::I16x8Abs => unary_vector(t, H, |ins, value| ins.iabs(value)),
        Op::I32x4Abs => unary_vector(t, W, |ins, value| ins.iabs(value)),
        Op::I64x2Abs => unary_vector(t, D, |ins, value| ins.iabs(value)),
        Op::I8x16Neg => unary_vector(t, B, |ins, value| ins.ineg(value)),
        Op::I16x8Neg => unary_vector(t, H, |ins, value| ins.ineg(value)),
        Op::I32x4Neg => unary_vector(t, W, |ins, value| ins.ineg(value)),
        Op::I64x2Neg => unary_vector(t, D, |ins, value| ins.ineg(value)),
        Op::I8x16Popcnt => unary_vector(t, B, |ins, value| ins.popcnt(value)),
        _ => return false,
    }
    true
}

/// Lanes to one `i32`.
fn test<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16AllTrue => all_true(t, B),
        Op::I16x8AllTrue => all_true(t, H),
        Op::I32x4AllTrue => all_true(t, W),
        Op::I64x2AllTrue => all_true(t, D),
        Op::I8x16Bitmask => bitmask(t, B),
        Op::I16x8Bitmask => bitmask(t, H),
        Op::I32x4Bitmask => bitmask(t, W),
        Op::I64x2Bitmask => bitmask(t, D),
        _ => return false,
    }
    true
}

fn all_true<'f>(t: &mut impl Operands<'f>, shape: Type) {
    let vector = pop_as(t, shape);
    let bit = t.ins().vall_true(vector);
    let result = t.ins().uextend(types::I32, bit);
    t.push(result);
}

fn bitmask<'f>(t: &mut impl Operands<'f>, shape: Type) {
    let vector = pop_as(t, shape);
    let result = t.ins().vhigh_bits(types::I32, vector);
    t.push(result);
}

fn shift<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16Shl => shift_by(t, B, |ins, vector, amount| ins.ishl(vector, amount)),
        Op::I16x8Shl => shift_by(t, H, |ins, vector, amount| ins.ishl(vector, amount)),
        Op::I32x4Shl => shift_by(t, W, |ins, vector, amount| ins.ishl(vector, amount)),
        Op::I64x2Shl => shift_by(t, D, |ins, vector, amount| ins.ishl(vector, amount)),
        Op::I8x16ShrS => shift_by(t, B, |ins, vector, amount| ins.sshr(vector, amount)),
        Op::I16x8ShrS => shift_by(t, H, |ins, vector, amount| ins.sshr(vector, amount)),
        Op::I32x4ShrS => shift_by(t, W, |ins, vector, amount| ins.sshr(vector, amount)),
        Op::I64x2ShrS => shift_by(t, D, |ins, vector, amount| ins.sshr(vector, amount)),
        Op::I8x16ShrU => shift_by(t, B, |ins, vector, amount| ins.ushr(vector, amount)),
        Op::I16x8ShrU => shift_by(t, H, |ins, vector, amount| ins.ushr(vector, amount)),
        Op::I32x4ShrU => shift_by(t, W, |ins, vector, amount| ins.ushr(vector, amount)),
        Op::I64x2ShrU => shift_by(t, D, |ins, vector, amount| ins.ushr(vector, amount)),
        _ => return false,
    }
    true
}

fn shift_by<'f, T: Operands<'f>>(
    t: &mut T,
    shape: Type,
    emit: impl FnOnce(FuncInstBuilder<'_, 'f>, Value, Value) -> Value,
) {
    let amount = t.pop();
    unary_vector(t, shape, |ins, vector| emit(ins, vector, amount));
}

fn arithmetic<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16Add => binary_vector(t, B, |ins, left, right| ins.iadd(left, right)),
        Op::I16x8Add => binary_vector(t, H, |ins, left, right| ins.iadd(left, right)),
        Op::I32x4Add => binary_vector(t, W, |ins, left, right| ins.iadd(left, right)),
        Op::I64x2Add => binary_vector(t, D, |ins, left, right| ins.iadd(left, right)),
        Op::I8x16Sub => binary_vector(t, B, |ins, left, right| ins.isub(left, right)),
        Op::I16x8Sub => binary_vector(t, H, |ins, left, right| ins.isub(left, right)),
        Op::I32x4Sub => binary_vector(t, W, |ins, left, right| ins.isub(left, right)),
        Op::I64x2Sub => binary_vector(t, D, |ins, left, right| ins.isub(left, right)),
        Op::I16x8Mul => binary_vector(t, H, |ins, left, right| ins.imul(left, right)),
        Op::I32x4Mul => binary_vector(t, W, |ins, left, right| ins.imul(left, right)),
        Op::I64x2Mul => binary_vector(t, D, |ins, left, right| ins.imul(left, right)),
        Op::I32x4DotI16x8S => dot(t),
        _ => return false,
    }
    true
}

/// Products of adjacent signed halves, added in pairs.
fn dot<'f>(t: &mut impl Operands<'f>) {
    let right = pop_as(t, H);
    let left = pop_as(t, H);
    let (left_low, left_high) = extended_pair(t, left, true);
    let (right_low, right_high) = extended_pair(t, right, true);
    let low = t.ins().imul(left_low, right_low);
    let high = t.ins().imul(left_high, right_high);
    let sum = t.ins().iadd_pairwise(low, high);
    push_vector(t, sum);
}

fn saturating<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16AddSatS => binary_vector(t, B, |ins, left, right| ins.sadd_sat(left, right)),
        Op::I16x8AddSatS => binary_vector(t, H, |ins, left, right| ins.sadd_sat(left, right)),
        Op::I8x16AddSatU => binary_vector(t, B, |ins, left, right| ins.uadd_sat(left, right)),
        Op::I16x8AddSatU => binary_vector(t, H, |ins, left, right| ins.uadd_sat(left, right)),
        Op::I8x16SubSatS => binary_vector(t, B, |ins, left, right| ins.ssub_sat(left, right)),
        Op::I16x8SubSatS => binary_vector(t, H, |ins, left, right| ins.ssub_sat(left, right)),
        Op::I8x16SubSatU => binary_vector(t, B, |ins, left, right| ins.usub_sat(left, right)),
        Op::I16x8SubSatU => binary_vector(t, H, |ins, left, right| ins.usub_sat(left, right)),
        Op::I16x8Q15MulrSatS => binary_vector(t, H, |ins, left, right| ins.sqmul_round_sat(left, right)),
        _ => return false,
    }
    true
}

fn order<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16MinS => binary_vector(t, B, |ins, left, right| ins.smin(left, right)),
        Op::I16x8MinS => binary_vector(t, H, |ins, left, right| ins.smin(left, right)),
        Op::I32x4MinS => binary_vector(t, W, |ins, left, right| ins.smin(left, right)),
        Op::I8x16MinU => binary_vector(t, B, |ins, left, right| ins.umin(left, right)),
        Op::I16x8MinU => binary_vector(t, H, |ins, left, right| ins.umin(left, right)),
        Op::I32x4MinU => binary_vector(t, W, |ins, left, right| ins.umin(left, right)),
        Op::I8x16MaxS => binary_vector(t, B, |ins, left, right| ins.smax(left, right)),
        Op::I16x8MaxS => binary_vector(t, H, |ins, left, right| ins.smax(left, right)),
        Op::I32x4MaxS => binary_vector(t, W, |ins, left, right| ins.smax(left, right)),
        Op::I8x16MaxU => binary_vector(t, B, |ins, left, right| ins.umax(left, right)),
        Op::I16x8MaxU => binary_vector(t, H, |ins, left, right| ins.umax(left, right)),
        Op::I32x4MaxU => binary_vector(t, W, |ins, left, right| ins.umax(left, right)),
        Op::I8x16AvgrU => binary_vector(t, B, |ins, left, right| ins.avg_round(left, right)),
        Op::I16x8AvgrU => binary_vector(t, H, |ins, left, right| ins.avg_round(left, right)),
        _ => return false,
    }
    true
}
