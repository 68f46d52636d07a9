//! What sockets of both kinds have in common, for the interfaces of each.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::Told;
use super::address::of_family;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::grants::granted::Granted;
use crate::slab::Slab;

/// A TCP or UDP socket.
pub(crate) trait EitherSocket {
    /// Which addresses it has.
    fn family(&self) -> IpAddressFamily;

    /// The socket of the system, for options: not when it is closed.
    fn open_fd(&self) -> Result<BorrowedFd<'_>, ErrorCode>;
}

/// Reads or sets an option of a socket.
pub(crate) fn option<S: EitherSocket, T>(
    sockets: &Slab<S>,
    this: u32,
    look: impl FnOnce(IpAddressFamily, BorrowedFd<'_>) -> Result<T, ErrorCode>,
) -> Told<T> {
    let socket = sockets.get(this)?;
    Ok(socket.open_fd().and_then(|fd| look(socket.family(), fd)))
}

/// Begins something with a socket and an address, by the grants that a network stands for.
pub(crate) fn start<S: EitherSocket>(
    sockets: &mut Slab<S>,
    this: u32,
    by: (usize, &Granted),
    at: &IpSocketAddress,
    begin: impl FnOnce(&mut S, (usize, &Granted), SocketAddr) -> Result<(), ErrorCode>,
) -> Told<()> {
    let socket = sockets.at_mut(this)?;
    Ok(of_family(socket.family(), at).and_then(|at| begin(socket, by, at)))
}
