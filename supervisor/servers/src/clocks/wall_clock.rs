//! `wasi:clocks/wall-clock`

use std::time::Duration;

use abi::fault::Trap;

use crate::Wasi;
use crate::bindings::wasi::clocks::wall_clock::{Datetime, Host};

const INTERFACE: &str = "wasi:clocks/wall-clock";

impl Host for Wasi {
    fn now(&mut self) -> Result<Datetime, Trap> {
        self.check_clocks(INTERFACE)?;
        Ok(datetime(self.wall.now()))
    }

    fn resolution(&mut self) -> Result<Datetime, Trap> {
        self.check_clocks(INTERFACE)?;
        Ok(datetime(self.wall.resolution()))
    }
}

fn datetime(time: Duration) -> Datetime {
    Datetime { seconds: time.as_secs(), nanoseconds: time.subsec_nanos() }
}
