//! What a process is granted, as the servers take it.

use servers::Preopen;
use servers::grants::{Grants, Network, Origin};
use servers::{Input, Output};

use super::entries::Entry;
use super::keys::{GrantKeys, NetworkKeys};
use super::said::{Said, Spot, StdinFrom, StdoutTo};
use super::sheet::Sheet;
use crate::complaint::Complaint;

/// Where what a process prints goes, if it goes into the logs: standard output, and standard error.
pub struct Printed {
    /// Standard output.
    pub stdout: Output,
    /// Standard error.
    pub stderr: Output,
}

/// What a manifest grants a process that it names.
#[must_use]
pub fn grants(sheet: &Sheet, entry: &Entry, printed: Printed) -> Grants {
    let keys = &entry.keys.grants;
    let dirs = keys.dirs.iter().map(|dir| {
        let dir = &dir.get_ref().0;
        Preopen { host: sheet.folder.join(&dir.host), guest: dir.guest.clone(), read_only: dir.read_only }
    });
    let to = |said: Option<Said<StdoutTo>>, log: Output, own: fn() -> Output| match said.map(|said| said.0) {
        None | Some(StdoutTo::Log) => Some(log),
        Some(StdoutTo::Inherit) => Some(own()),
        Some(StdoutTo::Nowhere) => None,
    };
    let mut grants = Grants {
        dirs: dirs.collect(),
        args: std::iter::once(entry.name.clone()).chain(keys.args.iter().cloned()).collect(),
        cwd: keys.cwd.clone(),
        stdin: match keys.stdin.map(|said| said.0) {
            Some(StdinFrom::Inherit) => Some(Input::inherit()),
            None | Some(StdinFrom::Nowhere) => None,
        },
        stdout: to(keys.stdout, printed.stdout, Output::inherit_stdout),
        stderr: to(keys.stderr, printed.stderr, Output::inherit_stderr),
        network: network(&keys.network),
        clocks: keys.clocks,
        random: keys.random,
        origin: origin(sheet, &entry.name),
        ..Grants::default()
    };
    let said = keys.env.iter().map(|(name, value)| (name.get_ref().clone(), value.clone()));
    for (name, value) in passed_on(keys).chain(said) {
        grants.set_env(name, value);
    }
    grants
}

/// What a process has that the manifest does not name: nothing but a place for what it prints.
#[must_use]
pub fn nothing(sheet: &Sheet, name: &str, printed: Printed) -> Grants {
    Grants {
        stdout: Some(printed.stdout),
        stderr: Some(printed.stderr),
        origin: origin(sheet, name),
        ..Grants::default()
    }
}

fn origin(sheet: &Sheet, name: &str) -> Origin {
    let name = if name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
        format!("\"{name}\"")
    } else {
        name.to_owned()
    };
    Origin::Manifest { file: sheet.path.clone(), table: format!("process.{name}.grants") }
}

fn network(keys: &NetworkKeys) -> Network {
    fn rules<T: Clone>(said: &[Spot<Said<T>>]) -> Vec<T> {
        said.iter().map(|said| said.get_ref().0.clone()).collect()
    }
    Network {
        connect: rules(&keys.connect),
        listen: rules(&keys.listen),
        udp: rules(&keys.udp),
        udp_listen: rules(&keys.udp_listen),
        resolve: rules(&keys.resolve),
    }
}

/// The variables that are passed on from outside.
fn passed_on(keys: &GrantKeys) -> impl Iterator<Item = (String, String)> {
    let wanted = |name: &str| {
        keys.inherit_env.iter().any(|wanted| wanted.get_ref() == "*" || wanted.get_ref() == name)
    };
    let all = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    all.filter(move |(name, _)| wanted(name))
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
}

/// Checks that what is granted is there.
///
/// # Errors
/// A folder that is none.
pub fn check(sheet: &Sheet, entry: &Entry) -> Result<(), Complaint> {
    for dir in &entry.keys.grants.dirs {
        let host = sheet.folder.join(&dir.get_ref().0.host);
        if host.is_dir() {
            continue;
        }
        let what = match host.exists() {
            true => format!("`{}` is no folder", host.display()),
            false => format!("there is no folder `{}`", host.display()),
        };
        let complaint = sheet.complain(dir.span(), what, format!("granted to `{}`", entry.name));
        return Err(complaint.advise(
            "folders are written HOST::GUEST or HOST::GUEST:ro, HOST from the manifest's folder on",
        ));
    }
    Ok(())
}
