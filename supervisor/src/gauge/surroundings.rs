//! The machine that something was measured on: figures of another one are no comparison.

use std::fmt;
use std::fs::read_to_string;

use serde::{Deserialize, Serialize};

/// Above this much work for each core of somebody else, ×100, a machine is not quiet.
const QUIET: u32 = 25;

/// A machine, as it was when the measurement began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// The processor's name.
    pub processor: String,
    /// How many cores there are for us.
    pub cores: usize,
    /// The operating system.
    pub system: String,
    /// How many threads wanted to run in the last minute, ×100.
    pub load: u32,
    /// atoll's version.
    pub atoll: String,
    /// Whether it was built for speed.
    pub release: bool,
}

impl Surroundings {
    /// Those of now.
    #[must_use]
    pub fn now() -> Surroundings {
        let file = |path: &str| read_to_string(path).unwrap_or_default();
        let info = file("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = file("/proc/loadavg").split(' ').next().and_then(|load| load.parse::<f64>().ok());
        Surroundings {
            processor: model.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("Linux {}", file("/proc/sys/kernel/osrelease").trim()),
            load: (load.unwrap_or(0.0) * 100.0) as u32,
            atoll: env!("CARGO_PKG_VERSION").to_owned(),
            release: !has_assertions(),
        }
    }

    /// Whether nothing else was running, or not much.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.load as usize <= self.cores * QUIET as usize
    }

    /// Whether figures can be compared: load aside, it is the same machine and build.
    #[must_use]
    pub fn is_like(&self, other: &Surroundings) -> bool {
        let what = |it: &Surroundings| (it.processor.clone(), it.cores, it.release);
        what(self) == what(other)
    }
}

impl fmt::Display for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cores, load) = (self.cores, f64::from(self.load) / 100.0);
        let s = if cores == 1 { "" } else { "s" };
        write!(f, "{}, {cores} core{s}, {}; load {load:.2}", self.processor, self.system)
    }
}

/// Whether this was built with the checks that only development has.
fn has_assertions() -> bool {
    let mut has = false;
    debug_assert!({
        has = true;
        has
    });
    has
}
