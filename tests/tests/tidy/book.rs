//! The book is whole: every page is in its summary, and every link leads to a file.

use std::path::Path;

use crate::Finding;

/// Checks the links of the README and of every page under `docs`.
pub fn check(root: &Path) -> Vec<Finding> {
    let mut pages = vec!["README.md".to_string()];
    for folder in ["docs", "docs/decisions"] {
        let entries = std::fs::read_dir(root.join(folder)).expect("the book's folder is there");
        let names = entries.flatten().map(|entry| format!("{folder}/{}", entry.file_name().display()));
        pages.extend(names.filter(|name| name.ends_with(".md")));
    }
    let read = |page: &str| std::fs::read_to_string(root.join(page)).expect("README and pages are readable");
    let summary = read("docs/SUMMARY.md");
    let mut findings = Vec::new();
    for page in &pages {
        for (line, target) in links(&read(page)) {
            let folder = Path::new(page).parent().expect("a page is in a folder");
            if !root.join(folder).join(&target).exists() {
                findings.push(Finding::new(page, line, format!("`{target}` is not there; mend the link")));
            }
        }
        findings.extend(stale_counts(root, page, &read(page)));
        let name = page.strip_prefix("docs/").filter(|name| *name != "SUMMARY.md");
        if name.is_some_and(|name| !summary.contains(&format!("({name})"))) {
            findings.push(Finding::new(page, 1, "no line in docs/SUMMARY.md; add one, or delete the page"));
        }
    }
    findings
}

/// Table rows that give a file's lines (`| \`path.rs\` | 120 | …`): the file is there, and has about as many.
fn stale_counts(root: &Path, page: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, file, count, ..] = cells[..] else { continue };
        let (Some(file), Ok(said)) =
            (file.strip_prefix('`').and_then(|file| file.strip_suffix('`')), count.parse())
        else {
            continue;
        };
        let counted = std::fs::read_to_string(root.join(file)).map_or(0, |text| text.lines().count());
        if counted.abs_diff(said).checked_mul(10).is_none_or(|tenfold| tenfold > counted) {
            findings.push(Finding::new(page, index + 1, format!("`{file}` has {counted} lines, not {said}")));
        }
    }
    findings
}

/// The relative links of a page, each with its line.
fn links(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in page.lines().enumerate() {
        for part in line.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains(':') {
                found.push((index + 1, target.to_string()));
            }
        }
    }
    found
}

#[test]
fn compares_counts_of_lines() {
    let root = crate::root();
    let lines = std::fs::read_to_string(root.join("LICENSE")).expect("it is there").lines().count();
    let found = |said: usize| stale_counts(&root, "a.md", &format!("| `LICENSE` | {said} | why |")).len();
    assert_eq!((found(lines), found(lines + lines / 11), found(2 * lines)), (0, 0, 1));
    assert_eq!(stale_counts(&root, "a.md", "| `gone.rs` | 3 | why |\n| word | 3 |").len(), 1);
}

#[test]
fn reads_links() {
    let found = links("[a](b.md) and [c](d/e.md#f)\n[x](https://y) [z](#here)");
    assert_eq!(found, [(1, "b.md".to_string()), (1, "d/e.md".to_string())]);
}
