//! What parts import of the system: each interface once, with all that any of them asks of it.
//!
//! The parts were made by different people at different times: one asks for `wasi:io/streams@0.2.0`, the other for three
//! more functions of `@0.2.6`. Both get the one of the system, and a stream that one gives to the other stays a stream.

use std::collections::{HashMap, HashSet};

use kernel::component::name::{compatible, version};
use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedTypeId, ComponentEntityType, ComponentInstanceTypeId, ResourceId,
};

use super::contrast::{Difference, Identities, Identity, Side, contrast_item};
use super::face::{Face, resource};

/// The interfaces of the system that the parts use together.
#[derive(Debug, Default)]
pub struct Outside {
    /// Each once, in an order in which none needs a later one.
    pub imports: Vec<SystemImport>,
    /// By resource type, a number of [`Identity::System`]: the import that brings it, and its name there.
    pub resources: HashMap<usize, (usize, String)>,
    /// By value type of a part: the import that has a name for it first, and that name.
    pub names: HashMap<(usize, ComponentDefinedTypeId), (usize, String)>,
}

/// An interface of the system.
#[derive(Debug)]
pub struct SystemImport {
    /// Its name, with the newest version that is asked for.
    pub name: String,
    /// What is asked of it, what needs something after what it needs.
    pub items: Vec<SystemItem>,
}

/// An item of such an interface.
#[derive(Debug)]
pub struct SystemItem {
    /// Its name.
    pub name: String,
    /// Who asks for it, and its type there: the same everywhere.
    pub seen: Vec<(usize, ComponentEntityType)>,
    /// The resource type that it is: a number of [`Identity::System`].
    pub resource: Option<usize>,
    /// The interface that the first one imports it in.
    within: ComponentInstanceTypeId,
}

/// Why parts cannot share what the system has.
#[derive(Debug)]
pub enum OutsideError {
    /// Two parts have different ideas of an interface.
    Differ {
        /// Which interface.
        import: String,
        /// Who found it as it is.
        first: usize,
        /// Who wants it otherwise.
        second: usize,
        /// Where.
        difference: Box<Difference>,
    },
    /// Two interfaces have each what the other needs.
    Cycle {
        /// One of them.
        import: String,
    },
}

/// A part, and which of its imports are the system's.
pub type Asked<'a> = (&'a Face, Vec<usize>);

impl Outside {
    /// Brings together what parts ask of the system. Second, what the resource types are that these imports bring, by
    /// part.
    ///
    /// # Errors
    /// [`OutsideError`]
    pub fn gather(parts: &[Asked<'_>]) -> Result<(Outside, Vec<Identities>), OutsideError> {
        let mut drafts: Vec<SystemImport> = Vec::new();
        let groups: Vec<Vec<(usize, usize)>> = parts
            .iter()
            .map(|(face, imports)| {
                let group =
                    |import: &usize| Some((*import, group_of(&mut drafts, &face.imports.get(*import)?.name)));
                imports.iter().filter_map(group).collect()
            })
            .collect();
        let classes = Classes::of(parts, &groups);
        let mut identities: Vec<Identities> = classes.identities();
        for (part, groups) in groups.iter().enumerate() {
            for (import, group) in groups {
                let entity = &parts[part].0.imports[*import];
                if let ComponentEntityType::Instance(id) = entity.ty {
                    merge(&mut drafts[*group], parts, part, id, &classes, &mut identities)?;
                }
            }
        }
        let names = names(parts, &groups);
        let order = classes.order(&drafts, &names)?;
        let place = |group: usize| order.iter().position(|other| *other == group);
        let resources = classes
            .definers
            .iter()
            .filter_map(|(class, (group, name))| Some((*class, (place(*group)?, name.clone()))));
        let resources = resources.collect();
        let names =
            names.iter().filter_map(|(ty, (group, name))| Some((*ty, (place(*group)?, name.clone()))));
        let names = names.collect();
        let mut drafts: Vec<Option<SystemImport>> = drafts.into_iter().map(Some).collect();
        let imports = order.iter().filter_map(|group| drafts[*group].take()).collect();
        Ok((Outside { imports, resources, names }, identities))
    }

    /// The import that serves a part's import of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.imports.iter().position(|import| compatible(&import.name, name))
    }
}

/// Where value types of parts have their first name.
type Names = HashMap<(usize, ComponentDefinedTypeId), (usize, String)>;

