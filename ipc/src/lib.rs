//! Where calls go when they leave a domain: one file for each way there.
//!
//! Nothing is here yet: every call that runs today is an adapter or a port of the kernel. The crate holds its place in the
//! order of the crates, between mechanism and policy.
