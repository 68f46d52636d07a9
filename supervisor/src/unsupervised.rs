//! A tree that runs as long as it does: nobody starts again what has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc::launched::Launched;

use crate::steward::{Steward, Ward};

/// A tree without a supervisor.
#[derive(Debug)]
pub struct Unsupervised {
    ward: Ward,
    is_shut_down: AtomicBool,
}

impl Unsupervised {
    /// A tree of this name, from this file.
    #[must_use]
    pub fn new(name: impl Into<String>, file: impl Into<String>, launched: &Arc<Launched>) -> Unsupervised {
        let ward = Ward::new(name, file, launched, &Arc::default());
        Unsupervised { ward, is_shut_down: AtomicBool::new(false) }
    }

    /// Whether somebody has shut it down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::SeqCst)
    }
}

impl Steward for Unsupervised {
    fn ward(&self) -> &Ward {
        &self.ward
    }

    fn shut_down(&self, by: &str) {
        // Before anything of it ends: whoever sees that asks why.
        self.is_shut_down.store(true, Ordering::SeqCst);
        self.ward.end(by);
    }
}
