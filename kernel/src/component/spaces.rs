//! The index spaces of a component while it is being linked: looking things up and adding to them.

use std::collections::BTreeMap;
use std::rc::Rc;

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentOuterAliasKind, ExternalKind};

use super::def::{CoreInstanceDef, Def, Frame, InstanceDef, Spaces};
use super::error::LinkError;
use super::linked::{CoreDef, Provider};
use super::parse::{EntityIndex, Sort};

pub(super) fn named(names: &[(u32, Box<str>)], index: usize) -> Option<Box<str>> {
    names.iter().find(|(at, _)| *at as usize == index).map(|(_, name)| name.clone())
}

/// Validation promises that this cannot happen; a broken promise is an error, not a panic.
pub(super) fn dangling(what: &str) -> LinkError {
    LinkError::Unsupported(format!(
        "a reference to a {what} that validation accepted but linking cannot find"
    ))
}

pub(super) fn at<T: Clone>(space: &[T], index: u32) -> Result<T, LinkError> {
    space.get(index as usize).cloned().ok_or_else(|| dangling("definition"))
}

pub(super) fn ty_entity(frame: &Frame, index: u32) -> ComponentEntityType {
    let id = frame.component.types.as_ref().component_any_type_at(index);
    ComponentEntityType::Type { referenced: id, created: id }
}

/// Adds a definition to its index space, and learns what the resource types in it are.
pub(super) fn push(
    frame: &Rc<Frame>,
    sort: Sort,
    def: Def,
    name: &str,
    ty: EntityIndex,
) -> Result<(), LinkError> {
    if let Some(entity) = frame.component.entity(ty) {
        bind(frame, entity, &def);
    }
    let mut spaces = frame.spaces.borrow_mut();
    match (sort, def) {
        (Sort::Func, Def::Func(func)) => spaces.funcs.push((func, Rc::from(name))),
        (Sort::Instance, Def::Instance(instance)) => spaces.instances.push((instance, Rc::from(name))),
        (Sort::Module, Def::Module(library)) => spaces.modules.push(library),
        (Sort::Component, Def::Component(component)) => spaces.components.push(component),
        (Sort::Type, Def::Resource(_) | Def::Type) => {}
        _ => return Err(LinkError::Unsupported(format!("`{name}`: component-level values"))),
    }
    Ok(())
}

/// Notes which resource type each resource id in `entity` is, by walking it beside the definition it describes.
pub(super) fn bind(frame: &Frame, entity: ComponentEntityType, def: &Def) {
    match (entity, def) {
        (ComponentEntityType::Type { referenced, created }, Def::Resource(ty)) => {
            let mut spaces = frame.spaces.borrow_mut();
            for id in [referenced, created] {
                if let ComponentAnyTypeId::Resource(id) = id {
                    spaces.resources.insert(id.resource(), *ty);
                }
            }
        }
        (ComponentEntityType::Instance(id), Def::Instance(instance)) => {
            let types: TypesRef<'_> = frame.component.types.as_ref();
            for (name, item) in &types[id].exports {
                if let Some(def) = instance.exports.get(name.as_str()) {
                    bind(frame, item.ty, def);
                }
            }
        }
        _ => {}
    }
}

pub(super) fn outer(
    frame: &Rc<Frame>,
    kind: ComponentOuterAliasKind,
    depth: u32,
    index: u32,
) -> Result<(), LinkError> {
    let source = frame.out(depth).ok_or_else(|| dangling("outer component"))?;
    match kind {
        ComponentOuterAliasKind::CoreModule => {
            let library = at(&source.spaces.borrow().modules, index)?;
            frame.spaces.borrow_mut().modules.push(library);
        }
        ComponentOuterAliasKind::Component => {
            let component = at(&source.spaces.borrow().components, index)?;
            frame.spaces.borrow_mut().components.push(component);
        }
        // Types need no place of their own: validation's index says it all.
        ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
    }
    Ok(())
}

impl Spaces {
    pub fn core(&self, kind: ExternalKind) -> Result<&[CoreDef], LinkError> {
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &self.core_funcs,
            ExternalKind::Table => &self.core_tables,
            ExternalKind::Memory => &self.core_memories,
            ExternalKind::Global => &self.core_globals,
            ExternalKind::Tag => &self.core_tags,
        })
    }

    pub fn core_mut(&mut self, kind: ExternalKind) -> Result<&mut Vec<CoreDef>, LinkError> {
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => &mut self.core_funcs,
            ExternalKind::Table => &mut self.core_tables,
            ExternalKind::Memory => &mut self.core_memories,
            ExternalKind::Global => &mut self.core_globals,
            ExternalKind::Tag => &mut self.core_tags,
        })
    }

    pub fn def(&self, frame: &Frame, sort: Sort, index: u32) -> Result<Def, LinkError> {
        Ok(match sort {
            Sort::Func => Def::Func(at(&self.funcs, index)?.0),
            Sort::Instance => Def::Instance(at(&self.instances, index)?.0),
            Sort::Module => Def::Module(at(&self.modules, index)?),
            Sort::Component => Def::Component(at(&self.components, index)?),
            Sort::Type => match frame.component.types.as_ref().component_any_type_at(index) {
                ComponentAnyTypeId::Resource(id) => {
                    let known = self.resources.get(&id.resource()).copied();
                    let known = known.or_else(|| frame.outer.as_ref()?.resource(id.resource()));
                    Def::Resource(known.ok_or_else(|| dangling("resource type"))?)
                }
                _ => Def::Type,
            },
            Sort::Value => return Err(LinkError::Unsupported("component-level values".to_owned())),
        })
    }
}

/// An instance put together from other definitions. It is whoever's its first running part is.
pub(super) fn bundle(frame: &Frame, parts: &[(Box<str>, Sort, u32)]) -> Result<InstanceDef, LinkError> {
    let spaces = frame.spaces.borrow();
    let exports = parts
        .iter()
        .map(|(name, sort, index)| Ok((name.clone(), spaces.def(frame, *sort, *index)?)))
        .collect::<Result<BTreeMap<_, _>, LinkError>>()?;
    let running = exports.values().map(Def::provider).find(|provider| *provider != Provider::Static);
    Ok(InstanceDef { exports, provider: running.unwrap_or(Provider::Static) })
}

impl CoreInstanceDef {
    pub fn export(&self, name: &str) -> Result<CoreDef, LinkError> {
        match self {
            CoreInstanceDef::Launched(instance, library) => {
                let entity = library.module.export(name).ok_or_else(|| dangling("core export"))?;
                Ok(CoreDef::Export { instance: *instance, entity })
            }
            CoreInstanceDef::Bundle(bundle) => {
                bundle.get(name).cloned().ok_or_else(|| dangling("core instance export"))
            }
        }
    }
}
