//! A UDP socket: bound, and then perhaps for one peer only.
//!
//! Whom it may exchange datagrams with is asked for each of them, as one that is bound can be sent to by anybody: with
//! those that the grant names, and, where the grant lets it wait for datagrams, with whoever has sent it one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SocketType, bind, connect, connect_unspec, getsockname};

use super::address::{of_system, remote, unicast};
use super::eithersocket::EitherSocket;
use super::{Charge, neterror, sockopts};
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use crate::grants::granted::Granted;
use crate::grants::network::may_bind;
use crate::io::shared_fd::SharedFd;
use crate::limits::MAX_UDP_SENDERS;

/// A socket.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    pub(crate) family: IpAddressFamily,
    fd: SharedFd,
    _charge: Arc<Charge>,
    state: State,
    /// The grants that it was bound by.
    network: usize,
    /// Whether it was bound to where these let it wait for whoever sends.
    may_wait: bool,
    /// Who has sent something, the latest last, where anybody may.
    senders: VecDeque<SocketAddr>,
    /// Only the streams that were made last work.
    streams: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unbound,
    BindInProgress,
    /// Bound, and perhaps for one peer.
    Bound(Option<SocketAddr>),
}

impl EitherSocket for UdpSocket {
    fn family(&self) -> IpAddressFamily {
        self.family
    }

    fn open_fd(&self) -> Result<BorrowedFd<'_>, ErrorCode> {
        Ok(self.fd())
    }
}

impl UdpSocket {
    /// Opens one.
    pub(crate) fn open(family: IpAddressFamily, charge: Arc<Charge>) -> Result<UdpSocket, ErrorCode> {
        Ok(UdpSocket {
            family,
            fd: sockopts::open(family, SocketType::DGRAM)?,
            _charge: charge,
            state: State::Unbound,
            network: 0,
            may_wait: false,
            senders: VecDeque::new(),
            streams: 0,
        })
    }

    pub(crate) fn start_bind(
        &mut self,
        (network, granted): (usize, &Granted),
        at: SocketAddr,
    ) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound => {}
            State::BindInProgress => return Err(ErrorCode::ConcurrencyConflict),
            State::Bound(_) => return Err(ErrorCode::InvalidState),
        }
        let at = unicast(at)?;
        let may_wait = may_bind(&granted.network.udp_listen, at);
        // Who may send must be bound to do so, to whatever port is free.
        let may_send = at.port() == 0 && !granted.network.udp.is_empty();
        if !may_wait && !may_send {
            return Err(ErrorCode::AccessDenied);
        }
        bind(&self.fd, &at).map_err(|errno| match errno {
            Errno::INVAL | Errno::NODEV => ErrorCode::AddressNotBindable,
            other => neterror::code(other),
        })?;
        (self.network, self.may_wait) = (network, may_wait);
        self.state = State::BindInProgress;
        Ok(())
    }

    pub(crate) fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::BindInProgress => {
                self.state = State::Bound(None);
                Ok(())
            }
            _ => Err(ErrorCode::NotInProgress),
        }
    }

    /// Begins a pair of streams, for one peer or any; gives its number. Those before do not work any more.
    pub(crate) fn stream(&mut self, peer: Option<SocketAddr>, granted: &Granted) -> Result<u64, ErrorCode> {
        let State::Bound(before) = self.state else { return Err(ErrorCode::InvalidState) };
        let peer = peer.map(remote).transpose()?;
        if peer.is_some_and(|peer| !self.may_exchange(peer, granted)) {
            return Err(ErrorCode::AccessDenied);
        }
        match peer {
            Some(peer) => connect(&self.fd, &peer).map_err(neterror::of_connect)?,
            None if before.is_some() => self.disconnect()?,
            None => {}
        }
        self.state = State::Bound(peer);
        self.streams += 1;
        Ok(self.streams)
    }

    /// Linux lets go of a port that it has chosen itself; it is the one that the guest knows, so it is taken again.
    fn disconnect(&self) -> Result<(), ErrorCode> {
        let before = getsockname(&self.fd).map_err(neterror::code)?;
        connect_unspec(&self.fd).map_err(neterror::code)?;
        let after = of_system(getsockname(&self.fd).map_err(neterror::code)?)?;
        if after.port() == 0 {
            bind(&self.fd, &of_system(before)?).map_err(neterror::code)?;
        }
        Ok(())
    }

    pub(crate) fn network(&self) -> usize {
        self.network
    }

    /// Whether a pair of streams is the one that works.
    pub(crate) fn is_current(&self, streams: u64) -> bool {
        self.streams == streams
    }

    /// Its only peer, if it has one.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        match self.state {
            State::Bound(peer) => peer,
            _ => None,
        }
    }

    /// Whether datagrams may go to somebody and come from there.
    pub(crate) fn may_exchange(&self, peer: SocketAddr, granted: &Granted) -> bool {
        granted.pins.may_reach(&granted.network.udp, peer) || self.senders.contains(&peer)
    }

    /// Whether a datagram is for the guest; notes who sent it, so that it can be answered.
    pub(crate) fn admit(&mut self, from: SocketAddr, granted: &Granted) -> bool {
        if self.peer().is_some_and(|peer| !is_same(peer, from)) {
            return false;
        }
        if !self.may_wait {
            return granted.pins.may_reach(&granted.network.udp, from);
        }
        if !self.senders.contains(&from) {
            if self.senders.len() >= MAX_UDP_SENDERS {
                self.senders.pop_front();
            }
            self.senders.push_back(from);
        }
        true
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// For whoever waits for it.
    pub(crate) fn shared_fd(&self) -> SharedFd {
        self.fd.clone()
    }

    pub(crate) fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.state {
            State::Bound(_) => of_system(getsockname(&self.fd).map_err(neterror::code)?),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    pub(crate) fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.peer().ok_or(ErrorCode::InvalidState)
    }
}

/// Whether two addresses are one peer's: what a flow is called says nothing of it.
pub(crate) fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    (one.ip(), one.port()) == (other.ip(), other.port())
}
