//! How long things took: samples, their percentiles, and what each sample was of.

use hdrhistogram::Histogram;

/// The longest time that is told from a longer one: a minute, in ns.
const LONGEST_NS: u64 = 60_000_000_000;
/// Digits that are told apart.
const DIGITS: u8 = 3;

/// Times of the same thing.
#[derive(Clone, Debug)]
pub struct Readings {
    /// Of whole samples, ns.
    samples: Histogram<u64>,
    total_ns: u64,
    /// How many of the thing make a sample.
    batch: u32,
}

impl Readings {
    /// No readings yet, of samples of so many.
    ///
    /// # Panics
    /// If `batch` is 0.
    #[must_use]
    pub fn new(batch: u32) -> Readings {
        assert!(batch > 0, "a sample of nothing takes no time");
        let samples =
            Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("bounds that a histogram can have");
        Readings { samples, total_ns: 0, batch }
    }

    /// One sample more.
    pub fn note(&mut self, ns: u64) {
        self.samples.saturating_record(ns.max(1));
        self.total_ns = self.total_ns.saturating_add(ns);
    }

    /// Those of another turn of the same.
    ///
    /// # Panics
    /// If a sample is of another number.
    pub fn add(&mut self, others: &Readings) {
        assert_eq!(self.batch, others.batch, "samples of the same");
        self.samples.add(&others.samples).expect("histograms of the same bounds");
        self.total_ns = self.total_ns.saturating_add(others.total_ns);
    }

    /// How many samples there are.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples.len()
    }

    /// How many of the thing make a sample.
    #[must_use]
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// The median for one, ns; 0 where nothing was read.
    #[must_use]
    pub fn median_ns(&self) -> f64 {
        self.one(self.samples.value_at_quantile(0.5))
    }

    /// A quantile for one, ns; none if there are too few samples for one to be beyond it.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<f64> {
        let beyond = self.samples.len() as f64 * (1.0 - quantile);
        // A hair less than one: 1000 × (1 − 0.999) is not exactly that.
        (beyond > 0.999).then(|| self.one(self.samples.value_at_quantile(quantile)))
    }

    /// The mean for one, ns; 0 where nothing was read.
    #[must_use]
    pub fn mean_ns(&self) -> f64 {
        let count = self.samples.len().max(1) as f64 * f64::from(self.batch);
        self.total_ns as f64 / count
    }

    fn one(&self, ns: u64) -> f64 {
        if self.samples.is_empty() { 0.0 } else { ns as f64 / f64::from(self.batch) }
    }
}

#[cfg(test)]
mod tests {
    use super::Readings;

    #[test]
    fn percentiles_are_of_samples_and_for_one() {
        let mut readings = Readings::new(10);
        (1..=1000).for_each(|ns| readings.note(ns * 10));
        assert!((readings.median_ns() - 500.0).abs() < 2.0, "{readings:?}");
        assert!((readings.mean_ns() - 500.5).abs() < 0.1);
        let quantile = |quantile| readings.quantile_ns(quantile);
        assert!((quantile(0.99).expect("enough samples") - 990.0).abs() < 2.0);
        assert!((quantile(0.999).expect("enough samples") - 999.0).abs() < 2.0);
        assert_eq!(quantile(0.9999), None, "nobody is beyond it");
        let mut more = Readings::new(10);
        more.add(&readings);
        assert_eq!(more.samples(), 1000);
        assert_eq!(Readings::new(1).median_ns(), 0.0);
    }
}
