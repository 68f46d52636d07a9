//! What the host offers, matched against what the outermost component imports.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use abi::types::{FuncType, ResourceType, ValType};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentEntityType, ComponentFuncTypeId, ComponentInstanceTypeId,
};

use super::def::{Def, Frame, FuncDef, HostDef, InstanceDef};
use super::error::LinkError;
use super::link::Linker;
use super::linked::{Provider, ResourceInfo};
use super::parse::EntityIndex;
use super::resolve::Resolver;
use super::spaces::{bind, dangling};
use super::{name, offered_module};
use crate::host::{Import, Imports};

/// Finds what the host offers for one import of the root, and the name the host has it by.
pub(super) fn root_import(
    linker: &mut Linker<'_>,
    frame: &Rc<Frame>,
    name: &str,
    ty: EntityIndex,
) -> Result<(Def, String), LinkError> {
    let entity = frame.component.entity(ty).ok_or_else(|| dangling("import type"))?;
    let offers = linker.offers;
    let found = name::lookup(&offers.names, name);
    let offered = found.map_or(name, |(offered, _)| offered).to_owned();
    let def = import(linker, frame, name, entity, found.map(|(_, import)| import))?;
    Ok((def, offered))
}

fn import(
    linker: &mut Linker<'_>,
    frame: &Rc<Frame>,
    name: &str,
    entity: ComponentEntityType,
    offer: Option<&Import>,
) -> Result<Def, LinkError> {
    match (entity, offer) {
        (ComponentEntityType::Instance(id), Some(Import::Instance(offers))) => {
            instance(linker, frame, name, id, Some(offers))
        }
        (ComponentEntityType::Instance(id), None) => instance(linker, frame, name, id, None),
        (ComponentEntityType::Func(id), Some(Import::Func(func))) => {
            let ty = Resolver::new(frame).func(id)?;
            if let Some(offered) = func.ty().filter(|offered| !serves(offered, &ty)) {
                return Err(mismatch(name, &ty.to_string(), &offered.to_string()));
            }
            let host = HostDef { name: name.to_owned(), ty: Arc::new(ty), func: Arc::clone(func) };
            Ok(Def::Func(Rc::new(FuncDef::Host(host))))
        }
        (ComponentEntityType::Func(id), None) => missing_func(linker, frame, name, id),
        (ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. }, offer) => {
            let def = match (frame.resource(id.resource()), offer) {
                // An alias of a resource type that another import brought: it needs no offer, or the same one.
                (Some(known), None) => Def::Resource(known),
                (Some(known), Some(Import::Resource(resource))) if resource.ty == known => {
                    Def::Resource(known)
                }
                (Some(known), Some(Import::Resource(resource))) => {
                    let (expected, found) = (known.to_string(), resource.ty.to_string());
                    let found = format!("{found}: mismatched resource types");
                    return Err(mismatch(name, &expected, &found));
                }
                (_, offer) => resource(linker, name, offer)?,
            };
            linker.name_resource(&def, name);
            bind(frame, entity, &def);
            Ok(def)
        }
        (ComponentEntityType::Type { .. }, _) => Ok(Def::Type),
        (ComponentEntityType::Module(id), Some(Import::Module(library))) => {
            offered_module::check(linker.engine, frame.component.types.as_ref(), id, library)
                .map_err(|message| LinkError::Core { module: name.to_owned(), message })?;
            Ok(Def::Module(Arc::clone(library)))
        }
        (entity, Some(offer)) => Err(mismatch(name, kind(entity), offered_kind(offer))),
        (entity, None) => Err(LinkError::Missing { kind: kind(entity), name: name.to_owned() }),
    }
}

/// Whether a function of type `offered` serves imports of type `wanted`. What a host calls its parameters is its own
/// business.
fn serves(offered: &FuncType, wanted: &FuncType) -> bool {
    let types = |ty: &FuncType| ty.params.iter().map(|(_, ty)| ty.clone()).collect::<Vec<ValType>>();
    offered.is_async == wanted.is_async && offered.result == wanted.result && types(offered) == types(wanted)
}

