//! From validation's types to [`abi::types`], resources resolved.

use std::collections::HashMap;
use std::sync::Arc;

use abi::types::{Case, Field, FuncType, ResourceType, ResultType, ValType};
use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    AliasableResourceId, ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId,
    ComponentFuncTypeId, ComponentValType,
};
use wasmparser::types::Types;

use super::def::Frame;
use super::error::LinkError;
use super::spaces::dangling;

/// Resolves types as one frame sees them.
pub struct Resolver<'a> {
    types: &'a Types,
    frame: &'a Frame,
    // Types share parts; without this a small binary could ask for a huge tree.
    done: HashMap<ComponentDefinedTypeId, ValType>,
}

impl<'a> Resolver<'a> {
    /// A resolver for types of `frame`'s component.
    pub fn new(frame: &'a Frame) -> Resolver<'a> {
        Resolver { types: &frame.component.types, frame, done: HashMap::new() }
    }

    /// A function type.
    ///
    /// # Errors
    /// The type needs a resource that this frame does not know.
    pub fn func(&mut self, id: ComponentFuncTypeId) -> Result<FuncType, LinkError> {
        let types = self.types;
        let ty = &types[id];
        let params = ty
            .params
            .iter()
            .map(|(name, ty)| Ok((Box::from(name.as_str()), self.value(*ty)?)))
            .collect::<Result<_, LinkError>>()?;
        let result = ty.result.map(|ty| self.value(ty)).transpose()?;
        Ok(FuncType { params, result, is_async: ty.async_ })
    }

    /// A value type as written: a primitive, or an index of the type index space.
    ///
    /// # Errors
    /// As [`Resolver::func`].
    pub fn written(&mut self, ty: wasmparser::ComponentValType) -> Result<ValType, LinkError> {
        match ty {
            wasmparser::ComponentValType::Primitive(primitive) => Ok(scalar(primitive)),
            wasmparser::ComponentValType::Type(index) => {
                match self.types.as_ref().component_any_type_at(index) {
                    ComponentAnyTypeId::Defined(id) => self.value(ComponentValType::Type(id)),
                    _ => Err(dangling("value type")),
                }
            }
        }
    }

    fn value(&mut self, ty: ComponentValType) -> Result<ValType, LinkError> {
        match ty {
            ComponentValType::Primitive(primitive) => Ok(scalar(primitive)),
            ComponentValType::Type(id) => {
                if let Some(done) = self.done.get(&id) {
                    return Ok(done.clone());
                }
                let resolved = self.defined(id)?;
                self.done.insert(id, resolved.clone());
                Ok(resolved)
            }
        }
    }

    fn shared(&mut self, ty: ComponentValType) -> Result<Arc<ValType>, LinkError> {
        self.value(ty).map(Arc::new)
    }

    fn optional(&mut self, ty: Option<ComponentValType>) -> Result<Option<ValType>, LinkError> {
        ty.map(|ty| self.value(ty)).transpose()
    }

    fn resource(&self, id: AliasableResourceId) -> Result<ResourceType, LinkError> {
        self.frame.resource(id.resource()).ok_or_else(|| {
            LinkError::Unsupported("a resource type that no import or definition names".to_owned())
        })
    }

    fn defined(&mut self, id: ComponentDefinedTypeId) -> Result<ValType, LinkError> {
        let types = self.types;
        Ok(match &types[id] {
            ComponentDefinedType::Primitive(primitive) => scalar(*primitive),
            ComponentDefinedType::Record(record) => ValType::Record(
                record
                    .fields
                    .iter()
                    .map(|(name, ty)| Ok(Field { name: name.as_str().into(), ty: self.value(*ty)? }))
                    .collect::<Result<_, LinkError>>()?,
            ),
            ComponentDefinedType::Variant(variant) => ValType::Variant(
                variant
                    .cases
                    .iter()
                    .map(|(name, case)| Ok(Case { name: name.as_str().into(), ty: self.optional(case.ty)? }))
                    .collect::<Result<_, LinkError>>()?,
            ),
            ComponentDefinedType::List { element, .. } => ValType::List(self.shared(*element)?),
            ComponentDefinedType::Map { key, value, .. } => {
                ValType::Map(Arc::new((self.value(*key)?, self.value(*value)?)))
            }
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                ValType::FixedList(self.shared(*element)?, *length)
            }
            ComponentDefinedType::Tuple(tuple) => ValType::Tuple(
                tuple.types.iter().map(|ty| self.value(*ty)).collect::<Result<_, LinkError>>()?,
            ),
            ComponentDefinedType::Flags(labels) => {
                ValType::Flags(labels.iter().map(|label| label.as_str().into()).collect())
            }
            ComponentDefinedType::Enum(labels) => {
                ValType::Enum(labels.iter().map(|label| label.as_str().into()).collect())
            }
            ComponentDefinedType::Option { ty, .. } => ValType::Option(self.shared(*ty)?),
            ComponentDefinedType::Result { ok, err, .. } => {
                ValType::Result(Arc::new(ResultType { ok: self.optional(*ok)?, err: self.optional(*err)? }))
            }
            ComponentDefinedType::Own(id) => ValType::Own(self.resource(*id)?),
            ComponentDefinedType::Borrow(id) => ValType::Borrow(self.resource(*id)?),
            ComponentDefinedType::Future { ty, .. } => ValType::Future(self.optional(*ty)?.map(Arc::new)),
            ComponentDefinedType::Stream { ty, .. } => ValType::Stream(self.optional(*ty)?.map(Arc::new)),
        })
    }
}

fn scalar(ty: PrimitiveValType) -> ValType {
    match ty {
        PrimitiveValType::Bool => ValType::Bool,
        PrimitiveValType::S8 => ValType::S8,
        PrimitiveValType::U8 => ValType::U8,
        PrimitiveValType::S16 => ValType::S16,
        PrimitiveValType::U16 => ValType::U16,
        PrimitiveValType::S32 => ValType::S32,
        PrimitiveValType::U32 => ValType::U32,
        PrimitiveValType::S64 => ValType::S64,
        PrimitiveValType::U64 => ValType::U64,
        PrimitiveValType::F32 => ValType::F32,
        PrimitiveValType::F64 => ValType::F64,
        PrimitiveValType::Char => ValType::Char,
        PrimitiveValType::String => ValType::String,
        PrimitiveValType::ErrorContext => ValType::ErrorContext,
    }
}
