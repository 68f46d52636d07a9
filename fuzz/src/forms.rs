//! Values in the forms that they have outside of memories: as text, as bytes between OS processes, as what a fuzzer varies.
//! What is written is read again as it was; what is damaged is read as a value of the type, or refused in words.

use abi::fault::{Fault, Trap};
use abi::handletext;
use abi::peek;
use abi::sample::Sampler;
use abi::types::{FuncType, ResourceType, ValType};
use abi::value::Value;
use abi::vary::chance::Chance;
use abi::vary::invent::{Inventor, plain};
use abi::vary::lexicon::Lexicon;
use abi::vary::mutate::mutate;
use abi::vary::satisfy::{Pair, satisfying};
use abi::vary::shrink::simpler;
use abi::wave;
use abi::wire::packing::pack;
use abi::wire::unpacking::unpack;
use abi::wire::{Cursor, Message, Piece};

use crate::stretch::stretched;

/// A shorter input is lengthened to this.
const INPUT_BYTES: usize = 512;
/// Changes that are made one after the other.
const CHANGES: u32 = 8;
/// The numbers of traps on the wire, and one that is none.
const TRAPS: u32 = 46;
/// What is read as the rest of a fault.
const FAULT_BYTES: usize = 160;
/// How often a value is made simpler, at most: each time there are many ways, and one is taken.
const SIMPLER: u32 = 16;

/// One function type, and values of it.
///
/// # Panics
/// If a value is not read as it was written, or is none of its type.
pub fn check(data: &[u8]) {
    let bytes = stretched(data, INPUT_BYTES);
    let mut sampler = Sampler::new(&bytes);
    let form = sampler.below(3);
    sampler.resources = match sampler.below(3) {
        0 => vec![ResourceType(3), ResourceType(4)],
        _ => Vec::new(),
    };
    let ty = sampler.func(4, 3);
    let args: Vec<Value> = ty.params.iter().map(|(_, ty)| sampler.value(ty)).collect();
    match form {
        0 => as_text(&ty, &args, &mut sampler),
        1 => as_bytes(&ty, &args, &mut sampler),
        _ => varied(&ty, &args, &mut sampler),
    }
}

fn as_text(ty: &FuncType, args: &[Value], sampler: &mut Sampler<'_>) {
    let written: Vec<String> =
        ty.params.iter().zip(args).map(|((_, ty), value)| wave::print(ty, value)).collect();
    let text = format!("({})", written.join(", "));
    let read = handletext::parse_args(ty, &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(format!("{read:?}"), format!("{args:?}"), "{text}");
    for ((_, ty), (value, text)) in ty.params.iter().zip(args.iter().zip(&written)) {
        match wave::parse(ty, text) {
            Ok(read) => assert_eq!(format!("{read:?}"), format!("{value:?}"), "{text}"),
            Err(error) => assert!(ty.has_handle(), "{error}\n{text}"),
        }
    }
    let chars = sampler.below(256) as usize;
    let shown = peek::given(ty, args, chars);
    // What stands for the rest, and the parentheses.
    assert!(shown.chars().count() <= chars + 3, "{chars}: {shown}");
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=sampler.below(3) {
        let at = (sampler.below(256) << 8 | sampler.below(256)) as usize % chars.len();
        const ODD: [char; 16] =
            ['(', ')', '[', ']', '{', '}', '"', '\'', '\\', ',', ':', '-', '0', 'u', '\u{10FFFF}', ' '];
        chars[at] = ODD[sampler.below(16) as usize];
    }
    let damaged: String = chars.into_iter().collect();
    match handletext::parse_args(ty, &damaged) {
        Ok(read) => assert!(are(ty, &read), "{damaged}: {read:?}"),
        Err(error) => assert!(error.to_string().len() > 8),
    }
    if let Err(error) = wave::split_call(&damaged) {
        assert!(error.to_string().len() > 8);
    }
}

fn as_bytes(ty: &FuncType, args: &[Value], sampler: &mut Sampler<'_>) {
    let types = || ty.params.iter().map(|(_, ty)| ty);
    let mut message = Message::new();
    pack(types(), args, &mut message).unwrap_or_else(|error| panic!("{error}\n{args:?}"));
    let read = unpack(types(), &message).unwrap_or_else(|error| panic!("{error}\n{args:?}"));
    assert_eq!(format!("{read:?}"), format!("{args:?}"));
    for _ in 0..=sampler.below(3) {
        let place = (sampler.below(256) << 8 | sampler.below(256)) as usize;
        match sampler.below(4) {
            0 => message.bytes.truncate(place % (message.bytes.len() + 1)),
            1 => drop(message.slots.pop()),
            2 => message.bytes.push(place as u8),
            _ => {
                let at = place % message.bytes.len().max(1);
                message.bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = sampler.below(256) as u8);
            }
        }
    }
    match unpack(types(), &message) {
        Ok(read) => assert!(are(ty, &read), "{read:?}"),
        Err(error) => assert!(error.to_string().len() > 8),
    }
    fault_as_bytes(sampler);
    // Values of another type are the sender's mistake, and said to be.
    let other = sampler.func(4, 2);
    let types = other.params.iter().map(|(_, ty)| ty);
    assert_eq!(pack(types, args, &mut Message::new()).is_ok(), are(&other, args), "{args:?} as {other}");
}

