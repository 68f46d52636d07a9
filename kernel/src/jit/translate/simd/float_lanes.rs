//! Arithmetic and comparisons of float lanes.

use cranelift_codegen::ir::{InstBuilder, Type, condcodes::FloatCC, types};
use wasmparser::Operator as Op;

use crate::jit::translate::operands::{Operands, binary_vector, cast, pop_as, push_vector, unary_vector};

const S: Type = types::F32X4;
const D: Type = types::F64X2;

/// Translates operators on float lanes that keep their width; false for any other operator.
pub(super) fn float_lanes<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    compare(t, op) || unary(t, op) || arithmetic(t, op)
}

fn compare<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    let (shape, condition) = match op {
        Op::F32x4Eq => (S, FloatCC::Equal),
        Op::F64x2Eq => (D, FloatCC::Equal),
        Op::F32x4Ne => (S, FloatCC::NotEqual),
        Op::F64x2Ne => (D, FloatCC::NotEqual),
        Op::F32x4Lt => (S, FloatCC::LessThan),
        Op::F64x2Lt => (D, FloatCC::LessThan),
        Op::F32x4Gt => (S, FloatCC::GreaterThan),
        Op::F64x2Gt => (D, FloatCC::GreaterThan),
        Op::F32x4Le => (S, FloatCC::LessThanOrEqual),
        Op::F64x2Le => (D, FloatCC::LessThanOrEqual),
        Op::F32x4Ge => (S, FloatCC::GreaterThanOrEqual),
        Op::F64x2Ge => (D, FloatCC::GreaterThanOrEqual),
        _ => return false,
    };
    binary_vector(t, shape, |ins, left, right| ins.fcmp(condition, left, right));
    true
}

fn unary<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::F32x4Ceil => unary_vector(t, S, |ins, value| ins.ceil(value)),
        Op::F64x2Ceil => unary_vector(t, D, |ins, value| ins.ceil(value)),
        Op::F32x4Floor => unary_vector(t, S, |ins, value| ins.floor(value)),
        Op::F64x2Floor => unary_vector(t, D, |ins, value| ins.floor(value)),
        Op::F32x4Trunc => unary_vector(t, S, |ins, value| ins.trunc(value)),
        Op::F64x2Trunc => unary_vector(t, D, |ins, value| ins.trunc(value)),
        Op::F32x4Nearest => unary_vector(t, S, |ins, value| ins.nearest(value)),
        Op::F64x2Nearest => unary_vector(t, D, |ins, value| ins.nearest(value)),
        Op::F32x4Abs => unary_vector(t, S, |ins, value| ins.fabs(value)),
        Op::F64x2Abs => unary_vector(t, D, |ins, value| ins.fabs(value)),
        Op::F32x4Neg => unary_vector(t, S, |ins, value| ins.fneg(value)),
        Op::F64x2Neg => unary_vector(t, D, |ins, value| ins.fneg(value)),
        Op::F32x4Sqrt => unary_vector(t, S, |ins, value| ins.sqrt(value)),
        Op::F64x2Sqrt => unary_vector(t, D, |ins, value| ins.sqrt(value)),
        _ => return false,
    }
    true
}

fn arithmetic<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::F32x4Add => binary_vector(t, S, |ins, left, right| ins.fadd(left, right)),
        Op::F64x2Add => binary_vector(t, D, |ins, left, right| ins.fadd(left, right)),
        Op::F32x4Sub => binary_vector(t, S, |ins, left, right| ins.fsub(left, right)),
        Op::F64x2Sub => binary_vector(t, D, |ins, left, right| ins.fsub(left, right)),
        Op::F32x4Mul => binary_vector(t, S, |ins, left, right| ins.fmul(left, right)),
        Op::F64x2Mul => binary_vector(t, D, |ins, left, right| ins.fmul(left, right)),
        Op::F32x4Div => binary_vector(t, S, |ins, left, right| ins.fdiv(left, right)),
        Op::F64x2Div => binary_vector(t, D, |ins, left, right| ins.fdiv(left, right)),
        Op::F32x4Min => binary_vector(t, S, |ins, left, right| ins.fmin(left, right)),
        Op::F64x2Min => binary_vector(t, D, |ins, left, right| ins.fmin(left, right)),
        Op::F32x4Max => binary_vector(t, S, |ins, left, right| ins.fmax(left, right)),
        Op::F64x2Max => binary_vector(t, D, |ins, left, right| ins.fmax(left, right)),
        Op::F32x4PMin => pseudo_minimum(t, S),
        Op::F64x2PMin => pseudo_minimum(t, D),
        Op::F32x4PMax => pseudo_maximum(t, S),
        Op::F64x2PMax => pseudo_maximum(t, D),
        _ => return false,
    }
    true
}

/// `right < left ? right : left`. One instruction on x86-64, whose code generator recognises this very form.
pub(super) fn pseudo_minimum<'f>(t: &mut impl Operands<'f>, shape: Type) {
    let right = pop_as(t, shape);
    let left = pop_as(t, shape);
    let less = t.ins().fcmp(FloatCC::LessThan, right, left);
    let less = cast(t, shape, less);
    let result = t.ins().bitselect(less, right, left);
    push_vector(t, result);
}

/// `left < right ? right : left`. One instruction on x86-64, as [`pseudo_minimum`].
pub(super) fn pseudo_maximum<'f>(t: &mut impl Operands<'f>, shape: Type) {
    let right = pop_as(t, shape);
    let left = pop_as(t, shape);
    let less = t.ins().fcmp(FloatCC::LessThan, left, right);
    let less = cast(t, shape, less);
    let result = t.ins().bitselect(less, right, left);
    push_vector(t, result);
}
