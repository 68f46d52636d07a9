//! STYLE as a test: the countable rules of the project's style and the dependency matrix.
//!
//! Every finding is one line, `file:line: what is wrong; what to do`. The rules' numbers are those of
//! `docs/style.md`. It reads sources as text and must never need the code to compile.
//!
//! - [`book`]: the pages of `docs` are linked, and link to what is there
//! - [`masked`]: a source file with strings and comments told apart from code
//! - [`mutants`]: the changes that tests must notice fit the sources
//! - [`shape`]: sizes, module docs and file names (rules 1, 3, 4)
//! - [`words`]: `unsafe`, `cfg`, imports and names (rules 13, 17, 18)
//! - [`matrix`]: who may import what (rule 19)

mod book;
mod masked;
mod matrix;
mod mutants;
mod shape;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use masked::Source;

/// One violation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    text: String,
}

impl Finding {
    fn new(file: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding { file: file.to_string(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Fails with every finding, in file order.
fn report(mut findings: Vec<Finding>) {
    findings.sort();
    findings.dedup();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings\n{}\n", lines.len(), lines.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests folder is in the workspace")
        .to_path_buf()
}

/// Every Rust file of the workspace that a person wrote.
fn sources() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    let folders = ["abi", "kernel", "ipc", "supervisor", "tests", "fuzz", "benches"];
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = pending.pop() {
        // Guests are programs of their own: other targets, other worlds, generated bindings.
        if folder.ends_with("tests/guests") || folder.ends_with("target") {
            continue;
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 10, "no sources below {}", root.display());
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a source file is readable UTF-8");
        let name = path.strip_prefix(&root).expect("found below the root").display().to_string();
        Source::new(&name, &text)
    };
    files.iter().map(read).collect()
}

#[test]
fn every_folder_says_why_and_lists_its_modules() {
    report(sources().iter().flat_map(shape::module_docs).collect());
}

#[test]
fn no_file_name_twice() {
    let names: Vec<String> = sources().into_iter().map(|source| source.name).collect();
    report(shape::file_names(&names));
}

#[test]
fn files_and_functions_have_a_ceiling() {
    report(sources().iter().flat_map(shape::sizes).collect());
}

#[test]
fn unsafe_is_in_the_kernel_and_says_why() {
    report(sources().iter().flat_map(words::unsafe_code).collect());
}

#[test]
fn cfg_stands_at_module_edges() {
    report(sources().iter().flat_map(words::cfg).collect());
}

#[test]
fn imports_and_names_are_plain() {
    report(sources().iter().flat_map(words::names).collect());
}

#[test]
fn dependencies_are_declared_and_allowed() {
    report(matrix::check(&root()));
}

#[test]
fn the_book_is_whole() {
    report(book::check(&root()));
}

#[test]
fn what_must_be_noticed_can_still_be_broken() {
    report(mutants::check(&root()));
}
