//! Rule 19 and the order of the crates: what `docs/dependencies.md` declares is what the manifests do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use atoll_tests::{features, folder, list, metadata, text};
use serde_json::Value;

use crate::Finding;

const PAGE: &str = "docs/dependencies.md";

/// A line of the page: who may import the crate, and where the line is.
struct Entry {
    line: usize,
    who: BTreeSet<String>,
}

/// Holds the manifests of the workspace against the page.
pub fn check(root: &Path) -> Vec<Finding> {
    let page = std::fs::read_to_string(root.join(PAGE)).expect("docs/dependencies.md is there");
    let (declared, mut findings) = entries(&page);
    let manifest = root.join("Cargo.toml");
    let metadata = metadata(&manifest, &["--no-deps", "--all-features"]);
    let metadata = metadata.expect("cargo metadata reads the workspace");
    findings.extend(program(&metadata));
    findings.extend(twice(&manifest));
    let mut used = BTreeSet::new();
    for package in list(&metadata, "packages") {
        let folder = folder(package).strip_prefix(root).map_or("?".into(), |path| path.to_string_lossy());
        for dependency in list(package, "dependencies") {
            let name = text(dependency, "name");
            used.insert(name);
            let file = format!("{folder}/Cargo.toml");
            let line = manifest_line(root, &file, name);
            let who = importer(&folder, dependency["kind"].as_str());
            if let Some(text) = refusal(&declared, name, &who) {
                findings.push(Finding::new(&file, line, text));
            }
        }
    }
    for (name, entry) in declared.iter().filter(|(name, _)| !used.contains(name.as_str())) {
        let text = format!("rule 19: nobody depends on `{name}`; delete its line");
        findings.push(Finding::new(PAGE, entry.line, text));
    }
    findings
}

/// What is wrong with `cargo run`, which the README promises is atoll: with several programs one has to be the default.
fn program(metadata: &Value) -> Option<Finding> {
    let members = list(metadata, "workspace_default_members");
    let packages = list(metadata, "packages").iter().filter(|package| members.contains(&package["id"]));
    let named: Vec<&str> = packages.filter_map(|package| package["default_run"].as_str()).collect();
    let text = format!("`cargo run` is to run atoll, its default is {named:?}");
    (named != ["atoll"]).then(|| Finding::new("Cargo.toml", 1, text))
}

/// Packages that `cargo test` builds with other features than `cargo run`, and so once more, with all that depend on them.
/// The README promises that nothing is compiled twice.
fn twice(manifest: &Path) -> Vec<Finding> {
    let build = |kinds| features(manifest, kinds).expect("cargo tree reads the workspace");
    let (run, tests) = (build("normal,build"), build("normal,build,dev"));
    let finding = |package: &String| {
        let text = format!(
            "`cargo test` compiles `{package}` with other features than `cargo run`: ask for the same in both, or leave out the dependency of tests"
        );
        Finding::new("Cargo.toml", 1, text)
    };
    run.difference(&tests).map(finding).collect()
}

/// How the page writes an importer: a folder, with the kind of dependency where it is not an ordinary one.
fn importer(folder: &str, kind: Option<&str>) -> String {
    match kind {
        Some("dev") => format!("{folder} (tests)"),
        Some("build") => format!("{folder} (build)"),
        _ => folder.to_string(),
    }
}

/// Why `who` may not import `name`, if it may not. What may be imported may be imported for tests too.
fn refusal(declared: &BTreeMap<String, Entry>, name: &str, who: &str) -> Option<String> {
    let Some(entry) = declared.get(name) else {
        return Some(format!("rule 19: `{name}` has no line in {PAGE}; add why it, and who may import it"));
    };
    let plain = who.strip_suffix(" (tests)").unwrap_or(who);
    let allowed = entry.who.contains(who) || entry.who.contains(plain);
    (!allowed).then(|| {
        let who_may: Vec<&str> = entry.who.iter().map(String::as_str).collect();
        format!("rule 19: `{who}` imports `{name}`, {PAGE} allows {}; go through them", who_may.join(", "))
    })
}

/// Reads the tables of the page: `| crate | who | why |`.
fn entries(page: &str) -> (BTreeMap<String, Entry>, Vec<Finding>) {
    let (mut entries, mut findings) = (BTreeMap::new(), Vec::new());
    for (index, line) in page.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches('`');
        if !line.starts_with("| `") || cells.len() != 3 {
            continue;
        }
        if cells[1].is_empty() || cells[2].len() < 10 {
            findings.push(Finding::new(
                PAGE,
                index + 1,
                "rule 19: a line says who may import it, and why it",
            ));
        }
        let who = cells[1].split(',').map(|who| who.trim().replace('`', "")).collect();
        if entries.insert(name.to_string(), Entry { line: index + 1, who }).is_some() {
            findings.push(Finding::new(PAGE, index + 1, format!("rule 19: `{name}` has two lines")));
        }
    }
    (entries, findings)
}

fn manifest_line(root: &Path, file: &str, dependency: &str) -> usize {
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    let short = dependency.strip_prefix("atoll-").unwrap_or(dependency);
    let line = text.lines().position(|line| {
        let key = line.split(['.', ' ', '=']).next().unwrap_or_default();
        key == dependency || key == short
    });
    line.map_or(1, |line| line + 1)
}

#[test]
fn reads_the_page_and_refuses() {
    let (declared, findings) =
        entries("| crate | who | why |\n|---|---|---|\n| `a` | `x`, `y (tests)` | because it does |\n");
    assert!(findings.is_empty());
    assert_eq!(refusal(&declared, "a", "x"), None);
    assert_eq!(refusal(&declared, "a", "x (tests)"), None);
    assert_eq!(refusal(&declared, "a", "y (tests)"), None);
    assert!(refusal(&declared, "a", "y").is_some());
    assert!(refusal(&declared, "b", "x").is_some());
}
