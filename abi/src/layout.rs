//! Size, alignment and offsets of values in linear memory (CanonicalABI.md, "Alignment" and "Element Size").

use crate::types::ValType;

/// The size and alignment of a type in a 32-bit memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Bytes, a multiple of `align`.
    pub size: u32,
    /// Bytes, a power of two up to 8.
    pub align: u32,
}

impl Layout {
    /// The layout of one value.
    ///
    /// Validation bounds every static size below 2^28 bytes, so sums cannot overflow; they saturate all the same.
    #[must_use]
    pub fn of(ty: &ValType) -> Layout {
        match ty {
            ValType::Bool | ValType::S8 | ValType::U8 => Layout::scalar(1),
            ValType::S16 | ValType::U16 => Layout::scalar(2),
            ValType::S32
            | ValType::U32
            | ValType::F32
            | ValType::Char
            | ValType::Own(_)
            | ValType::Borrow(_)
            | ValType::Stream(_)
            | ValType::Future(_)
            | ValType::ErrorContext => Layout::scalar(4),
            ValType::S64 | ValType::U64 | ValType::F64 => Layout::scalar(8),
            ValType::String | ValType::List(_) | ValType::Map(_) => Layout { size: 8, align: 4 },
            ValType::FixedList(elem, count) => {
                let elem = Layout::of(elem);
                Layout { size: elem.size.saturating_mul(*count), align: elem.align }
            }
            ValType::Record(fields) => Layout::tuple(fields.iter().map(|field| &field.ty)),
            ValType::Tuple(types) => Layout::tuple(types.iter()),
            ValType::Flags(labels) => Layout::scalar(match labels.len() {
                0..=8 => 1,
                9..=16 => 2,
                _ => 4,
            }),
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                Cases::of(ty).map_or(Layout::scalar(1), |cases| cases.layout)
            }
        }
    }

    /// The layout of values one after another, as a record or a parameter list has them.
    pub fn tuple<'t>(types: impl Iterator<Item = &'t ValType>) -> Layout {
        let mut end = 0;
        let mut align = 1;
        for ty in types {
            let field = Layout::of(ty);
            end = align_to(end, field.align).saturating_add(field.size);
            align = align.max(field.align);
        }
        Layout { size: align_to(end, align), align }
    }

    const fn scalar(size: u32) -> Layout {
        Layout { size, align: size }
    }
}

/// Where a variant-like type keeps its discriminant and payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cases {
    /// The whole type.
    pub layout: Layout,
    /// Bytes of the discriminant: 1, 2 or 4.
    pub discriminant: u32,
    /// Where every payload begins.
    pub payload: u32,
    /// How many cases there are.
    pub count: u32,
}

impl Cases {
    /// The layout of a `variant`, `enum`, `option` or `result`; `None` for any other type.
    #[must_use]
    pub fn of(ty: &ValType) -> Option<Cases> {
        let cases = ty.cases()?;
        let discriminant = match cases.len() {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let payloads = cases.iter().flatten().map(|ty| Layout::of(ty));
        let (size, align) = payloads.fold((0, 1), |(size, align), payload| {
            (payload.size.max(size), payload.align.max(align))
        });
        let payload = align_to(discriminant, align);
        let align = align.max(discriminant);
        let layout = Layout { size: align_to(payload.saturating_add(size), align), align };
        Some(Cases { layout, discriminant, payload, count: u32::try_from(cases.len()).unwrap_or(u32::MAX) })
    }
}

/// The byte offset of each value of a tuple.
pub fn offsets<'t>(types: impl Iterator<Item = &'t ValType>) -> impl Iterator<Item = u32> {
    types.scan(0, |end: &mut u32, ty| {
        let field = Layout::of(ty);
        let at = align_to(*end, field.align);
        *end = at.saturating_add(field.size);
        Some(at)
    })
}

/// The next multiple of `align`, a power of two.
#[must_use]
pub const fn align_to(offset: u32, align: u32) -> u32 {
    offset.saturating_add(align - 1) & !(align - 1)
}
