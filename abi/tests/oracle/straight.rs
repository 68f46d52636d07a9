//! What goes straight from memory into a message, and from there into memory: the same bytes, the same allocations and the
//! same traps as over component values.

use std::sync::Arc;

use abi::fault::Trap;
use abi::plan::Passing;
use abi::run;
use abi::sample::Sampler;
use abi::side::Encoding;
use abi::types::{Field, FuncType, ResourceType, ValType};
use abi::value::Value;
use abi::wire::packing::pack;
use abi::wire::unpacking::{check, unpack};
use abi::wire::{Message, lifting, lowering};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use crate::bump::Bump;

const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];

/// A function with parameters of random types, and values of them.
fn sampled(choices: &[u8]) -> (FuncType, Vec<Value>) {
    let mut sampler = Sampler::new(choices);
    sampler.resources = vec![ResourceType(0), ResourceType::host(1)];
    let ty = FuncType { result: None, ..sampler.func(4, 4) };
    let values = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
    (ty, values)
}

fn types(ty: &FuncType) -> impl ExactSizeIterator<Item = &ValType> {
    ty.params.iter().map(|(_, ty)| ty)
}

/// A caller with these values in its memory, and its core values.
fn caller(encoding: Encoding, ty: &FuncType, values: &[Value]) -> (Bump, Vec<u64>) {
    let mut side = Bump::new(encoding, 1 << 12);
    let core = run::lower_params(&mut side, ty, &Passing::params(ty), values).unwrap();
    (side, core)
}

/// Whatever is lifted, as the two ways have it.
fn lifted_twice(make: impl Fn() -> (Bump, Vec<u64>), ty: &FuncType) -> [Result<(Message, u64), Trap>; 2] {
    let passing = Passing::params(ty);
    let (mut side, core) = make();
    let over_values = run::lift_params(&mut side, ty, &passing, &core).map(|values| {
        let mut message = Message::new();
        pack(types(ty), &values, &mut message).unwrap();
        (message, values.iter().map(Value::bytes).sum())
    });
    let (mut side, core) = make();
    let mut message = Message::new();
    let straight = lifting::lift_params(&mut side, ty, &passing, &core, &mut message);
    [over_values, straight.map(|carried| (message, carried))]
}

