//! Grants that have been opened: what the servers look at when a process calls.

use abi::fault::Trap;
use abi::id::ProcessId;

use super::network::Pins;
use super::why::{Explained, Grant, View, explain};
use super::{Grants, Network, Origin};
use crate::filesystem::descriptor::Descriptor;
use crate::filesystem::preopens::Preopen;
use crate::io::streams::Ends;
use crate::wasi::BuildError;

/// What some processes of a tree are granted.
pub(crate) struct Granted {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: Option<String>,
    pub(crate) preopens: Vec<(Descriptor, String)>,
    pub(crate) network: Network,
    /// What names stood for when these processes looked them up.
    pub(crate) pins: Pins,
    pub(crate) clocks: bool,
    pub(crate) random: bool,
    dirs: Vec<Preopen>,
    stdio: [Option<&'static str>; 3],
    origin: Origin,
}

impl Granted {
    /// Opens what is granted: directories here, standard streams into `ends`.
    pub(crate) fn open(grants: Grants, ends: &mut Vec<Ends>) -> Result<Granted, BuildError> {
        let View { stdio, .. } = View::of(&grants);
        let mut preopens = Vec::with_capacity(grants.dirs.len());
        for dir in &grants.dirs {
            let opened = Descriptor::preopen(dir).map_err(|source| BuildError::Preopen {
                host: dir.host.clone(),
                guest: dir.guest.clone(),
                source,
            });
            preopens.push((opened?, dir.guest.clone()));
        }
        ends.push(Ends::of(grants.stdin, grants.stdout, grants.stderr));
        Ok(Granted {
            args: grants.args,
            env: grants.env,
            cwd: grants.cwd,
            preopens,
            network: grants.network,
            pins: Pins::default(),
            clocks: grants.clocks,
            random: grants.random,
            dirs: grants.dirs,
            stdio,
            origin: grants.origin,
        })
    }

    /// See [`Grants::explain`].
    pub(crate) fn explain(&self, interface: &str) -> Explained {
        let view = View {
            dirs: &self.dirs,
            env: &self.env,
            args: &self.args,
            cwd: self.cwd.as_deref(),
            stdio: self.stdio,
            network: &self.network,
            clocks: self.clocks,
            random: self.random,
            origin: &self.origin,
        };
        explain(&view, interface)
    }

    /// The fault of a process that calls what it is not granted, where the function has no way to say so.
    pub(crate) fn fault(&self, who: &Caller<'_>, interface: &str, grant: Grant) -> Trap {
        Trap::Host(format!(
            "{who} may not use `{interface}`: it is not granted to it; {} would grant it",
            self.origin.would_grant(&[grant])
        ))
    }
}

/// Who calls, for a person to read.
pub(crate) struct Caller<'c> {
    pub(crate) id: Option<ProcessId>,
    pub(crate) path: Option<&'c str>,
}

impl std::fmt::Display for Caller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.path, self.id) {
            (Some(path), Some(id)) => write!(f, "process {path} (pid {id})"),
            (Some(path), None) => write!(f, "process {path}"),
            (None, Some(id)) => write!(f, "process {id}"),
            (None, None) => f.write_str("the caller"),
        }
    }
}
