//! Where control sockets are: a folder that belongs to one user, who alone can enter it.
//!
//! A socket is called after the number that the operating system gives to the process that opened it. It gets that name once
//! somebody listens: a socket that refuses is one whose owner has died.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// What the names of sockets end with.
const SUFFIX: &str = ".sock";

/// Why there is no folder for sockets.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// The operating system refuses.
    #[error("{path}: {error}")]
    Io {
        /// Which folder.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// Somebody else could get at what is in it.
    #[error("{path} is not a folder of user {user} that only they can enter (0700): remove it")]
    Shared {
        /// Which folder.
        path: String,
        /// Who it should belong to.
        user: u32,
    },
}

/// The folders where this user's sockets can be, the best first.
fn candidates() -> Vec<PathBuf> {
    let user = geteuid();
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
        Some(folder) => vec![Path::new(&folder).join("atoll")],
        None => vec![
            Path::new("/run/user").join(user.to_string()).join("atoll"),
            std::env::temp_dir().join(format!("atoll-{user}")),
        ],
    }
}

/// The folder where this process puts its socket; it is made if it is not there.
///
/// # Errors
/// It cannot be made, or others can enter it.
pub fn open() -> Result<PathBuf, DirError> {
    let candidates = candidates();
    // A runtime directory is there or it is not: nobody makes one for a user who has not logged in.
    let usable = candidates.iter().find(|path| path.parent().is_some_and(Path::is_dir));
    let path = usable.or(candidates.first()).expect("there is always one");
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(DirError::Io { path: path.display().to_string(), error })
        }
        _ => check(path).map(|()| path.clone()),
    }
}

/// Whether a folder belongs to this user, and nobody else can enter it.
fn check(path: &Path) -> Result<(), DirError> {
    let shown = || path.display().to_string();
    // Of a link, what it is itself counts.
    let found = fs::symlink_metadata(path).map_err(|error| DirError::Io { path: shown(), error })?;
    let user = geteuid().as_raw();
    if !found.is_dir() || found.uid() != user || found.mode() & 0o077 != 0 {
        return Err(DirError::Shared { path: shown(), user });
    }
    Ok(())
}

/// A folder where sockets could be, but that others can enter too: what is in it is not trusted.
#[must_use]
pub fn unused() -> Option<DirError> {
    let refused = candidates().into_iter().filter_map(|folder| check(&folder).err());
    refused.into_iter().find(|error| matches!(error, DirError::Shared { .. }))
}

/// The name of the socket of a process.
#[must_use]
pub fn socket(folder: &Path, os_pid: u32) -> PathBuf {
    folder.join(format!("{os_pid}{SUFFIX}"))
}

/// The sockets of this user, by the number of the process that opened each. Folders that others can enter are left out.
#[must_use]
pub fn sockets() -> Vec<(u32, PathBuf)> {
    let mut found = Vec::new();
    for folder in candidates().into_iter().filter(|folder| check(folder).is_ok()) {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        found.extend(entries.flatten().filter_map(|entry| {
            let name = entry.file_name();
            let os_pid = name.to_str()?.strip_suffix(SUFFIX)?.parse().ok()?;
            Some((os_pid, entry.path()))
        }));
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::check;

    #[test]
    fn only_a_folder_of_ones_own_is_trusted() {
        let base = std::env::temp_dir().join(format!("atoll-runtime-{}", std::process::id()));
        fs::create_dir_all(&base).unwrap();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(check(&base).is_ok());
        let link = base.join("link");
        symlink(&base, &link).unwrap();
        assert!(check(&link).unwrap_err().to_string().contains("0700"));
        assert!(check(&base.join("nothing")).is_err());
        fs::set_permissions(&base, fs::Permissions::from_mode(0o710)).unwrap();
        assert!(check(&base).is_err());
        fs::remove_dir_all(&base).unwrap();
    }
}
