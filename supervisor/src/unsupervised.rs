//! A tree that runs as long as it does: nobody starts again what has ended.

use std::sync::Arc;

use ipc::launched::Launched;

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::logs::Logs;
use crate::nearest::nearest;
use crate::steward::{Steward, Supervised};

/// A tree without a supervisor.
#[derive(Debug)]
pub struct Unsupervised {
    name: String,
    file: String,
    launched: Arc<Launched>,
    logs: Arc<Logs>,
}

impl Unsupervised {
    /// A tree of this name, from this file.
    #[must_use]
    pub fn new(name: impl Into<String>, file: impl Into<String>, launched: &Arc<Launched>) -> Unsupervised {
        let launched = Arc::clone(launched);
        Unsupervised { name: name.into(), file: file.into(), launched, logs: Arc::default() }
    }
}

impl Steward for Unsupervised {
    fn name(&self) -> &str {
        &self.name
    }

    fn file(&self) -> &str {
        &self.file
    }

    fn launched(&self) -> &Arc<Launched> {
        &self.launched
    }

    fn supervised(&self, _: &str) -> Option<Supervised> {
        None
    }

    fn restart(&self, path: &str, by: &str) -> Result<(), Complaint> {
        let domain = domain_of(&self.launched, path)?;
        self.launched.restart(domain, by).map_err(|fault| {
            Complaint::new(Exit::Failed, format!("{path}: cannot be started again")).because(fault)
        })
    }

    fn kill(&self, path: &str, by: &str) -> Result<(), Complaint> {
        let domain = domain_of(&self.launched, path)?;
        self.launched
            .kill(domain, by)
            .map_err(|fault| Complaint::new(Exit::Failed, format!("{path}: cannot be killed")).because(fault))
    }

    fn terminate(&self, path: &str, by: &str) -> Result<(), Complaint> {
        // Nobody would bring it back.
        self.kill(path, by)
    }

    fn shut_down(&self, by: &str) {
        for domain in 0..self.launched.tree().domain_count() {
            // It is there: the tree has so many.
            let _ = self.launched.kill(domain, by);
        }
    }

    fn logs(&self) -> &Arc<Logs> {
        &self.logs
    }
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
