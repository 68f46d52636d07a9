//! Values from one side of a call to the other, type by type: lifting and lowering in one pass
//! (CanonicalABI.md, "Flat Lifting", "Loading", "Flat Lowering", "Storing").

use std::collections::HashMap;

use abi::flat;
use abi::layout::{Cases, Layout, offsets};
use abi::plan::Endpoint;
use abi::side::Encoding;
use abi::types::ValType;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Type, Value, types};
use cranelift_frontend::Switch;

use super::emit::{Emit, clif_type};
use super::part::Part;
use super::reason::Reason;
use super::region::Region;
use crate::limits::{ADAPTER_INLINE_NODES, ADAPTER_UNROLLED_ELEMENTS};

/// A direction: whose values are lifted, and into whom they are lowered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    pub from: Endpoint,
    pub to: Endpoint,
}

impl Lane {
    /// Whether strings are UTF-8 on both sides.
    fn stays_utf8(&self) -> bool {
        (self.from.encoding, self.to.encoding) == (Encoding::Utf8, Encoding::Utf8)
    }
}

/// Where a value is lifted from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'v> {
    /// Core values; those of a variant's payload can be wider than its type says (`join`).
    Flat(&'v [Value]),
    /// Memory.
    Memory(Region),
}

/// Where a value is lowered to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// Core values, which are given back.
    Flat,
    /// Memory.
    Memory(Region),
}

