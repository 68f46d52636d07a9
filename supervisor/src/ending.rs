//! What became of a run, as data: `atoll run --report FILE`.

use std::path::Path;

use serde::Serialize;

use crate::complaint::Complaint;
use crate::console::Trouble;
use crate::exit_code::Exit;
use crate::faultview::FaultView;
use crate::jsontext::json;
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
    std::fs::write(file, json(&report)).map_err(|error| {
        let what = format!("--report {}: cannot be written", file.display());
        Complaint::new(Exit::Failed, what).because(error)
    })
}

#[cfg(test)]
mod tests {
    use abi::fault::{Fault, Frame, Trap};
    use abi::id::{DomainId, ProcessId};

    use crate::faultview::FaultView;
    use crate::jsontext::json;

    #[test]
    fn the_record_of_a_fault_has_everything() {
        let process = ProcessId { index: 2, generation: 1 };
        let frame = Frame {
            process: Some(process),
            process_name: "/app/kv".to_string(),
            module: Some("store".to_string()),
            func_index: Some(7),
            func_name: Some("put".to_string()),
            offset: Some(52),
        };
        let call = Frame { module: None, func_index: None, offset: None, ..frame.clone() };
        let fault = Fault {
            process: Some(process),
            process_name: "/app/kv".into(),
            domain: Some(DomainId { index: 1, generation: 0 }),
            frames: vec![frame, call],
            registers: Some(Box::new(vec![("rip", 0x1234)])),
            ..Fault::new(Trap::Limit { limit: "bytes of a process's stack", value: 65537, allowed: 65536 })
        };
        insta::assert_snapshot!(json(&FaultView::from(&fault)), @r#"
        {
          "kind": "limit",
          "message": "bytes of a process's stack exceeded: 65537 is more than 65536",
          "process": {
            "pid": 2,
            "generation": 1,
            "path": "/app/kv"
          },
          "domain": {
            "index": 1,
            "generation": 0
          },
          "limit": {
            "name": "bytes of a process's stack",
            "value": 65537,
            "allowed": 65536
          },
          "backtrace": [
            {
              "process": "/app/kv",
              "what": "function",
              "module": "store",
              "function_index": 7,
              "function": "put",
              "pc": 52
            },
            {
              "process": "/app/kv",
              "what": "call",
              "module": null,
              "function_index": null,
              "function": "put",
              "pc": null
            }
          ],
          "registers": {
            "rip": "0x1234"
          }
        }
        "#);
        let plain = FaultView::from(&Fault::new(Trap::MemoryOutOfBounds));
        assert_eq!((plain.kind.as_str(), plain.process), ("memory-out-of-bounds", None));
    }
}
