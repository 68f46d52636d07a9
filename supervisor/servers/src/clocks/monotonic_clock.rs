//! `wasi:clocks/monotonic-clock`

use abi::fault::Trap;
use abi::typed::Own;

use crate::Wasi;
use crate::bindings::wasi::clocks::monotonic_clock::{Host, Pollable};
use crate::io::poll::Subject;

const INTERFACE: &str = "wasi:clocks/monotonic-clock";

impl Host for Wasi {
    fn now(&mut self) -> Result<u64, Trap> {
        self.check_clocks(INTERFACE)?;
        Ok(self.monotonic.now_ns())
    }

    fn resolution(&mut self) -> Result<u64, Trap> {
        self.check_clocks(INTERFACE)?;
        Ok(self.monotonic.resolution_ns())
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Own<Pollable>, Trap> {
        self.check_clocks(INTERFACE)?;
        self.pollables.insert(Subject::Deadline(when)).map(Own::new)
    }

    fn subscribe_duration(&mut self, when: u64) -> Result<Own<Pollable>, Trap> {
        self.check_clocks(INTERFACE)?;
        let deadline = self.monotonic.now_ns().saturating_add(when);
        self.pollables.insert(Subject::Deadline(deadline)).map(Own::new)
    }
}
