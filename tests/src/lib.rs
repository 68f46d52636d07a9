//! What the tests share: asking cargo about packages.
//!
//! - [`metadata`]: what `cargo metadata` says of them
//! - [`list`], [`text`], [`folder`]: parts of that
//! - [`features`]: which features each has in a build

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What `cargo metadata` says of a manifest's packages, in its format 1.
///
/// # Errors
/// What cargo printed, where it cannot read the manifest or fetch a package.
pub fn metadata(manifest: &Path, options: &[&str]) -> Result<Value, String> {
    let mut cargo = cargo();
    cargo.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(manifest).args(options);
    serde_json::from_slice(&printed(&mut cargo)?).map_err(|error| format!("cargo metadata: {error}"))
}

/// The elements that `metadata` has under a name.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn list<'a>(metadata: &'a Value, name: &str) -> &'a [Value] {
    metadata[name].as_array().map(Vec::as_slice).unwrap_or_else(|| panic!("cargo metadata says no {name}"))
}

/// The text that `metadata` has under a name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn text<'a>(metadata: &'a Value, name: &str) -> &'a str {
    metadata[name].as_str().unwrap_or_else(|| panic!("cargo metadata says no {name}"))
}

/// The folder of a package, by what `cargo metadata` says of it.
///
/// # Panics
/// If that does not say where its manifest is.
#[must_use]
pub fn folder(package: &Value) -> &Path {
    Path::new(text(package, "manifest_path")).parent().expect("a manifest is in a folder")
}

/// The packages of a build of the workspace's default members, a line each: name, version and features.
/// `kinds` are those of dependencies, as in `normal,build,dev`.
///
/// # Errors
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
