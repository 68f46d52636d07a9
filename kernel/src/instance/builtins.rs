//! The dispatch array of the kernel functions that compiled code calls, and what they all begin with.
//!
//! Each is `extern "C"` and gets the caller's context first: a `VmCtx` from core code, a `VmDomain` from
//! adapters. None unwinds: one that fails leaves a trap in the domain and returns the status that says so
//! ([`crate::jit::builtin`]).

use super::Instance;
use super::builtins_exception::Handlers;
use super::{
    builtins_atomic, builtins_component, builtins_exception, builtins_memory, builtins_table, builtins_watch,
};
use crate::arch;
use crate::domain::Domain;
use crate::jit::builtin::Builtin;
use crate::vm::{ctx, domain};

const COUNT: usize = Builtin::ALL.len();

struct Dispatch([*const (); COUNT]);

// SAFETY: addresses of functions.
unsafe impl Sync for Dispatch {}

static DISPATCH: Dispatch = Dispatch(dispatch_array());

const fn dispatch_array() -> [*const (); COUNT] {
    let mut array = [std::ptr::null(); COUNT];
    let mut index = 0;
    while index < COUNT {
        array[index] = address(Builtin::ALL[index]);
        index += 1;
    }
    array
}

/// The dispatch array, as compiled code finds it in its context.
#[must_use]
pub fn dispatch() -> *const u8 {
    (&raw const DISPATCH.0).cast()
}

const fn address(builtin: Builtin) -> *const () {
    match builtin {
        Builtin::memory_grow => builtins_memory::grow as *const (),
        Builtin::memory_init => builtins_memory::init as *const (),
        Builtin::data_drop => builtins_memory::data_drop as *const (),
        Builtin::table_grow => builtins_table::grow as *const (),
        Builtin::table_fill => builtins_table::fill as *const (),
        Builtin::table_copy => builtins_table::copy as *const (),
        Builtin::table_init => builtins_table::init as *const (),
        Builtin::elem_drop => builtins_table::elem_drop as *const (),
        Builtin::atomic_notify => builtins_atomic::notify as *const (),
        Builtin::atomic_wait32 => builtins_atomic::wait32 as *const (),
        Builtin::atomic_wait64 => builtins_atomic::wait64 as *const (),
        Builtin::exception_new => builtins_exception::new as *const (),
        Builtin::exception_throw => arch::throw::<Handlers> as *const (),
        Builtin::host_call => builtins_component::host_call as *const (),
        Builtin::resource_new => builtins_component::resource_new as *const (),
        Builtin::resource_rep => builtins_component::resource_rep as *const (),
        Builtin::resource_drop => builtins_component::resource_drop as *const (),
        Builtin::transfer_own => builtins_component::transfer_own as *const (),
        Builtin::transfer_borrow => builtins_component::transfer_borrow as *const (),
        Builtin::scope_enter => builtins_component::scope_enter as *const (),
        Builtin::scope_exit => builtins_component::scope_exit as *const (),
        Builtin::abi_trap => builtins_component::abi_trap as *const (),
        Builtin::refuse => builtins_component::refuse as *const (),
        Builtin::move_bytes => builtins_memory::move_bytes as *const (),
        Builtin::fill_bytes => builtins_memory::fill_bytes as *const (),
        Builtin::transcode => builtins_component::transcode as *const (),
        Builtin::watch_texts => builtins_watch::texts as *const (),
        Builtin::tap_begin => builtins_component::tap_begin as *const (),
        Builtin::tap_end => builtins_component::tap_end as *const (),
    }
}

/// The instance of a `VmCtx`.
///
/// # Safety
/// `ctx` must be the context of an instance whose code called a built-in, and the built-in must use no other
/// way to it.
pub(super) unsafe fn instance_of<'a>(ctx: *mut u8) -> &'a mut Instance {
    // SAFETY: the domain stored the record's address there when it made the instance, and the caller promises
    // the rest.
    unsafe { &mut **ctx.add(ctx::INSTANCE as usize).cast::<*mut Instance>() }
}

/// The domain of a `VmCtx`.
///
/// # Safety
/// `ctx` must be the context of an instance whose code called a built-in.
pub(super) unsafe fn domain_of<'a>(ctx: *mut u8) -> &'a mut Domain {
    // SAFETY: the instance's context holds the domain's record, and the caller promises the rest.
    unsafe { domain_of_record(*ctx.add(ctx::DOMAIN as usize).cast::<*mut u8>()) }
}

/// The domain of a `VmDomain`.
///
/// # Safety
/// `record` must be of a domain that runs guest code on this thread, which called out to the host. Whoever
/// called into the guest holds the domain mutably, but does not use it until the guest returns.
#[inline]
pub(crate) unsafe fn domain_of_record<'a>(record: *mut u8) -> &'a mut Domain {
    // SAFETY: `Domain::enter` stored its own address there before it ran the guest.
    unsafe { &mut **record.add(domain::DOMAIN as usize).cast::<*mut Domain>() }
}