/// The groups in which value types have a name first, in the order of each part's imports.
fn names(parts: &[Asked<'_>], groups: &[Vec<(usize, usize)>]) -> Names {
    let mut names = Names::new();
    for (part, ((face, _), groups)) in parts.iter().zip(groups).enumerate() {
        for (import, group) in groups {
            let ComponentEntityType::Instance(interface) = face.imports[*import].ty else { continue };
            for (name, ty) in face.items(interface) {
                let ComponentEntityType::Type { referenced, created } = ty else { continue };
                for id in [referenced, created] {
                    if let ComponentAnyTypeId::Defined(id) = id {
                        names.entry((part, id)).or_insert_with(|| (*group, name.to_owned()));
                    }
                }
            }
        }
    }
    names
}

/// The draft for an import of this name.
fn group_of(drafts: &mut Vec<SystemImport>, name: &str) -> usize {
    match drafts.iter().position(|draft| compatible(&draft.name, name)) {
        Some(group) => {
            if version(&drafts[group].name) < version(name) {
                drafts[group].name = name.to_owned();
            }
            group
        }
        None => {
            drafts.push(SystemImport { name: name.to_owned(), items: Vec::new() });
            drafts.len() - 1
        }
    }
}

/// Adds what one part asks of an interface to what is known of it.
fn merge(
    draft: &mut SystemImport,
    parts: &[Asked<'_>],
    part: usize,
    within: ComponentInstanceTypeId,
    classes: &Classes,
    identities: &mut [Identities],
) -> Result<(), OutsideError> {
    let face = parts[part].0;
    for (name, ty) in face.items(within) {
        let Some(known) = draft.items.iter_mut().find(|item| item.name == name) else {
            let resource = resource(ty).and_then(|id| classes.class(part, id));
            draft.items.push(SystemItem { name: name.to_owned(), seen: vec![(part, ty)], resource, within });
            continue;
        };
        let (first, found) = known.seen[0];
        if first != part {
            // What this part's resource types are is known already; the comparison adds nothing to it.
            let mut ours = identities[part].clone();
            let theirs = Side { part: first, face: parts[first].0, identities: &identities[first] };
            contrast_item((face, within), &mut ours, name, ty, (theirs, known.within), found).map_err(
                |difference| OutsideError::Differ {
                    import: draft.name.clone(),
                    first,
                    second: part,
                    difference: Box::new(difference),
                },
            )?;
        }
        known.seen.push((part, ty));
    }
    Ok(())
}

/// Which resource types of which parts are the same one.
#[derive(Debug, Default)]
struct Classes {
    /// An interface and a name in it: the places where the system's resource types are met.
    places: Vec<(usize, String)>,
    /// A place that is the same as this one, or itself.
    same_as: Vec<usize>,
    /// By part: the first place of each of its types.
    first: Vec<HashMap<ResourceId, usize>>,
    /// The place that brings each class.
    definers: HashMap<usize, (usize, String)>,
}

impl Classes {
    fn of(parts: &[Asked<'_>], groups: &[Vec<(usize, usize)>]) -> Classes {
        let mut classes = Classes::default();
        let mut numbers: HashMap<(usize, String), usize> = HashMap::new();
        let mut first_places = Vec::new();
        for ((face, _), groups) in parts.iter().zip(groups) {
            let groups: HashMap<usize, usize> = groups.iter().copied().collect();
            let mut first: HashMap<ResourceId, usize> = HashMap::new();
            for (import, name, id) in face.resources_of_imports() {
                let Some(group) = groups.get(&import) else { continue };
                let place = *numbers.entry((*group, name.to_owned())).or_insert_with(|| {
                    classes.places.push((*group, name.to_owned()));
                    classes.same_as.push(classes.same_as.len());
                    classes.same_as.len() - 1
                });
                match first.get(&id) {
                    Some(known) => classes.unite(*known, place),
                    None => {
                        first.insert(id, place);
                        first_places.push(place);
                    }
                }
            }
            classes.first.push(first);
        }
        first_places.sort_unstable();
        for place in first_places {
            let class = classes.root(place);
            classes.definers.entry(class).or_insert_with(|| classes.places[place].clone());
        }
        classes
    }

    fn root(&self, mut place: usize) -> usize {
        // Each step goes to a smaller number.
        while self.same_as[place] != place {
            place = self.same_as[place];
        }
        place
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.same_as[a.max(b)] = a.min(b);
    }

    fn class(&self, part: usize, id: ResourceId) -> Option<usize> {
        self.first.get(part)?.get(&id).map(|place| self.root(*place))
    }

    fn identities(&self) -> Vec<Identities> {
        let of = |first: &HashMap<ResourceId, usize>| {
            first.iter().map(|(id, place)| (*id, Identity::System(self.root(*place)))).collect()
        };
        self.first.iter().map(of).collect()
    }

    /// The interfaces in an order in which each comes after those that bring the types it uses.
    fn order(&self, drafts: &[SystemImport], names: &Names) -> Result<Vec<usize>, OutsideError> {
        let needs = |group: usize| -> HashSet<usize> {
            let used = drafts[group].items.iter().filter_map(|item| item.resource);
            let definers = used.filter_map(|class| self.definers.get(&class));
            let values =
                drafts[group].items.iter().flat_map(|item| &item.seen).filter_map(|(part, ty)| match ty {
                    ComponentEntityType::Type { referenced: ComponentAnyTypeId::Defined(id), .. } => {
                        names.get(&(*part, *id))
                    }
                    _ => None,
                });
            let definers = definers.chain(values).map(|(definer, _)| *definer);
            definers.filter(|definer| *definer != group).collect()
        };
        let mut waiting: Vec<(usize, HashSet<usize>)> =
            (0..drafts.len()).map(|group| (group, needs(group))).collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let ready = waiting.iter().position(|(_, needs)| needs.iter().all(|need| order.contains(need)));
            match ready {
                Some(ready) => order.push(waiting.remove(ready).0),
                None => return Err(OutsideError::Cycle { import: drafts[waiting[0].0].name.clone() }),
            }
        }
        Ok(order)
    }
}
