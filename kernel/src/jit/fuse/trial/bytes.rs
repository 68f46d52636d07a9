//! What is copied many bytes at a time arrives whole, wherever it begins and ends, and is refused wherever it is wrong.

use abi::fault::Trap;
use abi::side::Encoding;
use abi::types::{FuncType, ResultType, ValType};

use super::rig::{World, memory_of};

const UTF8: [Encoding; 2] = [Encoding::Utf8; 2];
/// Where the caller has what it passes.
const AT: usize = 4096;

fn world(ty: ValType) -> World {
    World::new(&FuncType { params: [("p".into(), ty)].into(), result: None, is_async: false }, UTF8, false)
}

/// Passes `count` units in these bytes; gives what the callee has then.
fn pass(world: &mut World, bytes: &[u8], count: usize) -> Result<Vec<u8>, Trap> {
    memory_of(&mut world.domain, 1)[..AT].fill(0xEE);
    memory_of(&mut world.domain, 0)[AT..AT + bytes.len()].copy_from_slice(bytes);
    let (sent, received) = std::sync::mpsc::channel();
    let len = bytes.len();
    world.guests().ends = [8; 2];
    world.guests().core = Some(Box::new(move |domain, slots| {
        let at = slots[0] as usize;
        sent.send((memory_of(domain, 1)[at..at + len].to_vec(), slots[1])).unwrap();
        Ok(())
    }));
    world.call(&[AT as u64, count as u64]).map_err(|fault| fault.trap)?;
    let (bytes, arrived) = received.recv().unwrap();
    assert_eq!(arrived, count as u64);
    Ok(bytes)
}

#[test]
fn text_of_any_length_is_checked_and_copied() {
    let mut world = world(ValType::String);
    grow(&mut world);
    for len in (0..90).chain([127, 128, 129, 200]) {
        let ascii: Vec<u8> = (0..len).map(|at| b'!' + (at % 90) as u8).collect();
        assert_eq!(pass(&mut world, &ascii, len), Ok(ascii.clone()));
        for at in 0..len {
            let mut wrong = ascii.clone();
            wrong[at] = 0xFF;
            let trap = pass(&mut world, &wrong, len);
            assert!(matches!(trap, Err(Trap::InvalidUtf8)), "{len} bytes, {at}: {trap:?}");
            revive(&mut world);
            if at + 2 <= len {
                let mut wide = ascii.clone();
                wide[at..at + 2].copy_from_slice("é".as_bytes());
                assert_eq!(pass(&mut world, &wide, len), Ok(wide.clone()), "{len} bytes, {at}");
            }
        }
    }
}

