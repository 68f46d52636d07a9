//! Between lanes of different widths, and between integer and float lanes.

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use wasmparser::Operator as Op;

use super::lane_move::constant;
use crate::jit::translate::operands::{Operands, binary_vector, pop_as, push_vector, unary_vector};

const B: Type = types::I8X16;
const H: Type = types::I16X8;
const W: Type = types::I32X4;

/// Translates operators that change the width or the kind of lanes; false for any other operator.
pub(super) fn lane_convert<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    narrow(t, op) || extend(t, op) || multiply(t, op) || add_pairs(t, op) || float(t, op)
}

/// The low and the high half of the lanes, twice as wide.
pub(super) fn extended_pair<'f>(t: &mut impl Operands<'f>, vector: Value, signed: bool) -> (Value, Value) {
    if signed {
        (t.ins().swiden_low(vector), t.ins().swiden_high(vector))
    } else {
        (t.ins().uwiden_low(vector), t.ins().uwiden_high(vector))
    }
}

fn narrow<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16NarrowI16x8S => binary_vector(t, H, |ins, low, high| ins.snarrow(low, high)),
        Op::I8x16NarrowI16x8U => binary_vector(t, H, |ins, low, high| ins.unarrow(low, high)),
        Op::I16x8NarrowI32x4S => binary_vector(t, W, |ins, low, high| ins.snarrow(low, high)),
        Op::I16x8NarrowI32x4U => binary_vector(t, W, |ins, low, high| ins.unarrow(low, high)),
        _ => return false,
    }
    true
}

fn extend<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I16x8ExtendLowI8x16S => unary_vector(t, B, |ins, value| ins.swiden_low(value)),
        Op::I32x4ExtendLowI16x8S => unary_vector(t, H, |ins, value| ins.swiden_low(value)),
        Op::I64x2ExtendLowI32x4S => unary_vector(t, W, |ins, value| ins.swiden_low(value)),
        Op::I16x8ExtendLowI8x16U => unary_vector(t, B, |ins, value| ins.uwiden_low(value)),
        Op::I32x4ExtendLowI16x8U => unary_vector(t, H, |ins, value| ins.uwiden_low(value)),
        Op::I64x2ExtendLowI32x4U => unary_vector(t, W, |ins, value| ins.uwiden_low(value)),
        Op::I16x8ExtendHighI8x16S => unary_vector(t, B, |ins, value| ins.swiden_high(value)),
        Op::I32x4ExtendHighI16x8S => unary_vector(t, H, |ins, value| ins.swiden_high(value)),
        Op::I64x2ExtendHighI32x4S => unary_vector(t, W, |ins, value| ins.swiden_high(value)),
        Op::I16x8ExtendHighI8x16U => unary_vector(t, B, |ins, value| ins.uwiden_high(value)),
        Op::I32x4ExtendHighI16x8U => unary_vector(t, H, |ins, value| ins.uwiden_high(value)),
        Op::I64x2ExtendHighI32x4U => unary_vector(t, W, |ins, value| ins.uwiden_high(value)),
        _ => return false,
    }
    true
}

/// Which half of the lanes, and as what.
#[derive(Clone, Copy)]
enum Half {
    LowSigned,
    LowUnsigned,
    HighSigned,
    HighUnsigned,
}

fn multiply<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I16x8ExtMulLowI8x16S => extended_product(t, B, Half::LowSigned),
        Op::I32x4ExtMulLowI16x8S => extended_product(t, H, Half::LowSigned),
        Op::I64x2ExtMulLowI32x4S => extended_product(t, W, Half::LowSigned),
        Op::I16x8ExtMulLowI8x16U => extended_product(t, B, Half::LowUnsigned),
        Op::I32x4ExtMulLowI16x8U => extended_product(t, H, Half::LowUnsigned),
        Op::I64x2ExtMulLowI32x4U => extended_product(t, W, Half::LowUnsigned),
        Op::I16x8ExtMulHighI8x16S => extended_product(t, B, Half::HighSigned),
        Op::I32x4ExtMulHighI16x8S => extended_product(t, H, Half::HighSigned),
        Op::I64x2ExtMulHighI32x4S => extended_product(t, W, Half::HighSigned),
        Op::I16x8ExtMulHighI8x16U => extended_product(t, B, Half::HighUnsigned),
        Op::I32x4ExtMulHighI16x8U => extended_product(t, H, Half::HighUnsigned),
        Op::I64x2ExtMulHighI32x4U => extended_product(t, W, Half::HighUnsigned),
        _ => return false,
    }
    true
}

