//! What a process may reach: nothing, unless somebody grants it.
//!
//! Grants are by process, and chosen by who calls: [`Builder::grant`](crate::wasi::Builder::grant) gives a process its
//! own, and those that were given none have the builder's. They say what a process can *open*. What it has opened and
//! hands to another as a handle (a descriptor, a stream, a socket, a network) is the other's to use: that is what a
//! handle is for.
//!
//! - [`rule`]: what may be reached over a network, as a person writes it: [`Peer`], [`Local`], [`NamePattern`]
//! - [`net`]: sets of addresses; [`ports`]: of ports
//! - [`network`]: all rules of a process, and what they say of an address
//! - [`why`]: whether an interface is granted, and what would grant it
//! - [`granted`]: grants that have been opened, for the servers

pub(crate) mod granted;
pub mod net;
pub mod network;
pub mod ports;
pub mod rule;
pub mod why;

pub use net::Net;
pub use network::Network;
pub use ports::Ports;
pub use rule::{Local, NamePattern, Peer, RuleError};
pub use why::Explained;

use crate::filesystem::preopens::Preopen;
use crate::io::input::Input;
use crate::io::output::Output;

/// What one process is granted. [`Grants::default`] is nothing.
#[derive(Default)]
pub struct Grants {
    /// Directories, each to read only or to change too.
    pub dirs: Vec<Preopen>,
    /// Environment variables, in the order in which the guest gets them.
    pub env: Vec<(String, String)>,
    /// Arguments; by custom the first is the program's name.
    pub args: Vec<String>,
    /// Which directory relative paths begin at.
    pub cwd: Option<String>,
    /// Where standard input comes from. Without it the guest finds it at its end.
    pub stdin: Option<Input>,
    /// Where standard output goes. Without it what the guest writes is thrown away.
    pub stdout: Option<Output>,
    /// Where standard error goes. Without it what the guest writes is thrown away.
    pub stderr: Option<Output>,
    /// What can be reached over the network.
    pub network: Network,
    /// The time of day, and the monotonic clock: a guest cannot sleep without it either. Using one without the grant is a
    /// fault, as these functions have no errors.
    pub clocks: bool,
    /// Random numbers, those not fit for keys too. Using them without the grant is a fault.
    pub random: bool,
    /// Where these grants were written down, for what says how to change them.
    pub origin: Origin,
}

/// Where grants are written down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// In the program that launches the tree: fields of [`Grants`].
    #[default]
    Program,
    /// On the command line of `atoll run`, for all processes of the tree.
    CommandLine,
    /// In a manifest.
    Manifest {
        /// The manifest's path.
        file: String,
        /// The table that has the process's grants, as it is written: `processes.store.grants`.
        table: String,
    },
}

impl Grants {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Grants {
        Grants::default()
    }

    /// Sets an environment variable; a later one of the same name replaces an earlier one.
    pub fn set_env(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.env.retain(|(other, _)| *other != name);
        self.env.push((name, value.into()));
    }

    /// Whether an interface, such as `wasi:sockets/tcp`, is granted, with what, and what would grant it.
    #[must_use]
    pub fn explain(&self, interface: &str) -> Explained {
        why::explain(&why::View::of(self), interface)
    }
}

impl std::fmt::Debug for Grants {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Grants { dirs, env, args, cwd, network, clocks, random, origin, .. } = self;
        let stdio = [self.stdin.is_some(), self.stdout.is_some(), self.stderr.is_some()];
        f.debug_struct("Grants")
            .field("dirs", dirs)
            .field("env", env)
            .field("args", args)
            .field("cwd", cwd)
            .field("stdio", &stdio)
            .field("network", network)
            .field("clocks", clocks)
            .field("random", random)
            .field("origin", origin)
            .finish()
    }
}
