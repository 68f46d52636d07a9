//! TCP over the loopback: states, errors, streams, and what grants let through.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use servers::bindings::wasi::io::error::HostError;
use servers::bindings::wasi::io::poll::{self, HostPollable, Pollable};
use servers::bindings::wasi::io::streams::{
    HostInputStream, HostOutputStream, InputStream, OutputStream, StreamError,
};
use servers::bindings::wasi::sockets::network::{self, ErrorCode, IpAddressFamily, Network as Handle};
use servers::bindings::wasi::sockets::tcp::{HostTcpSocket, ShutdownType, TcpSocket};
use servers::bindings::wasi::sockets::{instance_network, tcp_create_socket};
use servers::turn::Turn;
use servers::{Network, Wasi};

use crate::guest_address::{of_guest, to_guest};

const V4: IpAddressFamily = IpAddressFamily::Ipv4;
const V6: IpAddressFamily = IpAddressFamily::Ipv6;

/// A process with network grants, in the shoes of its guest.
pub struct Netizen {
    pub wasi: Wasi,
    pub network: u32,
}

/// A connection, by its representations.
struct Connected {
    socket: u32,
    input: u32,
    output: u32,
}

impl Netizen {
    pub fn new(network: Network) -> Netizen {
        let mut wasi = Wasi::builder().network(network).build().unwrap();
        let network = instance_network::Host::instance_network(&mut wasi).unwrap().rep;
        Netizen { wasi, network }
    }

