//! The oracles: what is wrong with what came of a sequence, and when two wrongs are the same.

use std::collections::BTreeSet;

use abi::fault::{Fault, Frame, Trap};
use abi::value::Value;
use kernel::component::tree::Usage;

use super::fingerprint::fingerprint;
use super::harness::{End, Harness, Outcome};
use super::held::Did;
use super::steps::{Sequence, Step};

/// Frames that tell one fault from another.
const TELLING: usize = 3;
/// How often a sequence is repeated on one tree, at most, to see whether it leaves something behind each time.
pub const REPETITIONS: u32 = 4096;
/// What repeating may cost in all, where a step of the guest is 1.
const REPETITIONS_COST: u64 = 6_000_000;
/// Repetitions after which what is held is compared: each twice the one before.
const FIRST_LOOK: u32 = 8;
/// The last looks at each of which more must be held than at the one before.
const LOOKS: usize = 2;
/// How often it is repeated where a little seems to be left behind each time: a byte each time is a page of memory then, twice.
const CREEPING: u32 = 1 << 18;
/// What that may cost.
const CREEPING_COST: u64 = 300_000_000;
/// Memories of so many bytes are looked at for what is written: of more, looking itself takes long.
const READ_BYTES: u64 = 16 << 20;

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The guest trapped.
    Trap,
    /// It took all steps that it was given.
    Timeout,
    /// It wanted more of something than it may have.
    Quota,
    /// Memory grows each time the sequence is repeated.
    MemoryLeak,
    /// Handles stay behind each time the sequence is repeated.
    HandleLeak,
    /// The same input had two results.
    Nondeterminism,
    /// Another way to run the same component had another result.
    Rungs,
    /// The other component had another result.
    Differs,
}

/// Something wrong, and what it is told by.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What kind.
    pub kind: Kind,
    /// One sentence: what happened.
    pub what: String,
    /// Equal for two that are believed to have one cause.
    pub key: String,
    /// The call in which it happened, if it is one.
    pub step: Option<usize>,
    /// The fault, if it is one.
    pub fault: Option<Box<Fault>>,
    /// How often the calls were repeated to see it.
    pub repetitions: u32,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::Trap,
        Kind::Timeout,
        Kind::Quota,
        Kind::MemoryLeak,
        Kind::HandleLeak,
        Kind::Nondeterminism,
        Kind::Rungs,
        Kind::Differs,
    ];

    /// Its name, as findings and reports have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Trap => "trap",
            Kind::Timeout => "timeout",
            Kind::Quota => "quota",
            Kind::MemoryLeak => "memory-leak",
            Kind::HandleLeak => "handle-leak",
            Kind::Nondeterminism => "nondeterminism",
            Kind::Rungs => "rungs",
            Kind::Differs => "differs",
        }
    }
}

impl Verdict {
    /// A few letters that tell it from others.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:08x}", fingerprint(&self.key) as u32)
    }
}

/// What is wrong with one run.
#[must_use]
pub fn of_run(outcome: &Outcome) -> Option<Verdict> {
    let End::Fault(step, fault) = &outcome.end else { return None };
    let kind = match fault.trap {
        Trap::OutOfSteps => Kind::Timeout,
        Trap::Limit { .. } | Trap::HandlesExhausted { .. } => Kind::Quota,
        _ => Kind::Trap,
    };
    Some(Verdict {
        kind,
        what: fault.trap.to_string(),
        key: format!("{} {}", kind.name(), fault_key(kind, fault)),
        step: Some(*step),
        fault: Some(fault.clone()),
        repetitions: 1,
    })
}

