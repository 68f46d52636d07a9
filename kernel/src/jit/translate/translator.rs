//! The translator's state: the operand stack, the control stack, and what every operator needs of the function.

use std::collections::HashMap;

use cranelift_codegen::ir::{
    AliasRegion, AliasRegionData, Block, FuncRef, Inst, InstBuilder, MemFlagsData, SigRef, TrapCode, Type,
    Value, types,
};
use cranelift_frontend::{FunctionBuilder, Variable};

use super::super::builtin::Builtin;
use super::super::compile_error::CompileError;
use super::super::module::Module;
use super::super::sig::SigId;
use super::super::trapcode;
use super::super::valtype::ValType;
use super::signature;
use super::watching::Watcher;
use crate::limits::{MAX_CARRIED_VALUES, MAX_LOCALS_TIMES_BLOCKS};
use crate::vm;

/// Translates one function body, operator by operator.
pub struct FuncTranslator<'a> {
    /// The module that the function belongs to.
    pub(super) module: &'a Module,
    /// Where instructions go.
    pub(super) builder: FunctionBuilder<'a>,
    /// Operands: `i32`, `i64`, `f32`, `f64`, vectors as `i8x16`, references as `i64`.
    pub(super) stack: Vec<Value>,
    /// Open blocks, outermost first; the first is the function itself.
    pub(super) frames: Vec<Frame>,
    /// Whether the point of translation can be reached. Where it cannot, operators are only counted.
    pub(super) reachable: bool,
    /// The function's locals, parameters first.
    pub(super) locals: Vec<Variable>,
    /// The `VmCtx`.
    pub(super) ctx: Value,
    /// How to access each kind of memory.
    pub(super) access: Access,
    /// The blocks that take exceptions at the point of translation, one for each `try_table` around it, innermost
    /// last; the parameter is the exception.
    pub(super) handlers: Vec<Block>,
    /// Where the operator being translated is, from the first byte of the file.
    pub(super) offset: u64,
    /// Values that calls, blocks and branches have moved so far.
    pub(super) weight: usize,
    pub(super) sigs: HashMap<SigId, SigRef>,
    builtin_sigs: HashMap<Builtin, SigRef>,
    pub(super) funcs: HashMap<u32, FuncRef>,
    /// Where code notes what it does, if that is watched.
    pub(super) watcher: Option<Watcher<'a>>,
}

/// Memory flags by what is accessed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// Linear memory: little endian, unaligned, traps as out of bounds.
    pub heap: MemFlagsData,
    /// What never changes while the instance lives.
    pub fixed: MemFlagsData,
    /// The code of functions that are called through a slot: it is replaced when somebody watches the call.
    pub code: MemFlagsData,
    /// Lengths and bases that change when something grows.
    pub bounds: MemFlagsData,
    /// Table elements; the trap code is set per use.
    pub element: MemFlagsData,
    /// Globals that others may see.
    pub global: MemFlagsData,
    /// An exception's values.
    pub payload: MemFlagsData,
}

/// An open block.
#[derive(Debug)]
pub(super) struct Frame {
    /// What opened it.
    pub kind: FrameKind,
    /// Operands below its parameters.
    pub height: usize,
    /// How many results it leaves.
    pub results: usize,
    /// Where a branch to it goes: the loop's head, or what follows the block.
    pub target: Block,
    /// How many values such a branch carries.
    pub carried: usize,
    /// Whether something branches there.
    pub branched: bool,
}

/// What opened a block.
#[derive(Debug)]
pub(super) enum FrameKind {
    /// `block`, and the function itself
    Block,
    /// `loop`
    Loop,
    /// `if` whose `else` has not come yet
    If {
        /// The conditional branch.
        branch: Inst,
        /// Where it goes for now when the condition is false.
        otherwise: Block,
        /// The parameters' types, for `else`.
        params: Vec<Type>,
    },
    /// `else`; whether the first arm's end was reached is in `branched`
    Else,
    /// `try_table`
    Try,
    /// Any of them where it cannot be reached.
    Dead,
}

