//! Sets of addresses: those that begin with the same bits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::rule::RuleError;

/// The addresses that share the first `prefix` bits of `base`. One address has all bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    base: IpAddr,
    prefix: u8,
}

/// Addresses that lead to this machine, to whatever happens to be on the same wire (where clouds keep the credentials of
/// machines), or to many at once. Nobody means them who grants «everything», so a set reaches them only if it has
/// nothing else in it.
const SPECIAL: [Net; 9] = [
    Net { base: IpAddr::V4(Ipv4Addr::new(0, 0, 0, 0)), prefix: 8 },
    Net { base: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
    Net { base: IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)), prefix: 16 },
    Net { base: IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), prefix: 4 },
    Net { base: IpAddr::V4(Ipv4Addr::BROADCAST), prefix: 32 },
    Net { base: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 128 },
    Net { base: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
    Net { base: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), prefix: 10 },
    Net { base: IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), prefix: 8 },
];

impl Net {
    /// The set of one address.
    #[must_use]
    pub const fn one(address: IpAddr) -> Net {
        Net { base: address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// The address, if there is only one.
    #[must_use]
    pub fn only(&self) -> Option<IpAddr> {
        (*self == Net::one(self.base)).then_some(self.base)
    }

    /// Whether an address is in the set.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                u32::from(base).checked_shr(shift) == u32::from(address).checked_shr(shift)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                u128::from(base).checked_shr(shift) == u128::from(address).checked_shr(shift)
            }
            _ => false,
        }
    }

    /// Whether a grant of this set lets a process talk to an address: it is in the set, and if it is special, so is
    /// all of the set.
    #[must_use]
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.contains(address)
            && special(address).is_none_or(|of| of.prefix <= self.prefix && of.contains(self.base))
    }
}

/// Whether an address has to be named to be reached: it leads to this machine, to its neighbours, or to many.
#[must_use]
pub fn is_special(address: IpAddr) -> bool {
    special(address).is_some()
}

fn special(address: IpAddr) -> Option<&'static Net> {
    SPECIAL.iter().find(|net| net.contains(address))
}

impl FromStr for Net {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Net, RuleError> {
        let wrong = || RuleError::Net(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = address.parse().map_err(|_| wrong())?;
        if matches!(base, IpAddr::V6(base) if base.to_ipv4_mapped().is_some()) {
            return Err(RuleError::Mapped(text.to_owned()));
        }
        let all = Net::one(base).prefix;
        let prefix = match prefix {
            None => all,
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok().filter(|prefix| *prefix <= all).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        Ok(Net { base, prefix })
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only() {
            Some(address) => write!(f, "{address}"),
            None => write!(f, "{}/{}", self.base, self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Net, is_special};

    fn net(text: &str) -> Net {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn contains_what_shares_its_first_bits() {
        assert!(net("10.0.0.0/8").contains(address("10.255.0.1")));
        assert!(!net("10.0.0.0/8").contains(address("11.0.0.1")));
        assert!(net("0.0.0.0/0").contains(address("203.0.113.7")));
        assert!(!net("0.0.0.0/0").contains(address("2001:db8::1")));
        assert!(net("::/0").contains(address("2001:db8::1")));
        assert!(net("2001:db8::/33").contains(address("2001:db8:7fff::1")));
        assert!(!net("2001:db8::/33").contains(address("2001:db8:8000::1")));
        assert!(net("192.0.2.1").contains(address("192.0.2.1")));
        assert!(!net("192.0.2.1").contains(address("192.0.2.2")));
        assert!(net("192.0.2.77/24").contains(address("192.0.2.1")), "bits beyond the prefix say nothing");
    }

    #[test]
    fn what_is_special_must_be_meant() {
        for special in ["127.0.0.1", "127.9.9.9", "::1", "169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1"]
        {
            let special = address(special);
            assert!(is_special(special));
            assert!(!net("0.0.0.0/0").reaches(special) && !net("::/0").reaches(special), "{special}");
            assert!(net(&special.to_string()).reaches(special), "{special}");
        }
        assert!(net("127.0.0.0/8").reaches(address("127.0.0.1")));
        assert!(!net("126.0.0.0/7").reaches(address("127.0.0.1")));
        assert!(net("169.254.0.0/16").reaches(address("169.254.1.1")));
        assert!(net("0.0.0.0/0").reaches(address("192.168.0.1")));
        assert!(!is_special(address("10.0.0.1")) && !is_special(address("2001:db8::1")));
    }

    #[test]
    fn refuses_what_is_no_net() {
        for text in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "::ffff:127.0.0.1", "a/8"]
        {
            assert!(text.parse::<Net>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/8", "::1", "fd00::/8"] {
            assert_eq!(net(text).to_string(), text);
        }
    }
}
