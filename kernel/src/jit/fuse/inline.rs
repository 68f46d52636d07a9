//! Calls of the core functions in a domain's slots: the body itself where it is small, a direct call where linking knows
//! the address, else through the slot.

use abi::flat::CoreType;
use cranelift_codegen::ir::{
    ExtFuncData, ExternalName, InstBuilder, Signature, Type, UserExternalName, Value, types,
};
use cranelift_frontend::FunctionBuilder;
use wasmparser::{MemArg, Operator};

use super::emit::{Emit, OWN, core_signature};
use super::spec::Callee;
use crate::jit::body::{LOCAL, PLACED};
use crate::jit::builtin::Builtin;
use crate::jit::translate::access::Place;
use crate::jit::translate::numeric::numeric;
use crate::jit::translate::operands::Operands;
use crate::jit::valtype::ValType;

impl Emit<'_> {
    /// Calls the core function in a slot of the domain.
    pub fn call_slot(
        &mut self,
        slot: u32,
        params: &[CoreType],
        results: &[CoreType],
        args: &[Value],
    ) -> Vec<Value> {
        let signature = core_signature(params, results);
        let Some(callee) = self.callees.get(&slot) else {
            let sig = self.builder.import_signature(signature);
            let (code, ctx) = (self.func_code(slot), self.func_ctx(slot));
            let mut all = vec![ctx];
            all.extend_from_slice(args);
            let call = self.builder.ins().call_indirect(sig, code, &all);
            return self.builder.inst_results(call).to_vec();
        };
        if let Some(values) = self.write_body(slot, callee, args, results.len()) {
            return values;
        }
        let ctx = self.func_ctx(slot);
        self.call_named(UserExternalName::new(PLACED, slot), signature, ctx, args)
    }

    /// Calls another function of this image, or one that has an address.
    pub fn call_named(
        &mut self,
        name: UserExternalName,
        signature: Signature,
        ctx: Value,
        args: &[Value],
    ) -> Vec<Value> {
        let signature = self.builder.import_signature(signature);
        let name = ExternalName::user(self.builder.func.declare_imported_user_function(name));
        let data = ExtFuncData { name, signature, colocated: true, patchable: false };
        let func = self.builder.import_function(data);
        let mut all = vec![ctx];
        all.extend_from_slice(args);
        let call = self.builder.ins().call(func, &all);
        self.builder.inst_results(call).to_vec()
    }

    /// Whether a call of the function in a slot is written out and calls nobody: nothing is to be seen of it meanwhile.
    pub fn is_quiet(&self, slot: u32) -> bool {
        let quiet = |op: &Operator<'_>| !matches!(op, Operator::Call { .. });
        self.callees.get(&slot).and_then(writable).is_some_and(|operators| operators.iter().all(quiet))
    }

    /// Writes the body of a small function in place of a call, if it is one.
    fn write_body(
        &mut self,
        slot: u32,
        callee: &Callee,
        args: &[Value],
        results: usize,
    ) -> Option<Vec<Value>> {
        let mut stack = Vec::new();
        for op in writable(callee)? {
            match op {
                Operator::LocalGet { local_index } => stack.push(args[local_index as usize]),
                Operator::GlobalGet { global_index } => {
                    let (ctx, (at, ty)) = (self.func_ctx(slot), global(callee, global_index)?);
                    stack.push(self.builder.ins().load(ty, OWN, ctx, at));
                }
                Operator::GlobalSet { global_index } => {
                    let (ctx, (at, _)) = (self.func_ctx(slot), global(callee, global_index)?);
                    let value = stack.pop().expect("the body is validated");
                    self.builder.ins().store(OWN, value, ctx, at);
                }
                Operator::Drop => _ = stack.pop(),
                Operator::Nop => {}
                Operator::Call { function_index } => {
                    let (number, params, results) = &callee.adapters[&function_index];
                    let args = stack.split_off(stack.len() - params.len());
                    let name = UserExternalName::new(LOCAL, *number);
                    let domain = self.domain;
                    stack.extend(self.call_named(name, core_signature(params, results), domain, &args));
                }
                other => {
                    let mut written = Written { builder: &mut self.builder, stack };
                    assert!(numeric(&mut written, &other), "a kept body has only such operators");
                    stack = written.stack;
                }
            }
        }
        assert_eq!(stack.len(), results, "the body is validated");
        Some(stack)
    }
}

/// The operators of a function that is so small that it is written out: it calls adapters only, and its globals are its
/// own numbers.
fn writable(callee: &Callee) -> Option<Vec<Operator<'_>>> {
    let operators = callee.library.small(callee.func)?.operators()?;
    let known = |op: &Operator<'_>| match op {
        Operator::Call { function_index } => callee.adapters.contains_key(function_index),
        Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index } => {
            global(callee, *global_index).is_some()
        }
        _ => true,
    };
    operators.iter().all(known).then_some(operators)
}

/// Where a core instance has a global that it defines, from its context on, and what that is, if it is a number.
fn global(callee: &Callee, index: u32) -> Option<(i32, Type)> {
    let module = &callee.library.module;
    let defined = index.checked_sub(module.imported.globals)?;
    let ty = match module.globals.get(index as usize)?.ty {
        ValType::I32 => types::I32,
        ValType::I64 => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        _ => return None,
    };
    Some((i32::try_from(module.layout.global(defined)).ok()?, ty))
}

/// A body while it is written, as operator tables see it.
struct Written<'b, 'f> {
    builder: &'b mut FunctionBuilder<'f>,
    stack: Vec<Value>,
}

impl<'f> Operands<'f> for Written<'_, 'f> {
    fn builder(&mut self) -> &mut FunctionBuilder<'f> {
        self.builder
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect("the body is validated")
    }

    fn place_at(&mut self, _: Value, _: &MemArg, _: u32) -> Place {
        unreachable!("a kept body has no memory")
    }

    fn checked_value(&mut self, _: Builtin, _: &[Value]) -> Value {
        unreachable!("a kept body asks the kernel for nothing")
    }
}
