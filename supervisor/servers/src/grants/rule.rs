//! What may be reached over a network, as a person writes it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::net::Net;
use super::ports::Ports;

/// Peers that may be talked to: `example.com:443`, `*.example.com`, `10.0.0.0/8:5432`, `[::1]:8000-8999`, `*:443`.
///
/// A name stands for the addresses that a lookup of it gives to the process, and lets the process look it up. Addresses of
/// this machine and of its neighbours must be written as such: neither `*` nor a larger set nor a name other than
/// `localhost` reaches them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Who.
    pub host: Host,
    /// At which ports; all if none are said.
    pub ports: Ports,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// Everybody.
    Any,
    /// Who has an address of these.
    Net(Net),
    /// Who has a name that fits.
    Name(NamePattern),
}

/// Addresses and ports here that may be listened at: `127.0.0.1:8080`, `[::1]:0`, `0.0.0.0:8000-8999`, `*:80`.
///
/// `0.0.0.0`, `[::]` and `*` stand for every address here; port 0 for one that the system chooses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    /// The addresses; `None` for all.
    pub net: Option<Net>,
    /// The ports.
    pub ports: Ports,
}

/// A name (`example.com`), all names below one (`*.example.com`), or all names (`*`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern {
    /// In lower case, without a dot at its end.
    text: String,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No peer.
    #[error(
        "`{0}` is no peer: expected NAME, ADDRESS or NET/BITS, with :PORT or :FIRST-LAST if not for all ports"
    )]
    Peer(String),
    /// No place to listen at.
    #[error(
        "`{0}` is no place to listen at: expected ADDRESS:PORT, with `*` for every address, 0 for any free port"
    )]
    Local(String),
    /// No set of addresses.
    #[error("`{0}` is no address and no net: expected 10.0.0.7, 10.0.0.0/8, ::1 or fd00::/8")]
    Net(String),
    /// An IPv4 address in the clothes of an IPv6 one.
    #[error("`{0}` is an IPv4 address written as IPv6: write it as IPv4, as guests have to")]
    Mapped(String),
    /// No set of ports.
    #[error("`{0}` is no port: expected 0 to 65535, FIRST-LAST or *")]
    Ports(String),
    /// No name.
    #[error("`{0}` is no name: expected letters, digits, `-` and `.`, and `*.` only at the beginning")]
    Name(String),
}

/// Beyond this DNS has no names (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

impl NamePattern {
    /// Whether a name fits; `name` is in lower case and has no dot at its end.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.text.strip_prefix('*') {
            Some("") => true,
            Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
            None => self.text == name,
        }
    }

    /// Whether it is the name of this machine for itself, so that its addresses are meant.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        self.text == "localhost"
    }
}

/// A name as patterns and lookups compare it: lower case, no dot at its end. `None` if it is none.
#[must_use]
pub fn normal_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let fits = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        fits && (1..=MAX_LABEL).contains(&bytes.len()) && bytes[0] != b'-' && bytes[bytes.len() - 1] != b'-'
    };
    (name.len() <= MAX_NAME && name.split('.').all(is_label)).then(|| name.to_ascii_lowercase())
}

