//! Sizes, durations, shares of a core: numbers with their units, as a person writes them.

use std::fmt;
use std::str::FromStr;

/// Bytes: a number, and B, KiB, MiB or GiB, or only their first letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Nanoseconds: a number and ns, us, ms, s, m or h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

/// Thousandths of a core, written in per cent of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub u32);

/// A number of things: more than none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

/// Why a number is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasureError {
    /// No size.
    #[error("expected a size as 65536, 64KiB, 1.5MiB or 2GiB, more than nothing")]
    Size,
    /// No duration.
    #[error("expected a duration as 200us, 50ms, 1.5s, 2m or 1h, more than nothing")]
    Span,
    /// No share.
    #[error("expected a share of one core as 20% or 2.5%, or of several as 150%; at least 0.1%")]
    Percent,
    /// No number.
    #[error("expected a number of at least 1")]
    Count,
}

const SIZES: [(&str, u64); 9] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("kib", 1 << 10),
    ("m", 1 << 20),
    ("mib", 1 << 20),
    ("g", 1 << 30),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

const SPANS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl FromStr for Size {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Size, MeasureError> {
        with_unit(text, &SIZES).map(Size).ok_or(MeasureError::Size)
    }
}

impl FromStr for Span {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Span, MeasureError> {
        with_unit(text, &SPANS).map(Span).ok_or(MeasureError::Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = SPANS.iter().rev().find(|(_, factor)| self.0.is_multiple_of(*factor));
        let (unit, factor) = whole.expect("a nanosecond divides all");
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl FromStr for Percent {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Percent, MeasureError> {
        let thousandths = with_unit(text, &[("%", 10), ("", 10)]).and_then(|value| u32::try_from(value).ok());
        thousandths.map(Percent).ok_or(MeasureError::Percent)
    }
}

impl FromStr for Count {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Count, MeasureError> {
        let count = text.parse().ok().filter(|count| *count > 0);
        count.map(Count).ok_or(MeasureError::Count)
    }
}

/// A decimal number times what its unit stands for; at least 1 of the smallest.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // What is beyond nine digits is less than anybody can mean.
    let fraction = fraction.get(..fraction.len().min(9))?;
    let digits = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = u128::from(digits(fraction)?) * u128::from(*factor) / u128::from(scale);
    let value = digits(whole)?.checked_mul(*factor)?.checked_add(u64::try_from(part).ok()?)?;
    (value > 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{Count, Percent, Size, Span};

    #[test]
    fn reads_numbers_with_units() {
        let size = |text: &str| text.parse::<Size>().map(|size| size.0).ok();
        assert_eq!(size("65536"), Some(65536));
        assert_eq!(size("64KiB"), Some(65536));
        assert_eq!(size("64k"), Some(65536));
        assert_eq!(size("1.5 MiB"), Some(3 << 19));
        assert_eq!(size(".5g"), Some(1 << 29));
        assert_eq!(size("1.0000000000000000001k"), Some(1024));
        for wrong in ["", "0", "MiB", "-1", "1e3", "1..2", "1.2.3", "16777216TiB", "1x", "0.0001"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
        let span = |text: &str| text.parse::<Span>().map(|span| span.0).ok();
        assert_eq!(span("50ms"), Some(50_000_000));
        assert_eq!(span("1.5s"), Some(1_500_000_000));
        assert_eq!(span("2m"), Some(120_000_000_000));
        assert_eq!(span("50"), None);
        assert_eq!(
            [Span(50_000_000), Span(1_500_000_000), Span(7)].map(|span| span.to_string()),
            ["50ms", "1500ms", "7ns"]
        );
        let percent = |text: &str| text.parse::<Percent>().map(|percent| percent.0).ok();
        assert_eq!(percent("20%"), Some(200));
        assert_eq!(percent("2.5"), Some(25));
        assert_eq!(percent("150%"), Some(1500));
        assert_eq!(percent("0.01%"), None);
        assert_eq!("3".parse(), Ok(Count(3)));
        assert!("0".parse::<Count>().is_err());
    }
}
