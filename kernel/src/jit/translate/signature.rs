//! Machine signatures: of compiled functions, of built-ins, and how a function checks its stack.

use cranelift_codegen::ir::{
    AbiParam, ArgumentPurpose, Function, GlobalValueData, MemFlagsData, Signature, types,
};
use cranelift_codegen::isa::CallConv;

use super::super::builtin::{Arg, Builtin};
use super::super::valtype::CoreFuncType;
use super::translator::clif_type;
use crate::vm;

/// A compiled function: the context, then the wasm parameters, `tail` convention.
#[must_use]
pub fn compiled(ty: &CoreFuncType) -> Signature {
    let mut sig = Signature::new(CallConv::Tail);
    sig.params.push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    sig.params.extend(ty.params.iter().map(|&ty| AbiParam::new(clif_type(ty))));
    sig.returns.extend(ty.results.iter().map(|&ty| AbiParam::new(clif_type(ty))));
    sig
}

/// A built-in: `extern "C"`, the context first.
#[must_use]
pub fn builtin(which: Builtin) -> Signature {
    let machine = |arg: Arg| match arg {
        Arg::I32 => AbiParam::new(types::I32),
        Arg::I64 | Arg::Ptr => AbiParam::new(types::I64),
    };
    let (params, result) = which.signature();
    let mut sig = Signature::new(CallConv::SystemV);
    sig.params.push(AbiParam::new(types::I64));
    sig.params.extend(params.iter().copied().map(machine));
    sig.returns.extend(result.map(machine));
    sig
}

/// Makes a function whose context is a `VmCtx` check the stack limit when it is entered.
pub fn check_stack(func: &mut Function) {
    let flags = MemFlagsData::trusted().with_readonly();
    let flags = func.dfg.mem_flags.insert_unchecked(flags);
    let ctx = func.create_global_value(GlobalValueData::VMContext);
    let domain = func.create_global_value(GlobalValueData::Load {
        base: ctx,
        offset: vm::ctx::DOMAIN.into(),
        global_type: types::I64,
        flags,
    });
    let limit = func.create_global_value(GlobalValueData::Load {
        base: domain,
        offset: vm::domain::STACK_LIMIT.into(),
        global_type: types::I64,
        flags,
    });
    func.stack_limit = Some(limit);
}
