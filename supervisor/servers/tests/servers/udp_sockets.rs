//! UDP over the loopback: datagrams as they were sent, and with whom grants let them be exchanged.

use std::net::{SocketAddr, UdpSocket as Peer};
use std::time::Duration;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use servers::bindings::wasi::io::poll::HostPollable;
use servers::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use servers::bindings::wasi::sockets::udp::{
    HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    OutgoingDatagram, UdpSocket,
};
use servers::bindings::wasi::sockets::udp_create_socket;
use servers::limits::MAX_DATAGRAMS;
use servers::{Network, Wasi};

use crate::guest_address::{of_guest, to_guest};
use crate::tcp_sockets::Netizen;

const LOCAL: &str = "127.0.0.1:0";

/// A bound socket with its streams, by their representations.
struct Bound {
    socket: u32,
    incoming: u32,
    outgoing: u32,
}

fn udp(rep: u32) -> Borrow<UdpSocket> {
    Borrow::new(rep)
}

fn rules(udp: &str, listen: &str) -> Network {
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    Network {
        udp: list(udp).iter().map(|rule| rule.parse().unwrap()).collect(),
        udp_listen: list(listen).iter().map(|rule| rule.parse().unwrap()).collect(),
        ..Network::default()
    }
}

impl Netizen {
    fn create_udp(&mut self) -> u32 {
        udp_create_socket::Host::create_udp_socket(&mut self.wasi, IpAddressFamily::Ipv4)
            .unwrap()
            .unwrap()
            .rep
    }

    fn bind_udp(&mut self, socket: u32, at: &str) -> Result<(), ErrorCode> {
        let (network, at) = (self.network(), to_guest(at.parse().unwrap()));
        HostUdpSocket::start_bind(&mut self.wasi, udp(socket), network, at).unwrap()?;
        HostUdpSocket::finish_bind(&mut self.wasi, udp(socket)).unwrap()
    }

    fn stream(&mut self, socket: u32, peer: Option<SocketAddr>) -> Result<Bound, ErrorCode> {
        let (incoming, outgoing) = self.wasi.stream(udp(socket), peer.map(to_guest)).unwrap()?;
        Ok(Bound { socket, incoming: incoming.rep, outgoing: outgoing.rep })
    }

    fn udp(&mut self, peer: Option<SocketAddr>) -> Bound {
        let socket = self.create_udp();
        self.bind_udp(socket, LOCAL).unwrap();
        self.stream(socket, peer).unwrap()
    }

    fn send(&mut self, bound: &Bound, data: &[u8], to: Option<SocketAddr>) -> Result<u64, ErrorCode> {
        let outgoing = Borrow::new(bound.outgoing);
        HostOutgoingDatagramStream::check_send(&mut self.wasi, outgoing).unwrap()?;
        let datagram = OutgoingDatagram { data: data.to_vec(), remote_address: to.map(to_guest) };
        HostOutgoingDatagramStream::send(&mut self.wasi, Borrow::new(bound.outgoing), vec![datagram]).unwrap()
    }

    fn receive(&mut self, bound: &Bound, max: u64) -> Result<Vec<IncomingDatagram>, ErrorCode> {
        self.wasi.receive(Borrow::new(bound.incoming), max).unwrap()
    }

    /// Waits until there is something, and takes it.
    fn received(&mut self, bound: &Bound) -> Vec<(Vec<u8>, SocketAddr)> {
        let pollable =
            HostIncomingDatagramStream::subscribe(&mut self.wasi, Borrow::new(bound.incoming)).unwrap();
        self.wait_for(pollable);
        let datagrams = self.receive(bound, 100).unwrap();
        datagrams.into_iter().map(|it| (it.data, of_guest(&it.remote_address))).collect()
    }

    fn address(&mut self, bound: &Bound) -> SocketAddr {
        of_guest(&HostUdpSocket::local_address(&mut self.wasi, udp(bound.socket)).unwrap().unwrap())
    }
}

fn peer() -> (Peer, SocketAddr) {
    let peer = Peer::bind(LOCAL).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let at = peer.local_addr().unwrap();
    (peer, at)
}

