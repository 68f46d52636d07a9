//! The kernel functions that compiled code calls: one table, from which the signatures, the indices and the
//! dispatch array are generated.
//!
//! A built-in is `extern "C"` and takes the caller's context (`VmCtx` or `VmDomain`) first. One that can fail returns
//! a status: 0, or 1 after it has left a trap in the domain; compiled code then executes a trap instruction with the
//! code [`super::trapcode::PENDING`], so that no Rust frame is ever unwound. One that also returns a value
//! returns it as `i64`, and -1 for "a trap is pending".

/// The core type of a built-in's parameter or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// 32 bits.
    I32,
    /// 64 bits.
    I64,
    /// An address of the host.
    Ptr,
}

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident ( $($arg:ident),* ) $(-> $ret:ident)? ;)*) => {
        /// A kernel function that compiled code calls; the number is its place in the dispatch array.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types)]
        #[repr(u32)]
        pub enum Builtin { $($(#[$doc])* $name,)* }

        impl Builtin {
            /// Every built-in, in dispatch order.
            pub const ALL: &[Builtin] = &[$(Builtin::$name,)*];

            /// Parameters after the context, and the result.
            #[must_use]
            pub fn signature(self) -> (&'static [Arg], Option<Arg>) {
                match self { $(Builtin::$name => (&[$(Arg::$arg,)*], builtins!(@ret $($ret)?)),)* }
            }
        }
    };
    (@ret) => { None };
    (@ret $ret:ident) => { Some(Arg::$ret) };
}

builtins! {
    /// memory index, delta in pages → old size in pages, or -1 (no trap).
    memory_grow(I32, I64) -> I64;
    /// memory, data segment, destination, source, bytes → status
    memory_init(I32, I32, I64, I32, I32) -> I32;
    /// data segment
    data_drop(I32);
    /// table, delta, initial element → old length, or -1 (no trap)
    table_grow(I32, I64, Ptr) -> I64;
    /// table, destination, element, count → status
    table_fill(I32, I64, Ptr, I64) -> I32;
    /// destination table, source table, destination, source, count → status
    table_copy(I32, I32, I64, I64, I64) -> I32;
    /// table, element segment, destination, source, count → status
    table_init(I32, I32, I64, I32, I32) -> I32;
    /// element segment
    elem_drop(I32);
    /// memory, address (offset added), count → woken, or -1 with a trap pending
    atomic_notify(I32, I64, I32) -> I64;
    /// memory, address (offset added), expected, timeout in ns (negative: none) → 0, 1, 2, or -1 with a trap pending
    atomic_wait32(I32, I64, I32, I64) -> I64;
    /// the same for 64 bits
    atomic_wait64(I32, I64, I64, I64) -> I64;
    /// *VmTag, payload bytes → the exception's payload area, to be filled by the caller; null with a trap pending
    exception_new(Ptr, I32) -> Ptr;
    /// exception → does not return, or returns 1 with a trap pending when nothing catches it
    exception_throw(Ptr) -> I32;
    /// host import, core values (in and out) → status
    host_call(I32, Ptr) -> I32;
    /// process, resource type, representation → handle, or -1 with a trap pending
    resource_new(I32, I32, I32) -> I64;
    /// process, resource type, handle → representation, or -1 with a trap pending
    resource_rep(I32, I32, I32) -> I64;
    /// process, resource type, handle → status; may run the destructor
    resource_drop(I32, I32, I32) -> I32;
    /// caller's process, callee's process, resource type, handle → handle in the callee, or -1 with a trap pending
    transfer_own(I32, I32, I32, I32) -> I64;
    /// the same for a borrow; the callee's own representation where it implements the type
    transfer_borrow(I32, I32, I32, I32) -> I64;
    /// callee's process: opens a handle scope → status
    scope_enter(I32) -> I32;
    /// closes it: gives back what was lent, and traps if borrows remain → status
    scope_exit() -> I32;
    /// why (an index of the adapter compiler's list), three details: leaves that trap pending
    abi_trap(I32, I64, I64, I64);
    /// adapter: leaves the trap pending that this adapter refuses every call with
    refuse(I32);
    /// destination, source, bytes: copies, also where they overlap → status
    move_bytes(Ptr, Ptr, I64) -> I32;
    /// destination, byte, bytes: fills → status
    fill_bytes(Ptr, I32, I64) -> I32;
    /// [`abi::text::Step`], source, its bytes, destination, its bytes → bytes read << 32 | bytes written, or -1 with a
    /// trap pending
    transcode(I32, Ptr, I64, Ptr, I64) -> I64;
    /// how many of the next are arguments of the function, up to four arguments: watched code got texts, perhaps
    watch_texts(I32, I32, I32, I32, I32);
    /// adapter, its core parameters, how many: a call over a watched edge begins
    tap_begin(I32, Ptr, I32);
    /// the same, its core results, how many: it returns
    tap_end(I32, Ptr, I32, Ptr, I32);
}
