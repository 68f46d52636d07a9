//! Calls of the core functions in a domain's slots: the body itself where it is small, a direct call where linking knows
//! the address, else through the slot.

use abi::flat::CoreType;
use cranelift_codegen::ir::{ExtFuncData, ExternalName, InstBuilder, Signature, UserExternalName, Value};
use cranelift_frontend::FunctionBuilder;
use wasmparser::{MemArg, Operator};

use super::emit::{Emit, core_signature};
use super::spec::Callee;
use crate::jit::body::{LOCAL, PLACED};
use crate::jit::builtin::Builtin;
use crate::jit::translate::access::Place;
use crate::jit::translate::numeric::numeric;
use crate::jit::translate::operands::Operands;

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
        if let Some(values) = self.write_body(callee, args, results.len()) {
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

    /// Writes the body of a small function in place of a call. Nothing is written if it calls what is no adapter.
    fn write_body(&mut self, callee: &Callee, args: &[Value], results: usize) -> Option<Vec<Value>> {
        let body = callee.library.small(callee.func)?;
        let operators = body.operators()?;
        let known = |op: &Operator<'_>| match op {
            Operator::Call { function_index } => callee.adapters.contains_key(function_index),
            _ => true,
        };
        if !operators.iter().all(known) {
            return None;
        }
        let mut stack = Vec::new();
        for op in operators {
            match op {
                Operator::LocalGet { local_index } => stack.push(args[local_index as usize]),
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
