//! Why an adapter ends a call: the numbers that compiled code passes to the kernel, and the traps they stand for.

use abi::fault::Trap;
use abi::limits::{MAX_LIST_BYTES, MAX_STRING_BYTES};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident($($detail:pat),*) => $trap:expr;)*) => {
        /// Why an adapter ends a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, by number.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The trap, of three details; those that a reason does not have are 0.
            #[must_use]
            pub fn trap(self, details: [u64; 3]) -> Trap {
                match (self, details) { $((Reason::$name, [$($detail),*]) => $trap,)* }
            }
        }
    };
}

reasons! {
    /// pointer, alignment: to parameters in memory
    UnalignedParams(pointer, align, _) => unaligned("parameters", pointer, align);
    /// pointer, alignment: to results in memory
    UnalignedResults(pointer, align, _) => unaligned("results", pointer, align);
    /// pointer, alignment: of a string
    UnalignedString(pointer, align, _) => unaligned("string", pointer, align);
    /// pointer, alignment: of a list
    UnalignedList(pointer, align, _) => unaligned("list", pointer, align);
    /// pointer, bytes, memory's bytes
    ParamsOutOfBounds(pointer, bytes, memory) => {
        Trap::PointerOutOfBounds { what: "parameters", pointer, bytes, memory }
    };
    /// pointer, bytes, memory's bytes
    ResultsOutOfBounds(pointer, bytes, memory) => {
        Trap::PointerOutOfBounds { what: "results", pointer, bytes, memory }
    };
    /// pointer, bytes, memory's bytes
    StringOutOfBounds(pointer, bytes, memory) => Trap::StringOutOfBounds { pointer, bytes, memory };
    /// bytes
    StringTooLong(bytes, _, _) => Trap::StringTooLong { bytes, limit: u64::from(MAX_STRING_BYTES) };
    /// pointer, bytes, memory's bytes
    ListOutOfBounds(pointer, bytes, memory) => Trap::ListOutOfBounds { pointer, bytes, memory };
    /// bytes
    ListTooLong(bytes, _, _) => Trap::ListTooLong { bytes, limit: u64::from(MAX_LIST_BYTES) };
    /// pointer, bytes, memory's bytes
    ReallocOutOfBounds(pointer, bytes, memory) => Trap::ReallocOutOfBounds { pointer, bytes, memory };
    /// pointer, alignment
    ReallocUnaligned(pointer, align, _) => Trap::ReallocUnaligned { pointer, align: align as u32 };
    /// the option `realloc` is not there
    NoRealloc(_, _, _) => Trap::Unsupported("a call that needs the canonical option `realloc`, which is missing");
    /// the option `memory` is not there
    NoMemory(_, _, _) => Trap::Unsupported("a call that needs the canonical option `memory`, which is missing");
    /// bits
    InvalidChar(bits, _, _) => Trap::InvalidChar(bits as u32);
    /// discriminant, cases
    InvalidDiscriminant(discriminant, cases, _) => {
        Trap::InvalidDiscriminant { discriminant: discriminant as u32, cases: cases as u32 }
    };
}

fn unaligned(what: &'static str, pointer: u64, align: u64) -> Trap {
    Trap::UnalignedPointer { what, pointer, align: align as u32 }
}

impl Reason {
    /// The reason of this number.
    #[must_use]
    pub fn numbered(number: u32) -> Option<Reason> {
        Reason::ALL.get(number as usize).copied()
    }
}
