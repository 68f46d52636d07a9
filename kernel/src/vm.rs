//! What compiled code and the kernel both see in memory. Every offset that compiled code uses is defined here.
//!
//! ```text
//! VmCtx, one per core instance                    VmDomain, one per domain (the adapters' context)
//!   0  *VmDomain                                    0  stack limit of the thread that runs
//!   8  *builtins                                    8  frame pointer of the last call out to the host
//!  16  *Instance (the kernel's record)             16  *builtins
//!  24  (reserved)                                  24  *Domain (the kernel's record)
//!  32  signature ids      u32 × types              32  *HandleTable     one a process
//!   …  function imports   VmFuncImport ×           40  *Tally           one an edge of the tree
//!   …  memories           VmMemorySlot ×           48  the last import called, u32
//!   …  table imports      *VmTable ×               56  process flags    u32 × processes
//!   …  tables             VmTable ×                 …  functions        VmFuncImport ×
//!   …  global imports     *VmGlobal ×               …  memories         VmMemorySlot ×
//!   …  globals            VmGlobal ×  (aligned to 16)
//!   …  tag imports        *VmTag ×
//!   …  tags               VmTag ×
//!   …  function references VmFuncRef ×
//! ```
//!
//! A compiled function takes its `VmCtx` as the first parameter, then the wasm parameters, in the `tail` calling
//! convention. An adapter or host stub takes the `VmDomain` in the same place, so a caller cannot tell them apart.

use std::sync::atomic::AtomicUsize;

/// A function as its importer holds it: where to call and what to pass first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmFuncImport {
    /// Entry of the compiled function.
    pub code: *const u8,
    /// Its `VmCtx`, or the `VmDomain` for an adapter.
    pub ctx: *mut u8,
}

/// A function reference: what a `funcref` points to. Null is the null reference.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmFuncRef {
    /// Entry of the compiled function.
    pub code: *const u8,
    /// Its `VmCtx`, or the `VmDomain` for an adapter.
    pub ctx: *mut u8,
    /// The signature's id in the engine.
    pub sig: u32,
}

/// A linear memory. Its base never moves: growth happens inside the reservation.
#[derive(Debug)]
#[repr(C)]
pub struct VmMemory {
    /// First byte.
    pub base: *mut u8,
    /// Accessible bytes; only grows.
    pub bytes: AtomicUsize,
}

/// A memory as its user holds it: the base beside the definition, so that an access needs one load.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmMemorySlot {
    /// The same as `memory.base`.
    pub base: *mut u8,
    /// The definition, for the length.
    pub memory: *mut VmMemory,
}

/// A table. An element is one word: `*VmFuncRef`, an extern reference's word, or an exception's address; 0 is null.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmTable {
    /// First element; moves when the table grows.
    pub base: *mut usize,
    /// Elements.
    pub len: u64,
}

/// A global: up to 16 bytes, little endian, from the first byte on.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct VmGlobal(pub [u8; 16]);

/// An exception tag. Its address is its identity.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmTag {
    /// The signature's id in the engine.
    pub sig: u32,
}

/// A core function that the host implements: the context (first parameter) of an exit trampoline.
///
/// The trampoline stores its frame pointer in the domain's [`domain::EXIT_FP`], spills its parameters to 16-byte
/// slots, calls `call(self, slots)`, and takes its results from the slots, or executes a trap with the code
/// [`crate::jit::trapcode::PENDING`] if the status is not 0.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct VmHostCore {
    /// The `VmDomain` of the caller.
    pub domain: *mut u8,
    /// Parameters in, results out, each 16 bytes from index 0 on; returns a status as a built-in does.
    pub call: unsafe extern "C" fn(host: *mut VmHostCore, values: *mut u128) -> u32,
}

/// Offsets of a [`VmHostCore`].
pub mod host_core {
    /// `*VmDomain`
    pub const DOMAIN: i32 = 0;
    /// The function to call.
    pub const CALL: i32 = 8;
}

/// Offsets from the address of a core exception (the word of an `exnref`), which is the address of its payload: the
/// values of its tag's parameters, each 16 bytes.
pub mod exception {
    /// `*VmTag`
    pub const TAG: i32 = -16;
    /// Bytes of one value of the payload.
    pub const VALUE_BYTES: u32 = 16;
}

