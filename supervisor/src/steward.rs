//! What runs one tree, as the control socket sees it.

use std::sync::Arc;

use ipc::launched::Launched;
use serde::{Deserialize, Serialize};

use crate::complaint::Complaint;
use crate::logs::Logs;
use crate::tend::spec::{Restart, Strategy};

/// What runs one tree, as the control socket sees it.
pub trait Steward: Send + Sync {
    /// The tree's name.
    fn name(&self) -> &str;

    /// The file it came from.
    fn file(&self) -> &str;

    /// The tree while it runs.
    fn launched(&self) -> &Arc<Launched>;

    /// How a process is supervised, by path; `None` if nobody supervises it.
    fn supervised(&self, path: &str) -> Option<Supervised>;

    /// Ends the life of the domain of a process and begins the next. Counts nothing against anybody.
    ///
    /// # Errors
    /// There is no such process, or the machine has stopped.
    fn restart(&self, path: &str, by: &str) -> Result<(), Complaint>;

    /// Ends the domain of a process, as a fault would: whoever supervises it starts it again if that is its policy.
    ///
    /// # Errors
    /// There is no such process.
    fn kill(&self, path: &str, by: &str) -> Result<(), Complaint>;

    /// Ends the domain of a process for good: asks it to, kills it when its time is up. Only [`Steward::restart`]
    /// brings it back.
    ///
    /// # Errors
    /// There is no such process.
    fn terminate(&self, path: &str, by: &str) -> Result<(), Complaint>;

    /// Shuts the whole tree down in order, as one Ctrl-C does. Does not wait for its end.
    fn shut_down(&self, by: &str);

    /// What the processes have printed.
    fn logs(&self) -> &Arc<Logs>;
}

/// How a process is supervised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Supervised {
    /// The name of its supervisor.
    pub supervisor: String,
    /// Whom that starts again when a child ends.
    pub strategy: Strategy,
    /// When this child is started again.
    pub restart: Restart,
    /// How often its supervisor has started it again.
    pub restarts: u64,
    /// Whether it has ended and nobody is going to start it again.
    pub given_up: bool,
}