    /// One who may do everything on the loopback.
    fn local() -> Netizen {
        Netizen::new(Network {
            connect: vec!["127.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            listen: vec!["127.0.0.1:*".parse().unwrap(), "[::1]:*".parse().unwrap()],
            ..Network::default()
        })
    }

    pub fn network(&self) -> Borrow<Handle> {
        Borrow::new(self.network)
    }

    fn create(&mut self, family: IpAddressFamily) -> u32 {
        tcp_create_socket::Host::create_tcp_socket(&mut self.wasi, family).unwrap().unwrap().rep
    }

    fn start_connect(&mut self, socket: u32, to: SocketAddr) -> Result<(), ErrorCode> {
        let network = self.network();
        HostTcpSocket::start_connect(&mut self.wasi, tcp(socket), network, to_guest(to)).unwrap()
    }

    fn start_bind(&mut self, socket: u32, at: SocketAddr) -> Result<(), ErrorCode> {
        let network = self.network();
        HostTcpSocket::start_bind(&mut self.wasi, tcp(socket), network, to_guest(at)).unwrap()
    }

    /// Waits for what the socket waits for.
    fn wait(&mut self, socket: u32) {
        let pollable = HostTcpSocket::subscribe(&mut self.wasi, tcp(socket)).unwrap();
        self.wait_for(pollable);
    }

    pub fn wait_for(&mut self, pollable: Own<Pollable>) {
        <Wasi as HostPollable>::block(&mut Turn::alone(&mut self.wasi), Borrow::new(pollable.rep)).unwrap();
        HostPollable::dropped(&mut self.wasi, pollable).unwrap();
    }

    fn finish_connect(&mut self, socket: u32) -> Result<Connected, ErrorCode> {
        self.wait(socket);
        let (input, output) = self.wasi.finish_connect(tcp(socket)).unwrap()?;
        Ok(Connected { socket, input: input.rep, output: output.rep })
    }

    fn connect(&mut self, to: SocketAddr) -> Result<Connected, ErrorCode> {
        let socket = self.create(if to.is_ipv4() { V4 } else { V6 });
        self.start_connect(socket, to)?;
        self.finish_connect(socket)
    }

    fn listen(&mut self, at: IpAddr) -> (u32, SocketAddr) {
        let socket = self.create(if at.is_ipv4() { V4 } else { V6 });
        self.start_bind(socket, SocketAddr::new(at, 0)).unwrap();
        HostTcpSocket::finish_bind(&mut self.wasi, tcp(socket)).unwrap().unwrap();
        self.wasi.start_listen(tcp(socket)).unwrap().unwrap();
        self.wasi.finish_listen(tcp(socket)).unwrap().unwrap();
        let at = HostTcpSocket::local_address(&mut self.wasi, tcp(socket)).unwrap().unwrap();
        (socket, of_guest(&at))
    }

    fn accept(&mut self, listener: u32) -> Result<Connected, ErrorCode> {
        let (socket, input, output) = self.wasi.accept(tcp(listener)).unwrap()?;
        Ok(Connected { socket: socket.rep, input: input.rep, output: output.rep })
    }

    fn read(&mut self, input: u32, len: u64) -> Result<Vec<u8>, StreamError> {
        Wasi::blocking_read(&mut Turn::alone(&mut self.wasi), stream_in(input), len).unwrap()
    }

    fn write(&mut self, output: u32, bytes: &[u8]) -> Result<(), StreamError> {
        let mut turn = Turn::alone(&mut self.wasi);
        Wasi::blocking_write_and_flush(&mut turn, stream_out(output), bytes.to_vec()).unwrap()
    }
}

fn tcp(rep: u32) -> Borrow<TcpSocket> {
    Borrow::new(rep)
}

fn stream_in(rep: u32) -> Borrow<InputStream> {
    Borrow::new(rep)
}

fn stream_out(rep: u32) -> Borrow<OutputStream> {
    Borrow::new(rep)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

/// Whether this machine has IPv6 at all: containers often do not.
fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn a_client_talks_and_each_side_closes_its_half() {
    let listener = TcpListener::bind(local(0)).unwrap();
    let mut guest = Netizen::local();
    let connected = guest.connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    guest.write(connected.output, b"hello").unwrap();
    let mut bytes = [0; 5];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    // Nothing has come: a read that does not block gives nothing, and the stream is not ready.
    assert_eq!(guest.wasi.read(stream_in(connected.input), 10).unwrap(), Ok(Vec::new()));
    let pollable = HostInputStream::subscribe(&mut guest.wasi, stream_in(connected.input)).unwrap();
    assert!(!HostPollable::ready(&mut guest.wasi, Borrow::new(pollable.rep)).unwrap());
    peer.write_all(b"abcdef").unwrap();
    guest.wait_for(pollable);
    assert_eq!(guest.read(connected.input, 2).unwrap(), b"ab", "a read takes no more than it is asked for");
    assert_eq!(guest.read(connected.input, 100).unwrap(), b"cdef", "and what is here if that is less");
    let addresses = [peer.peer_addr().unwrap(), peer.local_addr().unwrap()];
    let own = HostTcpSocket::local_address(&mut guest.wasi, tcp(connected.socket)).unwrap().unwrap();
    let others = HostTcpSocket::remote_address(&mut guest.wasi, tcp(connected.socket)).unwrap().unwrap();
    assert_eq!([of_guest(&own), of_guest(&others)], addresses);
    // The guest ends its half; the peer sees the end and goes on sending.
    assert_eq!(guest.wasi.shutdown(tcp(connected.socket), ShutdownType::Send).unwrap(), Ok(()));
    assert_eq!(guest.wasi.shutdown(tcp(connected.socket), ShutdownType::Send).unwrap(), Ok(()));
    assert_eq!(peer.read(&mut bytes).unwrap(), 0);
    assert!(matches!(guest.write(connected.output, b"x"), Err(StreamError::Closed)));
    assert!(matches!(
        guest.wasi.check_write(stream_out(connected.output)).unwrap(),
        Err(StreamError::Closed)
    ));
    peer.write_all(b"last").unwrap();
    assert_eq!(guest.read(connected.input, 100).unwrap(), b"last");
    peer.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(guest.read(connected.input, 100), Err(StreamError::Closed)));
}

#[test]
fn what_is_shut_to_receive_is_at_its_end() {
    let listener = TcpListener::bind(local(0)).unwrap();
    let mut guest = Netizen::local();
    let connected = guest.connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"unread").unwrap();
    assert_eq!(guest.wasi.shutdown(tcp(connected.socket), ShutdownType::Receive).unwrap(), Ok(()));
    assert!(matches!(guest.read(connected.input, 100), Err(StreamError::Closed)));
    guest.write(connected.output, b"still").unwrap();
    let mut bytes = [0; 5];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(guest.wasi.shutdown(tcp(connected.socket), ShutdownType::Both).unwrap(), Ok(()));
    assert_eq!(peer.read(&mut bytes).unwrap(), 0);
}

