//! The outer component: imports of the system, the parts as nested components, their instances, the exports.
//!
//! ```text
//! types and imports of the system, each once
//! component … component            the parts' bytes, each once
//! instance, instance, …            one a process, in start order; arguments are imports and earlier instances' exports
//! exports
//! names                            of the instances: the processes' names
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentExportKind, ComponentExportSection,
    ComponentImportSection, ComponentInstanceSection, ComponentNameSection, ComponentOuterAliasKind,
    ComponentSectionId, ComponentTypeEncoder, ComponentTypeRef, ComponentTypeSection, InstanceType, NameMap,
    RawSection, TypeBounds,
};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedTypeId, ComponentEntityType, ComponentInstanceTypeId,
};

use super::contrast::{Identities, Identity, Side};
use super::face::{kind, resource};
use super::outside::{Outside, SystemItem};
use super::parts::{ComposeError, Export, Part, Source};
use super::type_writer::{self, Known, Space, Unseen};

/// Writes the outer component. The parts have been compared.
///
/// # Errors
/// An import of a kind that cannot be passed on.
pub fn write(
    name: &str,
    parts: &[Part],
    exports: &[Export],
    outside: &Outside,
    identities: &[Identities],
) -> Result<Vec<u8>, ComposeError> {
    let mut outer = Outer {
        parts,
        outside,
        identities,
        component: Component::new(),
        counts: Counts::default(),
        known: Known::new(),
        system: Vec::new(),
        processes: Vec::new(),
        components: Vec::new(),
        aliases: HashMap::new(),
    };
    for import in 0..outside.imports.len() {
        outer.import(import)?;
    }
    for part in 0..parts.len() {
        outer.instantiate(part)?;
    }
    for export in exports {
        outer.export(export)?;
    }
    Ok(outer.finish(name))
}

/// How far each index space has been filled.
#[derive(Default)]
struct Counts {
    types: u32,
    instances: u32,
    funcs: u32,
    components: u32,
}

struct Outer<'a> {
    parts: &'a [Part],
    outside: &'a Outside,
    identities: &'a [Identities],
    component: Component,
    counts: Counts,
    known: Known,
    /// The instances that the system's imports are.
    system: Vec<u32>,
    /// The instances that the parts are.
    processes: Vec<u32>,
    /// The components that are there, and their indices.
    components: Vec<(Arc<[u8]>, u32)>,
    /// Exports of instances that have an index already.
    aliases: HashMap<(u32, String), u32>,
}

