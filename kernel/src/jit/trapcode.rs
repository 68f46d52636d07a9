//! The trap codes that compiled code carries, and the traps they stand for.

use abi::fault::Trap;
use cranelift_codegen::ir::TrapCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal => $trap:expr;)*) => {
        $($(#[$doc])* pub const $name: TrapCode = TrapCode::unwrap_user($number);)*

        /// The trap of a code, or none for [`PENDING`] and [`BUG`].
        #[must_use]
        pub fn trap_of(code: TrapCode) -> Option<Trap> {
            match code {
                $(c if c == $name => $trap,)*
                TrapCode::STACK_OVERFLOW => Some(Trap::StackOverflow),
                TrapCode::INTEGER_OVERFLOW => Some(Trap::IntegerOverflow),
                TrapCode::INTEGER_DIVISION_BY_ZERO => Some(Trap::IntegerDivideByZero),
                TrapCode::BAD_CONVERSION_TO_INTEGER => Some(Trap::BadConversionToInteger),
                TrapCode::HEAP_OUT_OF_BOUNDS => Some(Trap::MemoryOutOfBounds),
                _ => None,
            }
        }
    };
}

codes! {
    /// A built-in left its trap in the domain.
    PENDING = 1 => None;
    /// Code that cannot be reached was reached: a bug of the kernel's.
    BUG = 2 => None;
    /// `unreachable`
    UNREACHABLE = 3 => Some(Trap::Unreachable);
    /// An access beyond a memory.
    MEMORY_OUT_OF_BOUNDS = 4 => Some(Trap::MemoryOutOfBounds);
    /// A misaligned atomic access.
    UNALIGNED_ATOMIC = 5 => Some(Trap::UnalignedAtomic);
    /// An access beyond a table.
    TABLE_OUT_OF_BOUNDS = 6 => Some(Trap::TableOutOfBounds);
    /// `call_indirect` beyond its table.
    UNDEFINED_ELEMENT = 7 => Some(Trap::UndefinedElement);
    /// `call_indirect` of a null element.
    UNINITIALIZED_ELEMENT = 8 => Some(Trap::UninitializedElement);
    /// `call_indirect` of a function of another type.
    BAD_SIGNATURE = 9 => Some(Trap::BadSignature);
    /// `ref.as_non_null` of null.
    NULL_REFERENCE = 10 => Some(Trap::NullReference);
    /// `call_ref` of null.
    NULL_FUNCTION_REFERENCE = 11 => Some(Trap::NullFunctionReference);
    /// `throw_ref` of null.
    NULL_EXCEPTION_REFERENCE = 12 => Some(Trap::NullExceptionReference);
    /// A call into a process that may not be entered.
    CANNOT_ENTER = 13 => Some(Trap::CannotEnter);
    /// A call out of a process that may not be left.
    CANNOT_LEAVE = 14 => Some(Trap::CannotLeave);
    /// Watched code has no steps left.
    OUT_OF_STEPS = 15 => Some(Trap::OutOfSteps);
}
