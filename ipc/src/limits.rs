//! Every bound of this crate.

/// Events of one domain that are kept for whoever watches; a further one takes the place of the oldest.
pub const EVENTS_OF_A_DOMAIN: usize = 4;
