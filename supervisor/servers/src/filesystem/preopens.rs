//! `wasi:filesystem/preopens`: the directories that a process was granted.

use std::path::PathBuf;

use abi::fault::Trap;
use abi::typed::Own;

use crate::Wasi;
use crate::bindings::wasi::filesystem::preopens::{Descriptor as Handle, Host};

/// A directory to grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preopen {
    /// Its path here.
    pub host: PathBuf,
    /// Its path for the guest.
    pub guest: String,
    /// Whether nothing in it may be changed.
    pub read_only: bool,
}

impl Host for Wasi {
    fn directories(&mut self) -> Result<Vec<(Own<Handle>, String)>, Trap> {
        let granted = self.grants().preopens.clone();
        let mut given = Vec::with_capacity(granted.len());
        for (descriptor, guest) in granted {
            given.push((Own::new(self.descriptors.insert(descriptor)?), guest));
        }
        Ok(given)
    }
}
