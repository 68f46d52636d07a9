//! The client's end: which trees this user runs, and a line to each.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use abi::control::VERSION;
use abi::control::framing::Inbox;
use abi::control::greeting::Greeting;
use abi::control::process_row::TreeSummary;
use abi::control::request::Request;
use abi::control::response::Response;
use abi::limits::MAX_RESPONSE_BYTES;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::conversation::PROGRAM;
use super::patience::Line;
use super::runtime_dir;
use crate::complaint::Complaint;
use crate::exit_code::Exit;
use crate::limits::SOCKETS_AT_ONCE;

/// How long a supervisor that is alive may take to answer what it knows.
pub const PROMPT: Duration = Duration::from_secs(3);
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// A line to the supervisor of one tree.
#[derive(Debug)]
pub struct Dialed {
    line: UnixStream,
    inbox: Inbox,
    os_pid: u32,
}

/// Why a supervisor cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody listens: what is there is left over.
    #[error("it has ended")]
    Gone,
    /// It does not answer in time.
    #[error("it does not answer: it is stopped, or has too much to do")]
    Silent,
    /// It hung up, and said why.
    #[error("{0}")]
    TurnedAway(String),
    /// What it says makes no sense.
    #[error("what it says is not the console's protocol: {0}")]
    Nonsense(String),
    /// The operating system says so.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A tree that runs, or a supervisor that does not answer.
#[derive(Debug)]
pub struct Answered {
    /// The operating system's number of the supervisor.
    pub os_pid: u32,
    /// The tree, and a line to ask more.
    pub tree: Result<(TreeSummary, Dialed), DialError>,
}

/// Every tree of this user, as it stands. What dead supervisors have left is cleared away.
#[must_use]
pub fn trees() -> Vec<Answered> {
    let sockets = runtime_dir::sockets();
    let mut found = Vec::with_capacity(sockets.len());
    for some in sockets.chunks(SOCKETS_AT_ONCE) {
        thread::scope(|scope| {
            let ask =
                |(os_pid, path): &(u32, PathBuf)| Answered { os_pid: *os_pid, tree: summary(*os_pid, path) };
            let asked: Vec<_> = some.iter().map(|socket| scope.spawn(move || ask(socket))).collect();
            found.extend(asked.into_iter().filter_map(|thread| thread.join().ok()));
        });
    }
    found.retain(|answered| !matches!(answered.tree, Err(DialError::Gone)));
    found
}

fn summary(os_pid: u32, path: &Path) -> Result<(TreeSummary, Dialed), DialError> {
    let mut dialed = Dialed::dial(os_pid, path)?;
    match dialed.exchange(&Request::Summary, PROMPT)? {
        Response::Summary(tree) => Ok((tree, dialed)),
        Response::Refused(refusal) => Err(DialError::TurnedAway(refusal.what)),
        other => Err(DialError::Nonsense(format!("{other:?}").chars().take(80).collect())),
    }
}

impl Dialed {
    /// Opens a line, and compares versions.
    ///
    /// # Errors
    /// [`DialError`]; a socket that nobody listens at is removed.
    pub fn dial(os_pid: u32, path: &Path) -> Result<Dialed, DialError> {
        let line = open(path).inspect_err(|error| {
            if matches!(error, DialError::Gone) {
                let _ = fs::remove_file(path);
            }
        })?;
        let mut dialed = Dialed { line, inbox: Inbox::new("an answer", MAX_RESPONSE_BYTES), os_pid };
        let until = Instant::now() + PROMPT;
        match dialed.line.send(&Greeting::new(PROGRAM).to_bytes(), until) {
            // Who is turned away at the door is told so before anything is read.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(silent(error)),
            _ => {}
        }
        let greeting = dialed.hear(until, |inbox| {
            Greeting::take(inbox).map_err(|error| DialError::Nonsense(error.to_string()))
        })?;
        match greeting {
            Greeting { version: VERSION, words } if words.is_empty() => Ok(dialed),
            Greeting { words, .. } => Err(DialError::TurnedAway(words)),
        }
    }

    /// The operating system's number of the supervisor.
    #[must_use]
    pub fn os_pid(&self) -> u32 {
        self.os_pid
    }

    /// Asks, and waits so long for the answer.
    ///
    /// # Errors
    /// [`DialError`]
    pub fn exchange(&mut self, request: &Request, patience: Duration) -> Result<Response, DialError> {
        let until = Instant::now() + patience;
        let frame = request.to_frame().map_err(|error| DialError::TurnedAway(error.to_string()))?;
        self.line.send(&frame, until).map_err(silent)?;
        let nonsense =
            |error: abi::control::control_codec::CodecError| DialError::Nonsense(error.to_string());
        let frame = self.hear(until, |inbox| inbox.frame().map_err(nonsense))?;
        Response::from_bytes(&frame).map_err(nonsense)
    }

    /// The same, for who has nothing to do if it fails.
    ///
    /// # Errors
    /// The supervisor refuses, or cannot be spoken to.
    pub fn ask(&mut self, request: &Request, patience: Duration) -> Result<Response, Complaint> {
        match self.exchange(request, patience) {
            Ok(Response::Refused(refusal)) => Err(refusal.into()),
            Ok(response) => Ok(response),
            Err(error) => Err(unreachable(self.os_pid, error)),
        }
    }

    fn hear<T>(
        &mut self,
        until: Instant,
        whole: impl Fn(&mut Inbox) -> Result<Option<T>, DialError>,
    ) -> Result<T, DialError> {
        let mut bytes = vec![0; CHUNK];
        loop {
            if let Some(whole) = whole(&mut self.inbox)? {
                return Ok(whole);
            }
            match self.line.receive(&mut bytes, until) {
                Ok(0) => return Err(DialError::Gone),
                Ok(read) => self.inbox.push(&bytes[..read]),
                Err(error) => return Err(silent(error)),
            }
        }
    }
}

/// A complaint that a supervisor cannot be spoken to.
#[must_use]
pub fn unreachable(os_pid: u32, error: DialError) -> Complaint {
    let what = format!("the supervisor {os_pid} cannot be asked");
    let advice = match error {
        DialError::Silent => {
            format!(
                "if it is stopped, `kill -CONT {os_pid}` lets it go on; `kill -KILL {os_pid}` ends it with its tree"
            )
        }
        _ => "`atoll ps` shows who runs".to_owned(),
    };
    Complaint::new(Exit::Failed, what).because(error).advise(advice)
}

/// An answer that does not fit the question.
#[must_use]
pub fn unexpected(response: &Response) -> Complaint {
    let text: String = format!("{response:?}").chars().take(80).collect();
    Complaint::new(Exit::Failed, "the supervisor answers something else than it was asked").reason(text)
}

/// Opens a line without waiting: who does not take it at once is not going to answer either.
fn open(path: &Path) -> Result<UnixStream, DialError> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(io::Error::from)?;
    let address = UnixAddr::new(path).map_err(io::Error::from)?;
    match connect(fd.as_raw_fd(), &address) {
        Ok(()) => {}
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => return Err(DialError::Gone),
        Err(Errno::EAGAIN) => return Err(DialError::Silent),
        Err(error) => return Err(io::Error::from(error).into()),
    }
    let line = UnixStream::from(fd);
    line.set_nonblocking(false)?;
    Ok(line)
}

fn silent(error: io::Error) -> DialError {
    match error.kind() {
        ErrorKind::TimedOut => DialError::Silent,
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => DialError::Gone,
        _ => DialError::Io(error),
    }
}
