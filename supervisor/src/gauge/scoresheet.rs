//! The result as data.

use serde::{Deserialize, Serialize};

use super::readings::Readings;
use super::surroundings::Surroundings;

/// What the JSON is; another number, other fields.
const FORMAT: u32 = 1;

/// What was measured in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// Of these fields.
    pub format: u32,
    /// `ipc` or `call`.
    pub kind: String,
    /// The component, of a call.
    pub file: Option<String>,
    /// Whether less time was taken than usual.
    pub quick: bool,
    /// Where.
    pub machine: Surroundings,
    /// In order.
    pub rows: Vec<Row>,
    /// Rungs that are not there.
    pub absent: Vec<Absent>,
    /// The edges that a call went over, where each was counted and timed.
    pub edges: Vec<Hop>,
}

/// One edge below a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// Who calls: a process's path, or the host.
    pub caller: String,
    /// Who is called: a path, or the interface of a server.
    pub callee: String,
    /// `interface#function`, or the function's name alone.
    pub function: String,
    /// What carries it.
    pub rung: String,
    /// How often it was called for each call that was measured.
    pub calls_each: f64,
    /// Calls that were timed: the first ones, and then one of 64.
    pub samples: u64,
    /// How long they took, with what is below them.
    pub median_ns: u64,
    /// Of a hundred, the slowest.
    pub p99_ns: u64,
}

/// A rung that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// Its name.
    pub rung: String,
    /// Why not.
    pub why: String,
}

/// One thing that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// How the call got there: the rung's name, or `call`.
    pub rung: String,
    /// What it carried, or the call.
    pub load: String,
    /// Bytes of that in memory.
    pub bytes: u32,
    /// How many samples were taken.
    pub samples: u64,
    /// How many calls make one.
    pub batch: u32,
    /// For one call, as all that follow.
    pub median_ns: f64,
    /// Left out, as the next, where there are too few samples.
    pub p99_ns: Option<f64>,
    /// Of a thousand, the slowest.
    pub p999_ns: Option<f64>,
    /// The mean, from which calls a second follow.
    pub mean_ns: f64,
    /// What it is measured against.
    pub floor: Option<FloorRow>,
}

/// What the machine takes for the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloorRow {
    /// What that is.
    pub name: String,
    /// How many samples were taken.
    pub samples: u64,
    /// How many make one.
    pub batch: u32,
    /// For one.
    pub median_ns: f64,
}

/// Why JSON is no result.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// It is not of these fields.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// Another version wrote it.
    #[error("it is of format {0}, and this reads format {FORMAT}")]
    Format(u32),
}

impl Sheet {
    /// A result with no rows yet.
    #[must_use]
    pub fn begin(kind: &str, quick: bool) -> Sheet {
        let machine = Surroundings::now();
        Sheet {
            format: FORMAT,
            kind: kind.to_owned(),
            file: None,
            quick,
            machine,
            rows: Vec::new(),
            absent: Vec::new(),
            edges: Vec::new(),
        }
    }

    /// As `--json` prints it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a sheet is made of plain data") + "\n"
    }

    /// What `--save` wrote, or `--json` with `--compare`.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_json(bytes: &[u8]) -> Result<Sheet, SheetError> {
        let sheet: Sheet = serde_json::from_slice(bytes)?;
        if sheet.format == FORMAT { Ok(sheet) } else { Err(SheetError::Format(sheet.format)) }
    }
}

impl Row {
    /// Of readings.
    #[must_use]
    pub fn of(rung: &str, load: &str, bytes: u32, readings: &Readings, floor: Option<FloorRow>) -> Row {
        Row {
            rung: rung.to_owned(),
            load: load.to_owned(),
            bytes,
            samples: readings.samples(),
            batch: readings.batch(),
            median_ns: readings.median_ns(),
            p99_ns: readings.quantile_ns(0.99),
            p999_ns: readings.quantile_ns(0.999),
            mean_ns: readings.mean_ns(),
            floor,
        }
    }

    /// The median, divided by the floor's.
    #[must_use]
    pub fn times_floor(&self) -> Option<f64> {
        let floor = self.floor.as_ref()?.median_ns;
        (floor > 0.0).then(|| self.median_ns / floor)
    }
}

impl FloorRow {
    /// Of readings.
    #[must_use]
    pub fn of(name: String, readings: &Readings) -> FloorRow {
        let (samples, batch) = (readings.samples(), readings.batch());
        FloorRow { name, samples, batch, median_ns: readings.median_ns() }
    }
}
