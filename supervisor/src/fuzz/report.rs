//! What a person sees of a hunt: a line while it runs, a summary at its end.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::jobs::{Found, Shared};
use crate::paint::{Paint, Role};

/// How often the line is written again.
const REFRESH: Duration = Duration::from_millis(250);
/// Characters of a call that the summary shows.
const SHOWN: usize = 160;

/// What came of a hunt.
#[derive(Debug, serde::Serialize)]
pub struct Summary {
    /// The component.
    pub file: String,
    /// The seed.
    pub seed: u64,
    /// Sequences run.
    pub runs: u64,
    /// Seconds from the first sequence on.
    pub seconds: f64,
    /// Edges taken.
    pub edges: usize,
    /// Edges that there are.
    pub all_edges: usize,
    /// Sequences kept.
    pub kept: usize,
    /// Functions that were not called, and why.
    pub skipped: Vec<(String, String)>,
    /// What was found, in order.
    pub findings: Vec<Found>,
}

impl Summary {
    /// Of a hunt so far.
    #[must_use]
    pub fn of(file: &str, seed: u64, shared: &Shared, skipped: Vec<(String, String)>) -> Summary {
        Summary {
            file: file.to_owned(),
            seed,
            runs: shared.runs.load(Relaxed),
            seconds: shared.elapsed().as_secs_f64(),
            edges: shared.edges[0].load(Relaxed),
            all_edges: shared.edges[1].load(Relaxed),
            kept: shared.kept.load(Relaxed),
            skipped,
            findings: shared.found(),
        }
    }

    /// The summary as text.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let mut text = String::new();
        let found = match self.findings.len() {
            0 => paint.text(Role::Good, "nothing found".to_owned()),
            1 => paint.text(Role::Bad, "1 finding".to_owned()),
            count => paint.text(Role::Bad, format!("{count} findings")),
        };
        let rate = self.runs as f64 / self.seconds.max(1e-9);
        put(
            &mut text,
            format_args!(
                "{}: {found}: {} sequences in {:.1} s ({:.0}/s), {} of {} edges, {} kept, seed {}\n",
                self.file, self.runs, self.seconds, rate, self.edges, self.all_edges, self.kept, self.seed
            ),
        );
        for (name, why) in &self.skipped {
            put(&mut text, format_args!("  {} {name}: {why}\n", paint.text(Role::Note, "not called:")));
        }
        for found in &self.findings {
            let kind = paint.text(Role::Bad, found.kind.name());
            let place = found.place.as_ref().map_or_else(String::new, |place| format!(" in {place}"));
            put(&mut text, format_args!("\n  {kind}: {}{place}\n", found.what));
            for call in &found.calls {
                put(&mut text, format_args!("    {}\n", short(call)));
            }
            let file = format!("→ {}", found.file.display());
            put(&mut text, format_args!("    {}\n", paint.text(Role::Aside, file)));
        }
        if !self.findings.is_empty() {
            put(
                &mut text,
                format_args!("\n  replay one: atoll fuzz --replay {}\n", self.findings[0].file.display()),
            );
        }
        text
    }
}

/// Writes a line on standard error again and again, if that is a terminal, until `over` is closed.
pub fn watch(shared: &Shared, over: &Receiver<()>) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let mut last = (shared.elapsed(), shared.runs.load(Relaxed));
    while over.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
        if let Some(time) = shared.compiling() {
            let _ = write!(std::io::stderr(), "\r\x1b[2Kcompiling, {:.0} s", time.as_secs_f64());
            continue;
        }
        let now = (shared.elapsed(), shared.runs.load(Relaxed));
        let rate = (now.1 - last.1) as f64 / (now.0 - last.0).as_secs_f64().max(1e-3);
        last = now;
        let since = now.0.as_secs_f64() - shared.last_new_ms.load(Relaxed) as f64 / 1e3;
        let line = format!(
            "{:.0} s  {rate:.0} sequences/s  {}/{} edges  {} kept  {} found  last new {:.0} s ago",
            now.0.as_secs_f64(),
            shared.edges[0].load(Relaxed),
            shared.edges[1].load(Relaxed),
            shared.kept.load(Relaxed),
            shared.count(),
            since.max(0.0),
        );
        // Nobody is told if a terminal cannot be written to: there is nowhere to say it.
        let _ = write!(std::io::stderr(), "\r\x1b[2K{line}");
    }
    let _ = write!(std::io::stderr(), "\r\x1b[2K");
}

fn short(call: &str) -> String {
    match call.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}… ({} characters)", &call[..cut], call.chars().count()),
        None => call.to_owned(),
    }
}

fn put(text: &mut String, rest: std::fmt::Arguments<'_>) {
    text.write_fmt(rest).expect("writing to a string never fails");
}