#[test]
fn a_server_accepts_and_serves() {
    let mut guest = Netizen::local();
    let (listener, at) = guest.listen(Ipv4Addr::LOCALHOST.into());
    assert!(guest.wasi.is_listening(tcp(listener)).unwrap());
    assert_eq!(guest.accept(listener).err(), Some(ErrorCode::WouldBlock));
    let mut peers: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(at).unwrap()).collect();
    for peer in &mut peers {
        guest.wait(listener);
        let connected = guest.accept(listener).unwrap();
        let remote = HostTcpSocket::remote_address(&mut guest.wasi, tcp(connected.socket)).unwrap().unwrap();
        assert_eq!(of_guest(&remote), peer.local_addr().unwrap());
        peer.write_all(b"ping").unwrap();
        assert_eq!(guest.read(connected.input, 4).unwrap(), b"ping");
        guest.write(connected.output, b"pong").unwrap();
        let mut bytes = [0; 4];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"pong");
        // Closed when its socket and both streams are, in whatever order they go.
        HostTcpSocket::dropped(&mut guest.wasi, Own::new(connected.socket)).unwrap();
        guest.write(connected.output, b"more").unwrap();
        HostOutputStream::dropped(&mut guest.wasi, Own::new(connected.output)).unwrap();
        HostInputStream::dropped(&mut guest.wasi, Own::new(connected.input)).unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"more");
    }
    assert_eq!(guest.accept(listener).err(), Some(ErrorCode::WouldBlock));
}

#[test]
fn states_are_kept_to() {
    let mut guest = Netizen::local();
    let socket = guest.create(V4);
    let network = guest.network();
    let wasi = &mut guest.wasi;
    let this = || tcp(socket);
    for early in [
        wasi.finish_connect(this()).unwrap().map(drop),
        HostTcpSocket::finish_bind(wasi, this()).unwrap(),
        wasi.finish_listen(this()).unwrap(),
    ] {
        assert_eq!(early, Err(ErrorCode::NotInProgress));
    }
    assert_eq!(wasi.start_listen(this()).unwrap(), Err(ErrorCode::InvalidState));
    assert_eq!(wasi.accept(this()).unwrap().map(drop), Err(ErrorCode::InvalidState));
    assert_eq!(wasi.shutdown(this(), ShutdownType::Both).unwrap(), Err(ErrorCode::InvalidState));
    assert!(HostTcpSocket::local_address(wasi, this()).unwrap().is_err());
    assert!(HostTcpSocket::remote_address(wasi, this()).unwrap().is_err());
    let bind = |wasi: &mut Wasi| {
        HostTcpSocket::start_bind(wasi, this(), Borrow::new(network.rep), to_guest(local(0)))
    };
    assert_eq!(bind(wasi).unwrap(), Ok(()));
    assert_eq!(bind(wasi).unwrap(), Err(ErrorCode::ConcurrencyConflict));
    assert_eq!(HostTcpSocket::local_address(wasi, this()).unwrap().map(drop), Err(ErrorCode::InvalidState));
    assert_eq!(HostTcpSocket::finish_bind(wasi, this()).unwrap(), Ok(()));
    assert_eq!(HostTcpSocket::finish_bind(wasi, this()).unwrap(), Err(ErrorCode::NotInProgress));
    assert_eq!(bind(wasi).unwrap(), Err(ErrorCode::InvalidState));
    assert!(HostTcpSocket::local_address(wasi, this()).unwrap().is_ok());
    assert_eq!(wasi.start_listen(this()).unwrap(), Ok(()));
    assert_eq!(wasi.start_listen(this()).unwrap(), Err(ErrorCode::ConcurrencyConflict));
    assert_eq!(wasi.accept(this()).unwrap().map(drop), Err(ErrorCode::InvalidState));
    assert_eq!(wasi.finish_listen(this()).unwrap(), Ok(()));
    assert_eq!(wasi.start_listen(this()).unwrap(), Err(ErrorCode::InvalidState));
    assert_eq!(guest.start_connect(socket, local(1)), Err(ErrorCode::InvalidState));
    assert_eq!(guest.wasi.set_listen_backlog_size(tcp(socket), 0).unwrap(), Err(ErrorCode::InvalidArgument));
    assert_eq!(guest.wasi.set_listen_backlog_size(tcp(socket), u64::MAX).unwrap(), Ok(()));
}

