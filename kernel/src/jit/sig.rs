//! The engine's function signatures: structurally equal ones have one number, whichever module they come from.

use std::collections::HashMap;
use std::sync::Arc;

use super::valtype::{CoreFuncType, HeapType, RefType, ValType};

/// A function signature's number in its engine; what `call_indirect` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SigId(pub u32);

/// A value type of a type that has no number yet.
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

/// A member of a recursion group that has no number yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpenSub {
    /// Whether it has no subtypes.
    pub is_final: bool,
    /// What it declares to be a subtype of.
    pub supertype: Option<OpenLink>,
    /// What it is.
    pub shape: OpenShape,
}

/// A link to a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpenLink {
    /// A type of an earlier group.
    Known(SigId),
    /// The member at this place of the group being read.
    Member(u32),
}

/// What a type without a number is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OpenShape {
    /// A function: parameters, results.
    Func(Vec<OpenType>, Vec<OpenType>),
    /// A structure.
    Struct(Vec<OpenField>),
    /// An array.
    Array(OpenField),
}

/// A field of a structure or an array's element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpenField {
    /// Whether it can be set.
    pub mutable: bool,
    /// Its bits where it is packed.
    pub packed: Option<u8>,
    /// Its type; `i32` where it is packed.
    pub ty: OpenType,
}

/// The registry: numbers are given in order and never taken back.
#[derive(Debug, Default)]
pub struct Signatures {
    types: Vec<Arc<CoreFuncType>>,
    groups: HashMap<Vec<OpenSub>, u32>,
}

impl Signatures {
    /// Numbers of a recursion group's members, in order (core spec, "Rolling and Unrolling": two groups are equal
    /// when they have the same structure).
    pub fn intern_group(&mut self, group: Vec<OpenSub>) -> impl Iterator<Item = SigId> + use<> {
        let count = u32::try_from(group.len()).expect("a module has at most a million types");
        let next = u32::try_from(self.types.len()).expect("fewer signatures than 2^32 fit into memory");
        if let Some(&first) = self.groups.get(&group) {
            return (first..first + count).map(SigId);
        }
        for sub in &group {
            let close = |types: &[OpenType]| types.iter().map(|ty| ty.close(&group, next)).collect();
            let ty = match &sub.shape {
                OpenShape::Func(params, results) => {
                    CoreFuncType { params: close(params), results: close(results) }
                }
                OpenShape::Struct(_) | OpenShape::Array(_) => CoreFuncType::default(),
            };
            self.types.push(Arc::new(ty));
        }
        self.groups.insert(group, next);
        (next..next + count).map(SigId)
    }

    /// The number of one signature without links to itself.
    pub fn intern(&mut self, ty: &CoreFuncType) -> SigId {
        let open = |types: &[ValType]| types.iter().copied().map(OpenType::Closed).collect();
        let shape = OpenShape::Func(open(&ty.params), open(&ty.results));
        let sub = OpenSub { is_final: true, supertype: None, shape };
        self.intern_group(vec![sub]).next().expect("a group of one has one number")
    }

    /// The function type that has this number; an empty one for structures and arrays.
    ///
    /// # Panics
    /// If the number is another engine's.
    #[must_use]
    pub fn ty(&self, sig: SigId) -> &Arc<CoreFuncType> {
        &self.types[sig.0 as usize]
    }
}

impl OpenShape {
    /// What a reference to such a type refers to, once it has a number.
    pub(super) fn heap(&self, sig: SigId) -> HeapType {
        match self {
            OpenShape::Func(..) => HeapType::Concrete(sig),
            OpenShape::Struct(_) => HeapType::ConcreteStruct(sig),
            OpenShape::Array(_) => HeapType::ConcreteArray(sig),
        }
    }
}

impl OpenType {
    /// The type, once the group's first member has the number `first`.
    fn close(self, group: &[OpenSub], first: u32) -> ValType {
        match self {
            OpenType::Closed(ty) => ty,
            OpenType::Member { nullable, member } => {
                let heap = group[member as usize].shape.heap(SigId(first + member));
                ValType::Ref(RefType { nullable, heap })
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
        let selfish = |member| {
            let shape = OpenShape::Func(vec![OpenType::Member { nullable: true, member }], vec![]);
            OpenSub { is_final: true, supertype: None, shape }
        };
        let a: Vec<_> = sigs.intern_group(vec![selfish(0)]).collect();
        let pair: Vec<_> = sigs.intern_group(vec![selfish(1), selfish(0)]).collect();
        let b: Vec<_> = sigs.intern_group(vec![selfish(0)]).collect();
        assert_eq!(a, b);
        assert_ne!(a[0], pair[0]);
        let heap = HeapType::Concrete(pair[1]);
        assert_eq!(*sigs.ty(pair[0]).params, [ValType::Ref(RefType { nullable: true, heap })]);
    }
}
