//! The resources that a sequence of calls has brought, and calls that take some of them.

use abi::fault::Fault;
use abi::types::{ResourceType, ValType};
use abi::value::{Resource, Value};
use kernel::component::linked::ExportedFunc;
use kernel::component::tree::Tree;

use super::steps::Step;
use super::surface::{Entry, Surface};

/// Resources in the order in which they came; those that are gone are none.
#[derive(Debug, Default)]
pub struct Held {
    resources: Vec<Option<Resource>>,
    /// Whether a function was called that may be only once.
    ran: bool,
}

/// What came of one call.
#[derive(Clone, Debug)]
pub enum Did {
    /// It was not made: there is no resource of a type that it takes, or it is made once only.
    Nothing,
    /// It returned this; resources by the order in which they came.
    Returned(Option<Value>),
}

/// A tree as sequences of calls see it.
pub trait Callee {
    /// Calls an exported function.
    ///
    /// # Errors
    /// The guest's fault.
    fn call(&mut self, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault>;

    /// Drops a resource that was a result.
    ///
    /// # Errors
    /// The guest's fault.
    fn drop_resource(&mut self, resource: Resource) -> Result<(), Fault>;
}

impl Callee for Tree {
    fn call(&mut self, func: &ExportedFunc, args: &[Value]) -> Result<Option<Value>, Fault> {
        Tree::call(self, func, args)
    }

    fn drop_resource(&mut self, resource: Resource) -> Result<(), Fault> {
        Tree::drop_resource(self, resource)
    }
}

impl Held {
    /// Makes one call; what its result brings is held from then on.
    ///
    /// # Errors
    /// The guest's fault.
    pub fn perform(
        &mut self,
        callee: &mut impl Callee,
        surface: &Surface,
        step: &Step,
    ) -> Result<Did, Fault> {
        match step {
            Step::Drop { ty, pick } => match self.find(*ty, *pick, &[]) {
                Some(at) => {
                    let resource = self.resources[at].take().expect("one that is there was found");
                    callee.drop_resource(resource).map(|()| Did::Returned(None))
                }
                None => Ok(Did::Nothing),
            },
            Step::Call { entry, args } => {
                let Entry { func, once, .. } = &surface.entries[*entry];
                if *once && std::mem::replace(&mut self.ran, true) {
                    return Ok(Did::Nothing);
                }
                let Some(args) = self.hand_over(func.ty.params.iter().map(|(_, ty)| ty), args) else {
                    return Ok(Did::Nothing);
                };
                let mut result = callee.call(func, &args)?;
                if let Some(value) = &mut result {
                    self.take_in(value);
                }
                Ok(Did::Returned(result))
            }
        }
    }

    /// Drops what is left; what came last may belong to what came before.
    ///
    /// # Errors
    /// The guest's fault.
    pub fn drop_all(&mut self, callee: &mut impl Callee) -> Result<(), Fault> {
        while let Some(last) = self.resources.pop() {
            if let Some(resource) = last {
                callee.drop_resource(resource)?;
            }
        }
        Ok(())
    }

    /// The resource that a choice means: the one that came at this place if it is there and of the type, or one of those
    /// that are.
    fn find(&self, ty: ResourceType, pick: u32, not: &[usize]) -> Option<usize> {
        let fits =
            |at: usize| self.resources[at].is_some_and(|resource| resource.ty == ty) && !not.contains(&at);
        let pick = pick as usize;
        if pick < self.resources.len() && fits(pick) {
            return Some(pick);
        }
        let there: Vec<usize> = (0..self.resources.len()).filter(|at| fits(*at)).collect();
        there.get(pick.checked_rem(there.len())?).copied()
    }

    /// The arguments with resources for choices; none if there is no resource for one of them. What is lent in a call
    /// is not given away in it.
    fn hand_over<'t>(
        &mut self,
        types: impl Iterator<Item = &'t ValType>,
        args: &[Value],
    ) -> Option<Vec<Value>> {
        let (mut lent, mut given) = (Vec::new(), Vec::new());
        let args: Option<Vec<Value>> = types
            .zip(args)
            .map(|(ty, arg)| {
                if ty.has_handle() { self.resolve(ty, arg, &mut lent, &mut given) } else { Some(arg.clone()) }
            })
            .collect();
        if args.is_some() {
            given.iter().for_each(|at| self.resources[*at] = None);
        }
        args
    }

    fn resolve(
        &self,
        ty: &ValType,
        value: &Value,
        lent: &mut Vec<usize>,
        given: &mut Vec<usize>,
    ) -> Option<Value> {
        let mut all = |types: &mut dyn Iterator<Item = &ValType>, values: &[Value]| -> Option<Vec<Value>> {
            types.zip(values).map(|(ty, value)| self.resolve(ty, value, lent, given)).collect()
        };
        Some(match (ty, value) {
            (ValType::Own(ty), Value::Own(choice)) => {
                let not: Vec<usize> = lent.iter().chain(given.iter()).copied().collect();
                let at = self.find(*ty, choice.rep, &not)?;
                given.push(at);
                Value::Own(self.resources[at]?)
            }
            (ValType::Borrow(ty), Value::Borrow(choice)) => {
                let at = self.find(*ty, choice.rep, given)?;
                lent.push(at);
                Value::Borrow(self.resources[at]?)
            }
            (ValType::List(ty) | ValType::FixedList(ty, _), Value::List(values)) => {
                Value::List(all(&mut std::iter::repeat(&**ty), values)?)
            }
            (ValType::Record(fields), Value::Record(values)) => {
                Value::Record(all(&mut fields.iter().map(|field| &field.ty), values)?)
            }
            (ValType::Tuple(types), Value::Tuple(values)) => Value::Tuple(all(&mut types.iter(), values)?),
            (ValType::Map(entry), Value::Map(entries)) => {
                let mut pairs = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = self.resolve(&entry.0, key, lent, given)?;
                    pairs.push((key, self.resolve(&entry.1, value, lent, given)?));
                }
                Value::Map(pairs)
            }
            (ValType::Variant(cases), Value::Variant(case, Some(payload))) => {
                let ty = cases.get(*case as usize)?.ty.as_ref()?;
                Value::Variant(*case, Some(Box::new(self.resolve(ty, payload, lent, given)?)))
            }
            (ValType::Option(ty), Value::Option(Some(payload))) => {
                Value::Option(Some(Box::new(self.resolve(ty, payload, lent, given)?)))
            }
            (ValType::Result(ty), Value::Result(Ok(Some(payload)))) => {
                Value::Result(Ok(Some(Box::new(self.resolve(ty.ok.as_ref()?, payload, lent, given)?))))
            }
            (ValType::Result(ty), Value::Result(Err(Some(payload)))) => {
                Value::Result(Err(Some(Box::new(self.resolve(ty.err.as_ref()?, payload, lent, given)?))))
            }
            (_, value) => value.clone(),
        })
    }

    /// Keeps the resources of a result, and puts the order in which they came where they were.
    fn take_in(&mut self, value: &mut Value) {
        match value {
            Value::Own(resource) => {
                self.resources.push(Some(*resource));
                resource.rep = (self.resources.len() - 1) as u32;
            }
            Value::List(values) | Value::Record(values) | Value::Tuple(values) => {
                values.iter_mut().for_each(|value| self.take_in(value));
            }
            Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                self.take_in(key);
                self.take_in(value);
            }),
            Value::Variant(_, Some(payload))
            | Value::Option(Some(payload))
            | Value::Result(Ok(Some(payload)) | Err(Some(payload))) => self.take_in(payload),
            _ => {}
        }
    }
}
