//! Exit codes, in one list: what the process returns, what `--help` prints and what the book says.

use std::fmt;
use std::process::ExitCode;

/// How a run of `atoll` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked.
    Success,
    /// The guest chose this code.
    Guest(u8),
    /// The command line makes no sense.
    Usage,
    /// A supervisor gave up.
    GaveUp,
    /// atoll could not do its part.
    Failed,
    /// The file is there and is not something that can be run.
    Refused,
    /// The file cannot be read, or nobody has that name.
    NotFound,
    /// Ctrl-C.
    Interrupted,
    /// A guest trapped.
    Fault,
    /// SIGTERM.
    Terminated,
}

/// Every code with its meaning; a shell, `env` and container engines use 125 to 127 and 128 + signal alike.
pub const TABLE: [(&str, &str); 10] = [
    ("0", "success"),
    (
        "1",
        "the guest's `run` returned an error, a script of `atoll wast` failed, `atoll fuzz` found something, or `atoll bench --compare` found a row slower",
    ),
    ("2", "the command line is wrong"),
    ("123", "a supervisor of `atoll up` gave up: more restarts than its intensity allows"),
    ("125", "atoll itself failed, as when memory or disk is full"),
    ("126", "the file cannot be run: no component, invalid, missing import, stale image"),
    ("127", "the file cannot be read, or no tree or process that runs has that name"),
    ("130", "interrupted: Ctrl-C ended the tree"),
    ("134", "a guest trapped"),
    ("143", "terminated: SIGTERM ended the tree, or `atoll down` one of `atoll run`"),
];

impl Exit {
    /// How a run ended that gave this code.
    #[must_use]
    pub fn of_code(code: u8) -> Exit {
        let named = [
            Exit::Success,
            Exit::Usage,
            Exit::Failed,
            Exit::Refused,
            Exit::NotFound,
            Exit::Interrupted,
            Exit::Fault,
            Exit::Terminated,
        ];
        named.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::Guest(code))
    }

    /// The code that the operating system gets.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Guest(code) => code,
            Exit::Usage => 2,
            Exit::GaveUp => 123,
            Exit::Failed => 125,
            Exit::Refused => 126,
            Exit::NotFound => 127,
            Exit::Interrupted => 130,
            Exit::Fault => 134,
            Exit::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// The table as `--help` shows it.
pub struct Table;

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (code, meaning) in TABLE {
            writeln!(f, "  {code:>4}  {meaning}")?;
        }
        write!(f, "     n  what the guest exits with, if it asks for a code")
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, TABLE};

    #[test]
    fn every_code_is_in_the_table() {
        let all = [
            Exit::Success,
            Exit::Guest(1),
            Exit::Usage,
            Exit::GaveUp,
            Exit::Failed,
            Exit::Refused,
            Exit::NotFound,
            Exit::Interrupted,
            Exit::Fault,
            Exit::Terminated,
        ];
        let codes: Vec<String> = all.iter().map(|exit| exit.code().to_string()).collect();
        assert_eq!(codes, TABLE.map(|(code, _)| code.to_string()));
    }

    #[test]
    fn the_book_has_the_table() {
        let page = include_str!("../../docs/console.md");
        for (code, meaning) in TABLE {
            let line = format!("| {code} | {meaning} |");
            assert!(page.contains(&line), "docs/console.md lacks the line `{line}`");
        }
    }
}