/// Offsets of the fixed part of a `VmCtx`.
pub mod ctx {
    /// `*VmDomain`
    pub const DOMAIN: i32 = 0;
    /// Table of built-in functions, by [`crate::jit::builtin::Builtin`].
    pub const BUILTINS: i32 = 8;
    /// The kernel's record of the instance.
    pub const INSTANCE: i32 = 16;
    /// The first offset that depends on the module.
    pub const DYNAMIC: u32 = 32;
}

/// The fixed part of a `VmDomain` as far as the way into a guest needs it.
#[derive(Debug)]
#[repr(C)]
pub struct VmDomainHead {
    /// Lowest stack pointer that guest code may have.
    pub stack_limit: usize,
    /// Frame pointer of the stub that last called out to the host.
    pub exit_fp: usize,
    /// Table of built-in functions.
    pub builtins: *const u8,
    /// The kernel's record of the domain; null as long as nobody has entered it.
    pub domain: *mut crate::domain::Domain,
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(VmDomainHead, stack_limit) == domain::STACK_LIMIT as usize);
    assert!(offset_of!(VmDomainHead, exit_fp) == domain::EXIT_FP as usize);
    assert!(offset_of!(VmDomainHead, builtins) == domain::BUILTINS as usize);
    assert!(offset_of!(VmDomainHead, domain) == domain::DOMAIN as usize);
    assert!(size_of::<VmDomainHead>() <= domain::DYNAMIC as usize);
};

/// Offsets of the fixed part of a `VmDomain`.
pub mod domain {
    /// Lowest stack pointer that guest code may have.
    pub const STACK_LIMIT: i32 = 0;
    /// Frame pointer of the stub that last called out to the host.
    pub const EXIT_FP: i32 = 8;
    /// Table of built-in functions.
    pub const BUILTINS: i32 = 16;
    /// The kernel's record of the domain.
    pub const DOMAIN: i32 = 24;
    /// The handle tables ([`abi::handle::HandleTable`]), one a process.
    pub const HANDLES: i32 = 32;
    /// The counters of the tree's edges ([`super::tally`]); null where there are none.
    pub const TALLIES: i32 = 40;
    /// The number of the import that was last called out of the domain (`u32`): a thread that waits in one is in that.
    pub const SERVING: i32 = 48;
    /// What the values of a call from another domain carry, where that is counted while they are copied.
    pub const CARRIED: i32 = 56;
    /// The first offset that depends on the tree.
    pub const DYNAMIC: u32 = 64;
}

/// Offsets of an edge's counters: compiled code counts the calls that are not timed.
pub mod tally {
    /// How many calls there were, `u64`.
    pub const CALLS: i32 = 0;
    /// From how many calls on the next one is timed, `u64`.
    pub const NEXT: i32 = 8;
}

/// Bits of a process's flags word.
pub mod flags {
    /// The process may call out (`may_leave`).
    pub const MAY_LEAVE: u32 = 1;
    /// The process may be called: it has not faulted.
    pub const MAY_ENTER: u32 = 2;
}

/// How many of each thing a module has, imports first where both exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtxCounts {
    /// Entries of the type section, as signature ids.
    pub types: u32,
    /// Imported functions.
    pub func_imports: u32,
    /// Memories, imported ones first.
    pub memories: u32,
    /// Imported tables.
    pub table_imports: u32,
    /// Defined tables.
    pub tables: u32,
    /// Imported globals.
    pub global_imports: u32,
    /// Defined globals.
    pub globals: u32,
    /// Imported tags.
    pub tag_imports: u32,
    /// Defined tags.
    pub tags: u32,
    /// Functions that can become references.
    pub func_refs: u32,
    /// Data segments and element segments.
    pub segments: u32,
}

/// The byte offsets of one module's `VmCtx`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtxLayout {
    types: u32,
    func_imports: u32,
    memories: u32,
    table_imports: u32,
    tables: u32,
    global_imports: u32,
    globals: u32,
    tag_imports: u32,
    tags: u32,
    func_refs: u32,
    dropped: u32,
    size: u32,
}

