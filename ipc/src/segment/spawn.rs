//! Starting the process of a domain.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use kernel::component::apart::{Line, Needs, Starter};
use kernel::mem::shared::SharedMemory;
use kernel::os::doorbell::Doorbell;
use kernel::os::handover;
use kernel::os::offspring::Offspring;

use super::far_side::{Hello, SUBCOMMAND};
use super::line::{SEGMENT_BYTES, Segment};

/// Which program the processes of domains run. It must call [`super::far_side::serve_if_asked`] before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Arguments; the first one is what `serve_if_asked` looks for.
    pub args: Vec<OsString>,
}

impl Default for Program {
    /// This program, once more.
    fn default() -> Program {
        Program::at("/proc/self/exe")
    }
}

impl Program {
    /// Another program.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Program {
        Program { path: path.into(), args: vec![SUBCOMMAND.into()] }
    }

    fn launch(&self, needs: &Needs) -> io::Result<Segment<super::line::Watch>> {
        let memory = SharedMemory::create(SEGMENT_BYTES).map_err(io::Error::other)?;
        let bell = Doorbell::new()?;
        let (ours, theirs) = UnixStream::pair()?;
        let child = Offspring::start(&self.path, &self.args, OwnedFd::from(theirs))?;
        let hello = Hello { memory_bytes: needs.memory_bytes }.bytes();
        match handover::send(ours.as_fd(), &hello, &[memory.file(), bell.file(), needs.image.as_fd()]) {
            // A child that has ended already is noticed when it is waited for.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            sent => sent?,
        }
        Ok(Segment::supervisor(&Arc::new(memory), bell, child))
    }
}

impl Starter for Program {
    fn start(&self, needs: &Needs) -> Result<Box<dyn Line>, String> {
        match self.launch(needs) {
            Ok(segment) => Ok(Box::new(segment)),
            Err(error) => Err(format!("{}: {error}", self.path.display())),
        }
    }
}