#[test]
fn a_connection_that_fails_closes_its_socket() {
    let mut guest = Netizen::local();
    // A port that somebody has and nobody listens at.
    let silent = guest.create(V4);
    guest.start_bind(silent, local(0)).unwrap();
    HostTcpSocket::finish_bind(&mut guest.wasi, tcp(silent)).unwrap().unwrap();
    let free = of_guest(&HostTcpSocket::local_address(&mut guest.wasi, tcp(silent)).unwrap().unwrap());
    let socket = guest.create(V4);
    let refused = guest.start_connect(socket, free).and_then(|()| guest.finish_connect(socket).map(drop));
    assert_eq!(refused, Err(ErrorCode::ConnectionRefused));
    assert_eq!(guest.start_connect(socket, free), Err(ErrorCode::InvalidState));
    assert_eq!(guest.start_bind(socket, local(0)), Err(ErrorCode::InvalidState));
    assert_eq!(guest.wasi.keep_alive_enabled(tcp(socket)).unwrap(), Err(ErrorCode::InvalidState));
    assert_eq!(
        HostTcpSocket::local_address(&mut guest.wasi, tcp(socket)).unwrap().map(drop),
        Err(ErrorCode::InvalidState)
    );
}

#[test]
fn who_cannot_be_reached_from_here_is_unreachable() {
    let network = Network { connect: vec!["192.0.2.0/24".parse().unwrap()], ..Network::default() };
    let mut guest = Netizen::new(Network { listen: vec!["127.0.0.1:0".parse().unwrap()], ..network });
    let socket = guest.create(V4);
    // From the loopback there is no way to any other machine.
    guest.start_bind(socket, local(0)).unwrap();
    HostTcpSocket::finish_bind(&mut guest.wasi, tcp(socket)).unwrap().unwrap();
    let to: SocketAddr = "192.0.2.1:80".parse().unwrap();
    assert_eq!(guest.start_connect(socket, to), Err(ErrorCode::RemoteUnreachable));
    assert_eq!(guest.start_connect(socket, to), Err(ErrorCode::InvalidState));
}

#[test]
fn a_network_that_is_handed_on_is_the_others_to_use() {
    let listener = TcpListener::bind(local(0)).unwrap();
    let at = listener.local_addr().unwrap();
    // One who may connect to nobody here, with the network of one who may.
    let mut guest =
        Netizen::new(Network { connect: vec!["192.0.2.1".parse().unwrap()], ..Network::default() });
    assert_eq!(guest.connect(at).err(), Some(ErrorCode::AccessDenied));
    let mut both = Wasi::builder()
        .network(Network { connect: vec!["192.0.2.1".parse().unwrap()], ..Network::default() });
    let may = Network { connect: vec![at.to_string().parse().unwrap()], ..Network::default() };
    both = both.grant(1, servers::Grants { network: may, ..servers::Grants::nothing() });
    let mut wasi = both.build().unwrap();
    let process = |index| abi::id::ProcessId { index, generation: 0 };
    servers::bind::State::called_by(&mut wasi, process(8), 1);
    let handed = instance_network::Host::instance_network(&mut wasi).unwrap().rep;
    servers::bind::State::called_by(&mut wasi, process(7), 0);
    let own = instance_network::Host::instance_network(&mut wasi).unwrap().rep;
    let mut guest = Netizen { wasi, network: own };
    assert_eq!(guest.connect(at).err(), Some(ErrorCode::AccessDenied));
    guest.network = handed;
    assert!(guest.connect(at).is_ok());
    // What is bound by one network is not connected by another.
    let socket = guest.create(V4);
    guest.start_bind(socket, local(0)).unwrap();
    HostTcpSocket::finish_bind(&mut guest.wasi, tcp(socket)).unwrap().unwrap();
    guest.network = own;
    assert_eq!(guest.start_connect(socket, "192.0.2.1:80".parse().unwrap()), Err(ErrorCode::InvalidArgument));
}

#[test]
fn a_reset_is_an_error_with_a_code() {
    let listener = TcpListener::bind(local(0)).unwrap();
    let mut guest = Netizen::local();
    let connected = guest.connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    guest.write(connected.output, b"never read").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    // Closing with bytes unread resets the connection.
    drop(peer);
    let failed = guest.read(connected.input, 10);
    let Err(StreamError::LastOperationFailed(error)) = failed else { panic!("{failed:?}") };
    let code = network::Host::network_error_code(&mut guest.wasi, Borrow::new(error.rep)).unwrap();
    assert_eq!(code, Some(ErrorCode::ConnectionReset));
    assert!(guest.wasi.to_debug_string(Borrow::new(error.rep)).unwrap().contains("reset"));
    HostError::dropped(&mut guest.wasi, error).unwrap();
    assert!(matches!(guest.read(connected.input, 10), Err(StreamError::Closed)));
    assert!(guest.write(connected.output, b"x").is_err());
}

