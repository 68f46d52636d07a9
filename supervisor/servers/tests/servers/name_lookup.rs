//! Names: who may look them up, and whom one may talk to because of what they say.

use std::net::{IpAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use abi::typed::{Borrow, Own};
use servers::bindings::wasi::io::poll::HostPollable;
use servers::bindings::wasi::sockets::ip_name_lookup::{
    self, HostResolveAddressStream, ResolveAddressStream,
};
use servers::bindings::wasi::sockets::network::{ErrorCode, IpAddress, IpAddressFamily};
use servers::bindings::wasi::sockets::tcp::HostTcpSocket;
use servers::bindings::wasi::sockets::{instance_network, tcp_create_socket};
use servers::limits::MAX_LOOKUPS;
use servers::{LookupError, Network, Resolver, SystemResolver, Wasi};

use crate::guest_address::to_guest;
use crate::tcp_sockets::Netizen;

/// Says what it was told to say, now.
#[derive(Clone, Default)]
struct Oracle(Arc<Mutex<Vec<Said>>>);

/// A name, and its addresses.
type Said = (String, Vec<IpAddr>);

impl Oracle {
    fn says(self, name: &str, addresses: &[&str]) -> Oracle {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.0.lock().unwrap().insert(0, (name.to_owned(), addresses));
        self
    }
}

impl Resolver for Oracle {
    fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        let known = self.0.lock().unwrap();
        let found = known.iter().find(|(known, _)| known == name);
        found.map(|(_, addresses)| addresses.clone()).ok_or(LookupError::Unknown)
    }
}

fn asker(network: Network, resolver: impl Resolver + 'static) -> Netizen {
    let mut wasi = Wasi::builder().network(network).resolver(resolver).build().unwrap();
    let network = instance_network::Host::instance_network(&mut wasi).unwrap().rep;
    Netizen { wasi, network }
}

fn connect(rules: &[&str]) -> Network {
    Network { connect: rules.iter().map(|rule| rule.parse().unwrap()).collect(), ..Network::default() }
}

fn resolve(rules: &[&str]) -> Network {
    Network { resolve: rules.iter().map(|rule| rule.parse().unwrap()).collect(), ..Network::default() }
}

fn ip(address: &IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([*a, *b, *c, *d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::from([*a, *b, *c, *d, *e, *f, *g, *h]),
    }
}

impl Netizen {
    fn ask(&mut self, name: &str) -> Result<Own<ResolveAddressStream>, ErrorCode> {
        let network = self.network();
        ip_name_lookup::Host::resolve_addresses(&mut self.wasi, network, name.to_owned()).unwrap()
    }

    /// All addresses of a name.
    fn look_up(&mut self, name: &str) -> Result<Vec<String>, ErrorCode> {
        let stream = self.ask(name)?;
        let pollable = HostResolveAddressStream::subscribe(&mut self.wasi, Borrow::new(stream.rep)).unwrap();
        self.wait_for(pollable);
        let mut addresses = Vec::new();
        while let Some(address) = self.wasi.resolve_next_address(Borrow::new(stream.rep)).unwrap()? {
            addresses.push(ip(&address).to_string());
        }
        HostResolveAddressStream::dropped(&mut self.wasi, stream).unwrap();
        Ok(addresses)
    }

    /// Whether grants let it begin to connect.
    fn may_connect(&mut self, to: &str) -> bool {
        let to: std::net::SocketAddr = to.parse().unwrap();
        let family = if to.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 };
        let socket = tcp_create_socket::Host::create_tcp_socket(&mut self.wasi, family).unwrap().unwrap();
        let network = self.network();
        let this = Borrow::new(socket.rep);
        let started = HostTcpSocket::start_connect(&mut self.wasi, this, network, to_guest(to)).unwrap();
        HostTcpSocket::dropped(&mut self.wasi, socket).unwrap();
        started != Err(ErrorCode::AccessDenied)
    }
}

#[test]
fn names_give_their_addresses_in_order() {
    let oracle = Oracle::default()
        .says("a.example", &["2001:db8::1", "192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1"])
        .says("xn--bcher-kva.example", &["192.0.2.3"])
        .says("empty.example", &[]);
    let mut asker = asker(resolve(&["*.example"]), oracle);
    let expected = ["2001:db8::1", "192.0.2.1", "192.0.2.2"].map(str::to_owned);
    assert_eq!(asker.look_up("a.example").unwrap(), expected, "each once, none mapped");
    assert_eq!(asker.look_up("A.Example.").unwrap(), expected);
    assert_eq!(asker.look_up("bücher.example").unwrap(), ["192.0.2.3"]);
    assert_eq!(asker.look_up("nobody.example"), Err(ErrorCode::NameUnresolvable));
    assert_eq!(asker.look_up("empty.example"), Err(ErrorCode::NameUnresolvable));
    for wrong in ["", "a b.example", "-x.example", "x..example"] {
        assert_eq!(asker.look_up(wrong), Err(ErrorCode::InvalidArgument), "{wrong}");
    }
    assert_eq!(asker.look_up("other.org"), Err(ErrorCode::AccessDenied));
    // Addresses are what they say; nobody is asked.
    assert_eq!(asker.look_up("203.0.113.9").unwrap(), ["203.0.113.9"]);
    assert_eq!(asker.look_up("::ffff:203.0.113.9").unwrap(), ["203.0.113.9"]);
}

