//! Each check of the specification, alone: what passes just inside of it, what traps just outside, and how.

use std::sync::Arc;

use abi::fault::Trap;
use abi::limits::{MAX_LIST_BYTES, MAX_STRING_BYTES};
use abi::plan::{Endpoint, Plan};
use abi::side::Encoding;
use abi::types::{Case, Field, FuncType, ResourceType, ResultType, ValType};
use abi::value::{Resource, Value};

use super::oracle::{call, callee};
use super::rig::{CORE, DEFINED, POST_RETURN, REALLOC, World, guests_of, memory_of, side};
use crate::vm::flags::{MAY_ENTER, MAY_LEAVE};

const UTF8: [Encoding; 2] = [Encoding::Utf8; 2];

fn func(params: &[ValType], result: Option<ValType>) -> FuncType {
    let params = params.iter().enumerate().map(|(i, ty)| (format!("p{i}").into(), ty.clone())).collect();
    FuncType { params, result, is_async: false }
}

fn list(elem: ValType) -> ValType {
    ValType::List(Arc::new(elem))
}

fn tuple(types: &[ValType]) -> ValType {
    ValType::Tuple(types.into())
}

/// Calls a function with one parameter; gives what the callee got.
fn pass(ty: &ValType, core: &[u64], encodings: [Encoding; 2], memory: &[u8]) -> Result<Value, Trap> {
    let ty = func(std::slice::from_ref(ty), None);
    let mut world = World::new(&ty, encodings, false);
    memory_of(&mut world.domain, 0)[8..8 + memory.len()].copy_from_slice(memory);
    let seen = callee(&mut world, &ty, None, Vec::new());
    if let Err(trap) = call(&mut world, &ty, core) {
        assert!(!world.guests().called(CORE), "the adapter finds it, not the callee");
        return Err(trap);
    }
    let value = seen.lock().unwrap().args.take().unwrap().pop().unwrap();
    Ok(value)
}

/// The same for a type that needs no memory.
fn flat(ty: &ValType, core: &[u64]) -> Result<Value, Trap> {
    pass(ty, core, UTF8, &[])
}