/// Whatever is lowered, as the two ways have it: core values, memory, and what was allocated.
fn lowered_twice(encoding: Encoding, ty: &FuncType, message: &Message) {
    let passing = Passing::params(ty);
    let [mut over_values, mut straight] = [(); 2].map(|()| Bump::new(encoding, 1 << 12));
    let values = unpack(types(ty), message).unwrap();
    let expected = run::lower_params(&mut over_values, ty, &passing, &values);
    let found = lowering::lower_params(&mut straight, ty, &passing, &message.bytes, &message.slots);
    assert_eq!(found, expected);
    assert_eq!(straight.log, over_values.log);
    assert!(straight.memory == over_values.memory, "the same bytes of {ty}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_straight_is_the_same(
        choices in prop::collection::vec(any::<u8>(), 0..600),
        from in 0_usize..3,
        to in 0_usize..3,
    ) {
        let (ty, values) = sampled(&choices);
        let [expected, found] = lifted_twice(|| caller(ENCODINGS[from], &ty, &values), &ty);
        assert_eq!(found, expected);
        let (message, carried) = found.unwrap();
        assert_eq!(check(types(&ty), &message.bytes, &message.slots), Ok(carried));
        lowered_twice(ENCODINGS[to], &ty, &message);
    }

    #[test]
    fn damage_is_the_same(
        choices in prop::collection::vec(any::<u8>(), 0..400),
        encoding in 0_usize..3,
        flips in prop::collection::vec((any::<u16>(), 0_u8..8), 1..6),
    ) {
        let (ty, values) = sampled(&choices);
        let make = || {
            let (mut side, core) = caller(ENCODINGS[encoding], &ty, &values);
            for (at, bit) in &flips {
                side.memory[usize::from(*at) % 256] ^= 1 << bit;
            }
            (side, core)
        };
        let [expected, found] = lifted_twice(make, &ty);
        assert_eq!(found, expected);
    }

    /// A message that is refused as values is refused without making them, and no other.
    #[test]
    fn a_message_is_checked_alike(
        choices in prop::collection::vec(any::<u8>(), 0..400),
        cut in any::<u16>(),
        flips in prop::collection::vec((any::<u16>(), 0_u8..8), 0..4),
    ) {
        let (ty, values) = sampled(&choices);
        let mut message = Message::new();
        pack(types(&ty), &values, &mut message).unwrap();
        for (at, bit) in flips {
            let at = usize::from(at) % message.bytes.len().max(1);
            if let Some(byte) = message.bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        if cut % 4 == 0 {
            message.bytes.truncate(usize::from(cut) % (message.bytes.len() + 1));
        }
        let carried = unpack(types(&ty), &message).map(|values| values.iter().map(Value::bytes).sum());
        let checked = check(types(&ty), &message.bytes, &message.slots);
        assert_eq!(checked.as_ref().ok(), carried.as_ref().ok(), "{checked:?} and {carried:?}");
        if checked.is_ok() {
            lowered_twice(Encoding::Utf8, &ty, &message);
        }
    }
}

fn func(param: ValType) -> FuncType {
    FuncType { params: [("p".into(), param)].into(), result: None, is_async: false }
}

fn list(elem: ValType) -> ValType {
    ValType::List(Arc::new(elem))
}

fn record(types: impl IntoIterator<Item = ValType>) -> ValType {
    let field = |(at, ty): (usize, ValType)| Field { name: format!("f{at}").into(), ty };
    ValType::Record(types.into_iter().enumerate().map(field).collect())
}

/// A guest that says that a list of so many elements is at 64, where these bytes are.
fn told(ty: &FuncType, bytes: &[u8], count: u32) -> [Result<(Message, u64), Trap>; 2] {
    let make = || {
        let mut side = Bump::new(Encoding::Utf8, 1 << 12);
        side.memory[64..64 + bytes.len()].copy_from_slice(bytes);
        (side, vec![64, count.into()])
    };
    lifted_twice(make, ty)
}

#[test]
fn what_needs_to_be_looked_at_is_looked_at() {
    let nan32 = 0xFFC0_0001_u32.to_le_bytes();
    let nan64 = 0x7FF0_0000_0000_0001_u64.to_le_bytes();
    let padded = [[1, 7, 0xEE, 0xEE].as_slice(), &nan32, b"a\0\0\0", &nan64].concat();
    for (elem, bytes, count) in [
        (ValType::Bool, &[0, 1, 2, 0xFF][..], 4),
        (ValType::F32, &[nan32, 1_f32.to_le_bytes()].concat(), 2),
        (ValType::F64, &[1.5_f64.to_le_bytes(), nan64].concat(), 2),
        (ValType::Char, &[97_u32.to_le_bytes(), 0x1F600_u32.to_le_bytes()].concat(), 2),
        (record([ValType::U8, ValType::Bool, ValType::F32, ValType::Char, ValType::F64]), &padded, 1),
        (ValType::FixedList(Arc::new(ValType::Bool), 2), &[2, 0, 0, 3], 2),
    ] {
        let ty = func(list(elem));
        let [expected, found] = told(&ty, bytes, count);
        assert_eq!(found, expected, "{ty}");
        let (message, _) = found.unwrap();
        lowered_twice(Encoding::Utf8, &ty, &message);
    }
    for code in [0xD800_u32, 0xDFFF, 0x11_0000, u32::MAX] {
        for elem in [ValType::Char, record([ValType::Char, ValType::U8])] {
            let [expected, found] = told(&func(list(elem)), &[code.to_le_bytes(), [0; 4]].concat(), 1);
            assert_eq!(found, expected);
            assert_eq!(found.unwrap_err(), Trap::InvalidChar(code));
        }
    }
}

#[test]
fn sizes_that_are_lies() {
    for elem in [ValType::U8, ValType::U64, ValType::Char, record([ValType::U8, ValType::U32])] {
        for count in [4033, 1 << 20, 1 << 25, 1 << 28, u32::MAX] {
            let [expected, found] = told(&func(list(elem.clone())), &[], count);
            assert_eq!(found, expected, "{count} of {elem}");
            assert!(found.is_err());
        }
    }
    // In messages, which a hostile process can have made.
    let refused =
        |elem: ValType, bytes: &[u8]| check([&list(elem)].into_iter(), bytes, &[]).unwrap_err().to_string();
    let point = record([ValType::U8, ValType::U32]);
    for (elem, bytes, says) in [
        (ValType::U8, &[0xFF, 0xFF, 0xFF, 0xFF, 1][..], "as many elements as there is room for"),
        (ValType::U64, &[1, 0, 0, 0, 1, 2, 3], "as many elements as there is room for"),
        (point.clone(), &[1, 0, 0, 0, 1, 2, 3, 4], "as many elements as there is room for"),
        (point, &[1, 0, 0, 0, 1, 2, 3, 4, 5, 6], "expected the end"),
        (ValType::Bool, &[2, 0, 0, 0, 1, 2], "expected a bool, 0 or 1"),
        (ValType::Char, &[1, 0, 0, 0, 0, 0xD8, 0, 0], "expected a Unicode scalar value"),
        (ValType::F32, &[1, 0, 0, 0, 1, 0, 0xC0, 0x7F], "expected the canonical NaN"),
        (ValType::F64, &[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0xF8, 0x7F], "expected the canonical NaN"),
        (ValType::String, &[1, 0, 0, 0, 1, 0, 0, 0, 0x80], "expected UTF-8"),
        (record([ValType::U8, ValType::Bool]), &[1, 0, 0, 0, 9, 9], "expected a bool, 0 or 1"),
    ] {
        let found = refused(elem, bytes);
        assert!(found.contains(says), "{found}");
    }
}
