//! Giving up, for good, what this OS process does not need: what runs in it afterwards may be hostile.
//!
//! Two steps: [`Lockdown::begin`], when nothing has been read that somebody else made, and [`Lockdown::complete`], when all code
//! is compiled and all threads are there. Each layer holds alone; a system that lacks one is told of, not refused, but for
//! the filter of system calls and `no_new_privs`, without which there is no lock-down.
//!
//! - [`filter`]: filters of system calls, as the system runs them; [`allowed`]: which calls are allowed
//! - [`landlock`]: no file by its name; [`namespaces`]: no user, network or message queue of others
//! - [`rlimits`]: no core files, no new files, no more memory than is granted
//! - [`probe`]: tries to do what must not be done, for tests

mod allowed;
mod filter;
mod landlock;
mod namespaces;
pub mod probe;
mod rlimits;

use std::fs::File;
use std::io;

/// A lock-down under way.
#[derive(Debug)]
pub struct Lockdown {
    held: Vec<String>,
    /// What the system says of this process; opened while that can be done.
    status: Option<File>,
}

impl Lockdown {
    /// The first step: before anything is loaded, while the process has one thread.
    ///
    /// # Errors
    /// A layer is missing that has to be there.
    pub fn begin() -> Result<Lockdown, String> {
        let status = File::open("/proc/self/status").ok();
        Ok(Lockdown { held: before_loading()?, status })
    }

    /// The second step: when everything is loaded and no code of guests has run, for all threads. `memory_bytes` is what
    /// their memories may hold, if that is limited. Says what holds, one line each.
    ///
    /// # Errors
    /// A layer is missing that has to be there.
    pub fn complete(mut self, memory_bytes: Option<u64>) -> Result<Vec<String>, String> {
        self.held.extend(rlimits::tighten(memory_bytes, self.status.take())?);
        let rules = allowed::while_running();
        let program = filter::program(&rules);
        filter::install(&program, true).map_err(|error| format!("cannot filter system calls: {error}"))?;
        self.held.push(format!("{} system calls", rules.len()));
        Ok(self.held)
    }
}

fn before_loading() -> Result<Vec<String>, String> {
    let mut held = namespaces::leave();
    namespaces::die_with_parent().map_err(|error| format!("cannot die with its parent: {error}"))?;
    namespaces::drop_capabilities();
    no_new_privileges().map_err(|error| format!("cannot give up privileges: {error}"))?;
    held.push("no new privileges".to_owned());
    held.push(landlock::restrict().unwrap_or_else(|why| format!("landlock: not here, {why}")));
    let loading = filter::program(&allowed::while_loading());
    filter::install(&loading, false).map_err(|error| format!("cannot filter system calls: {error}"))?;
    Ok(held)
}

/// Closes every file from number `first` on.
///
/// # Errors
/// What the system says.
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: to be called before anything here owns such a file, which is what the caller is at.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn no_new_privileges() -> io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
