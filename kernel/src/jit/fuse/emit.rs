//! One function of an adapter image while it is written: calls out of it, checks, and the record of its domain.

use abi::flat::CoreType;
use abi::plan::Endpoint;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, ArgumentPurpose, Block, BlockArg, Function, GlobalValueData, InstBuilder, MemFlagsData,
    Signature, TrapCode, Type, UserExternalName, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::handles::Lent;
use super::part::{Part, Parts};
use super::reason::Reason;
use super::spec::{Callees, Implementers};
use crate::jit::body::LOCAL;
use crate::jit::builtin::Builtin;
use crate::jit::translate::signature;
use crate::jit::trapcode;
use crate::vm::{self, DomainLayout};

/// Writes one function, whose context is the `VmDomain`.
pub(super) struct Emit<'f> {
    /// Where instructions go.
    pub builder: FunctionBuilder<'f>,
    /// The `VmDomain`.
    pub domain: Value,
    /// Whether what is lent is noted in a handle scope; otherwise in `lent`.
    pub scoped: bool,
    /// What the call lends by itself.
    pub lent: Vec<Lent>,
    /// Who implements which resource type.
    pub implementers: &'f Implementers,
    /// What is known of the functions in slots.
    pub callees: &'f Callees,
    /// Where the record holds what.
    pub layout: DomainLayout,
    parts: &'f mut Parts,
}

/// The machine signature of a compiled function: the context, then core values, in the `tail` convention.
pub(super) fn core_signature(params: &[CoreType], results: &[CoreType]) -> Signature {
    let mut sig = Signature::new(CallConv::Tail);
    sig.params.push(AbiParam::special(types::I64, ArgumentPurpose::VMContext));
    sig.params.extend(params.iter().map(|&core| AbiParam::new(clif_type(core))));
    sig.returns.extend(results.iter().map(|&core| AbiParam::new(clif_type(core))));
    sig
}

/// How a core value is held in a register.
pub(super) const fn clif_type(core: CoreType) -> Type {
    match core {
        CoreType::I32 => types::I32,
        CoreType::I64 => types::I64,
        CoreType::F32 => types::F32,
        CoreType::F64 => types::F64,
    }
}

impl<'f> Emit<'f> {
    /// Starts a function; gives its parameters after the context.
    pub fn start(
        func: &'f mut Function,
        scratch: &'f mut FunctionBuilderContext,
        sig: Signature,
        (layout, implementers, callees): (DomainLayout, &'f Implementers, &'f Callees),
        parts: &'f mut Parts,
    ) -> (Emit<'f>, Vec<Value>) {
        *func = Function::with_name_signature(UserFuncName::default(), sig);
        check_stack(func);
        let mut builder = FunctionBuilder::new(func, scratch);
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        let params = builder.block_params(entry).to_vec();
        let (scoped, lent) = (true, Vec::new());
        let emit = Emit { builder, domain: params[0], scoped, lent, implementers, callees, layout, parts };
        (emit, params[1..].to_vec())
    }

    /// Ends the function.
    pub fn finish(mut self, isa: &dyn TargetIsa) {
        self.builder.seal_all_blocks();
        self.builder.finalize(isa.frontend_config());
    }

    /// An integer constant.
    pub fn int(&mut self, ty: Type, value: impl Into<i64>) -> Value {
        self.builder.ins().iconst(ty, value.into())
    }

    /// The type of a value.
    pub fn type_of(&self, value: Value) -> Type {
        self.builder.func.dfg.value_type(value)
    }

    /// An `i32` as a 64-bit number.
    pub fn wide(&mut self, value: Value) -> Value {
        match self.type_of(value) {
            types::I32 => self.builder.ins().uextend(types::I64, value),
            _ => value,
        }
    }

    /// The low half of a 64-bit number.
    pub fn narrow(&mut self, value: Value) -> Value {
        self.builder.ins().ireduce(types::I32, value)
    }

