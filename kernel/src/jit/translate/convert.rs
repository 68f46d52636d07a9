//! Conversions between scalars: widths, integers and floats, and bits seen as the other kind.
//!
//! A trapping truncation tells "not a number" (`BAD_CONVERSION_TO_INTEGER`) from "out of range" (`INTEGER_OVERFLOW`).

use cranelift_codegen::ir::{InstBuilder, Type, types};
use wasmparser::Operator as Op;

use super::operands::{LITTLE, Operands, unary};

/// Translates conversions of `i32`, `i64`, `f32` and `f64`; false for any other operator.
pub(super) fn convert<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    integer_width(t, op) || from_float(t, op) || to_float(t, op)
}

fn integer_width<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I32WrapI64 => unary(t, |ins, value| ins.ireduce(types::I32, value)),
        Op::I64ExtendI32S => unary(t, |ins, value| ins.sextend(types::I64, value)),
        Op::I64ExtendI32U => unary(t, |ins, value| ins.uextend(types::I64, value)),
        Op::I32Extend8S => sign_extend(t, types::I8, types::I32),
        Op::I32Extend16S => sign_extend(t, types::I16, types::I32),
        Op::I64Extend8S => sign_extend(t, types::I8, types::I64),
        Op::I64Extend16S => sign_extend(t, types::I16, types::I64),
        Op::I64Extend32S => sign_extend(t, types::I32, types::I64),
        _ => return false,
    }
    true
}

fn sign_extend<'f>(t: &mut impl Operands<'f>, low: Type, whole: Type) {
    unary(t, |ins, value| ins.ireduce(low, value));
    unary(t, |ins, value| ins.sextend(whole, value));
}

fn from_float<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I32TruncF32S | Op::I32TruncF64S => unary(t, |ins, value| ins.fcvt_to_sint(types::I32, value)),
        Op::I32TruncF32U | Op::I32TruncF64U => unary(t, |ins, value| ins.fcvt_to_uint(types::I32, value)),
        Op::I64TruncF32S | Op::I64TruncF64S => unary(t, |ins, value| ins.fcvt_to_sint(types::I64, value)),
        Op::I64TruncF32U | Op::I64TruncF64U => unary(t, |ins, value| ins.fcvt_to_uint(types::I64, value)),
        Op::I32TruncSatF32S | Op::I32TruncSatF64S => {
            unary(t, |ins, value| ins.fcvt_to_sint_sat(types::I32, value))
        }
        Op::I32TruncSatF32U | Op::I32TruncSatF64U => {
            unary(t, |ins, value| ins.fcvt_to_uint_sat(types::I32, value))
        }
        Op::I64TruncSatF32S | Op::I64TruncSatF64S => {
            unary(t, |ins, value| ins.fcvt_to_sint_sat(types::I64, value))
        }
        Op::I64TruncSatF32U | Op::I64TruncSatF64U => {
            unary(t, |ins, value| ins.fcvt_to_uint_sat(types::I64, value))
        }
        Op::I32ReinterpretF32 => unary(t, |ins, value| ins.bitcast(types::I32, LITTLE, value)),
        Op::I64ReinterpretF64 => unary(t, |ins, value| ins.bitcast(types::I64, LITTLE, value)),
        Op::F32DemoteF64 => unary(t, |ins, value| ins.fdemote(types::F32, value)),
        Op::F64PromoteF32 => unary(t, |ins, value| ins.fpromote(types::F64, value)),
        _ => return false,
    }
    true
}

fn to_float<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::F32ConvertI32S | Op::F32ConvertI64S => {
            unary(t, |ins, value| ins.fcvt_from_sint(types::F32, value))
        }
        Op::F32ConvertI32U | Op::F32ConvertI64U => {
            unary(t, |ins, value| ins.fcvt_from_uint(types::F32, value))
        }
        Op::F64ConvertI32S | Op::F64ConvertI64S => {
            unary(t, |ins, value| ins.fcvt_from_sint(types::F64, value))
        }
        Op::F64ConvertI32U | Op::F64ConvertI64U => {
            unary(t, |ins, value| ins.fcvt_from_uint(types::F64, value))
        }
        Op::F32ReinterpretI32 => unary(t, |ins, value| ins.bitcast(types::F32, LITTLE, value)),
        Op::F64ReinterpretI64 => unary(t, |ins, value| ins.bitcast(types::F64, LITTLE, value)),
        _ => return false,
    }
    true
}
