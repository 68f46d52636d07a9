//! What can be set on sockets, within the bounds of this system.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::neterror::code;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use crate::io::shared_fd::SharedFd;
use crate::limits::{MAX_KEEP_ALIVE_COUNT, MAX_KEEP_ALIVE_SECONDS, MAX_SOCKET_BUFFER};

/// Opens a socket of the operating system, non-blocking; one of IPv6 is nothing but that.
pub(crate) fn open(family: IpAddressFamily, ty: SocketType) -> Result<SharedFd, ErrorCode> {
    let system = match family {
        IpAddressFamily::Ipv4 => AddressFamily::INET,
        IpAddressFamily::Ipv6 => AddressFamily::INET6,
    };
    let fd = socket_with(system, ty, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None).map_err(code)?;
    if family == IpAddressFamily::Ipv6 {
        sockopt::set_ipv6_v6only(&fd, true).map_err(code)?;
    }
    Ok(fd.into())
}

pub(crate) fn hop_limit(family: IpAddressFamily, fd: BorrowedFd<'_>) -> Result<u8, ErrorCode> {
    match family {
        IpAddressFamily::Ipv4 => {
            let ttl = sockopt::ip_ttl(fd).map_err(code)?;
            u8::try_from(ttl).map_err(|_| ErrorCode::Unknown)
        }
        IpAddressFamily::Ipv6 => sockopt::ipv6_unicast_hops(fd).map_err(code),
    }
}

pub(crate) fn set_hop_limit(family: IpAddressFamily, fd: BorrowedFd<'_>, value: u8) -> Result<(), ErrorCode> {
    nonzero(value.into())?;
    match family {
        IpAddressFamily::Ipv4 => sockopt::set_ip_ttl(fd, value.into()).map_err(code),
        IpAddressFamily::Ipv6 => sockopt::set_ipv6_unicast_hops(fd, Some(value)).map_err(code),
    }
}

/// Which of the buffers in the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    Receive,
    Send,
}

impl Buffers {
    /// Bytes; Linux counts its own bookkeeping too, as much again.
    pub(crate) fn size(self, fd: BorrowedFd<'_>) -> Result<u64, ErrorCode> {
        let size = match self {
            Buffers::Receive => sockopt::socket_recv_buffer_size(fd),
            Buffers::Send => sockopt::socket_send_buffer_size(fd),
        };
        Ok(size.map_err(code)? as u64 / 2)
    }

    pub(crate) fn set_size(self, fd: BorrowedFd<'_>, value: u64) -> Result<(), ErrorCode> {
        nonzero(value)?;
        let value = usize::try_from(value).unwrap_or(usize::MAX).min(MAX_SOCKET_BUFFER);
        let set = match self {
            Buffers::Receive => sockopt::set_socket_recv_buffer_size(fd, value),
            Buffers::Send => sockopt::set_socket_send_buffer_size(fd, value),
        };
        set.map_err(code)
    }
}

/// Which of the times of keep-alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    Idle,
    Interval,
}

impl KeepAlive {
    pub(crate) fn time_ns(self, fd: BorrowedFd<'_>) -> Result<u64, ErrorCode> {
        let time = match self {
            KeepAlive::Idle => sockopt::tcp_keepidle(fd),
            KeepAlive::Interval => sockopt::tcp_keepintvl(fd),
        };
        Ok(u64::try_from(time.map_err(code)?.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The system counts seconds: a part of one is one.
    pub(crate) fn set_time_ns(self, fd: BorrowedFd<'_>, value: u64) -> Result<(), ErrorCode> {
        nonzero(value)?;
        let time = Duration::from_secs(value.div_ceil(1_000_000_000).min(MAX_KEEP_ALIVE_SECONDS));
        let set = match self {
            KeepAlive::Idle => sockopt::set_tcp_keepidle(fd, time),
            KeepAlive::Interval => sockopt::set_tcp_keepintvl(fd, time),
        };
        set.map_err(code)
    }
}

pub(crate) fn set_keep_alive_count(fd: BorrowedFd<'_>, value: u32) -> Result<(), ErrorCode> {
    nonzero(value.into())?;
    sockopt::set_tcp_keepcnt(fd, value.min(MAX_KEEP_ALIVE_COUNT)).map_err(code)
}

/// Zero is no value of any option.
pub(crate) fn nonzero(value: u64) -> Result<(), ErrorCode> {
    if value == 0 { Err(ErrorCode::InvalidArgument) } else { Ok(()) }
}

/// The error that the system keeps for a socket, which is gone then.
pub(crate) fn take_error(fd: &SharedFd) -> Result<(), Errno> {
    sockopt::socket_error(fd.as_fd())?
}
