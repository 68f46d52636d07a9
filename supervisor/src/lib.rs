//! Policy: what runs, with what grants, and what a person sees of it. The binary `atoll` is its console.
//!
//! It asks the kernel and never reaches into it: no memory, no machine code, no table is touched from here.
//!
//! - [`console`]: the command line, from arguments to exit code; [`args`], [`grant`]: what can be asked for
//! - [`live`]: a tree that runs; [`confine`]: its domains and limits; [`interrupt`]: what ends it; [`measure`]: numbers
//!   with units
//! - [`tend`]: what keeps a tree running; [`steward`]: whatever runs one, as others see it;
//!   [`unsupervised`]: that without a policy; [`logs`]: what the processes have printed
//! - [`up`]: a manifest's tree, kept running; [`chronicle`]: what is printed meanwhile; [`detach`]: in the background; [`core_file`]: what
//!   its faults leave
//! - [`launch`], [`survey`], [`check`], [`world`]: what `run`, `tree`, `validate` and `wit` do
//! - [`program`]: from a path to a component; [`preview1`]: a component around a core module;
//!   [`image_file`]: what `compile` writes
//! - [`callable`]: exported functions by name; [`nearest`]: the name somebody meant
//! - [`treetext`]: the tree of processes as text; [`spent`]: what was used; [`ending`]: all of it after a run
//! - [`manifest`]: a tree described in a file; [`compose`]: one component out of several, wired
//! - [`complaint`], [`blame`]: what a person reads when something cannot be done, and when a guest faults
//! - [`gauge`]: measures calls, beside what the machine takes for the same
//! - [`fuzz`]: looks for calls that make a component fail
//! - [`wast`]: runs the scripts of WebAssembly's official suites
//! - [`control`]: the socket of a running tree, and the line to it; [`watch`]: the commands that use it
//! - [`spans`]: what becomes of a tree, for `tracing` and OpenTelemetry
//! - [`limits`]: every bound
//! - [`exit_code`]: exit codes; [`paint`], [`progress`]: what a terminal shows beyond text; [`jsontext`]: what programs get

// The tree and faults as data: a console far away has them too.
pub use abi::control::{faultview, treeview};

pub mod args;
pub mod blame;
pub mod callable;
pub mod check;
pub mod chronicle;
pub mod complaint;
pub mod compose;
pub mod confine;
pub mod console;
pub mod control;
mod core_file;
pub mod detach;
mod ending;
pub mod exit_code;
pub mod fuzz;
pub mod gauge;
pub mod grant;
pub mod image_file;
mod interrupt;
pub mod jsontext;
pub mod launch;
pub mod limits;
pub mod live;
pub mod logs;
pub mod manifest;
pub mod measure;
pub mod nearest;
pub mod paint;
pub mod preview1;
pub mod program;
pub mod progress;
pub mod spans;
pub mod spent;
pub mod steward;
pub mod survey;
pub mod tend;
pub mod treetext;
pub mod unsupervised;
pub mod up;
pub mod wast;
pub mod watch;
pub mod world;
