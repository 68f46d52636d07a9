//! Manifests and what comes of them: `tests/manifests`, each file with its expectation beside it. `BLESS=1` rewrites.

use std::path::{Path, PathBuf};

use kernel::jit::engine::Engine;
use serde_json::Value;

use super::described::kebab;
use super::keys::{
    EdgeKeys, GrantKeys, LogKeys, MachineKeys, ManifestKeys, NetworkKeys, ProcessKeys, QuotaKeys,
    SupervisorTable,
};
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

/// Whether a value is as a schema says; of JSON Schema, what [`super::described`] writes.
fn accepts(schema: &Value, value: &Value) -> bool {
    if let Some(words) = schema["enum"].as_array() {
        return words.contains(value);
    }
    if let Some(either) = schema["oneOf"].as_array() {
        return either.iter().filter(|schema| accepts(schema, value)).count() == 1;
    }
    let is = |ty: &Value| match ty.as_str() {
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        other => panic!("no type {other:?} is written"),
    };
    let typed = match &schema["type"] {
        Value::Array(types) => types.iter().any(is),
        ty => is(ty),
    };
    if !typed {
        return false;
    }
    let items = value.as_array().into_iter().flatten().all(|item| accepts(&schema["items"], item));
    let keys = value.as_object().into_iter().flatten().all(|(key, value)| {
        match (&schema["properties"][key], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(more)) => *more,
            (Value::Null, more) => accepts(more, value),
            (property, _) => accepts(property, value),
        }
    });
    let required = schema["required"].as_array().into_iter().flatten();
    let complete = required.into_iter().all(|key| value.get(key.as_str().expect("a key")).is_some());
    items && keys && complete
}

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema = schema::schema();
    let read = |file: &Path| -> Value {
        toml::from_str(&std::fs::read_to_string(file).expect("a manifest")).expect("TOML")
    };
    let everything = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/manifest/everything.toml");
    for file in manifests(&folder("good")).iter().chain([&everything]) {
        assert!(accepts(&schema, &read(file)), "{}", file.display());
    }
    for name in
        ["unknown-key", "unknown-quota", "wrong-restart", "wrong-type", "edge-without-end", "no-process"]
    {
        let file = folder("bad").join(name).with_extension("toml");
        assert!(!accepts(&schema, &read(&file)), "{name}");
    }
}

#[test]
fn one_seed_has_every_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/manifest/everything.toml");
    let seed = std::fs::read_to_string(file).expect("a seed");
    Sheet::parse("everything.toml", PathBuf::new(), seed.clone()).expect("it is right");
    let tables = [
        ManifestKeys::KEYS,
        ProcessKeys::KEYS,
        GrantKeys::KEYS,
        NetworkKeys::KEYS,
        QuotaKeys::KEYS,
        LogKeys::KEYS,
        EdgeKeys::KEYS,
        SupervisorTable::KEYS,
        MachineKeys::KEYS,
    ];
    for key in tables.into_iter().flatten().map(|key| kebab(key)) {
        assert!(seed.contains(&key), "`{key}` is not in it");
    }
}
