//! Rules 13, 17 and 18: `unsafe`, `cfg`, imports and names.

use crate::Finding;
use crate::masked::Source;
use crate::shape::token;

/// Where `unsafe` may stand: the kernel, and what only measures or attacks it.
const UNSAFE_FOLDERS: [&str; 3] = ["kernel/", "benches/", "fuzz/"];

/// How far above an `unsafe` block its reason may begin: a comment and the start of the statement.
const REACH: usize = 12;

/// Rule 13: `unsafe` only in the kernel, and each one says why it is sound.
pub fn unsafe_code(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let allowed = UNSAFE_FOLDERS.iter().any(|folder| source.name.starts_with(folder));
    for (index, line) in source.code.iter().enumerate() {
        let Some(at) = token(line, "unsafe") else { continue };
        let text = if !allowed {
            "rule 13: `unsafe` outside kernel; ask the kernel for a safe function"
        } else {
            match next_word(&line[at + "unsafe".len()..]) {
                "fn" | "extern" if declares(line, at) && !safety_stated(source, index) => {
                    "rule 13: an unsafe fn without `# Safety`; say what the caller must hold to"
                }
                "impl" | "{" | "" if !documented(source, index, "SAFETY:") => {
                    "rule 13: `unsafe` without `// SAFETY:`; say why it is sound"
                }
                _ => continue,
            }
        };
        findings.push(Finding::new(&source.name, index + 1, text));
    }
    findings
}

/// Whether a function's docs say what its caller must hold to; a module of built-ins can say it once for all.
fn safety_stated(source: &Source, index: usize) -> bool {
    let module = source.lines.iter().any(|line| line.starts_with("//! # Safety"));
    module || documented(source, index, "# Safety")
}

fn next_word(rest: &str) -> &str {
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if end == 0 { rest.get(..1).unwrap_or_default() } else { &rest[..end] }
}

/// Whether `unsafe` begins a function with a name, and not a function pointer's type or an extern block.
fn declares(line: &str, at: usize) -> bool {
    let head = line[..at].trim();
    let named = token(&line[at..], "fn").is_some_and(|fn_at| {
        let rest = line[at + fn_at + 2..].trim_start();
        rest.starts_with(|c: char| c.is_alphabetic() || c == '_')
    });
    named && (head.is_empty() || head == "pub" || head.starts_with("pub(") || head.ends_with("const"))
}

/// Whether the comment or attribute lines right above (or the line itself) hold `mark`.
fn documented(source: &Source, index: usize, mark: &str) -> bool {
    let statement = source.lines[index.saturating_sub(REACH)..=index].iter().rev();
    let mut in_comment = false;
    for (distance, line) in statement.enumerate() {
        if line.contains(mark) {
            return true;
        }
        let comment = line.trim_start().starts_with("//") || line.trim_start().starts_with("#[");
        // A statement may begin a few lines above its unsafe block; a blank line or another statement ends it.
        let ended = line.trim().is_empty() || (line.trim_end().ends_with([';', '}']) && distance > 0);
        if ended || (in_comment && !comment) {
            return false;
        }
        in_comment = comment;
    }
    // Long doc comments: look on while they last.
    let above = source.lines[..index.saturating_sub(REACH)].iter().rev();
    above.take_while(|line| line.trim_start().starts_with("//")).any(|line| line.contains(mark))
}

