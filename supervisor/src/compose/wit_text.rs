//! Types as WIT, as far as a person needs them to see a difference: names where the interface has some.

use std::collections::HashMap;
use std::fmt::Write;

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId,
};
use wasmparser::types::TypesRef;

use super::face::kind;
use crate::limits::{WIT_TEXT_BYTES, WIT_TEXT_DEPTH};

/// Writes types of one interface.
pub struct WitText<'a> {
    types: TypesRef<'a>,
    types_by_id: HashMap<ComponentDefinedTypeId, &'a str>,
    resources: HashMap<ResourceId, &'a str>,
}

impl<'a> WitText<'a> {
    /// For what stands outside of interfaces.
    #[must_use]
    pub fn of(types: TypesRef<'a>) -> WitText<'a> {
        WitText { types, types_by_id: HashMap::new(), resources: HashMap::new() }
    }

    /// For what is in an interface, whose types have names there.
    #[must_use]
    pub fn within(types: TypesRef<'a>, interface: ComponentInstanceTypeId) -> WitText<'a> {
        let mut text = WitText::of(types);
        for (name, item) in types.get(interface).into_iter().flat_map(|interface| &interface.exports) {
            let ComponentEntityType::Type { created, referenced } = item.ty else { continue };
            for id in [created, referenced] {
                match id {
                    ComponentAnyTypeId::Defined(id) => {
                        text.types_by_id.entry(id).or_insert(name);
                    }
                    ComponentAnyTypeId::Resource(id) => {
                        text.resources.entry(id.resource()).or_insert(name);
                    }
                    _ => {}
                }
            }
        }
        text
    }

    /// An item of an interface, or an import or export that is none.
    #[must_use]
    pub fn item(&self, name: &str, ty: ComponentEntityType) -> String {
        match ty {
            ComponentEntityType::Func(id) => self.func(name, id),
            ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(id), .. } => {
                self.named(name, id)
            }
            ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => {
                format!("resource {name}")
            }
            ty => format!("{name}: {}", kind(ty)),
        }
    }

    /// The type of a value.
    #[must_use]
    pub fn of_value(&self, ty: ComponentValType) -> String {
        let mut text = String::new();
        self.value(&mut text, ty, 0);
        cut(text)
    }

    fn func(&self, name: &str, id: ComponentFuncTypeId) -> String {
        let ty = &self.types[id];
        let (name, word, is_method) = match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some(("constructor", resource)) => (format!("{resource}.constructor"), "func", false),
            Some(("static", name)) => (name.to_owned(), "static func", false),
            Some(("method", name)) => (name.to_owned(), "func", true),
            _ => (name.to_owned(), "func", false),
        };
        let mut text = format!("{name}: {}{word}(", if ty.async_ { "async " } else { "" });
        for (number, (param, ty)) in ty.params.iter().skip(usize::from(is_method)).enumerate() {
            if number > 0 {
                text.push_str(", ");
            }
            // Writing to a string never fails.
            let _ = write!(text, "{param}: ");
            self.value(&mut text, *ty, 0);
        }
        text.push(')');
        if let Some(result) = ty.result {
            text.push_str(" -> ");
            self.value(&mut text, result, 0);
        }
        cut(text)
    }

    /// A type that has a name, with what it is.
    fn named(&self, name: &str, id: ComponentDefinedTypeId) -> String {
        let mut text = String::new();
        match &self.types[id] {
            ComponentDefinedType::Record(record) => {
                let _ = write!(text, "record {name} {{ ");
                self.fields(
                    &mut text,
                    record.fields.iter().map(|(name, ty)| (name.as_str(), Some(*ty))),
                    ": ",
                );
                text.push_str(" }");
            }
            ComponentDefinedType::Variant(variant) => {
                let _ = write!(text, "variant {name} {{ ");
                self.fields(
                    &mut text,
                    variant.cases.iter().map(|(name, case)| (name.as_str(), case.ty)),
                    "(",
                );
                text.push_str(" }");
            }
            ComponentDefinedType::Flags(labels) => {
                let _ = write!(text, "flags {name} {{ ");
                self.fields(&mut text, labels.iter().map(|label| (label.as_str(), None)), "");
                text.push_str(" }");
            }
            ComponentDefinedType::Enum(labels) => {
                let _ = write!(text, "enum {name} {{ ");
                self.fields(&mut text, labels.iter().map(|label| (label.as_str(), None)), "");
                text.push_str(" }");
            }
            _ => {
                let _ = write!(text, "type {name} = ");
                self.structure(&mut text, id, 0);
            }
        }
        cut(text)
    }

