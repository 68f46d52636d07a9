//! Routines that the code generator calls where the processor has no instruction.

use cranelift_codegen::ir::LibCall;

macro_rules! routines {
    ($($name:ident = $number:literal, $function:path;)*) => {
        /// A routine's address; none if the kernel does not have it.
        #[must_use]
        pub fn address(routine: LibCall) -> Option<usize> {
            match routine {
                $(LibCall::$name => Some($function as *const () as usize),)*
                _ => None,
            }
        }

        /// A number for it in stored images.
        pub(super) fn number(routine: LibCall) -> Option<u8> {
            match routine {
                $(LibCall::$name => Some($number),)*
                _ => None,
            }
        }

        /// The routine that has this number.
        pub(super) fn numbered(number: u8) -> Option<LibCall> {
            match number {
                $($number => Some(LibCall::$name),)*
                _ => None,
            }
        }
    };
}

routines! {
    CeilF32 = 0, ceil32;
    CeilF64 = 1, ceil64;
    FloorF32 = 2, floor32;
    FloorF64 = 3, floor64;
    TruncF32 = 4, trunc32;
    TruncF64 = 5, trunc64;
    NearestF32 = 6, nearest32;
    NearestF64 = 7, nearest64;
    FmaF32 = 8, fma32;
    FmaF64 = 9, fma64;
}

extern "C" fn ceil32(x: f32) -> f32 {
    x.ceil()
}
extern "C" fn ceil64(x: f64) -> f64 {
    x.ceil()
}
extern "C" fn floor32(x: f32) -> f32 {
    x.floor()
}
extern "C" fn floor64(x: f64) -> f64 {
    x.floor()
}
extern "C" fn trunc32(x: f32) -> f32 {
    x.trunc()
}
extern "C" fn trunc64(x: f64) -> f64 {
    x.trunc()
}
extern "C" fn nearest32(x: f32) -> f32 {
    x.round_ties_even()
}
extern "C" fn nearest64(x: f64) -> f64 {
    x.round_ties_even()
}
extern "C" fn fma32(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}
extern "C" fn fma64(a: f64, b: f64, c: f64) -> f64 {
    a.mul_add(b, c)
}
