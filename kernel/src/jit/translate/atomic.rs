//! Atomic memory operators (the threads proposal).
//!
//! Every access is sequentially consistent and must be naturally aligned; a misaligned one traps, whether it is in
//! bounds or not.

use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Type, Value, types};
use wasmparser::{MemArg, Operator as Op};

use super::operands::{Operands, unary};
use crate::jit::builtin::Builtin;
use crate::jit::trapcode;

/// Translates atomic loads, stores, read-modify-writes, waits, wake-ups and fences; false for any other operator.
pub(super) fn atomic<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    if let Op::AtomicFence = op {
        t.ins().fence();
        return true;
    }
    transfer(t, op) || exchange(t, op) || modify(t, op) || wait(t, op)
}

fn transfer<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I32AtomicLoad { memarg } => load(t, memarg, types::I32, types::I32),
        Op::I32AtomicLoad8U { memarg } => load(t, memarg, types::I8, types::I32),
        Op::I32AtomicLoad16U { memarg } => load(t, memarg, types::I16, types::I32),
        Op::I64AtomicLoad { memarg } => load(t, memarg, types::I64, types::I64),
        Op::I64AtomicLoad8U { memarg } => load(t, memarg, types::I8, types::I64),
        Op::I64AtomicLoad16U { memarg } => load(t, memarg, types::I16, types::I64),
        Op::I64AtomicLoad32U { memarg } => load(t, memarg, types::I32, types::I64),
        Op::I32AtomicStore { memarg } => store(t, memarg, types::I32),
        Op::I32AtomicStore8 { memarg } | Op::I64AtomicStore8 { memarg } => store(t, memarg, types::I8),
        Op::I32AtomicStore16 { memarg } | Op::I64AtomicStore16 { memarg } => store(t, memarg, types::I16),
        Op::I64AtomicStore { memarg } => store(t, memarg, types::I64),
        Op::I64AtomicStore32 { memarg } => store(t, memarg, types::I32),
        _ => return false,
    }
    true
}

fn exchange<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::I32AtomicRmwCmpxchg { memarg } => compare_exchange(t, memarg, types::I32, types::I32),
        Op::I32AtomicRmw8CmpxchgU { memarg } => compare_exchange(t, memarg, types::I8, types::I32),
        Op::I32AtomicRmw16CmpxchgU { memarg } => compare_exchange(t, memarg, types::I16, types::I32),
        Op::I64AtomicRmwCmpxchg { memarg } => compare_exchange(t, memarg, types::I64, types::I64),
        Op::I64AtomicRmw8CmpxchgU { memarg } => compare_exchange(t, memarg, types::I8, types::I64),
        Op::I64AtomicRmw16CmpxchgU { memarg } => compare_exchange(t, memarg, types::I16, types::I64),
        Op::I64AtomicRmw32CmpxchgU { memarg } => compare_exchange(t, memarg, types::I32, types::I64),
        _ => return false,
    }
    true
}

macro_rules! modify_table {
    ($t:ident, $op:ident, $($rmw:ident: $i32:ident $i32_8:ident $i32_16:ident
                            $i64:ident $i64_8:ident $i64_16:ident $i64_32:ident;)*) => {
        match $op {
            $(
                Op::$i32 { memarg } => read_modify_write($t, AtomicRmwOp::$rmw, memarg, types::I32, types::I32),
                Op::$i32_8 { memarg } => read_modify_write($t, AtomicRmwOp::$rmw, memarg, types::I8, types::I32),
                Op::$i32_16 { memarg } => read_modify_write($t, AtomicRmwOp::$rmw, memarg, types::I16, types::I32),
                Op::$i64 { memarg } => read_modify_write($t, AtomicRmwOp::$rmw, memarg, types::I64, types::I64),
                Op::$i64_8 { memarg } => read_modify_write($t, AtomicRmwOp::$rmw, memarg, types::I8, types::I64),
                Op::$i64_16 { memarg } => read_modify_write($t, AtomicRmwOp::$rmw, memarg, types::I16, types::I64),
                Op::$i64_32 { memarg } => read_modify_write($t, AtomicRmwOp::$rmw, memarg, types::I32, types::I64),
            )*
            _ => return false,
        }
    };
}

#[rustfmt::skip]
fn modify<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    modify_table! { t, op,
        Add: I32AtomicRmwAdd I32AtomicRmw8AddU I32AtomicRmw16AddU
             I64AtomicRmwAdd I64AtomicRmw8AddU I64AtomicRmw16AddU I64AtomicRmw32AddU;
        Sub: I32AtomicRmwSub I32AtomicRmw8SubU I32AtomicRmw16SubU
             I64AtomicRmwSub I64AtomicRmw8SubU I64AtomicRmw16SubU I64AtomicRmw32SubU;
        And: I32AtomicRmwAnd I32AtomicRmw8AndU I32AtomicRmw16AndU
             I64AtomicRmwAnd I64AtomicRmw8AndU I64AtomicRmw16AndU I64AtomicRmw32AndU;
        Or: I32AtomicRmwOr I32AtomicRmw8OrU I32AtomicRmw16OrU
            I64AtomicRmwOr I64AtomicRmw8OrU I64AtomicRmw16OrU I64AtomicRmw32OrU;
        Xor: I32AtomicRmwXor I32AtomicRmw8XorU I32AtomicRmw16XorU
             I64AtomicRmwXor I64AtomicRmw8XorU I64AtomicRmw16XorU I64AtomicRmw32XorU;
        Xchg: I32AtomicRmwXchg I32AtomicRmw8XchgU I32AtomicRmw16XchgU
              I64AtomicRmwXchg I64AtomicRmw8XchgU I64AtomicRmw16XchgU I64AtomicRmw32XchgU;
    }
    true
}

