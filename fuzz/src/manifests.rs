//! Manifests that are wrong, with components that do not fit: what they describe is brought together, or refused in words.
//!
//! What is brought together is held to what was promised of it: who is called has started before, every domain has one place
//! in the supervisors, and what the supervisor composed is a component.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use abi::sample::Sampler;
use kernel::component::executable::Executable;
use kernel::component::linked::Provider;
use kernel::jit::engine::Engine;
use servers::Output;
use supervisor::complaint::Complaint;
use supervisor::manifest::sheet::Sheet;
use supervisor::manifest::summary::Summary;
use supervisor::manifest::{Loaded, Printed};
use supervisor::paint::Paint;
use supervisor::program::{Content, Program};
use supervisor::tend::spec::{Child, Spec};

use crate::renewed::Renewed;
use crate::stretch::stretched;
use crate::text_tree::Node;

/// A shorter input is lengthened to this, if it is no manifest itself.
const INPUT_BYTES: usize = 96;
/// Manifests after which the engine is made anew.
const MANIFESTS_PER_ENGINE: u32 = 2000;

/// Good manifests.
const SEEDS: [&str; 8] = [
    include_str!("../seeds/manifest/everything.toml"),
    include_str!("../../tests/manifests/good/shop.toml"),
    include_str!("../../tests/manifests/good/together.toml"),
    include_str!("../../tests/manifests/good/ambiguous.toml"),
    include_str!("../../tests/manifests/good/inside.toml"),
    include_str!("../../tests/manifests/good/commands.toml"),
    include_str!("../../tests/manifests/good/resources.toml"),
    include_str!("../../tests/manifests/good/compatible.toml"),
];

/// Their lines.
static LINE_POOL: LazyLock<Vec<&str>> =
    LazyLock::new(|| SEEDS.iter().flat_map(|seed| seed.lines()).collect());

/// Their tables, with their headers.
static BLOCKS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let begins = |seed: &'static str| seed.match_indices("\n[").map(move |(at, _)| &seed[at + 1..]);
    let blocks = SEEDS.iter().flat_map(|seed| begins(seed));
    blocks.map(|rest| rest.split("\n[").next().unwrap_or_default()).collect()
});

/// The texts in quotes in them.
static WORDS: LazyLock<Vec<&str>> =
    LazyLock::new(|| SEEDS.iter().flat_map(|seed| seed.split('"').skip(1).step_by(2)).collect());

/// Components by their file's name.
const PARTS: [(&str, &str); 15] = [
    ("store.wat", include_str!("../../tests/manifests/parts/store.wat")),
    ("store-64.wat", include_str!("../../tests/manifests/parts/store-64.wat")),
    ("store-2.wat", include_str!("../../tests/manifests/parts/store-2.wat")),
    ("cart.wat", include_str!("../../tests/manifests/parts/cart.wat")),
    ("front.wat", include_str!("../../tests/manifests/parts/front.wat")),
    ("proxy.wat", include_str!("../../tests/manifests/parts/proxy.wat")),
    ("first.wat", include_str!("../../tests/manifests/parts/first.wat")),
    ("second.wat", include_str!("../../tests/manifests/parts/second.wat")),
    ("clock.wat", include_str!("../../tests/manifests/parts/clock.wat")),
    ("command.wat", include_str!("../../tests/manifests/parts/command.wat")),
    ("composed.wat", include_str!("../../tests/manifests/parts/composed.wat")),
    ("buckets.wat", include_str!("../../tests/manifests/parts/buckets.wat")),
    ("measure.wat", include_str!("../../tests/manifests/parts/measure.wat")),
    ("shelf.wat", include_str!("../../tests/manifests/parts/shelf.wat")),
    ("reader.wat", include_str!("../../tests/manifests/parts/reader.wat")),
];

static NODES: LazyLock<Vec<Node>> =
    LazyLock::new(|| PARTS.iter().map(|(_, text)| Node::parse(text)).collect());

thread_local! {
    static ENGINE: Renewed = const { Renewed::after(MANIFESTS_PER_ENGINE, false) };
}

/// Brings together what an input describes, if it is a manifest; else one that is made of its choices.
///
/// # Panics
/// Never: that is what is tested.
pub fn check(data: &[u8]) {
    let choices = stretched(data, INPUT_BYTES);
    let mut sampler = Sampler::new(&choices);
    let text = match std::str::from_utf8(data) {
        Ok(text) if text.contains("[process") => text.to_owned(),
        _ => made(&mut sampler),
    };
    let engine = ENGINE.with(Renewed::engine);
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/manifests/good"));
    let sheet = match Sheet::parse("atoll.toml", folder, text) {
        Ok(sheet) => sheet,
        Err(complaint) => return words(&complaint),
    };
    let changed = sampler.below(4) == 0;
    let sampler = RefCell::new(sampler);
    let reader = |path: &Path| part(&engine, path, changed.then_some(&sampler));
    match Loaded::with(sheet, &engine, &reader) {
        Ok(loaded) => hold(&loaded),
        Err(complaint) => {
            words(&complaint);
            // Each component is valid by itself, and types have been compared: what is composed of them is valid too.
            let text = complaint.render(Paint::PLAIN);
            assert!(!text.contains("cannot be loaded"), "{text}");
        }
    }
}

