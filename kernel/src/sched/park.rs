//! Waiting in host code: the thread leaves its worker to others.
//!
//! The same functions work on an OS thread that is no worker, where a domain is called directly: there they block it.

use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use abi::fault::Trap;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::hold;
use super::thread::{Left, Record, Thread};
use super::timers::Alarm;
use super::worker;

/// Who waits, for whoever is to wake them.
#[derive(Clone, Debug)]
pub enum Waiter {
    /// A guest thread.
    Guest(Thread),
    /// An OS thread that is no worker.
    Os(thread::Thread),
    /// A task of an embedder's executor.
    Task(std::task::Waker),
}

impl Waiter {
    /// Whoever runs this.
    #[must_use]
    pub fn current() -> Waiter {
        match current_thread() {
            Some(thread) => Waiter::Guest(thread),
            None => Waiter::Os(thread::current()),
        }
    }

    /// Ends its wait, or its next one.
    pub fn wake(&self) {
        match self {
            Waiter::Guest(thread) => thread.wake(),
            Waiter::Os(thread) => thread.unpark(),
            Waiter::Task(waker) => waker.wake_by_ref(),
        }
    }
}

/// The guest thread that runs this; `None` on an OS thread that is no worker.
#[must_use]
pub fn current_thread() -> Option<Thread> {
    let record = worker::current();
    if record.is_null() {
        return None;
    }
    // SAFETY: who runs a turn holds its thread, which lives in an `Arc`; this makes one more holder.
    unsafe {
        std::sync::Arc::increment_strong_count(record);
        Some(Thread(std::sync::Arc::from_raw(record)))
    }
}

/// What time it is for whoever runs this, for deadlines.
#[must_use]
pub fn now_ns() -> u64 {
    let worker = worker::here();
    // SAFETY: the worker of this OS thread lives while we run on it.
    if worker.is_null() { crate::os::timer::monotonic_ns() } else { unsafe { &*worker }.pool.clock.now_ns() }
}

/// Waits until somebody wakes whoever runs this ([`Waiter`]), or until `deadline_ns`. May return without a reason: ask
/// again whether what is waited for has come.
///
/// # Errors
/// The verdict, if the thread is condemned: host functions pass it on.
pub fn park(deadline_ns: Option<u64>) -> Result<(), Trap> {
    let record = worker::current();
    if record.is_null() {
        match deadline_ns {
            Some(at_ns) => thread::park_timeout(Duration::from_nanos(at_ns.saturating_sub(now_ns()))),
            None => thread::park(),
        }
        return Ok(());
    }
    // SAFETY: who runs a turn holds its thread.
    let record = unsafe { &*record };
    if record.hold.is_wanted() {
        stand(record);
        return verdict(record);
    }
    if !record.is_condemned() && !record.take_token() {
        let pool = record.pool.upgrade();
        let alarm = pool.as_ref().zip(deadline_ns).zip(current_thread()).map(|((pool, at_ns), thread)| {
            (pool, pool.timers.add(at_ns, Alarm::Wake(Waiter::Guest(thread))))
        });
        // SAFETY: we are the thread.
        unsafe { leave_pinned(record, Left::Parked) };
        if let Some((pool, key)) = alarm {
            pool.timers.cancel(key);
        }
        stand(record);
    }
    verdict(record)
}

/// As [`park`] without a deadline, for those who must not go on yet even if they are condemned.
pub(crate) fn park_firmly() {
    let record = worker::current();
    if record.is_null() {
        thread::park();
        return;
    }
    // SAFETY: who runs a turn holds its thread.
    let record = unsafe { &*record };
    if !record.take_token() {
        // SAFETY: we are the thread.
        unsafe { leave_pinned(record, Left::Parked) };
    }
}

/// What a file is to be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Reading, without blocking.
    Readable,
    /// Writing, without blocking.
    Writable,
}