/// Rule 17: no feature twins, `cfg` only where a module begins.
pub fn cfg(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.name.ends_with("_disabled.rs") {
        let text = "rule 17: a feature twin; keep one file and decide where it is declared";
        findings.push(Finding::new(&source.name, 1, text));
    }
    for (index, line) in source.code.iter().enumerate() {
        let line = line.trim();
        let inner = token(line, "cfg").is_some_and(|at| line[at + 3..].starts_with(['!', '(']));
        let edge = line.starts_with("#![cfg") || line.contains("cfg(test)") || line.contains("cfg!(test)");
        let edge = edge || source.is_test();
        if !inner || edge {
            continue;
        }
        let subject = source.code[index + 1..].iter().find(|line| !line.trim().starts_with("#["));
        let subject = subject.map_or("", |line| line.trim());
        let at_module = ["mod ", "use ", "compile_error!"].iter().any(|word| {
            let plain = subject.strip_prefix("pub(crate) ").or_else(|| subject.strip_prefix("pub "));
            plain.unwrap_or(subject).starts_with(word)
        });
        if !at_module {
            let text = "rule 17: `cfg` inside a module; put each variant in a module of its own";
            findings.push(Finding::new(&source.name, index + 1, text));
        }
    }
    findings
}

/// Rule 18: no glob imports, no `get_`, no Manager, Helper or Util, no `unwrap`-style dumping grounds.
pub fn names(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.code.iter().enumerate() {
        let mut found = |text: String| findings.push(Finding::new(&source.name, index + 1, text));
        let import = line.trim().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        // Unit tests are a part of the module that they stand in.
        let own = import == "use super::*;" && index + 1 > source.tests_from();
        if import.starts_with("use ") && line.contains("::*") && !own {
            found("rule 18: a glob import; name what is used".to_string());
        }
        if let Some(at) = token(line, "fn") {
            let name = line[at + 2..].trim_start();
            if name.starts_with("get_") {
                found("rule 18: `get_`; name the function after what it gives".to_string());
            }
        }
        for keyword in ["struct", "enum", "trait", "mod"] {
            let Some(at) = token(line, keyword) else { continue };
            let rest = line[at + keyword.len()..].trim_start();
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let lower = name.to_lowercase();
            if ["manager", "helper", "helpers", "util", "utils"].iter().any(|word| lower.ends_with(word)) {
                found(format!("rule 18: `{name}` says nothing; name it after what it holds or does"));
            }
        }
    }
    findings
}

#[test]
fn finds_unsafe_that_gives_no_reason() {
    let count = |name: &str, text: &str| unsafe_code(&Source::new(name, text)).len();
    assert_eq!(count("abi/src/a.rs", "unsafe { f() }"), 1);
    assert_eq!(count("abi/src/a.rs", "#![forbid(unsafe_code)] // unsafe"), 0);
    assert_eq!(count("kernel/src/a.rs", "unsafe { f() }"), 1);
    assert_eq!(count("kernel/src/a.rs", "// SAFETY: it is\nunsafe { f() }"), 0);
    assert_eq!(count("kernel/src/a.rs", "// SAFETY: it is\nlet x =\n    unsafe { f() };"), 0);
    assert_eq!(count("kernel/src/a.rs", "// SAFETY: it is\nf();\nlet x = unsafe { f() };"), 1);
    assert_eq!(count("kernel/src/a.rs", "/// Does.\npub unsafe fn f() {}"), 1);
    assert_eq!(count("kernel/src/a.rs", "/// # Safety\n/// Hold on.\n#[inline]\npub unsafe fn f() {}"), 0);
    assert_eq!(count("kernel/src/a.rs", "type F = unsafe extern \"C\" fn(u32);"), 0);
}

#[test]
fn finds_cfg_and_names() {
    let count = |text: &str| cfg(&Source::new("abi/src/a.rs", text)).len();
    assert_eq!(count("#[cfg(unix)]\nmod a;\n#[cfg(test)]\nmod tests {}"), 0);
    assert_eq!(count("#[cfg(unix)]\nfn a() {}\nfn b() { if cfg!(unix) {} }"), 2);
    let count = |text: &str| names(&Source::new("abi/src/a.rs", text)).len();
    assert_eq!(count("use a::*;\nfn get_x() {}\nstruct PageManager;\nmod utils;"), 4);
    assert_eq!(count("use a::b;\nfn target() {}\nstruct Page; // Manager"), 0);
}
