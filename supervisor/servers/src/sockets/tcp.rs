//! A TCP socket: the states of WASI 0.2 (`TcpSocketOperationalSemantics`), over a non-blocking one of this system.
//!
//! ```text
//! unbound ── start-bind ─▶ bind-in-progress ── finish-bind ─▶ bound ── start-listen ─▶ listen-in-progress
//!    │                                                          │                           │ finish-listen
//!    └──────────────── start-connect ───────────────────────────┤                       listening ── accept ─▶ connected
//!                                                                ▼
//!                connected ◀── finish-connect ── connect-in-progress ── finish-connect ─▶ closed
//! ```

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use kernel::sched::park::Interest;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{SocketFlags, SocketType, accept_with, bind, connect, getpeername, getsockname, listen};

use super::address::{of_system, remote, unicast};
use super::connection::Connection;
use super::eithersocket::EitherSocket;
use super::{Charge, neterror, sockopts};
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use crate::bindings::wasi::sockets::tcp::ShutdownType;
use crate::grants::granted::Granted;
use crate::grants::network::may_bind;
use crate::io::shared_fd::{SharedFd, is_ready};
use crate::limits::{DEFAULT_BACKLOG, MAX_BACKLOG};

/// A socket.
#[derive(Debug)]
pub(crate) struct TcpSocket {
    pub(crate) family: IpAddressFamily,
    fd: SharedFd,
    charge: Arc<Charge>,
    state: State,
    /// The grants that it was bound by.
    network: Option<usize>,
    /// Whether it was bound to where these let it listen.
    may_listen: bool,
    backlog: i32,
}

/// Where it is in its life.
#[derive(Debug)]
enum State {
    Unbound,
    BindInProgress,
    Bound,
    ListenInProgress,
    Listening,
    ConnectInProgress,
    Connected(Connection),
    Closed,
}

impl EitherSocket for TcpSocket {
    fn family(&self) -> IpAddressFamily {
        self.family
    }

    fn open_fd(&self) -> Result<BorrowedFd<'_>, ErrorCode> {
        match self.state {
            State::Closed => Err(ErrorCode::InvalidState),
            _ => Ok(self.fd.as_fd()),
        }
    }
}

impl TcpSocket {
    pub(crate) fn new(family: IpAddressFamily, charge: Arc<Charge>, fd: SharedFd) -> TcpSocket {
        TcpSocket {
            family,
            fd,
            charge,
            state: State::Unbound,
            network: None,
            may_listen: false,
            backlog: DEFAULT_BACKLOG,
        }
    }

