//! A manifest with everything that it names: read, wired, composed, linked, and ready to be launched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipc::system::Placement;
use kernel::component::error::LinkError;
use kernel::component::executable::Executable;
use kernel::component::link::LinkOptions;
use kernel::component::linked::{Export, ExportedFunc, Linked};
use kernel::component::name::unversioned;
use kernel::jit::engine::Engine;
use kernel::quota::Quotas;
use servers::grants::Grants;

use super::binaries::{self, Process, Reader};
use super::combining;
use super::entries::{self, Entry};
use super::granting::{self, Printed};
use super::misfit;
use super::regime::{self, Regime};
use super::sheet::Sheet;
use super::supervision;
use super::wiring::{self, Gap, RUN, Wiring};
use crate::complaint::Complaint;
use crate::compose::face::Face;
use crate::compose::parts::{Export as OuterExport, Part, Source, compose};
use crate::launch;
use crate::live::Workers;
use crate::program::Program;
use crate::tend::spec::Spec;

/// Everything that is needed to launch what a manifest describes.
pub struct Loaded {
    /// The name of the tree: that of its root process.
    pub name: String,
    /// The manifest, as the person named it.
    pub file: String,
    /// All components as one.
    pub executable: Executable,
    /// The same, linked to the system.
    pub linked: Arc<Linked>,
    /// How it was linked.
    pub options: LinkOptions,
    /// The machine to run on.
    pub workers: Workers,
    /// Who starts whom again.
    pub spec: Spec,
    /// The processes that the manifest names, in the order in which they are written.
    pub processes: Vec<Planned>,
    sheet: Sheet,
    regime: Regime,
}

/// A process that the manifest names.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its path in the tree.
    pub path: String,
    /// Its index in [`Linked::processes`].
    pub index: u32,
    /// The file that it is made of; none for an instance inside of a component.
    pub component: Option<String>,
    /// Its `wasi:cli/run`, if that is to be called.
    pub run: Option<Arc<ExportedFunc>>,
    /// Whether a core dump is written when it faults.
    pub dump: bool,
    /// A file that gets what it prints.
    pub log_file: Option<PathBuf>,
    /// How many lines of what it prints are kept.
    pub log_lines: Option<usize>,
    entry: Entry,
}

/// An import that nobody serves, or of which nobody knows who does.
#[derive(Debug)]
pub struct Unserved {
    /// The path of the process that has it.
    pub path: String,
    /// Its name.
    pub import: String,
    /// Why, in a few words.
    pub why: String,
    /// The same for who cannot go on, and what to do.
    pub complaint: Complaint,
}

impl Loaded {
    /// Reads a manifest and the components that it names, and brings them together.
    ///
    /// # Errors
    /// Anything that is wrong with it, where possible with the line that has it.
    pub fn read(path: &Path, engine: &Engine) -> Result<Loaded, Complaint> {
        Loaded::of(Sheet::read(path)?, engine)
    }

    /// The same of a manifest that has been read.
    ///
    /// # Errors
    /// As [`Loaded::read`].
    pub fn of(sheet: Sheet, engine: &Engine) -> Result<Loaded, Complaint> {
        Loaded::with(sheet, engine, &Program::read)
    }

    /// Reads a manifest in which some imports may have nobody who serves them: these too. It is for looking at.
    ///
    /// # Errors
    /// As [`Loaded::read`], but for such imports.
    pub fn with_gaps(path: &Path, engine: &Engine) -> Result<(Loaded, Vec<Unserved>), Complaint> {
        Loaded::assemble(Sheet::read(path)?, engine, &Program::read)
    }

    /// The same with files that something else reads.
    ///
    /// # Errors
    /// As [`Loaded::read`].
    pub fn with(sheet: Sheet, engine: &Engine, reader: &Reader<'_>) -> Result<Loaded, Complaint> {
        let (loaded, unserved) = Loaded::assemble(sheet, engine, reader)?;
        match unserved.into_iter().next() {
            Some(Unserved { complaint, .. }) => Err(complaint),
            None => Ok(loaded),
        }
    }

