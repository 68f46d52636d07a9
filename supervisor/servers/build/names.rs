//! How one module refers to the types of another.

use wit_parser::{Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

use super::World;
use super::casing::{camel, snake};

/// Where code is being written.
pub struct Scope<'w> {
    /// The whole.
    pub world: &'w World<'w>,
    /// The interface.
    pub interface: InterfaceId,
    /// Its module, from the root of the generated code.
    pub path: &'w [String],
}

/// The module of an interface: namespace, package, interface; or the one name it is imported by.
pub fn module(resolve: &Resolve, interface: InterfaceId, name: &str) -> Vec<String> {
    let interface = &resolve.interfaces[interface];
    match (interface.package, &interface.name) {
        (Some(package), Some(name)) => {
            let package = &resolve.packages[package].name;
            vec![snake(&package.namespace), snake(&package.name), snake(name)]
        }
        _ => vec![snake(name)],
    }
}

impl Scope<'_> {
    /// A WIT type as a Rust type.
    pub fn rust(&self, ty: &Type) -> Result<String, String> {
        Ok(match ty {
            Type::Bool => "bool".into(),
            Type::U8 => "u8".into(),
            Type::U16 => "u16".into(),
            Type::U32 => "u32".into(),
            Type::U64 => "u64".into(),
            Type::S8 => "i8".into(),
            Type::S16 => "i16".into(),
            Type::S32 => "i32".into(),
            Type::S64 => "i64".into(),
            Type::F32 => "f32".into(),
            Type::F64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => "String".into(),
            Type::ErrorContext => return Err("`error-context` is not supported".into()),
            Type::Id(id) => self.rust_of(*id)?,
        })
    }

    /// A payload or result that may be absent.
    pub fn rust_or_unit(&self, ty: Option<&Type>) -> Result<String, String> {
        ty.map_or(Ok("()".into()), |ty| self.rust(ty))
    }

    /// A defined type as a Rust type: by its name if it has one.
    pub fn rust_of(&self, id: TypeId) -> Result<String, String> {
        let def = &self.world.resolve.types[id];
        match &def.name {
            Some(name) => self.named(id, name),
            None => self.shape(&def.kind),
        }
    }

    /// The path to a named type.
    fn named(&self, id: TypeId, name: &str) -> Result<String, String> {
        let owner = match self.world.resolve.types[id].owner {
            TypeOwner::Interface(owner) if owner == self.interface => return Ok(camel(name)),
            TypeOwner::Interface(owner) => owner,
            TypeOwner::World(_) | TypeOwner::None => {
                return Err(format!("type `{name}` belongs to no interface"));
            }
        };
        let imported = self.world.interfaces.iter().find(|(id, _)| *id == owner);
        let (_, import) =
            imported.ok_or_else(|| format!("type `{name}` is of an interface that is not imported"))?;
        Ok(format!(
            "{}{}::{}",
            self.root(),
            module(self.world.resolve, owner, import).join("::"),
            camel(name)
        ))
    }

    /// The path from this module to the root of the generated code.
    pub fn root(&self) -> String {
        "super::".repeat(self.path.len())
    }

    /// A type by what it is made of.
    pub fn shape(&self, kind: &TypeDefKind) -> Result<String, String> {
        Ok(match kind {
            TypeDefKind::Handle(Handle::Own(resource)) => format!("typed::Own<{}>", self.rust_of(*resource)?),
            TypeDefKind::Handle(Handle::Borrow(resource)) => {
                format!("typed::Borrow<{}>", self.rust_of(*resource)?)
            }
            TypeDefKind::Option(some) => format!("Option<{}>", self.rust(some)?),
            TypeDefKind::Result(result) => {
                let ok = self.rust_or_unit(result.ok.as_ref())?;
                format!("Result<{ok}, {}>", self.rust_or_unit(result.err.as_ref())?)
            }
            TypeDefKind::List(elem) => format!("Vec<{}>", self.rust(elem)?),
            TypeDefKind::Tuple(tuple) => {
                let types: Result<Vec<_>, _> = tuple.types.iter().map(|ty| self.rust(ty)).collect();
                format!("({},)", types?.join(", "))
            }
            TypeDefKind::Type(ty) => self.rust(ty)?,
            other => return Err(format!("`{}` is not supported here", other.as_str())),
        })
    }

    /// Whether values of a type own something, so that they cannot be copied.
    pub fn has_handle(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else { return false };
        match &self.world.resolve.types[*id].kind {
            TypeDefKind::Handle(_) | TypeDefKind::Resource => true,
            TypeDefKind::Record(record) => record.fields.iter().any(|field| self.has_handle(&field.ty)),
            TypeDefKind::Variant(variant) => {
                variant.cases.iter().filter_map(|case| case.ty.as_ref()).any(|ty| self.has_handle(ty))
            }
            TypeDefKind::Tuple(tuple) => tuple.types.iter().any(|ty| self.has_handle(ty)),
            TypeDefKind::Option(ty) | TypeDefKind::List(ty) | TypeDefKind::Type(ty) => self.has_handle(ty),
            TypeDefKind::Result(result) => {
                [&result.ok, &result.err].into_iter().flatten().any(|ty| self.has_handle(ty))
            }
            _ => false,
        }
    }

    /// The type behind aliases.
    pub fn resolved(&self, mut id: TypeId) -> TypeId {
        while let TypeDefKind::Type(Type::Id(next)) = self.world.resolve.types[id].kind {
            id = next;
        }
        id
    }
}
