//! What one process may hold. The numbers are the supervisor's.

use crate::domain::Domain;
use crate::instance::Instance;

/// Limits of a process. Growing beyond one fails as the specification has it: with -1, and the process goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all its linear memories together.
    pub memory_bytes: Option<u64>,
    /// Elements of all its tables together.
    pub table_elements: Option<u64>,
}

impl Domain {
    /// Limits a process from now on; what it has already stays.
    pub fn set_quota(&mut self, process: u32, quota: Quota) {
        self.quotas.insert(process, quota);
    }

    /// Whether a process may have `more` bytes of memory.
    pub(crate) fn may_hold_memory(&self, process: Option<u32>, more: u64) -> bool {
        self.within(process, more, |quota| quota.memory_bytes, Instance::own_memory_bytes)
    }

    /// Whether a process may have `more` table elements.
    pub(crate) fn may_hold_elements(&self, process: Option<u32>, more: u64) -> bool {
        self.within(process, more, |quota| quota.table_elements, Instance::own_table_elements)
    }

    fn within(
        &self,
        process: Option<u32>,
        more: u64,
        limit: impl Fn(&Quota) -> Option<u64>,
        held: impl Fn(&Instance) -> u64,
    ) -> bool {
        let quota = process.and_then(|process| self.quotas.get(&process));
        let Some(limit) = quota.and_then(limit) else { return true };
        let held: u64 = self.instances().filter(|instance| instance.process == process).map(held).sum();
        held.saturating_add(more) <= limit
    }
}
