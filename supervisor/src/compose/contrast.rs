//! Two sides of a wire: whether what one exports is what the other imports, and where not.
//!
//! The rule is the validator's: functions and value types are equal in everything, an instance may have more than is
//! asked for, a resource type is the same everywhere. What is new is that the answer has both sides in it.

use std::collections::{HashMap, HashSet};

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId,
};

use super::face::{Face, kind};
use super::wit_text::WitText;

/// Whose a resource type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// The system's: a number of [`super::outside::Outside`].
    System(usize),
    /// A part's own: its number, and the type among its types.
    Of(usize, ResourceId),
}

/// What resource types of one part's types are. What is not in here is its own.
pub type Identities = HashMap<ResourceId, Identity>;

/// One side of a wire.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Its number among the parts.
    pub part: usize,
    /// Its types.
    pub face: &'a Face,
    /// What its resource types are.
    pub identities: &'a Identities,
}

/// Where two sides are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The item: "function `get`".
    pub item: String,
    /// What is asked for.
    pub wanted: String,
    /// What there is instead; nothing if there is no such item.
    pub offered: Option<String>,
    /// Two resource types that are written alike: whose the one is, and whose the other.
    pub owners: Option<(Identity, Identity)>,
}

impl Side<'_> {
    /// What a resource type of this side is.
    #[must_use]
    pub fn identity(&self, id: ResourceId) -> Identity {
        self.identities.get(&id).copied().unwrap_or(Identity::Of(self.part, id))
    }
}

/// Compares an import with what is to serve it. The resource types that the import brings are noted in `identities`.
///
/// # Errors
/// The first difference.
pub fn contrast(
    wanted: &Face,
    identities: &mut Identities,
    name: &str,
    import: ComponentEntityType,
    offered: Side<'_>,
    export: ComponentEntityType,
) -> Result<(), Difference> {
    match (import, export) {
        (ComponentEntityType::Instance(a), ComponentEntityType::Instance(b)) => {
            let texts = (WitText::within(wanted.types(), a), WitText::within(offered.face.types(), b));
            Contrast { wanted, identities, offered, texts: &texts, equal: HashSet::new() }.instance(a, b)
        }
        _ => {
            let texts = (WitText::of(wanted.types()), WitText::of(offered.face.types()));
            Contrast { wanted, identities, offered, texts: &texts, equal: HashSet::new() }
                .item(name, import, export)
        }
    }
}

