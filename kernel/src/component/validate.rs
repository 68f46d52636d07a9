//! What a component must satisfy beyond wasmparser's validation: how large a value may be.
//!
//! Canonical ABI, "Element Size": of every value type that a component defines, `elem_size(t, i64)` is less than
//! 2^28, so that no size computed of it later can overflow. The width of a pointer is taken to be 64 bits whatever
//! memories the component has.

use std::collections::HashMap;

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentTypeId, ComponentValType,
};
use wasmparser::types::{Types, TypesRef};

use super::error::ComponentError;

/// Every value type's size in bytes is below this.
const SIZE_LIMIT: u64 = 1 << 28;

/// A pointer of the widest memory.
const POINTER: Layout = Layout { size: 8, align: 8 };

/// Checks the types that a component defines, and what they are made of: `defined` has the index of each and where it
/// stands.
///
/// # Errors
/// The first type whose values are too large, and how large they are.
pub fn sizes(types: &Types, defined: &[(u32, u64)]) -> Result<(), ComponentError> {
    let mut sizes = Sizes { types: types.as_ref(), known: HashMap::new() };
    for &(index, offset) in defined {
        sizes.any(types.as_ref().component_any_type_at(index)).map_err(|TooLarge(size)| {
            let message = format!(
                "type {index}: a value of {size} bytes exceeds maximum byte size, must be less than {SIZE_LIMIT}"
            );
            ComponentError::Invalid { message, offset }
        })?;
    }
    Ok(())
}

/// A size at or above the limit.
struct TooLarge(u64);

#[derive(Clone, Copy)]
struct Layout {
    size: u64,
    align: u64,
}

/// Layouts by type. Recursion is bounded: wasmparser admits types nested up to 100 deep.
struct Sizes<'a> {
    types: TypesRef<'a>,
    known: HashMap<ComponentAnyTypeId, Layout>,
}

impl Sizes<'_> {
    /// Walks a type of any sort. A component or instance type counts for what its items' types are made of.
    fn any(&mut self, id: ComponentAnyTypeId) -> Result<(), TooLarge> {
        if self.known.contains_key(&id) {
            return Ok(());
        }
        match id {
            ComponentAnyTypeId::Defined(id) => {
                self.defined(id)?;
                return Ok(());
            }
            ComponentAnyTypeId::Func(id) => self.func(id)?,
            ComponentAnyTypeId::Component(id) => self.component(id)?,
            ComponentAnyTypeId::Instance(id) => self.instance(id)?,
            ComponentAnyTypeId::Resource(_) => {}
        }
        self.known.insert(id, Layout { size: 0, align: 1 });
        Ok(())
    }

    fn func(&mut self, id: ComponentFuncTypeId) -> Result<(), TooLarge> {
        let types = self.types;
        let func = &types[id];
        for (_, ty) in func.params.iter() {
            self.value(ty)?;
        }
        func.result.as_ref().map_or(Ok(()), |ty| self.value(ty).map(|_| ()))
    }

    fn component(&mut self, id: ComponentTypeId) -> Result<(), TooLarge> {
        let types = self.types;
        let component = &types[id];
        component
            .imports
            .values()
            .chain(component.exports.values())
            .try_for_each(|item| self.entity(&item.ty))
    }

    fn instance(&mut self, id: ComponentInstanceTypeId) -> Result<(), TooLarge> {
        let types = self.types;
        types[id].exports.values().try_for_each(|item| self.entity(&item.ty))
    }

    fn entity(&mut self, entity: &ComponentEntityType) -> Result<(), TooLarge> {
        match *entity {
            ComponentEntityType::Module(_) => Ok(()),
            ComponentEntityType::Func(id) => self.any(ComponentAnyTypeId::Func(id)),
            ComponentEntityType::Value(ty) => self.value(&ty).map(|_| ()),
            ComponentEntityType::Type { created, .. } => self.any(created),
            ComponentEntityType::Instance(id) => self.any(ComponentAnyTypeId::Instance(id)),
            ComponentEntityType::Component(id) => self.any(ComponentAnyTypeId::Component(id)),
        }
    }

    fn value(&mut self, ty: &ComponentValType) -> Result<Layout, TooLarge> {
        match *ty {
            ComponentValType::Primitive(ty) => Ok(primitive(ty)),
            ComponentValType::Type(id) => self.defined(id),
        }
    }

    fn defined(&mut self, id: ComponentDefinedTypeId) -> Result<Layout, TooLarge> {
        let key = ComponentAnyTypeId::Defined(id);
        if let Some(&layout) = self.known.get(&key) {
            return Ok(layout);
        }
        let types = self.types;
        let layout = self.layout(&types[id])?;
        if layout.size >= SIZE_LIMIT {
            return Err(TooLarge(layout.size));
        }
        self.known.insert(key, layout);
        Ok(layout)
    }

    /// Canonical ABI, `elem_size` and `alignment`. Sizes inside are below 2^28, so that u64 holds every sum and product.
    fn layout(&mut self, ty: &ComponentDefinedType) -> Result<Layout, TooLarge> {
        Ok(match ty {
            ComponentDefinedType::Primitive(ty) => primitive(*ty),
            ComponentDefinedType::Record(record) => self.record(record.fields.values())?,
            ComponentDefinedType::Tuple(tuple) => self.record(tuple.types.iter())?,
            ComponentDefinedType::Variant(variant) => {
                self.variant(variant.cases.len(), variant.cases.values().filter_map(|case| case.ty.as_ref()))?
            }
            ComponentDefinedType::Enum(names) => discriminant(names.len()),
            ComponentDefinedType::Option { ty, .. } => self.variant(2, [ty].into_iter())?,
            ComponentDefinedType::Result { ok, err, .. } => self.variant(2, ok.iter().chain(err))?,
            ComponentDefinedType::Flags(names) => flags(names.len()),
            ComponentDefinedType::List { element, .. } => {
                self.value(element)?;
                pair()
            }
            ComponentDefinedType::Map { key, value, .. } => {
                // The tuple of both is no type of the component's, so it may be larger.
                self.value(key)?;
                self.value(value)?;
                pair()
            }
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                let element = self.value(element)?;
                Layout { size: element.size * u64::from(*length), align: element.align }
            }
            ComponentDefinedType::Future { ty, .. } | ComponentDefinedType::Stream { ty, .. } => {
                ty.as_ref().map_or(Ok(handle()), |ty| self.value(ty))?;
                handle()
            }
            ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => handle(),
        })
    }

    fn record<'t>(&mut self, fields: impl Iterator<Item = &'t ComponentValType>) -> Result<Layout, TooLarge> {
        let mut record = Layout { size: 0, align: 1 };
        for field in fields {
            let field = self.value(field)?;
            record.size = record.size.next_multiple_of(field.align) + field.size;
            record.align = record.align.max(field.align);
        }
        record.size = record.size.next_multiple_of(record.align);
        Ok(record)
    }

    fn variant<'t>(
        &mut self,
        cases: usize,
        payloads: impl Iterator<Item = &'t ComponentValType>,
    ) -> Result<Layout, TooLarge> {
        let tag = discriminant(cases);
        let mut payload = Layout { size: 0, align: 1 };
        for ty in payloads {
            let case = self.value(ty)?;
            payload = Layout { size: payload.size.max(case.size), align: payload.align.max(case.align) };
        }
        let align = tag.align.max(payload.align);
        let size = (tag.size.next_multiple_of(payload.align) + payload.size).next_multiple_of(align);
        Ok(Layout { size, align })
    }
}

