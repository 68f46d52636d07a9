//! Who serves whose imports, and in which order processes start.
//!
//! An import goes, in this order: where the manifest sends it; to nobody, if it is only types; to the system, if that has
//! it; to the one process that exports it. Names match by interface, with compatible versions.

use std::collections::{BTreeMap, HashMap, HashSet};

use kernel::component::name::{compatible, lookup, unversioned};
use toml::Spanned;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::names::ComponentName;

use super::binaries::Process;
use super::entries::SYSTEM;
use super::said::Wire;
use super::sheet::Sheet;
use crate::complaint::Complaint;
use crate::compose::face::{Entity, kind};
use crate::compose::parts::{Export, Source};
use crate::nearest::nearest;

/// How many names a complaint lists before it counts the rest.
const LISTED: usize = 6;

/// The name of what is called to run a command.
pub const RUN: &str = "wasi:cli/run";

/// The wires of a tree.
#[derive(Debug)]
pub struct Wiring {
    /// The processes in the order in which they start: each after those that it calls.
    pub order: Vec<usize>,
    /// By process, where each of its imports comes from. Parts are numbers of processes.
    pub sources: Vec<Vec<Source>>,
    /// What the tree exports.
    pub exports: Vec<Export>,
    /// Imports that nobody serves, or of which nobody knows who does. As sources they are the system's.
    pub gaps: Vec<Gap>,
}

/// An import without somebody who serves it.
#[derive(Debug)]
pub struct Gap {
    /// Which process has it, by number.
    pub importer: usize,
    /// Its name.
    pub import: String,
    /// Why, in a few words.
    pub why: String,
    /// The same for who cannot go on, and what to do.
    pub complaint: Complaint,
}

/// Wires processes; `system` has the names of what the system serves.
///
/// # Errors
/// A wire that leads nowhere, processes that wait for each other.
pub fn wire(
    sheet: &Sheet,
    processes: &[Process],
    system: &BTreeMap<String, ()>,
) -> Result<Wiring, Complaint> {
    let wirer = Wirer { sheet, processes, system };
    let mut gaps = Vec::new();
    let sources = (0..processes.len()).map(|importer| wirer.sources(importer, &mut gaps));
    let sources: Vec<Vec<Source>> = sources.collect::<Result<_, _>>()?;
    let order = wirer.order(&sources)?;
    let exports = match &sheet.keys.exports {
        Some(chosen) => {
            let chosen = chosen.get_ref().iter().map(|(name, wire)| wirer.export(name, wire));
            chosen.collect::<Result<Vec<Export>, _>>()?
        }
        None => wirer.usual_exports(&sources),
    };
    if let Some(chosen) = &sheet.keys.exports {
        for (key, export) in chosen.get_ref().keys().zip(&exports) {
            let twice = exports.iter().filter(|other| other.name == export.name).count() > 1;
            let wrong = ComponentName::new(&export.name, 0).is_err();
            if twice || wrong {
                let why = if twice { "exported twice" } else { "no name that a component can export by" };
                let complaint = sheet.complain(key.span(), format!("`{}` is {why}", export.name), "here");
                return Err(complaint.advise("names are as `orders`, or as `shop:front/orders@1.0.0`"));
            }
        }
    }
    Ok(Wiring { order, sources, exports, gaps })
}

struct Wirer<'a> {
    sheet: &'a Sheet,
    processes: &'a [Process],
    system: &'a BTreeMap<String, ()>,
}