/// Compares two items of one name of two interfaces of one name.
///
/// # Errors
/// The difference.
pub fn contrast_item(
    wanted: (&Face, ComponentInstanceTypeId),
    identities: &mut Identities,
    name: &str,
    ty: ComponentEntityType,
    offered: (Side<'_>, ComponentInstanceTypeId),
    found: ComponentEntityType,
) -> Result<(), Difference> {
    let ((wanted, a), (offered, b)) = (wanted, offered);
    let texts = (WitText::within(wanted.types(), a), WitText::within(offered.face.types(), b));
    Contrast { wanted, identities, offered, texts: &texts, equal: HashSet::new() }.item(name, ty, found)
}

struct Contrast<'a, 'b> {
    wanted: &'a Face,
    identities: &'b mut Identities,
    offered: Side<'a>,
    texts: &'b (WitText<'a>, WitText<'a>),
    /// Types that have been found equal: types share parts, and are compared once.
    equal: HashSet<(ComponentDefinedTypeId, ComponentDefinedTypeId)>,
}

impl Contrast<'_, '_> {
    fn instance(&mut self, a: ComponentInstanceTypeId, b: ComponentInstanceTypeId) -> Result<(), Difference> {
        let wanted: Vec<_> = self.wanted.items(a).map(|(name, ty)| (name.to_owned(), ty)).collect();
        for (name, ty) in wanted {
            let found = self.offered.face.types()[b].exports.get(&name).map(|item| item.ty);
            match found {
                Some(found) => self.item(&name, ty, found)?,
                None => {
                    return Err(Difference {
                        item: item(&name, ty),
                        wanted: self.texts.0.item(&name, ty),
                        offered: None,
                        owners: None,
                    });
                }
            }
        }
        Ok(())
    }

    fn item(&mut self, name: &str, a: ComponentEntityType, b: ComponentEntityType) -> Result<(), Difference> {
        let same = match (a, b) {
            (ComponentEntityType::Func(a), ComponentEntityType::Func(b)) => self.func(a, b),
            (
                ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(a), .. },
                ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(b), .. },
            ) => return self.resource(name, a.resource(), b.resource()),
            (
                ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(a), .. },
                ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(b), .. },
            ) => self.defined(a, b),
            // Instances in instances, modules, components, values: nothing that is wired between processes.
            _ => false,
        };
        match same {
            true => Ok(()),
            false => Err(Difference {
                item: item(name, a),
                wanted: self.texts.0.item(name, a),
                offered: Some(self.texts.1.item(name, b)),
                owners: None,
            }),
        }
    }

    /// The first time that a resource type is met, it becomes the other side's; from then on it is that.
    fn resource(&mut self, name: &str, a: ResourceId, b: ResourceId) -> Result<(), Difference> {
        let theirs = self.offered.identity(b);
        let ours = *self.identities.entry(a).or_insert(theirs);
        match ours == theirs {
            true => Ok(()),
            false => Err(Difference {
                item: format!("resource `{name}`"),
                wanted: format!("resource {name}"),
                offered: Some(format!("resource {name}")),
                owners: Some((ours, theirs)),
            }),
        }
    }

    fn func(&mut self, a: ComponentFuncTypeId, b: ComponentFuncTypeId) -> bool {
        let (a, b) = (&self.wanted.types()[a], &self.offered.face.types()[b]);
        a.async_ == b.async_
            && a.params.len() == b.params.len()
            && a.params
                .iter()
                .zip(&b.params)
                .all(|((a_name, a), (b_name, b))| a_name.as_str() == b_name.as_str() && self.value(*a, *b))
            && self.optional(a.result, b.result)
    }

    fn optional(&mut self, a: Option<ComponentValType>, b: Option<ComponentValType>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => self.value(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    fn value(&mut self, a: ComponentValType, b: ComponentValType) -> bool {
        let primitive = |face: &Face, ty: ComponentValType| match ty {
            ComponentValType::Primitive(ty) => Some(ty),
            ComponentValType::Type(id) => match face.types()[id] {
                ComponentDefinedType::Primitive(ty) => Some(ty),
                _ => None,
            },
        };
        match (primitive(self.wanted, a), primitive(self.offered.face, b), a, b) {
            (Some(a), Some(b), ..) => a == b,
            (None, None, ComponentValType::Type(a), ComponentValType::Type(b)) => self.defined(a, b),
            _ => false,
        }
    }

    /// Recursion is bounded: the validator admits types nested up to 100 deep.
    fn defined(&mut self, a: ComponentDefinedTypeId, b: ComponentDefinedTypeId) -> bool {
        if self.equal.contains(&(a, b)) {
            return true;
        }
        let same = self.structure(a, b);
        if same {
            self.equal.insert((a, b));
        }
        same
    }

    fn structure(&mut self, a: ComponentDefinedTypeId, b: ComponentDefinedTypeId) -> bool {
        use ComponentDefinedType as Ty;
        match (&self.wanted.types()[a], &self.offered.face.types()[b]) {
            (Ty::Primitive(a), Ty::Primitive(b)) => a == b,
            (Ty::Record(a), Ty::Record(b)) => {
                a.fields.len() == b.fields.len()
                    && a.fields.iter().zip(&b.fields).all(|((a_name, a), (b_name, b))| {
                        a_name.as_str() == b_name.as_str() && self.value(*a, *b)
                    })
            }
            (Ty::Variant(a), Ty::Variant(b)) => {
                a.cases.len() == b.cases.len()
                    && a.cases.iter().zip(&b.cases).all(|((a_name, a), (b_name, b))| {
                        a_name.as_str() == b_name.as_str() && self.optional(a.ty, b.ty)
                    })
            }
            (Ty::Flags(a), Ty::Flags(b)) | (Ty::Enum(a), Ty::Enum(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.as_str() == b.as_str())
            }
            (Ty::List { element: a, .. }, Ty::List { element: b, .. }) => self.value(*a, *b),
            (Ty::Map { key: a, value: x, .. }, Ty::Map { key: b, value: y, .. }) => {
                self.value(*a, *b) && self.value(*x, *y)
            }
            (
                Ty::FixedLengthList { element: a, length: x, .. },
                Ty::FixedLengthList { element: b, length: y, .. },
            ) => x == y && self.value(*a, *b),
            (Ty::Tuple(a), Ty::Tuple(b)) => {
                a.types.len() == b.types.len()
                    && a.types.iter().zip(&b.types).all(|(a, b)| self.value(*a, *b))
            }
            (Ty::Option { ty: a, .. }, Ty::Option { ty: b, .. }) => self.value(*a, *b),
            (Ty::Result { ok: a, err: x, .. }, Ty::Result { ok: b, err: y, .. }) => {
                self.optional(*a, *b) && self.optional(*x, *y)
            }
            (Ty::Own(a), Ty::Own(b)) | (Ty::Borrow(a), Ty::Borrow(b)) => {
                let (a, b) = (a.resource(), b.resource());
                self.identities.get(&a).copied() == Some(self.offered.identity(b))
            }
            (Ty::Future { ty: a, .. }, Ty::Future { ty: b, .. })
            | (Ty::Stream { ty: a, .. }, Ty::Stream { ty: b, .. }) => self.optional(*a, *b),
            _ => false,
        }
    }
}

fn item(name: &str, ty: ComponentEntityType) -> String {
    // `[method]bucket.get` is `bucket.get` to whoever wrote it.
    let short = name.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let name = match short {
        Some(("constructor", resource)) => format!("{resource}.constructor"),
        Some((_, name)) => name.to_owned(),
        None => name.to_owned(),
    };
    format!("{} `{name}`", kind(ty))
}
