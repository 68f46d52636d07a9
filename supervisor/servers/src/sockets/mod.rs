//! `wasi:sockets`: TCP, UDP and name lookup, as far as the network grants of whoever asks reach.
//!
//! The `network` that a process gets stands for its grants: whoever holds it can bind and connect by them. A socket, once
//! it is bound or connected, is whoever's who holds it. Nothing here blocks: sockets of the operating system are
//! non-blocking, and who waits for one waits in [`io::poll`](crate::io::poll).
//!
//! - [`tcp`]: TCP sockets and their states; [`tcp_calls`]: the interface; [`connection`]: what is read and written
//! - [`udp`]: UDP sockets; [`udp_calls`]: the interface; [`datagrams`]: what is received and sent
//! - [`lookup`]: `ip-name-lookup`; [`resolver`]: who looks names up; [`idna`]: names that are not ASCII
//! - [`eithersocket`]: what both kinds have in common; [`sockopts`]: what can be set on them; [`address`]: addresses; [`neterror`]: why something failed

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod datagrams;
mod eithersocket;
pub(crate) mod idna;
pub(crate) mod lookup;
pub(crate) mod neterror;
pub mod resolver;
pub(crate) mod sockopts;
pub(crate) mod tcp;
mod tcp_calls;
pub(crate) mod udp;
mod udp_calls;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use kernel::sched::park::Interest;

use crate::Wasi;
use crate::bindings::wasi::sockets::instance_network;
use crate::bindings::wasi::sockets::network::{self, ErrorCode, HostNetwork, Network};
use crate::io::poll::Subject;
use crate::io::shared_fd::SharedFd;
use crate::limits::MAX_SOCKETS;
use crate::slab::Slab;
use datagrams::{Incoming, Outgoing};
use lookup::Lookup;
use resolver::{Lookups, Resolver};
use tcp::TcpSocket;
use udp::UdpSocket;

/// The sockets of a tree.
pub(crate) struct Sockets {
    /// By which grants each `network` goes.
    networks: Slab<usize>,
    tcp: Slab<TcpSocket>,
    udp: Slab<UdpSocket>,
    incoming: Slab<Incoming>,
    outgoing: Slab<Outgoing>,
    lookups: Slab<Lookup>,
    resolver: Lookups,
    /// How many sockets each process has made that are still open.
    made: HashMap<u32, Arc<AtomicUsize>>,
}

/// One socket, as its maker is charged for it: until it is closed, whoever holds it or one of its streams.
#[derive(Debug)]
pub(crate) struct Charge(Arc<AtomicUsize>);

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sockets {
    pub(crate) fn new(resolver: Arc<dyn Resolver>) -> Sockets {
        Sockets {
            networks: Slab::new("network"),
            tcp: Slab::new("tcp-socket"),
            udp: Slab::new("udp-socket"),
            incoming: Slab::new("incoming-datagram-stream"),
            outgoing: Slab::new("outgoing-datagram-stream"),
            lookups: Slab::new("resolve-address-stream"),
            resolver: Lookups::new(resolver),
            made: HashMap::new(),
        }
    }

    /// What a subject waits for that is of a socket or a lookup; none if it is ready, or gone.
    pub(crate) fn awaits(&self, subject: Subject) -> Option<(SharedFd, Interest)> {
        match subject {
            Subject::Tcp(key) => self.tcp.find(key)?.awaits(),
            Subject::Datagrams(key) => Some((self.udp.find(key)?.shared_fd(), Interest::Readable)),
            Subject::RoomForDatagrams(key) => Some((self.udp.find(key)?.shared_fd(), Interest::Writable)),
            Subject::Lookup(key) => self.lookups.find(key)?.awaits(),
            Subject::Ready | Subject::Deadline(_) | Subject::Input(_) | Subject::Output(_) => None,
        }
    }

    /// Charges a process for one more socket.
    fn charge(&mut self, process: u32) -> Result<Arc<Charge>, ErrorCode> {
        let made = self.made.entry(process).or_default();
        if made.load(Ordering::Relaxed) >= MAX_SOCKETS {
            return Err(ErrorCode::NewSocketLimit);
        }
        made.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Charge(Arc::clone(made))))
    }
}

/// Why a function of a socket gave nothing: what the guest is told, or the trap.
#[derive(Debug)]
pub(crate) enum Refusal {
    Code(ErrorCode),
    Trap(Trap),
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal::Code(code)
    }
}

impl From<Trap> for Refusal {
    fn from(trap: Trap) -> Refusal {
        Refusal::Trap(trap)
    }
}

/// A function's result within one that may trap, as generated traits have it.
pub(crate) type Told<T> = Result<Result<T, ErrorCode>, Trap>;

pub(crate) fn told<T>(result: Result<T, Refusal>) -> Told<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Refusal::Code(code)) => Ok(Err(code)),
        Err(Refusal::Trap(trap)) => Err(trap),
    }
}

impl HostNetwork for Wasi {
    fn dropped(&mut self, this: Own<Network>) -> Result<(), Trap> {
        self.sockets.networks.remove(this.rep).map(drop)
    }
}

impl network::Host for Wasi {
    fn network_error_code(&mut self, err: Borrow<network::Error>) -> Result<Option<ErrorCode>, Trap> {
        Ok(self.failures.get(err.rep)?.network)
    }
}

impl instance_network::Host for Wasi {
    fn instance_network(&mut self) -> Result<Own<Network>, Trap> {
        let grants = self.granted();
        self.sockets.networks.insert(grants).map(Own::new)
    }
}