    fn assemble(
        sheet: Sheet,
        engine: &Engine,
        reader: &Reader<'_>,
    ) -> Result<(Loaded, Vec<Unserved>), Complaint> {
        let name = entries::tree_name(&sheet)?;
        let entries = entries::entries(&sheet)?;
        entries.iter().try_for_each(|entry| granting::check(&sheet, entry))?;
        combining::check(&sheet, &entries)?;
        let mut options = regime::link_options(&sheet, &name, &entries)?;
        let processes = binaries::read(&sheet, &entries, reader)?;
        let offers = launch::offers();
        let system: BTreeMap<String, ()> = offers.names.keys().map(|name| (name.clone(), ())).collect();
        let wiring = wiring::wire(&sheet, &processes, &system)?;
        options.missing_is_fault = !wiring.gaps.is_empty();
        let bytes = composed(&sheet, &name, &processes, &wiring)?;
        let executable = launch::parse(engine, &sheet.path, &bytes)?;
        let linked = executable.link(&offers, &options).map_err(|error| unlinked(&sheet, error))?;
        let regime = Regime::of(&sheet, &name, &entries, &linked)?;
        combining::check_linked(&sheet, &name, &entries, &linked)?;
        let planned = entries.iter().map(|entry| Planned::of(&sheet, &name, entry, &linked));
        let planned: Vec<Planned> = planned.collect::<Result<_, _>>()?;
        let runs: BTreeSet<String> = planned
            .iter()
            .filter(|process| process.run.is_some())
            .map(|process| process.path.clone())
            .collect();
        let spec = supervision::spec(&sheet, &name, &entries, &linked, &runs)?;
        let machine = &sheet.keys.machine;
        let unserved = wiring.gaps.into_iter().map(|Gap { importer, import, why, complaint }| Unserved {
            path: processes[importer].entry.path(&name),
            import,
            why,
            complaint,
        });
        let unserved = unserved.collect();
        let loaded = Loaded {
            name,
            file: sheet.path.clone(),
            executable,
            linked: Arc::new(linked),
            options,
            workers: Workers {
                workers: machine.workers.as_ref().map(|said| said.get_ref().0),
                slice: machine.slice.map(|said| said.0),
            },
            spec,
            processes: planned,
            sheet,
            regime,
        };
        Ok((loaded, unserved))
    }

    /// How a domain is to run, by its number.
    #[must_use]
    pub fn placement(&self, domain: u32) -> Placement {
        self.regime.placement(&self.linked, domain)
    }

    /// What processes may hold.
    #[must_use]
    pub fn quotas(&self) -> Quotas {
        self.regime.quotas(&self.linked)
    }

    /// A part of the manifest as it is written, without the quotes.
    pub(super) fn written(&self, part: std::ops::Range<usize>) -> &str {
        self.sheet.written(part).trim_matches(['"', '\''])
    }

    /// What every process of the tree is granted, by its index in [`Linked::processes`]. `printed` says where what a
    /// process prints goes, by its path.
    pub fn grants(&self, mut printed: impl FnMut(&str) -> Printed) -> Vec<(u32, Grants)> {
        let grant = |(index, info): (u32, &kernel::component::linked::ProcessInfo)| {
            let printed = printed(&info.path);
            let named = self.processes.iter().find(|process| process.index == index);
            let grants = match named {
                Some(process) => granting::grants(&self.sheet, &process.entry, printed),
                None => {
                    let inside = info.path.strip_prefix('/').and_then(|path| path.split_once('/'));
                    granting::nothing(&self.sheet, inside.map_or("", |(_, name)| name), printed)
                }
            };
            (index, grants)
        };
        (0..).zip(self.linked.processes()).map(grant).collect()
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded")
            .field("name", &self.name)
            .field("processes", &self.processes)
            .finish_non_exhaustive()
    }
}

