//! `wasi:cli/environment`

use abi::fault::Trap;

use crate::Wasi;
use crate::bindings::wasi::cli::environment::Host;

impl Host for Wasi {
    fn environment(&mut self) -> Result<Vec<(String, String)>, Trap> {
        Ok(self.grants().env.clone())
    }

    fn arguments(&mut self) -> Result<Vec<String>, Trap> {
        Ok(self.grants().args.clone())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>, Trap> {
        Ok(self.grants().cwd.clone())
    }
}
