//! Loads and stores of vectors, of parts of them, and of lanes.

use cranelift_codegen::ir::{InstBuilder, Type, Value, types};
use wasmparser::{MemArg, Operator as Op};

use crate::jit::translate::access::Place;
use crate::jit::translate::operands::{Operands, pop_as, push_vector};

/// Translates vector loads and stores; false for any other operator.
pub(super) fn vector_memory<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    load(t, op) || lane(t, op)
}

fn load<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::V128Load { memarg } => {
            let vector = scalar(t, memarg, types::I8X16);
            t.push(vector);
        }
        Op::V128Store { memarg } => {
            let vector = t.pop();
            let at = t.place(memarg, 16);
            t.ins().store(at.flags, vector, at.address, at.offset);
        }
        Op::V128Load8x8S { memarg } => {
            widen(t, memarg, |t, at| t.ins().sload8x8(at.flags, at.address, at.offset))
        }
        Op::V128Load8x8U { memarg } => {
            widen(t, memarg, |t, at| t.ins().uload8x8(at.flags, at.address, at.offset))
        }
        Op::V128Load16x4S { memarg } => {
            widen(t, memarg, |t, at| t.ins().sload16x4(at.flags, at.address, at.offset))
        }
        Op::V128Load16x4U { memarg } => {
            widen(t, memarg, |t, at| t.ins().uload16x4(at.flags, at.address, at.offset))
        }
        Op::V128Load32x2S { memarg } => {
            widen(t, memarg, |t, at| t.ins().sload32x2(at.flags, at.address, at.offset))
        }
        Op::V128Load32x2U { memarg } => {
            widen(t, memarg, |t, at| t.ins().uload32x2(at.flags, at.address, at.offset))
        }
        Op::V128Load8Splat { memarg } => splat(t, memarg, types::I8X16),
        Op::V128Load16Splat { memarg } => splat(t, memarg, types::I16X8),
        Op::V128Load32Splat { memarg } => splat(t, memarg, types::I32X4),
        Op::V128Load64Splat { memarg } => splat(t, memarg, types::I64X2),
        Op::V128Load32Zero { memarg } => zero_extend(t, memarg, types::I32X4),
        Op::V128Load64Zero { memarg } => zero_extend(t, memarg, types::I64X2),
        _ => return false,
    }
    true
}

fn lane<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::V128Load8Lane { memarg, lane } => load_lane(t, memarg, types::I8X16, *lane),
        Op::V128Load16Lane { memarg, lane } => load_lane(t, memarg, types::I16X8, *lane),
        Op::V128Load32Lane { memarg, lane } => load_lane(t, memarg, types::I32X4, *lane),
        Op::V128Load64Lane { memarg, lane } => load_lane(t, memarg, types::I64X2, *lane),
        Op::V128Store8Lane { memarg, lane } => store_lane(t, memarg, types::I8X16, *lane),
        Op::V128Store16Lane { memarg, lane } => store_lane(t, memarg, types::I16X8, *lane),
        Op::V128Store32Lane { memarg, lane } => store_lane(t, memarg, types::I32X4, *lane),
        Op::V128Store64Lane { memarg, lane } => store_lane(t, memarg, types::I64X2, *lane),
        _ => return false,
    }
    true
}

/// Pops an index and loads a value of this type.
fn scalar<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, access: Type) -> Value {
    let at = t.place(memarg, access.bytes());
    t.ins().load(access, at.flags, at.address, at.offset)
}

fn widen<'f, T: Operands<'f>>(t: &mut T, memarg: &MemArg, load: impl FnOnce(&mut T, Place) -> Value) {
    let at = t.place(memarg, 8);
    let vector = load(t, at);
    push_vector(t, vector);
}

fn splat<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, shape: Type) {
    let value = scalar(t, memarg, shape.lane_type());
    let vector = t.ins().splat(shape, value);
    push_vector(t, vector);
}

fn zero_extend<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, shape: Type) {
    let value = scalar(t, memarg, shape.lane_type());
    let vector = t.ins().scalar_to_vector(shape, value);
    push_vector(t, vector);
}

fn load_lane<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, shape: Type, lane: u8) {
    let vector = pop_as(t, shape);
    let value = scalar(t, memarg, shape.lane_type());
    let changed = t.ins().insertlane(vector, value, lane);
    push_vector(t, changed);
}

fn store_lane<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, shape: Type, lane: u8) {
    let vector = pop_as(t, shape);
    let at = t.place(memarg, shape.lane_type().bytes());
    let value = t.ins().extractlane(vector, lane);
    t.ins().store(at.flags, value, at.address, at.offset);
}
