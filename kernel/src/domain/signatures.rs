//! What the way into a guest must know of a function's type, so that a call looks nothing up.

use std::sync::Arc;

use crate::arch::Entry;
use crate::jit::compile_error::CompileError;
use crate::jit::engine::Engine;
use crate::jit::sig::SigId;
use crate::jit::valtype::{CoreFuncType, HeapType, RefType, ValType};

/// One signature.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The trampoline into functions of this signature.
    pub entry: Entry,
    /// The type.
    pub ty: Arc<CoreFuncType>,
    /// How many 16-byte slots a call needs.
    pub slots: usize,
    /// Parameters whose values must be checked: references that compiled code will follow.
    pub checked_params: Box<[(usize, RefType)]>,
    /// Results that are exceptions: the host may keep them.
    pub exceptions: Box<[usize]>,
}

/// The signatures that were called so far, by number.
#[derive(Debug, Default)]
pub struct Signatures {
    known: Vec<Option<Box<Signature>>>,
}

impl Signatures {
    /// The signature, if it was called before.
    #[inline]
    #[must_use]
    pub fn known(&self, sig: SigId) -> Option<&Signature> {
        self.known.get(sig.0 as usize)?.as_deref()
    }

    /// Learns a signature.
    ///
    /// # Errors
    /// [`CompileError`] if the engine cannot make the trampoline.
    #[cold]
    pub fn learn(&mut self, engine: &Engine, sig: SigId) -> Result<(), CompileError> {
        let ty = engine.signature(sig);
        let entry = engine.entry(sig)?;
        // SAFETY: the engine's contract: the trampoline for this signature, which lives as long as the
        // engine, and the domain holds the engine.
        let entry: Entry = unsafe { std::mem::transmute(entry) };
        let index = sig.0 as usize;
        if self.known.len() <= index {
            self.known.resize_with(index + 1, || None);
        }
        self.known[index] = Some(Box::new(Signature {
            entry,
            slots: ty.params.len().max(ty.results.len()),
            checked_params: checked(&ty.params),
            exceptions: checked(&ty.results)
                .iter()
                .filter(|(_, ty)| matches!(ty.heap, HeapType::Exn | HeapType::NoExn))
                .map(|(index, _)| *index)
                .collect(),
            ty,
        }));
        Ok(())
    }
}

/// The references among `types` that compiled code may follow. It compares those of the host with null, no
/// more.
#[must_use]
pub fn checked(types: &[ValType]) -> Box<[(usize, RefType)]> {
    let refs = types.iter().enumerate().filter_map(|(index, ty)| match ty {
        ValType::Ref(RefType { nullable: true, heap: HeapType::Extern }) => None,
        ValType::Ref(ty) => Some((index, *ty)),
        _ => None,
    });
    refs.collect()
}

/// The bits of a 16-byte slot or a global that a type uses: compiled code leaves the others as they were.
#[inline]
#[must_use]
pub fn mask(ty: ValType) -> u128 {
    match ty {
        ValType::I32 | ValType::F32 => u32::MAX as u128,
        ValType::I64 | ValType::F64 | ValType::Ref(_) => u64::MAX as u128,
        ValType::V128 => u128::MAX,
    }
}
