//! What processes and domains may hold. The numbers are the supervisor's.

use crate::domain::Domain;
use crate::instance::Instance;

/// Limits of a process. Growing memories and tables beyond theirs fails as the specification has it: with -1, and the
/// process goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all its linear memories together.
    pub memory_bytes: Option<u64>,
    /// Elements of all its tables together.
    pub table_elements: Option<u64>,
    /// Handles in its table. One more is a fault, as a full table is.
    pub handles: Option<u32>,
    /// Bytes of stack that a call into it may use, with everything it calls in its domain. More is a fault.
    pub stack_bytes: Option<u64>,
}

/// Limits of all processes of a domain together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainQuota {
    /// Bytes of their linear memories.
    pub memory_bytes: Option<u64>,
    /// Elements of their tables.
    pub table_elements: Option<u64>,
}

/// The limits of a tree, from its launch on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Those of processes, by index in [`crate::component::linked::Linked::processes`].
    pub processes: Vec<(usize, Quota)>,
    /// Those of domains, by number.
    pub domains: Vec<(u32, DomainQuota)>,
}

impl Domain {
    /// Limits all processes together from now on; what they have already stays.
    pub fn set_total_quota(&mut self, quota: DomainQuota) {
        self.total_quota = quota;
    }

    /// Limits a process from now on; what it has already stays.
    pub fn set_quota(&mut self, process: u32, quota: Quota) {
        self.quotas.insert(process, quota);
        self.with_hooks(|hooks, domain| hooks.limit_handles(domain, process, quota.handles));
    }

    /// How much stack a call into a process may use.
    pub(crate) fn stack_quota(&self, process: Option<u32>) -> Option<u64> {
        if self.quotas.is_empty() { None } else { self.quotas.get(&process?)?.stack_bytes }
    }

    /// A process's memory has grown.
    pub(crate) fn grew(&mut self, process: Option<u32>) {
        if let Some(process) = process {
            self.with_hooks(|hooks, domain| hooks.grew(domain, process));
        }
    }

    /// Whether a process may have `more` bytes of memory.
    pub(crate) fn may_hold_memory(&self, process: Option<u32>, more: u64) -> bool {
        self.within(process, more, |quota| quota.memory_bytes, Instance::own_memory_bytes)
            && self.within_total(more, self.total_quota.memory_bytes, Instance::own_memory_bytes)
    }

    /// Whether a process may have `more` table elements.
    pub(crate) fn may_hold_elements(&self, process: Option<u32>, more: u64) -> bool {
        self.within(process, more, |quota| quota.table_elements, Instance::own_table_elements)
            && self.within_total(more, self.total_quota.table_elements, Instance::own_table_elements)
    }

    fn within_total(&self, more: u64, limit: Option<u64>, held: impl Fn(&Instance) -> u64) -> bool {
        let Some(limit) = limit else { return true };
        let held: u64 = self.instances().map(held).sum();
        held.saturating_add(more) <= limit
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
