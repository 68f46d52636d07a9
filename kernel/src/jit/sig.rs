//! The engine's function signatures: structurally equal ones have one number, whichever module they come from.

use std::collections::HashMap;
use std::sync::Arc;

use super::valtype::{CoreFuncType, HeapType, RefType, ValType};

/// A function signature's number in its engine; what `call_indirect` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SigId(pub u32);

/// A value type of a signature that has no number yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenType {
    /// A type without a link to the group being read.
    Closed(ValType),
    /// A reference to a member of the group being read.
    Member {
        /// Whether null is one of its values.
        nullable: bool,
        /// The member's place in the group.
        member: u32,
    },
}

/// A signature that has no number yet: parameters, results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenFunc {
    /// Parameters.
    pub params: Vec<OpenType>,
    /// Results.
    pub results: Vec<OpenType>,
}

/// The registry: numbers are given in order and never taken back.
#[derive(Debug, Default)]
pub struct Signatures {
    types: Vec<Arc<CoreFuncType>>,
    groups: HashMap<Vec<OpenFunc>, u32>,
}

impl Signatures {
    /// Numbers of a recursion group's members, in order (core spec, "Rolling and Unrolling": two groups are equal
    /// when they have the same structure).
    pub fn intern_group(&mut self, group: Vec<OpenFunc>) -> impl Iterator<Item = SigId> + use<> {
        let count = u32::try_from(group.len()).expect("a module has at most a million types");
        let next = u32::try_from(self.types.len()).expect("fewer signatures than 2^32 fit into memory");
        let first = *self.groups.entry(group.clone()).or_insert(next);
        if first == next {
            for func in &group {
                let close = |types: &[OpenType]| types.iter().map(|ty| ty.close(next)).collect();
                let ty = CoreFuncType { params: close(&func.params), results: close(&func.results) };
                self.types.push(Arc::new(ty));
            }
        }
        (first..first + count).map(SigId)
    }

    /// The number of one signature without links to itself.
    pub fn intern(&mut self, ty: &CoreFuncType) -> SigId {
        let open = |types: &[ValType]| types.iter().copied().map(OpenType::Closed).collect();
        let func = OpenFunc { params: open(&ty.params), results: open(&ty.results) };
        self.intern_group(vec![func]).next().expect("a group of one has one number")
    }

    /// The type that has this number.
    ///
    /// # Panics
    /// If the number is another engine's.
    #[must_use]
    pub fn ty(&self, sig: SigId) -> &Arc<CoreFuncType> {
        &self.types[sig.0 as usize]
    }
}

impl OpenType {
    /// The type, once the group's first member has the number `first`.
    fn close(self, first: u32) -> ValType {
        match self {
            OpenType::Closed(ty) => ty,
            OpenType::Member { nullable, member } => {
                ValType::Ref(RefType { nullable, heap: HeapType::Concrete(SigId(first + member)) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_structure_has_one_number() {
        let mut sigs = Signatures::default();
        let ty = CoreFuncType { params: [ValType::I32].into(), results: [].into() };
        let a = sigs.intern(&ty);
        let b = sigs.intern(&ty);
        let c = sigs.intern(&CoreFuncType::default());
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_eq!(**sigs.ty(a), ty);
    }

    #[test]
    fn recursive_groups_are_equal_by_structure() {
        let mut sigs = Signatures::default();
        let selfish =
            |member| OpenFunc { params: vec![OpenType::Member { nullable: true, member }], results: vec![] };
        let a: Vec<_> = sigs.intern_group(vec![selfish(0)]).collect();
        let pair: Vec<_> = sigs.intern_group(vec![selfish(1), selfish(0)]).collect();
        let b: Vec<_> = sigs.intern_group(vec![selfish(0)]).collect();
        assert_eq!(a, b);
        assert_ne!(a[0], pair[0]);
        let heap = HeapType::Concrete(pair[1]);
        assert_eq!(*sigs.ty(pair[0]).params, [ValType::Ref(RefType { nullable: true, heap })]);
    }
}