impl Access {
    /// The flags, with one alias region for each kind of memory.
    pub fn new(builder: &mut FunctionBuilder<'_>) -> Access {
        let mut region = |name| Some(region(builder, name));
        let trusted = MemFlagsData::trusted();
        let heap = MemFlagsData::new()
            .with_endianness(cranelift_codegen::ir::Endianness::Little)
            .with_trap_code(Some(trapcode::MEMORY_OUT_OF_BOUNDS))
            .with_alias_region(region(Region::Heap));
        Access {
            heap,
            fixed: trusted.with_readonly().with_can_move().with_alias_region(region(Region::Fixed)),
            code: trusted.with_alias_region(region(Region::Code)),
            bounds: trusted.with_alias_region(region(Region::Bounds)),
            element: MemFlagsData::new().with_aligned().with_alias_region(region(Region::Elements)),
            global: trusted.with_alias_region(region(Region::Globals)),
            payload: trusted.with_alias_region(region(Region::Payload)),
        }
    }
}

impl Access {
    /// What never changes once it is there, which a null check, possibly this access's own fault, must show first.
    pub fn fixed_at(&self, null: Option<TrapCode>) -> MemFlagsData {
        let region = self.fixed.alias_region();
        MemFlagsData::trusted().with_readonly().with_trap_code(null).with_alias_region(region)
    }

    /// The code of a function reference, which a null check must show first, as above.
    pub fn code_at(&self, null: Option<TrapCode>) -> MemFlagsData {
        MemFlagsData::trusted().with_trap_code(null).with_alias_region(self.code.alias_region())
    }
}

/// Kinds of memory that never overlap.
#[derive(Clone, Copy, Debug)]
pub(super) enum Region {
    Heap,
    Fixed,
    Bounds,
    Elements,
    Globals,
    Payload,
    Board,
    Code,
    /// A global that nobody outside the module sees.
    Private(u32),
}

/// The alias region of a kind of memory.
pub(super) fn region(builder: &mut FunctionBuilder<'_>, which: Region) -> AliasRegion {
    let (user_id, description) = match which {
        Region::Heap => (0, "linear memory"),
        Region::Fixed => (1, "fixed context"),
        Region::Bounds => (2, "bounds"),
        Region::Elements => (3, "table elements"),
        Region::Globals => (4, "shared globals"),
        Region::Payload => (5, "exception values"),
        Region::Board => (6, "what is watched"),
        Region::Code => (7, "code in slots"),
        Region::Private(index) => (8 + index, "private global"),
    };
    builder.func.dfg.alias_regions.insert(AliasRegionData { user_id, description: description.into() })
}

impl<'a> FuncTranslator<'a> {
    /// A translator with nothing but the function's context parameter.
    pub(super) fn new(module: &'a Module, mut builder: FunctionBuilder<'a>) -> Self {
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        builder.seal_block(entry);
        let ctx = builder.block_params(entry)[0];
        let access = Access::new(&mut builder);
        FuncTranslator {
            module,
            builder,
            stack: Vec::new(),
            frames: Vec::new(),
            reachable: true,
            locals: Vec::new(),
            ctx,
            access,
            handlers: Vec::new(),
            offset: 0,
            weight: 0,
            sigs: HashMap::new(),
            builtin_sigs: HashMap::new(),
            funcs: HashMap::new(),
            watcher: None,
        }
    }

    /// Pushes an operand.
    pub(super) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Pops an operand.
    pub(super) fn pop(&mut self) -> Value {
        self.stack.pop().expect("validation: an operand is there")
    }

    /// Pops two operands, in the order they were pushed.
    pub(super) fn pop2(&mut self) -> (Value, Value) {
        let b = self.pop();
        (self.pop(), b)
    }

    /// Pops three operands, in the order they were pushed.
    pub(super) fn pop3(&mut self) -> (Value, Value, Value) {
        let c = self.pop();
        let b = self.pop();
        (self.pop(), b, c)
    }

