//! What holds for every type and value.

use abi::fault::Trap;
use abi::flat::flatten;
use abi::layout::{Cases, Layout, offsets};
use abi::plan::Passing;
use abi::sample::Sampler;
use abi::side::Encoding;
use abi::types::{FuncType, ResourceType, ValType};
use abi::value::Value;
use abi::{run, wave};
use proptest::prelude::{ProptestConfig, any, prop, proptest};

use crate::bump::Bump;

const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_lowered_is_lifted(choices in prop::collection::vec(any::<u8>(), 0..400), encoding in 0_usize..3) {
        let mut sampler = Sampler::new(&choices);
        sampler.resources = vec![ResourceType(0), ResourceType::host(1)];
        let ty = sampler.ty(4);
        let value = sampler.value(&ty);
        assert!(value.is(&ty));
        let mut side = Bump::new(ENCODINGS[encoding], 1 << 12);
        if flatten(&ty).len() < 1000 {
            let core = run::lower_flat(&mut side, &ty, &value).unwrap();
            assert_eq!(core.len(), flatten(&ty).len());
            same(&run::lift_flat(&mut side, &ty, &core).unwrap(), &value);
        }
        let layout = Layout::of(&ty);
        let pointer = (&mut side as &mut dyn abi::side::Side).allocate(0, 0, layout.align, layout.size).unwrap();
        run::store(&mut side, &ty, &value, pointer).unwrap();
        same(&run::load(&mut side, &ty, pointer).unwrap(), &value);
    }

    #[test]
    fn parameters_and_results_cross_as_planned(choices in prop::collection::vec(any::<u8>(), 0..600), encoding in 0_usize..3) {
        let mut sampler = Sampler::new(&choices);
        let ty = sampler.func(8, 3);
        let args: Vec<_> = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
        let result = ty.result.as_ref().map(|ty| sampler.value(ty));
        let (params, results) = (Passing::params(&ty), Passing::results(&ty));
        let mut side = Bump::new(ENCODINGS[encoding], 1 << 12);
        let core = run::lower_params(&mut side, &ty, &params, &args).unwrap();
        assert_eq!(core.len(), Passing::lifted(&params, &results).0.len());
        same(&run::lift_params(&mut side, &ty, &params, &core).unwrap(), &args);
        // Results: where they are in memory the caller passes a pointer and the callee returns one.
        let mut slots = vec![0; 20];
        slots[..core.len()].copy_from_slice(&core);
        let mut returned = [0; 1];
        if let Passing::Memory(layout) = &results {
            let pointer = (&mut side as &mut dyn abi::side::Side).allocate(0, 0, layout.align, layout.size).unwrap();
            slots[core.len()] = u64::from(pointer);
            returned[0] = u64::from(pointer);
        }
        run::lower_results(&mut side, &ty, &params, &results, result.as_ref(), &mut slots).unwrap();
        if matches!(results, Passing::Flat(_)) {
            returned[0] = slots[0];
        }
        same(&run::lift_results(&mut side, &ty, &results, &returned).unwrap(), &result);
    }

    #[test]
    fn any_bytes_lift_or_trap(choices in prop::collection::vec(any::<u8>(), 0..200), memory in prop::collection::vec(any::<u8>(), 0..300), encoding in 0_usize..3) {
        let mut sampler = Sampler::new(&choices);
        let ty = sampler.ty(3);
        let mut side = Bump::new(ENCODINGS[encoding], 0);
        side.memory = memory;
        if let Ok(value) = run::load(&mut side, &ty, 0) {
            assert!(value.is(&ty));
        }
        let core: Vec<u64> = flatten(&ty).iter().map(|_| u64::from(sampler.below(256))).collect();
        if let Ok(value) = run::lift_flat(&mut side, &ty, &core) {
            assert!(value.is(&ty));
        }
    }

    #[test]
    fn flags_have_the_bits_of_their_labels(count in 1_usize..=32, bits in any::<u32>()) {
        let labels: Vec<Box<str>> = (0..count).map(|i| format!("l{i}").into()).collect();
        let ty = ValType::Flags(labels.into());
        let known = u32::MAX >> (32 - count);
        let mut side = Bump::new(Encoding::Utf8, 0);
        let lifted = run::lift_flat(&mut side, &ty, &[u64::from(bits)]).unwrap();
        assert_eq!(lifted, Value::Flags(bits & known));
        side.memory = bits.to_le_bytes().to_vec();
        assert_eq!(run::load(&mut side, &ty, 0).unwrap(), Value::Flags(bits & known));
    }

    #[test]
    fn text_is_read_as_it_was_written(choices in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut sampler = Sampler::new(&choices);
        let ty = sampler.ty(4);
        let value = sampler.value(&ty);
        let text = wave::print(&ty, &value);
        let read = wave::parse(&ty, &text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        same(&read, &value);
    }

    #[test]
    fn a_layout_holds_its_parts(choices in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut sampler = Sampler::new(&choices);
        parts(&sampler.ty(5));
    }
}

/// Equality of what is printed: a NaN is itself, and zeros have signs.
fn same<T: std::fmt::Debug>(left: &T, right: &T) {
    assert_eq!(format!("{left:?}"), format!("{right:?}"));
}

