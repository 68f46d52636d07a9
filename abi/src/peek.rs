//! A look at what crosses an edge: values as text, and nothing is taken.
//!
//! Whoever traces calls reads what a guest passes while that is still the guest's: handles are looked up and stay,
//! nothing is allocated in its memory, and no more is read of a long value than its text shows. A pointer is an
//! allegation here as everywhere; a value that cannot be read is [`INVALID`].

use std::fmt::{self, Write};

use crate::flat;
use crate::layout::offsets;
use crate::lift::Lift;
use crate::plan::Passing;
use crate::side::Side;
use crate::types::{FuncType, ValType};
use crate::value::Value;
use crate::wave;

/// Stands for a value that the guest said is somewhere, and is not, or is no value of its type.
pub const INVALID: &str = "«invalid»";
/// Stands for the rest of a text that was cut.
pub const CUT: char = '…';

/// The arguments of a call as its caller passes them: `("k1", 3)`, cut after `chars` characters.
///
/// `core` holds the core parameters of [`Passing::lowered`].
#[must_use]
pub fn params(side: &mut dyn Side, ty: &FuncType, passing: &Passing, core: &[u64], chars: usize) -> String {
    let types: Vec<&ValType> = ty.params.iter().map(|(_, ty)| ty).collect();
    let values = look(side, &types, passing, core, chars);
    arguments(types.into_iter().zip(values), chars)
}

/// The result of a call as its caller gets it, if the function has one.
///
/// `core` holds the core results, or the pointer to where the result is in the caller's memory.
#[must_use]
pub fn result(
    side: &mut dyn Side,
    ty: &FuncType,
    passing: &Passing,
    core: &[u64],
    chars: usize,
) -> Option<String> {
    let ty = ty.result.as_ref()?;
    let value = look(side, &[ty], passing, core, chars).pop().flatten();
    Some(one(ty, value.as_ref(), chars))
}

/// Arguments that are values already, as [`params`] shows them.
#[must_use]
pub fn given(ty: &FuncType, values: &[Value], chars: usize) -> String {
    let clipped = values.iter().map(|value| Some(clip(value, &mut values_for(chars))));
    arguments(ty.params.iter().map(|(_, ty)| ty).zip(clipped), chars)
}

/// A result that is a value already, as [`result`] shows it.
#[must_use]
pub fn returned(ty: &FuncType, value: Option<&Value>, chars: usize) -> Option<String> {
    let value = value.map(|value| clip(value, &mut values_for(chars)));
    Some(one(ty.result.as_ref()?, value.as_ref(), chars))
}

fn look(
    side: &mut dyn Side,
    types: &[&ValType],
    passing: &Passing,
    core: &[u64],
    chars: usize,
) -> Vec<Option<Value>> {
    match passing {
        Passing::Flat(_) => {
            let mut at = 0;
            let value = |ty: &&ValType| {
                let value = Lift::peeking(side, values_for(chars)).flat(ty, core, &mut at.clone()).ok();
                at += flat::flatten(ty).len();
                value
            };
            types.iter().map(value).collect()
        }
        Passing::Memory(layout) => {
            let pointer = core.first().map(|pointer| *pointer as u32);
            let pointer = pointer.filter(|pointer| side.check("values", *pointer, *layout).is_ok());
            let value = |(ty, offset): (&&ValType, u32)| {
                Lift::peeking(side, values_for(chars)).load(ty, pointer?.checked_add(offset)?).ok()
            };
            types.iter().zip(offsets(types.iter().copied())).map(value).collect()
        }
    }
}

fn arguments<'t>(values: impl Iterator<Item = (&'t ValType, Option<Value>)>, chars: usize) -> String {
    let mut text = Cut::new(chars);
    // What does not fit any more is not written: that is what `Err` says here.
    let write = || {
        text.write_char('(')?;
        for (index, (ty, value)) in values.enumerate() {
            text.write_str(if index == 0 { "" } else { ", " })?;
            put(&mut text, ty, value.as_ref())?;
        }
        text.write_char(')')
    };
    let _ = write();
    text.text
}

fn one(ty: &ValType, value: Option<&Value>, chars: usize) -> String {
    let mut text = Cut::new(chars);
    let _ = put(&mut text, ty, value);
    text.text
}

