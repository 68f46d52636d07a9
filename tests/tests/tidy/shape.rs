//! Rules 1, 3 and 4: module docs, file names, sizes.

use std::collections::BTreeMap;

use crate::Finding;
use crate::masked::Source;

const FILE_LINES: usize = 800;
const FUNCTION_LINES: usize = 70;

/// Names that every crate may have: each crate keeps its own bounds in one file (rule 14).
const SHARED_NAMES: [&str; 5] = ["lib.rs", "main.rs", "mod.rs", "build.rs", "limits.rs"];

/// Folders whose files are tables (one arm an operator) or the processor's own (rule 4).
const TABLES: [&str; 2] = ["kernel/src/jit/translate/", "kernel/src/arch/"];

/// Rule 1: a `lib.rs` or `mod.rs` says why it is there and lists its modules.
pub fn module_docs(source: &Source) -> Vec<Finding> {
    let stem = source.name.rsplit('/').next().unwrap_or_default();
    let is_entry = matches!(stem, "lib.rs" | "mod.rs");
    let docs: Vec<&str> = source.lines.iter().filter_map(|line| line.strip_prefix("//!")).collect();
    let mut findings = Vec::new();
    if docs.iter().all(|line| line.trim().len() < 10) {
        findings.push(Finding::new(&source.name, 1, "rule 1: no `//!`; say in a line what this is for"));
    }
    if !is_entry {
        return findings;
    }
    for (index, line) in source.code.iter().enumerate() {
        let Some(module) = declared_module(line) else { continue };
        let listed = docs.iter().any(|doc| doc.contains(&format!("`{module}`")));
        if !listed && index + 1 < source.tests_from() {
            let text = format!("rule 1: module `{module}` is not in the `//!`; add \"- [`{module}`]: …\"");
            findings.push(Finding::new(&source.name, index + 1, text));
        }
    }
    findings
}

fn declared_module(line: &str) -> Option<&str> {
    let mut rest = line.trim();
    for visibility in ["pub(crate) ", "pub(super) ", "pub "] {
        rest = rest.strip_prefix(visibility).unwrap_or(rest);
    }
    rest.strip_prefix("mod ")?.strip_suffix(';')
}

/// Rule 3: one noun, one file.
pub fn file_names(names: &[String]) -> Vec<Finding> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut findings = Vec::new();
    for name in names {
        let file = name.rsplit('/').next().unwrap_or_default();
        if SHARED_NAMES.contains(&file) {
            continue;
        }
        if let Some(other) = seen.insert(file, name) {
            let text = format!("rule 3: {other} has the same name; rename one after what only it does");
            findings.push(Finding::new(name, 1, text));
        }
    }
    findings
}

/// Rule 4: ceilings for files and functions.
pub fn sizes(source: &Source) -> Vec<Finding> {
    if TABLES.iter().any(|folder| source.name.starts_with(folder)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if source.lines.len() > FILE_LINES {
        let text = format!("rule 4: {} lines, at most {FILE_LINES}; split by noun", source.lines.len());
        findings.push(Finding::new(&source.name, 1, text));
    }
    for (name, line, length) in functions(source) {
        if length > FUNCTION_LINES {
            let text =
                format!("rule 4: `{name}` has {length} lines, at most {FUNCTION_LINES}; take a step out");
            findings.push(Finding::new(&source.name, line, text));
        }
    }
    findings
}

/// Every function with a body: name, first line, lines from `fn` to the closing brace.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (index, line) in source.code.iter().enumerate() {
        let Some(at) = token(line, "fn") else { continue };
        let rest = line[at + 2..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        if let Some(last) = body_end(source, index, at) {
            // The text of a guest inside a literal is data.
            let data = (index..=last).filter(|line| is_data(source, *line)).count();
            found.push((name, index + 1, last - index + 1 - data));
        }
    }
    found
}

/// Whether a line is nothing but the inside of a literal.
fn is_data(source: &Source, line: usize) -> bool {
    let written = source.lines[line].trim();
    source.code[line].trim().is_empty() && !written.is_empty() && !written.starts_with("//")
}

/// The index of the line that closes the body of the function at this place; none for a declaration.
fn body_end(source: &Source, first: usize, column: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0usize, 0usize);
    for (index, line) in source.code.iter().enumerate().skip(first) {
        let from = if index == first { column } else { 0 };
        for byte in line[from..].bytes() {
            match byte {
                b'(' | b'[' => brackets += 1,
                b')' | b']' => brackets = brackets.saturating_sub(1),
                b';' if braces == 0 && brackets == 0 => return None,
                b'{' => braces += 1,
                b'}' => {
                    braces = braces.saturating_sub(1);
                    if braces == 0 {
                        return Some(index);
                    }
                }
                _ => {}
            }
        }
    }
    None
}

/// Where a word stands in a line of code.
pub fn token(line: &str, word: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).map(|(at, _)| at).find(|&at| {
        !line[..at].chars().next_back().is_some_and(part)
            && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}

#[test]
fn counts_lines_of_functions() {
    let source =
        Source::new("a.rs", "fn a() -> [u8; 2] {\n  let x = \"}\";\n}\ntrait T { fn b(); }\nfn c() {}");
    let names: Vec<_> = functions(&source).into_iter().map(|(name, _, lines)| (name, lines)).collect();
    assert_eq!(names, [("a".to_string(), 3), ("c".to_string(), 1)]);
}

#[test]
fn finds_what_breaks_the_shape() {
    let text = "//! A folder that says why.\n//! - [`a`]: one\nmod a;\npub mod b;\n";
    assert_eq!(module_docs(&Source::new("x/mod.rs", text)).len(), 1);
    assert_eq!(module_docs(&Source::new("x/y.rs", "fn f() {}")).len(), 1);
    assert_eq!(
        file_names(&["a/x.rs".into(), "b/x.rs".into(), "a/lib.rs".into(), "b/lib.rs".into()]).len(),
        1
    );
    let long = format!("fn f() {{\n{}}}\n", "a();\n".repeat(FUNCTION_LINES));
    assert_eq!(sizes(&Source::new("x/y.rs", &long)).len(), 1);
    assert_eq!(sizes(&Source::new("kernel/src/arch/y.rs", &long)).len(), 0);
}