/// The trap without its numbers, and the innermost frames that are the program's own.
fn fault_key(kind: Kind, fault: &Fault) -> String {
    let trap = format!("{:?}", fault.trap);
    let trap = trap.split([' ', '(', '{']).next().unwrap_or_default();
    let own: Vec<&Frame> = fault.frames.iter().filter(|frame| !is_machinery(frame)).collect();
    let all: Vec<&Frame> = fault.frames.iter().collect();
    let frames = if own.is_empty() { &all } else { &own };
    let name = |frame: &Frame| match (&frame.func_name, frame.func_index) {
        (Some(name), _) => name.clone(),
        (None, index) => format!("{:?}.{index:?}", frame.module),
    };
    let mut names: Vec<String> = match kind {
        // Where exactly a loop was cut off, or how deep a recursion was, is chance.
        Kind::Timeout => frames.iter().rev().take(TELLING).map(|frame| name(frame)).collect(),
        _ if fault.trap == Trap::StackOverflow => {
            let mut names: Vec<String> = frames.iter().take(16).map(|frame| name(frame)).collect();
            names.sort();
            names.dedup();
            names
        }
        _ => {
            let place = |frame: &&Frame| format!("{}+{:x?}", name(frame), frame.offset);
            frames.iter().take(TELLING).map(place).collect()
        }
    };
    names.insert(0, trap.to_owned());
    names.join(" < ")
}