impl<'a> Outer<'a> {
    fn side(&self, part: usize) -> Side<'a> {
        Side { part, face: &self.parts[part].face, identities: &self.identities[part] }
    }

    /// An import of the system.
    fn import(&mut self, import: usize) -> Result<(), ComposeError> {
        let outside = self.outside;
        let wanted = &outside.imports[import];
        let mut within = Within {
            ty: InstanceType::new(),
            known: Known::new(),
            local: HashMap::new(),
            import,
            outer: self,
        };
        for item in &wanted.items {
            within.item(item).map_err(|Unwritable { part, what }| match what {
                Some(what) => ComposeError::Unsupported { part, import: wanted.name.clone(), what },
                None => ComposeError::Unseen { part, import: wanted.name.clone() },
            })?;
        }
        let ty = within.ty;
        let index = self.define(&mut |encoder| encoder.instance(&ty));
        let mut section = ComponentImportSection::new();
        section.import(&wanted.name, ComponentTypeRef::Instance(index));
        self.component.section(&section);
        let instance = self.next(ComponentExportKind::Instance);
        self.system.push(instance);
        Ok(())
    }

    /// The next index of a kind of thing.
    fn next(&mut self, kind: ComponentExportKind) -> u32 {
        let counts = &mut self.counts;
        let count = match kind {
            ComponentExportKind::Instance => &mut counts.instances,
            ComponentExportKind::Func => &mut counts.funcs,
            ComponentExportKind::Component => &mut counts.components,
            // Nothing else is made here.
            _ => &mut counts.types,
        };
        *count += 1;
        *count - 1
    }

    /// An export of an instance, by an index of its own.
    fn alias(&mut self, instance: u32, kind: ComponentExportKind, name: &str) -> u32 {
        let key = (instance, name.to_owned());
        if let Some(index) = self.aliases.get(&key) {
            return *index;
        }
        let mut section = ComponentAliasSection::new();
        section.alias(Alias::InstanceExport { instance, kind, name });
        self.component.section(&section);
        let index = self.next(kind);
        self.aliases.insert(key, index);
        index
    }

    fn instantiate(&mut self, number: usize) -> Result<(), ComposeError> {
        let part = &self.parts[number];
        let component = self.embed(part);
        let mut args = Vec::new();
        for (entity, source) in part.face.imports.iter().zip(&part.sources) {
            let unseen = || ComposeError::Unseen { part: number, import: entity.name.clone() };
            let (kind, index) = match source {
                Source::System => {
                    let import = self.outside.find(&entity.name).and_then(|import| self.system.get(import));
                    (ComponentExportKind::Instance, *import.ok_or_else(unseen)?)
                }
                Source::Part { part, export } => {
                    let instance = *self.processes.get(*part).ok_or_else(unseen)?;
                    let kind = passed(entity.ty).ok_or_else(|| ComposeError::Unsupported {
                        part: number,
                        import: entity.name.clone(),
                        what: kind(entity.ty),
                    })?;
                    (kind, self.alias(instance, kind, export))
                }
                Source::Types => self.types(number, entity.ty).map_err(|Unseen| unseen())?,
            };
            args.push((entity.name.as_str(), kind, index));
        }
        let mut section = ComponentInstanceSection::new();
        section.instantiate(component, args);
        self.component.section(&section);
        let instance = self.next(ComponentExportKind::Instance);
        self.processes.push(instance);
        Ok(())
    }

    /// The component of a part, which it may share with others.
    fn embed(&mut self, part: &Part) -> u32 {
        let known = self.components.iter().find(|(bytes, _)| Arc::ptr_eq(bytes, &part.bytes));
        if let Some((_, index)) = known {
            return *index;
        }
        self.component.section(&RawSection { id: ComponentSectionId::Component.into(), data: &part.bytes });
        let index = self.next(ComponentExportKind::Component);
        self.components.push((Arc::clone(&part.bytes), index));
        index
    }

    /// An import that nobody has to serve: the types are written out, in this part's words.
    fn types(&mut self, part: usize, ty: ComponentEntityType) -> Result<(ComponentExportKind, u32), Unseen> {
        match ty {
            ComponentEntityType::Instance(id) => Ok((ComponentExportKind::Instance, self.bundle(part, id)?)),
            ty => Ok((ComponentExportKind::Type, self.ty(part, ty)?)),
        }
    }

    fn bundle(&mut self, part: usize, id: ComponentInstanceTypeId) -> Result<u32, Unseen> {
        let side = self.side(part);
        let mut items = Vec::new();
        for (name, ty) in side.face.items(id) {
            items.push((name, ComponentExportKind::Type, self.ty(part, ty)?));
        }
        let mut section = ComponentInstanceSection::new();
        section.export_items(items);
        self.component.section(&section);
        Ok(self.next(ComponentExportKind::Instance))
    }

    fn ty(&mut self, part: usize, ty: ComponentEntityType) -> Result<u32, Unseen> {
        let side = self.side(part);
        match ty {
            ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(id), .. } => {
                type_writer::defined(self, side, id)
            }
            ty => self.resource(side.identity(resource(ty).ok_or(Unseen)?)),
        }
    }

    fn export(&mut self, export: &Export) -> Result<(), ComposeError> {
        let dangling = || ComposeError::Dangling { part: export.part, import: export.export.clone() };
        let ty = self.parts.get(export.part).and_then(|part| part.face.export(&export.export));
        let kind = ty.and_then(passed).ok_or_else(dangling)?;
        let instance = self.processes[export.part];
        let index = self.alias(instance, kind, &export.export);
        let mut section = ComponentExportSection::new();
        section.export(&export.name, kind, index, None);
        self.component.section(&section);
        // What is exported gets another index.
        self.next(kind);
        Ok(())
    }

    fn finish(mut self, name: &str) -> Vec<u8> {
        let mut names = ComponentNameSection::new();
        names.component(name);
        let mut components = NameMap::new();
        for (bytes, index) in &self.components {
            let part = self.parts.iter().find(|part| Arc::ptr_eq(&part.bytes, bytes));
            components.append(*index, part.map_or("", |part| &part.component));
        }
        names.components(&components);
        let mut instances = NameMap::new();
        for (part, index) in self.parts.iter().zip(&self.processes) {
            instances.append(*index, &part.name);
        }
        names.instances(&instances);
        self.component.section(&names);
        self.component.finish()
    }
}

/// What an import or export is passed on as, if it can be.
fn passed(ty: ComponentEntityType) -> Option<ComponentExportKind> {
    match ty {
        ComponentEntityType::Instance(_) => Some(ComponentExportKind::Instance),
        ComponentEntityType::Func(_) => Some(ComponentExportKind::Func),
        ComponentEntityType::Type { .. } => Some(ComponentExportKind::Type),
        _ => None,
    }
}

