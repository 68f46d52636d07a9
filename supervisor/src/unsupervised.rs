//! A tree that runs as long as it does: nobody starts again what has ended.

use std::sync::Arc;

use ipc::launched::Launched;

use crate::steward::{Steward, Ward};

/// A tree without a supervisor.
#[derive(Debug)]
pub struct Unsupervised(Ward);

impl Unsupervised {
    /// A tree of this name, from this file.
    #[must_use]
    pub fn new(name: impl Into<String>, file: impl Into<String>, launched: &Arc<Launched>) -> Unsupervised {
        Unsupervised(Ward::new(name, file, launched, &Arc::default()))
    }
}

impl Steward for Unsupervised {
    fn ward(&self) -> &Ward {
        &self.0
    }
}