    /// A block with parameters of these types.
    pub fn block(&mut self, params: &[Type]) -> Block {
        let block = self.builder.create_block();
        for &ty in params {
            self.builder.append_block_param(block, ty);
        }
        block
    }

    /// Ends the current block with a jump.
    pub fn jump(&mut self, to: Block, args: &[Value]) {
        let args: Vec<BlockArg> = args.iter().map(|&value| BlockArg::Value(value)).collect();
        self.builder.ins().jump(to, &args);
    }

    /// Goes on in `block`; gives its parameters.
    pub fn enter(&mut self, block: Block) -> Vec<Value> {
        self.builder.switch_to_block(block);
        self.builder.block_params(block).to_vec()
    }

    /// Ends the current block: where `condition` holds `then`, else `otherwise`.
    pub fn branch(&mut self, condition: Value, then: Block, otherwise: Block) {
        self.builder.ins().brif(condition, then, &[], otherwise, &[]);
    }

    /// Traps for `reason` where `condition` holds.
    pub fn fail_if(&mut self, condition: Value, reason: Reason, details: &[Value]) {
        let (fail, next) = (self.block(&[]), self.block(&[]));
        self.builder.set_cold_block(fail);
        self.branch(condition, fail, next);
        self.enter(fail);
        self.fail(reason, details);
        self.enter(next);
    }

    /// Ends the current block with the trap for `reason`.
    pub fn fail(&mut self, reason: Reason, details: &[Value]) {
        let mut args = vec![self.int(types::I32, reason as i32)];
        for at in 0..3 {
            let detail = match details.get(at) {
                Some(&value) => self.wide(value),
                None => self.int(types::I64, 0),
            };
            args.push(detail);
        }
        self.builtin(Builtin::abi_trap, &args);
        self.builder.ins().trap(trapcode::PENDING);
    }

    /// Traps with a code where the comparison with a constant holds.
    pub fn trap_if(&mut self, value: Value, is: IntCC, constant: i64, code: TrapCode) {
        let condition = self.builder.ins().icmp_imm_s(is, value, constant);
        self.builder.ins().trapnz(condition, code);
    }

    /// Calls a kernel function; gives its result if it has one.
    pub fn builtin(&mut self, which: Builtin, args: &[Value]) -> Option<Value> {
        let sig = self.builder.import_signature(signature::builtin(which));
        let table = self.builder.ins().load(types::I64, FIXED, self.domain, vm::domain::BUILTINS);
        let code = self.builder.ins().load(types::I64, FIXED, table, 8 * which as i32);
        let mut all = vec![self.domain];
        all.extend_from_slice(args);
        let call = self.builder.ins().call_indirect(sig, code, &all);
        self.builder.inst_results(call).first().copied()
    }

    /// Calls a kernel function that returns a status, and traps if it says so.
    pub fn builtin_status(&mut self, which: Builtin, args: &[Value]) {
        let status = self.builtin(which, args).expect("returns a status");
        self.builder.ins().trapnz(status, trapcode::PENDING);
    }

    /// Calls a kernel function that returns a 64-bit number, and traps if that is negative.
    pub fn builtin_number(&mut self, which: Builtin, args: &[Value]) -> Value {
        let number = self.builtin(which, args).expect("returns a number");
        self.trap_if(number, IntCC::SignedLessThan, 0, trapcode::PENDING);
        number
    }

    /// The address of the core function in a slot.
    pub fn func_code(&mut self, slot: u32) -> Value {
        let at = self.layout.func(slot).cast_signed();
        self.builder.ins().load(types::I64, FIXED, self.domain, at)
    }

    /// The context of the core function in a slot.
    pub fn func_ctx(&mut self, slot: u32) -> Value {
        let at = self.layout.func(slot).cast_signed() + 8;
        self.builder.ins().load(types::I64, FIXED, self.domain, at)
    }

