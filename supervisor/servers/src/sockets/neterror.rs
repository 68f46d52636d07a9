//! Errors of the operating system as `error-code`s of sockets.

use std::io;

use rustix::io::Errno;

use crate::bindings::wasi::sockets::network::ErrorCode;

/// What a guest is told of an error.
pub(crate) fn code(errno: Errno) -> ErrorCode {
    match errno {
        Errno::ACCESS | Errno::PERM => ErrorCode::AccessDenied,
        Errno::AFNOSUPPORT | Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::NOPROTOOPT => {
            ErrorCode::NotSupported
        }
        Errno::INVAL | Errno::FAULT | Errno::DESTADDRREQ => ErrorCode::InvalidArgument,
        Errno::NOMEM | Errno::NOBUFS => ErrorCode::OutOfMemory,
        Errno::TIMEDOUT => ErrorCode::Timeout,
        Errno::ALREADY | Errno::INPROGRESS => ErrorCode::ConcurrencyConflict,
        Errno::AGAIN => ErrorCode::WouldBlock,
        Errno::ISCONN | Errno::NOTCONN => ErrorCode::InvalidState,
        Errno::MFILE | Errno::NFILE => ErrorCode::NewSocketLimit,
        Errno::ADDRNOTAVAIL => ErrorCode::AddressNotBindable,
        Errno::ADDRINUSE => ErrorCode::AddressInUse,
        Errno::HOSTUNREACH
        | Errno::HOSTDOWN
        | Errno::NETUNREACH
        | Errno::NETDOWN
        | Errno::NONET
        | Errno::NETRESET => ErrorCode::RemoteUnreachable,
        Errno::CONNREFUSED => ErrorCode::ConnectionRefused,
        Errno::CONNRESET | Errno::PIPE => ErrorCode::ConnectionReset,
        Errno::CONNABORTED => ErrorCode::ConnectionAborted,
        Errno::MSGSIZE => ErrorCode::DatagramTooLarge,
        _ => ErrorCode::Unknown,
    }
}

/// What a guest is told of an error of `connect`, which uses some numbers for something else.
pub(crate) fn of_connect(errno: Errno) -> ErrorCode {
    match errno {
        // There are no free ports to connect from.
        Errno::ADDRNOTAVAIL => ErrorCode::AddressInUse,
        // Linux, for a network that nobody leads to.
        Errno::INVAL => ErrorCode::RemoteUnreachable,
        other => code(other),
    }
}

/// What a guest is told of an error of `accept`, which tells of the connection that was to be accepted as well.
pub(crate) fn of_accept(errno: Errno) -> ErrorCode {
    match errno {
        Errno::NETDOWN
        | Errno::PROTO
        | Errno::NOPROTOOPT
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::HOSTUNREACH
        | Errno::OPNOTSUPP
        | Errno::NETUNREACH
        | Errno::PERM => ErrorCode::ConnectionAborted,
        other => code(other),
    }
}

/// What there is to say of an error of a stream, if a network was the cause.
pub(crate) fn of_stream(error: &io::Error) -> Option<ErrorCode> {
    let code = code(Errno::from_io_error(error)?);
    let is_of_network = matches!(
        code,
        ErrorCode::Timeout
            | ErrorCode::RemoteUnreachable
            | ErrorCode::ConnectionRefused
            | ErrorCode::ConnectionReset
            | ErrorCode::ConnectionAborted
    );
    is_of_network.then_some(code)
}
