//! A result beside an older one: what is slower, what is faster, what is new.

use serde::Serialize;

use super::scoresheet::{Row, Sheet};

/// How a row has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Slower than is tolerated.
    Slower,
    /// Faster by as much.
    Faster,
    /// Neither.
    Same,
}

/// Two results, row by row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Versus {
    /// Rows that both have, in the order of the new result.
    pub changes: Vec<Pair>,
    /// Whether both are of the same machine and build.
    pub alike: bool,
    /// How much slower a median may be, as a part of the old one.
    pub tolerance: f64,
}

/// One row of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// Of which rung.
    pub rung: String,
    /// Of which load.
    pub load: String,
    /// The old median.
    pub old_ns: f64,
    /// The new one, divided by the old.
    pub ratio: f64,
    /// What that means.
    pub change: Change,
}

/// As JSON: the result, and what has changed.
#[derive(Serialize)]
struct Both<'s> {
    #[serde(flatten)]
    sheet: &'s Sheet,
    compared: &'s Versus,
}

impl Versus {
    /// Compares medians.
    #[must_use]
    pub fn new(old: &Sheet, new: &Sheet, tolerance: f64) -> Versus {
        let pair = |row: &Row| {
            let before =
                old.rows.iter().find(|other| (&other.rung, &other.load) == (&row.rung, &row.load))?;
            let ratio = row.median_ns / before.median_ns;
            let change = match ratio {
                ratio if ratio > 1.0 + tolerance => Change::Slower,
                ratio if ratio < 1.0 / (1.0 + tolerance) => Change::Faster,
                _ => Change::Same,
            };
            let (rung, load) = (row.rung.clone(), row.load.clone());
            (before.median_ns > 0.0).then_some(Pair { rung, load, old_ns: before.median_ns, ratio, change })
        };
        let changes = new.rows.iter().filter_map(pair).collect();
        Versus { changes, alike: old.machine.is_like(&new.machine), tolerance }
    }

    /// Whether a row is slower.
    #[must_use]
    pub fn is_slower(&self) -> bool {
        self.changes.iter().any(|pair| pair.change == Change::Slower)
    }

    /// How a row has changed, if the old result has it.
    #[must_use]
    pub fn of(&self, row: &Row) -> Option<&Pair> {
        self.changes.iter().find(|pair| (&pair.rung, &pair.load) == (&row.rung, &row.load))
    }

    /// As JSON, with the result.
    #[must_use]
    pub fn to_json(&self, sheet: &Sheet) -> String {
        let both = Both { sheet, compared: self };
        serde_json::to_string_pretty(&both).expect("a comparison is made of plain data") + "\n"
    }
}
