//! What happens to a tree that is kept running, as a person and a program are told.

use std::fmt;

use serde::Serialize;

use super::child_spec::Strategy;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Happening {
    /// A life of a process has begun.
    Started {
        /// Its path.
        process: String,
        /// Which life.
        generation: u32,
    },
    /// A process, or one that shares its domain, has trapped.
    Faulted {
        /// Its path.
        process: String,
        /// In which life.
        generation: u32,
        /// What happened.
        reason: String,
        /// Where: the process that trapped, and its function.
        #[serde(skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    },
    /// A process has ended without a fault.
    Ended {
        /// Its path.
        process: String,
        /// In which life.
        generation: u32,
        /// How.
        reason: String,
    },
    /// A process is started again, and with it others as the strategy says.
    Restarting {
        /// Its path, or the name of a supervisor.
        process: String,
        /// Who starts it.
        supervisor: String,
        /// Whom else that takes along.
        strategy: Strategy,
        /// The how many-th restart within the period this is.
        restarts: usize,
        /// How many there may be.
        intensity: u32,
        /// The period.
        period_ns: u64,
    },
    /// A process has ended and is not started again.
    Finished {
        /// Its path.
        process: String,
    },
    /// A child could not be started.
    NotStarted {
        /// Its path, or the name of a supervisor.
        process: String,
    },
    /// A supervisor has made more restarts than it may, and ends with all its children.
    GaveUp {
        /// Its name.
        supervisor: String,
        /// How many restarts there may be.
        intensity: u32,
        /// Within which time.
        period_ns: u64,
    },
    /// A supervisor has started all its children.
    Up {
        /// Its name.
        supervisor: String,
    },
    /// A process is asked to end.
    Stopping {
        /// Its path.
        process: String,
    },
    /// A process is killed: it has not ended in time, or is given none.
    Killing {
        /// Its path.
        process: String,
    },
    /// The tree is to be shut down.
    ShuttingDown {
        /// By whom.
        by: String,
    },
    /// The tree has ended.
    Over {
        /// How.
        outcome: String,
    },
}

impl Happening {
    /// The process or supervisor that it happened to; none if it is the tree.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Happening::Started { process, .. }
            | Happening::Faulted { process, .. }
            | Happening::Ended { process, .. }
            | Happening::Restarting { process, .. }
            | Happening::Finished { process }
            | Happening::NotStarted { process }
            | Happening::Stopping { process }
            | Happening::Killing { process } => Some(process),
            Happening::GaveUp { supervisor, .. } | Happening::Up { supervisor } => Some(supervisor),
            Happening::ShuttingDown { .. } | Happening::Over { .. } => None,
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(
            self,
            Happening::Faulted { .. }
                | Happening::NotStarted { .. }
                | Happening::GaveUp { .. }
                | Happening::Killing { .. }
        )
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happening::Started { generation, .. } => write!(f, "started (gen{generation})"),
            Happening::Faulted { generation, reason, at, .. } => {
                write!(f, "FAULT: {reason}")?;
                if let Some(at) = at {
                    write!(f, " in {at}")?;
                }
                write!(f, " (gen{generation})")
            }
            Happening::Ended { generation, reason, .. } => write!(f, "ended: {reason} (gen{generation})"),
            Happening::Restarting { supervisor, strategy, restarts, intensity, period_ns, .. } => {
                let takes = match strategy {
                    Strategy::OneForOne => "",
                    Strategy::OneForAll => " with all its siblings",
                    Strategy::RestForOne => " with those after it",
                };
                let period = crate::measure::Span(*period_ns);
                write!(
                    f,
                    "is started again{takes} by {supervisor} (restart {restarts} of {intensity} within {period})"
                )
            }
            Happening::Finished { .. } => f.write_str("is not started again"),
            Happening::NotStarted { .. } => f.write_str("could not be started"),
            Happening::GaveUp { intensity, period_ns, .. } => {
                let period = crate::measure::Span(*period_ns);
                write!(
                    f,
                    "gives up: more than {intensity} restarts within {period}; ends its children and itself"
                )
            }
            Happening::Up { .. } => f.write_str("is up"),
            Happening::Stopping { .. } => f.write_str("is asked to end"),
            Happening::Killing { .. } => f.write_str("is killed"),
            Happening::ShuttingDown { by } => write!(f, "shuts down ({by})"),
            Happening::Over { outcome } => f.write_str(outcome),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Happening, Strategy};

    #[test]
    fn it_is_told_to_people_and_programs() {
        let process = || "/shop/store".to_owned();
        let fault = Happening::Faulted {
            process: process(),
            generation: 0,
            reason: "out of bounds memory access".to_owned(),
            at: Some("store!get".to_owned()),
        };
        let again = Happening::Restarting {
            process: process(),
            supervisor: "shop".to_owned(),
            strategy: Strategy::RestForOne,
            restarts: 1,
            intensity: 3,
            period_ns: 10_000_000_000,
        };
        insta::assert_snapshot!(format!("{fault}\n{again}"), @r"
        FAULT: out of bounds memory access in store!get (gen0)
        is started again with those after it by shop (restart 1 of 3 within 10s)
        ");
        let json = serde_json::to_string(&again).expect("it has a JSON form");
        insta::assert_snapshot!(json, @r#"{"event":"restarting","process":"/shop/store","supervisor":"shop","strategy":"rest-for-one","restarts":1,"intensity":3,"period-ns":10000000000}"#);
    }
}
