//! How many calls make a sample, and how many samples a measurement: so that the clock does not count, and time is kept.

use std::time::Duration;

use super::readings::Readings;

/// A sample shall take this long, ns: reading the clock takes some 1 % of it.
const SAMPLE_NS: f64 = 5_000.0;
/// The most calls of one sample.
const MOST_CALLS: u32 = 1 << 16;
/// Samples of the first try.
const FIRST: u32 = 16;
/// The fewest and the most samples of a measurement.
const SAMPLES: (f64, f64) = (40.0, 200_000.0);
/// What a row and its floor take turns in.
pub const TURNS: u32 = 5;

/// Does something `samples` times, each of `batch` calls.
pub type Work<'w, E> = dyn FnMut(u32, u32) -> Result<Readings, E> + 'w;

/// How a measurement is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Samples of one turn.
    pub samples: u32,
    /// Calls of one sample.
    pub batch: u32,
}

impl Pace {
    /// Finds one that fills the time, all turns together.
    ///
    /// # Errors
    /// Those of the work.
    pub fn find<E>(time: Duration, work: &mut Work<'_, E>) -> Result<Pace, E> {
        let mut batch = 1;
        let mut once_ns = work(FIRST, batch)?.median_ns().max(0.1);
        // The clock makes short calls look longer than they are: the second guess is better than the first.
        for _ in 0..2 {
            batch = calls(once_ns);
            once_ns = work(FIRST, batch)?.median_ns().max(0.1);
        }
        let all = time.as_nanos() as f64 / (once_ns * f64::from(batch));
        let samples = (all.clamp(SAMPLES.0, SAMPLES.1) / f64::from(TURNS)).ceil() as u32;
        Ok(Pace { samples, batch })
    }
}

fn calls(once_ns: f64) -> u32 {
    let calls = (SAMPLE_NS / once_ns).ceil();
    // Where a call nearly fills a sample, each is timed alone.
    if once_ns * 3.0 >= SAMPLE_NS { 1 } else { (calls as u32).clamp(1, MOST_CALLS) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use super::{Pace, Readings, calls};

    #[test]
    fn short_calls_are_timed_together_and_long_ones_alone() {
        assert_eq!(calls(2.0), 2_500);
        assert_eq!(calls(0.0), 1 << 16);
        assert_eq!(calls(2_000.0), 1);
        assert_eq!(calls(1e9), 1);
    }

    #[test]
    fn fills_the_time() {
        // A call of 100 ns, and a clock that takes 50.
        let mut work = |samples: u32, batch: u32| {
            let mut readings = Readings::new(batch);
            (0..samples).for_each(|_| readings.note(u64::from(batch) * 100 + 50));
            Ok::<_, Infallible>(readings)
        };
        let Ok(pace) = Pace::find(Duration::from_millis(10), &mut work);
        assert!((45..=50).contains(&pace.batch), "{pace:?}");
        assert!((350..=450).contains(&pace.samples), "{pace:?}");
    }
}
