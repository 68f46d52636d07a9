//! Findings as files: what a person reads, `--replay` runs again, and `atoll run --invoke @FILE` calls.
//!
//! ```text
//! atoll finding 1
//! file: bugs.wat
//! kind: trap
//! what: out of bounds memory access
//! seed: 7
//! answers: 0
//!
//! calls:
//!   demo:bugs/api#push([1, 2, 3])
//!
//! backtrace:
//!   …
//! ```
//!
//! Only `file`, `kind`, `key`, `answers`, `imports`, `against` and `calls` are read again.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use abi::fault::Frame;

use super::judge::{Kind, Verdict};
use super::steps::{Sequence, Step};
use super::surface::Surface;
use crate::blame;
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::paint::Paint;

const HEAD: &str = "atoll finding 1";
/// Bytes of a command that a person still wants to see; a longer one refers to the file.
const SHOWN: usize = 400;

/// Something that a fuzzer found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What is wrong.
    pub verdict: Verdict,
    /// The calls that show it.
    pub sequence: Sequence,
    /// The seed of the run that found it.
    pub seed: u64,
    /// What the guest wrote meanwhile.
    pub said: String,
    /// Whether imports are called.
    pub asked: bool,
}

/// What a file tells of how it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The component.
    pub file: String,
    /// Whether WASI was served by the system servers.
    pub real_imports: bool,
    /// The component that it was compared with.
    pub against: Option<String>,
}

/// A finding's file, read and not yet understood: for that a component is needed.
#[derive(Clone, Debug)]
pub struct Saved {
    /// How it was found.
    pub origin: Origin,
    /// What was wrong.
    pub kind: Kind,
    /// What it is told by.
    pub key: String,
    answers: u64,
    calls: Vec<String>,
}

impl Finding {
    /// The file's text.
    #[must_use]
    pub fn print(&self, surface: &Surface, origin: &Origin) -> String {
        let Verdict { kind, what, key, step, fault, .. } = &self.verdict;
        let mut text =
            format!("{HEAD}\nfile: {}\nkind: {}\nwhat: {}\n", origin.file, kind.name(), line(what));
        put(
            &mut text,
            format_args!("key: {}\nseed: {}\nanswers: {}\n", line(key), self.seed, self.sequence.answers),
        );
        put(&mut text, format_args!("imports: {}\n", if origin.real_imports { "real" } else { "played" }));
        if let Some(against) = &origin.against {
            put(&mut text, format_args!("against: {against}\n"));
        }
        text.push_str("\ncalls:\n");
        for (at, call) in self.calls(surface).iter().enumerate() {
            let here = if Some(at) == *step && self.sequence.steps.len() > 1 { "  # here" } else { "" };
            put(&mut text, format_args!("  {call}{here}\n"));
        }
        if let Some(fault) = fault {
            text.push_str("\nbacktrace:\n");
            for text_line in blame::chain_text(&fault.frames, Paint::PLAIN).lines() {
                put(&mut text, format_args!("{text_line}\n"));
            }
        }
        if !self.said.trim().is_empty() {
            text.push_str("\nsaid:\n");
            for said in self.said.lines() {
                put(&mut text, format_args!("  {}\n", said.trim_end()));
            }
        }
        text.push_str("\nnext: atoll fuzz --replay THIS_FILE\n");
        if let Some(command) = self.command(surface, origin) {
            put(&mut text, format_args!("next: {command}\n"));
        }
        text
    }

    /// The calls as text, in order.
    #[must_use]
    pub fn calls(&self, surface: &Surface) -> Vec<String> {
        self.sequence.steps.iter().map(|step| step.print(surface)).collect()
    }

