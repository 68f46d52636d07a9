//! A fault as data: what `atoll run --report` writes and `atoll inspect` shows.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::fault::{Fault, Frame, Trap};

/// A record of a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct FaultView {
    /// What happened, as one word: the name of the trap.
    pub kind: String,
    /// What happened, as a sentence.
    pub message: String,
    /// The process it happened in.
    pub process: Option<ProcessName>,
    /// The domain it happened in.
    pub domain: Option<DomainName>,
    /// The limit that was reached, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitView>,
    /// The call chain over all processes, innermost first: what each was doing.
    pub backtrace: Vec<FrameView>,
    /// Where the processor was, as hexadecimal digits by the registers' names; none if it was not interrupted.
    pub registers: BTreeMap<String, String>,
}

/// A process of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ProcessName {
    /// Its number.
    pub pid: Option<u32>,
    /// How many processes had that before.
    pub generation: Option<u32>,
    /// Names from the root, `/` between them.
    pub path: String,
}

/// A domain of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DomainName {
    /// Its number in the tree.
    pub index: u32,
    /// How many lives it had before.
    pub generation: u32,
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LimitView {
    /// Which.
    pub name: String,
    /// The value that was more than allowed.
    pub value: u64,
    /// What is allowed.
    pub allowed: u64,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct FrameView {
    /// The process whose frame it is, by its path.
    pub process: String,
    /// `function`, or `call` for the code between two processes.
    pub what: String,
    /// The core module's name, if it has one.
    pub module: Option<String>,
    /// Its index in the module.
    pub function_index: Option<u32>,
    /// Its name, or the name of what is called.
    pub function: Option<String>,
    /// The pc: bytes from the beginning of the module's binary.
    pub pc: Option<u32>,
}

impl From<&Fault> for FaultView {
    fn from(fault: &Fault) -> FaultView {
        let known = fault.process.is_some() || !fault.process_name.is_empty();
        let name = || ProcessName {
            pid: fault.process.map(|id| id.index),
            generation: fault.process.map(|id| id.generation),
            path: fault.process_name.to_string(),
        };
        let registers = fault.registers.iter().flat_map(|registers| registers.iter());
        FaultView {
            kind: kind(&fault.trap),
            message: fault.trap.to_string(),
            process: known.then(name),
            domain: fault.domain.map(|id| DomainName { index: id.index, generation: id.generation }),
            limit: match fault.trap {
                Trap::Limit { limit, value, allowed } => {
                    Some(LimitView { name: limit.to_owned(), value, allowed })
                }
                _ => None,
            },
            backtrace: fault.frames.iter().map(FrameView::from).collect(),
            registers: registers.map(|(name, value)| ((*name).to_owned(), format!("{value:#x}"))).collect(),
        }
    }
}

impl From<&Frame> for FrameView {
    fn from(frame: &Frame) -> FrameView {
        FrameView {
            process: frame.process_name.clone(),
            what: if frame.func_index.is_some() { "function" } else { "call" }.to_owned(),
            module: frame.module.clone(),
            function_index: frame.func_index,
            function: frame.func_name.clone(),
            pc: frame.offset,
        }
    }
}

/// `MemoryOutOfBounds` as `memory-out-of-bounds`.
fn kind(trap: &Trap) -> String {
    let debug = format!("{trap:?}");
    let name = debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let mut kind = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kind.is_empty() {
            kind.push('-');
        }
        kind.push(letter.to_ascii_lowercase());
    }
    kind
}