impl Wirer<'_> {
    fn name(&self, process: usize) -> &str {
        &self.processes[process].entry.name
    }

    /// Where the imports of a process come from.
    fn sources(&self, importer: usize, gaps: &mut Vec<Gap>) -> Result<Vec<Source>, Complaint> {
        let Process { entry, binary } = &self.processes[importer];
        let imports = &binary.face.imports;
        for key in entry.keys.imports.keys() {
            if !imports.iter().any(|import| means(key.get_ref(), &import.name)) {
                return Err(self.no_such_import(importer, key));
            }
        }
        (0..imports.len()).map(|import| self.source(importer, import, gaps)).collect()
    }

    fn source(&self, importer: usize, import: usize, gaps: &mut Vec<Gap>) -> Result<Source, Complaint> {
        let Process { entry, binary } = &self.processes[importer];
        let entity = &binary.face.imports[import];
        let mut said = entry.keys.imports.iter();
        if let Some((_, wire)) = said.find(|(key, _)| means(key.get_ref(), &entity.name)) {
            return self.said(importer, entity, wire);
        }
        if !binary.face.runs(import) {
            return Ok(Source::Types);
        }
        let is_interface = matches!(entity.ty, ComponentEntityType::Instance(_));
        if is_interface && lookup(self.system, &entity.name).is_some() {
            return Ok(Source::System);
        }
        let others = (0..self.processes.len()).filter(|other| *other != importer);
        let candidates: Vec<(usize, &str)> = others
            .filter_map(|other| Some((other, self.exported(other, &entity.name, entity.ty)?)))
            .collect();
        let (why, complaint) = match candidates.as_slice() {
            [(part, export)] => return Ok(Source::Part { part: *part, export: (*export).to_owned() }),
            [] => ("no process exports it".to_owned(), self.nobody(importer, entity)),
            several => {
                let names = listed(several.iter().map(|(candidate, _)| self.name(*candidate)));
                (format!("{names} export it"), self.several(importer, entity, several))
            }
        };
        if !is_interface {
            // The system has interfaces only: nothing else can stand for its.
            return Err(complaint);
        }
        gaps.push(Gap { importer, import: entity.name.clone(), why, complaint });
        Ok(Source::System)
    }

    /// The export of a process that an import of this name could be served by.
    fn exported(&self, process: usize, name: &str, ty: ComponentEntityType) -> Option<&str> {
        let exports = self.processes[process].binary.face.exports.iter();
        let alike = exports.filter(|export| kind(export.ty) == kind(ty));
        let names: BTreeMap<String, &str> =
            alike.map(|export| (export.name.clone(), export.name.as_str())).collect();
        lookup(&names, name).map(|(_, export)| *export)
    }

    /// An import that the manifest sends somewhere.
    fn said(&self, importer: usize, entity: &Entity, wire: &Spanned<Wire>) -> Result<Source, Complaint> {
        let Wire { from, export } = wire.get_ref();
        let (me, import) = (self.name(importer), &entity.name);
        if from == SYSTEM {
            return match lookup(self.system, import) {
                Some(_) => Ok(Source::System),
                None => {
                    let what = format!("the system does not serve `{import}`, which `{me}` imports");
                    let complaint = self.sheet.complain(wire.span(), what, "here");
                    Err(complaint.advise("the system serves WASI 0.2; anything else is wired to a process"))
                }
            };
        }
        let part = self.process(from, wire)?;
        if part == importer {
            let what = format!("`{me}` cannot serve its own import `{import}`");
            let complaint = self.sheet.complain(wire.span(), what, "itself");
            return Err(complaint.advise("wire it to another process, or to `system`"));
        }
        let found = match export {
            None => self.exported(part, import, entity.ty).map(str::to_owned),
            Some(export) => self.export_of(part, export),
        };
        match found {
            Some(export) => Ok(Source::Part { part, export }),
            None => {
                let wanted = export.as_deref().unwrap_or(import);
                let what = format!("`{from}` does not export `{wanted}`, which `{me}` is to get from it");
                let complaint = self.sheet.complain(wire.span(), what, "here");
                Err(self.advise_exports(complaint, part, wanted))
            }
        }
    }

    fn process(&self, name: &str, wire: &Spanned<Wire>) -> Result<usize, Complaint> {
        let found = self.processes.iter().position(|process| process.entry.name == name);
        found.ok_or_else(|| {
            let complaint = self.sheet.complain(wire.span(), format!("there is no process `{name}`"), "here");
            let names = self.processes.iter().map(|process| process.entry.name.as_str());
            match nearest(name, names.clone()) {
                Some(near) => complaint.advise(format!("did you mean `{near}`?")),
                None => complaint.advise(format!("the processes are {}", listed(names))),
            }
        })
    }

    /// An export by its name, with or without the version.
    fn export_of(&self, process: usize, name: &str) -> Option<String> {
        let mut exports = self.processes[process].binary.face.exports.iter();
        exports.find(|export| means(name, &export.name)).map(|export| export.name.clone())
    }

    fn advise_exports(&self, complaint: Complaint, process: usize, wanted: &str) -> Complaint {
        let exports = &self.processes[process].binary.face.exports;
        let names = exports.iter().map(|export| export.name.as_str());
        let base = unversioned(wanted);
        let other = names.clone().find(|name| unversioned(name) == base);
        let near = nearest(wanted, names.clone()).or_else(|| nearest(base, names.clone().map(unversioned)));
        match (other, near) {
            (Some(other), _) => complaint.advise(versions(wanted, other)),
            (None, Some(near)) => complaint.advise(format!("did you mean `{near}`?")),
            (None, None) if exports.is_empty() => {
                complaint.advise(format!("`{}` exports nothing", self.name(process)))
            }
            (None, None) => complaint.advise(format!("`{}` exports {}", self.name(process), listed(names))),
        }
    }

    fn no_such_import(&self, importer: usize, key: &Spanned<String>) -> Complaint {
        let (me, word) = (self.name(importer), key.get_ref());
        let what = format!("`{me}` does not import `{word}`");
        let complaint = self.sheet.complain(key.span(), what, "no import of this name");
        let imports = &self.processes[importer].binary.face.imports;
        let names = || imports.iter().flat_map(|import| [import.name.as_str(), unversioned(&import.name)]);
        match nearest(word, names()) {
            Some(near) => complaint.advise(format!("did you mean `{near}`?")),
            None if imports.is_empty() => complaint.advise(format!("`{me}` imports nothing")),
            None => complaint
                .advise(format!("it imports {}", listed(imports.iter().map(|import| import.name.as_str())))),
        }
    }

    /// Nobody serves an import.
    fn nobody(&self, importer: usize, entity: &Entity) -> Complaint {
        let Process { entry, .. } = &self.processes[importer];
        let (me, import) = (&entry.name, &entity.name);
        let what = format!("nobody serves the {} `{import}`, which `{me}` imports", kind(entity.ty));
        let complaint = self.sheet.complain(entry.place.clone(), what, "this process");
        let base = unversioned(import);
        let mut alike = Vec::new();
        for (number, process) in self.processes.iter().enumerate() {
            let exports =
                process.binary.face.exports.iter().filter(|export| unversioned(&export.name) == base);
            alike.extend(exports.filter(|_| number != importer).map(|export| (number, &export.name)));
        }
        let mut system = self.system.keys().filter(|name| unversioned(name) == base);
        match (alike.first(), system.next()) {
            (Some((other, export)), _) => complaint.advise(format!(
                "`{}` exports `{export}`: {}",
                self.name(*other),
                versions(import, export)
            )),
            (None, Some(served)) => {
                complaint.advise(format!("the system serves `{served}`: {}", versions(import, served)))
            }
            (None, None) => complaint
                .advise("add a process whose component exports it; `atoll wit FILE` shows what one exports"),
        }
    }

    /// Several could serve an import.
    fn several(&self, importer: usize, entity: &Entity, candidates: &[(usize, &str)]) -> Complaint {
        let Process { entry, .. } = &self.processes[importer];
        let names = listed(candidates.iter().map(|(candidate, _)| self.name(*candidate)));
        let what = format!("`{}` imports `{}`, and {names} export it", entry.name, entity.name);
        let mut complaint = self.sheet.complain(entry.place.clone(), what, "this process");
        for (candidate, _) in candidates.iter().take(LISTED) {
            let place = self.processes[*candidate].entry.place.clone();
            complaint = self.sheet.point(complaint, place, "this one exports it");
        }
        let (first, _) = candidates[0];
        complaint.advise(format!(
            "say which: write in [process.{}]\n  imports = {{ \"{}\" = \"{}\" }}",
            entry.name,
            unversioned(&entity.name),
            self.name(first)
        ))
    }

    /// An export that the manifest chooses.
    fn export(&self, name: &Spanned<String>, wire: &Spanned<Wire>) -> Result<Export, Complaint> {
        let Wire { from, export } = wire.get_ref();
        let part = self.process(from, wire)?;
        let wanted = export.as_ref().unwrap_or(name.get_ref());
        let Some(found) = self.export_of(part, wanted) else {
            let complaint = self.sheet.complain(
                name.span(),
                format!("`{from}` does not export `{wanted}`"),
                "this export",
            );
            return Err(self.advise_exports(complaint, part, wanted));
        };
        let name = match export {
            Some(_) => name.get_ref().clone(),
            None => found.clone(),
        };
        Ok(Export { name, part, export: found })
    }

    /// What is exported if nothing is said: what no process imports, where only one process has it.
    fn usual_exports(&self, sources: &[Vec<Source>]) -> Vec<Export> {
        let mut imported = HashSet::new();
        for source in sources.iter().flatten() {
            if let Source::Part { part, export } = source {
                imported.insert((*part, export.as_str()));
            }
        }
        let mut exports = Vec::new();
        let mut alike: HashMap<String, Vec<(usize, &str)>> = HashMap::new();
        for (part, process) in self.processes.iter().enumerate() {
            for Entity { name, ty } in &process.binary.face.exports {
                let callable = matches!(ty, ComponentEntityType::Instance(_) | ComponentEntityType::Func(_));
                if callable && !imported.contains(&(part, name.as_str())) {
                    exports.push(Export { name: name.clone(), part, export: name.clone() });
                    // Names that differ in capitals only are the same to a component.
                    alike.entry(unversioned(name).to_ascii_lowercase()).or_default().push((part, name));
                }
            }
        }
        let shared = |export: &Export| {
            let alike = alike.get(&unversioned(&export.name).to_ascii_lowercase()).into_iter().flatten();
            let others = alike.filter(|(part, _)| *part != export.part);
            others
                .into_iter()
                .any(|(_, name)| name.eq_ignore_ascii_case(&export.name) || compatible(name, &export.name))
        };
        exports.retain(|export| !shared(export));
        exports
    }

    /// The processes in start order; of those that could be next, the one that is written first.
    fn order(&self, sources: &[Vec<Source>]) -> Result<Vec<usize>, Complaint> {
        let needs = |process: usize| {
            sources[process].iter().filter_map(|source| match source {
                Source::Part { part, .. } => Some(*part),
                _ => None,
            })
        };
        let (mut order, mut started) = (Vec::new(), vec![false; sources.len()]);
        while order.len() < sources.len() {
            let mut waiting = (0..sources.len()).filter(|process| !started[*process]);
            let ready = waiting.clone().find(|process| needs(*process).all(|need| started[need]));
            match ready {
                Some(ready) => {
                    started[ready] = true;
                    order.push(ready);
                }
                None => {
                    // Whoever waits waits for one who waits: following that comes round.
                    let first = waiting.next().expect("some have not started");
                    let mut way = vec![first];
                    loop {
                        let last = way[way.len() - 1];
                        let next = needs(last).find(|need| !started[*need]);
                        let next = next.expect("it waits for one who has not started");
                        if let Some(begin) = way.iter().position(|process| *process == next) {
                            return Err(self.cycle(&way[begin..]));
                        }
                        way.push(next);
                    }
                }
            }
        }
        Ok(order)
    }

    fn cycle(&self, cycle: &[usize]) -> Complaint {
        let mut names: Vec<&str> = cycle.iter().map(|process| self.name(*process)).collect();
        names.push(names[0]);
        let first = &self.processes[cycle[0]].entry;
        let what = format!("processes that need each other cannot start: {}", names.join(" → "));
        let mut complaint = self.sheet.complain(first.place.clone(), what, "in this cycle");
        for process in cycle.iter().skip(1).take(LISTED) {
            complaint =
                self.sheet.point(complaint, self.processes[*process].entry.place.clone(), "in this cycle");
        }
        complaint.advise(
            "an arrow leads from who imports to who exports; let one of them get what it needs elsewhere",
        )
    }
}

/// Whether a name in a manifest means an import or export: with its version, or without.
fn means(written: &str, name: &str) -> bool {
    written == name || written == unversioned(name) || compatible(written, name)
}

fn versions(wanted: &str, other: &str) -> String {
    let version = |name: &str| name.split_once('@').map_or("no version", |(_, version)| version).to_owned();
    format!(
        "{} and {} are not compatible: from 1.0.0 on the major version is the same, before that the minor one",
        version(wanted),
        version(other)
    )
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() && names.len() <= LISTED => {
            format!("{} and {last}", rest.join(", "))
        }
        _ if names.len() <= LISTED => names.join(", "),
        _ => format!("{} and {} more", names[..LISTED].join(", "), names.len() - LISTED),
    }
}