impl CtxLayout {
    /// Lays out the context of a module.
    #[must_use]
    pub fn new(counts: &CtxCounts) -> CtxLayout {
        let mut end = ctx::DYNAMIC;
        let mut array = |count: u32, bytes: u32, align: u32| {
            let at = end.next_multiple_of(align);
            end = at + count * bytes;
            at
        };
        let mut layout = CtxLayout {
            types: array(counts.types, 4, 4),
            func_imports: array(counts.func_imports, 16, 8),
            memories: array(counts.memories, 16, 8),
            table_imports: array(counts.table_imports, 8, 8),
            tables: array(counts.tables, 16, 8),
            global_imports: array(counts.global_imports, 8, 8),
            globals: array(counts.globals, 16, 16),
            tag_imports: array(counts.tag_imports, 8, 8),
            tags: array(counts.tags, 4, 4),
            func_refs: array(counts.func_refs, 24, 8),
            dropped: array(counts.segments, 1, 1),
            size: 0,
        };
        layout.size = end.next_multiple_of(16);
        layout
    }

    /// The signature id (`u32`) of type `index`.
    #[must_use]
    pub const fn sig(&self, index: u32) -> u32 {
        self.types + index * 4
    }
    /// The [`VmFuncImport`] of imported function `index`.
    #[must_use]
    pub const fn func_import(&self, index: u32) -> u32 {
        self.func_imports + index * 16
    }
    /// The [`VmMemorySlot`] of memory `index`.
    #[must_use]
    pub const fn memory(&self, index: u32) -> u32 {
        self.memories + index * 16
    }
    /// The `*VmTable` of imported table `index`.
    #[must_use]
    pub const fn table_import(&self, index: u32) -> u32 {
        self.table_imports + index * 8
    }
    /// The [`VmTable`] of the `index`th defined table.
    #[must_use]
    pub const fn table(&self, index: u32) -> u32 {
        self.tables + index * 16
    }
    /// The `*VmGlobal` of imported global `index`.
    #[must_use]
    pub const fn global_import(&self, index: u32) -> u32 {
        self.global_imports + index * 8
    }
    /// The [`VmGlobal`] of the `index`th defined global.
    #[must_use]
    pub const fn global(&self, index: u32) -> u32 {
        self.globals + index * 16
    }
    /// The `*VmTag` of imported tag `index`.
    #[must_use]
    pub const fn tag_import(&self, index: u32) -> u32 {
        self.tag_imports + index * 8
    }
    /// The [`VmTag`] of the `index`th defined tag.
    #[must_use]
    pub const fn tag(&self, index: u32) -> u32 {
        self.tags + index * 4
    }
    /// The [`VmFuncRef`] of the `index`th function that can become a reference.
    #[must_use]
    pub const fn func_ref(&self, index: u32) -> u32 {
        self.func_refs + index * 24
    }
    /// Whether the `index`th segment was dropped (`u8`), data segments before element segments. Compiled code has no use for it.
    #[must_use]
    pub const fn dropped(&self, index: u32) -> u32 {
        self.dropped + index
    }
    /// Bytes of the whole context, a multiple of 16.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }
}

/// The byte offsets of one linked tree's `VmDomain`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainLayout {
    processes: u32,
    func_count: u32,
    flags: u32,
    funcs: u32,
    memories: u32,
    size: u32,
}

impl DomainLayout {
    /// Lays out a domain of this many processes, function slots and memory slots.
    #[must_use]
    pub fn new(processes: u32, funcs: u32, memories: u32) -> DomainLayout {
        let flags = domain::DYNAMIC;
        let func_slots = (flags + processes * 4).next_multiple_of(8);
        let memory_slots = func_slots + funcs * 16;
        let size = (memory_slots + memories * 16).next_multiple_of(16);
        DomainLayout { processes, func_count: funcs, flags, funcs: func_slots, memories: memory_slots, size }
    }
    /// How many processes there are.
    #[must_use]
    pub const fn processes(&self) -> u32 {
        self.processes
    }
    /// How many function slots there are.
    #[must_use]
    pub const fn func_count(&self) -> u32 {
        self.func_count
    }
    /// The flags word ([`flags`]) of process `index`.
    #[must_use]
    pub const fn flags(&self, index: u32) -> u32 {
        self.flags + index * 4
    }
    /// The [`VmFuncImport`] of function slot `index`.
    #[must_use]
    pub const fn func(&self, index: u32) -> u32 {
        self.funcs + index * 16
    }
    /// The [`VmMemorySlot`] of memory slot `index`.
    #[must_use]
    pub const fn memory(&self, index: u32) -> u32 {
        self.memories + index * 16
    }
    /// Bytes of the whole record, a multiple of 16.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.size
    }
}
