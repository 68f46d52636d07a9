//! Whether a core module that the host offers is of the type that a component imports.
//!
//! Validation knows the imported type only, and everything after linking relies on it: a function that is lifted is
//! called by its declared signature. So this is the one place where a module's own types are looked at again.

use wasmparser::component_types::ComponentCoreModuleTypeId;
use wasmparser::types::{CoreTypeId, EntityType, TypesRef};

use crate::instance::matching::matches;
use crate::jit::engine::Engine;
use crate::jit::library::Library;
use crate::jit::module::{Entity, ImportType, Module};
use crate::jit::sections;
use crate::jit::sig::SigId;
use crate::jit::valtype::{CoreFuncType, GlobalType, TableType, ValType};

/// Checks that `library`, of this engine, has all exports of the imported type and needs no import that the type lacks.
///
/// # Errors
/// The first item that is missing or has another type, in the field's words.
pub(super) fn check(
    engine: &Engine,
    types: TypesRef<'_>,
    wanted: ComponentCoreModuleTypeId,
    library: &Library,
) -> Result<(), String> {
    let wanted = &types[wanted];
    let module = &library.module;
    for (name, ty) in &wanted.exports {
        let found = module.export(name).ok_or_else(|| format!("module export `{name}` not defined"))?;
        let fits = declared(engine, types, ty).is_some_and(|ty| matches(&own(module, found), &ty));
        if !fits {
            return Err(format!("module export `{name}` has the wrong type"));
        }
    }
    for import in &module.imports {
        let name = (import.module.clone(), import.name.clone());
        let Some(given) = wanted.imports.get(&name) else {
            return Err(format!("module import `{}::{}` not defined", name.0, name.1));
        };
        if !declared(engine, types, given).is_some_and(|given| matches(&given, &import.ty)) {
            return Err(format!("module import `{}::{}` has the wrong type", name.0, name.1));
        }
    }
    Ok(())
}

/// The type of a module's own item.
fn own(module: &Module, entity: Entity) -> ImportType {
    match entity {
        Entity::Func(index) => ImportType::Func(module.func_sig(index)),
        Entity::Table(index) => ImportType::Table(module.tables[index as usize]),
        Entity::Memory(index) => ImportType::Memory(module.memories[index as usize]),
        Entity::Global(index) => ImportType::Global(module.globals[index as usize]),
        Entity::Tag(index) => ImportType::Tag(module.tag_sig(index)),
    }
}

/// A declared type in the kernel's form; none if it refers to types of its own, which nothing here compares.
fn declared(engine: &Engine, types: TypesRef<'_>, ty: &EntityType) -> Option<ImportType> {
    let value = |ty: wasmparser::ValType| sections::val_type(&[], ty);
    let signature = |id: CoreTypeId| -> Option<SigId> {
        let wasmparser::CompositeInnerType::Func(func) = &types.get(id)?.composite_type.inner else {
            return None;
        };
        let list = |types: &[wasmparser::ValType]| {
            types.iter().map(|ty| value(*ty)).collect::<Option<Box<[ValType]>>>()
        };
        Some(engine.intern(&CoreFuncType { params: list(func.params())?, results: list(func.results())? }))
    };
    Some(match ty {
        EntityType::Func(id) | EntityType::FuncExact(id) => ImportType::Func(signature(*id)?),
        EntityType::Tag(id) => ImportType::Tag(signature(*id)?),
        EntityType::Table(ty) => ImportType::Table(TableType {
            element: sections::ref_type(&[], ty.element_type)?,
            minimum: ty.initial,
            maximum: ty.maximum,
            table64: ty.table64,
        }),
        EntityType::Memory(ty) => ImportType::Memory(sections::memory_type(ty)),
        EntityType::Global(ty) => {
            ImportType::Global(GlobalType { ty: value(ty.content_type)?, mutable: ty.mutable })
        }
    })
}
