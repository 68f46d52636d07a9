//! Two contenders run by turns; what counts is the ratio within each turn.
//!
//! Time is the processor time of the calling thread, so that what else the machine does counts little.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How one workload went.
#[derive(Clone, Debug)]
pub struct Row {
    /// The workload.
    pub name: String,
    /// Median time of ours.
    pub ours: Duration,
    /// Median time of theirs.
    pub theirs: Duration,
    /// Median over the turns of (our time / their time); below 1 we are faster.
    pub ratio: f64,
}

/// Runs both `turns` times, the first one of each turn by turns too, after one unmeasured run of each.
///
/// # Panics
/// If `turns` is 0.
pub fn alternate(name: &str, turns: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> Row {
    assert!(turns > 0, "a median of no turns does not exist");
    ours();
    theirs();
    let (mut our_times, mut their_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..turns {
        let (us, them) = if turn % 2 == 0 {
            let us = time(&mut ours);
            (us, time(&mut theirs))
        } else {
            let them = time(&mut theirs);
            (time(&mut ours), them)
        };
        our_times.push(us);
        their_times.push(them);
        ratios.push(us.as_secs_f64() / them.as_secs_f64());
    }
    our_times.sort();
    their_times.sort();
    ratios.sort_by(f64::total_cmp);
    let middle = turns / 2;
    Row { name: name.to_owned(), ours: our_times[middle], theirs: their_times[middle], ratio: ratios[middle] }
}

fn time(run: &mut impl FnMut()) -> Duration {
    let start = now();
    run();
    now() - start
}

pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// Rows with their geometric mean.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// One for each workload.
    pub rows: Vec<Row>,
}

impl Table {
    /// The geometric mean of the ratios; 1 for an empty table.
    #[must_use]
    pub fn geometric_mean(&self) -> f64 {
        if self.rows.is_empty() {
            return 1.0;
        }
        let sum: f64 = self.rows.iter().map(|row| row.ratio.ln()).sum();
        (sum / self.rows.len() as f64).exp()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14} {:>10} {:>10} {:>7}", "workload", "atoll", "rival", "ratio")?;
        for row in &self.rows {
            let (ours, theirs) = (millis(row.ours), millis(row.theirs));
            writeln!(f, "{:<14} {ours:>7.2} ms {theirs:>7.2} ms {:>7.3}", row.name, row.ratio)?;
        }
        write!(f, "{:<14} {:>10} {:>10} {:>7.3}", "geometric mean", "", "", self.geometric_mean())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contenders_have_a_ratio_near_one() {
        let spin = || {
            _ = std::hint::black_box((0..1_000_000u32).fold(0, |sum, next| sum ^ std::hint::black_box(next)))
        };
        let row = alternate("spin", 9, spin, spin);
        assert!((0.5..2.0).contains(&row.ratio), "{row:?}");
        let table = Table { rows: vec![Row { ratio: 2.0, ..row.clone() }, Row { ratio: 0.5, ..row }] };
        assert!((table.geometric_mean() - 1.0).abs() < 1e-9);
    }
}