impl Emit<'_> {
    /// Copies a value. Gives the core values of its type where the target is flat.
    pub fn copy(&mut self, lane: &Lane, ty: &ValType, source: Source<'_>, target: Target) -> Vec<Value> {
        if let (Source::Memory(from), Target::Memory(to)) = (source, target) {
            if all_bits(ty) {
                self.copy_region(from, to);
                return Vec::new();
            }
            if nodes(ty, ADAPTER_INLINE_NODES) > ADAPTER_INLINE_NODES {
                let args = [self.region_address(from), self.region_address(to)];
                self.call_part(Part::Copy(lane.clone(), ty.clone()), &args);
                return Vec::new();
            }
        }
        self.copy_inline(lane, ty, source, target)
    }

    /// The same, without a part of its own for it.
    pub fn copy_inline(
        &mut self,
        lane: &Lane,
        ty: &ValType,
        source: Source<'_>,
        target: Target,
    ) -> Vec<Value> {
        match ty {
            ValType::String => {
                let pair = self.take_pair(source);
                let bytes = self.wide(pair[1]);
                self.carry(lane, bytes);
                let pair = match source {
                    Source::Flat(_) if lane.stays_utf8() => self.short_text(lane, pair),
                    _ => self.long_text(lane, pair),
                };
                self.put_pair(pair, target)
            }
            ValType::List(elem) => {
                let [pointer, count] = self.take_pair(source);
                let pointer = self.copy_list(lane, &[elem], pointer, count);
                self.put_pair([pointer, count], target)
            }
            ValType::Map(entry) => {
                let [pointer, count] = self.take_pair(source);
                let pointer = self.copy_list(lane, &[&entry.0, &entry.1], pointer, count);
                self.put_pair([pointer, count], target)
            }
            ValType::FixedList(elem, count) => self.copy_fixed(lane, elem, *count, source, target),
            ValType::Record(fields) => {
                let types: Vec<&ValType> = fields.iter().map(|field| &field.ty).collect();
                self.copy_tuple(lane, &types, source, target)
            }
            ValType::Tuple(types) => {
                let types: Vec<&ValType> = types.iter().collect();
                self.copy_tuple(lane, &types, source, target)
            }
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                self.copy_variant(lane, ty, source, target)
            }
            _ => {
                let value = self.lift_scalar(lane, ty, source);
                match target {
                    Target::Flat => vec![value],
                    Target::Memory(region) => {
                        self.store_scalar(ty, value, region);
                        Vec::new()
                    }
                }
            }
        }
    }

    /// Values one after another, as a record, a tuple or a parameter list has them.
    pub fn copy_tuple(
        &mut self,
        lane: &Lane,
        tys: &[&ValType],
        source: Source<'_>,
        target: Target,
    ) -> Vec<Value> {
        if let (Source::Memory(from), Target::Memory(to)) = (source, target) {
            self.copy_fields(lane, tys, from, to);
            return Vec::new();
        }
        let mut flat = Vec::new();
        let mut taken = 0;
        for (ty, at) in tys.iter().zip(offsets(tys.iter().copied())) {
            let bytes = Layout::of(ty).size;
            let from = match source {
                Source::Memory(region) => Source::Memory(region.part(at, bytes)),
                Source::Flat(values) => {
                    let count = flat::flatten(ty).len();
                    taken += count;
                    Source::Flat(&values[taken - count..taken])
                }
            };
            flat.extend(self.copy(lane, ty, from, target.part(at, bytes)));
        }
        flat
    }

    /// The same in memory: neighbours whose bits may be anything are copied together, but not what is between them.
    fn copy_fields(&mut self, lane: &Lane, tys: &[&ValType], from: Region, to: Region) {
        let mut plain: Option<(u32, u32)> = None;
        for (ty, at) in tys.iter().zip(offsets(tys.iter().copied())) {
            let bytes = Layout::of(ty).size;
            plain = match plain {
                Some((start, end)) if all_bits(ty) && end == at => Some((start, at + bytes)),
                before => {
                    self.copy_plain(before, from, to);
                    all_bits(ty).then_some((at, at + bytes))
                }
            };
            if plain.is_none() {
                let target = Target::Memory(to.part(at, bytes));
                self.copy(lane, ty, Source::Memory(from.part(at, bytes)), target);
            }
        }
        self.copy_plain(plain, from, to);
    }

    fn copy_plain(&mut self, plain: Option<(u32, u32)>, from: Region, to: Region) {
        if let Some((start, end)) = plain {
            self.copy_region(from.part(start, end - start), to.part(start, end - start));
        }
    }

    fn copy_fixed(
        &mut self,
        lane: &Lane,
        elem: &ValType,
        count: u32,
        source: Source<'_>,
        target: Target,
    ) -> Vec<Value> {
        if let (Source::Memory(from), Target::Memory(to)) = (source, target)
            && count > ADAPTER_UNROLLED_ELEMENTS
        {
            let (from, to) = (self.region_address(from), self.region_address(to));
            let count = self.int(types::I64, count);
            self.copy_elements(lane, &[elem], from, to, count);
            return Vec::new();
        }
        let elems: Vec<&ValType> = (0..count).map(|_| elem).collect();
        self.copy_tuple(lane, &elems, source, target)
    }

    /// A `variant`, `enum`, `option` or `result`. Cases with the same payload type share their code.
    fn copy_variant(&mut self, lane: &Lane, ty: &ValType, source: Source<'_>, target: Target) -> Vec<Value> {
        let cases = Cases::of(ty).expect("the type has cases");
        let discriminant = match source {
            Source::Flat(values) => self.cast(values[0], types::I32),
            Source::Memory(region) => self.load_uint(region, cases.discriminant),
        };
        let count = self.int(types::I32, cases.count);
        let none = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, discriminant, count);
        self.fail_if(none, Reason::InvalidDiscriminant, &[discriminant, count]);
        if let Target::Memory(region) = target {
            self.store_uint(region, discriminant, cases.discriminant);
        }
        let slots: Vec<Type> = match target {
            Target::Flat => flat::flatten(ty).into_iter().skip(1).map(clif_type).collect(),
            Target::Memory(_) => Vec::new(),
        };
        let next = self.block(&slots);
        let arms = self.switch(ty, discriminant);
        for (payload, block) in arms {
            self.enter(block);
            let mut flat = Vec::new();
            if let Some(payload) = payload {
                let (bytes, once) = (Layout::of(payload).size, self.int(types::I64, 1));
                self.carry_always(lane, &[payload], once);
                let from = match source {
                    Source::Flat(values) => Source::Flat(&values[1..=flat::flatten(payload).len()]),
                    Source::Memory(region) => Source::Memory(region.part(cases.payload, bytes)),
                };
                flat = self.copy(lane, payload, from, target.part(cases.payload, bytes));
            }
            for (at, &slot) in slots.iter().enumerate() {
                match flat.get_mut(at) {
                    Some(value) => *value = self.cast(*value, slot),
                    None => flat.push(self.zero(slot)),
                }
            }
            self.jump(next, &flat);
        }
        let mut flat = self.enter(next);
        if matches!(target, Target::Flat) {
            flat.insert(0, discriminant);
        }
        flat
    }

    /// Branches by a discriminant that has been checked. Gives each different payload type and its block.
    fn switch<'t>(&mut self, ty: &'t ValType, discriminant: Value) -> Vec<(Option<&'t ValType>, Block)> {
        let mut blocks: HashMap<Option<&ValType>, Block> = HashMap::new();
        let mut arms = Vec::new();
        let mut switch = Switch::new();
        let payloads = ty.cases().expect("the type has cases");
        let mut first = None;
        for (case, payload) in payloads.into_iter().enumerate() {
            let block = *blocks.entry(payload).or_insert_with(|| {
                let block = self.block(&[]);
                arms.push((payload, block));
                block
            });
            first = first.or(Some(block));
            // The first arm takes what the others do not.
            if first != Some(block) {
                switch.set_entry(case as u128, block);
            }
        }
        let otherwise = first.expect("validation: a variant has a case");
        switch.emit(&mut self.builder, discriminant, otherwise);
        arms
    }

    /// A core value as the type that it has, or is to have, in the `join` of a variant's payloads: the same bits,
    /// zeros above them.
    pub fn cast(&mut self, value: Value, to: Type) -> Value {
        match (self.type_of(value), to) {
            (from, to) if from == to => value,
            (types::I32, types::I64) => self.builder.ins().uextend(types::I64, value),
            (types::I64, types::I32) => self.builder.ins().ireduce(types::I32, value),
            (types::F32, types::I64) => {
                let bits = self.bits(value, types::I32);
                self.builder.ins().uextend(types::I64, bits)
            }
            (types::I64, types::F32) => {
                let low = self.builder.ins().ireduce(types::I32, value);
                self.bits(low, types::F32)
            }
            (_, to) => self.bits(value, to),
        }
    }

    fn bits(&mut self, value: Value, to: Type) -> Value {
        use cranelift_codegen::ir::MemFlagsData;
        self.builder.ins().bitcast(to, MemFlagsData::new(), value)
    }

    fn zero(&mut self, ty: Type) -> Value {
        match ty {
            types::F32 => self.builder.ins().f32const(0.0),
            types::F64 => self.builder.ins().f64const(0.0),
            _ => self.builder.ins().iconst(ty, 0),
        }
    }

    /// A pointer and a length.
    fn take_pair(&mut self, source: Source<'_>) -> [Value; 2] {
        match source {
            Source::Flat(values) => [0, 1].map(|at| self.cast(values[at], types::I32)),
            Source::Memory(region) => [0, 4].map(|at| self.load(region.part(at, 4), types::I32)),
        }
    }

    fn put_pair(&mut self, pair: [Value; 2], target: Target) -> Vec<Value> {
        match target {
            Target::Flat => pair.to_vec(),
            Target::Memory(region) => {
                self.store(region.part(0, 4), pair[0]);
                self.store(region.part(4, 4), pair[1]);
                Vec::new()
            }
        }
    }
}

