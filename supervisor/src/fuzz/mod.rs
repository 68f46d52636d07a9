//! `atoll fuzz`: looks for calls that make a component trap, hang, leak or contradict itself.
//!
//! Sequences of calls are made up from the component's own types, run on a fresh tree each, and changed when they reach
//! code that none before them did: the kernel compiles guests with counters for it. Nothing here knows how a guest is
//! compiled or run, and everything that is made up follows from a seed.
//!
//! - [`surface`]: what can be called; [`steps`]: sequences of calls
//! - [`player`]: the imports; [`held`]: resources between calls; [`harness`]: runs a sequence
//! - [`coverage`], [`corpus`]: what was reached, and by which sequences; [`closer`]: what a sequence compares
//! - [`judge`]: what is wrong; [`reduce`]: shows it with less; [`finding`]: as a file
//! - [`hunt`]: the loop; [`jobs`]: what its jobs share; [`report`]: what a person sees of it; [`replay`]: a finding run again
//! - [`fingerprint`]: names for files

pub mod closer;
pub mod corpus;
pub mod coverage;
pub mod finding;
pub mod fingerprint;
pub mod harness;
pub mod held;
pub mod hunt;
pub mod jobs;
pub mod judge;
pub mod player;
pub mod reduce;
pub mod replay;
pub mod report;
pub mod steps;
pub mod surface;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::channel;
use std::time::Duration;

use self::finding::Origin;
use self::harness::Settings;
use self::hunt::{Hunter, Plan};
use self::jobs::Shared;
use self::judge::Kind;
use self::report::Summary;
use crate::complaint::Complaint;
use crate::console::{Paints, Trouble, print};
use crate::exit_code::Exit;
use crate::program::Program;

const HELP: &str = "Examples:
  atoll fuzz geo.wasm                              a minute of everything that it exports
  atoll fuzz --export area geo.wasm                one function, and what makes the resources that it needs
  atoll fuzz --time 10m --jobs 4 --corpus c geo.wasm
                                                   longer, on four cores, going on from what c keeps
  atoll fuzz --runs 50000 --seed 7 geo.wasm        the same sequences each time: for CI
  atoll fuzz --against new.wasm old.wasm           where two components differ
  atoll fuzz --replay fuzz-findings/trap-1c0ffee0.finding
                                                   run a finding again, and see each call's result

A sequence is a few calls on a fresh tree: constructors, functions, methods on what they returned, drops. What is
wrong is: a trap, a sequence that takes --steps and does not end, more than --memory, memory or handles that grow each
time a sequence is repeated, another result the second time, in several domains, or from --against.
Imports are played: answers of the right type, errors and faults among them. --real-imports serves WASI as `run` does,
with nothing granted.

Findings are made small and written to --findings as text: the calls in WAVE, the backtrace, how to run them again.
The exit code is 1 if something was found.";

/// `atoll fuzz`
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct FuzzArgs {
    /// Call this function only, and what makes the resources that it needs. Can be given again.
    #[arg(long = "export", value_name = "IFACE#FUNC")]
    pub exports: Vec<String>,
    /// Stop after hunting for this long: 90s, 10m, 2h. A minute, if there is no --runs. Compiling FILE, which comes first,
    /// does not count.
    #[arg(long, value_name = "TIME")]
    pub time: Option<Span>,
    /// Stop after this many sequences.
    #[arg(long, value_name = "N")]
    pub runs: Option<u64>,
    /// What everything that is made up follows from.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub seed: u64,
    /// Threads that hunt together; with more than one, a seed does not say everything.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub jobs: usize,
    /// Begin with the sequences in this folder, and keep there those that reach something new.
    #[arg(long, value_name = "DIR")]
    pub corpus: Option<PathBuf>,
    /// Where findings are written.
    #[arg(long, default_value = "fuzz-findings", value_name = "DIR")]
    pub findings: PathBuf,
    /// Compare each result with that of another component of the same exports.
    #[arg(long, value_name = "OTHER")]
    pub against: Option<PathBuf>,
    /// Serve WASI with the system servers, nothing granted, instead of playing it.
    #[arg(long)]
    pub real_imports: bool,
    /// Loops and calls that a sequence may take before it counts as a hang.
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    pub steps: u32,
    /// Memory that a tree may have at the end of a sequence, MiB.
    #[arg(long, default_value_t = 512, value_name = "MIB")]
    pub memory: u32,
    /// Do not look for this: memory-leak for a component that is meant to remember, nondeterminism for one that is
    /// meant to be random. Can be given again.
    #[arg(long, value_name = "KIND")]
    pub skip: Vec<Kind>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    /// Run a finding again, on the component that it names or on FILE.
    #[arg(long, value_name = "FINDING")]
    pub replay: Option<PathBuf>,
    /// A component.
    #[arg(required_unless_present = "replay")]
    pub file: Option<PathBuf>,
}

