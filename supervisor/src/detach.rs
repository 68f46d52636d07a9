//! `atoll up -d`: the tree runs in a process of its own, which outlives the terminal; whoever started it waits until it is up.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde::Serialize;

use crate::args;
use crate::complaint::Complaint;
use crate::console::{Trouble, print};
use crate::control::runtime_dir;
use crate::exit_code::Exit;

/// What the process in the background says, and then the tree's name, when it is up.
const READY: &str = "up ";

/// A tree that runs in the background, for programs.
#[derive(Debug, Serialize)]
struct Detached<'d> {
    tree: &'d str,
    os_pid: u32,
}

/// Starts a process that brings a manifest's tree up, and waits until that has come up or failed.
///
/// # Errors
/// The process cannot be started.
pub fn detach(file: &Path, args: &args::Up) -> Result<Exit, Trouble> {
    let failed = |error| Complaint::new(Exit::Failed, "no process in the background").because(error);
    // What nobody can ask or end is not left running.
    runtime_dir::open().map_err(|error| {
        Complaint::new(Exit::Failed, "a tree in the background needs a control socket").because(error)
    })?;
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(["up", "--in-background"]).args(args.spans.words());
    if let Some(address) = args.metrics {
        command.args(["--metrics", &address.to_string()]);
    }
    command.arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    match first_line(&mut child).as_deref().and_then(|line| line.strip_prefix(READY)) {
        Some(tree) if args.json => {
            let detached = Detached { tree, os_pid: child.id() };
            print(&(serde_json::to_string(&detached).expect("it has a JSON form") + "\n"))
        }
        Some(tree) => print(&format!(
            "{tree} is up in process {}: `atoll ps` shows it, `atoll logs -f {tree}` what it prints, `atoll down {tree}` \
             ends it\n",
            child.id()
        )),
        None => Ok(ended(child)),
    }
}

fn first_line(child: &mut Child) -> Option<String> {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut()?).read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}

/// Passes on what a process that has not come up had to say.
fn ended(mut child: Child) -> Exit {
    let mut said = Vec::new();
    if let Some(stderr) = &mut child.stderr {
        let _ = stderr.read_to_end(&mut said);
    }
    let _ = std::io::stderr().write_all(&said);
    let code = child.wait().ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    code.map_or(Exit::Failed, Exit::Guest)
}

/// Lets this process be in the background: it belongs to no terminal.
///
/// # Errors
/// The operating system refuses.
pub fn settle() -> Result<(), Complaint> {
    let refused = |errno: nix::Error| {
        Complaint::new(Exit::Failed, "cannot leave the terminal").because(std::io::Error::from(errno))
    };
    nix::unistd::setsid().map(drop).map_err(refused)
}

/// Says that the tree is up. After this nobody reads what this process prints.
pub fn ready(tree: &str) {
    let mut out = std::io::stdout();
    // Whoever started it may have gone.
    let _ = writeln!(out, "{READY}{tree}").and_then(|()| out.flush());
}