fn instance(
    linker: &mut Linker<'_>,
    frame: &Rc<Frame>,
    name: &str,
    id: ComponentInstanceTypeId,
    offers: Option<&Imports>,
) -> Result<Def, LinkError> {
    let mut exports = BTreeMap::new();
    let items: Vec<_> = frame.component.types.as_ref()[id]
        .exports
        .iter()
        .map(|(name, item)| (name.clone(), item.ty))
        .collect();
    // An instance of nothing but types needs nobody.
    if offers.is_none() && !linker.lenient() && items.iter().any(|(_, ty)| runs(*ty)) {
        return Err(LinkError::Missing { kind: "instance", name: name.to_owned() });
    }
    for (export, ty) in items {
        let full = format!("{name}#{export}");
        let offer = offers.and_then(|offers| offers.names.get(&export));
        exports.insert(Box::from(export.as_str()), import(linker, frame, &full, ty, offer)?);
    }
    let provider = if offers.is_some() { Provider::Host } else { Provider::Missing };
    Ok(Def::Instance(Rc::new(InstanceDef { exports, provider })))
}

/// Whether an import of this type needs somebody who offers it.
fn runs(ty: ComponentEntityType) -> bool {
    match ty {
        ComponentEntityType::Type { created, .. } => matches!(created, ComponentAnyTypeId::Resource(_)),
        _ => true,
    }
}

fn missing_func(
    linker: &Linker<'_>,
    frame: &Rc<Frame>,
    name: &str,
    id: ComponentFuncTypeId,
) -> Result<Def, LinkError> {
    if let Some(stand_in) = &linker.offers.stand_in {
        let ty = Arc::new(Resolver::new(frame).func(id)?);
        let host = HostDef { name: name.to_owned(), ty, func: stand_in(name) };
        return Ok(Def::Func(Rc::new(FuncDef::Host(host))));
    }
    if !linker.options.missing_is_fault {
        return Err(LinkError::Missing { kind: "function", name: name.to_owned() });
    }
    Resolver::new(frame).func(id)?;
    Ok(Def::Func(Rc::new(FuncDef::Missing(name.to_owned()))))
}

fn resource(linker: &mut Linker<'_>, name: &str, offer: Option<&Import>) -> Result<Def, LinkError> {
    match offer {
        Some(Import::Resource(resource)) => {
            linker.host_resources.insert(resource.ty, resource.clone());
            Ok(Def::Resource(resource.ty))
        }
        Some(offer) => Err(mismatch(name, "resource", offered_kind(offer))),
        None if linker.lenient() => {
            let number = u32::try_from(linker.resources.len()).map_err(|_| dangling("resource type"))?;
            linker.resources.push(ResourceInfo { place: None, dtor: None });
            Ok(Def::Resource(ResourceType(number)))
        }
        None => Err(LinkError::Missing { kind: "resource", name: name.to_owned() }),
    }
}

fn mismatch(name: &str, expected: &str, found: &str) -> LinkError {
    LinkError::Mismatch { name: name.to_owned(), expected: expected.to_owned(), found: found.to_owned() }
}

fn kind(entity: ComponentEntityType) -> &'static str {
    match entity {
        ComponentEntityType::Module(_) => "module",
        ComponentEntityType::Func(_) => "function",
        ComponentEntityType::Value(_) => "value",
        ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => "resource",
        ComponentEntityType::Type { .. } => "type",
        ComponentEntityType::Instance(_) => "instance",
        ComponentEntityType::Component(_) => "component",
    }
}

fn offered_kind(offer: &Import) -> &'static str {
    match offer {
        Import::Func(_) => "function",
        Import::Instance(_) => "instance",
        Import::Resource(_) => "resource",
        Import::Module(_) => "module",
    }
}
