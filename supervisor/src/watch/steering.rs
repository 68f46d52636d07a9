//! `atoll kill`, `restart` and `down`: what changes a tree that runs.

use std::time::{Duration, Instant};

use abi::control::request::Request;
use abi::control::response::Response;
use serde::Serialize;

use super::listing::Running;
use super::watchargs::{Down, Kill, Restart, Whom};
use crate::complaint::Complaint;
use crate::console::{Trouble, print};
use crate::control::addressing;
use crate::control::dialing::{DialError, Dialed, PROMPT, unexpected, unreachable};
use crate::exit_code::Exit;
use crate::jsontext::json;

/// How long a domain may take to end, or to begin again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a tree may take to shut down before it is said that it has not yet; its own timeouts are what ends it.
const SHUT_DOWN: Duration = Duration::from_secs(120);

/// What was done, for programs.
#[derive(Debug, Serialize)]
struct Deed<'d> {
    os_pid: u32,
    tree: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'d str>,
    deed: &'d str,
}

/// Ends the domain of a process.
///
/// # Errors
/// There is no such process, or its supervisor refuses.
pub fn kill(args: &Kill) -> Result<Exit, Trouble> {
    let (by, for_good) = ("atoll kill".to_owned(), args.for_good);
    steer(&args.whom, "killed", |path| Request::Kill { path, by, for_good })
}

/// Begins the next life of the domain of a process.
///
/// # Errors
/// There is no such process, or its supervisor refuses.
pub fn restart(args: &Restart) -> Result<Exit, Trouble> {
    let by = "atoll restart".to_owned();
    steer(&args.whom, "restarted", |path| Request::Restart { path, by })
}

fn steer(whom: &Whom, deed: &str, request: impl FnOnce(String) -> Request) -> Result<Exit, Trouble> {
    let (tree, process, mut line) = Running::of_user().process(&whom.name)?;
    let path = &tree.processes[process].path;
    expect_done(&mut line, &request(path.clone()))?;
    let deed = Deed { os_pid: tree.os_pid, tree: &tree.name, process: Some(path), deed };
    print(&if whom.json { json(&deed) } else { format!("{path} {}\n", deed.deed) })
}

fn expect_done(line: &mut Dialed, request: &Request) -> Result<(), Complaint> {
    match line.exchange(request, PATIENCE) {
        // What ends a tree may end the supervisor before it can say so.
        Ok(Response::Done) | Err(DialError::Gone) => Ok(()),
        Ok(Response::Refused(refusal)) => Err(refusal.into()),
        Ok(other) => Err(unexpected(&other)),
        Err(error) => Err(unreachable(line.os_pid(), error)),
    }
}

/// Shuts trees down, in order.
///
/// # Errors
/// There is no such tree, or it does not end.
pub fn down(args: &Down) -> Result<Exit, Trouble> {
    let running = Running::of_user();
    let (trees, lines) = match (args.all, &args.name) {
        (true, _) if running.trees.is_empty() => {
            return Err(running.perhaps_silent(addressing::nothing()).into());
        }
        (true, _) => (running.trees, running.lines),
        (false, name) => {
            let several = running.trees.len() > 1 && name.is_none();
            let (tree, line) = running.tree(name.as_deref()).map_err(|complaint| match several {
                true => complaint.advise("all of them: `atoll down --all`"),
                false => complaint,
            })?;
            (vec![tree], vec![line])
        }
    };
    let mut deeds = Vec::new();
    for (tree, mut line) in trees.iter().zip(lines) {
        expect_done(&mut line, &Request::Down { by: "atoll down".to_owned() })?;
        let deed = if args.no_wait { "is shutting down" } else { "is down" };
        if !args.no_wait && !ended(&mut line) {
            let what =
                format!("{} ({}) has not ended after {} s", tree.name, tree.os_pid, SHUT_DOWN.as_secs());
            let advice = format!("`kill -INT {}` twice ends it at once", tree.os_pid);
            return Err(Complaint::new(Exit::Failed, what).advise(advice).into());
        }
        deeds.push(Deed { os_pid: tree.os_pid, tree: &tree.name, process: None, deed });
    }
    let text = || deeds.iter().map(|deed| format!("{} ({}) {}\n", deed.tree, deed.os_pid, deed.deed));
    print(&if args.json { json(&deeds) } else { text().collect() })
}

/// Waits until the supervisor is gone; whether it is.
fn ended(line: &mut Dialed) -> bool {
    let until = Instant::now() + SHUT_DOWN;
    while Instant::now() < until {
        if line.exchange(&Request::Alive, PROMPT).is_err() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
