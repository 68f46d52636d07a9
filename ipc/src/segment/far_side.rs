//! What the process of a domain does: takes what it is handed, locks itself down, and serves.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use kernel::component::apart::resident::Resident;
use kernel::mem::shared::SharedMemory;
use kernel::os::doorbell::Doorbell;
use kernel::os::handover;
use kernel::os::lockdown::{Lockdown, close_from, probe};
use kernel::sched::account::Share;
use kernel::sched::machine::{Machine, MachineOptions};
use kernel::sched::thread::{Body, Next};

use super::line::{SEGMENT_BYTES, Segment};

/// The argument by which a program is to become the process of a domain.
pub const SUBCOMMAND: &str = "__segment";
/// A second one, with which it first tries to do what it must not be able to do, and tells of that.
pub const PROBE: &str = "probe";

/// Files that are there from the beginning: standard input, output and error.
const STANDARD_FILES: u32 = 3;

/// The first message to the process, which comes with the segment, the bell and the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// What all memories of the domain may hold.
    pub memory_bytes: Option<u64>,
}

impl Hello {
    /// Both sides must be the same atoll.
    const MAGIC: &[u8] = concat!("atoll segment ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

    pub fn bytes(self) -> Vec<u8> {
        let limit = self.memory_bytes.unwrap_or(u64::MAX);
        [Hello::MAGIC, &limit.to_le_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Hello> {
        let limit = u64::from_le_bytes(bytes.strip_prefix(Hello::MAGIC)?.try_into().ok()?);
        Some(Hello { memory_bytes: (limit != u64::MAX).then_some(limit) })
    }
}

/// If this program was started to be the process of a domain, becomes that, and ends when its tree does. To be called
/// first of all by programs that are named as [`super::spawn::Program`].
pub fn serve_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == SUBCOMMAND) {
        let probes = args.next().is_some_and(|second| second == PROBE);
        std::process::exit(i32::from(work(probes) != ExitCode::SUCCESS));
    }
}

/// Is the process of a domain, until its tree ends.
#[must_use]
pub fn work(probes: bool) -> ExitCode {
    match serve(probes) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever started it is told over the segment as soon as there is one; before that there is nobody to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve(probes: bool) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    close_from(STANDARD_FILES).map_err(text)?;
    let socket = io::stdin();
    let mut bytes = [0; 128];
    let (len, files) = handover::receive(socket.as_fd(), &mut bytes).map_err(text)?;
    let lockdown = Lockdown::begin()?;
    let hello = Hello::read(&bytes[..len]).ok_or("expected the greeting of the same atoll")?;
    let [memory, bell, image] =
        <[_; 3]>::try_from(files).map_err(|files| format!("expected 3 files, found {}", files.len()))?;
    let memory = Arc::new(SharedMemory::open(memory, SEGMENT_BYTES).map_err(|error| error.to_string())?);
    let line = Box::new(Segment::process(&memory, Doorbell::from_file(bell)));
    let image = whole(&File::from(image)).map_err(text)?;
    let machine = Machine::start(MachineOptions { workers: Some(1), ..MachineOptions::default() });
    let machine = machine.map_err(|error| error.to_string())?;
    let resident = Resident::new(&image, line, || {
        let mut held = lockdown.complete(hello.memory_bytes)?;
        if probes {
            held.extend(probe::attempts());
        }
        Ok(held.join("\n"))
    })?;
    drop(image);
    let (ended, end) = mpsc::channel();
    let body = Box::new(Residence { resident, ended });
    let thread = machine.spawn(machine.account(Share::default()), body);
    thread.wake();
    // However the thread ends, its end of the channel is dropped with it.
    let _ = end.recv();
    std::process::exit(0)
}

fn whole(file: &File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// What its one guest thread does: on it calls are interrupted when their time is over.
struct Residence {
    resident: Resident,
    ended: mpsc::Sender<()>,
}

impl Body for Residence {
    fn run(&mut self) -> Next {
        self.resident.serve();
        let _ = self.ended.send(());
        Next::End
    }
}

#[cfg(test)]
mod tests {
    use super::Hello;

    #[test]
    fn a_greeting_is_of_the_same_version() {
        for memory_bytes in [None, Some(0), Some(1 << 40)] {
            let hello = Hello { memory_bytes };
            assert_eq!(Hello::read(&hello.bytes()), Some(hello));
        }
        let bytes = Hello { memory_bytes: None }.bytes();
        assert_eq!(Hello::read(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Hello::read(b"atoll segment 0.0.0\n\0\0\0\0\0\0\0\0"), None);
    }
}