    fn fields<'n>(
        &self,
        text: &mut String,
        fields: impl Iterator<Item = (&'n str, Option<ComponentValType>)>,
        before: &str,
    ) {
        for (number, (name, ty)) in fields.enumerate() {
            if number > 0 {
                text.push_str(", ");
            }
            text.push_str(name);
            if let Some(ty) = ty {
                text.push_str(before);
                self.value(text, ty, 1);
                if before == "(" {
                    text.push(')');
                }
            }
        }
    }

    fn value(&self, text: &mut String, ty: ComponentValType, depth: usize) {
        // Types share parts: a small binary could ask for a huge text.
        if text.len() > WIT_TEXT_BYTES || depth > WIT_TEXT_DEPTH {
            text.push('…');
            return;
        }
        match ty {
            ComponentValType::Primitive(ty) => text.push_str(primitive(ty)),
            ComponentValType::Type(id) => match self.types_by_id.get(&id) {
                Some(name) => text.push_str(name),
                None => self.structure(text, id, depth),
            },
        }
    }

    fn structure(&self, text: &mut String, id: ComponentDefinedTypeId, depth: usize) {
        let mut generic = |word: &str, parts: &[Option<ComponentValType>]| {
            text.push_str(word);
            text.push('<');
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    text.push_str(", ");
                }
                match part {
                    Some(ty) => self.value(text, *ty, depth + 1),
                    None => text.push('_'),
                }
            }
            text.push('>');
        };
        match &self.types[id] {
            ComponentDefinedType::Primitive(ty) => text.push_str(primitive(*ty)),
            ComponentDefinedType::List { element, .. } => generic("list", &[Some(*element)]),
            ComponentDefinedType::Map { key, value, .. } => generic("map", &[Some(*key), Some(*value)]),
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                generic("list", &[Some(*element)]);
                text.pop();
                let _ = write!(text, ", {length}>");
            }
            ComponentDefinedType::Tuple(tuple) => {
                generic("tuple", &tuple.types.iter().map(|ty| Some(*ty)).collect::<Vec<_>>());
            }
            ComponentDefinedType::Option { ty, .. } => generic("option", &[Some(*ty)]),
            ComponentDefinedType::Result { ok: None, err: None, .. } => text.push_str("result"),
            ComponentDefinedType::Result { ok, err: None, .. } => generic("result", &[*ok]),
            ComponentDefinedType::Result { ok, err, .. } => generic("result", &[*ok, *err]),
            ComponentDefinedType::Future { ty: None, .. } => text.push_str("future"),
            ComponentDefinedType::Stream { ty: None, .. } => text.push_str("stream"),
            ComponentDefinedType::Future { ty, .. } => generic("future", &[*ty]),
            ComponentDefinedType::Stream { ty, .. } => generic("stream", &[*ty]),
            ComponentDefinedType::Own(id) => text.push_str(self.resource(id.resource())),
            ComponentDefinedType::Borrow(id) => {
                let _ = write!(text, "borrow<{}>", self.resource(id.resource()));
            }
            ComponentDefinedType::Record(record) => {
                text.push_str("record { ");
                self.fields(text, record.fields.iter().map(|(name, ty)| (name.as_str(), Some(*ty))), ": ");
                text.push_str(" }");
            }
            ComponentDefinedType::Variant(_) => text.push_str("variant { … }"),
            ComponentDefinedType::Flags(_) => text.push_str("flags { … }"),
            ComponentDefinedType::Enum(_) => text.push_str("enum { … }"),
        }
    }

    fn resource(&self, id: ResourceId) -> &str {
        self.resources.get(&id).copied().unwrap_or("resource")
    }
}

/// Long texts are cut where nobody reads them any more.
fn cut(mut text: String) -> String {
    if text.len() > WIT_TEXT_BYTES {
        let end = (0..=WIT_TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether something of a text is left out.
#[must_use]
pub fn is_cut(text: &str) -> bool {
    text.contains('…')
}

fn primitive(ty: PrimitiveValType) -> &'static str {
    match ty {
        PrimitiveValType::Bool => "bool",
        PrimitiveValType::S8 => "s8",
        PrimitiveValType::U8 => "u8",
        PrimitiveValType::S16 => "s16",
        PrimitiveValType::U16 => "u16",
        PrimitiveValType::S32 => "s32",
        PrimitiveValType::U32 => "u32",
        PrimitiveValType::S64 => "s64",
        PrimitiveValType::U64 => "u64",
        PrimitiveValType::F32 => "f32",
        PrimitiveValType::F64 => "f64",
        PrimitiveValType::Char => "char",
        PrimitiveValType::String => "string",
        PrimitiveValType::ErrorContext => "error-context",
    }
}
