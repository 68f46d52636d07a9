//! The parts of a composition and how they are wired.

use std::sync::Arc;

use super::contrast::{Difference, Identities, Side, contrast};
use super::face::Face;
use super::outer;
use super::outside::{Outside, OutsideError};

/// A component that becomes a process.
#[derive(Clone, Debug)]
pub struct Part {
    /// The name of the process.
    pub name: String,
    /// The name of its component, for a person.
    pub component: String,
    /// The component. Parts that share it are made of one.
    pub bytes: Arc<[u8]>,
    /// The component's face.
    pub face: Arc<Face>,
    /// Where each of its imports comes from, in their order.
    pub sources: Vec<Source>,
}

/// Where an import comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The system.
    System,
    /// It is only types: nobody has to serve it.
    Types,
    /// An earlier part.
    Part {
        /// Its number.
        part: usize,
        /// Which of its exports.
        export: String,
    },
}

/// What the whole exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// By this name.
    pub name: String,
    /// Of this part.
    pub part: usize,
    /// This export.
    pub export: String,
}

/// Why parts do not make a whole. Parts are given by number.
#[derive(Debug)]
pub enum ComposeError {
    /// What a part imports is not what it is wired to.
    Differ {
        /// Who imports.
        importer: usize,
        /// Which import, by number.
        import: usize,
        /// Who exports.
        exporter: usize,
        /// Which export.
        export: String,
        /// Where they differ.
        difference: Box<Difference>,
    },
    /// Parts cannot share what the system has.
    Outside(OutsideError),
    /// An import is something that is not wired between processes.
    Unsupported {
        /// Whose.
        part: usize,
        /// Its name.
        import: String,
        /// What it is.
        what: &'static str,
    },
    /// An import uses a type that only another import of another process has.
    Unseen {
        /// Whose.
        part: usize,
        /// Its name.
        import: String,
    },
    /// A wire leads to a part or an export that is not there, or not yet.
    Dangling {
        /// Whose.
        part: usize,
        /// Its import.
        import: String,
    },
}

/// Composes parts, each of which is wired to earlier ones only. The processes are instances of a component of this name.
///
/// # Errors
/// [`ComposeError`]
pub fn compose(name: &str, parts: &[Part], exports: &[Export]) -> Result<Vec<u8>, ComposeError> {
    let system = |part: &Part| {
        let numbers = part.sources.iter().enumerate().filter(|(_, source)| **source == Source::System);
        numbers.map(|(number, _)| number).collect()
    };
    let asked: Vec<_> = parts.iter().map(|part| (&*part.face, system(part))).collect();
    let (outside, mut identities) = Outside::gather(&asked).map_err(ComposeError::Outside)?;
    for importer in 0..parts.len() {
        check(parts, importer, &mut identities)?;
    }
    outer::write(name, parts, exports, &outside, &identities)
}

/// Compares what a part imports of others with what they export.
fn check(parts: &[Part], importer: usize, identities: &mut [Identities]) -> Result<(), ComposeError> {
    let part = &parts[importer];
    let (earlier, rest) = identities.split_at_mut(importer);
    for (import, (entity, source)) in part.face.imports.iter().zip(&part.sources).enumerate() {
        let Source::Part { part: exporter, export } = source else { continue };
        let found = parts.get(*exporter).and_then(|part| part.face.export(export));
        let (Some(found), Some(theirs)) = (found, earlier.get(*exporter)) else {
            return Err(ComposeError::Dangling { part: importer, import: entity.name.clone() });
        };
        let offered = Side { part: *exporter, face: &parts[*exporter].face, identities: theirs };
        contrast(&part.face, &mut rest[0], &entity.name, entity.ty, offered, found).map_err(
            |difference| {
                let export = export.clone();
                ComposeError::Differ {
                    importer,
                    import,
                    exporter: *exporter,
                    export,
                    difference: Box::new(difference),
                }
            },
        )?;
    }
    Ok(())
}
