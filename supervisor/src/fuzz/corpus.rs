//! The sequences that reached something new, which next ones are made of; and the folder that keeps them.

use std::fmt::Write;
use std::path::Path;

use abi::vary::chance::Chance;

use super::fingerprint::fingerprint;
use super::steps::{Sequence, Step};
use super::surface::Surface;
use crate::complaint::Complaint;
use crate::exit_code::Exit;

/// How a kept sequence's file ends.
const ENDING: &str = "calls";
/// How many of the newest are picked more often.
const NEWEST: usize = 12;

/// Sequences that are worth changing.
#[derive(Default)]
pub struct Corpus {
    kept: Vec<Kept>,
}

struct Kept {
    sequence: Sequence,
    picked: u32,
    /// What it reached first.
    edges: usize,
    /// Bytes of its values: what it costs to change and to run, about.
    weight: usize,
}

impl Corpus {
    /// Keeps a sequence that was the first to reach `edges` edges.
    pub fn keep(&mut self, sequence: Sequence, edges: usize) {
        let weight = sequence.weight();
        self.kept.push(Kept { sequence, picked: 0, edges, weight });
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// One to change: the newest ones, those hardly tried yet, those that found edges, and any.
    pub fn pick(&mut self, chance: &mut Chance) -> Option<&Sequence> {
        let len = self.kept.len();
        let at = match chance.below(4) {
            0 => len.saturating_sub(1 + chance.below(NEWEST.min(len))),
            1 => chance.below(len),
            _ => {
                let (one, two) = (chance.below(len), chance.below(len));
                let dear = |at: usize| {
                    let kept: &Kept = &self.kept[at];
                    u64::from(kept.picked) * (kept.weight as u64 + 256) / (kept.edges as u64 + 1)
                };
                if len > 0 && dear(two) < dear(one) { two } else { one }
            }
        };
        let kept = self.kept.get_mut(at)?;
        kept.picked += 1;
        Some(&kept.sequence)
    }

    /// Any of them, to take calls from.
    pub fn any(&self, chance: &mut Chance) -> Option<&Sequence> {
        chance.pick(&self.kept).map(|kept| &kept.sequence)
    }
}

/// Reads the sequences that a folder keeps; calls of functions that the component has not are left out.
///
/// # Errors
/// The folder is there and cannot be read.
pub fn load(folder: &Path, surface: &Surface) -> Result<Vec<Sequence>, Complaint> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let unreadable = |error: std::io::Error| {
        Complaint::new(Exit::NotFound, format!("{}: cannot be read", folder.display())).because(error)
    };
    let mut sequences = Vec::new();
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).map_err(unreadable)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == ENDING)) {
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut lines = text.lines();
        let answers = lines.next().and_then(|line| line.strip_prefix("answers: ")?.parse().ok());
        let steps: Vec<Step> = lines.filter_map(|line| Step::parse(surface, line).ok()).collect();
        sequences.push(Sequence { steps, answers: answers.unwrap_or(0) });
    }
    Ok(sequences)
}

/// Writes a sequence into a folder, under a name that follows from what is in it.
///
/// # Errors
/// The folder cannot be written to.
pub fn save(folder: &Path, surface: &Surface, sequence: &Sequence) -> std::io::Result<()> {
    let mut text = format!("answers: {}\n", sequence.answers);
    for step in &sequence.steps {
        writeln!(text, "{}", step.print(surface)).expect("writing to a string never fails");
    }
    std::fs::write(folder.join(format!("{:016x}.{ENDING}", fingerprint(&text))), text)
}
