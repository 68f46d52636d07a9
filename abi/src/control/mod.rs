//! The console's protocol: what a running supervisor is asked over its socket, and what it answers.
//!
//! Both sides may be anybody: nothing here trusts a length, a depth or a text that came with a message, and nothing is
//! allocated because a message says so. How bytes get from one side to the other is not known here.
//!
//! ```text
//! client ─► greeting                 supervisor ─► greeting, perhaps with words: then it hangs up
//! client ─► frame: Request           supervisor ─► frame: Response, one a request, in order
//! ```
//!
//! - [`request`], [`response`]: the messages; [`refusal`]: what is answered to what cannot be done
//! - [`greeting`]: versions are compared before anything else is read
//! - [`framing`]: messages out of a stream of bytes
//! - [`control_codec`]: messages as bytes: the only file that knows bincode
//! - [`process_row`], [`domain_row`], [`edge_row`]: what `ps` and `top` show
//! - [`treeview`]: what `tree` shows; [`inspection`]: what `inspect` shows; [`faultview`]: a fault
//! - [`routing`]: who provides an import, over what, or why nobody does
//! - [`log_line`]: what a process has printed
//! - [`call_line`]: what tracing has seen of a call

pub mod call_line;
pub mod control_codec;
pub mod domain_row;
pub mod edge_row;
pub mod faultview;
pub mod framing;
pub mod greeting;
pub mod inspection;
pub mod log_line;
pub mod process_row;
pub mod refusal;
pub mod request;
pub mod response;
pub mod routing;
pub mod treeview;

/// The version of the protocol. Whoever changes a message adds one.
pub const VERSION: u32 = 2;
