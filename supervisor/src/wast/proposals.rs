//! Which WebAssembly proposals a script is validated with: all that run here, then what its header and the command
//! line switch on or off.

use wasmparser::WasmFeatures;

/// Proposals that nothing here executes, or that contradict the suites when on.
const OFF: WasmFeatures = WasmFeatures::CM_VALUES
    .union(WasmFeatures::CM_NESTED_NAMES)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM64)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::MEMORY_CONTROL)
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::CUSTOM_DESCRIPTORS);

/// Header keys that are about the runner of the scripts' authors and not about validation.
const NOT_PROPOSALS: [&str; 4] = ["hogs_memory", "nan_canonicalization", "spec_test", "branch_hinting"];

/// A word that names no proposal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposalError {
    /// The name is unknown.
    #[error(
        "no proposal `{0}`; a name is one of wasmparser's features, such as `multi-memory` or `cm-async`"
    )]
    Unknown(String),
    /// A header line is not `key = true` or `key = false`.
    #[error("header line {line}: expected `;;! name = true` or `false`, found `{text}`")]
    Header {
        /// Which line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
}

/// Everything that is on when nobody says otherwise.
#[must_use]
pub fn defaults() -> WasmFeatures {
    WasmFeatures::all().difference(OFF)
}

/// Applies a list such as `threads,-multi-memory`: a name switches on, with `-` before it off.
///
/// # Errors
/// The first name that is no proposal.
pub fn apply_list(features: &mut WasmFeatures, list: &str) -> Result<(), ProposalError> {
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (name, on) = word.strip_prefix('-').map_or((word, true), |name| (name, false));
        features.set(proposal(name)?, on);
    }
    Ok(())
}

/// Applies the header of a script: its leading lines `;;! name = true`.
///
/// # Errors
/// The first line that is not of this form, or whose name is no proposal.
pub fn apply_header(features: &mut WasmFeatures, text: &str) -> Result<(), ProposalError> {
    let lines = text.lines().map_while(|line| line.strip_prefix(";;!"));
    for (index, entry) in lines.enumerate() {
        let malformed = || ProposalError::Header { line: index + 1, text: entry.trim().to_owned() };
        let (name, value) = entry.split_once('=').ok_or_else(malformed)?;
        let on = value.trim().parse().map_err(|_| malformed())?;
        let name = name.trim();
        if !NOT_PROPOSALS.contains(&name) {
            features.set(proposal(name)?, on);
        }
    }
    Ok(())
}

fn proposal(name: &str) -> Result<WasmFeatures, ProposalError> {
    let upper = name.replace('-', "_").to_uppercase();
    let upper = upper.replace("COMPONENT_MODEL_", "CM_");
    let upper = if upper == "CM_MEMORY64" { "CM64" } else { &upper };
    WasmFeatures::from_name(upper).ok_or_else(|| ProposalError::Unknown(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{ProposalError, apply_header, apply_list};
    use wasmparser::WasmFeatures;

    #[test]
    fn lists_switch_on_and_off() {
        let mut features = WasmFeatures::empty();
        apply_list(&mut features, "threads, memory64,-threads").expect("all are proposals");
        assert_eq!(features, WasmFeatures::MEMORY64);
        let error = apply_list(&mut features, "teleport").expect_err("there is none");
        assert_eq!(error, ProposalError::Unknown("teleport".to_owned()));
    }

    #[test]
    fn headers_are_leading_lines() {
        let mut features = WasmFeatures::THREADS;
        let text = ";;! component_model_memory64 = true\n;;! hogs_memory = true\n;;! threads = false\n(module)\n;;! x";
        apply_header(&mut features, text).expect("the header is well-formed");
        assert_eq!(features, WasmFeatures::CM64);
        assert!(apply_header(&mut features, ";;! threads\n").is_err());
    }
}