    /// A copy of the top `count` operands, in the order they were pushed.
    pub(super) fn peek(&self, count: usize) -> Vec<Value> {
        self.stack[self.stack.len() - count..].to_vec()
    }

    /// Pops `count` operands, in the order they were pushed.
    pub(super) fn pop_many(&mut self, count: usize) -> Vec<Value> {
        self.stack.split_off(self.stack.len() - count)
    }

    /// The error for something that the kernel does not have, at this operator.
    pub(super) fn unsupported<T>(&self, item: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError::Unsupported { item: item.into(), offset: self.offset })
    }

    /// Refuses a function that is small in bytes and huge as code: few bytes can carry a thousand values each.
    pub(super) fn check_weight(&self) -> Result<(), CompileError> {
        let refuse = |limit, value: usize, allowed: usize| {
            Err(CompileError::Limit { limit, value: value as u64, allowed: allowed as u64 })
        };
        if self.weight > MAX_CARRIED_VALUES {
            return refuse(
                "values carried by one function's calls and branches",
                self.weight,
                MAX_CARRIED_VALUES,
            );
        }
        let flow = self.locals.len() * self.builder.func.dfg.num_blocks();
        if flow > MAX_LOCALS_TIMES_BLOCKS {
            return refuse("one function's locals times blocks", flow, MAX_LOCALS_TIMES_BLOCKS);
        }
        Ok(())
    }

    /// A constant address-sized word.
    pub(super) fn word(&mut self, value: i64) -> Value {
        self.builder.ins().iconst(types::I64, value)
    }

    /// A word of the context that never changes.
    pub(super) fn ctx_word(&mut self, offset: u32) -> Value {
        let flags = self.access.fixed;
        self.builder.ins().load(types::I64, flags, self.ctx, offset.cast_signed())
    }

    /// The code of an imported function: loaded for every call, as it may be replaced between two.
    pub(super) fn import_code(&mut self, offset: u32) -> Value {
        self.builder.ins().load(types::I64, self.access.code, self.ctx, offset.cast_signed())
    }

    /// An address inside the context.
    pub(super) fn ctx_address(&mut self, offset: u32) -> Value {
        self.builder.ins().iadd_imm_s(self.ctx, i64::from(offset))
    }

    /// A zero-extended 64-bit form of an index of the given width.
    pub(super) fn index64(&mut self, index: Value) -> Value {
        match self.builder.func.dfg.value_type(index) {
            types::I64 => index,
            _ => self.builder.ins().uextend(types::I64, index),
        }
    }

    /// Calls a built-in with the context and `args`, and returns its result if it has one.
    pub(super) fn builtin(&mut self, which: Builtin, args: &[Value]) -> Option<Value> {
        let sig = match self.builtin_sigs.get(&which) {
            Some(&known) => known,
            None => {
                let sig = self.builder.import_signature(signature::builtin(which));
                self.builtin_sigs.insert(which, sig);
                sig
            }
        };
        let table = self.ctx_word(vm::ctx::BUILTINS.cast_unsigned());
        let at = 8 * which as i32;
        let code = self.builder.ins().load(types::I64, self.access.fixed, table, at);
        let mut all = Vec::with_capacity(args.len() + 1);
        all.push(self.ctx);
        all.extend_from_slice(args);
        let call = self.builder.ins().call_indirect(sig, code, &all);
        self.builder.inst_results(call).first().copied()
    }

    /// Calls a built-in that returns a status, and traps if it says so.
    pub(super) fn builtin_checked(&mut self, which: Builtin, args: &[Value]) {
        let status = self.builtin(which, args).expect("the built-in returns a status");
        self.builder.ins().trapnz(status, trapcode::PENDING);
    }
}

/// How a wasm value is held in a register.
pub(in crate::jit) fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 | ValType::Ref(_) => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => types::I8X16,
    }
}