/// A length of time on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// Text that is no length of time.
#[derive(Debug, thiserror::Error)]
#[error("expected a number with ms, s, m or h after it: 90s, 10m, 2h")]
pub struct SpanError;

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Span, SpanError> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = text[..digits].parse().map_err(|_| SpanError)?;
        let ms = match &text[digits..] {
            "ms" => 1,
            "s" | "" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(SpanError),
        };
        Ok(Span(Duration::from_millis(number.checked_mul(ms).ok_or(SpanError)?)))
    }
}

/// Hunts, or replays a finding.
///
/// # Errors
/// A file cannot be read, compiled or written.
pub fn run(args: &FuzzArgs, paints: Paints) -> Result<Exit, Trouble> {
    let settings = Settings {
        real_imports: args.real_imports,
        steps: i64::from(args.steps),
        memory_bytes: u64::from(args.memory) << 20,
        exports: args.exports.clone(),
    };
    if let Some(finding) = &args.replay {
        let (text, same) = replay::replay(finding, args.file.as_deref(), &settings, paints.out)?;
        print(&text)?;
        return Ok(if same { Exit::Guest(1) } else { Exit::Success });
    }
    let plan = plan(args, settings)?;
    let summary = hunt(&plan, args.jobs.max(1))?;
    match args.json {
        true => {
            let json = serde_json::to_string_pretty(&summary).expect("the summary is made of plain data");
            print(&(json + "\n"))?
        }
        false => print(&summary.render(paints.out))?,
    };
    Ok(if summary.findings.is_empty() { Exit::Success } else { Exit::Guest(1) })
}

fn plan(args: &FuzzArgs, settings: Settings) -> Result<Plan, Complaint> {
    let file = args.file.as_ref().expect("clap requires FILE without --replay");
    let source = Program::read(file)?;
    let against = args.against.as_ref().map(|path| Program::read(path)).transpose()?;
    let bounded = args.runs.is_some() || args.time.is_some();
    Ok(Plan {
        bytes: source.component()?.to_vec(),
        against: against.as_ref().map(|other| other.component().map(<[u8]>::to_vec)).transpose()?,
        origin: Origin {
            file: source.path,
            real_imports: args.real_imports,
            against: against.map(|other| other.path),
        },
        settings,
        seed: args.seed,
        runs: args.runs,
        time: if bounded { args.time.map(|span| span.0) } else { Some(Duration::from_secs(60)) },
        corpus: args.corpus.clone(),
        findings: args.findings.clone(),
        skip: args.skip.clone(),
    })
}

/// Hunts as planned, with so many threads.
///
/// # Errors
/// The component cannot be fuzzed, or a folder cannot be written to.
pub fn hunt(plan: &Plan, jobs: usize) -> Result<Summary, Complaint> {
    let shared = Shared::new();
    let (running, over) = channel::<()>();
    let skipped = std::thread::scope(|scope| {
        let shared = &shared;
        scope.spawn(move || report::watch(shared, &over));
        let job = |number: usize| -> Result<_, Complaint> {
            let mut hunter = Hunter::new(number, plan, shared)?;
            hunter.hunt()?;
            Ok(hunter.skipped())
        };
        let others: Vec<_> = (1..jobs).map(|number| scope.spawn(move || job(number))).collect();
        let mut result = job(0);
        for other in others {
            let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and_then(|skipped| other.map(|_| skipped));
        }
        drop(running);
        result
    })?;
    Ok(Summary::of(&plan.origin.file, plan.seed, &shared, skipped))
}

#[cfg(test)]
mod tests {
    use super::{Duration, Span};

    #[test]
    fn times_have_units() {
        let span = |text: &str| text.parse::<Span>().map(|span| span.0).ok();
        assert_eq!(span("90s"), Some(Duration::from_secs(90)));
        assert_eq!(span("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(span("7"), Some(Duration::from_secs(7)));
        assert_eq!(span("7 days"), None);
        assert_eq!(span(""), None);
    }
}
