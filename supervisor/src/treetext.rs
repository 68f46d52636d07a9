//! A tree as text: what `atoll tree` prints.

use std::fmt::Write;

use crate::measure::Span;
use crate::paint::{Paint, Role};
use crate::treeview::{ImportView, LibView, ProcessView, ProviderView, TreeView};

/// Digits of a content hash that are shown: enough to tell the libraries of a tree apart.
const HASH_DIGITS: usize = 8;

/// One line a fact, children below their parent.
#[must_use]
pub fn render(tree: &TreeView, paint: Paint) -> String {
    let mut text = String::new();
    let processes = tree.processes();
    let mut hashes: Vec<&str> =
        processes.iter().flat_map(|process| &process.libs).map(|lib| &*lib.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let counts = format!("{}, {}", count(processes.len(), "process"), count(hashes.len(), "library"));
    line(
        &mut text,
        "",
        format_args!("{}  {}", paint.text(Role::Name, &tree.file), paint.text(Role::Aside, counts)),
    );
    process(&mut text, &tree.root, "", "", paint);
    text
}

fn process(text: &mut String, view: &ProcessView, first: &str, rest: &str, paint: Paint) {
    line(text, first, format_args!("{}", headline(view, paint)));
    let facts = facts(view, paint);
    let total = facts.len() + view.children.len();
    for (index, fact) in facts.iter().enumerate() {
        let branch = if index + 1 == total { "└─ " } else { "├─ " };
        line(text, &format!("{rest}{branch}"), format_args!("{fact}"));
    }
    for (index, child) in view.children.iter().enumerate() {
        let last = facts.len() + index + 1 == total;
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        process(text, child, &format!("{rest}{branch}"), &format!("{rest}{below}"), paint);
    }
}

fn headline(view: &ProcessView, paint: Paint) -> String {
    let role = if view.state == "faulted" { Role::Bad } else { Role::Good };
    let mut text = format!("{}  pid {}", paint.text(Role::Name, &view.path), view.pid);
    if view.generation > 0 {
        push(&mut text, format_args!("/gen{}", view.generation));
    }
    push(&mut text, format_args!("  {}", paint.text(role, &view.state)));
    // That the root begins the first one goes without saying.
    let begins = if view.begins_domain && view.path.rfind('/') != Some(0) { "begins " } else { "" };
    push(&mut text, format_args!("  {begins}domain {}", view.domain));
    if let Some(component) = &view.component {
        push(&mut text, format_args!("  component {component}"));
    }
    text
}

/// What is known of a process, as rows of columns.
fn facts(view: &ProcessView, paint: Paint) -> Vec<String> {
    let lib_width = width(view.libs.iter().map(lib_name));
    let imports = folded(view);
    let import_width = width(imports.iter().map(|import| import.name.as_str()));
    let mut facts = Vec::new();
    facts.extend(view.libs.iter().map(|lib| library(lib, lib_width, paint)));
    if view.memory_bytes > 0 {
        facts.push(format!("memory  {}", bytes(view.memory_bytes)));
    }
    if view.handles > 0 {
        facts.push(format!("handles {}", view.handles));
    }
    facts.extend(imports.iter().map(|import| provided(import, import_width, paint)));
    facts
}

/// The imports as they are shown. A process that loads nothing only passes on what it gets: toolchains wrap each export in
/// one, so their imports are counted by provider.
fn folded(view: &ProcessView) -> Vec<ImportView> {
    let is_root = view.path.rfind('/') == Some(0);
    let wiring = view.libs.is_empty() && view.children.is_empty() && !is_root;
    if !wiring || view.imports.len() <= 2 {
        return view.imports.clone();
    }
    let mut counts: Vec<(&ImportView, usize)> = Vec::new();
    for import in &view.imports {
        match counts.iter_mut().find(|(first, _)| first.provider == import.provider) {
            Some((_, count)) => *count += 1,
            None => counts.push((import, 1)),
        }
    }
    let fold = |(ImportView { provider, boundary, .. }, count): (&ImportView, usize)| {
        let name = view.imports.iter().find(|import| import.provider == *provider);
        let name =
            name.filter(|_| count == 1).map_or_else(|| self::count(count, "name"), |one| one.name.clone());
        ImportView { name, provider: provider.clone(), boundary: boundary.clone() }
    };
    counts.into_iter().map(fold).collect()
}

fn library(lib: &LibView, width: usize, paint: Paint) -> String {
    let hash = lib.hash.get(..HASH_DIGITS).unwrap_or(&lib.hash);
    let name = format!("{:width$}", lib_name(lib));
    let mut text = format!("lib     {name}  {}", paint.text(Role::Note, hash));
    push(&mut text, format_args!("  {} code", bytes(lib.code_bytes as u64)));
    if lib.instances > 1 {
        push(&mut text, format_args!(", {} instances", lib.instances));
    }
    if lib.processes > 1 {
        push(&mut text, format_args!(", shared by {} processes", lib.processes));
    }
    text
}

fn provided(import: &ImportView, width: usize, paint: Paint) -> String {
    let provider = match &import.provider {
        ProviderView::Process { path } => format!("{} {path}", paint.text(Role::Good, "✓")),
        ProviderView::Server { name } => format!("{} server {name}", paint.text(Role::Good, "✓")),
        ProviderView::Missing => paint.text(Role::Bad, "✗ missing").to_string(),
    };
    let mut text = format!("import  {:width$}  {provider}", import.name);
    if let Some(boundary) = &import.boundary {
        let within = boundary.deadline_ns.map(|ns| format!(" within {}", Span(ns))).unwrap_or_default();
        let policy = format!("over a boundary{within}, on fault {}", boundary.on_fault);
        push(&mut text, format_args!("  {}", paint.text(Role::Note, policy)));
    }
    text
}

fn lib_name(lib: &LibView) -> &str {
    lib.name.as_deref().unwrap_or("(unnamed)")
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0)
}

