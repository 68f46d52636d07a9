//! Manifests and what comes of them: `tests/manifests`, each file with its expectation beside it. `BLESS=1` rewrites.

use std::path::{Path, PathBuf};

use kernel::jit::engine::Engine;

use super::loaded::Loaded;
use super::schema;
use super::sheet::Sheet;
use super::summary::Summary;
use crate::paint::Paint;

/// How many manifests there are with something wrong in each, at least.
const WRONG: usize = 45;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/manifests").join(name)
}

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|ext| ext == "toml")).collect();
    files.sort();
    files
}

/// What comes of a manifest, with paths as its folder has them.
fn outcome(file: &Path, engine: &Engine, json: bool) -> Result<String, String> {
    let text = std::fs::read_to_string(file).expect("a manifest");
    let folder = file.parent().expect("a folder");
    let shown = file.file_name().expect("a name").to_string_lossy().into_owned();
    let loaded = Sheet::parse(&shown, folder.to_path_buf(), text).and_then(|sheet| Loaded::of(sheet, engine));
    let prefix = format!("{}/", folder.display());
    match loaded {
        Ok(loaded) => {
            let summary = Summary::of(&loaded);
            Ok(if json { summary.to_json() } else { summary.to_text(Paint::PLAIN) })
        }
        Err(complaint) => Err(complaint.render(Paint::PLAIN).replace(&prefix, "")),
    }
}

fn compare(expectation: &Path, found: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(expectation, found).expect("an expectation can be written");
    }
    let expected = std::fs::read_to_string(expectation).unwrap_or_default();
    (expected != found)
        .then(|| format!("{}:\n--- expected\n{expected}--- found\n{found}", expectation.display()))
}

fn compare_all(name: &str, extension: &str, outcome: impl Fn(&Path, &Engine) -> String) -> usize {
    let engine = Engine::new().expect("a compiler");
    let files = manifests(&folder(name));
    let compared =
        files.iter().filter_map(|file| compare(&file.with_extension(extension), &outcome(file, &engine)));
    let differ: Vec<String> = compared.collect();
    assert!(differ.is_empty(), "{}\nBLESS=1 takes what was found", differ.join("\n"));
    files.len()
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let count = compare_all("bad", "err", |file, engine| {
        outcome(file, engine, false).err().unwrap_or_else(|| panic!("{}: nothing is wrong", file.display()))
    });
    assert!(count >= WRONG, "{count} manifests");
}

#[test]
fn what_is_right_is_summed_up() {
    let good = |json| {
        move |file: &Path, engine: &Engine| {
            outcome(file, engine, json).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        }
    };
    compare_all("good", "txt", good(false));
    compare_all("good", "json", good(true));
}

#[test]
fn the_schema_of_the_book_is_that_of_the_parser() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/atoll.schema.json");
    if let Some(difference) = compare(&file, &schema::text()) {
        panic!("{difference}");
    }
}
