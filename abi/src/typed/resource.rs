//! Handles to resources that the host implements.

use std::marker::PhantomData;

use super::{Lifting, Typed, leading, set_slot, slot};
use crate::fault::Trap;
use crate::layout::Layout;
use crate::side::Side;
use crate::types::{ResourceType, ValType};

/// A resource type of the host; implemented by generated marker types.
pub trait Resource {
    /// Its number.
    const TYPE: ResourceType;
    /// Its WIT name.
    const NAME: &'static str;
}

/// Ownership of a resource: the holder must give it away or destroy it.
pub struct Own<R> {
    /// The representation: where the host keeps it.
    pub rep: u32,
    ty: PhantomData<fn() -> R>,
}

/// A resource lent for the length of a call.
pub struct Borrow<R> {
    /// The representation: where the host keeps it.
    pub rep: u32,
    ty: PhantomData<fn() -> R>,
}

impl<R> Clone for Borrow<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Borrow<R> {}

/// The two handles differ in how the guest's table sees them.
macro_rules! handle {
    ($handle:ident, $ty:ident, $lift:ident, $lower:ident) => {
        impl<R> $handle<R> {
            /// A handle to the resource with this representation.
            #[must_use]
            pub const fn new(rep: u32) -> Self {
                Self { rep, ty: PhantomData }
            }
        }

        impl<R: Resource> std::fmt::Debug for $handle<R> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} {}", R::NAME, self.rep)
            }
        }

        impl<R> PartialEq for $handle<R> {
            fn eq(&self, other: &Self) -> bool {
                self.rep == other.rep
            }
        }

        impl<R: Resource> Typed for $handle<R> {
            const LAYOUT: Layout = Layout { size: 4, align: 4 };
            const FLAT: usize = 1;

            fn ty() -> ValType {
                ValType::$ty(R::TYPE)
            }

            fn lift_flat(from: &mut Lifting<'_>, slots: &[u64]) -> Result<Self, Trap> {
                from.side().$lift(R::TYPE, slot(slots) as u32).map(Self::new)
            }

            fn lift(from: &mut Lifting<'_>, bytes: &[u8]) -> Result<Self, Trap> {
                from.side().$lift(R::TYPE, u32::from_le_bytes(leading(bytes))).map(Self::new)
            }

            fn lower_flat(&self, to: &mut dyn Side, slots: &mut [u64]) -> Result<(), Trap> {
                set_slot(slots, to.$lower(R::TYPE, self.rep)?.into());
                Ok(())
            }

            fn lower(&self, to: &mut dyn Side, at: u32) -> Result<(), Trap> {
                let index = to.$lower(R::TYPE, self.rep)?;
                to.write(at, index.to_le_bytes())
            }
        }
    };
}

handle!(Own, Own, lift_own, lower_own);
handle!(Borrow, Borrow, lift_borrow, lower_borrow);
