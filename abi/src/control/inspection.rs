//! Everything about one process: what `inspect` shows.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::domain_row::DomainRow;
use super::edge_row::EdgeRow;
use super::faultview::{FaultView, FrameView};
use super::process_row::ProcessRow;
use super::treeview::{ImportView, LibView};

/// A process, in full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Inspection {
    /// What `ps` shows of it.
    pub process: ProcessRow,
    /// The name its component gives itself.
    pub component: Option<String>,
    /// Its domain.
    pub domain: DomainFacts,
    /// The libraries it has loaded.
    pub libs: Vec<LibRow>,
    /// Its linear memories.
    pub memories: Vec<MemoryMap>,
    /// Its handles; the first so many.
    pub handles: Vec<HandleRow>,
    /// How many handles it has beyond those.
    pub more_handles: u32,
    /// What it may use, beside what it does.
    pub quotas: Vec<Quota>,
    /// The threads that are in it.
    pub threads: Vec<ThreadRow>,
    /// What it imports.
    pub imports: Vec<ImportView>,
    /// The edges that lead to it and from it.
    pub edges: Vec<EdgeRow>,
    /// The faults of its domain that are kept and that it had a part in, oldest first.
    pub faults: Vec<FaultView>,
    /// Why something is not known that would be here otherwise, a sentence each.
    pub unknown: Vec<String>,
}

/// The domain of a process: who ends with it, and where they run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DomainFacts {
    /// The domain, in short.
    #[serde(flatten)]
    pub row: DomainRow,
    /// Paths of its other processes.
    pub shared_with: Vec<String>,
    /// Where it runs: `anywhere`, `worker N` or `process`, as a manifest has it.
    pub placement: String,
    /// Its part of the processors when there is not enough for all; 100 is the usual one.
    pub cpu_weight: u32,
    /// What keeps its OS process from harm, if it has one of its own and that is up.
    pub confinement: Option<ConfinementRow>,
}

/// What keeps an OS process of a domain from harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ConfinementRow {
    /// The number that the operating system gives to it.
    pub os_pid: Option<u32>,
    /// What holds in it, in its own words.
    pub held: Vec<String>,
}

/// A library of a process, and who else has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LibRow {
    /// The library.
    #[serde(flatten)]
    pub lib: LibView,
    /// Paths of the other processes that have it loaded.
    pub shared_with: Vec<String>,
}

/// A linear memory and its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct MemoryMap {
    /// The library that defines it.
    pub library: Option<String>,
    /// Its name among that library's exports, or its number.
    pub name: String,
    /// Its length now.
    pub bytes: u64,
    /// The most that its type allows.
    pub maximum_bytes: Option<u64>,
    /// Bytes that have a page of the machine's memory behind them, if that is known.
    pub resident_bytes: Option<u64>,
    /// Its parts, by address.
    pub parts: Vec<MemoryPart>,
}

/// A part of a memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct MemoryPart {
    /// Where it begins.
    pub from: u64,
    /// Its length.
    pub bytes: u64,
    /// What it is: `image`, `guard`, `data` and so on.
    pub what: String,
}

/// An entry of a handle table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct HandleRow {
    /// Its index: what the guest calls it by.
    pub index: u32,
    /// `own` or `borrow`.
    pub mode: String,
    /// The resource's type.
    pub ty: String,
    /// Who implements that: a path, or a system server's interface.
    pub of: String,
    /// How often it is lent.
    pub lent: u32,
}

/// A limit and what is used of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Quota {
    /// What is limited.
    pub name: String,
    /// Whose limit it is: `process`, or `domain` for all processes of that together.
    pub of: String,
    /// What is used now, if that is known.
    pub used: Option<u64>,
    /// The most that ever was, if that is known.
    pub peak: Option<u64>,
    /// What is allowed; no limit if nothing is said.
    pub allowed: Option<u64>,
    /// `bytes`, `ns`, `per mille` or nothing.
    pub unit: String,
}

/// A thread that is in a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct ThreadRow {
    /// What it is doing.
    pub state: String,
    /// Its call chain, innermost first.
    pub backtrace: Vec<FrameView>,
}
