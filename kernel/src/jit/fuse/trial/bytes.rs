//! What is copied many bytes at a time arrives whole, wherever it begins and ends, and is refused wherever it is wrong.

use abi::fault::Trap;
use abi::side::Encoding;
use abi::types::{FuncType, ValType};

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
    for count in 0..11 {
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
fn what_is_between_fields_stays_where_it_is() {
    let record = ValType::Tuple([ValType::U8, ValType::U32, ValType::U16, ValType::F64, ValType::U64].into());
    let mut world = world(ValType::List(record.into()));
    grow(&mut world);
    let field = [true, false, false, false, true, true, true, true, true, true];
    let field: Vec<bool> = (0..32).map(|at| at >= 16 || field.get(at).copied().unwrap_or(false)).collect();
    for count in 0..11 {
        let bytes: Vec<u8> = (0..32 * count).map(|at| (at % 251) as u8).collect();
        let arrived = pass(&mut world, &bytes, count).unwrap();
        for (at, (sent, arrived)) in bytes.iter().zip(&arrived).enumerate() {
            assert_eq!(*arrived, if field[at % 32] { *sent } else { 0xEE }, "byte {at} of {count} records");
        }
    }
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
