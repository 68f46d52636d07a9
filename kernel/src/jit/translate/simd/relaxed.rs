//! The relaxed operators: where the specification leaves the choice, one answer for all inputs.
//!
//! On x86-64 each is the instruction it was made for, so results are a function of the inputs on every such machine:
//!
//! | operator | choice on x86-64 | elsewhere |
//! |---|---|---|
//! | swizzle | an index from 16 to 127 counts modulo 16 | gives 0 |
//! | lane select | by the highest bit of the lane; bit by bit for 16-bit lanes | bit by bit |
//! | trunc, signed | `i32::MIN` for what does not fit | saturates |
//! | trunc, unsigned | saturates | saturates |
//! | min, max | the second operand if either is NaN or both are zero | as `min`, `max` |
//! | q15 multiply | −1 × −1 wraps | saturates |
//! | dot product | second operand unsigned, sums saturate | signed |
//! | multiply-add | fused: one rounding | the same |

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use wasmparser::Operator as Op;

use super::float_lanes::{pseudo_maximum, pseudo_minimum};
use super::lane_convert::{extended_pair, truncate_pair};
use super::lane_move::constant;
use crate::arch::X86;
use crate::jit::translate::operands::{Operands, binary_vector, pop_as, push_vector, unary_vector};

/// Translates the relaxed operators; false for any other operator.
pub(super) fn relaxed<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::F32x4RelaxedMadd => multiply_add(t, types::F32X4, false),
        Op::F64x2RelaxedMadd => multiply_add(t, types::F64X2, false),
        Op::F32x4RelaxedNmadd => multiply_add(t, types::F32X4, true),
        Op::F64x2RelaxedNmadd => multiply_add(t, types::F64X2, true),
        Op::F32x4RelaxedMin => minimum(t, types::F32X4),
        Op::F64x2RelaxedMin => minimum(t, types::F64X2),
        Op::F32x4RelaxedMax => maximum(t, types::F32X4),
        Op::F64x2RelaxedMax => maximum(t, types::F64X2),
        Op::I8x16RelaxedSwizzle => binary_vector(t, types::I8X16, |ins, vector, indices| {
            if X86 { ins.x86_pshufb(vector, indices) } else { ins.swizzle(vector, indices) }
        }),
        Op::I8x16RelaxedLaneselect => lane_select(t, types::I8X16),
        Op::I16x8RelaxedLaneselect => lane_select(t, types::I16X8),
        Op::I32x4RelaxedLaneselect => lane_select(t, types::I32X4),
        Op::I64x2RelaxedLaneselect => lane_select(t, types::I64X2),
        Op::I32x4RelaxedTruncF32x4S => unary_vector(t, types::F32X4, |ins, value| {
            if X86 { ins.x86_cvtt2dq(types::I32X4, value) } else { ins.fcvt_to_sint_sat(types::I32X4, value) }
        }),
        Op::I32x4RelaxedTruncF32x4U => {
            unary_vector(t, types::F32X4, |ins, value| ins.fcvt_to_uint_sat(types::I32X4, value));
        }
        Op::I32x4RelaxedTruncF64x2SZero if X86 => {
            let vector = pop_as(t, types::F64X2);
            let zero = constant(t, types::I64X2, [0; 16]);
            let wide = t.ins().x86_cvtt2dq(types::I64X2, vector);
            let result = t.ins().snarrow(wide, zero);
            push_vector(t, result);
        }
        Op::I32x4RelaxedTruncF64x2SZero => truncate_pair(t, true),
        Op::I32x4RelaxedTruncF64x2UZero => truncate_pair(t, false),
        Op::I16x8RelaxedQ15mulrS => binary_vector(t, types::I16X8, |ins, left, right| {
            if X86 { ins.x86_pmulhrsw(left, right) } else { ins.sqmul_round_sat(left, right) }
        }),
        Op::I16x8RelaxedDotI8x16I7x16S => {
            let products = dot(t);
            push_vector(t, products);
        }
        Op::I32x4RelaxedDotI8x16I7x16AddS => {
            let addend = pop_as(t, types::I32X4);
            let products = dot(t);
            let (low, high) = extended_pair(t, products, true);
            let sum = t.ins().iadd_pairwise(low, high);
            let result = t.ins().iadd(sum, addend);
            push_vector(t, result);
        }
        _ => return false,
    }
    true
}

/// `±(first × second) + third` with one rounding.
fn multiply_add<'f>(t: &mut impl Operands<'f>, shape: Type, negate: bool) {
    let third = pop_as(t, shape);
    let second = pop_as(t, shape);
    let first = pop_as(t, shape);
    let first = if negate { t.ins().fneg(first) } else { first };
    let result = t.ins().fma(first, second, third);
    push_vector(t, result);
}

fn minimum<'f>(t: &mut impl Operands<'f>, shape: Type) {
    if X86 {
        pseudo_minimum(t, shape)
    } else {
        binary_vector(t, shape, |ins, left, right| ins.fmin(left, right))
    }
}

fn maximum<'f>(t: &mut impl Operands<'f>, shape: Type) {
    if X86 {
        pseudo_maximum(t, shape)
    } else {
        binary_vector(t, shape, |ins, left, right| ins.fmax(left, right))
    }
}

fn lane_select<'f>(t: &mut impl Operands<'f>, shape: Type) {
    let mask = pop_as(t, shape);
    // No processor blends 16-bit lanes, and a blend of their bytes is none of the answers allowed.
    let blend = X86 && shape != types::I16X8;
    binary_vector(t, shape, |ins, left, right| {
        if blend { ins.blendv(mask, left, right) } else { ins.bitselect(mask, left, right) }
    });
}

/// Pops two vectors of bytes; their products added in pairs.
fn dot<'f>(t: &mut impl Operands<'f>) -> Value {
    let right = pop_as(t, types::I8X16);
    let left = pop_as(t, types::I8X16);
    if X86 {
        return t.ins().x86_pmaddubsw(left, right);
    }
    let (left_low, left_high) = extended_pair(t, left, true);
    let (right_low, right_high) = extended_pair(t, right, true);
    let low = t.ins().imul(left_low, right_low);
    let high = t.ins().imul(left_high, right_high);
    t.ins().iadd_pairwise(low, high)
}
