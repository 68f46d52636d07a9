//! The components that a manifest's processes are made of, each file read once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entries::Entry;
use super::sheet::Sheet;
use crate::complaint::Complaint;
use crate::compose::face::Face;
use crate::program::Program;

/// A component and what it shows of itself.
#[derive(Clone, Debug)]
pub struct Binary {
    /// Its file, as the manifest has it.
    pub file: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Its imports and exports.
    pub face: Arc<Face>,
}

/// A process with its component.
#[derive(Clone, Debug)]
pub struct Process {
    /// What the manifest says of it.
    pub entry: Entry,
    /// Its component.
    pub binary: Binary,
}

/// What reads a file that is to be a component.
pub type Reader<'r> = dyn Fn(&Path) -> Result<Program, Complaint> + 'r;

/// Reads the components of all processes that have one.
///
/// # Errors
/// A file cannot be read, or is no component.
pub fn read(sheet: &Sheet, entries: &[Entry], reader: &Reader<'_>) -> Result<Vec<Process>, Complaint> {
    let mut known: HashMap<PathBuf, Binary> = HashMap::new();
    let mut processes = Vec::new();
    for entry in entries {
        let Some(component) = &entry.keys.component else { continue };
        let path = sheet.file(component.get_ref());
        let binary = match known.get(&path) {
            Some(binary) => binary.clone(),
            None => {
                let place = |complaint: Complaint| match complaint.has_place() {
                    true => complaint,
                    false => {
                        sheet.point(complaint, component.span(), format!("the component of `{}`", entry.name))
                    }
                };
                let program = reader(&path).map_err(place)?;
                let bytes: Arc<[u8]> = program.component().map_err(place)?.into();
                let face = Face::read(&bytes).map_err(|error| {
                    let what = format!("{}: not a valid component", program.path);
                    let complaint = Complaint::refused(what).because(error);
                    place(complaint.advise("offsets are bytes from the beginning of the binary component"))
                })?;
                let binary = Binary { file: component.get_ref().clone(), bytes, face: Arc::new(face) };
                known.insert(path, binary.clone());
                binary
            }
        };
        processes.push(Process { entry: entry.clone(), binary });
    }
    Ok(processes)
}
