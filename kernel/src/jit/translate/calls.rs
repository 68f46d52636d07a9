//! Calls: direct, imported, indirect, by reference, and their tail forms.

use cranelift_codegen::ir::UserExternalName;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    BlockArg, ExceptionTableData, ExceptionTableItem, ExtFuncData, ExternalName, FuncRef, InstBuilder,
    SigRef, TrapCode, Value, types,
};
use wasmparser::Operator;

use super::super::body::LOCAL;
use super::super::compile_error::CompileError;
use super::super::trapcode;
use super::super::valtype::HeapType;
use super::signature;
use super::translator::FuncTranslator;

/// What is called, its context, and its signature.
#[derive(Clone, Copy)]
struct Callee {
    to: Target,
    ctx: Value,
    ty: u32,
}

#[derive(Clone, Copy)]
enum Target {
    /// A function of this module, by a relative call.
    Local(FuncRef),
    /// An address.
    Code(Value),
}

impl FuncTranslator<'_> {
    /// Calls and tail calls. Returns whether it was one.
    pub(super) fn calls(&mut self, op: &Operator<'_>) -> Result<bool, CompileError> {
        match *op {
            Operator::Call { function_index } => {
                let callee = self.callee(function_index);
                self.call(callee);
            }
            Operator::CallIndirect { type_index, table_index } => {
                let callee = self.callee_indirect(type_index, table_index)?;
                self.call(callee);
            }
            Operator::CallRef { type_index } => {
                let callee = self.callee_ref(type_index);
                self.call(callee);
            }
            Operator::ReturnCall { function_index } => {
                let callee = self.callee(function_index);
                self.tail_call(callee);
            }
            Operator::ReturnCallIndirect { type_index, table_index } => {
                let callee = self.callee_indirect(type_index, table_index)?;
                self.tail_call(callee);
            }
            Operator::ReturnCallRef { type_index } => {
                let callee = self.callee_ref(type_index);
                self.tail_call(callee);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn callee(&mut self, func: u32) -> Callee {
        let ty = self.module.funcs[func as usize];
        match self.module.defined_func(func) {
            Some(defined) => Callee { to: Target::Local(self.local_func(func, defined)), ctx: self.ctx, ty },
            None => {
                let at = self.module.layout.func_import(func);
                Callee { to: Target::Code(self.import_code(at)), ctx: self.ctx_word(at + 8), ty }
            }
        }
    }

    /// A function of this module as the target of a relative call.
    fn local_func(&mut self, func: u32, defined: u32) -> FuncRef {
        if let Some(&known) = self.funcs.get(&func) {
            return known;
        }
        let signature = self.sig_ref(self.module.funcs[func as usize]);
        let name = UserExternalName::new(LOCAL, defined);
        let name = ExternalName::user(self.builder.func.declare_imported_user_function(name));
        let data = ExtFuncData { name, signature, colocated: true, patchable: false };
        let func_ref = self.builder.import_function(data);
        self.funcs.insert(func, func_ref);
        func_ref
    }

    /// A null element faults when its signature is loaded.
    fn callee_indirect(&mut self, ty: u32, table: u32) -> Result<Callee, CompileError> {
        if !self.module.types[ty as usize].is_final {
            return self.unsupported("an indirect call through a type that has subtypes");
        }
        let index = self.pop();
        let func = self.element(table, index, trapcode::UNDEFINED_ELEMENT);
        let wanted = self.module.types[ty as usize].sig;
        if self.module.tables[table as usize].element.heap == HeapType::Concrete(wanted) {
            return Ok(self.callee_at(func, ty, trapcode::UNINITIALIZED_ELEMENT));
        }
        let flags = self.access.fixed_at(Some(trapcode::UNINITIALIZED_ELEMENT));
        let found = self.builder.ins().load(types::I32, flags, func, 16);
        let at = self.module.layout.sig(ty).cast_signed();
        let expected = self.builder.ins().load(types::I32, self.access.fixed, self.ctx, at);
        let differs = self.builder.ins().icmp(IntCC::NotEqual, found, expected);
        self.builder.ins().trapnz(differs, trapcode::BAD_SIGNATURE);
        Ok(self.callee_loaded(func, ty, None))
    }

    fn callee_ref(&mut self, ty: u32) -> Callee {
        let func = self.pop();
        self.callee_at(func, ty, trapcode::NULL_FUNCTION_REFERENCE)
    }

    fn callee_at(&mut self, func: Value, ty: u32, null: TrapCode) -> Callee {
        self.callee_loaded(func, ty, Some(null))
    }

    fn callee_loaded(&mut self, func: Value, ty: u32, null: Option<TrapCode>) -> Callee {
        let flags = self.access.code_at(null);
        let code = self.builder.ins().load(types::I64, flags, func, 0);
        let flags = self.access.fixed_at(None);
        let ctx = self.builder.ins().load(types::I64, flags, func, 8);
        Callee { to: Target::Code(code), ctx, ty }
    }

    /// The context and the arguments, which are popped.
    fn call_args(&mut self, callee: &Callee) -> Vec<Value> {
        let ty = &self.module.types[callee.ty as usize].func;
        let count = ty.params.len();
        self.weight += count + ty.results.len();
        let mut args = Vec::with_capacity(count + 1);
        args.push(callee.ctx);
        let at = self.stack.len() - count;
        args.extend(self.stack.drain(at..));
        args
    }

    fn call(&mut self, callee: Callee) {
        let args = self.call_args(&callee);
        if let Some(&handler) = self.handlers.last() {
            return self.call_caught(callee, &args, handler);
        }
        let call = match callee.to {
            Target::Local(func) => self.builder.ins().call(func, &args),
            Target::Code(code) => {
                let sig = self.sig_ref(callee.ty);
                self.builder.ins().call_indirect(sig, code, &args)
            }
        };
        self.stack.extend_from_slice(self.builder.inst_results(call));
    }

    /// A call whose exceptions go to `handler`; translation goes on in a new block.
    fn call_caught(&mut self, callee: Callee, args: &[Value], handler: cranelift_codegen::ir::Block) {
        let results = self.module.types[callee.ty as usize].func.results.len();
        let sig = self.sig_ref(callee.ty);
        let returns: Vec<_> =
            self.builder.func.dfg.signatures[sig].returns.iter().map(|result| result.value_type).collect();
        let next = self.block_with(&returns);
        let returned: Vec<_> = (0..results as u32).map(BlockArg::TryCallRet).collect();
        let dfg = &mut self.builder.func.dfg;
        let normal = dfg.block_call(next, &returned);
        let caught = dfg.block_call(handler, &[BlockArg::TryCallExn(0)]);
        let table = ExceptionTableData::new(sig, normal, [ExceptionTableItem::Default(caught)]);
        let table = dfg.exception_tables.push(table);
        match callee.to {
            Target::Local(func) => self.builder.ins().try_call(func, args, table),
            Target::Code(code) => self.builder.ins().try_call_indirect(code, args, table),
        };
        self.builder.seal_block(next);
        self.builder.switch_to_block(next);
        self.stack.extend_from_slice(self.builder.block_params(next));
    }

    fn tail_call(&mut self, callee: Callee) {
        let args = self.call_args(&callee);
        match callee.to {
            Target::Local(func) => self.builder.ins().return_call(func, &args),
            Target::Code(code) => {
                let sig = self.sig_ref(callee.ty);
                self.builder.ins().return_call_indirect(sig, code, &args)
            }
        };
        self.reachable = false;
    }

    /// The machine signature of compiled functions with this wasm signature.
    pub(super) fn sig_ref(&mut self, type_index: u32) -> SigRef {
        let ty = &self.module.types[type_index as usize];
        if let Some(&known) = self.sigs.get(&ty.sig) {
            return known;
        }
        let sig = self.builder.import_signature(signature::compiled(&ty.func));
        self.sigs.insert(ty.sig, sig);
        sig
    }
}