#[test]
fn the_system_knows_this_machine() {
    let mut asker = asker(connect(&["localhost"]), SystemResolver);
    let found = asker.look_up("localhost").unwrap();
    assert!(
        found.iter().all(|it| it.parse::<IpAddr>().unwrap().is_loopback()) && !found.is_empty(),
        "{found:?}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    if found.contains(&"127.0.0.1".to_owned()) {
        assert!(asker.may_connect(&listener.local_addr().unwrap().to_string()));
    }
    assert_eq!(asker.look_up("example.com"), Err(ErrorCode::AccessDenied));
}

#[test]
fn a_name_is_connected_to_where_it_said_it_was() {
    let oracle = Oracle::default().says("db.example", &["192.0.2.1"]).says("other.example", &["192.0.2.9"]);
    let mut client = asker(connect(&["db.example:5432"]), oracle.clone());
    assert!(!client.may_connect("192.0.2.1:5432"), "before it is asked for");
    assert_eq!(client.look_up("db.example").unwrap(), ["192.0.2.1"]);
    assert!(client.may_connect("192.0.2.1:5432"));
    assert!(!client.may_connect("192.0.2.1:22") && !client.may_connect("192.0.2.2:5432"));
    // Its owner says something else now: this machine, its neighbours, or an address that another name has.
    oracle.clone().says("db.example", &["127.0.0.1", "::1", "169.254.169.254", "192.0.2.9"]);
    let mut late = asker(connect(&["db.example:5432"]), oracle);
    assert_eq!(late.look_up("db.example").unwrap().len(), 4);
    for inside in ["127.0.0.1:5432", "[::1]:5432", "169.254.169.254:5432"] {
        assert!(!late.may_connect(inside), "{inside}");
    }
    assert!(late.may_connect("192.0.2.9:5432") && !late.may_connect("192.0.2.1:5432"));
    assert!(!client.may_connect("192.0.2.9:5432"), "what one is told is not another's");
}

#[test]
fn to_look_up_is_not_to_connect() {
    let oracle = Oracle::default().says("in.example", &["192.0.2.1"]).says("out.example", &["198.51.100.1"]);
    let network = Network { resolve: vec!["*".parse().unwrap()], ..connect(&["192.0.2.0/24:80"]) };
    let mut asker = asker(network, oracle);
    assert_eq!(asker.look_up("in.example").unwrap(), ["192.0.2.1"]);
    assert_eq!(asker.look_up("out.example").unwrap(), ["198.51.100.1"]);
    assert!(asker.may_connect("192.0.2.1:80"));
    assert!(!asker.may_connect("198.51.100.1:80"), "its address is outside of what is granted");
}

/// Never answers.
struct Mute;

impl Resolver for Mute {
    fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, LookupError> {
        std::thread::sleep(Duration::from_secs(60));
        Err(LookupError::Permanent)
    }
}

#[test]
fn who_asks_for_too_much_at_once_is_told_to_wait() {
    let mut asker = asker(resolve(&["*"]), Mute);
    let pending: Vec<_> =
        (0..MAX_LOOKUPS).map(|number| asker.ask(&format!("n{number}.example")).unwrap()).collect();
    let next = asker.wasi.resolve_next_address(Borrow::new(pending[0].rep)).unwrap();
    assert_eq!(next.err(), Some(ErrorCode::WouldBlock));
    let pollable = HostResolveAddressStream::subscribe(&mut asker.wasi, Borrow::new(pending[0].rep)).unwrap();
    assert!(!HostPollable::ready(&mut asker.wasi, Borrow::new(pollable.rep)).unwrap());
    assert_eq!(asker.ask("one-more.example").err(), Some(ErrorCode::TemporaryResolverFailure));
    assert!(asker.ask("127.0.0.1").is_ok(), "nobody is asked for an address");
}

#[test]
fn a_lookup_may_fail_for_a_while_or_for_good() {
    struct Failing(LookupError);
    impl Resolver for Failing {
        fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, LookupError> {
            Err(self.0)
        }
    }
    for (error, code) in [
        (LookupError::Temporary, ErrorCode::TemporaryResolverFailure),
        (LookupError::Permanent, ErrorCode::PermanentResolverFailure),
    ] {
        assert_eq!(asker(resolve(&["*"]), Failing(error)).look_up("a.example"), Err(code));
    }
}