#[test]
fn datagrams_go_and_come_as_they_were_sent() {
    let mut guest = Netizen::new(rules("127.0.0.1", ""));
    let (peer, at) = peer();
    let bound = guest.udp(None);
    assert_eq!(guest.receive(&bound, 10).unwrap().len(), 0);
    assert_eq!(guest.send(&bound, b"one", Some(at)), Ok(1));
    let mut bytes = [0; 100];
    let (count, from) = peer.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..count], from), (b"one".as_slice(), guest.address(&bound)));
    for text in ["a", "", "ccc"] {
        peer.send_to(text.as_bytes(), from).unwrap();
    }
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(guest.receive(&bound, 1).unwrap().len(), 1);
    assert_eq!(guest.received(&bound), [(Vec::new(), at), (b"ccc".to_vec(), at)]);
    // As large as they can be, and no larger.
    assert_eq!(guest.send(&bound, &vec![7; 65_507], Some(at)), Ok(1));
    assert_eq!(guest.send(&bound, &vec![7; 65_508], Some(at)), Err(ErrorCode::DatagramTooLarge));
    let mut large = vec![0; 70_000];
    assert_eq!(peer.recv(&mut large).unwrap(), 65_507);
    // No address, or one that makes no sense.
    for wrong in [None, Some("0.0.0.0:1"), Some("127.0.0.1:0"), Some("[::1]:1")] {
        let to = wrong.map(|to| to.parse().unwrap());
        assert_eq!(guest.send(&bound, b"x", to), Err(ErrorCode::InvalidArgument), "{wrong:?}");
    }
}

#[test]
fn a_socket_for_one_peer_hears_no_other() {
    let mut guest = Netizen::new(rules("127.0.0.1", ""));
    let ((peer, at), (other, other_at)) = (peer(), peer());
    let socket = guest.create_udp();
    guest.bind_udp(socket, LOCAL).unwrap();
    let any = guest.stream(socket, None).unwrap();
    let here = guest.address(&any);
    other.send_to(b"before", here).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let bound = guest.stream(socket, Some(at)).unwrap();
    // The streams before are over, and what came for them from others is not given to these.
    assert_eq!(guest.receive(&any, 10).err(), Some(ErrorCode::InvalidState));
    assert_eq!(guest.send(&any, b"x", Some(at)), Err(ErrorCode::InvalidState));
    assert_eq!(
        HostUdpSocket::remote_address(&mut guest.wasi, udp(socket)).unwrap().map(|it| of_guest(&it)),
        Ok(at)
    );
    let _ = other.send_to(b"from another", here);
    peer.send_to(b"yes", here).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(guest.received(&bound), [(b"yes".to_vec(), at)]);
    assert_eq!(guest.send(&bound, b"to it", None), Ok(1));
    assert_eq!(guest.send(&bound, b"to it", Some(at)), Ok(1));
    assert_eq!(guest.send(&bound, b"to it", Some(other_at)), Err(ErrorCode::InvalidArgument));
    // Back to everybody, at the same port.
    let any = guest.stream(socket, None).unwrap();
    assert_eq!(guest.address(&any), here);
    assert!(HostUdpSocket::remote_address(&mut guest.wasi, udp(socket)).unwrap().is_err());
    other.send_to(b"again", here).unwrap();
    assert_eq!(guest.received(&any), [(b"again".to_vec(), other_at)]);
}