/// Whatever is read as a fault is written so that the same is read again.
fn fault_as_bytes(sampler: &mut Sampler<'_>) {
    // The trap's number, then numbers and lengths, most of them small.
    let mut bytes = vec![sampler.below(TRAPS) as u8];
    bytes.extend((0..FAULT_BYTES).map(|_| match sampler.below(8) {
        0 => sampler.below(256) as u8,
        1 => sampler.below(4) as u8,
        _ => 0,
    }));
    match Fault::take(&mut Cursor::new(&bytes)) {
        Ok(fault) => {
            let mut again = Vec::new();
            fault.put(&mut again);
            let mut cursor = Cursor::new(&again);
            assert_eq!(Fault::take(&mut cursor), Ok(fault.clone()));
            assert_eq!(cursor.finish(), Ok(()));
            // It can be printed; what a host function said may be nothing.
            assert!(!fault.to_string().is_empty() || fault.trap == Trap::Host(String::new()));
        }
        Err(error) => assert!(error.to_string().len() > 8),
    }
}

fn varied(ty: &FuncType, args: &[Value], sampler: &mut Sampler<'_>) {
    let mut chance = Chance::new(sampler.word());
    let mut lexicon = Lexicon::default();
    for _ in 0..4 {
        lexicon.learn_number(sampler.word(), &mut chance);
        lexicon.learn_text(&sampler.word().to_le_bytes(), &mut chance);
    }
    for ((_, ty), small) in ty.params.iter().zip(args) {
        assert!(plain(ty).is(ty), "{ty}");
        let mut value = small.clone();
        for _ in 0..CHANGES {
            mutate(ty, &mut value, &mut Inventor::new(&mut chance, &lexicon));
            assert!(value.is(ty), "{value:?} as {ty}");
        }
        let invented = Inventor::new(&mut chance, &lexicon).value(ty);
        assert!(invented.is(ty), "{invented:?} as {ty}");
        // Not of what was varied: that can be large, and has as many simpler ones.
        simplified(ty, small.clone(), &mut chance);
        satisfied(ty, small, sampler);
    }
}

fn satisfied(ty: &ValType, value: &Value, sampler: &mut Sampler<'_>) {
    let bits = if sampler.below(2) == 0 { 32 } else { 64 };
    let mask = u64::MAX >> (64 - bits);
    let (from, to) = (u64::from(sampler.below(8)), sampler.word() & mask);
    let texts = [sampler.below(256) as u8, b'a'];
    for pair in [Pair::Numbers { bits, from, to }, Pair::Texts { from: &texts[1..], to: &to.to_le_bytes() }] {
        for found in satisfying(ty, value, pair) {
            assert!(found.is(ty), "{found:?} as {ty}");
        }
    }
}

fn simplified(ty: &ValType, mut value: Value, chance: &mut Chance) {
    for _ in 0..SIMPLER {
        let found = simpler(ty, &value);
        assert!(found.iter().all(|found| found.is(ty)), "{value:?} as {ty}");
        assert!(!found.contains(&value), "{value:?} is no simpler than itself");
        let Some(next) = chance.pick(&found) else { return };
        value = next.clone();
    }
}

/// Whether these are arguments for such a function.
fn are(ty: &FuncType, values: &[Value]) -> bool {
    ty.params.len() == values.len() && ty.params.iter().zip(values).all(|((_, ty), value)| value.is(ty))
}