/// A good manifest with up to six changes: lines and words of others, blocks of others, lines that go.
fn made(sampler: &mut Sampler<'_>) -> String {
    let changes = sampler.below(7);
    let mut pick = |count: usize| (sampler.below(256) << 8 | sampler.below(256)) as usize % count.max(1);
    let mut lines: Vec<String> = SEEDS[1 + pick(SEEDS.len() - 1)].lines().map(str::to_owned).collect();
    for _ in 0..changes {
        let at = pick(lines.len());
        match pick(6) {
            0 => lines[at].clear(),
            1 => lines.insert(at, LINE_POOL[pick(LINE_POOL.len())].to_owned()),
            2 => {
                let mut pieces: Vec<&str> = lines[at].split('"').collect();
                if pieces.len() > 2 {
                    pieces[1] = WORDS[pick(WORDS.len())];
                    lines[at] = pieces.join("\"");
                }
            }
            3 => {
                let cut = pick(lines[at].len());
                let cut = (0..=cut).rev().find(|cut| lines[at].is_char_boundary(*cut)).unwrap_or(0);
                lines[at].truncate(cut);
            }
            _ => {
                let block = BLOCKS[pick(BLOCKS.len())];
                let header = block.lines().next().unwrap_or_default();
                if !lines.iter().any(|line| line == header) {
                    lines.extend(block.lines().map(str::to_owned));
                }
            }
        }
    }
    lines.join("\n") + "\n"
}

/// A component by its file's name, perhaps a changed one: but always one that is valid by itself.
fn part(engine: &Engine, path: &Path, changes: Option<&RefCell<Sampler<'_>>>) -> Result<Program, Complaint> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let known = PARTS.iter().position(|(part, _)| *part == name);
    let nothing = || Complaint::refused(format!("{name}: no such file"));
    let known = known.ok_or_else(nothing)?;
    let mut wasm = wat::parse_str(PARTS[known].1).expect("the parts are good");
    if let Some(sampler) = changes {
        let sampler = &mut *sampler.borrow_mut();
        let mut node = NODES[known].clone();
        let other = &NODES[sampler.below(NODES.len() as u32) as usize];
        for _ in 0..=sampler.below(2) {
            node.vary(other, sampler);
        }
        let varied = wat::parse_str(node.print()).ok();
        let valid = varied.filter(|varied| Executable::parse(engine, varied).is_ok());
        wasm = valid.unwrap_or(wasm);
    }
    Ok(Program { path: name.clone(), name, content: Content::Component(wasm) })
}

/// A complaint has words.
fn words(complaint: &Complaint) {
    let text = complaint.render(Paint::PLAIN);
    assert!(text.starts_with("error: ") && text.len() > "error: ".len() + 8, "{text}");
}

/// What was promised of a manifest that is right.
fn hold(loaded: &Loaded) {
    let processes = loaded.linked.processes();
    for (index, process) in processes.iter().enumerate() {
        for (name, provider, _) in &process.imports {
            if let Provider::Process(provider) = provider {
                assert!(
                    (*provider as usize) < index,
                    "{} starts before who serves its `{name}`",
                    process.path
                );
            }
        }
    }
    let mut supervised = HashSet::new();
    visit(&loaded.spec, &mut |path| {
        let process = processes.iter().find(|process| process.path == path).expect("a child is there");
        assert!(supervised.insert(process.place.domain), "{path}: its domain is another child's too");
    });
    for process in &loaded.processes {
        let domain = processes[process.index as usize].place.domain;
        let begins = processes.iter().find(|other| other.place.domain == domain).expect("there is one");
        // An instance inside of a component that begins no domain goes with whom it is in.
        assert!(supervised.contains(&domain), "{} of domain {} is nobody's child", process.path, begins.path);
    }
    for domain in 0..loaded.linked.domains() {
        let _ = loaded.placement(domain as u32);
    }
    let printed = |_: &str| Printed { stdout: Output::discard(), stderr: Output::discard() };
    assert_eq!(loaded.grants(printed).len(), processes.len());
    assert!(loaded.quotas().processes.len() <= processes.len());
    let summary = Summary::of(loaded);
    assert!(summary.to_text(Paint::PLAIN).contains("supervisor ") && summary.to_json().starts_with('{'));
}

fn visit(spec: &Spec, child: &mut impl FnMut(&str)) {
    for each in &spec.children {
        match each {
            Child::Process { path, .. } => child(path),
            Child::Supervisor(spec) => visit(spec, child),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SEEDS, check};

    #[test]
    fn seeds_are_checked() {
        SEEDS.iter().for_each(|seed| check(seed.as_bytes()));
    }
}