/// As [`wait`] with at least one file, for those who must not go on yet even if they are condemned. They are woken when
/// that happens, once.
///
/// # Errors
/// What the system says of the files.
pub fn linger(files: &[(BorrowedFd<'_>, Interest)], deadline_ns: Option<u64>) -> Result<(), Trap> {
    let thread = current_thread();
    let pool = thread.as_ref().and_then(|thread| thread.0.pool.upgrade());
    let Some((thread, reactor)) = thread.zip(pool.and_then(|pool| pool.reactor.clone())) else {
        return block(files, deadline_ns);
    };
    let record = &*thread.0;
    let watched = files.iter().try_for_each(|(file, interest)| reactor.watch(*file, *interest, &thread));
    if watched.is_ok() && !record.take_token() {
        let pool = record.pool.upgrade();
        let alarm = pool
            .as_ref()
            .zip(deadline_ns)
            .map(|(pool, at_ns)| (pool, pool.timers.add(at_ns, Alarm::Wake(Waiter::Guest(thread.clone())))));
        // SAFETY: we are the thread.
        unsafe { leave_pinned(record, Left::Parked) };
        if let Some((pool, key)) = alarm {
            pool.timers.cancel(key);
        }
    }
    files.iter().for_each(|(file, _)| reactor.unwatch(*file, &thread));
    watched.map_err(|error| Trap::Host(format!("cannot wait for a file: {error}")))
}

/// Waits until one of the files is ready, somebody wakes whoever runs this, or `deadline_ns`. May return without a
/// reason: ask again. On an OS thread that is no worker, with files, nobody can wake it.
///
/// # Errors
/// The verdict, if the thread is condemned, or if it waits for time or input and was asked to end
/// ([`Thread::ask_to_end`]); or what the system says of the files.
pub fn wait(files: &[(BorrowedFd<'_>, Interest)], deadline_ns: Option<u64>) -> Result<(), Trap> {
    let may_end = files.is_empty() || files.iter().any(|(_, interest)| *interest == Interest::Readable);
    if !may_end {
        return wait_for(files, deadline_ns);
    }
    // Who is asked from here on is woken.
    asked()?;
    wait_for(files, deadline_ns)?;
    asked()
}

fn asked() -> Result<(), Trap> {
    match current_thread().and_then(|thread| thread.0.asked.trap()) {
        None => Ok(()),
        Some(trap) => Err(trap),
    }
}

fn wait_for(files: &[(BorrowedFd<'_>, Interest)], deadline_ns: Option<u64>) -> Result<(), Trap> {
    if files.is_empty() {
        return park(deadline_ns);
    }
    let thread = current_thread();
    let pool = thread.as_ref().and_then(|thread| thread.0.pool.upgrade());
    let Some((thread, reactor)) = thread.zip(pool.and_then(|pool| pool.reactor.clone())) else {
        return block(files, deadline_ns);
    };
    let mut watched = Ok(());
    for (file, interest) in files {
        watched = watched.and_then(|()| reactor.watch(*file, *interest, &thread));
    }
    let result = match watched {
        Ok(()) => park(deadline_ns),
        Err(error) => Err(Trap::Host(format!("cannot wait for a file: {error}"))),
    };
    for (file, _) in files {
        reactor.unwatch(*file, &thread);
    }
    result
}

fn block(files: &[(BorrowedFd<'_>, Interest)], deadline_ns: Option<u64>) -> Result<(), Trap> {
    let flags = |interest| match interest {
        Interest::Readable => PollFlags::POLLIN,
        Interest::Writable => PollFlags::POLLOUT,
    };
    let mut polled: Vec<PollFd> =
        files.iter().map(|(file, interest)| PollFd::new(*file, flags(*interest))).collect();
    let timeout = match deadline_ns {
        None => PollTimeout::NONE,
        Some(at_ns) => {
            let ms = at_ns.saturating_sub(now_ns()).div_ceil(1_000_000);
            PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(&mut polled, timeout) {
        Ok(_) | Err(nix::Error::EINTR) => Ok(()),
        Err(error) => Err(Trap::Host(format!("cannot wait for a file: {error}"))),
    }
}

/// Lets others run if it is their turn. To be called now and then in host code that takes long, and between its steps.
///
/// # Errors
/// The verdict, if the thread is condemned: whoever called passes it on, and the guest's code ends.
#[inline]
pub fn checkpoint() -> Result<(), Trap> {
    let worker = worker::here();
    // SAFETY: the worker of this OS thread lives while we run on it.
    if worker.is_null() || unsafe { !(*worker).is_due_in_host() } {
        Ok(())
    } else {
        leave_at_checkpoint(false)
    }
}

/// The same at the end of a call that a guest made of the host: there a thread may be looked at.
///
/// # Errors
/// As [`checkpoint`].
#[inline]
pub(crate) fn checkpoint_of_call() -> Result<(), Trap> {
    let worker = worker::here();
    // SAFETY: the worker of this OS thread lives while we run on it.
    if worker.is_null() || unsafe { !(*worker).is_due_in_host() } {
        Ok(())
    } else {
        leave_at_checkpoint(true)
    }
}

/// The same in a function of the host that compiled code has called, which stays with its OS thread until it returns.
///
/// # Errors
/// As [`checkpoint`].
#[inline]
pub(crate) fn checkpoint_in_host() -> Result<(), Trap> {
    let worker = worker::here_in_host();
    // SAFETY: the worker of this OS thread lives while we run on it.
    if worker.is_null() || unsafe { !(*worker).is_due_in_host() } {
        Ok(())
    } else {
        leave_at_checkpoint(true)
    }
}

#[cold]
#[inline(never)]
fn leave_at_checkpoint(of_call: bool) -> Result<(), Trap> {
    let record = worker::current();
    if record.is_null() {
        return Ok(());
    }
    // SAFETY: who runs a turn holds its thread.
    let record = unsafe { &*record };
    if !record.is_condemned() {
        // SAFETY: we are the thread.
        unsafe { leave_pinned(record, Left::Preempted) };
    }
    if of_call {
        stand(record);
    }
    verdict(record)
}

/// Leaves the processor from host code, whose frames may hold what belongs to the OS thread.
///
/// # Safety
/// Only by the thread itself, on its stack.
unsafe fn leave_pinned(record: &Record, why: Left) {
    record.pinned.store(true, Ordering::Relaxed);
    // SAFETY: the caller is the thread.
    unsafe { record.leave(why) };
    record.pinned.store(false, Ordering::Relaxed);
}

/// Lets the thread be looked at, if somebody wants to. Who waits for something asks again afterwards whether it has come.
fn stand(record: &Record) {
    // SAFETY: we are the thread.
    hold::stand(record, ptr::null(), |record| unsafe { leave_pinned(record, Left::Parked) });
}

fn verdict(record: &Record) -> Result<(), Trap> {
    match record.verdict() {
        None => Ok(()),
        Some(trap) => Err(trap),
    }
}
