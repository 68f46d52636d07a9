//! Types and values made from bytes, for tests and fuzzers.
//!
//! The bytes are choices, read in order; when they end every choice is the first one, so a shorter input makes a
//! smaller type or value and every input ends.

use std::sync::Arc;

use crate::lift::{canonical32, canonical64, mask};
use crate::types::{Case, Field, FuncType, ResourceType, ResultType, ValType};
use crate::value::{Resource, Value};

/// A reader of choices.
#[derive(Clone, Debug)]
pub struct Sampler<'b> {
    choices: &'b [u8],
    /// Resource types that handles may have; none makes no handles.
    pub resources: Vec<ResourceType>,
}

/// The longest list, string or label list that is made.
const LENGTH: u32 = 6;

impl<'b> Sampler<'b> {
    /// Reads choices from `choices` and makes no handles.
    #[must_use]
    pub const fn new(choices: &'b [u8]) -> Sampler<'b> {
        Sampler { choices, resources: Vec::new() }
    }

    /// A number below `count`; 0 when the choices have ended.
    pub fn below(&mut self, count: u32) -> u32 {
        let (byte, rest) = self.choices.split_first().unwrap_or((&0, &[]));
        self.choices = rest;
        u32::from(*byte) % count.max(1)
    }

    /// Any number: eight choices, the highest first.
    pub fn word(&mut self) -> u64 {
        (0..8).fold(0, |bits, _| bits << 8 | u64::from(self.below(256)))
    }

    /// A function type with up to `params` parameters.
    pub fn func(&mut self, params: u32, depth: u32) -> FuncType {
        let params = (0..self.below(params + 1)).map(|i| (format!("p{i}").into(), self.ty(depth))).collect();
        // Results hold no borrows.
        let resources = self.resources.clone();
        let result = (self.below(4) > 0).then(|| {
            loop {
                let ty = self.ty(depth);
                if !ty.has_borrow() {
                    break ty;
                }
                self.resources.clear();
            }
        });
        self.resources = resources;
        FuncType { params, result, is_async: false }
    }

    /// A type nested at most `depth` deep.
    pub fn ty(&mut self, depth: u32) -> ValType {
        if depth == 0 {
            return self.scalar();
        }
        let depth = depth - 1;
        match self.below(16) {
            0..=3 => self.scalar(),
            4 => ValType::List(Arc::new(ValType::U8)),
            5 | 6 => ValType::List(Arc::new(self.ty(depth))),
            7 => ValType::FixedList(Arc::new(self.ty(depth)), 1 + self.below(LENGTH)),
            8 => ValType::Map(Arc::new((self.key(), self.ty(depth)))),
            9 | 10 => {
                let fields = self.labels(LENGTH).into_iter().map(|name| Field { name, ty: self.ty(depth) });
                ValType::Record(fields.collect())
            }
            11 => ValType::Tuple((0..=self.below(LENGTH)).map(|_| self.ty(depth)).collect()),
            12 | 13 => {
                let cases =
                    self.labels(LENGTH).into_iter().map(|name| Case { name, ty: self.payload(depth) });
                ValType::Variant(cases.collect())
            }
            14 => ValType::Option(Arc::new(self.ty(depth))),
            _ => ValType::Result(Arc::new(ResultType { ok: self.payload(depth), err: self.payload(depth) })),
        }
    }

    /// A value of this type. A representation is made for each handle; streams, futures and error contexts are not made.
    pub fn value(&mut self, ty: &ValType) -> Value {
        match ty {
            ValType::Bool => Value::Bool(self.below(2) == 1),
            ValType::S8 => Value::S8(self.bits() as i8),
            ValType::U8 => Value::U8(self.bits() as u8),
            ValType::S16 => Value::S16(self.bits() as i16),
            ValType::U16 => Value::U16(self.bits() as u16),
            ValType::S32 => Value::S32(self.bits() as i32),
            ValType::U32 => Value::U32(self.bits() as u32),
            ValType::S64 => Value::S64(self.bits() as i64),
            ValType::U64 => Value::U64(self.bits()),
            ValType::F32 => Value::F32(canonical32(f32::from_bits(self.bits() as u32))),
            ValType::F64 => Value::F64(canonical64(f64::from_bits(self.bits()))),
            ValType::Char => Value::Char(self.character()),
            ValType::String => Value::String(
                (0..self.below(4 * LENGTH)).map(|_| self.character()).collect::<String>().into(),
            ),
            ValType::List(elem) => Value::List((0..self.below(LENGTH)).map(|_| self.value(elem)).collect()),
            ValType::FixedList(elem, count) => Value::List((0..*count).map(|_| self.value(elem)).collect()),
            ValType::Map(entry) => {
                let entries = (0..self.below(LENGTH)).map(|_| (self.value(&entry.0), self.value(&entry.1)));
                Value::Map(entries.collect())
            }
            ValType::Record(fields) => {
                Value::Record(fields.iter().map(|field| self.value(&field.ty)).collect())
            }
            ValType::Tuple(types) => Value::Tuple(types.iter().map(|ty| self.value(ty)).collect()),
            ValType::Variant(cases) => {
                let case = self.wide(cases.len());
                let payload = cases.get(case as usize).and_then(|case| case.ty.as_ref());
                Value::Variant(case, payload.map(|ty| Box::new(self.value(ty))))
            }
            ValType::Enum(labels) => Value::Enum(self.wide(labels.len())),
            ValType::Option(some) => Value::Option((self.below(2) == 1).then(|| Box::new(self.value(some)))),
            ValType::Result(result) => {
                let is_ok = self.below(2) == 0;
                let ty = if is_ok { &result.ok } else { &result.err };
                let payload = ty.as_ref().map(|ty| Box::new(self.value(ty)));
                Value::Result(if is_ok { Ok(payload) } else { Err(payload) })
            }
            ValType::Flags(labels) => Value::Flags(self.bits() as u32 & mask(labels.len())),
            ValType::Borrow(ty) => {
                Value::Borrow(Resource { ty: *ty, rep: self.bits() as u32, generation: 0 })
            }
            ValType::Own(ty) => Value::Own(Resource { ty: *ty, rep: self.bits() as u32, generation: 0 }),
            ValType::Stream(_) | ValType::Future(_) | ValType::ErrorContext => Value::Tuple(Vec::new()),
        }
    }

    fn scalar(&mut self) -> ValType {
        let handles = if self.resources.is_empty() { 0 } else { 2 };
        match self.below(16 + handles) {
            0 => ValType::U8,
            1 => ValType::Bool,
            2 => ValType::S8,
            3 => ValType::S16,
            4 => ValType::U16,
            5 => ValType::S32,
            6 => ValType::U32,
            7 => ValType::S64,
            8 => ValType::U64,
            9 => ValType::F32,
            10 => ValType::F64,
            11 => ValType::Char,
            12 | 13 => ValType::String,
            14 => ValType::Flags(self.labels(32).into()),
            15 => {
                let few = self.below(4) > 0;
                let labels = if few { self.labels(LENGTH) } else { (0..300).map(label).collect() };
                ValType::Enum(labels.into())
            }
            16 => ValType::Own(self.resource()),
            _ => ValType::Borrow(self.resource()),
        }
    }

    fn resource(&mut self) -> ResourceType {
        let at = self.below(self.resources.len() as u32) as usize;
        self.resources[at]
    }

    fn key(&mut self) -> ValType {
        [ValType::U8, ValType::Bool, ValType::S64, ValType::Char, ValType::String][self.below(5) as usize]
            .clone()
    }

    fn payload(&mut self, depth: u32) -> Option<ValType> {
        (self.below(3) > 0).then(|| self.ty(depth))
    }

    fn labels(&mut self, most: u32) -> Vec<Box<str>> {
        (0..=self.below(most)).map(label).collect()
    }

    /// A number below `count`, which can be more than a byte tells.
    fn wide(&mut self, count: usize) -> u32 {
        let choice = self.below(256) << 8 | self.below(256);
        choice.rotate_right(8) as u16 as u32 % u32::try_from(count.max(1)).unwrap_or(u32::MAX)
    }

    /// Small numbers, numbers at the edges, and any numbers.
    fn bits(&mut self) -> u64 {
        match self.below(4) {
            0 => u64::from(self.below(4)),
            1 => u64::from(self.below(4)).wrapping_neg(),
            2 => 1_u64 << self.below(64),
            _ => self.word(),
        }
    }

    fn character(&mut self) -> char {
        const EDGES: [char; 8] =
            ['\0', '\u{7F}', '\u{80}', '\u{FF}', '\u{100}', '\u{D7FF}', '\u{E000}', '\u{10_FFFF}'];
        match self.below(4) {
            0 | 1 => char::from(b'a' + self.below(26) as u8),
            2 => char::from(self.below(256) as u8),
            _ => EDGES[self.below(8) as usize],
        }
    }
}

fn label(i: u32) -> Box<str> {
    format!("l{i}").into()
}
