//! Every change of `tests/mutants` still fits the sources that it breaks.

use std::path::Path;

use crate::Finding;

/// Checks that what a change takes away, with the lines around it, is where it says.
pub fn check(root: &Path) -> Vec<Finding> {
    let entries = std::fs::read_dir(root.join("tests/mutants")).expect("the folder is there");
    let mut names: Vec<String> =
        entries.flatten().map(|entry| format!("tests/mutants/{}", entry.file_name().display())).collect();
    names.retain(|name| name.ends_with(".patch"));
    assert!(names.len() >= 10, "ten checks are broken, at the least");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
    names.iter().flat_map(|name| stale(name, &read(name), &read)).collect()
}

fn stale(name: &str, change: &str, read: &dyn Fn(&str) -> String) -> Vec<Finding> {
    let mut findings = Vec::new();
    for needed in ["what: ", "caught by: cargo test ", "--- a/"] {
        if !change.lines().any(|line| line.starts_with(needed)) {
            findings.push(Finding::new(name, 1, format!("no line begins with `{needed}`; add it")));
        }
    }
    let file = change.lines().find_map(|line| line.strip_prefix("--- a/")).unwrap_or_default();
    let source = read(file);
    let hunks = change.split("\n@@ ").skip(1);
    for hunk in hunks {
        let old: String = hunk
            .lines()
            .skip(1)
            .filter_map(|line| line.strip_prefix([' ', '-']))
            .map(|line| format!("{line}\n"))
            .collect();
        if source.matches(&old).count() != 1 {
            let text = format!("{file} has changed where this breaks it; make the change again");
            findings.push(Finding::new(name, 1, text));
        }
    }
    findings
}

#[test]
fn a_change_that_fits_nothing_is_found() {
    let change =
        "what: w\ncaught by: cargo test x\n\n--- a/f.rs\n+++ b/f.rs\n@@ -1,2 +1,2 @@ g\n a\n-b\n+c\n";
    assert!(stale("m.patch", change, &|_| "a\nb\n".to_string()).is_empty());
    assert_eq!(stale("m.patch", change, &|_| "a\nB\n".to_string()).len(), 1);
    assert_eq!(stale("m.patch", change, &|_| "a\nb\na\nb\n".to_string()).len(), 1);
    assert_eq!(stale("m.patch", "what: w\n", &|_| String::new()).len(), 2);
}
