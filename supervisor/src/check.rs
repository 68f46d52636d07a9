//! `atoll validate`: whether a file is a valid component, and what is in it.

use std::path::Path;

use kernel::component::executable::features;
use wasmparser::{Payload, Validator};

use crate::complaint::Complaint;
use crate::program::Program;

/// What a component is made of.
#[derive(Debug, Default)]
struct Counts {
    components: usize,
    modules: usize,
    imports: usize,
    exports: usize,
}

/// Validates a file and says in a line what it is.
///
/// # Errors
/// It cannot be read, is no component, or is invalid; the complaint says where.
pub fn validate(file: &Path) -> Result<String, Complaint> {
    let source = Program::read(file)?;
    let bytes = source.component()?;
    let counts = counts(bytes).map_err(|error| {
        let what = format!("{}: not a valid component", source.path);
        Complaint::refused(what)
            .because(error)
            .advise("offsets are bytes from the beginning of the binary component")
    })?;
    let Counts { components, modules, imports, exports } = counts;
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    Ok(format!(
        "{}: a valid component: {}, {}, {}, {}\n",
        source.path,
        plural(imports, "import"),
        plural(exports, "export"),
        plural(components, "nested component"),
        plural(modules, "core module"),
    ))
}

fn counts(bytes: &[u8]) -> wasmparser::Result<Counts> {
    Validator::new_with_features(features()).validate_all(bytes)?;
    let mut counts = Counts::default();
    let mut depth = 0usize;
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ComponentSection { .. } => {
                (counts.components, depth) = (counts.components + 1, depth + 1)
            }
            Payload::ModuleSection { .. } => (counts.modules, depth) = (counts.modules + 1, depth + 1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                counts.imports += section.count() as usize
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                counts.exports += section.count() as usize
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(counts)
}
