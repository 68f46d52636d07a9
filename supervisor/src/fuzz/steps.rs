//! A sequence of calls as data and as text: what is made up, changed, kept, replayed.

use abi::handletext;
use abi::types::ResourceType;
use abi::value::Value;
use abi::vary::chance::Chance;
use abi::vary::invent::{Inventor, plain};
use abi::vary::lexicon::Lexicon;
use abi::vary::mutate::mutate;
use abi::wave;

use super::surface::Surface;

/// Calls of a sequence that is made up.
const FEW: usize = 6;
/// Calls of a sequence at most.
const MOST: usize = 48;
/// How drops are written, before the resource type's name.
const DROP: &str = "[resource-drop]";

/// One call.
///
/// A handle's representation is a choice: among the resources of its type that there are when the call is made, in the
/// order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Calls a function.
    Call {
        /// Which, of [`Surface::entries`].
        entry: usize,
        /// With what.
        args: Vec<Value>,
    },
    /// Drops a resource.
    Drop {
        /// Its type.
        ty: ResourceType,
        /// Which of those there are.
        pick: u32,
    },
}

/// Calls on one fresh tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The calls, in order.
    pub steps: Vec<Step>,
    /// What the imports' answers follow from; with 0 they are all as plain as can be.
    pub answers: u64,
}

/// Why text is no call.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Not a call, or not of the function's type.
    #[error(transparent)]
    Wave(#[from] wave::WaveError),
    /// Nothing of this name.
    #[error("the component has nothing to call that is named `{0}`")]
    Unknown(String),
}

impl Step {
    /// The call as text: `NAME(ARGUMENTS)` in WAVE, with `own(N)` and `borrow(N)` for handles.
    #[must_use]
    pub fn print(&self, surface: &Surface) -> String {
        match self {
            Step::Call { entry, args } => {
                let entry = &surface.entries[*entry];
                let types = entry.ty().params.iter().map(|(_, ty)| ty);
                let args: Vec<String> = types.zip(args).map(|(ty, arg)| wave::print(ty, arg)).collect();
                format!("{}({})", entry.name, args.join(", "))
            }
            Step::Drop { ty, pick } => {
                let name = surface.resource_name(*ty).unwrap_or("resource");
                match name.split_once('#') {
                    Some((interface, name)) => format!("{interface}#{DROP}{name}(own({pick}))"),
                    None => format!("{DROP}{name}(own({pick}))"),
                }
            }
        }
    }

    /// Reads what [`Step::print`] wrote.
    ///
    /// # Errors
    /// It is no call, or names nothing of this surface.
    pub fn parse(surface: &Surface, text: &str) -> Result<Step, StepError> {
        let (name, args) = wave::split_call(text)?;
        if name.contains(DROP) {
            let resource = name.replacen(DROP, "", 1);
            let found = surface.resources.iter().find(|(_, name)| *name == resource);
            let (ty, _) = found.ok_or_else(|| StepError::Unknown(name.to_owned()))?;
            let digits = args.trim_matches(|c: char| !c.is_ascii_digit());
            return Ok(Step::Drop { ty: *ty, pick: digits.parse().unwrap_or(0) });
        }
        let entry = surface.find(name).ok_or_else(|| StepError::Unknown(name.to_owned()))?;
        let args = handletext::parse_args(surface.entries[entry].ty(), args)?;
        Ok(Step::Call { entry, args })
    }
}