impl Space for Outer<'_> {
    fn define(&mut self, write: &mut dyn FnMut(ComponentTypeEncoder<'_>)) -> u32 {
        let mut section = ComponentTypeSection::new();
        write(section.ty());
        self.component.section(&section);
        self.next(ComponentExportKind::Type)
    }

    fn resource(&mut self, identity: Identity) -> Result<u32, Unseen> {
        match identity {
            Identity::System(class) => {
                let (import, name) = self.outside.resources.get(&class).ok_or(Unseen)?;
                let instance = *self.system.get(*import).ok_or(Unseen)?;
                Ok(self.alias(instance, ComponentExportKind::Type, name))
            }
            Identity::Of(part, id) => {
                let instance = *self.processes.get(part).ok_or(Unseen)?;
                let face = &self.parts[part].face;
                for export in &face.exports {
                    if resource(export.ty) == Some(id) {
                        return Ok(self.alias(instance, ComponentExportKind::Type, &export.name));
                    }
                    let ComponentEntityType::Instance(interface) = export.ty else { continue };
                    let found = face.items(interface).find(|(_, ty)| resource(*ty) == Some(id));
                    if let Some((name, _)) = found {
                        let interface = self.alias(instance, ComponentExportKind::Instance, &export.name);
                        return Ok(self.alias(interface, ComponentExportKind::Type, name));
                    }
                }
                Err(Unseen)
            }
        }
    }

    /// Written out: nothing that is made here is an import.
    fn named(&mut self, _: usize, _: ComponentDefinedTypeId) -> Option<u32> {
        None
    }

    fn known(&mut self) -> &mut Known {
        &mut self.known
    }
}

/// The type of one import of the system while it is written.
struct Within<'o, 'a> {
    ty: InstanceType,
    known: Known,
    /// Indices of the resource types that have one here.
    local: HashMap<usize, u32>,
    import: usize,
    outer: &'o mut Outer<'a>,
}

/// An item that cannot be written: whose, and what it is if that is the reason.
struct Unwritable {
    part: usize,
    what: Option<&'static str>,
}

impl Within<'_, '_> {
    fn item(&mut self, item: &SystemItem) -> Result<(), Unwritable> {
        let (part, ty) = item.seen[0];
        let side = self.outer.side(part);
        let unseen = |Unseen| Unwritable { part, what: None };
        match ty {
            ComponentEntityType::Func(id) => {
                let index = type_writer::func(self, side, id).map_err(unseen)?;
                self.ty.export(&item.name, ComponentTypeRef::Func(index));
            }
            // What it refers to: that may be a type of another interface.
            ComponentEntityType::Type { referenced: ComponentAnyTypeId::Defined(id), .. } => {
                let index = type_writer::defined(self, side, id).map_err(unseen)?;
                let exported = self.name(&item.name, TypeBounds::Eq(index));
                for (part, ty) in &item.seen {
                    type_writer::note(self, *part, *ty, exported);
                }
            }
            ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(_), .. } => {
                let class = item.resource.ok_or(Unwritable { part, what: None })?;
                let here = self
                    .outer
                    .outside
                    .resources
                    .get(&class)
                    .is_some_and(|(import, _)| *import == self.import);
                let bounds = match here && !self.local.contains_key(&class) {
                    true => TypeBounds::SubResource,
                    false => TypeBounds::Eq(self.resource(Identity::System(class)).map_err(unseen)?),
                };
                let index = self.name(&item.name, bounds);
                self.local.insert(class, index);
            }
            ty => return Err(Unwritable { part, what: Some(kind(ty)) }),
        }
        Ok(())
    }

    /// Exports a type; what it is exported as has an index of its own.
    fn name(&mut self, name: &str, bounds: TypeBounds) -> u32 {
        self.ty.export(name, ComponentTypeRef::Type(bounds));
        self.ty.type_count() - 1
    }
}

impl Space for Within<'_, '_> {
    fn define(&mut self, write: &mut dyn FnMut(ComponentTypeEncoder<'_>)) -> u32 {
        write(self.ty.ty());
        self.ty.type_count() - 1
    }

    fn resource(&mut self, identity: Identity) -> Result<u32, Unseen> {
        let Identity::System(class) = identity else { return Err(Unseen) };
        if let Some(index) = self.local.get(&class) {
            return Ok(*index);
        }
        let (import, _) = self.outer.outside.resources.get(&class).ok_or(Unseen)?;
        if *import >= self.import {
            return Err(Unseen);
        }
        let index = self.outer.resource(identity)?;
        self.ty.alias(Alias::Outer { kind: ComponentOuterAliasKind::Type, count: 1, index });
        let index = self.ty.type_count() - 1;
        self.local.insert(class, index);
        Ok(index)
    }

    fn named(&mut self, part: usize, id: ComponentDefinedTypeId) -> Option<u32> {
        let (import, name) = self.outer.outside.names.get(&(part, id))?;
        let instance = *self.outer.system.get(*import).filter(|_| *import < self.import)?;
        let index = self.outer.alias(instance, ComponentExportKind::Type, name);
        self.ty.alias(Alias::Outer { kind: ComponentOuterAliasKind::Type, count: 1, index });
        Some(self.ty.type_count() - 1)
    }

    fn known(&mut self) -> &mut Known {
        &mut self.known
    }
}