    /// Calls a part of the image.
    pub fn call_part(&mut self, part: Part, args: &[Value]) -> Vec<Value> {
        let signature = part.signature();
        let name = UserExternalName::new(LOCAL, self.parts.number(part));
        let domain = self.domain;
        self.call_named(name, signature, domain, args)
    }

    /// Calls the `realloc` of a side and checks what it returns; `old` and its bytes are 0 for new memory.
    pub fn allocate(&mut self, side: &Endpoint, old: [Value; 2], align: u32, bytes: Value) -> Value {
        let align = self.int(types::I32, align);
        let bytes = match self.type_of(bytes) {
            types::I64 => self.narrow(bytes),
            _ => bytes,
        };
        let params = [old[0], old[1], align, bytes];
        match side.realloc.filter(|realloc| side.memory.is_some() && self.is_quiet(*realloc)) {
            Some(realloc) => self.allocate_here(side, realloc, &params),
            None => self.call_part(Part::Allocate(side.clone()), &params)[0],
        }
    }

    /// Where a memory begins.
    pub fn memory_base(&mut self, side: &Endpoint) -> Value {
        let Some(memory) = side.memory else {
            return self.int(types::I64, 0);
        };
        let at = self.layout.memory(memory).cast_signed();
        self.builder.ins().load(types::I64, FIXED, self.domain, at)
    }

    /// How many bytes a memory has now; 0 where there is none.
    pub fn memory_bytes(&mut self, side: &Endpoint) -> Value {
        let Some(memory) = side.memory else {
            return self.int(types::I64, 0);
        };
        let at = self.layout.memory(memory).cast_signed() + 8;
        let definition = self.builder.ins().load(types::I64, FIXED, self.domain, at);
        self.builder.ins().load(types::I64, OWN, definition, 8)
    }

    /// Traps with `code` unless a bit of a process's flags is set.
    pub fn need_flag(&mut self, process: u32, flag: u32, code: TrapCode) {
        let flags = self.flags(process);
        let bit = self.builder.ins().band_imm_u(flags, i64::from(flag));
        self.builder.ins().trapz(bit, code);
    }

    /// Sets or clears a process's leave to call out.
    pub fn may_leave(&mut self, process: u32, may: bool) {
        let flags = self.flags(process);
        let flags = if may {
            self.builder.ins().bor_imm_u(flags, i64::from(vm::flags::MAY_LEAVE))
        } else {
            self.builder.ins().band_imm_u(flags, i64::from(!vm::flags::MAY_LEAVE))
        };
        let at = self.layout.flags(process).cast_signed();
        self.builder.ins().store(OWN, flags, self.domain, at);
    }

    fn flags(&mut self, process: u32) -> Value {
        let at = self.layout.flags(process).cast_signed();
        self.builder.ins().load(types::I32, OWN, self.domain, at)
    }

    /// A word of the record that does not change while compiled code runs.
    pub fn fixed_word(&mut self, at: i32) -> Value {
        self.builder.ins().load(types::I64, FIXED, self.domain, at)
    }

    /// Notes the frame for a backtrace that begins below a Rust frame.
    pub fn note_exit(&mut self) {
        let frame = self.builder.ins().get_frame_pointer(types::I64);
        self.builder.ins().store(OWN, frame, self.domain, vm::domain::EXIT_FP);
    }
}

/// The kernel's records: never out of bounds, always aligned.
pub(super) const OWN: MemFlagsData = MemFlagsData::trusted();
/// Those of them that do not change while compiled code runs.
const FIXED: MemFlagsData = MemFlagsData::trusted().with_readonly();

fn check_stack(func: &mut Function) {
    let flags = func.dfg.mem_flags.insert_unchecked(OWN);
    let base = func.create_global_value(GlobalValueData::VMContext);
    let limit = func.create_global_value(GlobalValueData::Load {
        base,
        offset: vm::domain::STACK_LIMIT.into(),
        global_type: types::I64,
        flags,
    });
    func.stack_limit = Some(limit);
}