fn extended_product<'f>(t: &mut impl Operands<'f>, shape: Type, half: Half) {
    let right = pop_as(t, shape);
    let left = pop_as(t, shape);
    let [left, right] = [left, right].map(|vector| match half {
        Half::LowSigned => t.ins().swiden_low(vector),
        Half::LowUnsigned => t.ins().uwiden_low(vector),
        Half::HighSigned => t.ins().swiden_high(vector),
        Half::HighUnsigned => t.ins().uwiden_high(vector),
    });
    let product = t.ins().imul(left, right);
    push_vector(t, product);
}

fn add_pairs<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    let (shape, signed) = match op {
        Op::I16x8ExtAddPairwiseI8x16S => (B, true),
        Op::I16x8ExtAddPairwiseI8x16U => (B, false),
        Op::I32x4ExtAddPairwiseI16x8S => (H, true),
        Op::I32x4ExtAddPairwiseI16x8U => (H, false),
        _ => return false,
    };
    let vector = pop_as(t, shape);
    let (low, high) = extended_pair(t, vector, signed);
    let sum = t.ins().iadd_pairwise(low, high);
    push_vector(t, sum);
    true
}

fn float<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I32x4TruncSatF32x4S => unary_vector(t, types::F32X4, |ins, value| ins.fcvt_to_sint_sat(W, value)),
        Op::I32x4TruncSatF32x4U => unary_vector(t, types::F32X4, |ins, value| ins.fcvt_to_uint_sat(W, value)),
        Op::I32x4TruncSatF64x2SZero => truncate_pair(t, true),
        Op::I32x4TruncSatF64x2UZero => truncate_pair(t, false),
        Op::F32x4ConvertI32x4S => unary_vector(t, W, |ins, value| ins.fcvt_from_sint(types::F32X4, value)),
        Op::F32x4ConvertI32x4U => unary_vector(t, W, |ins, value| ins.fcvt_from_uint(types::F32X4, value)),
        Op::F64x2ConvertLowI32x4S => {
            let vector = pop_as(t, W);
            let wide = t.ins().swiden_low(vector);
            let result = t.ins().fcvt_from_sint(types::F64X2, wide);
            push_vector(t, result);
        }
        Op::F64x2ConvertLowI32x4U => {
            let vector = pop_as(t, W);
            let wide = t.ins().uwiden_low(vector);
            let result = t.ins().fcvt_from_uint(types::F64X2, wide);
            push_vector(t, result);
        }
        Op::F32x4DemoteF64x2Zero => unary_vector(t, types::F64X2, |ins, value| ins.fvdemote(value)),
        Op::F64x2PromoteLowF32x4 => unary_vector(t, types::F32X4, |ins, value| ins.fvpromote_low(value)),
        _ => return false,
    }
    true
}

/// Two doubles to two `i32`, saturating; the upper lanes are zero.
pub(super) fn truncate_pair<'f>(t: &mut impl Operands<'f>, signed: bool) {
    let vector = pop_as(t, types::F64X2);
    let zero = constant(t, types::I64X2, [0; 16]);
    let result = if signed {
        let wide = t.ins().fcvt_to_sint_sat(types::I64X2, vector);
        t.ins().snarrow(wide, zero)
    } else {
        let wide = t.ins().fcvt_to_uint_sat(types::I64X2, vector);
        t.ins().uunarrow(wide, zero)
    };
    push_vector(t, result);
}
