//! WebAssembly → CLIF, one function at a time, while it is validated.
//!
//! The translator never checks what the validator has checked; a body is discarded when validation fails anywhere.
//!
//! - [`translator`]: operand and control stack
//! - [`signature`]: machine signatures
//! - `control`, `calls`, `access`, `bulk`, `slots`, `refs`, `trytable`: operators by family
//! - `watching`: what is added where somebody watches
//! - `operands`: the translator as operator tables see it
//! - `numeric`, `convert`, `simd`, `atomic`: those tables

pub(super) mod access;
mod atomic;
mod bulk;
mod calls;
mod control;
mod convert;
pub(super) mod numeric;
pub(super) mod operands;
#[cfg(test)]
mod operator_tests;
mod refs;
pub mod signature;
mod simd;
mod slots;
mod translator;
mod trytable;
mod watching;

use cranelift_codegen::ir::{Function, InstBuilder, SourceLoc, Value, types};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use wasmparser::{FuncValidator, FunctionBody, Operator, OperatorsReader, ValidatorResources};

use self::translator::FrameKind;
pub use self::translator::FuncTranslator;
pub(super) use self::translator::clif_type;
use super::compile_error::CompileError;
use super::module::Module;
use super::sections;
use super::valtype::ValType;
use super::watch::Board;

/// What all functions of a module share.
#[derive(Clone, Copy)]
pub struct Unit<'a> {
    /// The module.
    pub module: &'a Module,
    /// Where its first byte is in the file: backtraces count from there.
    pub start: u64,
    /// The target.
    pub isa: &'a dyn TargetIsa,
    /// Where code notes what it does, if that is watched.
    pub board: Option<&'a Board>,
}

/// Validates a body and translates it into `func`, which is empty.
///
/// # Errors
/// What the validator says, or [`CompileError::Unsupported`] for the first operator that the kernel does not have.
pub fn translate(
    unit: Unit<'_>,
    body: &FunctionBody<'_>,
    validator: &mut FuncValidator<ValidatorResources>,
    func: &mut Function,
    scratch: &mut FunctionBuilderContext,
) -> Result<(), CompileError> {
    let index = validator.index();
    let ty = unit.module.func_type(index);
    func.signature = signature::compiled(ty);
    signature::check_stack(func);
    let mut translator = FuncTranslator::new(unit.module, FunctionBuilder::new(func, scratch));
    let result = translator.body(unit, ty.results.len(), body, validator);
    match result {
        Ok(()) => {
            translator.builder.finalize(unit.isa.frontend_config());
            Ok(())
        }
        Err(error) => Err(error),
    }
}

impl<'a> FuncTranslator<'a> {
    fn body(
        &mut self,
        unit: Unit<'a>,
        results: usize,
        body: &FunctionBody<'_>,
        validator: &mut FuncValidator<ValidatorResources>,
    ) -> Result<(), CompileError> {
        let ty = self.module.func_type(validator.index());
        let returns: Vec<_> = ty.results.iter().map(|&ty| clif_type(ty)).collect();
        debug_assert_eq!(returns.len(), results);
        self.open(FrameKind::Block, 0, &returns);
        self.parameters(ty.params.iter().copied());
        if let Some(board) = unit.board {
            self.watch(board);
        }
        let mut reader = body.get_binary_reader();
        for _ in 0..reader.read_var_u32()? {
            self.offset = reader.original_position();
            let (count, ty) = (reader.read_var_u32()?, reader.read()?);
            validator.define_locals(self.offset, count, ty)?;
            self.declare(count, ty)?;
        }
        self.watch_entry(&ty.params, &ty.results);
        reader.set_features(*validator.features());
        let mut reader = OperatorsReader::new(reader);
        while !reader.eof() {
            self.offset = reader.original_position();
            let at = u32::try_from(self.offset.saturating_sub(unit.start)).unwrap_or(u32::MAX - 1);
            self.builder.set_srcloc(SourceLoc::new(at));
            let op = reader.read()?;
            validator.op(self.offset, &op)?;
            self.operator(&op)?;
            self.check_weight()?;
        }
        reader.finish()?;
        Ok(())
    }

    fn parameters(&mut self, types: impl Iterator<Item = ValType>) {
        let entry = self.builder.current_block().expect("the entry block is open");
        for (at, ty) in types.enumerate() {
            let value = self.builder.block_params(entry)[at + 1];
            let local = self.builder.declare_var(clif_type(ty));
            self.builder.def_var(local, value);
            self.locals.push(local);
        }
    }

    /// Declares `count` locals with the type's default value.
    fn declare(&mut self, count: u32, ty: wasmparser::ValType) -> Result<(), CompileError> {
        let Some(ty) = sections::val_type(&self.module.types, ty) else {
            return self.unsupported(format!("a local of type `{ty}`"));
        };
        if count == 0 {
            return Ok(());
        }
        let zero = self.zero(ty);
        for _ in 0..count {
            let local = self.builder.declare_var(clif_type(ty));
            self.builder.def_var(local, zero);
            self.locals.push(local);
        }
        Ok(())
    }

    fn zero(&mut self, ty: ValType) -> Value {
        match ty {
            ValType::I32 => self.builder.ins().iconst(types::I32, 0),
            ValType::I64 | ValType::Ref(_) => self.builder.ins().iconst(types::I64, 0),
            ValType::F32 => self.builder.ins().f32const(0.0),
            ValType::F64 => self.builder.ins().f64const(0.0),
            ValType::V128 => {
                let zero = self.builder.func.dfg.constants.insert([0; 16].to_vec().into());
                self.builder.ins().vconst(types::I8X16, zero)
            }
        }
    }

    fn operator(&mut self, op: &Operator<'_>) -> Result<(), CompileError> {
        if !self.reachable {
            self.skip(op);
            return Ok(());
        }
        self.watch_compare(op);
        let known = self.control(op)?
            || self.scalar_access(op)
            || self.slots(op)
            || self.calls(op)?
            || self.bulk(op)
            || self.refs(op)
            || self.exceptions(op)
            || numeric::numeric(self, op)
            || convert::convert(self, op)
            || simd::simd(self, op)
            || atomic::atomic(self, op);
        if known { Ok(()) } else { self.unsupported(format!("operator `{}`", name(op))) }
    }
}

/// The operator's name, without its immediates.
fn name(op: &Operator<'_>) -> String {
    let text = format!("{op:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}
