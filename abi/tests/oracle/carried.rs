//! Values as messages: what is packed is unpacked, in one encoding only, and what is damaged is refused.

use abi::fault::{Fault, Frame, Trap};
use abi::id::{DomainId, ProcessId};
use abi::run;
use abi::sample::Sampler;
use abi::side::Encoding;
use abi::types::{Field, ResourceType, ValType};
use abi::value::{Resource, Value};
use abi::wire::packing::pack;
use abi::wire::unpacking::unpack;
use abi::wire::{Cursor, Message, Piece, Slot};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use crate::bump::Bump;

fn sampled(choices: &[u8]) -> (ValType, Value) {
    let mut sampler = Sampler::new(choices);
    sampler.resources = vec![ResourceType(0), ResourceType::host(1)];
    let ty = sampler.ty(4);
    let value = sampler.value(&ty);
    (ty, value)
}

fn packed(ty: &ValType, value: &Value) -> Message {
    let mut message = Message::new();
    pack([ty].into_iter(), std::slice::from_ref(value), &mut message).unwrap();
    message
}

/// Equal, where NaN is NaN.
fn same<T: std::fmt::Debug>(left: &T, right: &T) {
    assert_eq!(format!("{left:?}"), format!("{right:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_is_unpacked(choices in prop::collection::vec(any::<u8>(), 0..400)) {
        let (ty, value) = sampled(&choices);
        let message = packed(&ty, &value);
        same(&unpack([&ty].into_iter(), &message).unwrap()[0], &value);
        let owned: Vec<Resource> =
            message.slots.iter().filter(|slot| slot.is_own).map(|slot| slot.resource).collect();
        assert_eq!(owned, value.owned());
    }

    /// What the interpreter takes out of one memory and puts into another goes over a message just as well.
    #[test]
    fn a_message_changes_nothing(choices in prop::collection::vec(any::<u8>(), 0..400), from in 0_usize..3, to in 0_usize..3) {
        let encodings = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];
        let (ty, value) = sampled(&choices);
        let (mut from, mut to) = (Bump::new(encodings[from], 1 << 12), Bump::new(encodings[to], 1 << 12));
        let core = run::lower_flat(&mut from, &ty, &value).unwrap();
        let lifted = run::lift_flat(&mut from, &ty, &core).unwrap();
        let carried = unpack([&ty].into_iter(), &packed(&ty, &lifted)).unwrap();
        let core = run::lower_flat(&mut to, &ty, &carried[0]).unwrap();
        same(&run::lift_flat(&mut to, &ty, &core).unwrap(), &lifted);
    }

    /// There is one encoding of each value: a message that is accepted is what its values are packed to.
    #[test]
    fn what_is_damaged_is_refused_or_means_something_else(
        choices in prop::collection::vec(any::<u8>(), 0..400),
        cut in any::<u16>(),
        flips in prop::collection::vec((any::<u16>(), 0_u8..8), 1..6),
    ) {
        let (ty, value) = sampled(&choices);
        let whole = packed(&ty, &value);
        let mut short = whole.clone();
        short.bytes.truncate(usize::from(cut) % (whole.bytes.len() + 1));
        if short.bytes.len() < whole.bytes.len() {
            assert!(unpack([&ty].into_iter(), &short).is_err());
        }
        let mut fewer = whole.clone();
        if fewer.slots.pop().is_some() {
            assert!(unpack([&ty].into_iter(), &fewer).is_err());
        }
        let mut bad = whole;
        for (at, bit) in flips {
            let at = usize::from(at) % bad.bytes.len().max(1);
            if let Some(byte) = bad.bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        if let Ok(values) = unpack([&ty].into_iter(), &bad) {
            assert!(values[0].is(&ty));
            assert_eq!(packed(&ty, &values[0]), bad);
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(choices in prop::collection::vec(any::<u8>(), 0..100), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (ty, _) = sampled(&choices);
        let message = Message { bytes: bytes.clone(), slots: Vec::new() };
        if let Ok(values) = unpack([&ty].into_iter(), &message) {
            assert_eq!(packed(&ty, &values[0]), message);
        }
        let mut cursor = Cursor::new(&bytes);
        if let Ok(fault) = Fault::take(&mut cursor) {
            let mut again = Vec::new();
            fault.put(&mut again);
            assert!(again.len() <= bytes.len());
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let refused = |ty: &ValType, bytes: &[u8]| {
        let message = Message { bytes: bytes.to_vec(), slots: Vec::new() };
        unpack([ty].into_iter(), &message).unwrap_err().to_string()
    };
    let list = |ty| ValType::List(std::sync::Arc::new(ty));
    for (ty, bytes, says) in [
        (ValType::Bool, &[2][..], "expected a bool, 0 or 1 at byte 1 of a message of 1, found 2"),
        (ValType::U32, &[1, 2], "expected u32 of 4 bytes at byte 0 of a message of 2, found 2 bytes"),
        (ValType::U8, &[1, 2], "expected the end at byte 1 of a message of 2, found 1 more bytes"),
        (ValType::Char, &[0, 0xD8, 0, 0], "found 0xd800"),
        (ValType::F32, &[1, 0, 0xC0, 0x7F], "expected the canonical NaN"),
        (ValType::String, &[1, 0, 0, 0, 0xFF], "expected UTF-8"),
        (ValType::String, &[0xFF, 0xFF, 0xFF, 0xFF], "expected a string of 4294967295 bytes"),
        (list(ValType::U64), &[0xFF, 0xFF, 0xFF, 0xFF], "as many elements as there is room for"),
        (list(ValType::Tuple([].into())), &[1, 0, 0, 0], "found 1 of at least 0 in 0"),
        (ValType::Enum(["a".into()].into()), &[1], "expected an enum's case below 1"),
        (ValType::Flags(["a".into(), "b".into()].into()), &[4], "expected 2 flags"),
        (ValType::Own(ResourceType(3)), &[], "expected a slot for `own`"),
        (ValType::Stream(None), &[], "a type whose values can be sent"),
    ] {
        let found = refused(&ty, bytes);
        assert!(found.contains(says), "{ty}: {found}");
    }
    let slot = Slot { is_own: false, resource: Resource { ty: ResourceType(3), rep: 1, generation: 0 } };
    let message = Message { bytes: Vec::new(), slots: vec![slot] };
    let error = unpack([&ValType::Own(ResourceType(3))].into_iter(), &message).unwrap_err();
    assert!(error.to_string().contains("expected `own<"), "{error}");
    let error = unpack([].into_iter(), &message).unwrap_err();
    assert!(error.to_string().contains("no more handles"), "{error}");
    let mut deep = ValType::U8;
    for _ in 0..200 {
        deep = ValType::Record([Field { name: "a".into(), ty: deep }].into());
    }
    assert!(refused(&deep, &[0]).contains("nested deeper"));
    let error = pack([&ValType::U8].into_iter(), &[Value::U16(1)], &mut Message::new()).unwrap_err();
    assert!(error.to_string().contains("a value of type `u8`"), "{error}");
}

#[test]
fn faults_come_back_whole() {
    let (a, b) = (7_u64, 9_u32);
    let traps = [
        Trap::Unreachable,
        Trap::UnalignedPointer { what: "list", pointer: a, align: b },
        Trap::InvalidChar(0xD800),
        Trap::Limit { limit: "deadline of a call in ns", value: a, allowed: a },
        Trap::Unsupported("a stream"),
        Trap::Killed("who".to_owned()),
        Trap::Exit(3),
    ];
    for trap in traps {
        let frame = Frame {
            process: Some(ProcessId { index: 1, generation: 2 }),
            process_name: "/a/b".to_owned(),
            module: None,
            func_index: Some(b),
            func_name: Some("f".to_owned()),
            offset: None,
        };
        let fault = Fault {
            trap,
            process: None,
            process_name: "/a".into(),
            domain: Some(DomainId { index: 1, generation: 0 }),
            frames: vec![frame; 3],
            registers: Some(Box::new(vec![("rip", a)])),
        };
        let mut bytes = Vec::new();
        fault.put(&mut bytes);
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(Fault::take(&mut cursor).unwrap(), fault);
        cursor.finish().unwrap();
        for cut in 0..bytes.len() {
            assert!(Fault::take(&mut Cursor::new(&bytes[..cut])).is_err());
        }
    }
}
