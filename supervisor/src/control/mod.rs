//! The control socket: every running tree can be asked what it does, and be told what to do, by its user.
//!
//! A client is hostile until it has shown otherwise: who it is comes from the operating system, how long it may take and how much
//! it may send is bounded, and whatever it sends, the tree goes on. Nothing here runs on a guest's worker.
//!
//! - [`runtime_dir`]: where the sockets are
//! - [`listening`]: the socket of this tree; [`patience`]: reading and writing with a time limit
//! - [`conversation`]: what one client says and is answered; [`reception`]: who answers
//! - [`digest`], [`scrutiny`]: a tree in short, a process in full
//! - [`calling`]: functions called from outside; [`traces`]: edges, and calls over them; [`routes`]: who provides what;
//!   [`dumps`]: core dumps
//! - [`exposition`], [`scraping`]: meters for Prometheus, over HTTP
//! - [`os_process`]: what the operating system knows of a process that a domain runs in
//! - [`dialing`]: the other end: trees that run, and a line to one; [`addressing`]: which one a person means

pub mod addressing;
mod calling;
pub mod conversation;
pub mod dialing;
pub mod digest;
mod dumps;
pub mod exposition;
pub mod listening;
mod os_process;
pub mod patience;
pub mod reception;
pub mod routes;
pub mod runtime_dir;
pub mod scraping;
mod scrutiny;
mod traces;
