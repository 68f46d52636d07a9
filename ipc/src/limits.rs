//! Every bound of this crate.

/// Events of one domain that are kept for whoever watches; a further one takes the place of the oldest.
pub const EVENTS_OF_A_DOMAIN: usize = 4;

/// Bytes under way in one direction of a segment; longer frames go through in pieces. A power of two.
pub const RING_BYTES: usize = 1 << 20;
/// Bytes of one frame of a segment: the values of a call, or an answer.
pub const FRAME_BYTES: usize = 512 << 20;
/// Bytes of memory that are made room for at a time while a frame arrives.
pub const FRAME_BYTES_AT_ONCE: usize = 4 << 20;
/// How long a frame that has begun may stand still, nanoseconds.
pub const FRAME_STALL_NS: u64 = 10_000_000_000;
/// How long the process of a domain whose call is over by a limit may take to end it, nanoseconds.
pub const VERDICT_GRACE_NS: u64 = 500_000_000;
/// How often the process of a domain may ring without having written anything, in one call.
pub const IDLE_RINGS: u32 = 10_000;
/// The longest that one side looks whether the other has moved before it sleeps, nanoseconds.
pub const SPIN_NS: u64 = 40_000;
/// How long a process may take to start, nanoseconds: it loads its image and compiles its adapters.
pub const START_NS: u64 = 60_000_000_000;
