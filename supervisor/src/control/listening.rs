//! The socket of a running tree: who may speak, and how many at once.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use abi::control::greeting::Greeting;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

use super::conversation::converse;
use super::patience::Line;
use super::reception::Reception;
use super::runtime_dir;
use crate::limits::CONTROL_CLIENTS;
use crate::steward::Steward;

/// How long a client that is turned away is given to read why.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The control socket of a tree. Dropping it takes it away.
#[derive(Debug)]
pub struct ControlSocket(Arc<Mutex<Stage>>);

/// Where a socket is in its life.
#[derive(Debug)]
enum Stage {
    Opening,
    Open(PathBuf),
    Closed,
}

impl ControlSocket {
    /// Opens it, on a thread of its own: nobody waits for it. What goes wrong is told to `note`.
    #[must_use]
    pub fn open(steward: &Arc<dyn Steward>, note: fn(&str)) -> ControlSocket {
        let stage = Arc::new(Mutex::new(Stage::Opening));
        let (theirs, steward) = (Arc::clone(&stage), Arc::downgrade(steward));
        let open = move || match listen(&theirs) {
            Ok(Some(listener)) => attend(&listener, &Reception::new(steward), &theirs),
            Ok(None) => {}
            Err(error) => note(&format!("no control socket: {error}; `atoll ps` will not show this tree")),
        };
        if let Err(error) = thread::Builder::new().name("atoll-control".to_owned()).spawn(open) {
            note(&format!("no control socket: no thread for it: {error}"));
        }
        ControlSocket(stage)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Stage::Open(path) = std::mem::replace(&mut *stage, Stage::Closed) {
            // Whoever waits for clients gets one more, and sees that it is over. If it does not, it has ended already.
            let _ = UnixStream::connect(&path);
            let _ = fs::remove_file(&path);
        }
    }
}

/// Why nobody can connect.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error(transparent)]
    Dir(#[from] runtime_dir::DirError),
    #[error("{0}: {1}")]
    Io(String, io::Error),
}

/// The listener; none if it is not wanted any more.
fn listen(stage: &Mutex<Stage>) -> Result<Option<UnixListener>, ListenError> {
    let folder = runtime_dir::open()?;
    let path = runtime_dir::socket(&folder, std::process::id());
    let failed = |error| ListenError::Io(path.display().to_string(), error);
    // It gets its name when somebody listens, so that one that refuses is known to be left over.
    let draft = path.with_extension("new");
    let _ = fs::remove_file(&draft);
    let listener = UnixListener::bind(&draft).map_err(failed)?;
    let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(*stage, Stage::Closed) {
        let _ = fs::remove_file(&draft);
        return Ok(None);
    }
    fs::rename(&draft, &path).map_err(failed)?;
    *stage = Stage::Open(path);
    Ok(Some(listener))
}

/// Lets clients in, so many at once.
fn attend(listener: &UnixListener, reception: &Reception, stage: &Mutex<Stage>) {
    let present = Arc::new(AtomicUsize::new(0));
    for client in listener.incoming() {
        if matches!(*stage.lock().unwrap_or_else(PoisonError::into_inner), Stage::Closed) {
            return;
        }
        let Ok(mut client) = client else {
            // Out of descriptors, or the like: that passes, or it does not.
            thread::sleep(LAST_WORDS);
            continue;
        };
        if let Err(words) = admit(&client, &present) {
            let greeting = Greeting::new(&words).to_bytes();
            let _ = client.send(&greeting, Instant::now() + LAST_WORDS);
            continue;
        }
        let (seat, reception) = (Seat(Arc::clone(&present)), reception.clone());
        let serve = move || {
            let _seat = seat;
            converse(&mut client, &reception);
        };
        // Without a thread the client is hung up on, and its seat is free again.
        let _ = thread::Builder::new().name("atoll-console".to_owned()).spawn(serve);
    }
}

/// Takes a seat for a client, or says why there is none for it.
fn admit(client: &UnixStream, present: &AtomicUsize) -> Result<(), String> {
    let who = getsockopt(client, PeerCredentials).map_err(|error| format!("who are you? {error}"))?;
    let own = geteuid().as_raw();
    if !may_enter(who.uid(), own) {
        return Err(format!("this tree belongs to user {own}; you are user {}", who.uid()));
    }
    let free = |taken: usize| (taken < CONTROL_CLIENTS).then_some(taken + 1);
    present
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, free)
        .map(|_| ())
        .map_err(|taken| format!("{taken} clients are here already; try again when one has left"))
}

/// Whether a client of this user may speak to a tree of that one.
fn may_enter(client: u32, own: u32) -> bool {
    client == own || client == 0
}

/// One of the places for clients.
struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::may_enter;

    #[test]
    fn a_tree_is_its_users_and_roots() {
        assert!(may_enter(1000, 1000) && may_enter(0, 1000) && may_enter(0, 0));
        assert!(!may_enter(1001, 1000) && !may_enter(1000, 0));
    }
}
