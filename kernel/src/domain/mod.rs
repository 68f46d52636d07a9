//! The unit of fault, and what runs in it: core instances and everything that they point to.
//!
//! One OS thread at a time executes a domain. Everything that compiled code reaches by address (contexts,
//! tables, globals, memories) belongs to the domain and lives as long as it, so instances may point to each
//! other freely. The host holds [`externs::Extern`]s, which say whose they are: a domain takes only its own.
//!
//! - [`externs`]: what instances import and export, as the host holds it
//! - [`enter`]: calls from the host into guests
//! - [`explain`]: what a cut-off stretch of guest code means
//! - [`upcalls`]: what the component model adds: its built-ins, and who is who
//! - [`host_items`]: functions, tables, memories, globals and tags that the host makes
//! - [`live_frames`]: the frames of a thread that executes it and is looked at
//! - [`inspect`]: reading and changing memories, tables and globals from the host
//! - [`signatures`]: what the way into a guest must know of a function's type
//! - [`references`]: checking the references that the host hands in
//! - [`collect`]: dropping core exceptions that nobody can reach

mod collect;
pub mod enter;
pub mod explain;
pub mod externs;
pub mod host_items;
pub mod inspect;
pub(crate) mod live_frames;
pub mod references;
pub mod signatures;
pub mod upcalls;

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi::fault::{Fault, Trap};

use self::enter::StackInUse;
use self::externs::{DomainKey, Extern};
use self::host_items::HostItems;
use self::signatures::Signatures;
use self::upcalls::{ComponentHooks, NoHooks};
use crate::instance::exceptions::Exceptions;
use crate::instance::tables::Table;
use crate::instance::{Instance, InstanceIndex, builtins};
use crate::jit::engine::Engine;
use crate::mem::block::{Block, Pinned};
use crate::mem::linear::Memory;
use crate::quota::{DomainQuota, Quota};
use crate::vm::{DomainLayout, VmDomainHead, VmFuncImport, VmMemorySlot, ctx, domain, flags};

/// A set of core instances that fault together.
pub struct Domain {
    key: DomainKey,
    engine: Engine,
    layout: DomainLayout,
    /// The `VmDomain`.
    record: Block,
    instances: Vec<Pinned<Instance>>,
    tables: Vec<Pinned<Table>>,
    /// What the host has made in it, where it did.
    host: Option<Box<HostItems>>,
    signatures: Signatures,
    stacks: Vec<StackInUse>,
    pending: Option<Pending>,
    nested: Option<Box<Fault>>,
    /// Another domain's fault, which is about to become one here.
    inherited: Option<Box<Fault>>,
    /// None before the first one.
    exceptions: Option<Box<Exceptions>>,
    hooks: &'static dyn ComponentHooks,
    /// Never replaced; its type is known, so that looking at it asks nobody.
    state: Box<dyn Any + Send>,
    state_type: TypeId,
    kept: Vec<Arc<dyn Any + Send + Sync>>,
    /// Those of processes that have any.
    pub(crate) quotas: BTreeMap<u32, Quota>,
    pub(crate) total_quota: DomainQuota,
}

// SAFETY: the addresses in it are of things that it owns, or of memories that may be shared; it is executed
// by whoever has it, one thread at a time. Host functions and the state are `Send`.
unsafe impl Send for Domain {}

/// What a built-in leaves before it returns "a trap is pending".
#[derive(Debug)]
enum Pending {
    /// The trap, to be explained when compiled code executes its trap instruction.
    Trap(Trap),
    /// A nested call's fault that the host function passed on, explained already.
    Fault(Box<Fault>),
    /// Another domain's fault, to be explained as far as it went through this one.
    Inherited(Box<Fault>),
}

/// What a domain is made with.
pub struct DomainOptions {
    /// Processes, function slots and memory slots of the linked tree.
    pub layout: DomainLayout,
    /// The component model's side.
    pub hooks: &'static dyn ComponentHooks,
    /// What the hooks find with [`Domain::state`].
    pub state: Box<dyn Any + Send>,
}

impl Default for DomainOptions {
    /// A domain for core modules only.
    fn default() -> DomainOptions {
        DomainOptions { layout: DomainLayout::new(0, 0, 0), hooks: &NoHooks, state: Box::new(()) }
    }
}

