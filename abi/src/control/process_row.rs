//! Processes as `ps` shows them: a line each, that says what it does or what became of it.

use std::fmt;

use bincode::{Decode, Encode};
use serde::Serialize;

use super::domain_row::DomainRow;

/// A tree that runs, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct TreeSummary {
    /// Its name: that of its root process.
    pub name: String,
    /// The file that it was made from.
    pub file: String,
    /// The operating system's number of the process that runs it.
    pub os_pid: u32,
    /// How long it has run, nanoseconds.
    pub age_ns: u64,
    /// Its processes, the root first, parents before children.
    pub processes: Vec<ProcessRow>,
    /// Its domains, in order.
    pub domains: Vec<DomainRow>,
}

/// A process, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ProcessRow {
    /// Its number.
    pub pid: u32,
    /// How many processes had this number before.
    pub generation: u32,
    /// Names from the root, `/` between them.
    pub path: String,
    /// Where its parent is in the list of processes.
    pub parent: Option<u32>,
    /// The domain it faults with.
    pub domain: u32,
    /// What it is doing.
    pub condition: Condition,
    /// How it is supervised, if it is.
    pub supervised: Option<Supervision>,
    /// Processor time, nanoseconds: its domain's if it is alone there, else what ticks saw of it.
    pub cpu_ns: u64,
    /// Bytes of its linear memories now.
    pub memory_bytes: u64,
    /// The most that they ever had.
    pub peak_memory_bytes: u64,
    /// The most that they may have, if there is a limit.
    pub memory_limit: Option<u64>,
    /// Handles that it holds.
    pub handles: u32,
    /// Calls into it from outside its domain.
    pub calls: u64,
    /// Its own calls of system servers and over boundaries.
    pub calls_out: u64,
    /// Faults that ended it.
    pub faults: u64,
    /// The last of them, if it lives again: `FAULT: …`.
    pub last_fault: Option<String>,
    /// How long this generation has lived, nanoseconds.
    pub age_ns: u64,
}

/// What a process is doing, in the words that are printed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Condition {
    /// Its libraries are not all started yet.
    Starting,
    /// It can be called; nobody does.
    #[default]
    Ready,
    /// A thread is in it.
    Running,
    /// A thread is in it that waits for another domain.
    Waiting {
        /// The path of the process with which that begins.
        path: String,
        /// Which life of it.
        generation: u32,
        /// How many calls wait for it.
        mailbox: u32,
    },
    /// A thread is in it that waits for the host: for input, for time, for its share of the processors.
    WaitingForHost,
    /// A trap ended it.
    Faulted {
        /// What happened.
        trap: String,
        /// Where: `process#function`, if that is known.
        place: Option<String>,
    },
    /// It ended on purpose, or somebody ended it.
    Exited {
        /// Why, if it is known.
        why: Option<String>,
    },
}

/// How a process is supervised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Supervision {
    /// The name of its supervisor.
    pub supervisor: String,
    /// How its supervisor restarts: `one-for-one`, `one-for-all` or `rest-for-one`.
    pub strategy: String,
    /// When it is restarted: `permanent`, `transient` or `temporary`.
    pub restart: String,
    /// How often it was.
    pub restarts: u64,
    /// Whether it is not restarted any more.
    pub given_up: bool,
}

impl ProcessRow {
    /// Its name among its siblings.
    #[must_use]
    pub fn name(&self) -> &str {
        last_name(&self.path)
    }

    /// How deep in the tree it is; the root is at 0.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.path.matches('/').count().saturating_sub(1)
    }

    /// What it is doing, what its supervisor did about it, and what ended the life before.
    #[must_use]
    pub fn story(&self) -> String {
        let ended = matches!(self.condition, Condition::Faulted { .. } | Condition::Exited { .. });
        let supervised = self.supervised.as_ref().filter(|known| ended || known.restarts > 0);
        let last = self.last_fault.as_ref().filter(|_| !ended).map(|fault| format!("last {fault}"));
        let remarks: Vec<String> = supervised.map(ToString::to_string).into_iter().chain(last).collect();
        if remarks.is_empty() {
            return self.condition.to_string();
        }
        format!("{} ({})", self.condition, remarks.join("; "))
    }
}

/// The last name of a path.
#[must_use]
pub fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Starting => f.write_str("starting"),
            Condition::Ready => f.write_str("ready"),
            Condition::Running => f.write_str("running"),
            Condition::Waiting { path, generation, mailbox } => {
                write!(f, "wait: {}/gen{generation} (mailbox {mailbox})", last_name(path))
            }
            Condition::WaitingForHost => f.write_str("wait: host"),
            Condition::Faulted { trap, place: None } => write!(f, "FAULT: {trap}"),
            Condition::Faulted { trap, place: Some(place) } => write!(f, "FAULT: {trap} in {place}"),
            Condition::Exited { why: None } => f.write_str("exited"),
            Condition::Exited { why: Some(why) } => write!(f, "exited: {why}"),
        }
    }
}

impl fmt::Display for Supervision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.restarts {
            0 => {}
            1 => f.write_str("restarted once, ")?,
            times => write!(f, "restarted {times} times, ")?,
        }
        f.write_str(&self.restart)?;
        if self.given_up { f.write_str(", given up") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, ProcessRow, Supervision};

    #[test]
    fn a_row_reads_like_a_story() {
        let mut row = ProcessRow { path: "/shop/cart".to_owned(), ..ProcessRow::default() };
        assert_eq!((row.name(), row.depth(), row.story().as_str()), ("cart", 1, "ready"));
        row.condition = Condition::Waiting { path: "/shop/store".to_owned(), generation: 2, mailbox: 3 };
        assert_eq!(row.story(), "wait: store/gen2 (mailbox 3)");
        let supervised = |restarts, given_up| {
            let [supervisor, strategy, restart] = ["shop", "one-for-one", "permanent"].map(str::to_owned);
            Some(Supervision { supervisor, strategy, restart, restarts, given_up })
        };
        row.supervised = supervised(0, false);
        assert_eq!(row.story(), "wait: store/gen2 (mailbox 3)");
        let (trap, place) = ("out of bounds memory access".to_owned(), Some("store#get".to_owned()));
        row.condition = Condition::Faulted { trap, place };
        row.supervised = supervised(2, false);
        assert_eq!(
            row.story(),
            "FAULT: out of bounds memory access in store#get (restarted 2 times, permanent)"
        );
        row.condition = Condition::Ready;
        row.last_fault = Some("FAULT: out of bounds memory access in store#get".to_owned());
        assert_eq!(
            row.story(),
            "ready (restarted 2 times, permanent; last FAULT: out of bounds memory access in store#get)"
        );
        row.condition = Condition::Exited { why: Some("killed: a person".to_owned()) };
        row.supervised = supervised(1, true);
        assert_eq!(row.story(), "exited: killed: a person (restarted once, permanent, given up)");
    }
}