impl Sequence {
    /// Bytes of its values, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        let args = self.steps.iter().map(|step| match step {
            Step::Call { args, .. } => 32 + args.iter().map(weight).sum::<usize>(),
            Step::Drop { .. } => 32,
        });
        args.sum()
    }

    /// One plain call of a function, with what it needs before it.
    #[must_use]
    pub fn plain(surface: &Surface, entry: usize) -> Sequence {
        let mut steps = Vec::new();
        prepare(surface, entry, &mut steps, 0, &mut |entry| {
            surface.entries[entry].ty().params.iter().map(|(_, ty)| plain(ty)).collect()
        });
        Sequence { steps, answers: 0 }
    }

    /// One call of a function with arguments that are made up, with what it needs before it.
    #[must_use]
    pub fn calling(surface: &Surface, entry: usize, lexicon: &Lexicon, chance: &mut Chance) -> Sequence {
        let mut steps = Vec::new();
        prepare(surface, entry, &mut steps, 0, &mut |entry| {
            let params = surface.entries[entry].ty().params.iter();
            params.map(|(_, ty)| Inventor::new(chance, lexicon).value(ty)).collect()
        });
        Sequence { steps, answers: 0 }
    }

    /// A sequence that is made up.
    #[must_use]
    pub fn invent(surface: &Surface, lexicon: &Lexicon, chance: &mut Chance) -> Sequence {
        let mut steps = Vec::new();
        for _ in 0..=chance.below(FEW) {
            let step = invented(surface, lexicon, chance);
            steps.extend(step);
            if steps.len() >= MOST {
                break;
            }
        }
        let answers = if chance.one_in(2) { 0 } else { chance.bits() };
        Sequence { steps, answers }
    }

    /// Changes the sequence: its calls, their arguments, what imports answer. `other` is one to take calls from.
    pub fn mutate(&mut self, surface: &Surface, other: &Sequence, lexicon: &Lexicon, chance: &mut Chance) {
        for _ in 0..=chance.below(3) {
            self.mutate_once(surface, other, lexicon, chance);
        }
        self.steps.truncate(MOST);
    }

    fn mutate_once(&mut self, surface: &Surface, other: &Sequence, lexicon: &Lexicon, chance: &mut Chance) {
        let at = chance.below(self.steps.len());
        match chance.below(16) {
            0 if self.steps.len() > 1 => {
                self.steps.remove(at);
            }
            1 if !self.steps.is_empty() => self.steps.insert(at, self.steps[at].clone()),
            2 | 3 => {
                let at = chance.below(self.steps.len() + 1);
                self.steps.splice(at..at, invented(surface, lexicon, chance));
            }
            4 if self.steps.len() > 1 => {
                let second = chance.below(self.steps.len());
                self.steps.swap(at, second);
            }
            5 if !other.steps.is_empty() => {
                let from = chance.below(other.steps.len());
                self.steps.truncate(at);
                self.steps.extend_from_slice(&other.steps[from..]);
            }
            6 if chance.one_in(2) => self.answers = if chance.one_in(4) { 0 } else { chance.bits() },
            _ => self.mutate_args(at, surface, lexicon, chance),
        }
    }

    fn mutate_args(&mut self, at: usize, surface: &Surface, lexicon: &Lexicon, chance: &mut Chance) {
        match self.steps.get_mut(at) {
            Some(Step::Call { entry, args }) if !args.is_empty() => {
                let which = chance.below(args.len());
                let (_, ty) = &surface.entries[*entry].ty().params[which];
                mutate(ty, &mut args[which], &mut Inventor::new(chance, lexicon));
            }
            Some(Step::Drop { pick, .. }) => *pick = chance.below(8) as u32,
            _ => self.steps.extend(invented(surface, lexicon, chance)),
        }
    }
}

fn weight(value: &Value) -> usize {
    let all = |values: &[Value]| values.iter().map(weight).sum::<usize>();
    8 + match value {
        Value::String(text) => text.len(),
        Value::List(values) | Value::Record(values) | Value::Tuple(values) => all(values),
        Value::Map(entries) => entries.iter().map(|(key, value)| weight(key) + weight(value)).sum(),
        Value::Variant(_, Some(payload))
        | Value::Option(Some(payload))
        | Value::Result(Ok(Some(payload)) | Err(Some(payload))) => weight(payload),
        _ => 0,
    }
}

/// A call of some function with what it needs before it, or now and then a drop.
fn invented(surface: &Surface, lexicon: &Lexicon, chance: &mut Chance) -> Vec<Step> {
    if chance.one_in(8)
        && let Some((ty, _)) = chance.pick(&surface.resources)
    {
        return vec![Step::Drop { ty: *ty, pick: chance.below(8) as u32 }];
    }
    let wanted: Vec<usize> = (0..surface.entries.len()).filter(|at| surface.entries[*at].wanted).collect();
    let Some(entry) = chance.pick(&wanted).copied() else { return Vec::new() };
    // The resources may be there from calls before.
    let alone = surface.entries[entry].needs.is_empty() || chance.one_in(2);
    let mut steps = Vec::new();
    let mut args = |entry: usize| -> Vec<Value> {
        let params = surface.entries[entry].ty().params.iter();
        params.map(|(_, ty)| Inventor::new(chance, lexicon).value(ty)).collect()
    };
    match alone {
        true => steps.push(Step::Call { args: args(entry), entry }),
        false => prepare(surface, entry, &mut steps, 0, &mut args),
    }
    steps
}

/// The functions that make what a function needs, and the function.
fn prepare(
    surface: &Surface,
    entry: usize,
    steps: &mut Vec<Step>,
    depth: usize,
    args: &mut impl FnMut(usize) -> Vec<Value>,
) {
    if depth < 4 {
        for need in &surface.entries[entry].needs {
            let makes = |entry: &&(usize, &super::surface::Entry)| entry.1.makes.contains(need);
            let makers = surface.entries.iter().enumerate().collect::<Vec<_>>();
            // A maker that needs nothing of the kind itself: a constructor rather than a method that returns another.
            let maker = makers
                .iter()
                .filter(makes)
                .min_by_key(|(_, entry)| (entry.needs.contains(need), entry.needs.len()));
            if let Some((maker, _)) = maker {
                prepare(surface, *maker, steps, depth + 1, args);
            }
        }
    }
    steps.push(Step::Call { args: args(entry), entry });
}
