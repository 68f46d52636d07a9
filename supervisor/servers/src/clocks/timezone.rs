//! `wasi:clocks/timezone`: a guest lives in UTC.

use abi::fault::Trap;

use crate::Wasi;
use crate::bindings::wasi::clocks::timezone::{Datetime, Host, TimezoneDisplay};

impl Host for Wasi {
    fn display(&mut self, _: Datetime) -> Result<TimezoneDisplay, Trap> {
        Ok(TimezoneDisplay { utc_offset: 0, name: "UTC".into(), in_daylight_saving_time: false })
    }

    fn utc_offset(&mut self, _: Datetime) -> Result<i32, Trap> {
        Ok(0)
    }
}