#[test]
fn addresses_that_make_no_sense_are_refused() {
    let mut guest = Netizen::local();
    let socket = guest.create(V4);
    let invalid = Err(ErrorCode::InvalidArgument);
    for to in ["0.0.0.0:80", "127.0.0.1:0", "224.0.0.1:80", "255.255.255.255:80", "[::1]:80"] {
        assert_eq!(guest.start_connect(socket, to.parse().unwrap()), invalid, "{to}");
    }
    for at in ["224.0.0.1:0", "255.255.255.255:0", "[::1]:0"] {
        assert_eq!(guest.start_bind(socket, at.parse().unwrap()), invalid, "{at}");
    }
    let Ok(socket) = tcp_create_socket::Host::create_tcp_socket(&mut guest.wasi, V6).unwrap() else { return };
    for to in ["[::]:80", "[ff02::1]:80", "[::ffff:127.0.0.1]:80", "127.0.0.1:80"] {
        assert_eq!(guest.start_connect(socket.rep, to.parse().unwrap()), invalid, "{to}");
    }
    assert_eq!(guest.start_bind(socket.rep, "[::ffff:127.0.0.1]:0".parse().unwrap()), invalid);
}

#[test]
fn a_bind_can_fail_and_be_tried_again() {
    let mut guest = Netizen::new(Network { listen: vec!["*:*".parse().unwrap()], ..Network::default() });
    let taken = TcpListener::bind(local(0)).unwrap();
    let socket = guest.create(V4);
    assert_eq!(guest.start_bind(socket, taken.local_addr().unwrap()), Err(ErrorCode::AddressInUse));
    // An address for documentation (RFC 5737) is no machine's.
    assert_eq!(guest.start_bind(socket, "192.0.2.1:0".parse().unwrap()), Err(ErrorCode::AddressNotBindable));
    assert_eq!(guest.start_bind(socket, local(0)), Ok(()));
    assert_eq!(HostTcpSocket::finish_bind(&mut guest.wasi, tcp(socket)).unwrap(), Ok(()));
}

#[test]
fn ipv6_is_like_ipv4() {
    if !has_ipv6() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let mut guest = Netizen::local();
    let (listener, at) = guest.listen(Ipv6Addr::LOCALHOST.into());
    let client = guest.connect(at).unwrap();
    guest.wait(listener);
    let server = guest.accept(listener).unwrap();
    assert_eq!(guest.wasi.address_family(tcp(server.socket)).unwrap(), V6);
    guest.write(client.output, b"six").unwrap();
    assert_eq!(guest.read(server.input, 10).unwrap(), b"six");
    assert_eq!(
        HostTcpSocket::hop_limit(&mut guest.wasi, tcp(client.socket)).unwrap().map(|limit| limit > 0),
        Ok(true)
    );
    assert_eq!(guest.wasi.set_hop_limit(tcp(client.socket), 7).unwrap(), Ok(()));
    assert_eq!(HostTcpSocket::hop_limit(&mut guest.wasi, tcp(client.socket)).unwrap(), Ok(7));
}

