//! Whether what is given fits what is imported (core spec, "External Typing", "Import Matching").

use std::fmt;

use crate::domain::Domain;
use crate::domain::externs::Extern;
use crate::jit::library::Library;
use crate::jit::module::{Import, ImportType};
use crate::jit::valtype::{GlobalType, MemoryType, TableType, ValType};

/// An import that cannot be satisfied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: `{module}` `{name}`: {detail}")]
pub struct LinkError {
    /// The import's first name.
    pub module: String,
    /// The import's second name.
    pub name: String,
    /// What is wrong, in the field's usual words.
    pub problem: LinkProblem,
    /// What was expected and what was given.
    pub detail: String,
}

/// The field's usual words for what is wrong with an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkProblem {
    /// Nothing of this name was given.
    Unknown,
    /// What was given has another type.
    Incompatible,
    /// It belongs to another domain.
    Foreign,
}

impl fmt::Display for LinkProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkProblem::Unknown => "unknown import",
            LinkProblem::Incompatible => "incompatible import type",
            LinkProblem::Foreign => "import belongs to another domain",
        })
    }
}

impl LinkError {
    fn new(import: &Import, problem: LinkProblem, detail: String) -> LinkError {
        LinkError { module: import.module.clone(), name: import.name.clone(), problem, detail }
    }
}

/// Looks each import of a library up.
///
/// # Errors
/// [`LinkError`] for the first that `find` does not know.
pub fn resolve(
    library: &Library,
    mut find: impl FnMut(&str, &str) -> Option<Extern>,
) -> Result<Vec<Extern>, LinkError> {
    let find = |import: &Import| {
        find(&import.module, &import.name).ok_or_else(|| {
            let detail = format!("nothing provides this {}", kind(&import.ty));
            LinkError::new(import, LinkProblem::Unknown, detail)
        })
    };
    library.module.imports.iter().map(find).collect()
}

/// Checks that `given` satisfies the imports of a library, one for one.
///
/// # Errors
/// [`LinkError`] for the first that it does not satisfy.
pub(super) fn check(domain: &Domain, library: &Library, given: &[Extern]) -> Result<(), LinkError> {
    let imports = &library.module.imports;
    for (at, import) in imports.iter().enumerate() {
        let Some(found) = given.get(at) else {
            let detail = format!("{} imports, {} given", imports.len(), given.len());
            return Err(LinkError::new(import, LinkProblem::Unknown, detail));
        };
        if !found.belongs_to(domain.key()) {
            let detail = "only a shared memory may be used by two".to_owned();
            return Err(LinkError::new(import, LinkProblem::Foreign, detail));
        }
        let ty = found.ty();
        if !matches(&ty, &import.ty) {
            let (wanted, found) = (describe(domain, &import.ty), describe(domain, &ty));
            let detail = format!("expected {wanted}, found {found}");
            return Err(LinkError::new(import, LinkProblem::Incompatible, detail));
        }
    }
    Ok(())
}

/// Whether something of type `found` can be imported as `wanted`.
pub(crate) fn matches(found: &ImportType, wanted: &ImportType) -> bool {
    match (found, wanted) {
        (ImportType::Func(found), ImportType::Func(wanted)) => found == wanted,
        (ImportType::Tag(found), ImportType::Tag(wanted)) => found == wanted,
        (ImportType::Table(found), ImportType::Table(wanted)) => table_matches(found, wanted),
        (ImportType::Memory(found), ImportType::Memory(wanted)) => memory_matches(found, wanted),
        (ImportType::Global(found), ImportType::Global(wanted)) => global_matches(found, wanted),
        _ => false,
    }
}

/// Both sides store into a table, so its element type must be the same.
fn table_matches(found: &TableType, wanted: &TableType) -> bool {
    found.element == wanted.element
        && found.table64 == wanted.table64
        && limits_match((found.minimum, found.maximum), (wanted.minimum, wanted.maximum))
}

fn memory_matches(found: &MemoryType, wanted: &MemoryType) -> bool {
    found.shared == wanted.shared
        && found.memory64 == wanted.memory64
        && found.page_log2 == wanted.page_log2
        && limits_match((found.minimum, found.maximum), (wanted.minimum, wanted.maximum))
}

/// Both sides store into a mutable global, so its type must be the same; of a constant one a subtype will do.
fn global_matches(found: &GlobalType, wanted: &GlobalType) -> bool {
    found.mutable == wanted.mutable
        && if found.mutable { found.ty == wanted.ty } else { found.ty.matches(wanted.ty) }
}

fn limits_match(found: (u64, Option<u64>), wanted: (u64, Option<u64>)) -> bool {
    found.0 >= wanted.0 && wanted.1.is_none_or(|wanted| found.1.is_some_and(|found| found <= wanted))
}

fn kind(ty: &ImportType) -> &'static str {
    match ty {
        ImportType::Func(_) => "function",
        ImportType::Table(_) => "table",
        ImportType::Memory(_) => "memory",
        ImportType::Global(_) => "global",
        ImportType::Tag(_) => "tag",
    }
}

fn describe(domain: &Domain, ty: &ImportType) -> String {
    let limits = |minimum: u64, maximum: Option<u64>| match maximum {
        Some(maximum) => format!("{minimum} to {maximum}"),
        None => format!("{minimum} or more"),
    };
    match ty {
        ImportType::Func(sig) | ImportType::Tag(sig) => {
            let signature = domain.engine().signature(*sig);
            let list =
                |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            format!("{} ({}) -> ({})", kind(ty), list(&signature.params), list(&signature.results))
        }
        ImportType::Table(ty) => {
            let width = if ty.table64 { "64-bit " } else { "" };
            format!("{width}table of {} {}", limits(ty.minimum, ty.maximum), ValType::Ref(ty.element))
        }
        ImportType::Memory(ty) => {
            let shared = if ty.shared { "shared " } else { "" };
            let width = if ty.memory64 { "64-bit " } else { "" };
            let pages = format!("pages of {} bytes", 1_u64 << ty.page_log2.min(63));
            format!("{shared}{width}memory of {} {pages}", limits(ty.minimum, ty.maximum))
        }
        ImportType::Global(ty) => {
            format!("{} global {}", if ty.mutable { "mutable" } else { "constant" }, ty.ty)
        }
    }
}