/// Calls a function whose parameter is a list of one element, which is in memory.
fn stored(elem: &ValType, bytes: &[u8]) -> Result<Value, Trap> {
    match pass(&list(elem.clone()), &[8, 1], UTF8, bytes)? {
        Value::List(mut elems) => Ok(elems.pop().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn scalars_are_trimmed_to_their_types() {
    for (ty, bits, want) in [
        (ValType::Bool, 0, Value::Bool(false)),
        (ValType::Bool, 0x100, Value::Bool(true)),
        (ValType::U8, 0x1FF, Value::U8(0xFF)),
        (ValType::S8, 0x1FF, Value::S8(-1)),
        (ValType::U16, 0x1_FFFF, Value::U16(0xFFFF)),
        (ValType::S16, 0x1_8000, Value::S16(i16::MIN)),
        (ValType::Flags(["a".into(), "b".into(), "c".into()].into()), 0xFFFF_FFFD, Value::Flags(5)),
    ] {
        assert_eq!(flat(&ty, &[bits]), Ok(want), "{ty}");
    }
    assert_eq!(stored(&ValType::Bool, &[0x80]), Ok(Value::Bool(true)));
    assert_eq!(stored(&ValType::Flags(["a".into()].into()), &[0xFF]), Ok(Value::Flags(1)));
    assert_eq!(stored(&ValType::S16, &[0xFE, 0xFF]), Ok(Value::S16(-2)));
}

/// What the callee gets is normal: its own lifting would hide what the adapter left.
#[test]
fn the_callee_gets_normal_core_values() {
    let labels = ValType::Flags(["a".into(), "b".into()].into());
    let types = [ValType::Bool, ValType::U8, ValType::S8, ValType::U16, ValType::S16, labels];
    let ty = func(&types, None);
    let mut world = World::new(&ty, UTF8, false);
    world.guests().core = Some(Box::new(|_, slots| {
        assert_eq!(slots, [1, 0xFF, 0xFFFF_FFFF, 0xFFFF, 0xFFFF_8000, 3]);
        Ok(())
    }));
    world.call(&[0x100, 0x1FF, 0x1FF, 0x1_FFFF, 0x1_8000, 0xFF]).unwrap();
    let ty = func(&[list(tuple(&[ValType::Bool, ValType::Flags(["a".into()].into())]))], None);
    let mut world = World::new(&ty, UTF8, false);
    memory_of(&mut world.domain, 0)[8..10].copy_from_slice(&[0x80, 0xFF]);
    world.guests().core = Some(Box::new(|domain, slots| {
        assert_eq!(slots, [8, 1]);
        assert_eq!(memory_of(domain, 1)[8..10], [1, 1]);
        Ok(())
    }));
    world.call(&[8, 1]).unwrap();
}

#[test]
fn a_char_is_a_scalar_value() {
    for good in [0, 0xD7FF, 0xE000, 0x10_FFFF] {
        assert_eq!(flat(&ValType::Char, &[good]), Ok(Value::Char(char::from_u32(good as u32).unwrap())));
    }
    for bad in [0xD800, 0xDFFF, 0x11_0000, 0xFFFF_FFFF_u32] {
        assert_eq!(flat(&ValType::Char, &[u64::from(bad)]), Err(Trap::InvalidChar(bad)));
        assert_eq!(stored(&ValType::Char, &bad.to_le_bytes()), Err(Trap::InvalidChar(bad)));
    }
}

#[test]
fn a_discriminant_names_a_case() {
    let variant = ValType::Variant(
        [("a", Some(ValType::U64)), ("b", None), ("c", Some(ValType::F32))]
            .map(|(name, ty)| Case { name: name.into(), ty })
            .into(),
    );
    let many = ValType::Enum((0..256).map(|i| format!("e{i}").into()).collect::<Vec<Box<str>>>().into());
    let result = ValType::Result(Arc::new(ResultType { ok: None, err: Some(ValType::U8) }));
    for (ty, cases) in [(variant, 3), (ValType::Option(Arc::new(ValType::U8)), 2), (result, 2), (many, 256)] {
        let invalid = |discriminant| Err(Trap::InvalidDiscriminant { discriminant, cases });
        assert!(flat(&ty, &[u64::from(cases) - 1, 0]).is_ok());
        assert_eq!(flat(&ty, &[u64::from(cases), 0]), invalid(cases));
        assert_eq!(flat(&ty, &[0xFFFF_FFFF, 0]), invalid(0xFFFF_FFFF));
        if cases < 256 {
            let mut bytes = [0; 16];
            bytes[0] = cases as u8;
            assert_eq!(stored(&ty, &bytes), invalid(cases));
        }
    }
}

#[test]
fn strings_are_checked_for_length_alignment_and_bounds() {
    let limit = u64::from(MAX_STRING_BYTES);
    let string =
        |encoding, core: [u64; 2]| pass(&ValType::String, &core, [encoding, Encoding::Utf8], &[0; 8]);
    let text = |text: &str| Ok(Value::String(text.into()));
    for (encoding, unit) in [(Encoding::Utf8, 1), (Encoding::Utf16, 2), (Encoding::CompactUtf16, 1)] {
        assert_eq!(string(encoding, [64, 0]), text(""));
        let (last, all) = if unit == 1 { (2, "\0\0") } else { (1, "\0") };
        assert_eq!(string(encoding, [62, last]), text(all));
        let outside = |pointer, bytes| Err(Trap::StringOutOfBounds { pointer, bytes, memory: 64 });
        assert_eq!(string(encoding, [64, 1]), outside(64, unit));
        assert_eq!(string(encoding, [66, 0]), outside(66, 0));
        assert_eq!(string(encoding, [0xFFFF_FFFE, 1]), outside(0xFFFF_FFFE, unit));
        let long = |bytes| Err(Trap::StringTooLong { bytes, limit });
        assert_eq!(string(encoding, [8, limit / unit + 1]), long((limit / unit + 1) * unit));
        assert!(matches!(string(encoding, [8, limit / unit]), Err(Trap::StringOutOfBounds { .. })));
    }
    for encoding in [Encoding::Utf16, Encoding::CompactUtf16] {
        let odd = Err(Trap::UnalignedPointer { what: "string", pointer: 9, align: 2 });
        assert_eq!(string(encoding, [9, 1]), odd);
    }
    let tagged = 1 << 31;
    assert_eq!(string(Encoding::CompactUtf16, [62, tagged | 1]), text("\0"));
    assert!(matches!(string(Encoding::CompactUtf16, [62, tagged | 2]), Err(Trap::StringOutOfBounds { .. })));
}

#[test]
fn strings_are_what_their_encoding_says() {
    for to in [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16] {
        let string = |from, core: [u64; 2], bytes: &[u8]| pass(&ValType::String, &core, [from, to], bytes);
        assert_eq!(string(Encoding::Utf8, [8, 2], b"a\xFF"), Err(Trap::InvalidUtf8));
        assert_eq!(string(Encoding::Utf8, [8, 2], "€".as_bytes()), Err(Trap::IncompleteUtf8));
        for (bad, units) in [([0x00, 0xD8, b'a', 0], 2), ([0x00, 0xDC, 0, 0], 1), ([b'a', 0, 0x00, 0xD8], 2)]
        {
            assert_eq!(string(Encoding::Utf16, [8, units], &bad), Err(Trap::InvalidUtf16));
            assert_eq!(string(Encoding::CompactUtf16, [8, units | 1 << 31], &bad), Err(Trap::InvalidUtf16));
        }
        let latin1 = string(Encoding::CompactUtf16, [8, 2], b"\xE9\xFF");
        assert_eq!(latin1, Ok(Value::String("éÿ".into())));
    }
}

#[test]
fn lists_are_checked_for_length_alignment_and_bounds() {
    let limit = u64::from(MAX_LIST_BYTES);
    for ty in [ValType::U32, ValType::Char, tuple(&[ValType::U8, ValType::U32])] {
        let size = if matches!(ty, ValType::Tuple(_)) { 8 } else { 4 };
        let list = |core: [u64; 2]| pass(&list(ty.clone()), &core, UTF8, &[]);
        assert!(list([64 - size, 1]).is_ok());
        assert_eq!(list([64, 0]), Ok(Value::List(Vec::new())));
        let outside = |pointer, bytes| Err(Trap::ListOutOfBounds { pointer, bytes, memory: 64 });
        assert_eq!(list([64, 1]), outside(64, size));
        assert_eq!(list([68, 0]), outside(68, 0));
        assert_eq!(list([10, 1]), Err(Trap::UnalignedPointer { what: "list", pointer: 10, align: 4 }));
        let most = limit / size;
        assert_eq!(list([8, most]), outside(8, most * size));
        assert_eq!(list([8, most + 1]), Err(Trap::ListTooLong { bytes: (most + 1) * size, limit }));
        let all = 0xFFFF_FFFF;
        assert_eq!(list([8, all]), Err(Trap::ListTooLong { bytes: all * size, limit }));
    }
}

#[test]
fn parameters_in_memory_are_checked() {
    let ty = func(&vec![ValType::U32; 17], None);
    let run = |pointer| {
        let mut world = World::new(&ty, UTF8, false);
        let _seen = callee(&mut world, &ty, None, Vec::new());
        let memory = world.guests().memories[0].clone();
        world.domain.memory_grow(&memory, 68).unwrap();
        call(&mut world, &ty, &[pointer]).map(|_| ())
    };
    assert_eq!(run(64), Ok(()));
    let outside = Trap::PointerOutOfBounds { what: "parameters", pointer: 68, bytes: 68, memory: 132 };
    assert_eq!(run(68), Err(outside));
    assert_eq!(run(62), Err(Trap::UnalignedPointer { what: "parameters", pointer: 62, align: 4 }));
}

#[test]
fn pointers_to_results_are_checked_on_both_sides() {
    let ty = func(&[], Some(tuple(&[ValType::U32, ValType::U32])));
    let run = |returned, pointer| {
        let mut world = World::new(&ty, UTF8, false);
        world.guests().core = Some(Box::new(move |_, slots| {
            slots[0] = returned;
            Ok(())
        }));
        call(&mut world, &ty, &[pointer]).map(|_| ())
    };
    assert_eq!(run(56, 56), Ok(()));
    let outside = Trap::PointerOutOfBounds { what: "results", pointer: 60, bytes: 8, memory: 64 };
    let unaligned = Trap::UnalignedPointer { what: "results", pointer: 6, align: 4 };
    assert_eq!(run(60, 8), Err(outside.clone()));
    assert_eq!(run(8, 60), Err(outside));
    assert_eq!(run(6, 8), Err(unaligned.clone()));
    assert_eq!(run(8, 6), Err(unaligned));
}

#[test]
fn what_realloc_returns_is_checked_on_both_sides() {
    let bytes = list(ValType::U32);
    let unaligned = Trap::ReallocUnaligned { pointer: 10, align: 4 };
    let outside = |pointer, bytes| Trap::ReallocOutOfBounds { pointer, bytes, memory: 64 };
    for (lie, count, want) in [
        (60, 1, None),
        (10, 1, Some(unaligned)),
        (60, 2, Some(outside(60, 8))),
        (68, 0, Some(outside(68, 0))),
        (0xFFFF_FFFC, 2, Some(outside(0xFFFF_FFFC, 8))),
    ] {
        let want = want.map_or(Ok(()), Err);
        let ty = func(std::slice::from_ref(&bytes), None);
        let mut world = World::new(&ty, UTF8, false);
        let _seen = callee(&mut world, &ty, None, Vec::new());
        world.guests().lie[1] = Some(lie);
        assert_eq!(call(&mut world, &ty, &[8, count]).map(|_| ()), want);
        let ty = func(&[], Some(bytes.clone()));
        let mut world = World::new(&ty, UTF8, false);
        world.guests().lie[0] = Some(lie);
        world.guests().core = Some(Box::new(move |domain, slots| {
            memory_of(domain, 1)[16..24].copy_from_slice(&(8 | count << 32).to_le_bytes());
            slots[0] = 16;
            Ok(())
        }));
        assert_eq!(call(&mut world, &ty, &[8]).map(|_| ()), want);
    }
}

#[test]
fn a_process_may_call_out_and_be_called_only_where_its_flags_say_so() {
    let ty = func(&[], None);
    let run = |caller, other| {
        let mut world = World::new(&ty, UTF8, false);
        let _seen = callee(&mut world, &ty, None, Vec::new());
        world.domain.set_flags(0, caller);
        world.domain.set_flags(1, other);
        call(&mut world, &ty, &[]).map(|_| ())
    };
    assert_eq!(run(MAY_LEAVE, MAY_ENTER | MAY_LEAVE), Ok(()), "the caller runs already");
    assert_eq!(run(MAY_ENTER, MAY_ENTER | MAY_LEAVE), Err(Trap::CannotLeave));
    assert_eq!(run(MAY_ENTER | MAY_LEAVE, MAY_LEAVE), Err(Trap::CannotEnter));
}

#[test]
fn a_process_that_allocates_or_cleans_up_may_not_call_out() {
    let ty = func(&[ValType::String], Some(ValType::String));
    let mut world = World::new(&ty, UTF8, true);
    let _seen = callee(&mut world, &ty, Some(Value::String("b".into())), Vec::new());
    call(&mut world, &ty, &[8, 1, 16]).unwrap();
    let log = [(REALLOC[1], false), (CORE, true), (REALLOC[0], false), (POST_RETURN, false)];
    assert_eq!(world.guests().log, log);
    assert_eq!([0, 1].map(|process| world.domain.flags(process)), [MAY_ENTER | MAY_LEAVE; 2]);
}

#[test]
fn a_fault_ends_who_is_on_the_stack_and_says_which_call_it_was() {
    let ty = func(&[ValType::Char], None);
    let mut world = World::new(&ty, UTF8, false);
    let _seen = callee(&mut world, &ty, None, Vec::new());
    let fault = world.call(&[0xD800]).unwrap_err();
    assert_eq!(fault.trap, Trap::InvalidChar(0xD800));
    assert_eq!(&*fault.process_name, "/caller");
    assert_eq!(fault.frames[0].func_name.as_deref(), Some("caller → callee  test#call"));
    assert_eq!([0, 1].map(|process| world.domain.flags(process) & MAY_ENTER), [0, MAY_ENTER]);
}

#[test]
fn handles_are_checked() {
    let other = ResourceType(9);
    let own = func(&[ValType::Own(DEFINED)], None);
    let run = |ty: &FuncType, prepare: fn(&mut World) -> u32| {
        let mut world = World::new(ty, UTF8, false);
        let _seen = callee(&mut world, ty, None, Vec::new());
        let handle = prepare(&mut world);
        call(&mut world, ty, &[u64::from(handle)]).map(|_| ())
    };
    assert_eq!(run(&own, |world| world.guests().handles.add_own(0, DEFINED, 5).unwrap()), Ok(()));
    assert_eq!(run(&own, |_| 3), Err(Trap::UnknownHandle(3)));
    let wrong = |world: &mut World| world.guests().handles.add_own(0, ResourceType(9), 5).unwrap();
    assert_eq!(run(&own, wrong), Err(Trap::WrongHandleType { index: 1 }));
    assert_eq!(run(&func(&[ValType::Own(other)], None), wrong), Ok(()));
    let lent = |world: &mut World| {
        world.guests().handles.enter().unwrap();
        let handle = world.guests().handles.add_own(0, DEFINED, 5).unwrap();
        world.guests().handles.lend(0, DEFINED, handle).unwrap();
        handle
    };
    assert_eq!(run(&own, lent), Err(Trap::StillLent { index: 1, lends: 1 }));
    let borrowed = |world: &mut World| {
        world.guests().handles.enter().unwrap();
        world.guests().handles.borrow(0, DEFINED, 5).unwrap()
    };
    assert_eq!(run(&own, borrowed), Err(Trap::NotOwned { index: 1 }));
    let borrow = func(&[ValType::Borrow(DEFINED)], None);
    assert_eq!(run(&borrow, borrowed), Ok(()));
    assert_eq!(run(&borrow, lent), Ok(()));
    assert_eq!(run(&borrow, |_| 3), Err(Trap::UnknownHandle(3)));
}

#[test]
fn a_borrow_ends_with_its_call_and_is_dropped_before() {
    let ty = func(&[ValType::Borrow(ResourceType::host(0))], None);
    let mut world = World::new(&ty, UTF8, false);
    let handle = world.guests().handles.add_own(0, ResourceType::host(0), 5).unwrap();
    world.guests().core = Some(Box::new(move |domain, slots| {
        let handles = &mut guests_of(domain).handles;
        let lent = handles.drop(0, ResourceType::host(0), handle);
        assert_eq!(lent, Err(Trap::StillLent { index: handle, lends: 1 }));
        assert_eq!(handles.rep(1, ResourceType::host(0), slots[0] as u32), Ok(5));
        handles.drop(1, ResourceType::host(0), slots[0] as u32).map(|_| ())
    }));
    world.call(&[u64::from(handle)]).unwrap();
    assert_eq!(
        world.guests().handles.drop(0, ResourceType::host(0), handle),
        Ok(Some(5)),
        "it is lent no longer"
    );
    let handle = world.guests().handles.add_own(0, ResourceType::host(0), 5).unwrap();
    world.guests().core = Some(Box::new(|_, _| Ok(())));
    let fault = world.call(&[u64::from(handle)]).unwrap_err();
    assert_eq!(fault.trap, Trap::BorrowsRemain(1));
}

#[test]
fn what_is_lent_to_its_implementer_is_lent_as_long_as_the_call() {
    let own = ValType::Own(ResourceType::host(0));
    let ty = func(&[ValType::Borrow(DEFINED), own, ValType::Borrow(DEFINED)], None);
    let mut world = World::new(&ty, UTF8, false);
    let handle = world.guests().handles.add_own(0, DEFINED, 5).unwrap();
    let given = world.guests().handles.add_own(0, ResourceType::host(0), 6).unwrap();
    world.guests().core = Some(Box::new(move |domain, slots| {
        assert_eq!([slots[0], slots[2]], [5, 5], "the implementer gets what it knows");
        let handles = &mut guests_of(domain).handles;
        assert_eq!(handles.depth(), 0, "no borrow handle has to be looked for");
        let lent = handles.drop(0, DEFINED, handle);
        assert_eq!(lent, Err(Trap::StillLent { index: handle, lends: 2 }));
        // The caller's table moves meanwhile.
        (0..100).try_for_each(|rep| handles.add_own(0, DEFINED, rep).map(|_| ()))
    }));
    world.call(&[u64::from(handle), u64::from(given), u64::from(handle)]).unwrap();
    assert_eq!(world.guests().handles.drop(0, DEFINED, handle), Ok(Some(5)), "it is lent no longer");
    let twice = func(&[ValType::Borrow(DEFINED), ValType::Own(DEFINED)], None);
    let mut world = World::new(&twice, UTF8, false);
    let handle = world.guests().handles.add_own(0, DEFINED, 5).unwrap();
    let fault = world.call(&[u64::from(handle); 2]).unwrap_err();
    assert_eq!(fault.trap, Trap::StillLent { index: handle, lends: 1 });
}

#[test]
fn results_give_handles_away() {
    let ty = func(&[], Some(ValType::Own(DEFINED)));
    let mut world = World::new(&ty, UTF8, false);
    let own = Value::Own(Resource { ty: DEFINED, rep: 77, generation: 0 });
    let _seen = callee(&mut world, &ty, Some(own.clone()), Vec::new());
    assert_eq!(call(&mut world, &ty, &[]), Ok(Some(own)));
    assert_eq!(world.guests().handles.tables[1].live(), 0);
}

#[test]
fn lists_of_plain_bytes_are_allocated_once_and_copied_whole() {
    let ty = func(&[list(tuple(&[ValType::U32, ValType::F32]))], None);
    let mut world = World::new(&ty, UTF8, false);
    let bytes: Vec<u8> = (0..40).collect();
    memory_of(&mut world.domain, 0)[8..48].copy_from_slice(&bytes);
    world.guests().core = Some(Box::new(move |domain, slots| {
        let at = slots[0] as usize;
        assert_eq!(memory_of(domain, 1)[at..at + 40], bytes);
        Ok(())
    }));
    world.call(&[8, 5]).unwrap();
    assert_eq!(world.guests().log, [(REALLOC[1], false), (CORE, true)]);
}

#[test]
fn padding_does_not_cross() {
    let record = |types: [ValType; 2]| {
        let field = |(name, ty): (&str, ValType)| Field { name: name.into(), ty };
        ValType::Record(["a", "b"].into_iter().zip(types).map(field).collect())
    };
    let map = |types: [ValType; 2]| ValType::Map(Arc::new(types.into()));
    for types in [[ValType::U8, ValType::U32], [ValType::U32, ValType::U8]] {
        for elems in [list(tuple(&types)), list(record(types.clone())), map(types.clone())] {
            let ty = func(&[elems], None);
            let mut world = World::new(&ty, UTF8, false);
            memory_of(&mut world.domain, 0).fill(0xAA);
            world.guests().core = Some(Box::new(|domain, slots| {
                let at = slots[0] as usize;
                let zeros = memory_of(domain, 1)[at..at + 16].iter().filter(|byte| **byte == 0).count();
                assert_eq!(zeros, 6, "three bytes of each element are nobody's");
                Ok(())
            }));
            world.call(&[8, 2]).unwrap();
        }
    }
}

#[test]
fn a_nan_crosses_and_payloads_are_joined() {
    let variant = ValType::Variant(
        [("a", ValType::F32), ("b", ValType::U64), ("c", ValType::F64)]
            .map(|(name, ty)| Case { name: name.into(), ty: Some(ty) })
            .into(),
    );
    let one = u64::from(1.5_f32.to_bits());
    let case = |case, value| Ok(Value::Variant(case, Some(Box::new(value))));
    assert_eq!(flat(&variant, &[0, one]), case(0, Value::F32(1.5)));
    assert_eq!(flat(&variant, &[0, one | 7 << 32]), case(0, Value::F32(1.5)));
    assert_eq!(flat(&variant, &[1, u64::MAX]), case(1, Value::U64(u64::MAX)));
    assert_eq!(flat(&variant, &[2, 2.5_f64.to_bits()]), case(2, Value::F64(2.5)));
    let nan = flat(&ValType::F64, &[u64::MAX]).unwrap();
    assert!(matches!(nan, Value::F64(value) if value.is_nan()));
}

/// Both sides can only be one memory if their components share a core instance; then what `realloc` gives may overlap.
#[test]
fn one_memory_is_copied_as_if_it_were_two() {
    let ty = func(&[list(ValType::U8)], None);
    let mut world = World::new(&ty, UTF8, false);
    let shared = world.guests().memories[0].clone();
    world.domain.set_memory_slot(1, &shared.memory);
    world.guests().memories[1] = shared;
    world.guests().lie[1] = Some(9);
    memory_of(&mut world.domain, 0)[8..12].copy_from_slice(b"abcd");
    world.guests().core = Some(Box::new(|domain, slots| {
        assert_eq!(slots, [9, 4]);
        assert_eq!(memory_of(domain, 0)[8..13], *b"aabcd");
        Ok(())
    }));
    world.call(&[8, 4]).unwrap();
}

#[test]
fn options_that_are_missing_are_named() {
    let ty = func(&[ValType::String], None);
    for (endpoint, option) in [
        (Endpoint { realloc: None, ..side(1, Encoding::Utf8) }, "realloc"),
        (Endpoint { memory: None, ..side(1, Encoding::Utf8) }, "memory"),
    ] {
        let mut world = World::of(Plan::new(ty.clone(), side(0, Encoding::Utf8), endpoint, CORE));
        let fault = world.call(&[8, 0]).unwrap_err();
        assert!(fault.trap.to_string().contains(option), "{fault}");
    }
    let endpoint = Endpoint { memory: None, ..side(0, Encoding::Utf8) };
    let mut world = World::of(Plan::new(ty, endpoint, side(1, Encoding::Utf8), CORE));
    let outside = Trap::StringOutOfBounds { pointer: 8, bytes: 1, memory: 0 };
    assert_eq!(world.call(&[8, 1]).unwrap_err().trap, outside);
}

#[test]
fn a_field_of_every_kind_crosses_in_memory() {
    let fields = [("a", ValType::U8), ("b", ValType::String), ("c", list(ValType::Char))];
    let record = ValType::Record(fields.map(|(name, ty)| Field { name: name.into(), ty }).into());
    let ty = func(&[list(record)], None);
    let mut world = World::new(&ty, [Encoding::Utf8, Encoding::Utf16], false);
    let chars = Value::List(vec![Value::Char('x')]);
    let value =
        Value::List(vec![Value::Record(vec![Value::U8(7), Value::String("é€".into()), chars.clone()]); 3]);
    let mut half = super::half::Half::new(&mut world.domain, 0);
    let core = abi::run::lower_flat(&mut half, &ty.params[0].1, &value).unwrap();
    drop(half);
    let seen = callee(&mut world, &ty, None, Vec::new());
    call(&mut world, &ty, &core).unwrap();
    assert_eq!(seen.lock().unwrap().args, Some(vec![value]));
}
