//! Components: parse, link, launch. The spec's words in, the operating system's words out.
//!
//! Nothing here knows the canonical ABI but by name.
//!
//! - [`parse`]: bytes → definitions, validated; [`validate`]: the rules that wasmparser leaves to us
//! - [`executable`]: definitions and compiled libraries; [`packed`]: the same as bytes
//! - [`link`]: definitions → a linear program ([`linked`]), as [`options`] say; [`edge`]: lifting and lowering;
//!   [`draft`]: a domain meanwhile; [`callees`]: what its adapters call; [`def`], [`spaces`]: what an index means meanwhile
//! - [`offer`], [`offered_module`]: what the host gives; [`name`]: by which name; [`resolve`]: types
//! - [`tree`]: launches that and calls into it ([`call`], [`task`], [`direct_func`]); [`peers`]: its domains; [`running`]:
//!   what the built-ins ([`hooks`]) of one work on, and host functions ([`host_call`]); [`standing`]: what others see of it; [`guest`]: a
//!   process as one side of a call
//! - [`port`]: imports that lead into another domain; [`letter`]: the values of a call over one on their way
//! - [`neighbour`]: calls of domains that can run at once; [`arrival`]: those of them that compiled code makes; [`dispatch`]: the same at another worker
//! - [`apart`]: domains that run in other OS processes
//! - [`carrier`]: calls between domains that have threads of their own; [`onlooker`]: who is told when one ends processes
//! - [`observe`]: what can be seen of all that while it runs
//! - [`error`]: why not

pub mod apart;
pub mod arrival;
pub mod carrier;
pub mod direct_func;
mod dispatch;
pub mod error;
pub mod executable;
pub mod link;
pub mod linked;
pub mod name;
pub mod neighbour;
pub mod observe;
pub mod onlooker;
pub mod options;
pub mod packed;
pub mod port;
pub mod tree;
pub mod validate;

mod call;
mod callees;
mod def;
mod draft;
mod edge;
mod guest;
mod hooks;
pub(crate) mod host_call;
mod letter;
mod offer;
mod offered_module;
mod parse;
mod peers;
mod resolve;
mod running;
mod spaces;
mod standing;
mod task;
