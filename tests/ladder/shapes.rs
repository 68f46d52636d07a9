//! Every shape of value, there and back.

use std::sync::Arc;

use abi::fault::Trap;
use abi::relay::Relay;
use abi::side::Encoding;
use abi::types::{Case as TypeCase, Field, FuncType, ResourceType, ResultType, ValType};
use abi::value::{Resource, Value};
use abi::wave;

use crate::rung::{Call, Case};

/// How strings can be in a memory.
pub const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];

/// A function of these parameters and this result.
pub fn func(params: impl IntoIterator<Item = ValType>, result: Option<ValType>) -> FuncType {
    let named = params.into_iter().enumerate().map(|(at, ty)| (format!("p{at}").into(), ty));
    FuncType { params: named.collect(), result, is_async: false }
}

pub fn list(elem: ValType) -> ValType {
    ValType::List(Arc::new(elem))
}

pub fn option(some: ValType) -> ValType {
    ValType::Option(Arc::new(some))
}

fn fixed(elem: ValType, count: u32) -> ValType {
    ValType::FixedList(Arc::new(elem), count)
}

fn map(key: ValType, value: ValType) -> ValType {
    ValType::Map(Arc::new((key, value)))
}

fn result(ok: Option<ValType>, err: Option<ValType>) -> ValType {
    ValType::Result(Arc::new(ResultType { ok, err }))
}

pub fn tuple(types: impl IntoIterator<Item = ValType>) -> ValType {
    ValType::Tuple(types.into_iter().collect())
}

pub fn record(fields: impl IntoIterator<Item = ValType>) -> ValType {
    let fields = fields.into_iter().zip('a'..).map(|(ty, name)| Field { name: name.to_string().into(), ty });
    ValType::Record(fields.collect())
}

pub fn variant(cases: impl IntoIterator<Item = Option<ValType>>) -> ValType {
    let cases = cases.into_iter().zip('a'..).map(|(ty, name)| TypeCase { name: name.to_string().into(), ty });
    ValType::Variant(cases.collect())
}

fn labels(count: usize) -> Arc<[Box<str>]> {
    (0..count).map(|at| format!("l{at}").into()).collect()
}

pub fn enumeration(count: usize) -> ValType {
    ValType::Enum(labels(count))
}

pub fn flags(count: usize) -> ValType {
    ValType::Flags(labels(count))
}

