//! Values of a type, biased to edges: empty and huge lists, the ends of integers, NaN and infinities, the neighbours of
//! surrogates, all flags, the last case.

use super::chance::Chance;
use super::lexicon::Lexicon;
use crate::lift::{canonical32, canonical64, mask};
use crate::types::ValType;
use crate::value::{Resource, Value};

/// The parts that one value has at most, about.
const PARTS: usize = 4096;
/// Characters at which encodings change their length or their mind.
const CHARS: [char; 14] = [
    '\0',
    '\n',
    ' ',
    '"',
    '\\',
    '\u{7F}',
    '\u{80}',
    '\u{FF}',
    '\u{7FF}',
    '\u{800}',
    '\u{D7FF}',
    '\u{E000}',
    '\u{FFFF}',
    '\u{10_FFFF}',
];
const F64S: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    f64::EPSILON,
    9_007_199_254_740_993.0,
    1e300,
    2_147_483_648.0,
];

/// The plainest value of a type: zeros, nothing, first cases, `ok`.
#[must_use]
pub fn plain(ty: &ValType) -> Value {
    let boxed = |ty: &Option<ValType>| ty.as_ref().map(|ty| Box::new(plain(ty)));
    match ty {
        ValType::Bool => Value::Bool(false),
        ValType::S8 => Value::S8(0),
        ValType::U8 => Value::U8(0),
        ValType::S16 => Value::S16(0),
        ValType::U16 => Value::U16(0),
        ValType::S32 => Value::S32(0),
        ValType::U32 => Value::U32(0),
        ValType::S64 => Value::S64(0),
        ValType::U64 => Value::U64(0),
        ValType::F32 => Value::F32(0.0),
        ValType::F64 => Value::F64(0.0),
        ValType::Char => Value::Char('a'),
        ValType::String => Value::String("".into()),
        ValType::List(_) => Value::List(Vec::new()),
        ValType::FixedList(elem, count) => Value::List(vec![plain(elem); *count as usize]),
        ValType::Map(_) => Value::Map(Vec::new()),
        ValType::Record(fields) => Value::Record(fields.iter().map(|field| plain(&field.ty)).collect()),
        ValType::Tuple(types) => Value::Tuple(types.iter().map(plain).collect()),
        ValType::Variant(cases) => Value::Variant(0, cases.first().and_then(|case| boxed(&case.ty))),
        ValType::Enum(_) => Value::Enum(0),
        ValType::Option(_) => Value::Option(None),
        ValType::Result(result) => Value::Result(Ok(boxed(&result.ok))),
        ValType::Flags(_) => Value::Flags(0),
        ValType::Own(ty) => Value::Own(Resource { ty: *ty, rep: 0, generation: 0 }),
        ValType::Borrow(ty) => Value::Borrow(Resource { ty: *ty, rep: 0, generation: 0 }),
        ValType::Stream(_) | ValType::Future(_) | ValType::ErrorContext => Value::Tuple(Vec::new()),
    }
}

/// Makes values.
pub struct Inventor<'c> {
    /// Where the choices come from.
    pub chance: &'c mut Chance,
    /// What is known to be of interest.
    pub lexicon: &'c Lexicon,
    parts: usize,
}