/// Whether a frame is of what a toolchain puts around every panic.
fn is_machinery(frame: &Frame) -> bool {
    let Some(name) = &frame.func_name else { return false };
    let name = format!("{:#}", rustc_demangle::demangle(name));
    let name = name.trim_start_matches('<');
    ["std::", "core::", "alloc::", "__rust", "rust_", "abort", "__assert", "panic"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Whether a second run of the same sequence has another result.
#[must_use]
pub fn of_again(harness: &Harness, sequence: &Sequence, first: &Outcome) -> Option<Verdict> {
    let second = harness.run_otherwise(sequence);
    let (step, difference) = difference(first, &second)?;
    Some(differing(Kind::Nondeterminism, harness, sequence, step, &difference, "the first time", "then"))
}

/// Whether another harness has another result; `calls` are the same sequence as that one numbers its functions.
#[must_use]
pub fn of_other(
    kind: Kind,
    harness: &Harness,
    sequence: &Sequence,
    first: &Outcome,
    other: &Harness,
    calls: &Sequence,
) -> Option<Verdict> {
    let second = other.run(calls);
    let (step, difference) = difference(first, &second)?;
    let (here, there) = match kind {
        Kind::Rungs => ("in one domain", "in several"),
        _ => ("here", "there"),
    };
    Some(differing(kind, harness, sequence, step, &difference, here, there))
}

fn differing(
    kind: Kind,
    harness: &Harness,
    sequence: &Sequence,
    step: usize,
    difference: &[String; 2],
    here: &str,
    there: &str,
) -> Verdict {
    let call = sequence.steps.get(step).map(|step| step.print(&harness.surface)).unwrap_or_default();
    let name = call.split('(').next().unwrap_or_default().to_owned();
    let [first, second] = difference;
    Verdict {
        kind,
        what: format!("{here} it {first}, {there} it {second}"),
        key: format!("{} {name}", kind.name()),
        step: Some(step),
        fault: None,
        repetitions: 1,
    }
}

/// The first call of which two runs tell different things, and what they tell.
fn difference(first: &Outcome, second: &Outcome) -> Option<(usize, [String; 2])> {
    // Being stopped is a matter of how much was given, which need not be equal in value.
    let stopped = |outcome: &Outcome| {
        matches!(&outcome.end, End::Fault(_, fault) if matches!(fault.trap, Trap::OutOfSteps | Trap::StackOverflow))
            || matches!(outcome.end, End::Excused)
    };
    if stopped(first) || stopped(second) {
        return None;
    }
    let steps = first.did.len().max(second.did.len()) + 1;
    (0..steps).find_map(|step| {
        let (first, second) = (told(first, step), told(second, step));
        (first != second).then_some((step, [first, second]))
    })
}

/// What a run tells of a call: enough to compare two.
fn told(outcome: &Outcome, step: usize) -> String {
    match (&outcome.did.get(step), &outcome.end) {
        (Some(Did::Nothing), _) => "was not called".to_owned(),
        (Some(Did::Returned(None)), _) => "returned".to_owned(),
        (Some(Did::Returned(Some(value))), _) => format!("returned {}", shown(value)),
        (None, End::Fault(at, fault)) if *at == step => format!("trapped: {}", trap_name(&fault.trap)),
        (None, _) => "was not reached".to_owned(),
    }
}

fn trap_name(trap: &Trap) -> String {
    format!("{trap:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Equal text for equal values; NaN is NaN.
fn shown(value: &Value) -> String {
    let text = format!("{value:?}");
    // Two components number their resource types as they like.
    let text = without_types(&text);
    match text.char_indices().nth(200) {
        Some((cut, _)) => {
            format!("{}… ({:06x})", &text[..cut], fingerprint(&text) & 0xFF_FFFF)
        }
        None => text,
    }
}

fn without_types(text: &str) -> String {
    const MARK: &str = "ResourceType(";
    let mut parts = text.split(MARK);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    shown
}

/// Whether a sequence leaves something behind each time it is repeated on one tree, all its resources dropped each
/// time. A thorough look is long enough to see a little grow; where less creeps up it takes as long as memory takes to grow, if
/// there is patience left, and that for nothing costs some.
#[must_use]
pub fn of_repeating(
    harness: &Harness,
    sequence: &Sequence,
    thorough: bool,
    patience: &mut u32,
) -> Option<Verdict> {
    let (most, most_cost) = match thorough {
        true => (REPETITIONS, REPETITIONS_COST),
        false => (REPETITIONS / 16, REPETITIONS_COST),
    };
    let mut looks = Vec::<Look>::new();
    harness.repeat(sequence, |times, tree, cost| {
        if times >= FIRST_LOOK && times.is_power_of_two() {
            let usage = tree.usage();
            let written = if usage.memory_bytes <= READ_BYTES { tree.written_bytes() } else { 0 };
            looks.push(Look { times, usage, written });
        }
        let is_long = times >= most || cost >= most_cost;
        let may_go_on = *patience > 0 && times < CREEPING && cost < CREEPING_COST;
        is_long && !(may_go_on && creeps(&looks) && leak(&looks).is_none())
    })?;
    let (first, last) = (looks.first()?, looks.last()?);
    let found = leak(&looks);
    *patience -= u32::from(*patience > 0 && found.is_none() && last.times > most);
    let (kind, unit, held) = found?;
    let (before, after) = (held(&first.usage), held(&last.usage));
    Some(Verdict {
        kind,
        what: format!("{before} {unit} after {} repetitions, {after} after {}", first.times, last.times),
        key: format!("{} {}", kind.name(), names(harness, sequence).join(" ")),
        step: None,
        fault: None,
        repetitions: last.times,
    })
}

/// What a tree holds after so many repetitions.
struct Look {
    times: u32,
    usage: Usage,
    /// How far into its memories it has written.
    written: u64,
}

type Held = fn(&Usage) -> u64;

/// What has grown in each of the last doublings, if anything has.
fn leak(looks: &[Look]) -> Option<(Kind, &'static str, Held)> {
    let last = &looks[looks.len().saturating_sub(LOOKS + 1)..];
    let grows = |held: Held| {
        last.len() > LOOKS && last.windows(2).all(|pair| held(&pair[1].usage) > held(&pair[0].usage))
    };
    let leaks: [(Kind, &str, Held); 2] = [
        (Kind::HandleLeak, "handles", |usage| usage.handles),
        (Kind::MemoryLeak, "bytes of memory", |usage| usage.memory_bytes),
    ];
    leaks.into_iter().find(|(.., held)| grows(*held))
}

/// Whether memories are written to further and further, in proportion to the repetitions or nearly so: what only settles does
/// so less and less.
fn creeps(looks: &[Look]) -> bool {
    let [.., first, second, third] = looks else { return false };
    let (before, lately) =
        (second.written.saturating_sub(first.written), third.written.saturating_sub(second.written));
    before > 0 && lately * 2 >= before * 3
}

/// The functions that a sequence calls, each once.
#[must_use]
pub fn names(harness: &Harness, sequence: &Sequence) -> Vec<String> {
    let name = |step: &Step| step.print(&harness.surface).split('(').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = sequence.steps.iter().map(name).collect();
    names.into_iter().collect()
}