fn wait<'f>(t: &mut impl Operands<'f>, op: &Op<'_>) -> bool {
    match op {
        Op::MemoryAtomicNotify { memarg } => {
            let count = t.pop();
            let (memory, address) = guest_address(t, memarg, types::I32);
            let woken = t.checked_value(Builtin::atomic_notify, &[memory, address, count]);
            t.push(woken);
        }
        Op::MemoryAtomicWait32 { memarg } => {
            let (expected, timeout) = t.pop2();
            let (memory, address) = guest_address(t, memarg, types::I32);
            let outcome = t.checked_value(Builtin::atomic_wait32, &[memory, address, expected, timeout]);
            t.push(outcome);
        }
        Op::MemoryAtomicWait64 { memarg } => {
            let (expected, timeout) = t.pop2();
            let (memory, address) = guest_address(t, memarg, types::I64);
            let outcome = t.checked_value(Builtin::atomic_wait64, &[memory, address, expected, timeout]);
            t.push(outcome);
        }
        _ => return false,
    }
    unary(t, |ins, value| ins.ireduce(types::I32, value));
    true
}

fn load<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, access: Type, result: Type) {
    let (address, flags) = aligned_address(t, memarg, access);
    let value = t.ins().atomic_load(access, flags, address);
    push_extended(t, value, result);
}

fn store<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, access: Type) {
    let value = pop_reduced(t, access);
    let (address, flags) = aligned_address(t, memarg, access);
    t.ins().atomic_store(flags, value, address);
}

fn read_modify_write<'f>(
    t: &mut impl Operands<'f>,
    rmw: AtomicRmwOp,
    memarg: &MemArg,
    access: Type,
    result: Type,
) {
    let operand = pop_reduced(t, access);
    let (address, flags) = aligned_address(t, memarg, access);
    let old = t.ins().atomic_rmw(access, flags, rmw, address, operand);
    push_extended(t, old, result);
}

/// The proposal compares at the width of the access: the expected value is wrapped, like the replacement.
fn compare_exchange<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, access: Type, result: Type) {
    let replacement = pop_reduced(t, access);
    let expected = pop_reduced(t, access);
    let (address, flags) = aligned_address(t, memarg, access);
    let old = t.ins().atomic_cas(flags, address, expected, replacement);
    push_extended(t, old, result);
}

fn pop_reduced<'f>(t: &mut impl Operands<'f>, access: Type) -> Value {
    let value = t.pop();
    if t.type_of(value) == access { value } else { t.ins().ireduce(access, value) }
}

fn push_extended<'f>(t: &mut impl Operands<'f>, value: Value, result: Type) {
    let whole = if t.type_of(value) == result { value } else { t.ins().uextend(result, value) };
    t.push(whole);
}

/// Pops an index; the host address of the access, offset added, checked to be a multiple of its size.
fn aligned_address<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, access: Type) -> (Value, MemFlagsData) {
    let index = t.pop();
    trap_unaligned(t, index, memarg, access);
    let at = t.place_at(index, memarg, access.bytes());
    let address =
        if at.offset == 0 { at.address } else { t.ins().iadd_imm_s(at.address, i64::from(at.offset)) };
    (address, at.flags)
}

/// Only the low bits count, so the sum may wrap.
fn trap_unaligned<'f>(t: &mut impl Operands<'f>, index: Value, memarg: &MemArg, access: Type) {
    let mask = u64::from(access.bytes() - 1);
    if mask > 0 {
        let offset = memarg.offset & mask;
        let low = if offset == 0 { index } else { t.ins().iadd_imm_u(index, offset.cast_signed()) };
        let low = t.ins().band_imm_u(low, mask.cast_signed());
        t.ins().trapnz(low, trapcode::UNALIGNED_ATOMIC);
    }
}

/// Pops an index; the memory's number and the guest address of the access as an `i64`, offset added.
///
/// The built-in checks the bounds; only an address beyond 64 bits is refused here.
fn guest_address<'f>(t: &mut impl Operands<'f>, memarg: &MemArg, access: Type) -> (Value, Value) {
    let index = t.pop();
    trap_unaligned(t, index, memarg, access);
    let index = if t.type_of(index) == types::I32 { t.ins().uextend(types::I64, index) } else { index };
    let offset = t.ins().iconst(types::I64, memarg.offset.cast_signed());
    let address = t.ins().uadd_overflow_trap(index, offset, trapcode::MEMORY_OUT_OF_BOUNDS);
    let memory = t.ins().iconst(types::I32, i64::from(memarg.memory));
    (memory, address)
}
