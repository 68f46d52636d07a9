//! From the types of a part to types of the outer component.

use std::collections::HashMap;

use wasm_encoder::{ComponentTypeEncoder, ComponentValType as Written, PrimitiveValType as WrittenPrimitive};
use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentValType,
};

use super::contrast::{Identity, Side};

/// What types have been written as, by part.
pub type Known = HashMap<(usize, ComponentDefinedTypeId), u32>;

/// An index space of types that can be added to: an instance type's, or the outer component's own.
pub trait Space {
    /// Adds a type.
    fn define(&mut self, write: &mut dyn FnMut(ComponentTypeEncoder<'_>)) -> u32;

    /// The index of a resource type.
    ///
    /// # Errors
    /// Nothing that can be seen from here is this type.
    fn resource(&mut self, identity: Identity) -> Result<u32, Unseen>;

    /// The index of a type of a part that has a name in another interface, which can be seen from here.
    fn named(&mut self, part: usize, id: ComponentDefinedTypeId) -> Option<u32>;

    /// What has been written already.
    fn known(&mut self) -> &mut Known;
}

/// A type is used that none of a part's imports has a name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen;

/// A function type.
///
/// # Errors
/// [`Unseen`]
pub fn func(space: &mut dyn Space, side: Side<'_>, id: ComponentFuncTypeId) -> Result<u32, Unseen> {
    let ty = &side.face.types()[id];
    let params = ty.params.iter().map(|(name, ty)| Ok((name.as_str(), value(space, side, *ty)?)));
    let params: Vec<(&str, Written)> = params.collect::<Result<_, Unseen>>()?;
    let result = optional(space, side, ty.result)?;
    Ok(space.define(&mut |encoder| {
        encoder.function().async_(ty.async_).params(params.iter().copied()).result(result);
    }))
}

/// Notes that a type of a part has an index here.
pub fn note(space: &mut dyn Space, part: usize, ty: ComponentEntityType, index: u32) {
    if let ComponentEntityType::Type { referenced, created } = ty {
        for id in [referenced, created] {
            if let ComponentAnyTypeId::Defined(id) = id {
                space.known().insert((part, id), index);
            }
        }
    }
}

fn optional(
    space: &mut dyn Space,
    side: Side<'_>,
    ty: Option<ComponentValType>,
) -> Result<Option<Written>, Unseen> {
    ty.map(|ty| value(space, side, ty)).transpose()
}

fn value(space: &mut dyn Space, side: Side<'_>, ty: ComponentValType) -> Result<Written, Unseen> {
    Ok(match ty {
        ComponentValType::Primitive(ty) => Written::Primitive(primitive(ty)),
        ComponentValType::Type(id) => Written::Type(defined(space, side, id)?),
    })
}

/// A value type. Recursion is bounded: the validator admits types nested up to 100 deep.
///
/// # Errors
/// [`Unseen`]
pub fn defined(space: &mut dyn Space, side: Side<'_>, id: ComponentDefinedTypeId) -> Result<u32, Unseen> {
    if let Some(index) = space.known().get(&(side.part, id)) {
        return Ok(*index);
    }
    // What has a name keeps it: in an import no record, variant, enum or flags may be without.
    let index = match space.named(side.part, id) {
        Some(index) => index,
        None => structure(space, side, id)?,
    };
    space.known().insert((side.part, id), index);
    Ok(index)
}

fn structure(space: &mut dyn Space, side: Side<'_>, id: ComponentDefinedTypeId) -> Result<u32, Unseen> {
    use ComponentDefinedType as Ty;
    let types = side.face.types();
    // Parts first: a type refers to earlier ones.
    Ok(match &types[id] {
        Ty::Primitive(ty) => {
            let ty = primitive(*ty);
            space.define(&mut |encoder| encoder.defined_type().primitive(ty))
        }
        Ty::Record(record) => {
            let fields = record.fields.iter().map(|(name, ty)| Ok((name.as_str(), value(space, side, *ty)?)));
            let fields: Vec<(&str, Written)> = fields.collect::<Result<_, Unseen>>()?;
            space.define(&mut |encoder| encoder.defined_type().record(fields.iter().copied()))
        }
        Ty::Variant(variant) => {
            let cases =
                variant.cases.iter().map(|(name, case)| Ok((name.as_str(), optional(space, side, case.ty)?)));
            let cases: Vec<(&str, Option<Written>)> = cases.collect::<Result<_, Unseen>>()?;
            space.define(&mut |encoder| encoder.defined_type().variant(cases.iter().copied()))
        }
        Ty::List { element, .. } => {
            let element = value(space, side, *element)?;
            space.define(&mut |encoder| encoder.defined_type().list(element))
        }
        Ty::Map { key, value: held, .. } => {
            let (key, held) = (value(space, side, *key)?, value(space, side, *held)?);
            space.define(&mut |encoder| encoder.defined_type().map(key, held))
        }
        Ty::FixedLengthList { element, length, .. } => {
            let (element, length) = (value(space, side, *element)?, *length);
            space.define(&mut |encoder| encoder.defined_type().fixed_length_list(element, length))
        }
        Ty::Tuple(tuple) => {
            let types = tuple.types.iter().map(|ty| value(space, side, *ty));
            let types: Vec<Written> = types.collect::<Result<_, Unseen>>()?;
            space.define(&mut |encoder| encoder.defined_type().tuple(types.iter().copied()))
        }
        Ty::Flags(labels) => {
            let labels: Vec<&str> = labels.iter().map(|label| label.as_str()).collect();
            space.define(&mut |encoder| encoder.defined_type().flags(labels.iter().copied()))
        }
        Ty::Enum(labels) => {
            let labels: Vec<&str> = labels.iter().map(|label| label.as_str()).collect();
            space.define(&mut |encoder| encoder.defined_type().enum_type(labels.iter().copied()))
        }
        Ty::Option { ty, .. } => {
            let ty = value(space, side, *ty)?;
            space.define(&mut |encoder| encoder.defined_type().option(ty))
        }
        Ty::Result { ok, err, .. } => {
            let (ok, err) = (optional(space, side, *ok)?, optional(space, side, *err)?);
            space.define(&mut |encoder| encoder.defined_type().result(ok, err))
        }
        handle @ (Ty::Own(id) | Ty::Borrow(id)) => {
            let resource = space.resource(side.identity(id.resource()))?;
            space.define(&mut |encoder| match handle {
                Ty::Own(_) => encoder.defined_type().own(resource),
                _ => encoder.defined_type().borrow(resource),
            })
        }
        Ty::Future { ty, .. } => {
            let ty = optional(space, side, *ty)?;
            space.define(&mut |encoder| encoder.defined_type().future(ty))
        }
        Ty::Stream { ty, .. } => {
            let ty = optional(space, side, *ty)?;
            space.define(&mut |encoder| encoder.defined_type().stream(ty))
        }
    })
}

fn primitive(ty: PrimitiveValType) -> WrittenPrimitive {
    match ty {
        PrimitiveValType::Bool => WrittenPrimitive::Bool,
        PrimitiveValType::S8 => WrittenPrimitive::S8,
        PrimitiveValType::U8 => WrittenPrimitive::U8,
        PrimitiveValType::S16 => WrittenPrimitive::S16,
        PrimitiveValType::U16 => WrittenPrimitive::U16,
        PrimitiveValType::S32 => WrittenPrimitive::S32,
        PrimitiveValType::U32 => WrittenPrimitive::U32,
        PrimitiveValType::S64 => WrittenPrimitive::S64,
        PrimitiveValType::U64 => WrittenPrimitive::U64,
        PrimitiveValType::F32 => WrittenPrimitive::F32,
        PrimitiveValType::F64 => WrittenPrimitive::F64,
        PrimitiveValType::Char => WrittenPrimitive::Char,
        PrimitiveValType::String => WrittenPrimitive::String,
        PrimitiveValType::ErrorContext => WrittenPrimitive::ErrorContext,
    }
}
