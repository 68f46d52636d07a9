//! Flattening of component values into core values (CanonicalABI.md, "Flattening").

use crate::types::ValType;

/// A core value type that component values flatten to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoreType {
    /// `i32`
    I32,
    /// `i64`
    I64,
    /// `f32`
    F32,
    /// `f64`
    F64,
}

impl CoreType {
    /// The type that holds either of two in a variant's payload (`join`).
    #[must_use]
    pub fn join(self, other: CoreType) -> CoreType {
        match (self, other) {
            (a, b) if a == b => a,
            (CoreType::I32, CoreType::F32) | (CoreType::F32, CoreType::I32) => CoreType::I32,
            _ => CoreType::I64,
        }
    }
}

/// The core types of several values one after another, or `None` if there are more than `limit`.
pub fn flatten_all<'t>(types: impl Iterator<Item = &'t ValType>, limit: usize) -> Option<Vec<CoreType>> {
    let mut flat = Vec::new();
    for ty in types {
        push(ty, &mut flat, limit)?;
    }
    Some(flat)
}

/// The core types of one value, however many.
#[must_use]
pub fn flatten(ty: &ValType) -> Vec<CoreType> {
    flatten_all(std::iter::once(ty), usize::MAX).unwrap_or_default()
}

/// Stops as soon as the limit is passed, so that a huge type costs no more than a small one.
fn push(ty: &ValType, flat: &mut Vec<CoreType>, limit: usize) -> Option<()> {
    match ty {
        ValType::S64 | ValType::U64 => flat.push(CoreType::I64),
        ValType::F32 => flat.push(CoreType::F32),
        ValType::F64 => flat.push(CoreType::F64),
        ValType::String | ValType::List(_) | ValType::Map(_) => flat.extend([CoreType::I32; 2]),
        ValType::FixedList(elem, count) => {
            for _ in 0..*count {
                push(elem, flat, limit)?;
            }
        }
        ValType::Record(fields) => fields.iter().try_for_each(|field| push(&field.ty, flat, limit))?,
        ValType::Tuple(types) => types.iter().try_for_each(|ty| push(ty, flat, limit))?,
        ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
            push_cases(ty, flat, limit)?;
        }
        ValType::Bool
        | ValType::S8
        | ValType::U8
        | ValType::S16
        | ValType::U16
        | ValType::S32
        | ValType::U32
        | ValType::Char
        | ValType::Flags(_)
        | ValType::Own(_)
        | ValType::Borrow(_)
        | ValType::Stream(_)
        | ValType::Future(_)
        | ValType::ErrorContext => flat.push(CoreType::I32),
    }
    (flat.len() <= limit).then_some(())
}

fn push_cases(ty: &ValType, flat: &mut Vec<CoreType>, limit: usize) -> Option<()> {
    flat.push(CoreType::I32);
    let start = flat.len();
    for payload in ty.cases().into_iter().flatten().flatten() {
        let mut case = Vec::new();
        push(payload, &mut case, limit)?;
        for (i, core) in case.into_iter().enumerate() {
            match flat.get_mut(start + i) {
                Some(joined) => *joined = joined.join(core),
                None => flat.push(core),
            }
        }
    }
    (flat.len() <= limit).then_some(())
}
