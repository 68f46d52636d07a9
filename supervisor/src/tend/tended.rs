//! A tree that is kept running, as others see it.

use std::collections::HashMap;
use std::sync::Arc;

use ipc::launched::Launched;

use super::driver::{Desk, Driver, Wish};
use super::overseer::Node;
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::logs::Logs;
use crate::steward::{Steward, Supervised};
use crate::unsupervised::domain_of;

/// A tree with supervisors.
#[derive(Debug)]
pub struct Tended {
    name: String,
    file: String,
    launched: Arc<Launched>,
    logs: Arc<Logs>,
    desk: Arc<Desk>,
    /// The node that stands for each domain that is supervised.
    nodes: HashMap<u32, Node>,
}

impl Tended {
    /// The tree of this name and file that `driver` drives.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        file: impl Into<String>,
        launched: &Arc<Launched>,
        logs: &Arc<Logs>,
        driver: &Driver,
    ) -> Tended {
        Tended {
            name: name.into(),
            file: file.into(),
            launched: Arc::clone(launched),
            logs: Arc::clone(logs),
            desk: Arc::clone(driver.desk()),
            nodes: driver.domains().collect(),
        }
    }

    /// The domain of a process, and the node that stands for that if it is supervised.
    fn find(&self, path: &str) -> Result<(u32, Option<Node>), Complaint> {
        let domain = domain_of(&self.launched, path)?;
        Ok((domain, self.nodes.get(&domain).copied()))
    }
}

impl Steward for Tended {
    fn name(&self) -> &str {
        &self.name
    }

    fn file(&self) -> &str {
        &self.file
    }

    fn launched(&self) -> &Arc<Launched> {
        &self.launched
    }

    fn supervised(&self, path: &str) -> Option<Supervised> {
        let (_, node) = self.find(path).ok()?;
        self.desk.overseer().supervised(node?)
    }

    fn restart(&self, path: &str, by: &str) -> Result<(), Complaint> {
        match self.find(path)? {
            (_, Some(node)) => {
                self.desk.wish(Wish::Restart(node));
                Ok(())
            }
            (domain, None) => self.launched.restart(domain, by).map_err(|fault| {
                Complaint::new(Exit::Failed, format!("{path}: cannot be started again")).because(fault)
            }),
        }
    }

    fn kill(&self, path: &str, by: &str) -> Result<(), Complaint> {
        let (domain, _) = self.find(path)?;
        let unkilled =
            |fault| Complaint::new(Exit::Failed, format!("{path}: cannot be killed")).because(fault);
        self.launched.kill(domain, by).map_err(unkilled)
    }

    fn terminate(&self, path: &str, by: &str) -> Result<(), Complaint> {
        match self.find(path)? {
            (_, Some(node)) => {
                self.desk.wish(Wish::Terminate(node));
                Ok(())
            }
            (..) => self.kill(path, by),
        }
    }

    fn shut_down(&self, by: &str) {
        self.desk.wish(Wish::ShutDown(by.to_owned()));
    }

    fn logs(&self) -> &Arc<Logs> {
        &self.logs
    }
}
