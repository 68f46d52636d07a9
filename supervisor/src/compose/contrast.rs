//! Two sides of a wire: whether what one exports is what the other imports, and where not.
//!
//! The rule is the validator's: functions and value types are equal in everything, an instance may have more than is
//! asked for, a resource type is the same everywhere. What is new is that the answer has both sides in it.

use std::collections::{HashMap, HashSet};

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
    ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId,
};
use wasmparser::names::KebabString;

use super::face::{Face, kind};
use super::wit_text::{WitText, is_cut};
use crate::nearest::nearest;

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
    /// The item, and where in it: "function `get`, parameter `key`".
    pub item: String,
    /// What is asked for: the item, or what is at that place in it if the items do not show it.
    pub wanted: String,
    /// What there is instead.
    pub offered: String,
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

/// What differs inside of an item.
#[derive(Default)]
struct Unlike {
    /// The way to it, the innermost step first.
    way: Vec<String>,
    /// What there is at its end, on both sides.
    pieces: Option<[String; 2]>,
    /// Two resource types that are written alike.
    owners: Option<(Identity, Identity)>,
}

impl Unlike {
    fn pieces(wanted: impl Into<String>, offered: impl Into<String>) -> Unlike {
        Unlike { pieces: Some([wanted.into(), offered.into()]), ..Unlike::default() }
    }

    fn within(mut self, step: impl Into<String>) -> Unlike {
        self.way.push(step.into());
        self
    }
}

