//! Who looks names up: the operating system, on threads of its own, as it has no way to ask without waiting.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::write;

use crate::bindings::wasi::sockets::network::ErrorCode;
use crate::io::shared_fd::SharedFd;
use crate::limits::{LOOKUP_TIME_NS, MAX_ADDRESSES, MAX_LOOKUPS, MAX_LOOKUPS_OF_TREE};

/// Looks names up. It is asked on a thread of its own and may take its time.
pub trait Resolver: Send + Sync {
    /// The addresses of a name, the best first; it is in lower case and has no dot at its end.
    ///
    /// # Errors
    /// Why there are none.
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, LookupError>;
}

/// Why a name has no addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nobody has that name, or it has no addresses.
    #[error("no such name")]
    Unknown,
    /// Whoever would know does not answer now.
    #[error("nobody answers now")]
    Temporary,
    /// Whoever would know cannot say.
    #[error("whoever would know cannot say")]
    Permanent,
}

impl LookupError {
    pub(crate) fn code(self) -> ErrorCode {
        match self {
            LookupError::Unknown => ErrorCode::NameUnresolvable,
            LookupError::Temporary => ErrorCode::TemporaryResolverFailure,
            LookupError::Permanent => ErrorCode::PermanentResolverFailure,
        }
    }
}

/// The operating system's way: `/etc/hosts`, DNS, and whatever else it is configured to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        match (name, 0).to_socket_addrs() {
            Ok(found) => Ok(found.map(|address| address.ip()).collect()),
            Err(error) => Err(reason(&error)),
        }
    }
}

/// The library does not give the system's number of the error away, only its text.
fn reason(error: &io::Error) -> LookupError {
    let text = error.to_string();
    if text.contains("Temporary failure") {
        LookupError::Temporary
    } else if text.contains("Non-recoverable") {
        LookupError::Permanent
    } else {
        LookupError::Unknown
    }
}

/// What a lookup gives.
pub(crate) type Answer = Result<Vec<IpAddr>, LookupError>;

/// The lookups that a tree has under way.
pub(crate) struct Lookups {
    resolver: Arc<dyn Resolver>,
    running: HashMap<u32, Arc<AtomicUsize>>,
    total: Arc<AtomicUsize>,
}

/// A lookup under way.
#[derive(Debug)]
pub(crate) struct Pending {
    answer: Arc<Mutex<Option<Answer>>>,
    /// Readable once there is an answer.
    done: SharedFd,
}

/// A place among those that look something up, as long as they do.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(counter: &Arc<AtomicUsize>, limit: usize) -> Option<Place> {
        let taken = counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < limit).then_some(count + 1));
        taken.is_ok().then(|| Place(Arc::clone(counter)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lookups {
    pub(crate) fn new(resolver: Arc<dyn Resolver>) -> Lookups {
        Lookups { resolver, running: HashMap::new(), total: Arc::default() }
    }

    /// Begins to look a name up for a process. Too many at a time are told to come back later.
    pub(crate) fn start(&mut self, process: u32, name: String) -> Result<Pending, LookupError> {
        let own = Place::take(self.running.entry(process).or_default(), MAX_LOOKUPS);
        let all = Place::take(&self.total, MAX_LOOKUPS_OF_TREE);
        let places = own.zip(all).ok_or(LookupError::Temporary)?;
        let busy = |_| LookupError::Temporary;
        let done = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(busy)?;
        let done = SharedFd::from(done);
        let (tells, asked) = mpsc::sync_channel(1);
        let resolver = Arc::clone(&self.resolver);
        // It cannot be interrupted: it keeps its places until it is done, though nobody waits for it any more.
        let asks = thread::Builder::new().name("atoll-resolver".to_owned()).spawn(move || {
            // Whoever does not wait any more need not be told.
            let _ = tells.send(resolver.resolve(&name));
            drop(places);
        });
        asks.map_err(|_| LookupError::Temporary)?;
        let answer: Arc<Mutex<Option<Answer>>> = Arc::default();
        let pending = Pending { answer: Arc::clone(&answer), done: done.clone() };
        let waits = thread::Builder::new().name("atoll-lookup".to_owned()).spawn(move || {
            let came = asked.recv_timeout(Duration::from_nanos(LOOKUP_TIME_NS));
            let came = came.unwrap_or(Err(LookupError::Temporary));
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(came.map(presentable));
            // An event that nobody holds any more wakes nobody.
            let _ = write(&done, &1u64.to_ne_bytes());
        });
        waits.map_err(|_| LookupError::Temporary)?;
        Ok(pending)
    }
}

impl Pending {
    /// The answer, once.
    pub(crate) fn take(&self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What to wait for.
    pub(crate) fn done(&self) -> &SharedFd {
        &self.done
    }
}

/// Each once, none of them IPv4 in the clothes of IPv6, and not without end.
fn presentable(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut seen = Vec::new();
    for address in addresses {
        let address = address.to_canonical();
        if seen.len() < MAX_ADDRESSES && !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen
}
