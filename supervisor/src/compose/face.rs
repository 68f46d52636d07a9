//! The face of a component: what it imports and exports, with types. Function bodies are not looked at.

use std::fmt;

use kernel::component::executable::features;
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentEntityType, ComponentInstanceTypeId, ResourceId,
};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{Encoding, Parser, Payload, ValidPayload, Validator};

/// What a component shows to those around it.
pub struct Face {
    types: Types,
    /// What it imports, in its order.
    pub imports: Vec<Entity>,
    /// What it exports, in its order.
    pub exports: Vec<Entity>,
}

/// One import or export.
#[derive(Clone, Debug)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// Its type, in the types of its component.
    pub ty: ComponentEntityType,
}

impl fmt::Debug for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Face")
            .field("imports", &self.imports)
            .field("exports", &self.exports)
            .finish_non_exhaustive()
    }
}

/// Why bytes have no face.
#[derive(Debug, thiserror::Error)]
pub enum FaceError {
    /// A core module, or nothing at all.
    #[error("not a component")]
    NotAComponent,
    /// Invalid.
    #[error("{message} (at offset {offset:#x})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Bytes from the beginning.
        offset: u64,
    },
}

impl From<wasmparser::BinaryReaderError> for FaceError {
    fn from(error: wasmparser::BinaryReaderError) -> FaceError {
        FaceError::Invalid { message: error.message().to_owned(), offset: error.offset() }
    }
}

impl Face {
    /// Reads the face of a component, and validates everything but function bodies.
    ///
    /// # Errors
    /// The bytes are no component, or an invalid one.
    pub fn read(bytes: &[u8]) -> Result<Face, FaceError> {
        let mut validator = Validator::new_with_features(features());
        let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            let valid = validator.payload(&payload)?;
            match payload {
                Payload::Version { encoding, .. } => {
                    if depth == 0 && encoding == Encoding::Module {
                        return Err(FaceError::NotAComponent);
                    }
                    depth += 1;
                }
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::End(_) => {
                    depth = depth.saturating_sub(1);
                    if let (0, ValidPayload::End(types)) = (depth, valid) {
                        return Ok(Face::of(types, imports, exports));
                    }
                }
                _ => {}
            }
        }
        Err(FaceError::NotAComponent)
    }

    fn of(types: Types, imports: Vec<String>, exports: Vec<String>) -> Face {
        let found = types.as_ref();
        let entity = |name: String, ty: Option<ComponentEntityType>| Some(Entity { name, ty: ty? });
        let imported = |name: String| {
            let ty = found.component_item_for_import(&name).map(|item| item.ty);
            entity(name, ty)
        };
        let exported = |name: String| {
            let ty = found.component_item_for_export(&name).map(|item| item.ty);
            entity(name, ty)
        };
        let imports = imports.into_iter().filter_map(imported).collect();
        let exports = exports.into_iter().filter_map(exported).collect();
        Face { types, imports, exports }
    }

    /// What the types of its imports and exports mean.
    #[must_use]
    pub fn types(&self) -> TypesRef<'_> {
        self.types.as_ref()
    }

    /// The type of an export.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<ComponentEntityType> {
        self.exports.iter().find(|export| export.name == name).map(|export| export.ty)
    }

    /// The items of an instance.
    pub fn items(&self, id: ComponentInstanceTypeId) -> impl Iterator<Item = (&str, ComponentEntityType)> {
        let instance = self.types().get(id);
        instance
            .into_iter()
            .flat_map(|instance| &instance.exports)
            .map(|(name, item)| (name.as_str(), item.ty))
    }

    /// Whether an import needs somebody who does something: it is more than types.
    #[must_use]
    pub fn runs(&self, import: usize) -> bool {
        // A resource type is somebody's; but an import that has it by another name needs nobody more for it.
        let first = |id: ResourceId| {
            let owner = self.resources_of_imports().find(|(_, _, found)| *found == id);
            owner.is_none_or(|(number, _, _)| number == import)
        };
        let needs = |ty: ComponentEntityType| match ty {
            ComponentEntityType::Type { .. } => resource(ty).is_some_and(first),
            _ => true,
        };
        match self.imports.get(import).map(|import| import.ty) {
            Some(ComponentEntityType::Instance(id)) => self.items(id).any(|(_, item)| needs(item)),
            Some(ty) => needs(ty),
            None => false,
        }
    }

    /// Every resource type of an imported instance: the import's number, its name in the instance, which it is.
    pub fn resources_of_imports(&self) -> impl Iterator<Item = (usize, &str, ResourceId)> {
        self.imports.iter().enumerate().flat_map(move |(number, import)| {
            let items = match import.ty {
                ComponentEntityType::Instance(id) => Some(self.items(id)),
                _ => None,
            };
            let resources = items.into_iter().flatten().filter_map(|(name, ty)| Some((name, resource(ty)?)));
            resources.map(move |(name, id)| (number, name, id))
        })
    }
}

/// The resource type that an item is, if it is one.
#[must_use]
pub fn resource(ty: ComponentEntityType) -> Option<ResourceId> {
    match ty {
        ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } => Some(id.resource()),
        _ => None,
    }
}

/// What a person calls this kind of thing.
#[must_use]
pub fn kind(ty: ComponentEntityType) -> &'static str {
    match ty {
        ComponentEntityType::Module(_) => "core module",
        ComponentEntityType::Func(_) => "function",
        ComponentEntityType::Value(_) => "value",
        ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => "resource",
        ComponentEntityType::Type { .. } => "type",
        ComponentEntityType::Instance(_) => "interface",
        ComponentEntityType::Component(_) => "component",
    }
}
