//! What became of a run, as data: `atoll run --report FILE`.

use std::path::Path;

use serde::Serialize;

use crate::complaint::Complaint;
use crate::console::Trouble;
use crate::exit_code::Exit;
use crate::faultview::FaultView;
use crate::spent::Used;
use crate::treeview::TreeView;

/// How a run ended, and the tree as it was then.
#[derive(Debug, Serialize)]
struct Report<'r> {
    /// The exit code.
    exit: u8,
    /// The fault that it ended with.
    fault: Option<FaultView>,
    /// The tree; none if it did not come up.
    #[serde(flatten)]
    tree: Option<&'r TreeView>,
    /// What it has used.
    used: Option<&'r Used>,
}

/// Writes a report to a file.
///
/// # Errors
/// It cannot be written.
pub fn write(
    file: &Path,
    outcome: &Result<Exit, Trouble>,
    left: Option<&(TreeView, Used)>,
) -> Result<(), Complaint> {
    let fault = match outcome {
        Err(Trouble::Fault { fault, .. }) if Trouble::exit_of(fault) == Exit::Fault => {
            Some(FaultView::from(&**fault))
        }
        _ => None,
    };
    let exit = match outcome {
        Ok(exit) => *exit,
        Err(trouble) => trouble.exit(),
    };
    let (tree, used) = left.map(|(tree, used)| (tree, used)).unzip();
    let report = Report { exit: exit.code(), fault, tree, used };
    let text = serde_json::to_string_pretty(&report).expect("strings and numbers always have a JSON form");
    std::fs::write(file, text + "\n").map_err(|error| {
        let what = format!("--report {}: cannot be written", file.display());
        Complaint::new(Exit::Failed, what).because(error)
    })
}