impl Domain {
    /// An empty domain. Every process of the layout may be entered and left.
    #[must_use]
    pub fn new(engine: &Engine, options: DomainOptions) -> Domain {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let DomainOptions { layout, hooks, state } = options;
        let mut record = Block::new(layout.size());
        record.set(domain::BUILTINS.cast_unsigned(), builtins::dispatch());
        for process in 0..layout.processes() {
            record.set(layout.flags(process), flags::MAY_LEAVE | flags::MAY_ENTER);
        }
        let mut domain = Domain {
            key: DomainKey(NEXT.fetch_add(1, Ordering::Relaxed)),
            engine: engine.clone(),
            layout,
            record,
            instances: Vec::new(),
            tables: Vec::new(),
            host: None,
            signatures: Signatures::default(),
            stacks: Vec::new(),
            pending: None,
            nested: None,
            inherited: None,
            exceptions: None,
            hooks,
            state_type: (*state).type_id(),
            state,
            kept: Vec::new(),
            quotas: BTreeMap::new(),
            total_quota: DomainQuota::default(),
        };
        let handles = hooks.handles(&mut domain);
        domain.record.set(domain::HANDLES.cast_unsigned(), handles);
        domain
    }

    /// What its externs are marked with.
    pub(crate) fn key(&self) -> DomainKey {
        self.key
    }

    /// The engine that its libraries are of.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The `VmDomain`: the context of adapters and host stubs, laid out as [`Self::layout`].
    #[must_use]
    pub fn vm(&self) -> *mut u8 {
        self.record.base()
    }

    /// The fixed part of the `VmDomain`.
    #[inline]
    fn head(&mut self) -> &mut VmDomainHead {
        // SAFETY: every layout begins with these words, of which any bits are values; compiled code that uses them does not
        // run now, or waits for who calls us.
        unsafe { &mut *self.record.base().cast() }
    }

    /// Where the `VmDomain` holds what.
    #[must_use]
    pub fn layout(&self) -> &DomainLayout {
        &self.layout
    }

    /// What was given as [`DomainOptions::state`], if it is a `T`.
    #[inline]
    #[must_use]
    pub fn state<T: Any>(&self) -> Option<&T> {
        let state: *const (dyn Any + Send) = &raw const *self.state;
        // SAFETY: it is a `T`, and it is ours.
        (self.state_type == TypeId::of::<T>()).then(|| unsafe { &*state.cast::<T>() })
    }

    /// What was given as [`DomainOptions::state`], if it is a `T`.
    #[inline]
    #[must_use]
    pub fn state_mut<T: Any>(&mut self) -> Option<&mut T> {
        let state: *mut (dyn Any + Send) = &raw mut *self.state;
        // SAFETY: it is a `T`, and it is ours.
        (self.state_type == TypeId::of::<T>()).then(|| unsafe { &mut *state.cast::<T>() })
    }

    /// Keeps something alive as long as the domain: code that its slots point to.
    pub fn keep(&mut self, thing: Arc<dyn Any + Send + Sync>) {
        self.kept.push(thing);
    }

    /// An instance.
    ///
    /// # Panics
    /// If the index is another domain's.
    #[must_use]
    pub fn instance(&self, index: InstanceIndex) -> &Instance {
        &self.instances[index.0 as usize]
    }

