//! A tree that is kept running, as others see it.

use std::collections::HashMap;
use std::sync::Arc;

use super::driver::{Desk, Driver, Wish};
use super::overseer::Node;
use crate::complaint::Complaint;
use crate::steward::{Steward, Supervised, Ward, domain_of};

/// A tree with supervisors.
#[derive(Debug)]
pub struct Tended {
    ward: Ward,
    desk: Arc<Desk>,
    /// The node that stands for each domain that is supervised.
    nodes: HashMap<u32, Node>,
}

impl Tended {
    /// The tree that `driver` drives.
    #[must_use]
    pub fn new(ward: Ward, driver: &Driver) -> Tended {
        Tended { ward, desk: Arc::clone(driver.desk()), nodes: driver.domains().collect() }
    }

    /// The node that stands for the domain of a process, if that is supervised.
    fn node(&self, path: &str) -> Result<Option<Node>, Complaint> {
        let domain = domain_of(&self.ward.launched, path)?;
        Ok(self.nodes.get(&domain).copied())
    }
}

impl Steward for Tended {
    fn ward(&self) -> &Ward {
        &self.ward
    }

    fn supervised(&self, path: &str) -> Option<Supervised> {
        self.desk.overseer().supervised(self.node(path).ok()??)
    }

    fn restart(&self, path: &str, by: &str) -> Result<(), Complaint> {
        match self.node(path)? {
            Some(node) => {
                self.desk.wish(Wish::Restart(node));
                Ok(())
            }
            None => self.ward.restart(path, by),
        }
    }

    fn terminate(&self, path: &str, by: &str) -> Result<(), Complaint> {
        match self.node(path)? {
            Some(node) => {
                self.desk.wish(Wish::Terminate(node));
                Ok(())
            }
            None => self.kill(path, by),
        }
    }

    fn shut_down(&self, by: &str) {
        self.desk.wish(Wish::ShutDown(by.to_owned()));
    }
}
