//! What the tests share: asking cargo about packages.
//!
//! - [`metadata`]: what `cargo metadata` says of them
//! - [`features`]: which features each has in a build

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What `cargo metadata` says of a manifest's packages, in its format 1.
///
/// # Errors
///
/// What cargo printed, where it cannot read the manifest or fetch a package.
pub fn metadata(manifest: &Path, options: &[&str]) -> Result<Value, String> {
    let mut cargo = cargo();
    cargo.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(manifest).args(options);
    serde_json::from_slice(&printed(&mut cargo)?).map_err(|error| format!("cargo metadata: {error}"))
}

/// The packages of a build of the workspace's default members, a line each: name, version and features.
/// `kinds` are those of dependencies, as in `normal,build,dev`.
///
/// # Errors
///
/// What cargo printed, where it cannot read the manifest or fetch a package.
pub fn features(manifest: &Path, kinds: &str) -> Result<BTreeSet<String>, String> {
    let mut cargo = cargo();
    cargo.args(["tree", "--prefix", "none", "--format", "{p} {f}", "--edges", kinds, "--manifest-path"]);
    let tree = String::from_utf8_lossy(&printed(cargo.arg(manifest))?).into_owned();
    Ok(tree.lines().map(|line| line.trim_end_matches(" (*)").trim_end().to_owned()).collect())
}

/// The cargo that runs the tests.
fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn printed(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}
