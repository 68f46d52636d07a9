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
            ValType::Flags(labels) => Layout::flags(u32::try_from(labels.len()).unwrap_or(u32::MAX)),
            ValType::Variant(_) | ValType::Enum(_) | ValType::Option(_) | ValType::Result(_) => {
                Cases::of(ty).map_or(Layout::scalar(1), |cases| cases.layout)
            }
        }
    }

    /// The layout of values one after another, as a record or a parameter list has them.
    pub fn tuple<'t>(types: impl Iterator<Item = &'t ValType>) -> Layout {
        types.fold(Layout::scalar(0), |before, ty| before.then(Layout::of(ty))).rounded()
    }

    /// The same of layouts that are known when the compiler runs.
    #[must_use]
    pub const fn sequence(fields: &[Layout]) -> Layout {
        let mut whole = Layout::scalar(0);
        let mut i = 0;
        while i < fields.len() {
            whole = whole.then(fields[i]);
            i += 1;
        }
        whole.rounded()
    }

    /// With one more value behind it, not rounded up yet.
    const fn then(self, next: Layout) -> Layout {
        let size = align_to(self.size, next.align).saturating_add(next.size);
        Layout { size, align: if next.align > self.align { next.align } else { self.align } }
    }

    /// With a size that is a multiple of the alignment.
    const fn rounded(self) -> Layout {
        Layout { size: align_to(self.size, self.align), align: self.align }
    }

    /// The layout of flags with this many labels.
    #[must_use]
    pub const fn flags(labels: u32) -> Layout {
        Layout::scalar(match labels {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        })
    }

    /// A value of this many bytes, aligned to them; nothing is aligned to 1.
    pub(crate) const fn scalar(size: u32) -> Layout {
        Layout { size, align: if size == 0 { 1 } else { size } }
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
        let payloads: Vec<Layout> = cases.iter().flatten().map(|ty| Layout::of(ty)).collect();
        Some(Cases::new(u32::try_from(cases.len()).unwrap_or(u32::MAX), &payloads))
    }

    /// The layout of `count` cases, some with payloads of these layouts.
    #[must_use]
    pub const fn new(count: u32, payloads: &[Layout]) -> Cases {
        let discriminant = match count {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let (mut size, mut align) = (0, 1);
        let mut i = 0;
        while i < payloads.len() {
            size = if payloads[i].size > size { payloads[i].size } else { size };
            align = if payloads[i].align > align { payloads[i].align } else { align };
            i += 1;
        }
        let payload = align_to(discriminant, align);
        let align = if align > discriminant { align } else { discriminant };
        let layout = Layout { size: align_to(payload.saturating_add(size), align), align };
        Cases { layout, discriminant, payload, count }
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