    /// The command that shows the same without a fuzzer, if there is one: `atoll run` plays no imports.
    fn command(&self, surface: &Surface, origin: &Origin) -> Option<String> {
        if self.asked && !origin.real_imports
            || !matches!(self.verdict.kind, Kind::Trap | Kind::Timeout | Kind::Quota)
        {
            return None;
        }
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let calls: Vec<String> =
            self.calls(surface).iter().map(|call| format!("--invoke {}", quoted(call))).collect();
        let calls = calls.join(" ");
        let calls = if calls.len() > SHOWN { "--invoke @THIS_FILE" } else { &calls };
        Some(format!("atoll run {calls} {}", origin.file))
    }

    /// The innermost frame that has a name, for one line.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let frames = &self.verdict.fault.as_ref()?.frames;
        let named = |frame: &&Frame| frame.func_index.is_some() && frame.func_name.is_some();
        frames.iter().find(named).or(frames.first()).map(blame::function)
    }

    /// Writes the file into a folder and says where it is.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save(&self, folder: &Path, surface: &Surface, origin: &Origin) -> Result<PathBuf, Complaint> {
        let path = folder.join(format!("{}-{}.finding", self.verdict.kind.name(), self.verdict.id()));
        let written =
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, self.print(surface, origin)));
        match written {
            Ok(()) => Ok(path),
            Err(error) => {
                let what = format!("{}: a finding cannot be written", path.display());
                Err(Complaint::new(Exit::Failed, what).because(error))
            }
        }
    }
}

/// The calls that `--invoke` asks for: `@FINDING` stands for those of a finding.
///
/// # Errors
/// Those of [`Saved::read`].
pub fn invoked(invokes: &[String]) -> Result<Vec<String>, Complaint> {
    let mut calls = Vec::new();
    for invoke in invokes {
        match invoke.strip_prefix('@') {
            Some(path) => calls.extend(Saved::read(Path::new(path))?.calls),
            None => calls.push(invoke.clone()),
        }
    }
    Ok(calls)
}

impl Saved {
    /// Reads a finding's file.
    ///
    /// # Errors
    /// It cannot be read, or is no finding.
    pub fn read(path: &Path) -> Result<Saved, Complaint> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Complaint::new(Exit::NotFound, format!("{shown}: cannot be read")).because(error)
        })?;
        Saved::parse(&text).ok_or_else(|| {
            Complaint::refused(format!("{shown}: no finding of `atoll fuzz`"))
                .reason(format!("expected `{HEAD}` in the first line, then `file:`, `kind:` and `calls:`"))
        })
    }

    fn parse(text: &str) -> Option<Saved> {
        let mut lines = text.lines();
        if lines.next()?.trim() != HEAD {
            return None;
        }
        let value = |name: &str| {
            let mut found = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.next().map(str::to_owned)
        };
        let kind = value("kind")?;
        let calls = text.lines().skip_while(|line| line.trim_end() != "calls:").skip(1);
        let calls = calls.take_while(|line| line.starts_with("  "));
        Some(Saved {
            origin: Origin {
                file: value("file")?,
                real_imports: value("imports").as_deref() == Some("real"),
                against: value("against"),
            },
            kind: Kind::ALL.into_iter().find(|known| known.name() == kind)?,
            key: value("key")?,
            answers: value("answers")?.parse().ok()?,
            calls: calls.map(|call| call.trim().trim_end_matches("# here").trim_end().to_owned()).collect(),
        })
    }

    /// The sequence, for a component that has its functions.
    ///
    /// # Errors
    /// The component has them not, or with other types.
    pub fn sequence(&self, path: &Path, surface: &Surface) -> Result<Sequence, Complaint> {
        let steps: Result<Vec<Step>, Complaint> = self
            .calls
            .iter()
            .map(|call| {
                Step::parse(surface, call).map_err(|error| {
                    let what = format!("{}: `{call}` cannot be called", path.display());
                    Complaint::refused(what).because(error)
                })
            })
            .collect();
        Ok(Sequence { steps: steps?, answers: self.answers })
    }
}

/// Text on one line.
fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn put(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}