/// So many of something, in words.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) if noun.ends_with('s') => format!("{number} {noun}es"),
        (_, None) => format!("{number} {noun}s"),
    }
}

/// A size in the unit in which it is short.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let digits = if value.fract() == 0.0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

fn line(text: &mut String, prefix: &str, rest: std::fmt::Arguments<'_>) {
    push(text, format_args!("{prefix}{rest}\n"));
}

fn push(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}

#[cfg(test)]
mod tests {
    use super::{bytes, render};
    use crate::jsontext::json;
    use crate::paint::Paint;
    use crate::treeview::{ImportView, LibView, ProcessView, ProviderView, TreeView};

    fn sample() -> TreeView {
        let lib = |name: Option<&str>, hash: &str, processes, instances| LibView {
            name: name.map(str::to_string),
            hash: hash.repeat(16),
            processes,
            instances,
            code_bytes: 12_595,
        };
        let import = |name: &str, provider| ImportView { name: name.to_string(), provider, boundary: None };
        let store = ProcessView {
            pid: 1,
            path: "/app/kv".to_string(),
            component: Some("store".to_string()),
            state: "faulted".to_string(),
            libs: vec![lib(None, "00ff", 2, 1)],
            memory_bytes: 65536,
            handles: 3,
            ..ProcessView::default()
        };
        let root = ProcessView {
            path: "/app".to_string(),
            state: "ready".to_string(),
            generation: 2,
            domain: 1,
            libs: vec![lib(Some("main"), "abcd", 1, 1), lib(None, "00ff", 2, 3)],
            memory_bytes: 1_179_648,
            imports: vec![
                import("a:b/kv", ProviderView::Process { path: "/app/kv".to_string() }),
                import("wasi:cli/stdout@0.2.6", ProviderView::Server { name: "wasi:cli/stdout".to_string() }),
                import("x:y/z", ProviderView::Missing),
            ],
            children: vec![store.clone(), ProcessView { pid: 2, path: "/app/last".to_string(), ..store }],
            ..ProcessView::default()
        };
        TreeView { file: "app.wasm".to_string(), root, faults: Vec::new() }
    }

    #[test]
    fn draws_a_tree() {
        insta::assert_snapshot!(render(&sample(), Paint::PLAIN), @"
        app.wasm  3 processes, 2 libraries
        /app  pid 0/gen2  ready  domain 1
        ├─ lib     main       abcdabcd  12.3 KiB code
        ├─ lib     (unnamed)  00ff00ff  12.3 KiB code, 3 instances, shared by 2 processes
        ├─ memory  1.1 MiB
        ├─ import  a:b/kv                 ✓ /app/kv
        ├─ import  wasi:cli/stdout@0.2.6  ✓ server wasi:cli/stdout
        ├─ import  x:y/z                  ✗ missing
        ├─ /app/kv  pid 1  faulted  domain 0  component store
        │  ├─ lib     (unnamed)  00ff00ff  12.3 KiB code, shared by 2 processes
        │  ├─ memory  64 KiB
        │  └─ handles 3
        └─ /app/last  pid 2  faulted  domain 0  component store
           ├─ lib     (unnamed)  00ff00ff  12.3 KiB code, shared by 2 processes
           ├─ memory  64 KiB
           └─ handles 3
        ");
    }

    #[test]
    fn writes_json() {
        let mut tree = sample();
        tree.root.children.clear();
        insta::assert_snapshot!(json(&tree), @r#"
        {
          "file": "app.wasm",
          "root": {
            "pid": 0,
            "generation": 2,
            "path": "/app",
            "component": null,
            "state": "ready",
            "domain": 1,
            "begins_domain": false,
            "libs": [
              {
                "name": "main",
                "hash": "abcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcdabcd",
                "processes": 1,
                "instances": 1,
                "code_bytes": 12595
              },
              {
                "name": null,
                "hash": "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff",
                "processes": 2,
                "instances": 3,
                "code_bytes": 12595
              }
            ],
            "memory_bytes": 1179648,
            "handles": 0,
            "imports": [
              {
                "name": "a:b/kv",
                "provider": {
                  "kind": "process",
                  "path": "/app/kv"
                }
              },
              {
                "name": "wasi:cli/stdout@0.2.6",
                "provider": {
                  "kind": "server",
                  "name": "wasi:cli/stdout"
                }
              },
              {
                "name": "x:y/z",
                "provider": {
                  "kind": "missing"
                }
              }
            ],
            "children": []
          }
        }
        "#);
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1023, 1024, 1536, 65536, 1_179_648, 4 << 30, 200 << 20, 1 << 50];
        let shown: Vec<String> = sizes.into_iter().map(bytes).collect();
        let expected =
            ["0 B", "1023 B", "1 KiB", "1.5 KiB", "64 KiB", "1.1 MiB", "4 GiB", "200 MiB", "1024 TiB"];
        assert_eq!(shown, expected);
    }
}