#[test]
fn options_are_kept_within_bounds() {
    let mut guest = Netizen::local();
    let socket = guest.create(V4);
    let wasi = &mut guest.wasi;
    let this = || tcp(socket);
    let zero = Err(ErrorCode::InvalidArgument);
    assert_eq!(wasi.keep_alive_enabled(this()).unwrap(), Ok(false));
    assert_eq!(wasi.set_keep_alive_enabled(this(), true).unwrap(), Ok(()));
    assert_eq!(wasi.keep_alive_enabled(this()).unwrap(), Ok(true));
    assert_eq!(wasi.set_keep_alive_idle_time(this(), 0).unwrap(), zero);
    assert_eq!(wasi.set_keep_alive_idle_time(this(), 1).unwrap(), Ok(()));
    assert_eq!(wasi.keep_alive_idle_time(this()).unwrap(), Ok(1_000_000_000));
    assert_eq!(wasi.set_keep_alive_idle_time(this(), u64::MAX).unwrap(), Ok(()));
    assert_eq!(wasi.set_keep_alive_interval(this(), 0).unwrap(), zero);
    assert_eq!(wasi.set_keep_alive_interval(this(), 5_000_000_000).unwrap(), Ok(()));
    assert_eq!(wasi.keep_alive_interval(this()).unwrap(), Ok(5_000_000_000));
    assert_eq!(wasi.set_keep_alive_count(this(), 0).unwrap(), zero);
    assert_eq!(wasi.set_keep_alive_count(this(), u32::MAX).unwrap(), Ok(()));
    assert_eq!(wasi.keep_alive_count(this()).unwrap(), Ok(127));
    assert_eq!(wasi.set_hop_limit(this(), 0).unwrap(), zero);
    assert_eq!(wasi.set_hop_limit(this(), 3).unwrap(), Ok(()));
    assert_eq!(wasi.hop_limit(this()).unwrap(), Ok(3));
    for size in [1, 100_000, u64::MAX] {
        assert_eq!(HostTcpSocket::set_receive_buffer_size(wasi, this(), size).unwrap(), Ok(()));
        assert_eq!(HostTcpSocket::set_send_buffer_size(wasi, this(), size).unwrap(), Ok(()));
        assert!(HostTcpSocket::receive_buffer_size(wasi, this()).unwrap().unwrap() > 0);
        assert!(HostTcpSocket::send_buffer_size(wasi, this()).unwrap().unwrap() > 0);
    }
    assert_eq!(HostTcpSocket::set_receive_buffer_size(wasi, this(), 0).unwrap(), zero);
    assert_eq!(HostTcpSocket::set_send_buffer_size(wasi, this(), 0).unwrap(), zero);
    // What is accepted has the options of its listener.
    let (listener, at) = guest.listen(Ipv4Addr::LOCALHOST.into());
    assert_eq!(guest.wasi.set_hop_limit(tcp(listener), 9).unwrap(), Ok(()));
    assert_eq!(guest.wasi.set_keep_alive_enabled(tcp(listener), true).unwrap(), Ok(()));
    let _peer = TcpStream::connect(at).unwrap();
    guest.wait(listener);
    let accepted = guest.accept(listener).unwrap();
    assert_eq!(guest.wasi.hop_limit(tcp(accepted.socket)).unwrap(), Ok(9));
    assert_eq!(guest.wasi.keep_alive_enabled(tcp(accepted.socket)).unwrap(), Ok(true));
}

#[test]
fn a_full_connection_permits_nothing_until_it_is_read() {
    let listener = TcpListener::bind(local(0)).unwrap();
    let mut guest = Netizen::local();
    let connected = guest.connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut written = 0u64;
    loop {
        let permit = guest.wasi.check_write(stream_out(connected.output)).unwrap().unwrap();
        if permit == 0 {
            break;
        }
        let bytes = vec![7; usize::try_from(permit).unwrap()];
        Wasi::write(&mut Turn::alone(&mut guest.wasi), stream_out(connected.output), bytes).unwrap().unwrap();
        written += permit;
        assert!(written < 64 << 20, "the connection is never full");
    }
    let too_much = Wasi::write(&mut Turn::alone(&mut guest.wasi), stream_out(connected.output), vec![1]);
    assert!(matches!(too_much, Err(Trap::Limit { allowed: 0, .. })));
    let pollable = HostOutputStream::subscribe(&mut guest.wasi, stream_out(connected.output)).unwrap();
    assert!(!HostPollable::ready(&mut guest.wasi, Borrow::new(pollable.rep)).unwrap());
    let reads = std::thread::spawn(move || {
        let mut bytes = vec![0; usize::try_from(written).unwrap()];
        peer.read_exact(&mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 7));
        peer
    });
    guest.wait_for(pollable);
    let mut peer = reads.join().unwrap();
    assert!(guest.wasi.check_write(stream_out(connected.output)).unwrap().unwrap() > 0);
    guest.write(connected.output, b"and on").unwrap();
    let mut bytes = [0; 6];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"and on");
}

