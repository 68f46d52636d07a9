//! What an operator table needs of the translator, and the shapes that most operators have.
//!
//! A vector lies on the operand stack as `i8x16`, whatever made it, so that blocks, locals and calls know one vector
//! type. [`pop_as`] looks through the cast that [`push_vector`] made, so that an operator which follows another of
//! the same shape is not hidden from the code generator's patterns by two casts.

use cranelift_codegen::ir::{
    Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value, ValueDef,
    condcodes::FloatCC, condcodes::IntCC, types,
};
use cranelift_frontend::{FuncInstBuilder, FunctionBuilder};
use wasmparser::MemArg;

use super::access::Place;
use super::translator::FuncTranslator;
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;

/// The translator as operator tables see it. Bodies are validated, so popping cannot fail.
pub(in crate::jit) trait Operands<'f> {
    /// The function being built.
    fn builder(&mut self) -> &mut FunctionBuilder<'f>;

    /// Pushes an operand.
    fn push(&mut self, value: Value);

    /// Pops an operand.
    fn pop(&mut self) -> Value;

    /// Where the access of `bytes` bytes at this index goes; an access out of bounds traps, at the latest when it
    /// is made with the flags given.
    fn place_at(&mut self, index: Value, memarg: &MemArg, bytes: u32) -> Place;

    /// Calls a built-in whose result is -1 when it leaves a trap, and traps then.
    fn checked_value(&mut self, builtin: Builtin, args: &[Value]) -> Value;

    /// Emits the next instruction.
    fn ins(&mut self) -> FuncInstBuilder<'_, 'f> {
        self.builder().ins()
    }

    /// Pops two operands, in the order in which they were pushed.
    fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    /// Pops the index of an access of `bytes` bytes, and where it goes.
    fn place(&mut self, memarg: &MemArg, bytes: u32) -> Place {
        let index = self.pop();
        self.place_at(index, memarg, bytes)
    }

    /// The type of a value.
    fn type_of(&mut self, value: Value) -> Type {
        self.builder().func.dfg.value_type(value)
    }
}

impl<'a> Operands<'a> for FuncTranslator<'a> {
    fn builder(&mut self) -> &mut FunctionBuilder<'a> {
        &mut self.builder
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect("validation: an operand is there")
    }

    fn place_at(&mut self, index: Value, memarg: &MemArg, bytes: u32) -> Place {
        FuncTranslator::place_at(self, index, memarg, bytes)
    }

    fn checked_value(&mut self, builtin: Builtin, args: &[Value]) -> Value {
        let result = self.builtin(builtin, args).expect("the built-in returns a value");
        let failed = self.builder.ins().icmp_imm_s(IntCC::Equal, result, -1);
        self.builder.ins().trapnz(failed, trapcode::PENDING);
        result
    }
}

/// One operand, one result.
pub(super) fn unary<'f, T: Operands<'f>>(
    t: &mut T,
    emit: impl FnOnce(FuncInstBuilder<'_, 'f>, Value) -> Value,
) {
    let value = t.pop();
    let result = emit(t.ins(), value);
    t.push(result);
}

/// Two operands, one result.
pub(super) fn binary<'f, T: Operands<'f>>(
    t: &mut T,
    emit: impl FnOnce(FuncInstBuilder<'_, 'f>, Value, Value) -> Value,
) {
    let (left, right) = t.pop2();
    let result = emit(t.ins(), left, right);
    t.push(result);
}

/// A comparison of integers: the result is an `i32`.
pub(super) fn compare<'f>(t: &mut impl Operands<'f>, condition: IntCC) {
    binary(t, |ins, left, right| ins.icmp(condition, left, right));
    unary(t, |ins, bit| ins.uextend(types::I32, bit));
}

/// A comparison of floats: the result is an `i32`.
pub(super) fn compare_float<'f>(t: &mut impl Operands<'f>, condition: FloatCC) {
    binary(t, |ins, left, right| ins.fcmp(condition, left, right));
    unary(t, |ins, bit| ins.uextend(types::I32, bit));
}

/// The flags of a cast between vector types: lane 0 is at the lowest address, on every machine.
pub(super) const LITTLE: MemFlagsData = MemFlagsData::new().with_endianness(Endianness::Little);

/// What a vector was before it was cast to lie on the operand stack.
pub(super) fn uncast<'f>(t: &mut impl Operands<'f>, value: Value) -> Value {
    let dfg = &t.builder().func.dfg;
    match dfg.value_def(value) {
        ValueDef::Result(inst, _) => match dfg.insts[inst] {
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. }
                if dfg.value_type(arg).is_vector() =>
            {
                arg
            }
            _ => value,
        },
        _ => value,
    }
}

/// The same 16 bytes as a value of another vector type.
pub(super) fn cast<'f>(t: &mut impl Operands<'f>, ty: Type, value: Value) -> Value {
    if t.type_of(value) == ty {
        return value;
    }
    let original = uncast(t, value);
    if t.type_of(original) == ty { original } else { t.ins().bitcast(ty, LITTLE, original) }
}

/// Pops a vector as one of this shape.
pub(super) fn pop_as<'f>(t: &mut impl Operands<'f>, shape: Type) -> Value {
    let value = t.pop();
    cast(t, shape, value)
}

/// Pushes a vector of any shape.
pub(super) fn push_vector<'f>(t: &mut impl Operands<'f>, value: Value) {
    let canonical = cast(t, types::I8X16, value);
    t.push(canonical);
}

/// One vector of this shape in, one of any shape out.
pub(super) fn unary_vector<'f, T: Operands<'f>>(
    t: &mut T,
    shape: Type,
    emit: impl FnOnce(FuncInstBuilder<'_, 'f>, Value) -> Value,
) {
    let value = pop_as(t, shape);
    let result = emit(t.ins(), value);
    push_vector(t, result);
}

/// Two vectors of this shape in, one of any shape out.
pub(super) fn binary_vector<'f, T: Operands<'f>>(
    t: &mut T,
    shape: Type,
    emit: impl FnOnce(FuncInstBuilder<'_, 'f>, Value, Value) -> Value,
) {
    let right = pop_as(t, shape);
    let left = pop_as(t, shape);
    let result = emit(t.ins(), left, right);
    push_vector(t, result);
}