/// Sends the values, in WAVE, and has them returned; between all encodings where that matters.
fn crosses(ty: &ValType, values: &[&str]) {
    let read = |text: &&str| wave::parse(ty, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    sent(ty, values.iter().map(read).collect(), Relay::default().pages);
}

/// The same with values as such.
fn sent(ty: &ValType, values: Vec<Value>, pages: u32) {
    let has_text = ty.any(&|ty| matches!(ty, ValType::String));
    let encodings = if has_text { &ENCODINGS[..] } else { &ENCODINGS[..1] };
    let calls: Vec<Call> =
        values.into_iter().map(|value| Call { args: vec![value.clone()], result: Some(value) }).collect();
    for [from, to] in encodings.iter().flat_map(|from| encodings.iter().map(move |to| [*from, *to])) {
        let [front, back] = [from, to].map(|encoding| Relay { pages, ..Relay::in_encoding(encoding) });
        Case { ty: func([ty.clone()], Some(ty.clone())), front, back }.echo(&calls);
    }
}

#[test]
fn scalars() {
    crosses(&ValType::Bool, &["true", "false"]);
    crosses(&ValType::S8, &["0", "-128", "127"]);
    crosses(&ValType::U8, &["0", "255"]);
    crosses(&ValType::S16, &["-32768", "32767"]);
    crosses(&ValType::U16, &["0", "65535"]);
    crosses(&ValType::S32, &["-2147483648", "2147483647"]);
    crosses(&ValType::U32, &["0", "4294967295"]);
    crosses(&ValType::S64, &["-9223372036854775808", "9223372036854775807"]);
    crosses(&ValType::U64, &["0", "18446744073709551615"]);
    crosses(&ValType::Char, &["'a'", r"'\u{0}'", r"'\u{d7ff}'", r"'\u{e000}'", r"'\u{10ffff}'"]);
}

#[test]
fn floats_and_what_is_no_number() {
    let edges = ["0.0", "-0.0", "1.5", "inf", "-inf", "nan", "1e-40"];
    crosses(&ValType::F32, &edges);
    crosses(&ValType::F64, &edges);
    crosses(&list(ValType::F32), &["[nan, -0.0, inf]"]);
    crosses(&list(ValType::F64), &["[nan, -0.0, inf]"]);
    // A NaN of the host's need not be the canonical one.
    let odd = vec![Value::F32(f32::from_bits(0xFFC0_1234)), Value::F32(f32::from_bits(0x7F80_0001))];
    sent(&ValType::F32, odd, 32);
}

#[test]
fn strings() {
    let texts = [
        r#""""#,
        r#""a""#,
        r#""plain text of some length, all ASCII""#,
        r#""grüße""#,
        r#""日本語""#,
        r#""🦀 a ü 語 \u{0}""#,
    ];
    crosses(&ValType::String, &texts);
    let long = |piece: &str| Value::String(piece.repeat(70_000 / piece.len()).into());
    // Each begins in a way that another encoding has to give up late.
    let late = Value::String(("a".repeat(30_000) + "ü" + &"a".repeat(1_000) + "語" + "🦀").into());
    sent(&ValType::String, vec![long("a"), long("ü"), long("語"), long("🦀"), long("aü"), late], 64);
}

#[test]
fn lists() {
    crosses(&list(ValType::U8), &["[]", "[0]", "[1, 2, 255]"]);
    crosses(&list(ValType::Bool), &["[]", "[true, false, true]"]);
    crosses(&list(ValType::Char), &["['a', 'ü', '🦀']"]);
    crosses(&list(ValType::U64), &["[1, 18446744073709551615]"]);
    crosses(&list(list(ValType::U16)), &["[]", "[[]]", "[[1], [], [2, 3]]"]);
    crosses(&list(ValType::String), &["[]", r#"["", "a", "grüße", "🦀"]"#]);
    crosses(&list(tuple([ValType::U8, ValType::String])), &[r#"[(1, "a"), (2, "")]"#]);
    crosses(&list(option(ValType::U64)), &["[none, some(7)]"]);
    sent(&fixed(ValType::U16, 3), vec![Value::List((1..4).map(Value::U16).collect())], 32);
    sent(
        &fixed(ValType::String, 2),
        vec![Value::List(["a", "語"].map(|text| Value::String(text.into())).into())],
        32,
    );
}

#[test]
fn long_lists() {
    let many = |count: u32, elem: &dyn Fn(u32) -> Value| vec![Value::List((0..count).map(elem).collect())];
    sent(&list(ValType::U8), many(300_000, &|at| Value::U8(at as u8)), 64);
    sent(&list(ValType::U32), many(50_000, &Value::U32), 64);
    sent(&list(ValType::Char), many(30_000, &|at| Value::Char(char::from_u32(at + 32).unwrap())), 64);
    sent(&list(ValType::String), many(4_000, &|at| Value::String(at.to_string().into())), 64);
    let padded = record([ValType::U8, ValType::U64, ValType::U16]);
    let row =
        |at: u32| Value::Record(vec![Value::U8(at as u8), Value::U64(at.into()), Value::U16(at as u16)]);
    sent(&list(padded), many(5_000, &row), 64);
}

#[test]
fn records_and_tuples() {
    crosses(&record([ValType::U32]), &["{a: 1}"]);
    let padded = record([ValType::U8, ValType::U64, ValType::U16, ValType::F32, ValType::Bool]);
    crosses(&padded, &["{a: 1, b: 2, c: 3, d: 4.5, e: true}"]);
    crosses(&list(padded.clone()), &["[]", "[{a: 1, b: 2, c: 3, d: nan, e: false}]"]);
    crosses(&record([padded, ValType::String]), &[r#"{a: {a: 1, b: 2, c: 3, d: 4.5, e: true}, b: "x"}"#]);
    crosses(&tuple([ValType::S8, ValType::S64, ValType::Char]), &["(-1, -2, '语')"]);
    // Seventeen core values are one too many to be passed as such.
    crosses(
        &tuple((0..17).map(|_| ValType::U8)),
        &["(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)"],
    );
}

#[test]
fn variants_enums_options_and_results() {
    crosses(&variant([None, Some(ValType::U32)]), &["a", "b(7)"]);
    // Cases whose core types are joined to others.
    let joined = [ValType::F32, ValType::U32, ValType::F64, ValType::U64, ValType::String];
    let joined = variant(joined.map(Some));
    crosses(&joined, &["a(1.5)", "b(4294967295)", "c(nan)", "d(18446744073709551615)", r#"e("x")"#]);
    crosses(&list(joined.clone()), &[r#"[a(nan), e(""), d(1), b(2)]"#]);
    crosses(&variant([Some(joined), None]), &["a(c(0.5))", "b"]);
    crosses(&enumeration(1), &["l0"]);
    crosses(&enumeration(300), &["l0", "l255", "l256", "l299"]);
    crosses(&option(option(ValType::Bool)), &["none", "some(none)", "some(some(true))"]);
    crosses(&option(ValType::String), &["none", r#"some("")"#, r#"some("a")"#]);
    crosses(&result(None, None), &["ok", "err"]);
    crosses(&result(Some(ValType::F32), Some(ValType::U64)), &["ok(1.0)", "err(18446744073709551615)"]);
    crosses(&result(Some(list(ValType::U8)), Some(ValType::String)), &["ok([])", "ok([1])", r#"err("e")"#]);
}

#[test]
fn flags_of_every_number() {
    for count in 1..=32_usize {
        let all = u32::MAX >> (32 - count);
        let values = [0, all, all & 0x5555_5555, 1 << (count - 1)].map(Value::Flags);
        sent(&flags(count), values.to_vec(), 32);
    }
    sent(&list(flags(9)), vec![Value::List([0, 511, 256].map(Value::Flags).into())], 32);
}

#[test]
fn maps() {
    let entry = |key: &str, value: u32| (Value::String(key.into()), Value::U32(value));
    sent(
        &map(ValType::String, ValType::U32),
        vec![Value::Map(vec![]), Value::Map(vec![entry("a", 1), entry("ü", 2)])],
        32,
    );
    let entries = vec![(Value::U8(1), Value::List(vec![Value::U64(2)]))];
    sent(&map(ValType::U8, list(ValType::U64)), vec![Value::Map(entries)], 32);
}

#[test]
fn no_parameters_and_no_result() {
    let relay = Relay::default;
    let call = Call { args: Vec::new(), result: None };
    Case { ty: func([], None), front: relay(), back: relay() }.echo(&[call]);
    let call = Call { args: vec![Value::U8(1)], result: None };
    Case { ty: func([ValType::U8], None), front: relay(), back: relay() }.echo(&[call]);
    let call = Call { args: Vec::new(), result: Some(Value::String("alone".into())) };
    Case { ty: func([], Some(ValType::String)), front: relay(), back: relay() }.echo(&[call]);
}

#[test]
fn handles_of_the_hosts() {
    let own = |number: u32, rep| Value::Own(Resource { ty: ResourceType::host(number), rep, generation: 0 });
    let [first, second] = [0, 1].map(|number| ValType::Own(ResourceType::host(number)));
    sent(&first, vec![own(0, 0), own(0, u32::MAX)], 32);
    sent(
        &list(first.clone()),
        vec![Value::List(vec![]), Value::List((0..40).map(|rep| own(0, rep)).collect())],
        32,
    );
    sent(
        &tuple([first.clone(), second, ValType::String]),
        vec![Value::Tuple(vec![own(0, 7), own(1, 7), Value::String("x".into())])],
        32,
    );
    sent(&option(first.clone()), vec![Value::Option(None), Value::Option(Some(Box::new(own(0, 3))))], 32);
    // Lent twice, in core values and in memory.
    let lent = |rep| Value::Borrow(Resource { ty: ResourceType::host(0), rep, generation: 0 });
    let borrow = || ValType::Borrow(ResourceType::host(0));
    let relay = Relay::default;
    let ty = func([borrow(), ValType::U8, borrow()], Some(first.clone()));
    let call = Call { args: vec![lent(1), Value::U8(2), lent(1)], result: Some(own(0, 9)) };
    Case { ty, front: relay(), back: relay() }.echo(&[call]);
    let ty = func([borrow(), tuple((0..16).map(|_| ValType::U8))], None);
    let bytes = Value::Tuple((0..16).map(Value::U8).collect());
    Case { ty, front: relay(), back: relay() }.echo(&[Call { args: vec![lent(5), bytes], result: None }]);
}

/// A callee whose messages are limited is sent nothing that was not measured.
#[test]
fn what_is_nested_counts_as_well() {
    let text = |text: &str| Value::String(text.into());
    let some = Value::Option(Some(Box::new(text("xyz"))));
    let args = vec![Value::List(["ab", "", "cde"].map(text).into()), some];
    let bytes = args.iter().map(Value::bytes).sum::<u64>();
    assert_eq!(bytes, 5 + 4 + 3);
    let ty = func([list(ValType::String), option(ValType::String)], None);
    let case = Case { ty, front: Relay::default(), back: Relay::default() };
    let call = Call { args, result: None };
    assert_eq!(case.limited(&call, bytes), [const { Ok(None) }; 4]);
    let trap = Trap::Limit { limit: "bytes of a message", value: bytes, allowed: bytes - 1 };
    assert_eq!(case.limited(&call, bytes - 1), [(); 4].map(|()| Err(trap.clone())));
}