#[test]
fn many_connections_are_polled_at_once() {
    let mut guest = Netizen::local();
    let (listener, at) = guest.listen(Ipv4Addr::LOCALHOST.into());
    guest.wasi.set_listen_backlog_size(tcp(listener), 200).unwrap().unwrap();
    let mut all = Vec::new();
    for _ in 0..100 {
        let peer = TcpStream::connect(at).unwrap();
        guest.wait(listener);
        all.push((guest.accept(listener).unwrap(), peer));
    }
    let pollables: Vec<_> = all
        .iter()
        .map(|(connected, _)| {
            HostInputStream::subscribe(&mut guest.wasi, stream_in(connected.input)).unwrap()
        })
        .collect();
    for chosen in [3usize, 99, 42] {
        all[chosen].1.write_all(b"me").unwrap();
        let list = pollables.iter().map(|pollable| Borrow::new(pollable.rep)).collect();
        let ready = <Wasi as poll::Host>::poll(&mut Turn::alone(&mut guest.wasi), list).unwrap();
        assert_eq!(ready, [chosen as u32]);
        assert_eq!(guest.read(all[chosen].0.input, 10).unwrap(), b"me");
    }
}

/// It takes what files this OS process may have from the other tests, so it runs in one of its own.
#[test]
fn a_process_has_so_many_sockets_and_no_more() {
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let name = "tcp_sockets::all_sockets_are_taken_until_there_are_no_more";
    let output = alone.args(["--exact", name, "--ignored"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by `a_process_has_so_many_sockets_and_no_more`"]
fn all_sockets_are_taken_until_there_are_no_more() {
    let mut guest = Netizen::local();
    let mut sockets = Vec::new();
    let limit = servers::limits::MAX_SOCKETS;
    let refused = loop {
        match tcp_create_socket::Host::create_tcp_socket(&mut guest.wasi, V4).unwrap() {
            Ok(socket) => sockets.push(socket),
            Err(code) => break code,
        }
        assert!(sockets.len() <= limit);
    };
    // This machine may allow fewer files than atoll does sockets.
    assert_eq!(refused, ErrorCode::NewSocketLimit);
    HostTcpSocket::dropped(&mut guest.wasi, sockets.pop().unwrap()).unwrap();
    assert!(tcp_create_socket::Host::create_tcp_socket(&mut guest.wasi, V4).unwrap().is_ok());
}

#[test]
fn grants_say_who_is_connected_to_and_where_is_listened() {
    let listener = TcpListener::bind(local(0)).unwrap();
    let at = listener.local_addr().unwrap();
    let denied = Some(ErrorCode::AccessDenied);
    let connect = |rule: &str| Network { connect: vec![rule.parse().unwrap()], ..Network::default() };
    for (rule, granted) in [
        (format!("127.0.0.1:{}", at.port()), true),
        ("127.0.0.0/8".to_owned(), true),
        (format!("127.0.0.1:{}", at.port() ^ 1), false),
        ("127.0.0.2".to_owned(), false),
        // This machine is not meant by whoever means everybody.
        ("*".to_owned(), false),
        ("0.0.0.0/0".to_owned(), false),
        ("example.com".to_owned(), false),
    ] {
        let mut guest = Netizen::new(connect(&rule));
        assert_eq!(guest.connect(at).err(), denied.filter(|_| !granted), "{rule}");
    }
    // Who may connect may bind to any free port, and not listen there.
    let mut guest = Netizen::new(connect("127.0.0.1"));
    let socket = guest.create(V4);
    assert_eq!(guest.start_bind(socket, local(1)).err(), denied);
    assert_eq!(guest.start_bind(socket, local(0)), Ok(()));
    HostTcpSocket::finish_bind(&mut guest.wasi, tcp(socket)).unwrap().unwrap();
    assert_eq!(guest.wasi.start_listen(tcp(socket)).unwrap().err(), denied);
    assert_eq!(guest.start_connect(socket, at), Ok(()));
    assert!(guest.finish_connect(socket).is_ok());
    // And who may listen may not connect.
    let listen = Network { listen: vec!["127.0.0.1:0".parse().unwrap()], ..Network::default() };
    let mut guest = Netizen::new(listen);
    let (socket, _) = guest.listen(Ipv4Addr::LOCALHOST.into());
    assert!(guest.wasi.is_listening(tcp(socket)).unwrap());
    assert_eq!(guest.connect(at).err(), denied);
    let socket = guest.create(V4);
    for elsewhere in [local(8080), "0.0.0.0:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()] {
        assert_eq!(guest.start_bind(socket, elsewhere).err(), denied, "{elsewhere}");
    }
    // Without either there are no sockets at all.
    let mut guest = Netizen::new(Network { resolve: vec!["*".parse().unwrap()], ..Network::default() });
    let created = tcp_create_socket::Host::create_tcp_socket(&mut guest.wasi, V4).unwrap();
    assert_eq!(created.err(), denied);
}