fn put(text: &mut Cut, ty: &ValType, value: Option<&Value>) -> fmt::Result {
    match value {
        // The usual ones, as they are written in WAVE, without what a general writer has to do.
        Some(Value::Bool(value)) => write!(text, "{value}"),
        Some(Value::U8(value)) => write!(text, "{value}"),
        Some(Value::U16(value)) => write!(text, "{value}"),
        Some(Value::U32(value)) => write!(text, "{value}"),
        Some(Value::U64(value)) => write!(text, "{value}"),
        Some(Value::S8(value)) => write!(text, "{value}"),
        Some(Value::S16(value)) => write!(text, "{value}"),
        Some(Value::S32(value)) => write!(text, "{value}"),
        Some(Value::S64(value)) => write!(text, "{value}"),
        Some(value) => text.write_str(&wave::print_part(ty, value)),
        None => text.write_str(INVALID),
    }
}

/// A text, cut after `chars` characters.
#[must_use]
pub fn cut(text: &str, chars: usize) -> String {
    let mut short = Cut::new(chars);
    let _ = short.write_str(text);
    short.text
}

/// The part of a value that `left` characters of text can show.
fn clip(value: &Value, left: &mut usize) -> Value {
    *left = left.saturating_sub(1);
    let mut boxed =
        |payload: &Option<Box<Value>>| payload.as_ref().map(|payload| Box::new(clip(payload, left)));
    match value {
        Value::Variant(case, payload) => Value::Variant(*case, boxed(payload)),
        Value::Option(payload) => Value::Option(boxed(payload)),
        Value::Result(Ok(payload)) => Value::Result(Ok(boxed(payload))),
        Value::Result(Err(payload)) => Value::Result(Err(boxed(payload))),
        Value::String(text) => Value::String(text.chars().take(*left + 1).collect()),
        Value::List(elems) => Value::List(elems.iter().take(*left).map(|elem| clip(elem, left)).collect()),
        Value::Map(entries) => {
            let most = *left;
            let entry = |(key, value): &(Value, Value)| (clip(key, left), clip(value, left));
            Value::Map(entries.iter().take(most).map(entry).collect())
        }
        Value::Record(fields) => Value::Record(fields.iter().map(|field| clip(field, left)).collect()),
        Value::Tuple(elems) => Value::Tuple(elems.iter().map(|elem| clip(elem, left)).collect()),
        scalar => scalar.clone(),
    }
}

/// How many values, and characters of strings, at most are in a text of so many characters: more than one for each, as
/// some are not written, such as `none` in a record.
fn values_for(chars: usize) -> usize {
    chars.saturating_mul(2).saturating_add(16)
}

/// Text that ends when it is long enough.
struct Cut {
    text: String,
    left: usize,
}

