//! Every limit of the servers, in one place.

/// Bytes that one read of a stream or file returns at most; a guest that asks for more gets less.
pub const MAX_READ: usize = 256 << 10;
/// Bytes that `check-write` permits at once.
pub const WRITE_PERMIT: u64 = 256 << 10;
/// Bytes that the blocking writes take (`wasi:io/streams`: "up to 4096 bytes").
pub const MAX_BLOCKING_WRITE: u64 = 4096;
/// Random bytes that one call returns; it cannot return fewer than asked for, so more is a trap.
pub const MAX_RANDOM: u64 = 64 << 20;
/// Addresses that names stood for which a process remembers: rules with a name let it talk to these.
pub const MAX_PINNED_ADDRESSES: usize = 4096;
/// Sockets that a process may have open, counted until they and their streams are closed.
pub const MAX_SOCKETS: usize = 1024;
/// Connections that wait to be accepted, if the guest does not say how many, and at most.
pub const DEFAULT_BACKLOG: i32 = 128;
/// See [`DEFAULT_BACKLOG`].
pub const MAX_BACKLOG: i32 = 4096;
/// Bytes of a socket's buffer in the operating system that a guest can ask for, each way.
pub const MAX_SOCKET_BUFFER: usize = 4 << 20;
/// Bytes that `check-write` of a connection permits at once, at least and at most, if there is room at all.
pub const MIN_SOCKET_PERMIT: u64 = 512;
/// See [`MIN_SOCKET_PERMIT`].
pub const MAX_SOCKET_PERMIT: u64 = 64 << 10;
/// Seconds of the times of keep-alive (Linux: `MAX_TCP_KEEPIDLE`).
pub const MAX_KEEP_ALIVE_SECONDS: u64 = 32767;
/// Probes of keep-alive (Linux: `MAX_TCP_KEEPCNT`).
pub const MAX_KEEP_ALIVE_COUNT: u32 = 127;
/// Bytes of a datagram: what UDP over IPv4 can carry at most.
pub const MAX_DATAGRAM: usize = 65_507;
/// Datagrams that one call receives or sends at most.
pub const MAX_DATAGRAMS: usize = 64;
/// Bytes of the datagrams that one call receives, but for the last of them.
pub const MAX_RECEIVED: usize = 256 << 10;
/// Senders of datagrams that a socket remembers, so that they can be answered.
pub const MAX_UDP_SENDERS: usize = 1024;
/// Lookups of names that a process may have under way.
pub const MAX_LOOKUPS: usize = 8;
/// Lookups of names that a tree may have under way: each holds two threads of the operating system.
pub const MAX_LOOKUPS_OF_TREE: usize = 64;
/// How long a lookup takes at most for the guest.
pub const LOOKUP_TIME_NS: u64 = 10_000_000_000;
/// Addresses that one lookup gives at most.
pub const MAX_ADDRESSES: usize = 64;
/// Bytes of a name that is looked up, before it is made ASCII.
pub const MAX_NAME_BYTES: usize = 1024;
/// Resources of one kind that a tree may hold.
pub const MAX_RESOURCES: usize = 1 << 20;
/// Bytes of the names and values of one `fields` (HTTP headers or trailers).
pub const MAX_FIELDS_BYTES: usize = 128 << 10;