    /// All instances.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().map(|instance| &**instance)
    }

    /// How many instances there are.
    #[must_use]
    pub fn instance_count(&self) -> usize {
        self.instances.len()
    }

    /// What an instance exports by this name.
    #[must_use]
    pub fn export(&self, index: InstanceIndex, name: &str) -> Option<Extern> {
        let instance = self.instance(index);
        let entity = instance.library.module.export(name)?;
        Some(instance.entity(self.key, entity))
    }

    /// Everything that an instance exports, in the module's order.
    pub fn exports(&self, index: InstanceIndex) -> impl Iterator<Item = (&str, Extern)> {
        let instance = self.instance(index);
        let exports = instance.library.module.exports.iter();
        exports.map(|export| (export.name.as_str(), instance.entity(self.key, export.entity)))
    }

    /// The flags ([`flags`]) of a process.
    #[inline]
    #[must_use]
    pub fn flags(&self, process: u32) -> u32 {
        self.record.get(self.layout.flags(process))
    }

    /// Sets the flags of a process.
    pub fn set_flags(&mut self, process: u32, flags: u32) {
        self.record.set(self.layout.flags(process), flags);
    }

    /// Fills a function slot.
    pub fn set_func_slot(&mut self, slot: u32, func: VmFuncImport) {
        self.record.set(self.layout.func(slot), func);
    }

    /// What a function slot holds.
    #[must_use]
    pub fn func_slot(&self, slot: u32) -> VmFuncImport {
        self.record.get(self.layout.func(slot))
    }

    /// Tells compiled code where the counters of the tree's edges are, which outlive the domain.
    pub(crate) fn set_tallies<T>(&mut self, tallies: &[T]) {
        self.record.set(domain::TALLIES.cast_unsigned(), tallies.as_ptr().cast::<u8>());
    }

    /// The import that was last called out of it, by number: a thread that waits in one is in that.
    #[must_use]
    pub fn serving(&self) -> u32 {
        self.record.get(domain::SERVING.cast_unsigned())
    }

    /// Fills a memory slot.
    pub fn set_memory_slot(&mut self, slot: u32, memory: &Arc<Memory>) {
        self.record.set(self.layout.memory(slot), memory.slot());
    }

    /// What a memory slot holds.
    pub(crate) fn memory_slot(&self, slot: u32) -> VmMemorySlot {
        self.record.get(self.layout.memory(slot))
    }

    /// Fills the memory slot behind those of the domain's own with another domain's memory, for one call.
    pub(crate) fn lend_memory(&mut self, own_slots: usize, memory: VmMemorySlot) {
        let slot = u32::try_from(own_slots).expect("linking bounds the number of memories");
        self.record.set(self.layout.memory(slot), memory);
    }

    /// What came with the last call from another domain, where it was counted.
    pub(crate) fn carried(&self) -> u64 {
        let bytes: usize = self.record.get(domain::CARRIED.cast_unsigned());
        bytes as u64
    }

    /// Runs one of the component model's built-ins.
    pub(crate) fn with_hooks<T>(
        &mut self,
        work: impl FnOnce(&'static dyn ComponentHooks, &mut Domain) -> T,
    ) -> T {
        self.forget_faults();
        work(self.hooks, self)
    }

    /// A trap that is left from here on is of no fault that was told before.
    #[inline]
    pub(crate) fn forget_faults(&mut self) {
        if self.nested.is_some() || self.inherited.is_some() {
            self.forget();
        }
    }

    #[cold]
    fn forget(&mut self) {
        (self.nested, self.inherited) = (None, None);
    }

    pub(crate) fn add_instance(&mut self, mut instance: Pinned<Instance>) -> InstanceIndex {
        let index =
            InstanceIndex(u32::try_from(self.instances.len()).expect("memory ends before 2^32 instances"));
        let address = instance.as_ptr();
        instance.ctx.set(ctx::INSTANCE.cast_unsigned(), address);
        self.instances.push(instance);
        index
    }

    pub(crate) fn instance_mut(&mut self, index: InstanceIndex) -> &mut Instance {
        &mut self.instances[index.0 as usize]
    }

    /// Takes the tables that an instance was made with. They stay even if the instance is not made in the end.
    pub(crate) fn own(&mut self, tables: Vec<Pinned<Table>>) {
        self.tables.extend(tables);
    }

    /// All memories that its code uses, those of other domains that are shared included; some more than once.
    fn memories(&self) -> impl Iterator<Item = &Arc<Memory>> {
        let made = self.host.iter().flat_map(|host| &host.memories);
        self.instances.iter().flat_map(|instance| &instance.memories).chain(made)
    }

    /// Leaves a trap for the compiled code that the calling built-in returns to; returns the status that says
    /// so.
    pub(crate) fn leave(&mut self, trap: Trap) -> u32 {
        self.pending = Some(match (self.nested.take(), self.inherited.take()) {
            (Some(fault), _) if fault.trap == trap => Pending::Fault(fault),
            (_, Some(fault)) if fault.trap == trap => Pending::Inherited(fault),
            _ => Pending::Trap(trap),
        });
        1
    }

    /// The trap that the built-in at hand is going to leave is another domain's fault: the backtrace goes on there.
    pub(crate) fn inherit(&mut self, fault: Fault) {
        self.inherited = Some(Box::new(fault));
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // Who enters it writes that down for the built-ins.
        if self.head().domain.is_null() {
            // One that is shared may be used by other domains.
            let own = self.memories().filter(|memory| !memory.ty().shared);
            own.for_each(|memory| memory.stays_unvisited());
        }
    }
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Domain")
            .field("key", &self.key)
            .field("instances", &self.instances.len())
            .finish_non_exhaustive()
    }
}

/// What `Domain` claims to be `Send` for, beside the addresses: if one of these is not, this does not compile.
const _: () = {
    const fn may_move<T: Send>() {}
    may_move::<(Engine, Arc<Memory>, Pinned<Instance>, Pinned<Table>, Exceptions, Signatures)>();
    may_move::<(Box<host_items::ValuesFn>, Box<host_items::ReentrantFn>, Box<dyn Any + Send>)>();
    may_move::<(Vec<Arc<dyn Any + Send + Sync>>, &'static dyn ComponentHooks)>();
};
