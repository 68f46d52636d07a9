//! The processes that a manifest names, before anything is known of their components.

use std::ops::Range;

use super::keys::ProcessKeys;
use super::sheet::Sheet;
use crate::complaint::Complaint;
use crate::limits::MANIFEST_PROCESSES;
use crate::nearest::nearest;

/// The name that stands for the system among those who serve imports.
pub const SYSTEM: &str = "system";

/// Names that mean something else.
const TAKEN: [&str; 2] = [SYSTEM, "all"];

/// The longest name of a process.
const NAME_LENGTH: usize = 64;

/// A process that a manifest names.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name: for an instance inside of a component, `/` between the names on the way.
    pub name: String,
    /// Where its name stands.
    pub place: Range<usize>,
    /// What is written of it.
    pub keys: ProcessKeys,
}

impl Entry {
    /// Whether it is inside of another one's component.
    #[must_use]
    pub fn is_inner(&self) -> bool {
        self.name.contains('/')
    }

    /// The entry that it is in: its own name, if it is in none.
    #[must_use]
    pub fn outermost(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Its path in the tree of a name.
    #[must_use]
    pub fn path(&self, tree: &str) -> String {
        format!("/{tree}/{}", self.name)
    }
}

/// The name of the tree.
///
/// # Errors
/// It is none.
pub fn tree_name(sheet: &Sheet) -> Result<String, Complaint> {
    match &sheet.keys.name {
        Some(name) => {
            check_name(name.get_ref()).map_err(|why| {
                sheet.complain(
                    name.span(),
                    format!("`{}` is no name of a tree: {why}", name.get_ref()),
                    "here",
                )
            })?;
            Ok(name.get_ref().clone())
        }
        None => {
            let here = std::path::Path::new(".");
            let folder = if sheet.folder.as_os_str().is_empty() { here } else { &sheet.folder };
            let folder = folder.canonicalize().ok();
            let folder =
                folder.as_deref().and_then(|folder| folder.file_name()).and_then(|name| name.to_str());
            Ok(folder.filter(|name| check_name(name).is_ok()).unwrap_or("app").to_owned())
        }
    }
}

/// The processes, in the order in which they are written.
///
/// # Errors
/// A name that is none, a process without a component, or one with keys that cannot be its.
pub fn entries(sheet: &Sheet) -> Result<Vec<Entry>, Complaint> {
    let entry = |(name, keys): (&toml::Spanned<String>, &toml::Spanned<ProcessKeys>)| Entry {
        name: name.get_ref().clone(),
        place: name.span(),
        keys: keys.get_ref().clone(),
    };
    let mut entries: Vec<Entry> = sheet.keys.process.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.place.start);
    if entries.iter().all(Entry::is_inner) {
        let complaint = Complaint::refused(format!("{}: it names no process with a component", sheet.path));
        return Err(complaint.advise("write one: [process.NAME] and component = \"FILE.wasm\""));
    }
    if entries.len() > MANIFEST_PROCESSES {
        let what =
            format!("{}: {} processes, at most {MANIFEST_PROCESSES} can be named", sheet.path, entries.len());
        return Err(Complaint::refused(what));
    }
    for entry in &entries {
        match entry.is_inner() {
            true => check_inner(sheet, &entries, entry)?,
            false => check(sheet, entry)?,
        }
    }
    Ok(entries)
}

fn check(sheet: &Sheet, entry: &Entry) -> Result<(), Complaint> {
    let name = &entry.name;
    check_name(name).map_err(|why| {
        sheet.complain(entry.place.clone(), format!("`{name}` is no name of a process: {why}"), "here")
    })?;
    if entry.keys.component.is_none() {
        let what = format!("process `{name}` has no component");
        let complaint = sheet.complain(entry.place.clone(), what, "this process");
        return Err(complaint.advise(format!("write below it: component = \"{name}.wasm\"")));
    }
    check_domain(sheet, entry)
}

/// An instance inside of a component comes with that; what can be said of it is what it may do.
fn check_inner(sheet: &Sheet, entries: &[Entry], entry: &Entry) -> Result<(), Complaint> {
    let (name, outermost) = (&entry.name, entry.outermost());
    if !entries.iter().any(|other| other.name == outermost) {
        let what = format!("`{name}` is inside of `{outermost}`, and no process has that name");
        let complaint = sheet.complain(entry.place.clone(), what, "here");
        let names = entries.iter().filter(|entry| !entry.is_inner()).map(|entry| entry.name.as_str());
        return Err(match nearest(outermost, names) {
            Some(near) => complaint.advise(format!("did you mean `{near}`?")),
            None => {
                complaint.advise(format!("write the outer one too: [process.{outermost}] with its component"))
            }
        });
    }
    let place = |key: &str, span: Range<usize>| {
        let what = format!("`{name}` is an instance inside of a component: it has no `{key}` of its own");
        let complaint = sheet.complain(span, what, "not here");
        complaint.advise("of such an instance you can say what it may do, what it may use, and how it ends")
    };
    if let Some(component) = &entry.keys.component {
        return Err(place("component", component.span()));
    }
    if let Some((key, _)) = entry.keys.imports.iter().next() {
        return Err(place("imports", key.span()));
    }
    if let Some(run) = &entry.keys.run {
        return Err(place("run", run.span()));
    }
    check_domain(sheet, entry)
}

fn check_domain(sheet: &Sheet, entry: &Entry) -> Result<(), Complaint> {
    match (&entry.keys.isolate, &entry.keys.domain) {
        (Some(isolate), Some(domain)) if !isolate.get_ref() => {
            let what = format!(
                "process `{}` is in a domain of its own choice, or begins none: not both",
                entry.name
            );
            let complaint = sheet.complain(isolate.span(), what, "begins none");
            Err(sheet.point(complaint, domain.span(), "its domain").advise("take one of the two away"))
        }
        _ => Ok(()),
    }
}

/// Names are typed into shells: they have nothing in them that means something there, or to an option.
fn check_name(name: &str) -> Result<(), String> {
    let mut chars = name.chars();
    if !chars.next().is_some_and(|first| first.is_ascii_alphabetic()) {
        return Err("it begins with a letter".to_owned());
    }
    if let Some(wrong) = chars.find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return Err(format!("`{wrong}` is not a letter, digit, `-`, `_` or `.`"));
    }
    if name.len() > NAME_LENGTH {
        return Err(format!("it is longer than {NAME_LENGTH} letters"));
    }
    match TAKEN.contains(&name) {
        true => Err("this word means something else".to_owned()),
        false => Ok(()),
    }
}