/// A field, case or label: its name, and what it has.
type Label<'n> = (&'n str, Option<ComponentValType>);

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
                    let names = self.offered.face.items(b).filter(|(_, other)| kind(*other) == kind(ty));
                    let alike = nearest(&name, names.map(|(name, _)| name));
                    let alike = alike.map(|name| format!(", but `{}`", short(name))).unwrap_or_default();
                    return Err(Difference {
                        item: item(&name, ty),
                        wanted: self.texts.0.item(&name, ty),
                        offered: format!("no such {}{alike}", kind(ty)),
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
            ) => self.resource(a.resource(), b.resource()),
            (
                ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(a), .. },
                ComponentEntityType::Type { created: ComponentAnyTypeId::Defined(b), .. },
            ) => self.defined(a, b),
            // Instances in instances, modules, components, values: nothing that is wired between processes.
            _ => Err(Unlike::default()),
        };
        same.map_err(|Unlike { way, pieces, owners }| {
            let steps = way.iter().rev().map(|step| format!(", {step}"));
            let item = item(name, a) + &steps.collect::<String>();
            let (wanted, offered) = (self.texts.0.item(name, a), self.texts.1.item(name, b));
            let is_seen = wanted != offered && !is_cut(&wanted) && !is_cut(&offered);
            match pieces {
                Some([wanted, offered]) if !is_seen => Difference { item, wanted, offered, owners },
                _ => Difference { item, wanted, offered, owners },
            }
        })
    }

    /// The first time that a resource type is met, it becomes the other side's; from then on it is that.
    fn resource(&mut self, a: ResourceId, b: ResourceId) -> Result<(), Unlike> {
        let theirs = self.offered.identity(b);
        let ours = *self.identities.entry(a).or_insert(theirs);
        match ours == theirs {
            true => Ok(()),
            false => Err(Unlike { owners: Some((ours, theirs)), ..Unlike::default() }),
        }
    }

    fn func(&mut self, a: ComponentFuncTypeId, b: ComponentFuncTypeId) -> Result<(), Unlike> {
        let (a, b) = (&self.wanted.types()[a], &self.offered.face.types()[b]);
        if a.async_ != b.async_ {
            let word = |is_async| if is_async { "async" } else { "not async" };
            return Err(Unlike::pieces(word(a.async_), word(b.async_)));
        }
        let label = |(name, ty)| (name, Some(ty));
        let a_params = a.params.iter().map(|(name, ty)| label((name.as_str(), *ty)));
        let b_params = b.params.iter().map(|(name, ty)| label((name.as_str(), *ty)));
        self.labels("parameter", a_params.collect(), b_params.collect())?;
        self.optional(a.result, b.result).map_err(|unlike| unlike.within("its result"))
    }

    /// Fields, cases or parameters: the same names in the same order, and the same in each.
    fn labels(&mut self, noun: &str, a: Vec<Label<'_>>, b: Vec<Label<'_>>) -> Result<(), Unlike> {
        for number in 0..a.len().max(b.len()) {
            match (a.get(number), b.get(number)) {
                (Some((name, a)), Some((other, b))) if name == other => {
                    self.optional(*a, *b).map_err(|unlike| unlike.within(format!("{noun} `{name}`")))?;
                }
                (a, b) => {
                    let name = |label: Option<&Label<'_>>| match label {
                        Some((name, _)) => format!("`{name}`"),
                        None => format!("no such {noun}"),
                    };
                    return Err(Unlike::pieces(name(a), name(b)).within(format!("{noun} {}", number + 1)));
                }
            }
        }
        Ok(())
    }

    fn optional(&mut self, a: Option<ComponentValType>, b: Option<ComponentValType>) -> Result<(), Unlike> {
        match (a, b) {
            (Some(a), Some(b)) => self.value(a, b),
            (None, None) => Ok(()),
            (a, b) => {
                let text = |text: &WitText<'_>, ty: Option<ComponentValType>| match ty {
                    Some(ty) => text.of_value(ty),
                    None => "nothing".to_owned(),
                };
                Err(Unlike::pieces(text(&self.texts.0, a), text(&self.texts.1, b)))
            }
        }
    }

    fn value(&mut self, a: ComponentValType, b: ComponentValType) -> Result<(), Unlike> {
        let primitive = |face: &Face, ty: ComponentValType| match ty {
            ComponentValType::Primitive(ty) => Some(ty),
            ComponentValType::Type(id) => match face.types()[id] {
                ComponentDefinedType::Primitive(ty) => Some(ty),
                _ => None,
            },
        };
        match (primitive(self.wanted, a), primitive(self.offered.face, b), a, b) {
            (Some(a), Some(b), ..) if a == b => Ok(()),
            (None, None, ComponentValType::Type(a), ComponentValType::Type(b)) => self.defined(a, b),
            _ => Err(Unlike::pieces(self.texts.0.of_value(a), self.texts.1.of_value(b))),
        }
    }

    /// Recursion is bounded: the validator admits types nested up to 100 deep.
    fn defined(&mut self, a: ComponentDefinedTypeId, b: ComponentDefinedTypeId) -> Result<(), Unlike> {
        if self.equal.contains(&(a, b)) {
            return Ok(());
        }
        self.structure(a, b)?;
        self.equal.insert((a, b));
        Ok(())
    }

    fn structure(&mut self, a: ComponentDefinedTypeId, b: ComponentDefinedTypeId) -> Result<(), Unlike> {
        use ComponentDefinedType as Ty;
        let other = || {
            let (a, b) = (ComponentValType::Type(a), ComponentValType::Type(b));
            Err(Unlike::pieces(self.texts.0.of_value(a), self.texts.1.of_value(b)))
        };
        let within = |step: &'static str| move |unlike: Unlike| unlike.within(step);
        match (&self.wanted.types()[a], &self.offered.face.types()[b]) {
            (Ty::Primitive(a), Ty::Primitive(b)) if a == b => Ok(()),
            (Ty::Record(a), Ty::Record(b)) => {
                let a = a.fields.iter().map(|(name, ty)| (name.as_str(), Some(*ty))).collect();
                let b = b.fields.iter().map(|(name, ty)| (name.as_str(), Some(*ty))).collect();
                self.labels("field", a, b)
            }
            (Ty::Variant(a), Ty::Variant(b)) => {
                let a = a.cases.iter().map(|(name, case)| (name.as_str(), case.ty)).collect();
                let b = b.cases.iter().map(|(name, case)| (name.as_str(), case.ty)).collect();
                self.labels("case", a, b)
            }
            (Ty::Enum(a), Ty::Enum(b)) => self.labels("case", bare(a), bare(b)),
            (Ty::Flags(a), Ty::Flags(b)) => self.labels("flag", bare(a), bare(b)),
            (Ty::List { element: a, .. }, Ty::List { element: b, .. }) => {
                self.value(*a, *b).map_err(within("an element"))
            }
            (Ty::Map { key: a, value: x, .. }, Ty::Map { key: b, value: y, .. }) => {
                self.value(*a, *b).map_err(within("a key"))?;
                self.value(*x, *y).map_err(within("a value"))
            }
            (
                Ty::FixedLengthList { element: a, length: x, .. },
                Ty::FixedLengthList { element: b, length: y, .. },
            ) if x == y => self.value(*a, *b).map_err(within("an element")),
            (Ty::Tuple(a), Ty::Tuple(b)) if a.types.len() == b.types.len() => {
                let mut pairs = a.types.iter().zip(&b.types).enumerate();
                pairs.try_for_each(|(number, (a, b))| {
                    self.value(*a, *b).map_err(|unlike| unlike.within(format!("part {}", number + 1)))
                })
            }
            (Ty::Option { ty: a, .. }, Ty::Option { ty: b, .. }) => {
                self.value(*a, *b).map_err(within("`some`"))
            }
            (Ty::Result { ok: a, err: x, .. }, Ty::Result { ok: b, err: y, .. }) => {
                self.optional(*a, *b).map_err(within("`ok`"))?;
                self.optional(*x, *y).map_err(within("`err`"))
            }
            (Ty::Own(a), Ty::Own(b)) | (Ty::Borrow(a), Ty::Borrow(b)) => {
                let (ours, theirs) =
                    (self.identities.get(&a.resource()), self.offered.identity(b.resource()));
                match ours {
                    Some(ours) if *ours == theirs => Ok(()),
                    Some(ours) => Err(Unlike { owners: Some((*ours, theirs)), ..Unlike::default() }),
                    None => other(),
                }
            }
            (Ty::Future { ty: a, .. }, Ty::Future { ty: b, .. })
            | (Ty::Stream { ty: a, .. }, Ty::Stream { ty: b, .. }) => {
                self.optional(*a, *b).map_err(within("what comes"))
            }
            _ => other(),
        }
    }
}

/// Labels that have nothing.
fn bare<'n>(names: impl IntoIterator<Item = &'n KebabString>) -> Vec<Label<'n>> {
    names.into_iter().map(|name| (name.as_str(), None)).collect()
}

/// `[method]bucket.get` is `bucket.get` to whoever wrote it.
fn short(name: &str) -> String {
    match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some(("constructor", resource)) => format!("{resource}.constructor"),
        Some((_, name)) => name.to_owned(),
        None => name.to_owned(),
    }
}

fn item(name: &str, ty: ComponentEntityType) -> String {
    format!("{} `{}`", kind(ty), short(name))
}
