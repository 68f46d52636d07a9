//! What a script expects of a core result: exact bits, a class of NaNs, any reference of a kind.

use std::fmt::Write;

use wast::core::{NanPattern, V128Pattern, WastRetCore};
use wast::token::{F32, F64};

use super::corevalue::{CoreValue, Kind, extern_bits, heap_kind};

/// Whether `actual` is what the script expects.
pub(super) fn matches(actual: CoreValue, expected: &WastRetCore) -> bool {
    let CoreValue { kind, bits } = actual;
    let null = bits == 0;
    match expected {
        WastRetCore::I32(value) => kind == Kind::I32 && bits as u32 == value.cast_unsigned(),
        WastRetCore::I64(value) => kind == Kind::I64 && bits as u64 == value.cast_unsigned(),
        WastRetCore::F32(pattern) => kind == Kind::F32 && f32_matches(bits as u32, pattern),
        WastRetCore::F64(pattern) => kind == Kind::F64 && f64_matches(bits as u64, pattern),
        WastRetCore::V128(pattern) => kind == Kind::V128 && v128_matches(bits, pattern),
        WastRetCore::RefNull(heap) => {
            null && is_reference(kind) && heap.as_ref().is_none_or(|heap| heap_kind(heap) == Some(kind))
        }
        WastRetCore::RefExtern(value) => {
            kind == Kind::Extern && value.map_or(!null, |value| bits == extern_bits(value))
        }
        WastRetCore::RefFunc(_) => kind == Kind::Func && !null,
        WastRetCore::RefHost(_)
        | WastRetCore::RefAny
        | WastRetCore::RefEq
        | WastRetCore::RefArray
        | WastRetCore::RefStruct
        | WastRetCore::RefI31
        | WastRetCore::RefI31Shared => kind == Kind::Any && !null,
        WastRetCore::Either(patterns) => patterns.iter().any(|pattern| matches(actual, pattern)),
    }
}

fn is_reference(kind: Kind) -> bool {
    matches!(kind, Kind::Func | Kind::Extern | Kind::Exn | Kind::Any)
}

/// NaN classes: core spec, "Floating-Point", canonical and arithmetic NaNs. The sign is free in both.
fn f32_matches(bits: u32, pattern: &NanPattern<F32>) -> bool {
    const QUIET: u32 = 0x7fc0_0000;
    match pattern {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == QUIET,
        NanPattern::ArithmeticNan => bits & QUIET == QUIET,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn f64_matches(bits: u64, pattern: &NanPattern<F64>) -> bool {
    const QUIET: u64 = 0x7ff8_0000_0000_0000;
    match pattern {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == QUIET,
        NanPattern::ArithmeticNan => bits & QUIET == QUIET,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn v128_matches(bits: u128, pattern: &V128Pattern) -> bool {
    let lane = |index: usize, width: usize| bits >> (index * width);
    match pattern {
        V128Pattern::I8x16(lanes) => {
            lanes.iter().enumerate().all(|(i, value)| lane(i, 8) as u8 == value.cast_unsigned())
        }
        V128Pattern::I16x8(lanes) => {
            lanes.iter().enumerate().all(|(i, value)| lane(i, 16) as u16 == value.cast_unsigned())
        }
        V128Pattern::I32x4(lanes) => {
            lanes.iter().enumerate().all(|(i, value)| lane(i, 32) as u32 == value.cast_unsigned())
        }
        V128Pattern::I64x2(lanes) => {
            lanes.iter().enumerate().all(|(i, value)| lane(i, 64) as u64 == value.cast_unsigned())
        }
        V128Pattern::F32x4(lanes) => {
            lanes.iter().enumerate().all(|(i, value)| f32_matches(lane(i, 32) as u32, value))
        }
        V128Pattern::F64x2(lanes) => {
            lanes.iter().enumerate().all(|(i, value)| f64_matches(lane(i, 64) as u64, value))
        }
    }
}

/// The pattern in a script's words, for messages.
pub(super) fn show(expected: &WastRetCore) -> String {
    let value = |kind, bits| CoreValue { kind, bits }.to_string();
    match expected {
        WastRetCore::I32(v) => value(Kind::I32, u128::from(v.cast_unsigned())),
        WastRetCore::I64(v) => value(Kind::I64, u128::from(v.cast_unsigned())),
        WastRetCore::F32(NanPattern::Value(v)) => value(Kind::F32, u128::from(v.bits)),
        WastRetCore::F64(NanPattern::Value(v)) => value(Kind::F64, u128::from(v.bits)),
        WastRetCore::F32(pattern) => format!("(f32.const {})", nan(pattern)),
        WastRetCore::F64(pattern) => format!("(f64.const {})", nan(pattern)),
        WastRetCore::V128(pattern) => show_v128(pattern),
        WastRetCore::RefNull(None) => "(ref.null)".to_owned(),
        WastRetCore::RefNull(Some(heap)) => match heap_kind(heap) {
            Some(kind) => value(kind, 0),
            None => "(ref.null cont)".to_owned(),
        },
        WastRetCore::RefExtern(Some(v)) => value(Kind::Extern, extern_bits(*v)),
        WastRetCore::RefExtern(None) => "(ref.extern)".to_owned(),
        WastRetCore::RefHost(v) => format!("(ref.host {v})"),
        WastRetCore::RefFunc(_) => "(ref.func)".to_owned(),
        WastRetCore::RefAny => "(ref.any)".to_owned(),
        WastRetCore::RefEq => "(ref.eq)".to_owned(),
        WastRetCore::RefArray => "(ref.array)".to_owned(),
        WastRetCore::RefStruct => "(ref.struct)".to_owned(),
        WastRetCore::RefI31 | WastRetCore::RefI31Shared => "(ref.i31)".to_owned(),
        WastRetCore::Either(patterns) => {
            let cases: Vec<String> = patterns.iter().map(show).collect();
            format!("(either {})", cases.join(" "))
        }
    }
}

fn nan<T>(pattern: &NanPattern<T>) -> &'static str {
    match pattern {
        NanPattern::CanonicalNan => "nan:canonical",
        NanPattern::ArithmeticNan => "nan:arithmetic",
        NanPattern::Value(_) => "a value",
    }
}

fn show_v128(pattern: &V128Pattern) -> String {
    let mut text = String::from("(v128.const");
    let mut lane = |word: &dyn std::fmt::Display| {
        let _ = write!(text, " {word}");
    };
    match pattern {
        V128Pattern::I8x16(lanes) => lanes.iter().for_each(|v| lane(&format_args!("{v:#04x}"))),
        V128Pattern::I16x8(lanes) => lanes.iter().for_each(|v| lane(&format_args!("{v:#06x}"))),
        V128Pattern::I32x4(lanes) => lanes.iter().for_each(|v| lane(&format_args!("{v:#010x}"))),
        V128Pattern::I64x2(lanes) => lanes.iter().for_each(|v| lane(&format_args!("{v:#018x}"))),
        V128Pattern::F32x4(lanes) => lanes.iter().for_each(|pattern| match pattern {
            NanPattern::Value(v) => lane(&format_args!("{:#010x}", v.bits)),
            _ => lane(&nan(pattern)),
        }),
        V128Pattern::F64x2(lanes) => lanes.iter().for_each(|pattern| match pattern {
            NanPattern::Value(v) => lane(&format_args!("{:#018x}", v.bits)),
            _ => lane(&nan(pattern)),
        }),
    }
    text.push(')');
    text
}
