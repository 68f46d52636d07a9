//! `atoll dump`: the core dump of a process that runs, into a file.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use abi::control::process_row::ProcessRow;
use abi::control::request::Request;
use abi::control::response::Response;
use serde::Serialize;

use super::columns::harmless;
use super::listing::Running;
use super::watchargs::Dump;
use crate::complaint::Complaint;
use crate::console::{Trouble, print};
use crate::control::dialing::{Dialed, unexpected};
use crate::exit_code::Exit;
use crate::jsontext::json;
use crate::treetext::bytes;

/// How long a process may take to stand still, and its memories to be written down.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was written, for programs.
#[derive(Debug, Serialize)]
struct Written<'w> {
    process: &'w str,
    file: String,
    bytes: u64,
}

/// Writes it.
///
/// # Errors
/// There is no such process, it does not come to stand, or the file cannot be written.
pub fn dump(args: &Dump) -> Result<Exit, Trouble> {
    let (tree, process, mut line) = Running::of_user().process(&args.whom.name)?;
    let process = &tree.processes[process];
    let path = args.output.clone().unwrap_or_else(|| usual_name(process));
    let failed = |error: std::io::Error| {
        Complaint::new(Exit::Failed, format!("{}: cannot be written", path.display())).because(error)
    };
    // Nobody's file is touched before there is something to put into it.
    let request = Request::Dump { path: process.path.clone() };
    let first = part(&mut line, &request)?;
    let mut file = File::create(&path).map_err(failed)?;
    if let Err(complaint) = save(&mut line, first, |bytes| file.write_all(bytes).map_err(failed)) {
        // Half a dump is none.
        let _ = fs::remove_file(&path);
        return Err(complaint.into());
    }
    let written = Written {
        process: &process.path,
        file: path.display().to_string(),
        bytes: fs::metadata(&path).map_or(0, |found| found.len()),
    };
    let text = || format!("{}: {} of {}\n", written.file, bytes(written.bytes), harmless(written.process));
    print(&if args.whom.json { json(&written) } else { text() })
}

/// Asks for part after part until there are all.
fn save(
    line: &mut Dialed,
    (mut some, total): (Vec<u8>, u64),
    mut write: impl FnMut(&[u8]) -> Result<(), Complaint>,
) -> Result<(), Complaint> {
    let mut offset = 0;
    loop {
        write(&some)?;
        offset += some.len() as u64;
        if offset >= total {
            return Ok(());
        }
        (some, _) = part(line, &Request::DumpFrom { offset })?;
        if some.is_empty() {
            return Err(Complaint::new(
                Exit::Failed,
                format!("the dump ends after {offset} of {total} bytes"),
            ));
        }
    }
}

fn part(line: &mut Dialed, request: &Request) -> Result<(Vec<u8>, u64), Complaint> {
    match line.ask(request, PATIENCE)? {
        Response::Part { bytes, total } => Ok((bytes, total)),
        other => Err(unexpected(&other)),
    }
}

/// `store-2-gen0.core`, here.
fn usual_name(process: &ProcessRow) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name: String = process.name().chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    PathBuf::from(format!("{name}-{}-gen{}.core", process.pid, process.generation))
}