impl<'c> Inventor<'c> {
    /// Makes values by these choices.
    pub fn new(chance: &'c mut Chance, lexicon: &'c Lexicon) -> Inventor<'c> {
        Inventor { chance, lexicon, parts: PARTS }
    }

    /// A value of this type. Streams, futures and error contexts are not made.
    pub fn value(&mut self, ty: &ValType) -> Value {
        self.parts = self.parts.saturating_sub(1);
        match ty {
            ValType::Bool => Value::Bool(self.chance.one_in(2)),
            ValType::S8 => Value::S8(self.bits() as i8),
            ValType::U8 => Value::U8(self.bits() as u8),
            ValType::S16 => Value::S16(self.bits() as i16),
            ValType::U16 => Value::U16(self.bits() as u16),
            ValType::S32 => Value::S32(self.bits() as i32),
            ValType::U32 => Value::U32(self.bits() as u32),
            ValType::S64 => Value::S64(self.bits() as i64),
            ValType::U64 => Value::U64(self.bits()),
            ValType::F32 => Value::F32(canonical32(self.float() as f32)),
            ValType::F64 => Value::F64(canonical64(self.float())),
            ValType::Char => Value::Char(self.character()),
            ValType::String => Value::String(self.text().into()),
            ValType::List(elem) => Value::List(self.list(elem)),
            ValType::FixedList(elem, count) => Value::List((0..*count).map(|_| self.value(elem)).collect()),
            ValType::Map(entry) => {
                let count = self.length();
                Value::Map((0..count).map(|_| (self.value(&entry.0), self.value(&entry.1))).collect())
            }
            ValType::Record(fields) => {
                Value::Record(fields.iter().map(|field| self.value(&field.ty)).collect())
            }
            ValType::Tuple(types) => Value::Tuple(types.iter().map(|ty| self.value(ty)).collect()),
            ValType::Variant(cases) => {
                let case = self.case(cases.len());
                let payload = cases.get(case as usize).and_then(|case| case.ty.as_ref());
                Value::Variant(case, payload.map(|ty| Box::new(self.value(ty))))
            }
            ValType::Enum(labels) => Value::Enum(self.case(labels.len())),
            ValType::Option(some) => {
                let is_some = self.parts > 0 && !self.chance.one_in(3);
                Value::Option(is_some.then(|| Box::new(self.value(some))))
            }
            ValType::Result(result) => {
                let is_ok = !self.chance.one_in(3);
                let ty = if is_ok { &result.ok } else { &result.err };
                let payload = ty.as_ref().map(|ty| Box::new(self.value(ty)));
                Value::Result(if is_ok { Ok(payload) } else { Err(payload) })
            }
            ValType::Flags(labels) => Value::Flags(self.flags(labels.len())),
            ValType::Borrow(ty) => {
                Value::Borrow(Resource { ty: *ty, rep: self.chance.below(8) as u32, generation: 0 })
            }
            ValType::Own(ty) => {
                Value::Own(Resource { ty: *ty, rep: self.chance.below(8) as u32, generation: 0 })
            }
            ValType::Stream(_) | ValType::Future(_) | ValType::ErrorContext => Value::Tuple(Vec::new()),
        }
    }

    fn list(&mut self, elem: &ValType) -> Vec<Value> {
        if *elem == ValType::U8
            && self.chance.one_in(3)
            && let Some(bytes) = self.lexicon.bytes(self.chance)
        {
            return bytes.iter().map(|byte| Value::U8(*byte)).collect();
        }
        let count = self.length();
        if count > 0 && self.chance.one_in(4) {
            return vec![self.value(elem); count];
        }
        (0..count).map(|_| self.value(elem)).collect()
    }

    /// A length: mostly a few, often none, now and then one beside a power of two.
    pub fn length(&mut self) -> usize {
        let length = match self.chance.below(16) {
            0..=2 => 0,
            3..=5 => 1,
            6..=12 => 2 + self.chance.below(5),
            13 | 14 => (1 << self.chance.below(7)) + self.chance.below(3),
            _ if self.chance.one_in(8) => (1 << self.chance.below(13)) + self.chance.below(3),
            _ => self.lexicon.number(self.chance).map_or(8, |number| (number % 300) as usize),
        };
        let length = length.saturating_sub(usize::from(length > 8)).min(self.parts);
        self.parts -= length;
        length
    }

    /// Small numbers, numbers at the edges of some width, numbers of interest, any numbers.
    pub fn bits(&mut self) -> u64 {
        match self.chance.below(12) {
            0..=3 => self.chance.below(10) as u64,
            4 => (self.chance.below(10) as u64).wrapping_neg(),
            5 | 6 => {
                let near = self.chance.below(3) as u64;
                (1_u64 << self.chance.below(64)).wrapping_add(near).wrapping_sub(1)
            }
            7 => (1_u64 << self.chance.below(64)).wrapping_neg(),
            8 => self.chance.below(300) as u64,
            9 | 10 => match self.lexicon.number(self.chance) {
                Some(number) => number,
                None => self.chance.bits(),
            },
            _ => self.chance.bits(),
        }
    }

    /// Any float, special ones often.
    pub fn float(&mut self) -> f64 {
        match self.chance.below(8) {
            0..=3 => F64S[self.chance.below(F64S.len())],
            4 => self.chance.below(100) as f64,
            5 => self.chance.below(2000) as f64 / 16.0 - 60.0,
            6 => self.bits().cast_signed() as f64,
            _ => f64::from_bits(self.bits()),
        }
    }

    /// A character: letters, or one at an edge.
    pub fn character(&mut self) -> char {
        match self.chance.below(8) {
            0..=3 => char::from(b'a' + self.chance.below(26) as u8),
            4 | 5 => char::from(b' ' + self.chance.below(95) as u8),
            6 => CHARS[self.chance.below(CHARS.len())],
            _ => char::from_u32(self.chance.below(0x11_0000) as u32).unwrap_or('\u{FFFD}'),
        }
    }

    fn text(&mut self) -> String {
        if self.chance.one_in(4)
            && let Some(text) = self.lexicon.text(self.chance)
        {
            return text.to_owned();
        }
        let count = self.length();
        if count > 0 && self.chance.one_in(6) {
            return std::iter::repeat_n(self.character(), count).collect();
        }
        (0..count).map(|_| self.character()).collect()
    }

    /// A case: the last one more often than others.
    pub fn case(&mut self, count: usize) -> u32 {
        let case = if self.chance.one_in(8) { count.saturating_sub(1) } else { self.chance.below(count) };
        case as u32
    }

    fn flags(&mut self, count: usize) -> u32 {
        let bits = match self.chance.below(4) {
            0 => 0,
            1 => u32::MAX,
            2 => 1 << self.chance.below(count.clamp(1, 32)),
            _ => self.chance.bits() as u32,
        };
        bits & mask(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mutate::mutate;
    use super::super::shrink::simpler;
    use super::{Chance, Inventor, Lexicon};
    use crate::sample::Sampler;

    #[test]
    fn values_are_of_their_types_and_stay_so_when_changed() {
        for seed in 0..100 {
            let mut chance = Chance::new(seed);
            let choices: Vec<u8> = (0..40).map(|_| chance.bits() as u8).collect();
            let ty = Sampler::new(&choices).ty(4);
            let lexicon = Lexicon::default();
            let mut value = Inventor::new(&mut chance, &lexicon).value(&ty);
            assert!(value.is(&ty), "{ty}: {value:?}");
            for _ in 0..20 {
                mutate(&ty, &mut value, &mut Inventor::new(&mut chance, &lexicon));
                assert!(value.is(&ty), "{ty}: {value:?}");
            }
            for simpler in simpler(&ty, &value).into_iter().take(20) {
                assert!(simpler.is(&ty), "{ty}: {simpler:?}");
                assert_ne!(simpler, value, "{ty}");
            }
        }
    }

    #[test]
    fn the_same_seed_makes_the_same() {
        let make = |seed| {
            let mut chance = Chance::new(seed);
            let ty = Sampler::new(&[9, 2, 3, 5, 6, 7, 1]).ty(3);
            format!("{:?}", Inventor::new(&mut chance, &Lexicon::default()).value(&ty))
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