    pub(crate) fn start_bind(
        &mut self,
        (network, granted): (usize, &Granted),
        at: SocketAddr,
    ) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound => {}
            State::BindInProgress | State::ListenInProgress | State::ConnectInProgress => {
                return Err(ErrorCode::ConcurrencyConflict);
            }
            State::Bound | State::Listening | State::Connected(_) | State::Closed => {
                return Err(ErrorCode::InvalidState);
            }
        }
        let at = unicast(at)?;
        let may_listen = may_bind(&granted.network.listen, at);
        // Who may connect may do so from wherever the system has a port free.
        let may_connect = at.port() == 0 && !granted.network.connect.is_empty();
        if !may_listen && !may_connect {
            return Err(ErrorCode::AccessDenied);
        }
        // A port that somebody asks for is to be free as soon as its last socket is closed.
        set_socket_reuseaddr(&self.fd, at.port() != 0).map_err(neterror::code)?;
        bind(&self.fd, &at).map_err(|errno| match errno {
            // An address of another kind than what this machine has at all.
            Errno::INVAL | Errno::NODEV => ErrorCode::AddressNotBindable,
            other => neterror::code(other),
        })?;
        (self.network, self.may_listen) = (Some(network), may_listen);
        self.state = State::BindInProgress;
        Ok(())
    }

    pub(crate) fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::BindInProgress => {
                self.state = State::Bound;
                Ok(())
            }
            _ => Err(ErrorCode::NotInProgress),
        }
    }

    pub(crate) fn start_connect(
        &mut self,
        (network, granted): (usize, &Granted),
        to: SocketAddr,
    ) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound | State::Bound => {}
            State::BindInProgress | State::ListenInProgress | State::ConnectInProgress => {
                return Err(ErrorCode::ConcurrencyConflict);
            }
            State::Listening | State::Connected(_) | State::Closed => return Err(ErrorCode::InvalidState),
        }
        if self.network.is_some_and(|bound| bound != network) {
            return Err(ErrorCode::InvalidArgument);
        }
        let to = remote(unicast(to)?)?;
        if !granted.pins.may_reach(&granted.network.connect, to) {
            return Err(ErrorCode::AccessDenied);
        }
        self.network = Some(network);
        match connect(&self.fd, &to) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {
                self.state = State::ConnectInProgress;
                Ok(())
            }
            Err(errno) => {
                self.state = State::Closed;
                Err(neterror::of_connect(errno))
            }
        }
    }

    pub(crate) fn finish_connect(&mut self) -> Result<Connection, ErrorCode> {
        let State::ConnectInProgress = self.state else { return Err(ErrorCode::NotInProgress) };
        let is_done = is_ready(self.fd.as_fd(), Interest::Writable).map_err(|_| ErrorCode::Unknown)?;
        if !is_done {
            return Err(ErrorCode::WouldBlock);
        }
        match sockopts::take_error(&self.fd) {
            Ok(()) => Ok(self.connected()),
            Err(errno) => {
                self.state = State::Closed;
                Err(neterror::of_connect(errno))
            }
        }
    }

    fn connected(&mut self) -> Connection {
        let connection = Connection::new(self.fd.clone(), Arc::clone(&self.charge));
        self.state = State::Connected(connection.clone());
        connection
    }

    pub(crate) fn start_listen(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::Bound => {}
            State::BindInProgress | State::ListenInProgress | State::ConnectInProgress => {
                return Err(ErrorCode::ConcurrencyConflict);
            }
            State::Unbound | State::Listening | State::Connected(_) | State::Closed => {
                return Err(ErrorCode::InvalidState);
            }
        }
        if !self.may_listen {
            return Err(ErrorCode::AccessDenied);
        }
        listen(&self.fd, self.backlog).map_err(neterror::code)?;
        self.state = State::ListenInProgress;
        Ok(())
    }

    pub(crate) fn finish_listen(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::ListenInProgress => {
                self.state = State::Listening;
                Ok(())
            }
            _ => Err(ErrorCode::NotInProgress),
        }
    }

    /// Whether a connection can be waited for.
    pub(crate) fn check_listening(&self) -> Result<(), ErrorCode> {
        if self.is_listening() { Ok(()) } else { Err(ErrorCode::InvalidState) }
    }

    /// Takes the connection that has waited longest. It has the options of this socket, as Linux passes them on.
    pub(crate) fn accept(&self) -> Result<SharedFd, ErrorCode> {
        loop {
            match accept_with(&self.fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(fd) => return Ok(fd.into()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(neterror::of_accept(errno)),
            }
        }
    }

    /// The socket of a connection that this one has accepted.
    pub(crate) fn accepted(&self, charge: Arc<Charge>, fd: SharedFd) -> (TcpSocket, Connection) {
        let mut socket = TcpSocket::new(self.family, charge, fd);
        socket.network = self.network;
        let connection = socket.connected();
        (socket, connection)
    }

    pub(crate) fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.state {
            State::Unbound | State::BindInProgress | State::Closed => Err(ErrorCode::InvalidState),
            _ => of_system(getsockname(&self.fd).map_err(neterror::code)?),
        }
    }

    pub(crate) fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        let State::Connected(_) = self.state else { return Err(ErrorCode::InvalidState) };
        let peer = getpeername(&self.fd).map_err(neterror::code)?;
        of_system(peer.ok_or(ErrorCode::InvalidState)?)
    }

    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening)
    }

    pub(crate) fn set_backlog(&mut self, size: u64) -> Result<(), ErrorCode> {
        sockopts::nonzero(size)?;
        if let State::ConnectInProgress | State::Connected(_) | State::Closed = self.state {
            return Err(ErrorCode::InvalidState);
        }
        self.backlog = i32::try_from(size).unwrap_or(MAX_BACKLOG).min(MAX_BACKLOG);
        if let State::ListenInProgress | State::Listening = self.state {
            listen(&self.fd, self.backlog).map_err(neterror::code)?;
        }
        Ok(())
    }

    pub(crate) fn shut_down(&self, what: ShutdownType) -> Result<(), ErrorCode> {
        let State::Connected(connection) = &self.state else { return Err(ErrorCode::InvalidState) };
        let (receive, send) = match what {
            ShutdownType::Receive => (true, false),
            ShutdownType::Send => (false, true),
            ShutdownType::Both => (true, true),
        };
        connection.shut_down(receive, send).map_err(neterror::code)
    }

    /// What to wait for before what is in progress can go on; none if nothing is.
    pub(crate) fn awaits(&self) -> Option<(SharedFd, Interest)> {
        match self.state {
            State::ConnectInProgress => Some((self.fd.clone(), Interest::Writable)),
            State::Listening => Some((self.fd.clone(), Interest::Readable)),
            _ => None,
        }
    }
}

/// Opens one.
pub(crate) fn open(family: IpAddressFamily) -> Result<SharedFd, ErrorCode> {
    sockopts::open(family, SocketType::STREAM)
}
