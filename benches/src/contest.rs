//! Any number of contenders with the same short work, by turns: for calls, which are too short to be timed alone.
//!
//! A contender does the work as often as it is told, and should loop in the place that is measured. How often that is
//! is found once, so that a turn takes some milliseconds. What counts are ratios within a turn, and their median.
//! Time is the processor time of the calling thread, unless a row says that it works on others.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Does the work this many times; at least once.
pub type Work<'w> = Box<dyn FnMut(u32) + 'w>;

/// Who takes part in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Ours.
    Atoll,
    /// What the machine takes for the same without anybody's rules.
    Floor,
    /// Wasmtime as its users get it.
    Default,
    /// Wasmtime configured for this work.
    Best,
}

/// What a row must reach: at most `times` what `than` takes.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// Ours, divided by theirs, is at most this.
    pub times: f64,
    /// Whose.
    pub than: Who,
}

/// What measures a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// Processor time of the calling thread.
    #[default]
    Thread,
    /// Processor time of all threads.
    OsProcess,
    /// Time.
    Wall,
}

/// One kind of work.
pub struct Row<'w> {
    /// What is done.
    pub name: String,
    /// What the floor is.
    pub floor: &'static str,
    /// Who does it, [`Who::Atoll`] first.
    pub contenders: Vec<(Who, Work<'w>)>,
    /// What it must reach.
    pub goals: Vec<Goal>,
    /// What measures it.
    pub clock: Clock,
}

/// How a row went.
#[derive(Clone, Debug)]
pub struct Score {
    name: String,
    floor: &'static str,
    /// Who; the median of its times; the median of ours divided by its.
    times: Vec<(Who, f64, f64)>,
    goals: Vec<Goal>,
}

/// How long a turn of one contender shall take.
const TURN: Duration = Duration::from_millis(3);

impl Row<'_> {
    /// Lets all take `turns` turns; with one turn each does the work once, and that is all.
    ///
    /// # Panics
    /// If `turns` is 0.
    #[must_use]
    pub fn run(&mut self, turns: usize) -> Score {
        assert!(turns > 0, "a median of no turns does not exist");
        let counts: Vec<u32> = match turns {
            1 => vec![1; self.contenders.len()],
            _ => self.contenders.iter_mut().map(|(_, work)| calibrate(self.clock, work)).collect(),
        };
        let mut times = vec![Vec::new(); self.contenders.len()];
        for turn in 0..turns {
            for at in 0..self.contenders.len() {
                let at = (at + turn) % self.contenders.len();
                let took = time(self.clock, &mut self.contenders[at].1, counts[at]);
                times[at].push(took.as_nanos() as f64 / f64::from(counts[at]));
            }
        }
        let ours = times[0].clone();
        let times = self.contenders.iter().zip(times).map(|((who, _), theirs)| {
            let ratios = ours.iter().zip(&theirs).map(|(us, them)| us / them).collect();
            (*who, median(theirs), median(ratios))
        });
        Score {
            name: self.name.clone(),
            floor: self.floor,
            times: times.collect(),
            goals: self.goals.clone(),
        }
    }
}

impl Score {
    /// The head of the table.
    pub const HEAD: &str = "| row | atoll | floor | | × | Wasmtime | × | its best | × | must reach |\n\
                            |---|---:|---|---:|---:|---:|---:|---:|---:|---|";

    fn of(&self, who: Who) -> Option<(f64, f64)> {
        self.times.iter().find(|(other, ..)| *other == who).map(|(_, time, ratio)| (*time, *ratio))
    }
}

/// A line of a Markdown table.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, _) = self.of(Who::Atoll).expect("every row has ours");
        write!(f, "| {} | {} | {} |", self.name, spell(ours), self.floor)?;
        for who in [Who::Floor, Who::Default, Who::Best] {
            match self.of(who) {
                Some((time, ratio)) => write!(f, " {} | {ratio:.2} |", spell(time))?,
                None => write!(f, " – | – |")?,
            }
        }
        for (at, goal) in self.goals.iter().enumerate() {
            let reached = self.of(goal.than).is_some_and(|(_, ratio)| ratio <= goal.times);
            let than = match goal.than {
                Who::Floor => "floor",
                Who::Default => "Wasmtime",
                Who::Best => "its best",
                Who::Atoll => "atoll",
            };
            let (comma, mark) = (if at == 0 { "" } else { "," }, if reached { "✓" } else { "✗" });
            write!(f, "{comma} {} × {than} {mark}", goal.times)?;
        }
        write!(f, " |")
    }
}

fn spell(ns: f64) -> String {
    match ns {
        ..100.0 => format!("{ns:.1} ns"),
        ..10_000.0 => format!("{ns:.0} ns"),
        _ => format!("{:.1} µs", ns / 1e3),
    }
}

/// How often work must be done to fill a turn.
fn calibrate(clock: Clock, work: &mut Work<'_>) -> u32 {
    let mut count = 1;
    loop {
        let took = time(clock, work, count);
        if took >= TURN / 2 || count >= 1 << 28 {
            return count;
        }
        count *= 2;
    }
}

fn time(clock: Clock, work: &mut Work<'_>, count: u32) -> Duration {
    let start = clock.now();
    work(count);
    clock.now() - start
}

impl Clock {
    fn now(self) -> Duration {
        let time = clock_gettime(match self {
            Clock::Thread => ClockId::ThreadCPUTime,
            Clock::OsProcess => ClockId::ProcessCPUTime,
            Clock::Wall => ClockId::Monotonic,
        });
        Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).expect("below a second"))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn twice_the_work_has_half_the_ratio() {
        let spin = |n: u32| {
            move |count: u32| {
                for _ in 0..count {
                    _ = black_box((0..n).fold(0, |sum, next| sum ^ black_box(next)));
                }
            }
        };
        let goals = vec![Goal { times: 0.75, than: Who::Floor }, Goal { times: 0.1, than: Who::Floor }];
        let contenders: Vec<(Who, Work<'_>)> =
            vec![(Who::Atoll, Box::new(spin(1000))), (Who::Floor, Box::new(spin(2000)))];
        let score = Row { name: "spin".to_owned(), floor: "twice", contenders, goals, clock: Clock::Thread }
            .run(9)
            .to_string();
        assert!(score.ends_with("0.75 × floor ✓, 0.1 × floor ✗ |"), "{score}");
    }
}
