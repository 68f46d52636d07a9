//! `docs/conformance.md`: a table per suite family, made of what the scripts came to, so that it cannot be wrong.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use libtest_mimic::Failed;

use super::Case;

/// Holds the table between the marks of `section` against what came of all its scripts. With `BLESS=1` it is rewritten.
pub fn check(section: &str, cases: &[Arc<Case>]) -> Result<(), Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (begin, end) = (format!("<!-- {section}: begin -->\n"), format!("<!-- {section}: end -->"));
    let from = page.find(&begin).ok_or_else(|| format!("the page has no line {begin}"))? + begin.len();
    let to = page[from..].find(&end).ok_or_else(|| format!("the page has no line {end}"))? + from;
    let table = table(cases);
    if page[from..to] == table {
        return Ok(());
    }
    if std::env::var_os("BLESS").is_some() {
        let page = format!("{}{table}{}", &page[..from], &page[to..]);
        return std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()).into());
    }
    Err(format!("docs/conformance.md is not current; run this test with BLESS=1. It should say:\n{table}")
        .into())
}

fn table(cases: &[Arc<Case>]) -> String {
    let mut text = String::from("\n| suite | files | passing files | assertions | passed | exceptions |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|\n");
    let mut rest = cases;
    let mut total = Row::default();
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|case| case.suite == first.suite).count();
        let (suite, others) = rest.split_at(count);
        let row = Row::of(suite);
        total.add(&row);
        row.write(&mut text, first.suite);
        rest = others;
    }
    total.write(&mut text, "**all**");
    text.push_str("\nExceptions, each of which a test keeps from going stale:\n\n");
    let mut reasons: Vec<&str> = Vec::new();
    for exception in cases.iter().filter_map(|case| case.exception) {
        if !reasons.contains(&exception.reason) {
            reasons.push(exception.reason);
        }
    }
    if reasons.is_empty() {
        text.push_str("- none\n");
    }
    for reason in reasons {
        let files =
            cases.iter().filter(|case| case.exception.is_some_and(|exception| exception.reason == reason));
        let names: Vec<String> = files.map(|case| format!("`{}`", case.name)).collect();
        let _ = writeln!(text, "- {reason}: {}", names.join(", "));
    }
    text.push('\n');
    text
}

#[derive(Default)]
struct Row {
    files: usize,
    passing: usize,
    assertions: u32,
    passed: u32,
    exceptions: usize,
}

impl Row {
    fn of(cases: &[Arc<Case>]) -> Row {
        let mut row = Row::default();
        for case in cases {
            let tally = case.tally();
            let counts = tally.assertions;
            row.files += 1;
            row.passing += usize::from(tally.is_ok());
            row.assertions += counts.passed + counts.failed + counts.skipped;
            row.passed += counts.passed;
            row.exceptions += usize::from(case.exception.is_some());
        }
        row
    }

    fn add(&mut self, other: &Row) {
        self.files += other.files;
        self.passing += other.passing;
        self.assertions += other.assertions;
        self.passed += other.passed;
        self.exceptions += other.exceptions;
    }

    fn write(&self, text: &mut String, name: &str) {
        let Row { files, passing, assertions, passed, exceptions } = self;
        let _ = writeln!(text, "| {name} | {files} | {passing} | {assertions} | {passed} | {exceptions} |");
    }
}
