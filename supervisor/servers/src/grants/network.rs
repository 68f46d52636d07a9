//! All network rules of a process, and what they say of an address or a name.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::net::is_special;
use super::rule::{Host, Local, NamePattern, Peer};
use crate::limits::MAX_PINNED_ADDRESSES;

/// What a process can reach over the network. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// To whom TCP connections can be opened.
    pub connect: Vec<Peer>,
    /// Where TCP connections can be waited for.
    pub listen: Vec<Local>,
    /// With whom UDP datagrams can be exchanged.
    pub udp: Vec<Peer>,
    /// Where UDP datagrams can be waited for, from whoever sends them; who has sent one can be answered.
    pub udp_listen: Vec<Local>,
    /// Names that can be looked up, beside those that the rules above name.
    pub resolve: Vec<NamePattern>,
}

impl Network {
    /// Whether nothing is granted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Network::default()
    }

    /// Whether anything can be done with a TCP socket.
    #[must_use]
    pub fn has_tcp(&self) -> bool {
        !self.connect.is_empty() || !self.listen.is_empty()
    }

    /// Whether anything can be done with a UDP socket.
    #[must_use]
    pub fn has_udp(&self) -> bool {
        !self.udp.is_empty() || !self.udp_listen.is_empty()
    }

    /// Whether a name can be looked up; it is in lower case, without a dot at its end.
    #[must_use]
    pub fn may_resolve(&self, name: &str) -> bool {
        self.resolve.iter().any(|pattern| pattern.matches(name))
            || names(&self.connect).chain(names(&self.udp)).any(|pattern| pattern.matches(name))
    }

    /// The names that can be looked up.
    pub fn names(&self) -> impl Iterator<Item = &NamePattern> {
        self.resolve.iter().chain(names(&self.connect)).chain(names(&self.udp))
    }
}

fn names(peers: &[Peer]) -> impl Iterator<Item = &NamePattern> {
    peers.iter().filter_map(|peer| match &peer.host {
        Host::Name(pattern) => Some(pattern),
        _ => None,
    })
}

/// Which addresses a process got for which names. A rule with a name holds for these and no others: what the name's owner
/// has it say to somebody else, or later, does not count.
#[derive(Debug, Default)]
pub(crate) struct Pins(VecDeque<(String, IpAddr)>);

impl Pins {
    /// Notes what a lookup gave; the oldest are forgotten when there are too many.
    pub(crate) fn note(&mut self, name: &str, address: IpAddr) {
        if self.0.iter().any(|(known, at)| known == name && *at == address) {
            return;
        }
        if self.0.len() >= MAX_PINNED_ADDRESSES {
            self.0.pop_front();
        }
        self.0.push_back((name.to_owned(), address));
    }

    /// Whether rules let a process talk to somebody.
    pub(crate) fn may_reach(&self, rules: &[Peer], to: SocketAddr) -> bool {
        rules.iter().any(|rule| {
            rule.ports.contains(to.port())
                && match &rule.host {
                    Host::Any => !is_special(to.ip()),
                    Host::Net(net) => net.reaches(to.ip()),
                    Host::Name(pattern) => {
                        // A name whose owner says that it is here is believed only if it is the name for here.
                        let is_meant = !is_special(to.ip()) || pattern.is_localhost();
                        is_meant && self.0.iter().any(|(name, at)| *at == to.ip() && pattern.matches(name))
                    }
                }
        })
    }
}

/// Whether rules let a process bind something to an address.
pub(crate) fn may_bind(rules: &[Local], at: SocketAddr) -> bool {
    rules.iter().any(|rule| rule.covers(at.ip(), at.port()))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::{Network, Pins};
    use crate::limits::MAX_PINNED_ADDRESSES;

    fn to(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_holds_for_what_its_lookup_gave() {
        let rules = ["db.example:5432".parse().unwrap()];
        let mut pins = Pins::default();
        assert!(!pins.may_reach(&rules, to("203.0.113.7:5432")), "before it is looked up");
        pins.note("db.example", to("203.0.113.7:0").ip());
        assert!(pins.may_reach(&rules, to("203.0.113.7:5432")));
        assert!(
            !pins.may_reach(&rules, to("203.0.113.7:22")) && !pins.may_reach(&rules, to("203.0.113.8:5432"))
        );
        pins.note("other.example", to("203.0.113.9:0").ip());
        assert!(!pins.may_reach(&rules, to("203.0.113.9:5432")), "it is another name's");
        for here in ["127.0.0.1:5432", "169.254.169.254:5432", "[::1]:5432"] {
            pins.note("db.example", to(here).ip());
            assert!(!pins.may_reach(&rules, to(here)), "{here}");
        }
        let rules = ["localhost:80".parse().unwrap()];
        pins.note("localhost", to("127.0.0.1:0").ip());
        assert!(pins.may_reach(&rules, to("127.0.0.1:80")));
    }

    #[test]
    fn everybody_is_not_this_machine() {
        let (rules, pins) = (["*".parse().unwrap()], Pins::default());
        assert!(pins.may_reach(&rules, to("203.0.113.7:1")) && pins.may_reach(&rules, to("[2001:db8::1]:1")));
        assert!(!pins.may_reach(&rules, to("127.0.0.1:1")) && !pins.may_reach(&rules, to("[fe80::1]:1")));
    }

    #[test]
    fn names_in_rules_can_be_looked_up() {
        let network = Network { connect: vec!["a.example:1".parse().unwrap()], ..Network::default() };
        assert!(network.may_resolve("a.example") && !network.may_resolve("b.example"));
        let network = Network { resolve: vec!["*.example".parse().unwrap()], ..Network::default() };
        assert!(network.may_resolve("b.example") && !network.may_resolve("example"));
        assert!(!Network::default().may_resolve("localhost"));
    }

    #[test]
    fn lookups_without_end_are_forgotten() {
        let mut pins = Pins::default();
        for number in 0..MAX_PINNED_ADDRESSES as u32 + 10 {
            pins.note("a.example", IpAddr::V4((0x0a00_0000 + number).into()));
        }
        assert_eq!(pins.0.len(), MAX_PINNED_ADDRESSES);
        assert!(!pins.may_reach(&["a.example".parse().unwrap()], to("10.0.0.1:1")));
    }
}