#[test]
fn characters_are_checked_wherever_they_are() {
    let mut world = world(ValType::List(ValType::Char.into()));
    grow(&mut world);
    let good = [0, 0x41, 0xD7FF, 0xE000, 0x10_FFFF];
    for count in (0..11).chain([23, 24, 25, 28, 53]) {
        let chars: Vec<u32> = (0..count).map(|at| good[at % good.len()]).collect();
        let bytes = |chars: &[u32]| chars.iter().flat_map(|char| char.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(pass(&mut world, &bytes(&chars), count), Ok(bytes(&chars)));
        for at in 0..count {
            for bad in [0xD800, 0xDFFF, 0x11_0000, 0x8000_0000, u32::MAX] {
                let mut wrong = chars.clone();
                wrong[at] = bad;
                assert_eq!(pass(&mut world, &bytes(&wrong), count), Err(Trap::InvalidChar(bad)));
                revive(&mut world);
            }
        }
    }
}

#[test]
fn cases_without_payloads_are_checked_wherever_they_are() {
    let named = |count: usize| ValType::Enum((0..count).map(|n| format!("c{n}").into()).collect());
    let outcome = ValType::Result(ResultType { ok: None, err: None }.into());
    let record = ValType::Tuple([ValType::U8, named(3), ValType::Char, outcome, named(256)].into());
    let mut world = world(ValType::List(record.into()));
    grow(&mut world);
    let good = [0xFF, 2, 0xEE, 0xEE, 0xFF, 0xFF, 0x10, 0, 1, 0xFF, 0xEE, 0xEE];
    for count in [1, 3, 4, 5, 8, 9, 21] {
        let elems = good.repeat(count);
        assert_eq!(pass(&mut world, &elems, count), Ok(elems.clone()));
        for at in (0..count).map(|nth| nth * good.len()) {
            let mut with = |field: usize, bytes: &[u8]| {
                let mut wrong = elems.clone();
                wrong[at + field..at + field + bytes.len()].copy_from_slice(bytes);
                let passed = pass(&mut world, &wrong, count);
                revive(&mut world);
                passed
            };
            let invalid = |discriminant, cases| Err(Trap::InvalidDiscriminant { discriminant, cases });
            assert_eq!(with(1, &[3]), invalid(3, 3));
            assert_eq!(with(1, &[0xFF]), invalid(0xFF, 3));
            assert_eq!(with(8, &[2]), invalid(2, 2));
            assert_eq!(with(4, &[0, 0xD8, 0, 0]), Err(Trap::InvalidChar(0xD800)));
            // The first one that is wrong is the one that is told of.
            assert_eq!(with(1, &[4, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 9]), invalid(4, 3));
        }
    }
}

/// What becomes of each byte of a field.
#[derive(Clone, Copy)]
enum Becomes {
    /// It crosses.
    Itself,
    /// 0 or 1.
    Truth,
    /// The bits of these labels.
    Labels(u8),
    /// Nothing: what is there stays.
    Padding,
}

/// Passes lists of every length up to some rounds of elements whose bytes become these.
fn crosses(elem: ValType, fields: &[(Becomes, usize)]) {
    let name = elem.to_string();
    let mut world = world(ValType::List(elem.into()));
    grow(&mut world);
    let becomes: Vec<Becomes> = fields.iter().flat_map(|&(becomes, bytes)| vec![becomes; bytes]).collect();
    let size = becomes.len();
    for count in (0..23).chain([(130 / size).max(23), 200 / size + 23]) {
        let bytes: Vec<u8> =
            (0..size * count).map(|at| (at % 251) as u8 & if at % 3 == 0 { 0 } else { 0xFF }).collect();
        let arrived = pass(&mut world, &bytes, count).unwrap();
        for (at, (sent, arrived)) in bytes.iter().zip(&arrived).enumerate() {
            let want = match becomes[at % size] {
                Becomes::Itself => *sent,
                Becomes::Truth => u8::from(*sent != 0),
                Becomes::Labels(bits) => sent & bits,
                Becomes::Padding => 0xEE,
            };
            assert_eq!(*arrived, want, "byte {at} of {count} {name}");
        }
    }
}

#[test]
fn what_is_between_fields_stays_where_it_is() {
    use Becomes::{Itself, Padding};
    use ValType::{F64, U8, U16, U32, U64};
    let tuple = |types: &[ValType]| ValType::Tuple(types.into());
    let pair = tuple(&[U32, U16]);
    crosses(tuple(&[U8, U16]), &[(Itself, 1), (Padding, 1), (Itself, 2)]);
    crosses(pair.clone(), &[(Itself, 6), (Padding, 2)]);
    crosses(tuple(&[U32, U64, F64]), &[(Itself, 4), (Padding, 4), (Itself, 16)]);
    crosses(
        tuple(&[U8, U32, U16, F64, U64]),
        &[(Itself, 1), (Padding, 3), (Itself, 6), (Padding, 6), (Itself, 16)],
    );
    crosses(
        tuple(&[U8, pair.clone(), ValType::FixedList(pair.into(), 2)]),
        &[
            (Itself, 1),
            (Padding, 3),
            (Itself, 6),
            (Padding, 2),
            (Itself, 6),
            (Padding, 2),
            (Itself, 6),
            (Padding, 2),
        ],
    );
    let long = [(Itself, 1), (Padding, 1), (Itself, 2)].repeat(33);
    crosses(ValType::FixedList(tuple(&[U8, U16]).into(), 33), &long);
    let odd = [(Itself, 1), (Padding, 1), (Itself, 2)].repeat(9);
    crosses(ValType::FixedList(tuple(&[U8, U16]).into(), 9), &odd);
}

#[test]
fn truth_values_and_flags_arrive_as_they_are_written() {
    use Becomes::{Itself, Labels, Padding, Truth};
    let flags = |labels: usize| ValType::Flags((0..labels).map(|n| format!("l{n}").into()).collect());
    crosses(ValType::Bool, &[(Truth, 1)]);
    crosses(flags(5), &[(Labels(0x1F), 1)]);
    crosses(flags(11), &[(Itself, 1), (Labels(7), 1)]);
    crosses(flags(17), &[(Itself, 2), (Labels(1), 1), (Labels(0), 1)]);
    crosses(flags(31), &[(Itself, 3), (Labels(0x7F), 1)]);
    crosses(
        ValType::Tuple([ValType::U32, ValType::Bool, flags(3), ValType::U64, ValType::Bool].into()),
        &[(Itself, 4), (Truth, 1), (Labels(7), 1), (Padding, 2), (Itself, 8), (Truth, 1), (Padding, 7)],
    );
}

/// Both memories get room for what is passed.
fn grow(world: &mut World) {
    for process in [0, 1] {
        let memory = world.guests().memories[process].clone();
        let have = memory.memory.bytes() as u64;
        world.domain.memory_grow(&memory, 8192 - have).expect("the capacity is larger");
    }
}

/// A trap has ended both; they are needed again.
fn revive(world: &mut World) {
    [0, 1].into_iter().for_each(|process| world.domain.set_flags(process, 3));
}