impl Planned {
    fn of(sheet: &Sheet, tree: &str, entry: &Entry, linked: &Linked) -> Result<Planned, Complaint> {
        let path = entry.path(tree);
        let index = linked.processes().iter().position(|process| process.path == path);
        let index = index.expect("it is there: that has been checked");
        let run = linked.exported_by(index).and_then(run_of);
        let keys = &entry.keys;
        let run = match &keys.run {
            Some(said) if *said.get_ref() && run.is_none() => {
                let what = format!("`{}` has nothing to run: it does not export `{RUN}@0.2.x`", entry.name);
                return Err(sheet.complain(said.span(), what, "here").advise("take this line away"));
            }
            Some(said) if !*said.get_ref() => None,
            _ if entry.is_inner() => None,
            _ => run,
        };
        Ok(Planned {
            path,
            index: u32::try_from(index).expect("linking bounds the number of processes"),
            component: keys.component.as_ref().map(|component| component.get_ref().clone()),
            run,
            dump: keys.dump.as_ref().is_some_and(|dump| *dump.get_ref()),
            log_file: keys.logs.file.as_ref().map(|file| sheet.file(file.get_ref())),
            log_lines: keys.logs.lines.as_ref().map(|lines| lines.get_ref().0.0 as usize),
            entry: entry.clone(),
        })
    }

    /// What the manifest says of it.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}

/// The `run` of a command.
fn run_of(exports: &BTreeMap<Box<str>, Export>) -> Option<Arc<ExportedFunc>> {
    exports.iter().find_map(|(name, export)| match export {
        Export::Instance(items) if unversioned(name) == RUN => match items.get("run") {
            Some(Export::Func(func)) => Some(Arc::new(func.clone())),
            _ => None,
        },
        _ => None,
    })
}

/// One component of all.
fn composed(sheet: &Sheet, name: &str, processes: &[Process], wiring: &Wiring) -> Result<Vec<u8>, Complaint> {
    let mut position = vec![0; processes.len()];
    for (place, process) in wiring.order.iter().enumerate() {
        position[*process] = place;
    }
    let moved = |source: &Source| match source {
        Source::Part { part, export } => Source::Part { part: position[*part], export: export.clone() },
        source => source.clone(),
    };
    let part = |process: &usize| {
        let Process { entry, binary } = &processes[*process];
        Part {
            name: entry.name.clone(),
            component: launch_name(&binary.file),
            bytes: Arc::clone(&binary.bytes),
            face: Arc::clone(&binary.face),
            sources: wiring.sources[*process].iter().map(moved).collect(),
        }
    };
    let parts: Vec<Part> = wiring.order.iter().map(part).collect();
    let export = |export: &OuterExport| OuterExport { part: position[export.part], ..export.clone() };
    let exports: Vec<OuterExport> = wiring.exports.iter().map(export).collect();
    let composed = |exports: &[OuterExport]| {
        compose(name, &parts, exports).map_err(|error| {
            let ordered: Vec<&Process> = wiring.order.iter().map(|process| &processes[*process]).collect();
            misfit::complain(sheet, &ordered, &error)
        })
    };
    let bytes = composed(&exports)?;
    let Err(error) = Face::read(&bytes) else { return Ok(bytes) };
    // What has a type that only another export has a name for cannot be exported alone.
    if let Some(chosen) = &sheet.keys.exports {
        let complaint = sheet.complain(chosen.span(), "these cannot be exported together", "here");
        let complaint = complaint.because(error);
        return Err(complaint
            .advise("export interfaces that have names for all of their types, each by another name"));
    }
    let alone = |export: &OuterExport| {
        composed(std::slice::from_ref(export)).is_ok_and(|bytes| Face::read(&bytes).is_ok())
    };
    let exports: Vec<OuterExport> = exports.into_iter().filter(alone).collect();
    let bytes = composed(&exports)?;
    if Face::read(&bytes).is_ok() { Ok(bytes) } else { composed(&[]) }
}

/// What a component is called by its file.
fn launch_name(file: &str) -> String {
    crate::console::tree_name(file)
}

fn unlinked(sheet: &Sheet, error: LinkError) -> Complaint {
    let complaint = Complaint::refused(format!("{}: cannot be linked", sheet.path)).because(error);
    complaint.advise("the system serves WASI 0.2; `atoll wit FILE` shows what a component asks for")
}
