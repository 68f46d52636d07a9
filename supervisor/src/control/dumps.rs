//! Core dumps on their way to a client: written down first, so that nobody stands still as long as a client reads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use abi::control::response::Response;
use ipc::launched::Launched;

use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::limits::DUMP_PART_BYTES;
use crate::steward::domain_of;

/// How long to wait until a process stands still.
const PATIENCE: Duration = Duration::from_secs(5);

/// A dump that was made for one client.
#[derive(Debug)]
pub struct Dump {
    file: File,
    bytes: u64,
}

impl Dump {
    /// Of the process with this path.
    ///
    /// # Errors
    /// There is none, it does not come to stand, or it cannot be written down.
    pub fn take(launched: &Launched, path: &str) -> Result<Dump, Complaint> {
        domain_of(launched, path)?;
        let infos = launched.tree().linked().processes();
        let process = infos.iter().position(|info| info.path == path).expect("its domain has been found");
        let failed = |error: io::Error| {
            Complaint::new(Exit::Failed, format!("{path}: its dump cannot be written down")).because(error)
        };
        let mut out = BufWriter::new(nameless().map_err(failed)?);
        let bytes = launched.dump(process, PATIENCE, &mut out).map_err(|unseen| {
            Complaint::new(Exit::Failed, format!("{path}: cannot be dumped now")).because(unseen)
        })?;
        let bytes = bytes.map_err(failed)?;
        out.flush().map_err(failed)?;
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok(Dump { file, bytes })
    }

    /// The part that begins there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn part(&mut self, offset: u64) -> Result<Response, Complaint> {
        let mut bytes = Vec::new();
        let read = self
            .file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| Read::by_ref(&mut self.file).take(DUMP_PART_BYTES).read_to_end(&mut bytes));
        let failed = |error| Complaint::new(Exit::Failed, "the dump cannot be read").because(error);
        read.map_err(failed)?;
        Ok(Response::Part { bytes, total: self.bytes })
    }
}

/// A file that is gone when it is closed, and that nobody else can open.
fn nameless() -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("atoll-dump-{}-{number}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
