//! What a person grants to a guest on the command line.

use std::path::PathBuf;
use std::str::FromStr;

use servers::Network;
use servers::grants::{Local, NamePattern, Peer};

/// A folder: `HOST`, `HOST::GUEST`, either with `:ro` at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// The folder here.
    pub host: PathBuf,
    /// The name that the guest opens it by.
    pub guest: String,
    /// Whether the guest can only read.
    pub read_only: bool,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Var {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What a guest may reach over the network.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NetworkArgs {
    /// Let it open TCP connections: NAME, ADDRESS or NET/BITS, with :PORT, :FIRST-LAST, or none for all ports; `*` for
    /// everybody. This machine and its neighbours (127.0.0.0/8, ::1, 169.254.0.0/16, fe80::/10) are only reached if
    /// they are named. Can be given again.
    #[arg(long = "connect", value_name = "PEER", help_heading = NETWORK)]
    pub connect: Vec<Peer>,
    /// Let it listen for TCP connections at ADDRESS:PORT; 0.0.0.0, [::] or `*` for every address, port 0 for any free
    /// one. Can be given again.
    #[arg(long = "listen", value_name = "ADDRESS:PORT", help_heading = NETWORK)]
    pub listen: Vec<Local>,
    /// Let it exchange UDP datagrams with a peer, written as for --connect. Can be given again.
    #[arg(long = "udp", value_name = "PEER", help_heading = NETWORK)]
    pub udp: Vec<Peer>,
    /// Let it wait for UDP datagrams at ADDRESS:PORT, from whoever sends them, and answer. Can be given again.
    #[arg(long = "udp-listen", value_name = "ADDRESS:PORT", help_heading = NETWORK)]
    pub udp_listen: Vec<Local>,
    /// Let it look up a name: NAME, `*.NAME`, or `*`. Names of --connect and --udp can be looked up anyway. Can be given
    /// again.
    #[arg(long = "resolve", value_name = "NAME", help_heading = NETWORK)]
    pub resolve: Vec<NamePattern>,
}

const NETWORK: &str = "Network";

impl NetworkArgs {
    /// As the servers have it.
    #[must_use]
    pub fn network(&self) -> Network {
        let NetworkArgs { connect, listen, udp, udp_listen, resolve } = self.clone();
        Network { connect, listen, udp, udp_listen, resolve }
    }
}

/// Why a grant is none.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// No folder, or no name for it.
    #[error("expected HOST, HOST::GUEST or HOST::GUEST:ro, with neither part empty")]
    Dir,
    /// No `K=V`.
    #[error("expected KEY=VALUE; to pass on all of this process's variables there is --inherit-env")]
    Var,
}

impl FromStr for Dir {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Dir, GrantError> {
        let (path, read_only) = match text.strip_suffix(":ro") {
            Some(path) => (path, true),
            None => (text, false),
        };
        let (host, guest) = path.split_once("::").unwrap_or((path, path));
        if host.is_empty() || guest.is_empty() {
            return Err(GrantError::Dir);
        }
        Ok(Dir { host: PathBuf::from(host), guest: guest.to_string(), read_only })
    }
}

impl FromStr for Var {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Var, GrantError> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                Ok(Var { key: key.to_string(), value: value.to_string() })
            }
            _ => Err(GrantError::Var),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Dir, Var};

    #[test]
    fn reads_grants() {
        let dir = |text: &str| text.parse::<Dir>().map(|dir| (dir.host, dir.guest, dir.read_only)).ok();
        let granted =
            |host: &str, guest: &str, read_only| Some((PathBuf::from(host), guest.to_string(), read_only));
        assert_eq!(dir("data"), granted("data", "data", false));
        assert_eq!(dir("data:ro"), granted("data", "data", true));
        assert_eq!(dir("/tmp/x::/d"), granted("/tmp/x", "/d", false));
        assert_eq!(dir("/tmp/x::.:ro"), granted("/tmp/x", ".", true));
        assert_eq!(dir("::d"), None);
        assert_eq!(dir("d::"), None);
        let var = |text: &str| text.parse::<Var>().map(|var| (var.key, var.value)).ok();
        assert_eq!(var("K=V=W"), Some(("K".to_string(), "V=W".to_string())));
        assert_eq!(var("K="), Some(("K".to_string(), String::new())));
        assert_eq!(var("K"), None);
    }
}
