//! Trampolines between the host's calling convention and the guests', one per signature and direction.
//!
//! Values cross in an array of 16-byte slots: parameters from the first on, and results from the first on.

use std::sync::{Arc, Weak};

use cranelift_codegen::Context;
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, StackSlotData, StackSlotKind, TrapCode,
    UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::body::Body;
use super::compile_error::CompileError;
use super::image::{Code, Image};
use super::translate::{clif_type, signature};
use super::trapcode;
use super::valtype::CoreFuncType;
use crate::trap::site::{Catch, CodeFrame, CodeInfo};
use crate::vm;

/// Bytes of a slot.
const SLOT: u32 = 16;

/// Which way a trampoline goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// From the host into guest code.
    In,
    /// From guest code to the host.
    Out,
}

/// A compiled trampoline.
pub(super) struct Trampoline {
    code: Code,
    way: Way,
}

impl Trampoline {
    /// Compiles one.
    ///
    /// # Errors
    /// [`CompileError`]
    pub fn compile(
        isa: &dyn TargetIsa,
        ty: &CoreFuncType,
        way: Way,
    ) -> Result<Arc<Trampoline>, CompileError> {
        let mut context = Context::new();
        let mut scratch = FunctionBuilderContext::new();
        match way {
            Way::In => entry(isa, ty, &mut context.func, &mut scratch),
            Way::Out => exit(isa, ty, &mut context.func, &mut scratch),
        }
        let body = Body::compile(isa, &mut context, || "(trampoline)".to_owned())?;
        let code = Image::assemble(vec![body], 16)?.publish(&[])?;
        let made = Arc::new(Trampoline { code, way });
        let info: Weak<dyn CodeInfo> = Arc::downgrade(&(Arc::clone(&made) as Arc<dyn CodeInfo>));
        made.code.block().describe(info);
        Ok(made)
    }

    /// Its entry.
    pub fn code(&self) -> *const u8 {
        self.code.func(0)
    }
}

impl CodeInfo for Trampoline {
    fn trap(&self, offset: u32) -> Option<TrapCode> {
        self.code.trap(offset)
    }

    fn frame(&self, _: u32) -> Option<CodeFrame> {
        None
    }

    fn catches(&self, _: u32) -> Catch {
        match self.way {
            Way::In => Catch::Stop,
            Way::Out => Catch::Pass,
        }
    }
}

/// `extern "C" fn(ctx, code, values)`
fn entry(isa: &dyn TargetIsa, ty: &CoreFuncType, func: &mut Function, scratch: &mut FunctionBuilderContext) {
    let mut sig = Signature::new(CallConv::SystemV);
    sig.params.extend([AbiParam::new(types::I64); 3]);
    *func = Function::with_name_signature(UserFuncName::default(), sig);
    let mut builder = start(func, scratch);
    let block = builder.current_block().expect("the entry block is open");
    let [ctx, code, values] = builder.block_params(block)[..] else { unreachable!("three parameters") };
    let mut args = vec![ctx];
    let flags = MemFlagsData::trusted();
    for (at, &ty) in ty.params.iter().enumerate() {
        args.push(builder.ins().load(clif_type(ty), flags, values, slot(at)));
    }
    let callee = builder.import_signature(signature::compiled(ty));
    let call = builder.ins().call_indirect(callee, code, &args);
    let results = builder.inst_results(call).to_vec();
    spill(&mut builder, values, &results);
    builder.ins().return_(&[]);
    builder.finalize(isa.frontend_config());
}

/// A compiled function whose context is a `VmHostCore`.
fn exit(isa: &dyn TargetIsa, ty: &CoreFuncType, func: &mut Function, scratch: &mut FunctionBuilderContext) {
    *func = Function::with_name_signature(UserFuncName::default(), signature::compiled(ty));
    let mut builder = start(func, scratch);
    let block = builder.current_block().expect("the entry block is open");
    let params = builder.block_params(block).to_vec();
    let (ctx, params) = (params[0], &params[1..]);
    let flags = MemFlagsData::trusted();
    let domain = builder.ins().load(types::I64, flags, ctx, vm::host_core::DOMAIN);
    let frame = builder.ins().get_frame_pointer(types::I64);
    builder.ins().store(flags, frame, domain, vm::domain::EXIT_FP);
    let slots = ty.params.len().max(ty.results.len()).max(1);
    let bytes = u32::try_from(slots).expect("the validator bounds values") * SLOT;
    let area = builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4));
    let values = builder.ins().stack_addr(types::I64, area, 0);
    spill(&mut builder, values, params);
    let mut host = Signature::new(CallConv::SystemV);
    host.params.extend([AbiParam::new(types::I64); 2]);
    host.returns.push(AbiParam::new(types::I32));
    let host = builder.import_signature(host);
    let code = builder.ins().load(types::I64, flags, ctx, vm::host_core::CALL);
    let call = builder.ins().call_indirect(host, code, &[ctx, values]);
    let status = builder.inst_results(call)[0];
    builder.ins().trapnz(status, trapcode::PENDING);
    let mut results = Vec::with_capacity(ty.results.len());
    for (at, &ty) in ty.results.iter().enumerate() {
        results.push(builder.ins().load(clif_type(ty), flags, values, slot(at)));
    }
    builder.ins().return_(&results);
    builder.finalize(isa.frontend_config());
}

fn start<'a>(func: &'a mut Function, scratch: &'a mut FunctionBuilderContext) -> FunctionBuilder<'a> {
    let mut builder = FunctionBuilder::new(func, scratch);
    let block = builder.create_block();
    builder.append_block_params_for_function_params(block);
    builder.switch_to_block(block);
    builder.seal_block(block);
    builder
}

/// Stores values into slots; narrow ones leave no old bytes behind in the low 8.
fn spill(builder: &mut FunctionBuilder<'_>, slots: Value, values: &[Value]) {
    let flags = MemFlagsData::trusted();
    for (at, &value) in values.iter().enumerate() {
        let wide = match builder.func.dfg.value_type(value) {
            types::I32 => builder.ins().uextend(types::I64, value),
            _ => value,
        };
        builder.ins().store(flags, wide, slots, slot(at));
    }
}

fn slot(at: usize) -> i32 {
    i32::try_from(at * SLOT as usize).expect("the validator bounds values")
}