impl Target {
    fn part(self, offset: u32, bytes: u32) -> Target {
        match self {
            Target::Flat => Target::Flat,
            Target::Memory(region) => Target::Memory(region.part(offset, bytes)),
        }
    }
}

/// Whether every pattern of bits in memory is a value, the same value on both sides, and every byte belongs to it: then
/// bytes can be copied as they are. NaNs may cross as they are: the specification lets lowering choose the bits of one.
pub(super) fn all_bits(ty: &ValType) -> bool {
    match ty {
        ValType::U8
        | ValType::S8
        | ValType::U16
        | ValType::S16
        | ValType::U32
        | ValType::S32
        | ValType::U64
        | ValType::S64
        | ValType::F32
        | ValType::F64 => true,
        ValType::Flags(labels) => matches!(labels.len(), 8 | 16 | 32),
        ValType::FixedList(elem, _) => all_bits(elem),
        ValType::Record(fields) => tight(fields.iter().map(|field| &field.ty), Layout::of(ty)),
        ValType::Tuple(types) => tight(types.iter(), Layout::of(ty)),
        _ => false,
    }
}

/// Whether values one after another can be copied as bytes. Not if there is padding between them: what is in it is
/// nobody else's business.
pub(super) fn tight<'t>(types: impl Iterator<Item = &'t ValType>, layout: Layout) -> bool {
    let mut bytes = 0_u32;
    for ty in types {
        if !all_bits(ty) {
            return false;
        }
        bytes = bytes.saturating_add(Layout::of(ty).size);
    }
    bytes == layout.size
}

/// How much code a type is worth: its parts, where they are written out. Counts little beyond `limit`.
pub(crate) fn nodes(ty: &ValType, limit: u32) -> u32 {
    let mut left = limit;
    count(ty, &mut left);
    if left == 0 { limit.saturating_add(1) } else { limit - left }
}

/// Stops as soon as nothing is left, so that a huge type costs no more than a small one.
fn count(ty: &ValType, left: &mut u32) {
    *left = left.saturating_sub(1);
    if *left == 0 {
        return;
    }
    match ty {
        ValType::List(elem) | ValType::Option(elem) => count(elem, left),
        ValType::FixedList(elem, times) => (0..*times).take(16).for_each(|_| count(elem, left)),
        ValType::Map(entry) => [&entry.0, &entry.1].into_iter().for_each(|ty| count(ty, left)),
        ValType::Record(fields) => fields.iter().for_each(|field| count(&field.ty, left)),
        ValType::Tuple(types) => types.iter().for_each(|ty| count(ty, left)),
        ValType::Variant(cases) => {
            cases.iter().filter_map(|case| case.ty.as_ref()).for_each(|ty| count(ty, left))
        }
        ValType::Result(result) => {
            [&result.ok, &result.err].into_iter().flatten().for_each(|ty| count(ty, left))
        }
        _ => {}
    }
}