fn parts(ty: &ValType) {
    let layout = Layout::of(ty);
    assert!(layout.align.is_power_of_two() && layout.align <= 8);
    assert!(layout.size > 0 && layout.size.is_multiple_of(layout.align), "{ty}");
    match ty {
        ValType::Record(fields) => {
            let types: Vec<&ValType> = fields.iter().map(|field| &field.ty).collect();
            let mut end = 0;
            for (ty, at) in types.iter().zip(offsets(types.iter().copied())) {
                let field = Layout::of(ty);
                assert!(at >= end && at.is_multiple_of(field.align) && at + field.size <= layout.size);
                assert!(at - end < field.align);
                end = at + field.size;
                parts(ty);
            }
            assert_eq!(flatten(ty).len(), types.iter().map(|ty| flatten(ty).len()).sum::<usize>());
        }
        ValType::Variant(_) | ValType::Option(_) | ValType::Result(_) => {
            let cases = Cases::of(ty).unwrap();
            for payload in ty.cases().unwrap().into_iter().flatten() {
                let inner = Layout::of(payload);
                assert!(
                    cases.payload.is_multiple_of(inner.align) && cases.payload + inner.size <= layout.size
                );
                assert!(flatten(payload).len() < flatten(ty).len());
                parts(payload);
            }
        }
        ValType::List(elem) | ValType::FixedList(elem, _) => parts(elem),
        _ => {}
    }
}

#[test]
fn what_realloc_gives_is_checked() {
    let ty = ValType::List(ValType::U32.into());
    let value = Value::List(vec![Value::U32(1); 3]);
    for (lie, want) in [
        (2, Trap::ReallocUnaligned { pointer: 2, align: 4 }),
        (u32::MAX - 3, Trap::ReallocOutOfBounds { pointer: 0xFFFF_FFFC, bytes: 12, memory: 64 }),
        (56, Trap::ReallocOutOfBounds { pointer: 56, bytes: 12, memory: 64 }),
    ] {
        let mut side = Bump::new(Encoding::Utf8, 64);
        side.lie = Some(lie);
        assert_eq!(run::lower_flat(&mut side, &ty, &value), Err(want));
    }
    let mut side = Bump::new(Encoding::Utf8, 64);
    side.lie = Some(65);
    let empty = Value::List(Vec::new());
    let bytes = ValType::List(ValType::U8.into());
    let outside = Trap::ReallocOutOfBounds { pointer: 65, bytes: 0, memory: 64 };
    assert_eq!(run::lower_flat(&mut side, &bytes, &empty), Err(outside), "checked for nothing too");
}

#[test]
fn limits_and_alignment_are_checked_before_bounds() {
    let list = ValType::List(ValType::U64.into());
    let mut side = Bump::new(Encoding::Utf16, 64);
    let limit = u64::from(abi::limits::MAX_LIST_BYTES);
    let long = |bytes| Err(Trap::ListTooLong { bytes, limit });
    assert_eq!(run::lift_flat(&mut side, &list, &[1, 1 << 25]), long(1 << 28));
    assert!(matches!(run::lift_flat(&mut side, &list, &[4, 1]), Err(Trap::UnalignedPointer { .. })));
    assert!(matches!(run::lift_flat(&mut side, &list, &[64, 1]), Err(Trap::ListOutOfBounds { .. })));
    assert_eq!(run::lift_flat(&mut side, &list, &[64, 0]), Ok(Value::List(Vec::new())));
    let string = |side: &mut Bump, pointer, units| run::lift_flat(side, &ValType::String, &[pointer, units]);
    assert!(matches!(string(&mut side, 0, 1 << 27), Err(Trap::StringTooLong { bytes: 0x1000_0000, .. })));
    assert!(matches!(string(&mut side, 0, 0xFFFF_FFFF), Err(Trap::StringTooLong { .. })));
    assert!(matches!(string(&mut side, 1, 1), Err(Trap::UnalignedPointer { align: 2, .. })));
    assert!(matches!(string(&mut side, 64, 1), Err(Trap::StringOutOfBounds { .. })));
    assert!(string(&mut side, 64, 0).is_ok());
}

#[test]
fn a_value_of_another_type_is_refused_by_name() {
    let mut side = Bump::new(Encoding::Utf8, 64);
    let wrong = run::lower_flat(&mut side, &ValType::U32, &Value::Bool(true)).unwrap_err();
    assert_eq!(wrong.to_string(), "expected a value of type `u32`, got bool");
}

#[test]
fn calls_are_read_by_their_type() {
    let ty = FuncType {
        params: [("a".into(), ValType::U8), ("b".into(), ValType::Option(ValType::String.into()))].into(),
        result: None,
        is_async: false,
    };
    let (name, args) = wave::split_call("ns:pkg/iface@1.2.3#[method]r.go (1, some(\"x(\"))").unwrap();
    assert_eq!(name, "ns:pkg/iface@1.2.3#[method]r.go");
    let args = wave::parse_args(&ty, args).unwrap();
    assert_eq!(wave::print(&ty.params[1].1, &args[1]), "some(\"x(\")");
    assert_eq!(wave::parse_args(&ty, "(1)").unwrap().len(), 2);
    for (bad, why) in [
        ("(300)", "invalid value"),
        ("()", "2 required"),
        ("(1, none, 2)", "more param"),
        ("(1", "end of input"),
    ] {
        let error = wave::parse_args(&ty, bad).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("func(a: u8, b: option<string>)"), "{error}");
    }
    assert!(wave::split_call("go").is_err() && wave::split_call("()").is_err());
}

#[test]
fn handles_are_written_but_not_read() {
    let ty = ValType::List(ValType::Own(ResourceType(3)).into());
    let own = Value::Own(abi::value::Resource { ty: ResourceType(3), rep: 9, generation: 0 });
    assert_eq!(wave::print(&ty, &Value::List(vec![own])), "[own(9)]");
    let error = wave::parse(&ty, "[own(9)]").unwrap_err().to_string();
    assert!(error.contains("a handle cannot be written as text"), "{error}");
}
