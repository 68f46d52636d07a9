//! `wasi:io/error`: what a stream's failed operation leaves behind.

use std::io;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};

use crate::Wasi;
use crate::bindings::wasi::filesystem::types::ErrorCode;
use crate::bindings::wasi::io::error::{Error, Host, HostError};
use crate::bindings::wasi::sockets::network;
use crate::filesystem::errno;
use crate::sockets::neterror;

/// An error that a guest holds.
#[derive(Debug)]
pub struct Failure {
    /// What a person reads.
    pub text: String,
    /// What `filesystem-error-code` says.
    pub code: ErrorCode,
    /// What `network-error-code` says.
    pub network: Option<network::ErrorCode>,
}

impl Wasi {
    /// Keeps an error for the guest.
    pub(crate) fn fail(&mut self, error: &io::Error) -> Result<Own<Error>, Trap> {
        let network = neterror::of_stream(error);
        let failure = Failure { text: error.to_string(), code: errno::code(error), network };
        self.failures.insert(failure).map(Own::new)
    }
}

impl HostError for Wasi {
    fn to_debug_string(&mut self, this: Borrow<Error>) -> Result<String, Trap> {
        Ok(self.failures.get(this.rep)?.text.clone())
    }

    fn dropped(&mut self, this: Own<Error>) -> Result<(), Trap> {
        self.failures.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {}
