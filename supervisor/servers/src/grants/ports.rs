//! Sets of ports: one, a range, or all.

use std::fmt;
use std::str::FromStr;

use super::rule::RuleError;

/// Ports from one to another, both included. Port 0 stands for one that the system chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// All of them.
    pub const ALL: Ports = Ports { first: 0, last: u16::MAX };

    /// One.
    #[must_use]
    pub const fn one(port: u16) -> Ports {
        Ports { first: port, last: port }
    }

    /// Whether a port is among them.
    #[must_use]
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl FromStr for Ports {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Ports, RuleError> {
        if text == "*" {
            return Ok(Ports::ALL);
        }
        let port = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u16>().ok().filter(|_| digits).ok_or_else(|| RuleError::Ports(text.to_owned()))
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        if first > last { Err(RuleError::Ports(text.to_owned())) } else { Ok(Ports { first, last }) }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (0, u16::MAX) => f.write_str("*"),
            (first, last) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{first}-{last}"),
        }
    }
}