#[test]
fn states_are_kept_to() {
    let mut guest = Netizen::new(rules("127.0.0.1", ""));
    let socket = guest.create_udp();
    assert_eq!(guest.stream(socket, None).err(), Some(ErrorCode::InvalidState));
    assert!(HostUdpSocket::local_address(&mut guest.wasi, udp(socket)).unwrap().is_err());
    assert_eq!(
        HostUdpSocket::finish_bind(&mut guest.wasi, udp(socket)).unwrap(),
        Err(ErrorCode::NotInProgress)
    );
    assert_eq!(guest.bind_udp(socket, LOCAL), Ok(()));
    assert_eq!(guest.bind_udp(socket, LOCAL), Err(ErrorCode::InvalidState));
    let bound = guest.stream(socket, None).unwrap();
    let pollable = HostUdpSocket::subscribe(&mut guest.wasi, udp(socket)).unwrap();
    assert!(HostPollable::ready(&mut guest.wasi, Borrow::new(pollable.rep)).unwrap());
    assert_eq!(guest.wasi.set_unicast_hop_limit(udp(socket), 0).unwrap(), Err(ErrorCode::InvalidArgument));
    assert_eq!(guest.wasi.set_unicast_hop_limit(udp(socket), 5).unwrap(), Ok(()));
    assert_eq!(guest.wasi.unicast_hop_limit(udp(socket)).unwrap(), Ok(5));
    assert_eq!(
        HostUdpSocket::set_send_buffer_size(&mut guest.wasi, udp(socket), 0).unwrap(),
        Err(ErrorCode::InvalidArgument)
    );
    // More datagrams than were permitted.
    let outgoing = || Borrow::new(bound.outgoing);
    let permit = HostOutgoingDatagramStream::check_send(&mut guest.wasi, outgoing()).unwrap().unwrap();
    assert_eq!(permit, MAX_DATAGRAMS as u64);
    let nothing = || OutgoingDatagram { data: Vec::new(), remote_address: None };
    let many = (0..=permit).map(|_| nothing()).collect();
    let sent = HostOutgoingDatagramStream::send(&mut guest.wasi, outgoing(), many);
    assert!(matches!(sent, Err(Trap::Limit { allowed, .. }) if allowed == permit));
    assert_eq!(HostOutgoingDatagramStream::send(&mut guest.wasi, outgoing(), Vec::new()).unwrap(), Ok(0));
    // Streams whose socket is gone do nothing.
    HostUdpSocket::dropped(&mut guest.wasi, Own::new(socket)).unwrap();
    assert_eq!(guest.receive(&bound, 1).err(), Some(ErrorCode::InvalidState));
}

#[test]
fn who_may_send_hears_only_those() {
    let ((peer, at), (stranger, stranger_at)) = (peer(), peer());
    let mut guest = Netizen::new(rules(&at.to_string(), ""));
    let denied = ErrorCode::AccessDenied;
    let socket = guest.create_udp();
    assert_eq!(guest.bind_udp(socket, "127.0.0.1:9"), Err(denied), "a port that was not granted");
    let bound = guest.udp(None);
    assert_eq!(guest.send(&bound, b"x", Some(stranger_at)), Err(denied));
    assert_eq!(guest.send(&bound, b"x", Some(at)), Ok(1));
    let here = guest.address(&bound);
    stranger.send_to(b"let me in", here).unwrap();
    peer.send_to(b"me", here).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(guest.received(&bound), [(b"me".to_vec(), at)]);
    assert_eq!(guest.stream(bound.socket, Some(stranger_at)).err(), Some(denied));
}

#[test]
fn who_may_wait_can_answer_and_begin_nothing() {
    let ((peer, at), (_stranger, stranger_at)) = (peer(), peer());
    let mut guest = Netizen::new(rules("", "127.0.0.1:*"));
    let bound = guest.udp(None);
    let here = guest.address(&bound);
    let denied = ErrorCode::AccessDenied;
    assert_eq!(guest.send(&bound, b"x", Some(at)), Err(denied), "nobody has asked yet");
    peer.send_to(b"question", here).unwrap();
    assert_eq!(guest.received(&bound), [(b"question".to_vec(), at)]);
    assert_eq!(guest.send(&bound, b"answer", Some(at)), Ok(1));
    let mut bytes = [0; 100];
    let (count, from) = peer.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..count], from), (b"answer".as_slice(), here));
    assert_eq!(guest.send(&bound, b"x", Some(stranger_at)), Err(denied));
}

#[test]
fn without_a_grant_there_is_no_socket() {
    let mut wasi = Wasi::builder().build().unwrap();
    let created = udp_create_socket::Host::create_udp_socket(&mut wasi, IpAddressFamily::Ipv4).unwrap();
    assert_eq!(created.err(), Some(ErrorCode::AccessDenied));
}
