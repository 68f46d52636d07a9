//! What is received and sent over UDP.

use std::net::SocketAddr;

use abi::fault::Trap;
use kernel::sched::park::Interest;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recvfrom, send, sendto};

use super::address::{of_family, of_system, remote, to_guest};
use super::udp::{UdpSocket, is_same};
use super::{Refusal, neterror};
use crate::bindings::wasi::sockets::network::ErrorCode;
use crate::bindings::wasi::sockets::udp::{IncomingDatagram, OutgoingDatagram};
use crate::grants::granted::Granted;
use crate::io::shared_fd::is_ready;
use crate::limits::{MAX_DATAGRAM, MAX_DATAGRAMS, MAX_RECEIVED};
use crate::slab::Key;

/// The receiving end of a socket.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) socket: Key,
    pub(crate) streams: u64,
}

/// The sending end of a socket.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) socket: Key,
    pub(crate) streams: u64,
    /// How many datagrams the guest may still send before it asks again.
    pub(crate) permit: u64,
}

/// Takes up to `max` datagrams that are here, and throws away those that are not for the guest.
pub(crate) fn receive(
    socket: &mut UdpSocket,
    granted: &Granted,
    max: u64,
) -> Result<Vec<IncomingDatagram>, ErrorCode> {
    let max = usize::try_from(max).unwrap_or(usize::MAX).min(MAX_DATAGRAMS);
    let (mut taken, mut bytes) = (Vec::new(), 0);
    let mut buffer = Vec::new();
    for _ in 0..MAX_DATAGRAMS {
        if taken.len() >= max || bytes >= MAX_RECEIVED {
            break;
        }
        buffer.clear();
        buffer.reserve(MAX_DATAGRAM);
        match recvfrom(socket.fd(), spare_capacity(&mut buffer), RecvFlags::DONTWAIT) {
            Ok((_, _, Some(from))) => {
                let from = of_system(from)?;
                if socket.admit(from, granted) {
                    bytes += buffer.len();
                    taken.push(IncomingDatagram { data: buffer.clone(), remote_address: to_guest(from) });
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            // It comes again with the next call, if it still holds.
            Err(_) if !taken.is_empty() => break,
            Err(errno) => return Err(neterror::of_connect(errno)),
        }
    }
    Ok(taken)
}

/// How many datagrams may be sent now.
pub(crate) fn check_send(socket: &UdpSocket, outgoing: &mut Outgoing) -> Result<u64, ErrorCode> {
    let has_room = is_ready(socket.fd(), Interest::Writable).map_err(|_| ErrorCode::Unknown)?;
    outgoing.permit = if has_room { MAX_DATAGRAMS as u64 } else { 0 };
    Ok(outgoing.permit)
}

/// Takes from what `check-send` permitted.
pub(crate) fn spend(outgoing: &mut Outgoing, count: usize) -> Result<(), Trap> {
    let (count, permit) = (count as u64, outgoing.permit);
    outgoing.permit = permit.checked_sub(count).ok_or(Trap::Limit {
        limit: "wasi:sockets/udp: datagrams of a send that `check-send` permitted",
        value: count,
        allowed: permit,
    })?;
    Ok(())
}

/// Sends datagrams until one cannot be; how many went.
pub(crate) fn send_all(
    socket: &UdpSocket,
    granted: &Granted,
    datagrams: &[OutgoingDatagram],
) -> Result<u64, Refusal> {
    for (sent, datagram) in (0..).zip(datagrams) {
        match send_one(socket, granted, datagram) {
            Ok(()) => {}
            Err(ErrorCode::WouldBlock) => return Ok(sent),
            Err(_) if sent > 0 => return Ok(sent),
            Err(code) => return Err(code.into()),
        }
    }
    Ok(datagrams.len() as u64)
}

fn send_one(socket: &UdpSocket, granted: &Granted, datagram: &OutgoingDatagram) -> Result<(), ErrorCode> {
    let to = datagram.remote_address.as_ref().map(|to| of_family(socket.family, to)).transpose()?;
    let to = to.map(remote).transpose()?;
    let to: Option<SocketAddr> = match (socket.peer(), to) {
        (Some(peer), Some(to)) if !is_same(peer, to) => return Err(ErrorCode::InvalidArgument),
        (Some(_), _) => None,
        (None, Some(to)) => Some(to),
        (None, None) => return Err(ErrorCode::InvalidArgument),
    };
    if to.is_some_and(|to| !socket.may_exchange(to, granted)) {
        return Err(ErrorCode::AccessDenied);
    }
    if datagram.data.len() > MAX_DATAGRAM {
        return Err(ErrorCode::DatagramTooLarge);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    loop {
        let sent = match to {
            Some(to) => sendto(socket.fd(), &datagram.data, flags, &to),
            None => send(socket.fd(), &datagram.data, flags),
        };
        match sent {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(neterror::of_connect(errno)),
        }
    }
}