impl FromStr for NamePattern {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<NamePattern, RuleError> {
        let wrong = || RuleError::Name(text.to_owned());
        if text == "*" {
            return Ok(NamePattern { text: text.to_owned() });
        }
        let (star, name) = match text.strip_prefix("*.") {
            Some(name) => ("*.", name),
            None => ("", text),
        };
        // What ends in a number is an address that is written wrongly, and no name (RFC 1123, section 2.1).
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let name = normal_name(name).ok_or_else(wrong)?;
        Ok(NamePattern { text: format!("{star}{name}") })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What stands before the ports, and the ports.
fn split_ports(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[') {
        if let Some((inside, after)) = rest.split_once(']')
            && let Some(ports) = after.strip_prefix(':')
        {
            return (inside, Some(ports));
        }
        return (text.trim_start_matches('[').trim_end_matches(']'), None);
    }
    // More than one colon without brackets: an IPv6 address.
    match text.split_once(':') {
        Some((host, ports)) if !ports.contains(':') => (host, Some(ports)),
        _ => (text, None),
    }
}

impl FromStr for Peer {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Peer, RuleError> {
        let (host, ports) = split_ports(text);
        let ports = ports.map_or(Ok(Ports::ALL), str::parse)?;
        let is_net = host.contains([':', '/']) || host.parse::<IpAddr>().is_ok();
        let host = match host {
            "" => return Err(RuleError::Peer(text.to_owned())),
            "*" => Host::Any,
            net if is_net => Host::Net(net.parse()?),
            name => Host::Name(name.parse().map_err(|_| RuleError::Peer(text.to_owned()))?),
        };
        Ok(Peer { host, ports })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match &self.host {
            Host::Any => "*".to_owned(),
            Host::Net(net) => net.to_string(),
            Host::Name(name) => name.to_string(),
        };
        write_with_ports(f, &host, self.ports)
    }
}

fn write_with_ports(f: &mut fmt::Formatter<'_>, host: &str, ports: Ports) -> fmt::Result {
    match (ports == Ports::ALL, host.contains(':')) {
        (true, _) => f.write_str(host),
        (false, true) => write!(f, "[{host}]:{ports}"),
        (false, false) => write!(f, "{host}:{ports}"),
    }
}

impl FromStr for Local {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Local, RuleError> {
        let wrong = || RuleError::Local(text.to_owned());
        let (host, ports) = split_ports(text);
        let ports = ports.ok_or_else(wrong)?.parse()?;
        let net = match host {
            "*" => None,
            "" => return Err(wrong()),
            net => Some(net.parse().map_err(|_| wrong())?),
        };
        Ok(Local { net, ports })
    }
}

impl Local {
    /// Whether something may be bound to an address and port.
    #[must_use]
    pub fn covers(&self, address: IpAddr, port: u16) -> bool {
        let all_of_its_kind =
            |net: &Net| net.only().is_some_and(|it| it.is_unspecified() && it.is_ipv4() == address.is_ipv4());
        let net = self.net.as_ref().is_none_or(|net| net.contains(address) || all_of_its_kind(net));
        net && self.ports.contains(port)
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.net.map(|net| net.to_string()) {
            None => write!(f, "*:{}", self.ports),
            Some(net) if net.contains(':') => write!(f, "[{net}]:{}", self.ports),
            Some(net) => write!(f, "{net}:{}", self.ports),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Host, Local, NamePattern, Peer, Ports};

    #[test]
    fn reads_peers_and_writes_them_as_they_were() {
        let same = [
            "example.com:443",
            "*.example.com",
            "10.0.0.0/8:5432",
            "[::1]:8000-8999",
            "[fd00::/8]:1",
            "fd00::/8",
            "::1",
            "*",
            "*:443",
            "127.0.0.1",
            "xn--bcher-kva.example",
        ];
        for text in same {
            assert_eq!(text.parse::<Peer>().map(|peer| peer.to_string()).as_deref(), Ok(text));
        }
        let peer: Peer = "EXAMPLE.com.:80-90".parse().unwrap();
        assert_eq!(peer.to_string(), "example.com:80-90");
        assert!(peer.ports.contains(80) && peer.ports.contains(90) && !peer.ports.contains(91));
        assert_eq!("[::1]".parse::<Peer>().unwrap().host, Host::Net("::1".parse().unwrap()));
        assert_eq!("a:*".parse::<Peer>().unwrap().ports, Ports::ALL);
        for text in [
            "",
            ":80",
            "a:",
            "a:b",
            "a:70000",
            "a:9-8",
            "a:+1",
            "a b",
            "a.*.b",
            "1.2.3",
            "300.1.1.1",
            "a..b",
            "-a",
            "10.0.0.0/40",
        ] {
            assert!(text.parse::<Peer>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_fit_as_a_whole() {
        let fits = |pattern: &str, name: &str| pattern.parse::<NamePattern>().unwrap().matches(name);
        assert!(fits("example.com", "example.com") && fits("Example.COM.", "example.com"));
        assert!(!fits("example.com", "www.example.com") && !fits("example.com", "badexample.com"));
        assert!(fits("*.example.com", "a.b.example.com") && !fits("*.example.com", "example.com"));
        assert!(!fits("*.example.com", "badexample.com") && !fits("*.example.com", "example.com.evil.org"));
        assert!(fits("*", "anything"));
    }

    #[test]
    fn reads_places_to_listen_at() {
        let covers = |text: &str, address: &str, port| {
            text.parse::<Local>().unwrap().covers(address.parse::<IpAddr>().unwrap(), port)
        };
        assert!(covers("127.0.0.1:8080", "127.0.0.1", 8080));
        assert!(!covers("127.0.0.1:8080", "0.0.0.0", 8080) && !covers("127.0.0.1:8080", "127.0.0.1", 0));
        assert!(covers("0.0.0.0:80", "127.0.0.1", 80) && covers("0.0.0.0:80", "0.0.0.0", 80));
        assert!(!covers("0.0.0.0:80", "::1", 80) && covers("[::]:80", "::1", 80));
        assert!(covers("*:0", "::1", 0) && covers("*:*", "10.0.0.1", 99) && !covers("*:0", "::1", 1));
        for text in ["127.0.0.1", "localhost:80", ":80", "::1:80", "[::1]", "*"] {
            assert!(text.parse::<Local>().is_err(), "{text}");
        }
        for text in ["127.0.0.1:8080", "[::1]:0", "*:1-2", "10.0.0.0/8:*"] {
            assert_eq!(text.parse::<Local>().unwrap().to_string(), text);
        }
    }
}
