//! A child: another OS process, held by a descriptor that can never name a later one.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A child. Dropping it ends it at once.
#[derive(Debug)]
pub struct Offspring {
    child: Child,
    file: OwnedFd,
    /// Counts its processor time.
    clock: Option<libc::clockid_t>,
}

impl Offspring {
    /// Starts a program whose standard input is `input`; what it prints goes nowhere.
    ///
    /// # Errors
    /// What the system says: there is no such program, or too many processes.
    pub fn start(program: &Path, args: &[OsString], input: OwnedFd) -> io::Result<Offspring> {
        let mut command = Command::new(program);
        command.args(args).env_clear().stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        match open(child.id()) {
            Ok(file) => {
                let clock = cpu_clock(child.id());
                Ok(Offspring { child, file, clock })
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Ready to be read once it has ended.
    #[must_use]
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Its process id, while it has not been waited for.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal; one that has ended gets nothing.
    pub fn signal(&self, signal: libc::c_int) {
        let (file, none) = (self.file.as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
        // SAFETY: the descriptor names our child and nobody else; there is no further information.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, file, signal, none, 0) };
    }

    /// Ends it, and waits until it has; how it ended.
    pub fn end(&mut self) -> String {
        if let Some(told) = self.ended() {
            return told;
        }
        self.signal(libc::SIGKILL);
        self.child.wait().map_or_else(|error| error.to_string(), told)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(told)
    }

    /// Processor time that it has used, nanoseconds; 0 once it has ended.
    #[must_use]
    pub fn cpu_ns(&self) -> u64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes the time.
        let known = |clock| unsafe { libc::clock_gettime(clock, &raw mut time) == 0 };
        if self.clock.is_some_and(known) {
            time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
        } else {
            0
        }
    }
}

/// The clock of a process. Asking for it is a system call of its own.
fn cpu_clock(id: u32) -> Option<libc::clockid_t> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: writes the clock's name.
    let known = unsafe { libc::clock_getcpuclockid(id.cast_signed(), &raw mut clock) == 0 };
    known.then_some(clock)
}

fn open(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the child has not been waited for, so its id is its own.
    let file = unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) };
    match i32::try_from(file) {
        // SAFETY: the system has just opened it for us.
        Ok(file) if file >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(file) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn told(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => match nix::sys::signal::Signal::try_from(signal) {
            Ok(signal) => format!("its process was ended by {signal}"),
            Err(_) => format!("its process was ended by signal {signal}"),
        },
        (None, Some(code)) => format!("its process ended with exit code {code}"),
        (None, None) => "its process ended".to_owned(),
    }
}

impl Drop for Offspring {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_seen_to_end() {
        let input = || OwnedFd::from(std::os::unix::net::UnixStream::pair().unwrap().0);
        let shell = Path::new("/bin/sh");
        let mut child = Offspring::start(shell, &["-c".into(), "exit 3".into()], input()).unwrap();
        while child.ended().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(child.end(), "its process ended with exit code 3");
        let mut child = Offspring::start(shell, &["-c".into(), "kill -SEGV $$".into()], input()).unwrap();
        while child.ended().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(child.end(), "its process was ended by SIGSEGV");
        let mut child = Offspring::start(shell, &["-c".into(), "sleep 1000".into()], input()).unwrap();
        assert_eq!(child.end(), "its process was ended by SIGKILL");
        assert!(Offspring::start(Path::new("/nonexistent"), &[], input()).is_err());
    }
}
