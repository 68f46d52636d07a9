//! Faults as bytes.

use super::{Cursor, Piece, WireError};
use crate::fault::{Fault, Frame, Trap};

/// The traps: the number of each on the wire, and what it carries, in order.
macro_rules! traps {
    ($($number:literal $name:ident $({ $($field:ident),* })? $(( $inner:ident ))? ;)*) => {
        impl Piece for Trap {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Trap::$name $({ $($field),* })? $(( $inner ))? => {
                        out.push($number);
                        $($($field.put(out);)*)?
                        $($inner.put(out);)?
                    })*
                }
            }
            fn take(from: &mut Cursor<'_>) -> Result<Trap, WireError> {
                Ok(match u8::take(from)? {
                    $($number => Trap::$name
                        $({ $($field: Piece::take(from)?),* })?
                        $(({ let $inner = Piece::take(from)?; $inner }))?,)*
                    other => return Err(from.wrong("the number of a trap", format!("{other}"))),
                })
            }
        }
    };
}

traps! {
    0 Unreachable;
    1 MemoryOutOfBounds;
    2 UnalignedAtomic;
    3 ExpectedShared;
    4 TableOutOfBounds;
    5 UndefinedElement;
    6 UninitializedElement;
    7 BadSignature;
    8 IntegerOverflow;
    9 IntegerDivideByZero;
    10 BadConversionToInteger;
    11 NullReference;
    12 NullFunctionReference;
    13 NullExceptionReference;
    14 StackOverflow;
    15 UncaughtException;
    16 CannotEnter;
    17 CannotLeave;
    18 UnalignedPointer { what, pointer, align };
    19 StringOutOfBounds { pointer, bytes, memory };
    20 StringTooLong { bytes, limit };
    21 ListOutOfBounds { pointer, bytes, memory };
    22 ListTooLong { bytes, limit };
    23 PointerOutOfBounds { what, pointer, bytes, memory };
    24 ReallocOutOfBounds { pointer, bytes, memory };
    25 ReallocUnaligned { pointer, align };
    26 InvalidUtf8;
    27 IncompleteUtf8;
    28 InvalidUtf16;
    29 InvalidChar(code);
    30 InvalidDiscriminant { discriminant, cases };
    31 UnknownHandle(index);
    32 WrongHandleType { index };
    33 NotOwned { index };
    34 StillLent { index, lends };
    35 BorrowsRemain(count);
    36 HandlesExhausted { limit };
    37 Unsupported(what);
    38 Limit { limit, value, allowed };
    39 Killed(by);
    40 Gone(why);
    41 Deadlock(cycle);
    42 OutOfSteps;
    43 Host(text);
    44 Exit(code);
}

impl Piece for Frame {
    fn put(&self, out: &mut Vec<u8>) {
        self.process.put(out);
        self.process_name.put(out);
        self.module.put(out);
        self.func_index.put(out);
        self.func_name.put(out);
        self.offset.put(out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<Frame, WireError> {
        Ok(Frame {
            process: Piece::take(from)?,
            process_name: Piece::take(from)?,
            module: Piece::take(from)?,
            func_index: Piece::take(from)?,
            func_name: Piece::take(from)?,
            offset: Piece::take(from)?,
        })
    }
}

impl Piece for Fault {
    fn put(&self, out: &mut Vec<u8>) {
        self.trap.put(out);
        self.process.put(out);
        self.process_name.put(out);
        self.domain.put(out);
        self.frames.put(out);
        self.registers.put(out);
    }
    fn take(from: &mut Cursor<'_>) -> Result<Fault, WireError> {
        Ok(Fault {
            trap: Piece::take(from)?,
            process: Piece::take(from)?,
            process_name: Piece::take(from)?,
            domain: Piece::take(from)?,
            frames: Piece::take(from)?,
            registers: Piece::take(from)?,
        })
    }
}
