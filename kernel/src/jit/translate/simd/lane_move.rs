//! Lanes into and out of vectors, shuffles, and operators on all 128 bits.

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use wasmparser::Operator as Op;

use crate::jit::translate::operands::{
    Operands, binary, binary_vector, cast, pop_as, push_vector, unary, uncast,
};

/// Translates constants, lane access, splats, shuffles and bitwise operators; false for any other operator.
pub(super) fn lane_move<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    lane_access(t, op) || splat(t, op) || bits(t, op)
}

fn lane_access<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16ExtractLaneS { lane } => {
            extract(t, types::I8X16, *lane);
            unary(t, |ins, value| ins.sextend(types::I32, value));
        }
        Op::I8x16ExtractLaneU { lane } => {
            extract(t, types::I8X16, *lane);
            unary(t, |ins, value| ins.uextend(types::I32, value));
        }
        Op::I16x8ExtractLaneS { lane } => {
            extract(t, types::I16X8, *lane);
            unary(t, |ins, value| ins.sextend(types::I32, value));
        }
        Op::I16x8ExtractLaneU { lane } => {
            extract(t, types::I16X8, *lane);
            unary(t, |ins, value| ins.uextend(types::I32, value));
        }
        Op::I32x4ExtractLane { lane } => extract(t, types::I32X4, *lane),
        Op::I64x2ExtractLane { lane } => extract(t, types::I64X2, *lane),
        Op::F32x4ExtractLane { lane } => extract(t, types::F32X4, *lane),
        Op::F64x2ExtractLane { lane } => extract(t, types::F64X2, *lane),
        Op::I8x16ReplaceLane { lane } => {
            unary(t, |ins, value| ins.ireduce(types::I8, value));
            replace(t, types::I8X16, *lane);
        }
        Op::I16x8ReplaceLane { lane } => {
            unary(t, |ins, value| ins.ireduce(types::I16, value));
            replace(t, types::I16X8, *lane);
        }
        Op::I32x4ReplaceLane { lane } => replace(t, types::I32X4, *lane),
        Op::I64x2ReplaceLane { lane } => replace(t, types::I64X2, *lane),
        Op::F32x4ReplaceLane { lane } => replace(t, types::F32X4, *lane),
        Op::F64x2ReplaceLane { lane } => replace(t, types::F64X2, *lane),
        _ => return false,
    }
    true
}

fn extract<'f>(t: &mut impl Operands<'f>, shape: Type, lane: u8) {
    let vector = pop_as(t, shape);
    let value = t.ins().extractlane(vector, lane);
    t.push(value);
}

fn replace<'f>(t: &mut impl Operands<'f>, shape: Type, lane: u8) {
    let value = t.pop();
    let vector = pop_as(t, shape);
    let changed = t.ins().insertlane(vector, value, lane);
    push_vector(t, changed);
}

fn splat<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I8x16Splat => {
            unary(t, |ins, value| ins.ireduce(types::I8, value));
            splat_as(t, types::I8X16);
        }
        Op::I16x8Splat => {
            unary(t, |ins, value| ins.ireduce(types::I16, value));
            splat_as(t, types::I16X8);
        }
        Op::I32x4Splat => splat_as(t, types::I32X4),
        Op::I64x2Splat => splat_as(t, types::I64X2),
        Op::F32x4Splat => splat_as(t, types::F32X4),
        Op::F64x2Splat => splat_as(t, types::F64X2),
        _ => return false,
    }
    true
}

fn splat_as<'f>(t: &mut impl Operands<'f>, shape: Type) {
    let value = t.pop();
    let vector = t.ins().splat(shape, value);
    push_vector(t, vector);
}

fn bits<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::V128Const { value } => {
            let vector = constant(t, types::I8X16, *value.bytes());
            t.push(vector);
        }
        Op::I8x16Shuffle { lanes } => {
            let mask = t.builder().func.dfg.immediates.push(lanes.as_slice().into());
            binary_vector(t, types::I8X16, |ins, left, right| ins.shuffle(left, right, mask));
        }
        Op::I8x16Swizzle => {
            binary_vector(t, types::I8X16, |ins, vector, indices| ins.swizzle(vector, indices))
        }
        Op::V128Not => unary(t, |ins, value| ins.bnot(value)),
        Op::V128And => binary(t, |ins, left, right| ins.band(left, right)),
        Op::V128AndNot => binary(t, |ins, left, right| ins.band_not(left, right)),
        Op::V128Or => binary(t, |ins, left, right| ins.bor(left, right)),
        Op::V128Xor => binary(t, |ins, left, right| ins.bxor(left, right)),
        Op::V128Bitselect => bitselect(t),
        Op::V128AnyTrue => {
            unary(t, |ins, value| ins.vany_true(value));
            unary(t, |ins, bit| ins.uextend(types::I32, bit));
        }
        _ => return false,
    }
    true
}

/// Selects at the shape of the condition, so that the code generator sees a comparison where there was one.
fn bitselect<'f>(t: &mut impl Operands<'f>) {
    let condition = t.pop();
    let condition = uncast(t, condition);
    let shape = t.type_of(condition);
    let (condition, shape) = if shape.lane_type().is_int() {
        (condition, shape)
    } else {
        (cast(t, types::I8X16, condition), types::I8X16)
    };
    binary_vector(t, shape, |ins, left, right| ins.bitselect(condition, left, right));
}

/// A constant vector of this shape.
pub(super) fn constant<'f>(t: &mut impl Operands<'f>, shape: Type, bytes: [u8; 16]) -> Value {
    let constant = t.builder().func.dfg.constants.insert(bytes.as_slice().into());
    t.ins().vconst(shape, constant)
}