impl Cut {
    fn new(chars: usize) -> Cut {
        Cut { text: String::new(), left: chars }
    }
}

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for next in text.chars() {
            if self.left == 0 {
                self.text.push(CUT);
                return Err(fmt::Error);
            }
            self.left -= 1;
            self.text.push(next);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Side, given, params, result, returned};
    use crate::fault::Trap;
    use crate::plan::Passing;
    use crate::side::Encoding;
    use crate::types::{FuncType, ResourceType, ValType};
    use crate::value::Value;

    /// A memory, and one handle: 7, which stays where it is.
    struct Memory(Vec<u8>);

    impl Side for Memory {
        fn encoding(&self) -> Encoding {
            Encoding::Utf8
        }
        fn memory(&self) -> &[u8] {
            &self.0
        }
        fn memory_mut(&mut self) -> &mut [u8] {
            panic!("a look writes nothing")
        }
        fn realloc(&mut self, _: u32, _: u32, _: u32, _: u32) -> Result<u32, Trap> {
            panic!("a look allocates nothing")
        }
        fn lift_own(&mut self, _: ResourceType, index: u32) -> Result<u32, Trap> {
            if index == 7 { Ok(70) } else { Err(Trap::UnknownHandle(index)) }
        }
        fn lift_borrow(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
            self.lift_own(ty, index)
        }
        fn lower_own(&mut self, _: ResourceType, _: u32) -> Result<u32, Trap> {
            panic!("a look gives nothing")
        }
        fn lower_borrow(&mut self, _: ResourceType, _: u32) -> Result<u32, Trap> {
            panic!("a look gives nothing")
        }
    }

    fn func(params: &[ValType], result: Option<ValType>) -> FuncType {
        let params = params.iter().map(|ty| ("p".into(), ty.clone())).collect();
        FuncType { params, result, is_async: false }
    }

    fn shown(memory: &[u8], types: &[ValType], core: &[u64], chars: usize) -> String {
        let ty = func(types, None);
        params(&mut Memory(memory.to_vec()), &ty, &Passing::params(&ty), core, chars)
    }

    #[test]
    fn arguments_are_shown_as_wave() {
        let list = ValType::List(Arc::new(ValType::U8));
        let types = [ValType::String, ValType::U32, list, ValType::Own(ResourceType(0))];
        let text = shown(b"k1\x01\x02\x03", &types, &[0, 2, 9, 2, 3, 7], 100);
        assert_eq!(text, r#"("k1", 9, [1, 2, 3], own(70))"#);
        assert_eq!(shown(b"", &[], &[], 100), "()");
    }

    #[test]
    fn what_cannot_be_read_is_invalid_and_the_rest_is_shown() {
        let types = [ValType::String, ValType::U32, ValType::Own(ResourceType(0)), ValType::Char];
        let text = shown(b"k1", &types, &[1, 2, 9, 8, 0xD800], 100);
        assert_eq!(text, "(«invalid», 9, «invalid», «invalid»)");
        // More than fits into registers: a pointer to all of them, which leads outside.
        let many = vec![ValType::U32; 17];
        let text = shown(&[0; 16], &many, &[4], 100);
        assert!(text.starts_with("(«invalid», «invalid»"), "{text}");
        assert_eq!(shown(b"ab\xff", &[ValType::String], &[0, 3], 100), "(«invalid»)");
    }

    #[test]
    fn long_texts_are_cut_and_what_is_behind_them_is_not_read() {
        let text = "ä".repeat(1000);
        assert_eq!(shown(text.as_bytes(), &[ValType::String], &[0, 2000], 5), "(\"äää…");
        // A list of lists, all of which are the list itself: as values it would never end.
        let mut memory = Vec::new();
        (0..64).for_each(|_| memory.extend([0, 0, 0, 0, 64, 0, 0, 0]));
        let ty = (0..20).fold(ValType::U8, |ty, _| ValType::List(Arc::new(ty)));
        let text = shown(&memory, &[ty], &[0, 64], 60);
        assert_eq!((text.chars().count(), text.ends_with('…')), (61, true));
        let fixed = ValType::FixedList(Arc::new(ValType::U64), 1 << 20);
        let pair = func(&[], Some(ValType::List(Arc::new(fixed))));
        let passing = Passing::results(&pair);
        let mut memory = Memory([vec![8, 0, 0, 0, 1, 0, 0, 0], vec![0; 8 << 20]].concat());
        let text = result(&mut memory, &pair, &passing, &[0], 10).unwrap();
        assert_eq!(text, "[[0, 0, 0,…");
    }

    #[test]
    fn numbers_are_written_as_wave_has_them() {
        let numbers = [
            (ValType::Bool, Value::Bool(true)),
            (ValType::U8, Value::U8(255)),
            (ValType::U16, Value::U16(65_535)),
            (ValType::U32, Value::U32(u32::MAX)),
            (ValType::U64, Value::U64(u64::MAX)),
            (ValType::S8, Value::S8(-128)),
            (ValType::S16, Value::S16(-1)),
            (ValType::S32, Value::S32(i32::MIN)),
            (ValType::S64, Value::S64(i64::MIN)),
        ];
        for (ty, value) in numbers {
            let shown = returned(&func(&[], Some(ty.clone())), Some(&value), 100);
            assert_eq!(shown, Some(crate::wave::print(&ty, &value)));
        }
    }

    #[test]
    fn values_are_shown_as_what_was_lifted_of_them() {
        let list = ValType::List(Arc::new(ValType::String));
        let ty = func(std::slice::from_ref(&list), Some(list.clone()));
        let value = Value::List((0..1000).map(|n| Value::String(n.to_string().into())).collect());
        assert_eq!(given(&ty, std::slice::from_ref(&value), 15), "([\"0\", \"1\", \"2\"…");
        assert_eq!(
            returned(&ty, Some(&value), 100_000).unwrap(),
            crate::wave::print(&ty.result.clone().unwrap(), &value)
        );
    }
}
