//! `atoll fuzz --replay`: runs the calls of a finding again, shows what each does, and says whether the same is wrong.

use std::fmt::Write;
use std::path::Path;

use abi::wave;
use kernel::component::link::Isolate;
use kernel::jit::watch::Watch;

use super::finding::Saved;
use super::harness::{Harness, Outcome, Settings};
use super::held::Did;
use super::hunt::translated;
use super::judge::{self, Kind, Verdict};
use super::steps::{Sequence, Step};
use crate::blame;
use crate::complaint::Complaint;
use crate::paint::{Paint, Role};
use crate::program::Program;

/// Replays a finding; the text says what came of it, and the flag whether the same is wrong.
///
/// # Errors
/// A file cannot be read, or the component has not the functions that are called.
pub fn replay(
    finding: &Path,
    file: Option<&Path>,
    settings: &Settings,
    paint: Paint,
) -> Result<(String, bool), Complaint> {
    let saved = Saved::read(finding)?;
    let source = Program::read(file.unwrap_or(Path::new(&saved.origin.file)))?;
    let settings =
        Settings { real_imports: saved.origin.real_imports, exports: Vec::new(), ..settings.clone() };
    let make = |source: &Program, isolate| {
        Harness::new(&source.path, source.component()?, Watch::Edges, isolate, &settings)
    };
    let harness = make(&source, Isolate::Nothing)?;
    let sequence = saved.sequence(finding, &harness.surface)?;
    let outcome = harness.run(&sequence);
    let mut text = format!("{}: {} calls\n", source.path, sequence.steps.len());
    show(&mut text, &harness, &sequence, &outcome);
    let said = harness.said();
    let verdict = match saved.kind {
        Kind::Trap | Kind::Timeout | Kind::Quota => judge::of_run(&outcome),
        Kind::MemoryLeak | Kind::HandleLeak => judge::of_repeating(&harness, &sequence, true, &mut 1),
        Kind::Nondeterminism => judge::of_again(&harness, &sequence, &outcome),
        Kind::Rungs => {
            let rungs = make(&source, Isolate::All)?;
            judge::of_other(Kind::Rungs, &harness, &sequence, &outcome, &rungs, &sequence)
        }
        Kind::Differs => {
            let against = saved.origin.against.as_deref().unwrap_or_default();
            let other = make(&Program::read(Path::new(against))?, Isolate::Nothing)?;
            let calls = translated(&harness, &other, &sequence);
            calls.and_then(|calls| {
                judge::of_other(Kind::Differs, &harness, &sequence, &outcome, &other, &calls)
            })
        }
    };
    conclude(&mut text, &saved, verdict.as_ref(), &said, paint);
    Ok((text, verdict.is_some_and(|verdict| verdict.kind == saved.kind)))
}

/// A line for each call.
fn show(text: &mut String, harness: &Harness, sequence: &Sequence, outcome: &Outcome) {
    for (at, step) in sequence.steps.iter().enumerate() {
        put(text, format_args!("  {}", step.print(&harness.surface)));
        let result = match (outcome.did.get(at), step) {
            (Some(Did::Returned(Some(value))), Step::Call { entry, .. }) => {
                let ty = harness.surface.entries[*entry].ty().result.as_ref();
                ty.map_or_else(String::new, |ty| format!(" → {}", wave::print(ty, value)))
            }
            (Some(Did::Returned(_)), _) => String::new(),
            (Some(Did::Nothing), _) => " (not made)".to_owned(),
            (None, _) => " ✗".to_owned(),
        };
        put(text, format_args!("{result}\n"));
    }
}

fn conclude(text: &mut String, saved: &Saved, verdict: Option<&Verdict>, said: &str, paint: Paint) {
    if !said.trim().is_empty() {
        text.push_str("  it said:\n");
        said.lines().for_each(|line| put(text, format_args!("    {}\n", line.trim_end())));
    }
    let Some(verdict) = verdict else {
        let gone = format!("gone: there is no {} any more", saved.kind.name());
        return put(text, format_args!("{}\n", paint.text(Role::Good, gone)));
    };
    put(
        text,
        format_args!("{} {}\n", paint.text(Role::Bad, format!("{}:", verdict.kind.name())), verdict.what),
    );
    if let Some(fault) = &verdict.fault {
        text.push_str(&blame::chain_text(&fault.frames, paint));
    }
    if verdict.kind != saved.kind || verdict.key != saved.key {
        put(
            text,
            format_args!(
                "{} it was found as {}: {}\n",
                paint.text(Role::Note, "note:"),
                saved.kind.name(),
                saved.key
            ),
        );
    }
}

fn put(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}
