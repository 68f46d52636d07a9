//! `wasi:cli/exit`: ends the whole tree, without blame.

use abi::fault::Trap;

use crate::Wasi;
use crate::bindings::wasi::cli::exit::Host;

impl Host for Wasi {
    fn exit(&mut self, status: Result<(), ()>) -> Result<(), Trap> {
        Err(Trap::Exit(u8::from(status.is_err())))
    }

    fn exit_with_code(&mut self, status_code: u8) -> Result<(), Trap> {
        Err(Trap::Exit(status_code))
    }
}
