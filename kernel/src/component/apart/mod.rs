//! Domains that run in another OS process.
//!
//! That process links the same component in the same way, so both sides number types, functions and processes alike, and
//! brings up the one domain that is its own. Here, in its place, is a proxy: it has calls served there, and serves what
//! the domain calls meanwhile, with the grants, meters and edges that it would have here. One side speaks at a time.
//!
//! ```text
//!            here                                    there
//!  caller ─ port ─ mailbox ─ thread ─ Proxy ── line ── Resident ─ Domain
//!                               └─ host functions, ports, drops ◄──┘
//! ```
//!
//! The process runs guest code, so nothing that comes from it is believed: values are decoded by type, functions are
//! numbers that are looked up, and a handle counts only if it was given there before. What breaks that is a fault of the
//! domain, and ends the process.
//!
//! - [`blueprint`]: what the other process needs to link the same tree
//! - [`frame`]: what is said
//! - [`ledger`]: the handles that were given there
//! - [`proxy`]: this side; [`scratch`]: host functions called with values; [`life`]: lives of such a domain
//! - [`resident`]: the other side

pub(super) mod blueprint;
mod frame;
mod ledger;
mod life;
mod proxy;
pub mod resident;
mod scratch;

use std::fs::File;
use std::sync::Arc;

use abi::fault::Trap;

pub(super) use life::{begin, bury, limit, limit_all, restart, serve, step};
pub(super) use proxy::Proxy;

/// A connection with the process of a domain. Dropping it ends the process.
pub trait Line: Send + std::fmt::Debug {
    /// Says something, a frame in two parts: what it is, and the bytes of the values that it is about.
    ///
    /// # Errors
    /// Nobody hears it.
    fn send(&mut self, head: &[u8], values: &[u8]) -> Result<(), Cut>;

    /// Waits for the other side to say something, which replaces what is in `frame`.
    ///
    /// # Errors
    /// It never will.
    fn receive(&mut self, frame: &mut Vec<u8>) -> Result<(), Cut>;

    /// Processor time that the process has used, nanoseconds.
    fn cpu_ns(&self) -> u64 {
        0
    }

    /// The process, as the operating system names it.
    fn process_id(&self) -> Option<u32> {
        None
    }

    /// Ends the process, if it has not ended; how it did.
    fn end(&mut self) -> String {
        String::new()
    }
}

/// Why a connection is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The process has ended: how.
    Died(String),
    /// It does what no process of ours does: what.
    Corrupt(String),
    /// It does not go on with what it has begun.
    Late,
    /// Whoever waits for it is to end.
    Ended(Trap),
    /// What was to be said is too long, and was not. Nothing else is the matter.
    TooLong {
        /// Its bytes.
        bytes: u64,
        /// How many there may be.
        allowed: u64,
    },
}

impl Cut {
    /// What that is to whoever called the domain.
    #[must_use]
    pub fn trap(self) -> Trap {
        match self {
            Cut::Died(how) => Trap::Killed(how),
            Cut::Corrupt(why) => Trap::Killed(format!("its process does not keep to the protocol: {why}")),
            Cut::Late => Trap::Killed("its process does not go on with what it has begun to say".to_owned()),
            Cut::Ended(trap) => trap,
            Cut::TooLong { bytes, allowed } => {
                Trap::Limit { limit: "bytes of a frame to another process", value: bytes, allowed }
            }
        }
    }
}

/// What keeps a process that domains run in from harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The process, as the operating system names it.
    pub process_id: Option<u32>,
    /// What holds in it, in its own words.
    pub held: Vec<String>,
}

/// Starts processes for domains.
pub trait Starter: Send + Sync {
    /// Starts a process that runs [`resident::Resident`] at the other end of the connection.
    ///
    /// # Errors
    /// Why there is none, in words.
    fn start(&self, needs: &Needs) -> Result<Box<dyn Line>, String>;
}

/// What a process is to be given.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The executable with its machine code, as [`super::executable::Executable::to_image`] writes it. Nobody can change it.
    pub image: Arc<File>,
    /// The most that all memories of the domain may have, bytes, if that is limited.
    pub memory_bytes: Option<u64>,
}

/// Which domains of a tree run in processes of their own.
#[derive(Clone, Default)]
pub struct Apart {
    /// The domains.
    pub domains: Vec<ApartDomain>,
    /// Who starts their processes.
    pub starter: Option<Arc<dyn Starter>>,
    /// Which life each domain of the tree is in, if not in its first.
    pub(super) lives: Vec<u32>,
}

/// A domain that runs in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApartDomain {
    /// Its number in the tree.
    pub number: u32,
    /// How long it may work on one call, nanoseconds.
    pub call_ns: Option<u64>,
}

impl Apart {
    /// These domains, in processes that somebody starts.
    #[must_use]
    pub fn new(domains: Vec<ApartDomain>, starter: Arc<dyn Starter>) -> Apart {
        Apart { domains, starter: Some(starter), lives: Vec::new() }
    }

    pub(super) fn of(&self, number: u32) -> Option<ApartDomain> {
        self.domains.iter().copied().find(|domain| domain.number == number)
    }
}

impl std::fmt::Debug for Apart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apart").field("domains", &self.domains).finish_non_exhaustive()
    }
}
