//! What runs one tree, as the control socket sees it.

use std::sync::Arc;

use abi::fault::Fault;
use ipc::launched::Launched;
use serde::{Deserialize, Serialize};

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::logs::Logs;
use crate::nearest::nearest;
use crate::tend::spec::{Restart, Strategy};

/// A tree that somebody runs.
#[derive(Debug)]
pub struct Ward {
    /// Its name.
    pub name: String,
    /// The file it came from.
    pub file: String,
    /// The tree while it runs.
    pub launched: Arc<Launched>,
    /// What the processes have printed.
    pub logs: Arc<Logs>,
}

/// What runs one tree, as the control socket sees it. What is said here of each is for a tree without supervisors.
pub trait Steward: Send + Sync {
    /// The tree that it runs.
    fn ward(&self) -> &Ward;

    /// The tree's name.
    fn name(&self) -> &str {
        &self.ward().name
    }

    /// The file it came from.
    fn file(&self) -> &str {
        &self.ward().file
    }

    /// The tree while it runs.
    fn launched(&self) -> &Arc<Launched> {
        &self.ward().launched
    }

    /// What the processes have printed.
    fn logs(&self) -> &Arc<Logs> {
        &self.ward().logs
    }

    /// How a process is supervised, by path; `None` if nobody supervises it.
    fn supervised(&self, _path: &str) -> Option<Supervised> {
        None
    }

    /// Ends the life of the domain of a process and begins the next. Counts nothing against anybody.
    ///
    /// # Errors
    /// There is no such process, or the machine has stopped.
    fn restart(&self, path: &str, by: &str) -> Result<(), Complaint> {
        self.ward().restart(path, by)
    }

    /// Ends the domain of a process, as a fault would: whoever supervises it starts it again if that is its policy.
    ///
    /// # Errors
    /// There is no such process.
    fn kill(&self, path: &str, by: &str) -> Result<(), Complaint> {
        self.ward().kill(path, by)
    }

    /// Ends the domain of a process for good: asks it to, kills it when its time is up. Only [`Steward::restart`]
    /// brings it back.
    ///
    /// # Errors
    /// There is no such process.
    fn terminate(&self, path: &str, by: &str) -> Result<(), Complaint> {
        // Nobody would bring it back.
        self.kill(path, by)
    }

    /// Shuts the whole tree down in order, as one Ctrl-C does. Does not wait for its end.
    fn shut_down(&self, by: &str) {
        self.ward().end(by);
    }
}

impl Ward {
    /// The tree of this name, from this file.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        file: impl Into<String>,
        launched: &Arc<Launched>,
        logs: &Arc<Logs>,
    ) -> Ward {
        let (launched, logs) = (Arc::clone(launched), Arc::clone(logs));
        Ward { name: name.into(), file: file.into(), launched, logs }
    }

    /// Begins the next life of the domain of a process.
    ///
    /// # Errors
    /// There is no such process, or the machine has stopped.
    pub fn restart(&self, path: &str, by: &str) -> Result<(), Complaint> {
        let restarted = self.launched.restart(domain_of(&self.launched, path)?, by);
        restarted.map_err(|fault| failed(path, "started again", fault))
    }

    /// Ends the domain of a process.
    ///
    /// # Errors
    /// There is no such process.
    pub fn kill(&self, path: &str, by: &str) -> Result<(), Complaint> {
        let killed = self.launched.kill(domain_of(&self.launched, path)?, by);
        killed.map_err(|fault| failed(path, "killed", fault))
    }

    /// Ends all domains.
    pub fn end(&self, by: &str) {
        for domain in 0..self.launched.tree().domain_count() {
            // It is there: the tree has so many.
            let _ = self.launched.kill(domain, by);
        }
    }
}

fn failed(path: &str, what: &str, fault: Fault) -> Complaint {
    Complaint::new(Exit::Failed, format!("{path}: cannot be {what}")).because(fault)
}

/// The number of the domain of the process with this path.
///
/// # Errors
/// There is no such process.
pub fn domain_of(launched: &Launched, path: &str) -> Result<u32, Complaint> {
    let processes = launched.tree().linked().processes();
    if let Some(process) = processes.iter().find(|process| process.path == path) {
        return Ok(process.place.domain);
    }
    let complaint = Complaint::new(Exit::Usage, format!("the tree has no process `{path}`"));
    Err(match nearest(path, processes.iter().map(|process| process.path.as_str())) {
        Some(near) => complaint.advise(format!("did you mean `{near}`?")),
        None => complaint,
    })
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
