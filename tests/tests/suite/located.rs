//! Where the suites are: in the sources of two published crates, which `cargo metadata` fetches and locates.

use std::path::{Path, PathBuf};

use atoll_tests::{folder, list, metadata, text};

/// The folder of a package that `tests/suites/Cargo.toml` names.
pub fn package(name: &str) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/Cargo.toml");
    // Without the network first: once fetched, the sources stay.
    let offline = metadata(&manifest, &["--locked", "--offline"]);
    let metadata = offline
        .or_else(|_| metadata(&manifest, &["--locked"]))
        .expect("cargo can fetch the crates that hold the suites");
    let package = list(&metadata, "packages").iter().find(|package| text(package, "name") == name);
    let package = package.unwrap_or_else(|| panic!("{} names no package {name}", manifest.display()));
    folder(package).to_owned()
}

/// Every script below a folder, in order of their paths.
pub fn scripts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("the folder's entries are readable").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wast") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
