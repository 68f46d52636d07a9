//! What processes hold: memories and where they are, handles and where they lead.

use std::time::Duration;

use abi::fault::Trap;
use abi::handle::Kind;
use abi::types::ResourceType;

use super::super::linked::{Linked, Place};
use super::super::running::Running;
use super::super::tree::Tree;
use super::inside::Unseen;
use crate::instance::Instance;
use crate::os::page;
use crate::quota::{DomainQuota, Quota};
use crate::sched::thread::Thread;

/// Where a linear memory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    /// The address of its first byte.
    pub base: usize,
    /// Bytes that the guest can use.
    pub bytes: u64,
    /// Bytes of address space that are kept for it, the guard behind it included.
    pub reserved_bytes: u64,
    /// Bytes that are in the machine's memory now; `None` if the system does not say.
    pub resident_bytes: Option<u64>,
    /// The most bytes that it may grow to by its own declaration.
    pub maximum_bytes: Option<u64>,
    /// Whether it is shared between threads.
    pub is_shared: bool,
}

/// An entry of a process's handle table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleRow {
    /// The handle, as the guest knows it.
    pub index: u32,
    /// The resource type's name, as far as somebody gave it one.
    pub ty: String,
    /// Own or borrow.
    pub kind: Kind,
    /// The representation that its implementer gave it.
    pub rep: u32,
    /// How often it is lent now.
    pub lends: u32,
    /// Who implements it.
    pub implementer: Implementer,
}

/// Who implements a resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implementer {
    /// A process, as an index of the tree's processes.
    Process(u32),
    /// The host.
    Host,
    /// Nobody any more: the domain that did has ended since.
    Gone,
}

impl Tree {
    /// The memories of a process, which are those that its libraries define. Waits for nobody.
    #[must_use]
    pub fn memory_maps(&self, process: usize) -> Vec<MemoryMap> {
        let place = |process: usize| self.linked().processes().get(process).map(|info| info.place);
        let Some(Place { domain, process }) = place(process) else { return Vec::new() };
        let standing = self.peers().standing(domain).process(process);
        let memories = standing.map(|standing| standing.memories).unwrap_or_default();
        let map = |memory: &std::sync::Arc<crate::mem::linear::Memory>| {
            let (base, bytes) = (memory.base() as usize, memory.bytes());
            MemoryMap {
                base,
                bytes: bytes as u64,
                reserved_bytes: memory.reserved_bytes() as u64,
                resident_bytes: page::resident_bytes(base..base + bytes),
                maximum_bytes: memory.ty().maximum.map(|pages| memory.bytes_of(pages)),
                is_shared: memory.ty().shared,
            }
        };
        memories.iter().map(map).collect()
    }

    /// The handle table of a process, in order. `thread` is the one that serves its domain, which is held for a moment
    /// if it executes it, once it can be; `timeout` at most is waited for that.
    ///
    /// # Errors
    /// [`Unseen`]
    pub fn handles(
        &self,
        process: usize,
        thread: Option<&Thread>,
        timeout: Duration,
    ) -> Result<Vec<HandleRow>, Unseen> {
        let Place { domain, process } = self.place(process)?;
        self.look(domain, thread, timeout, |domain, _| {
            let running = Running::of(domain);
            let table = running.handles.tables.get(process as usize);
            let row = |(index, ty, rep, lends, kind)| HandleRow {
                index,
                ty: name(&running.linked, ty),
                kind,
                rep,
                lends,
                implementer: implementer(&running.linked, ty),
            };
            table.into_iter().flat_map(|table| table.rows()).map(row).collect()
        })
    }

    /// Elements of the tables of a process, and of all processes of its domain together. As for [`Tree::handles`] its domain
    /// is held for a moment.
    ///
    /// # Errors
    /// [`Unseen`]
    pub fn table_elements(
        &self,
        process: usize,
        thread: Option<&Thread>,
        timeout: Duration,
    ) -> Result<(u64, u64), Unseen> {
        let Place { domain, process } = self.place(process)?;
        self.look(domain, thread, timeout, |domain, _| {
            let own = domain.instances().filter(|instance| instance.process == Some(process));
            let own = own.map(Instance::own_table_elements).sum();
            (own, domain.instances().map(Instance::own_table_elements).sum())
        })
    }

    fn place(&self, process: usize) -> Result<Place, Unseen> {
        let info = self.linked().processes().get(process);
        let nobody = || Unseen::Gone(Trap::Gone("the tree has no such process".to_owned()));
        info.map(|info| info.place).ok_or_else(nobody)
    }

    /// The limits of a process, and of all processes of its domain together.
    #[must_use]
    pub fn quotas(&self, process: usize) -> Option<(Quota, DomainQuota)> {
        let place = self.linked().processes().get(process)?.place;
        Some(self.peers().quotas(place.domain, place.process))
    }
}

fn name(linked: &Linked, ty: ResourceType) -> String {
    linked.resource_names.get(&ty).map_or_else(|| ty.to_string(), |name| name.to_string())
}

fn implementer(linked: &Linked, ty: ResourceType) -> Implementer {
    if ty == ResourceType::GONE {
        return Implementer::Gone;
    }
    let place = linked.resources.get(ty.0 as usize).and_then(|resource| resource.place);
    let process = place.and_then(|place| {
        let domain = linked.domains.get(place.domain as usize)?;
        domain.processes.get(place.process as usize).copied()
    });
    process.map_or(Implementer::Host, Implementer::Process)
}
