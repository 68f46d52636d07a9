//! What came of a script: how many directives passed, and each that did not.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

/// How many directives of a kind passed, failed, or were left out because what they need failed before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As the script says.
    pub passed: u32,
    /// Not as the script says.
    pub failed: u32,
    /// Not run, as the module they are about is not there.
    pub skipped: u32,
}

/// What came of one script.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// The file, as it was given.
    pub file: String,
    /// Every directive that asserts something.
    pub assertions: Counts,
    /// The others: modules, instances, `register`, `invoke`, threads.
    pub actions: Counts,
    /// What failed, in order.
    pub failures: Vec<Failure>,
}

/// A directive that did not go as the script says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Line of the directive, from 1.
    pub line: usize,
    /// The directive's first word.
    pub directive: &'static str,
    /// What the script says.
    pub expected: String,
    /// What happened.
    pub got: String,
}

/// How one directive went.
pub(super) enum Verdict {
    /// As the script says.
    Passed,
    /// What it is about is not there.
    Skipped,
    /// Not as the script says.
    Failed {
        /// What the script says.
        expected: String,
        /// What happened.
        got: String,
    },
}

impl Tally {
    /// An empty tally of `file`.
    #[must_use]
    pub fn new(file: &str) -> Tally {
        Tally { file: file.to_owned(), ..Tally::default() }
    }

    /// Whether everything went as the script says.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// Assertions and other directives together.
    #[must_use]
    pub fn total(&self) -> Counts {
        Counts {
            passed: self.assertions.passed + self.actions.passed,
            failed: self.assertions.failed + self.actions.failed,
            skipped: self.assertions.skipped + self.actions.skipped,
        }
    }

    pub(super) fn add(&mut self, line: usize, directive: &'static str, verdict: Verdict) {
        let counts = if directive.starts_with("assert_") { &mut self.assertions } else { &mut self.actions };
        match verdict {
            Verdict::Passed => counts.passed += 1,
            Verdict::Skipped => counts.skipped += 1,
            Verdict::Failed { expected, got } => {
                counts.failed += 1;
                self.failures.push(Failure { line, directive, expected, got });
            }
        }
    }

    /// Adds what came of a thread of the same script.
    pub(super) fn absorb(&mut self, thread: Tally) {
        let pairs = [(&mut self.assertions, thread.assertions), (&mut self.actions, thread.actions)];
        for (mine, theirs) in pairs {
            mine.passed += theirs.passed;
            mine.failed += theirs.failed;
            mine.skipped += theirs.skipped;
        }
        self.failures.extend(thread.failures);
    }

    /// Writes the line of the file, then its failures.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Counts { passed, failed, skipped } = self.total();
        let word = if self.is_ok() { "ok  " } else { "FAIL" };
        write!(out, "{word} {}: {passed} passed, {failed} failed, {skipped} skipped", self.file)?;
        writeln!(out, " ({} assertions passed)", self.assertions.passed)?;
        for failure in &self.failures {
            writeln!(out, "  {}:{failure}", self.file)?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.line, self.directive)?;
        writeln!(f, "    expected {}", self.expected)?;
        write!(f, "    got      {}", self.got)
    }
}
