//! What of a component can be called: its functions, and the resource types that can be dropped.

use std::collections::HashSet;
use std::sync::Arc;

use abi::types::{FuncType, ResourceType, ValType};
use kernel::component::linked::{Export, ExportedFunc, Linked};

use crate::callable::{self, Callable};
use crate::complaint::Complaint;

/// A function that can be called.
pub struct Entry {
    /// Its name.
    pub name: String,
    /// How to call it.
    pub func: ExportedFunc,
    /// The resource types that its parameters need.
    pub needs: Vec<ResourceType>,
    /// The resource types that its result can bring.
    pub makes: Vec<ResourceType>,
    /// Whether it is called once in a sequence at most: a command is run once.
    pub once: bool,
    /// Whether it was asked for; the others are called only for the resources that they make.
    pub wanted: bool,
}

/// Everything that can be called.
pub struct Surface {
    /// The functions.
    pub entries: Vec<Entry>,
    /// The resource types that some function makes, with the names that they are exported by.
    pub resources: Vec<(ResourceType, String)>,
    /// Functions that cannot be called, and why.
    pub skipped: Vec<(String, &'static str)>,
}

impl Entry {
    /// Its type.
    #[must_use]
    pub fn ty(&self) -> &Arc<FuncType> {
        &self.func.ty
    }
}

impl Surface {
    /// What a linked component exports. `wanted` names functions, or is empty for all.
    ///
    /// # Errors
    /// There is no function of a wanted name, or nothing to call at all.
    pub fn of(path: &str, linked: &Linked, wanted: &[String]) -> Result<Surface, Complaint> {
        let mut surface = Surface { entries: Vec::new(), resources: Vec::new(), skipped: Vec::new() };
        for (name, export) in linked.exports() {
            surface.export(None, name, export);
        }
        surface.skip_what_needs_the_unmakeable();
        surface.select(path, wanted)?;
        if !surface.entries.iter().any(|entry| entry.wanted) {
            let complaint = Complaint::refused(format!("{path}: exports no function that can be fuzzed"));
            let skipped = surface.skipped.iter().map(|(name, why)| format!("`{name}`: {why}"));
            let skipped: Vec<String> = skipped.collect();
            return Err(match skipped.is_empty() {
                true => complaint.advise(format!("`atoll wit {path}` prints its world")),
                false => complaint.reason(skipped.join("\n")),
            });
        }
        Ok(surface)
    }

    fn export(&mut self, interface: Option<&str>, name: &str, export: &Export) {
        let full = match interface {
            Some(interface) => format!("{interface}#{name}"),
            None => name.to_owned(),
        };
        match export {
            Export::Func(func) => match unfit(func) {
                Some(why) => self.skipped.push((full, why)),
                None => self.entries.push(Entry {
                    needs: func.ty.params.iter().flat_map(|(_, ty)| resources(ty)).collect(),
                    makes: func.ty.result.iter().flat_map(resources).collect(),
                    once: full.starts_with("wasi:cli/run@"),
                    name: full,
                    func: func.clone(),
                    wanted: true,
                }),
            },
            Export::Instance(exports) if interface.is_none() => {
                for (inner, export) in exports {
                    self.export(Some(name), inner, export);
                }
            }
            Export::Resource(ty) if !self.resources.iter().any(|(known, _)| known == ty) => {
                self.resources.push((*ty, full));
            }
            _ => {}
        }
    }

    fn skip_what_needs_the_unmakeable(&mut self) {
        loop {
            let made: HashSet<ResourceType> =
                self.entries.iter().flat_map(|entry| entry.makes.iter().copied()).collect();
            let lost = |entry: &Entry| entry.needs.iter().any(|ty| !made.contains(ty));
            let Some(at) = self.entries.iter().position(lost) else {
                return self.resources.retain(|(ty, _)| made.contains(ty));
            };
            let entry = self.entries.remove(at);
            self.skipped.push((entry.name, "it takes a resource that no exported function makes"));
        }
    }

    fn select(&mut self, path: &str, wanted: &[String]) -> Result<(), Complaint> {
        if wanted.is_empty() {
            return Ok(());
        }
        let callables: Vec<Callable> = self.entries.iter().map(callable).collect();
        self.entries.iter_mut().for_each(|entry| entry.wanted = false);
        for name in wanted {
            let found = callable::find(path, &callables, name)?.full_name();
            let entry = self.entries.iter_mut().find(|entry| entry.name == found);
            entry.expect("callables are made of the entries").wanted = true;
        }
        Ok(())
    }

    /// The function of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name == name)
    }

    /// A resource type's name.
    #[must_use]
    pub fn resource_name(&self, ty: ResourceType) -> Option<&str> {
        self.resources.iter().find(|(known, _)| *known == ty).map(|(_, name)| name.as_str())
    }
}

fn callable(entry: &Entry) -> Callable {
    let (interface, name) = match entry.name.split_once('#') {
        Some((interface, name)) => (Some(interface.to_owned()), name),
        None => (None, entry.name.as_str()),
    };
    Callable { interface, name: name.to_owned(), ty: Arc::clone(entry.ty()) }
}

/// Why a function cannot be called with values that are made up.
fn unfit(func: &ExportedFunc) -> Option<&'static str> {
    let waits = |ty: &ValType| {
        ty.any(&|ty| matches!(ty, ValType::Stream(_) | ValType::Future(_) | ValType::ErrorContext))
    };
    if func.ty.params.iter().any(|(_, ty)| waits(ty)) || func.ty.result.as_ref().is_some_and(waits) {
        return Some("streams, futures and error contexts are not made up yet");
    }
    func.unsupported
}

/// The resource types of all handles in a type, each once.
fn resources(ty: &ValType) -> Vec<ResourceType> {
    fn collect(ty: &ValType, found: &mut Vec<ResourceType>) {
        match ty {
            ValType::Own(ty) | ValType::Borrow(ty) if !found.contains(ty) => found.push(*ty),
            ValType::List(ty) | ValType::FixedList(ty, _) | ValType::Option(ty) => collect(ty, found),
            ValType::Map(entry) => {
                collect(&entry.0, found);
                collect(&entry.1, found);
            }
            ValType::Record(fields) => fields.iter().for_each(|field| collect(&field.ty, found)),
            ValType::Tuple(types) => types.iter().for_each(|ty| collect(ty, found)),
            ValType::Variant(cases) => {
                cases.iter().filter_map(|case| case.ty.as_ref()).for_each(|ty| collect(ty, found));
            }
            ValType::Result(result) => {
                [&result.ok, &result.err].into_iter().flatten().for_each(|ty| collect(ty, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(ty, &mut found);
    found
}