/// Pointer and length.
fn pair() -> Layout {
    Layout { size: 2 * POINTER.size, align: POINTER.align }
}

fn handle() -> Layout {
    Layout { size: 4, align: 4 }
}

fn scalar(size: u64) -> Layout {
    Layout { size, align: size }
}

fn primitive(ty: PrimitiveValType) -> Layout {
    match ty {
        PrimitiveValType::Bool | PrimitiveValType::S8 | PrimitiveValType::U8 => scalar(1),
        PrimitiveValType::S16 | PrimitiveValType::U16 => scalar(2),
        PrimitiveValType::S32 | PrimitiveValType::U32 | PrimitiveValType::F32 | PrimitiveValType::Char => {
            scalar(4)
        }
        PrimitiveValType::S64 | PrimitiveValType::U64 | PrimitiveValType::F64 => scalar(8),
        PrimitiveValType::String => pair(),
        PrimitiveValType::ErrorContext => handle(),
    }
}

/// The smallest integer that numbers this many cases.
fn discriminant(cases: usize) -> Layout {
    match cases {
        0..=0x100 => scalar(1),
        0x101..=0x1_0000 => scalar(2),
        _ => scalar(4),
    }
}

fn flags(labels: usize) -> Layout {
    match labels {
        0..=8 => scalar(1),
        9..=16 => scalar(2),
        _ => scalar(4),
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::WasmFeatures;

    use crate::component::error::ComponentError;
    use crate::component::parse;

    fn check(text: &str) -> Result<(), ComponentError> {
        let bytes = wat::parse_str(text).expect("the test's text is well-formed");
        parse::parse(&bytes, WasmFeatures::all()).map(|_| ())
    }

    #[test]
    fn sizes_at_the_limit() {
        check("(component (type (list u8 268435455)) (type (list string 16777215)))").expect("below 2^28");
        check("(component (type (map u8 (list u8 268435455))))").expect("a map is two words");
    }

    #[test]
    fn sizes_over_the_limit() {
        for ty in [
            "(list u8 268435456)",
            "(list u64 536870912)",
            "(list string 16777216)",
            "(tuple (list u8 268435455) (list u8 1))",
            "(option (list u8 268435455))",
            "(list (list u8 268435456))",
            "(func (param \"a\" (list u8 268435456)))",
            "(instance (type $l (list u8 268435456)) (export \"a\" (func (param \"a\" $l))))",
        ] {
            let error = check(&format!("(component (type {ty}))")).expect_err(ty).to_string();
            assert!(error.contains("exceeds maximum byte size"), "{ty}: {error}");
            assert!(error.starts_with("type ") && !error.ends_with("(at offset 0x0)"), "{error}");
        }
    }
}
