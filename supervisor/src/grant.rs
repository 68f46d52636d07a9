//! What a person grants to a guest on the command line.

use std::path::PathBuf;
use std::str::FromStr;

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
