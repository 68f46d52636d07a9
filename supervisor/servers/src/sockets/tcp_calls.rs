//! `wasi:sockets/tcp` and `tcp-create-socket`.

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use rustix::net::sockopt;

use super::address::to_guest;
use super::connection::Connection;
use super::eithersocket::{option, start};
use super::neterror::code;
use super::sockopts::{self, Buffers, KeepAlive};
use super::tcp::{self, TcpSocket};
use super::{Refusal, Told, told};
use crate::Wasi;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use crate::bindings::wasi::sockets::tcp::{
    Host, HostTcpSocket, InputStream, OutputStream, Pollable, ShutdownType, TcpSocket as Handle,
};
use crate::bindings::wasi::sockets::tcp_create_socket;
use crate::io::poll::Subject;
use crate::io::streams::{Sink, Source};

/// The two streams of a connection.
type Streams = (Own<InputStream>, Own<OutputStream>);

/// A connection that was accepted: its socket and streams.
type Accepted = (Own<Handle>, Own<InputStream>, Own<OutputStream>);

impl tcp_create_socket::Host for Wasi {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Told<Own<Handle>> {
        told(self.create_tcp(family))
    }
}

impl Wasi {
    fn create_tcp(&mut self, family: IpAddressFamily) -> Result<Own<Handle>, Refusal> {
        if !self.grants().network.has_tcp() {
            return Err(ErrorCode::AccessDenied.into());
        }
        let process = self.caller_index();
        let charge = self.sockets.charge(process)?;
        let socket = TcpSocket::new(family, charge, tcp::open(family)?);
        Ok(Own::new(self.sockets.tcp.insert(socket)?))
    }

    fn tcp(&self, this: Borrow<Handle>) -> Result<&TcpSocket, Refusal> {
        Ok(self.sockets.tcp.get(this.rep)?)
    }

    fn tcp_mut(&mut self, this: Borrow<Handle>) -> Result<&mut TcpSocket, Refusal> {
        Ok(self.sockets.tcp.at_mut(this.rep)?)
    }

    fn tcp_streams(&mut self, connection: Connection) -> Result<Streams, Trap> {
        let input = self.streams.add_input(Source::Tcp(connection.clone()))?;
        Ok((input, self.streams.add_output(Sink::Tcp(connection))?))
    }

    fn accept_tcp(&mut self, this: Borrow<Handle>) -> Result<Accepted, Refusal> {
        self.tcp(this)?.check_listening()?;
        let process = self.caller_index();
        // Before the connection is taken: one that cannot be kept waits on.
        let charge = self.sockets.charge(process)?;
        let listener = self.tcp(this)?;
        let (socket, connection) = listener.accepted(charge, listener.accept()?);
        let socket = Own::new(self.sockets.tcp.insert(socket)?);
        let (input, output) = self.tcp_streams(connection)?;
        Ok((socket, input, output))
    }
}

impl HostTcpSocket for Wasi {
    fn start_bind(
        &mut self,
        this: Borrow<Handle>,
        network: Borrow<Network>,
        at: IpSocketAddress,
    ) -> Told<()> {
        let which = *self.sockets.networks.get(network.rep)?;
        let by = (which, &self.granted[which]);
        start(&mut self.sockets.tcp, this.rep, by, &at, TcpSocket::start_bind)
    }

    fn finish_bind(&mut self, this: Borrow<Handle>) -> Told<()> {
        told(self.tcp_mut(this).and_then(|socket| Ok(socket.finish_bind()?)))
    }

    fn start_connect(
        &mut self,
        this: Borrow<Handle>,
        network: Borrow<Network>,
        to: IpSocketAddress,
    ) -> Told<()> {
        let which = *self.sockets.networks.get(network.rep)?;
        let by = (which, &self.granted[which]);
        start(&mut self.sockets.tcp, this.rep, by, &to, TcpSocket::start_connect)
    }

    fn finish_connect(&mut self, this: Borrow<Handle>) -> Told<Streams> {
        let connected = self.tcp_mut(this).and_then(|socket| Ok(socket.finish_connect()?));
        told(connected.and_then(|connection| Ok(self.tcp_streams(connection)?)))
    }

    fn start_listen(&mut self, this: Borrow<Handle>) -> Told<()> {
        told(self.tcp_mut(this).and_then(|socket| Ok(socket.start_listen()?)))
    }

    fn finish_listen(&mut self, this: Borrow<Handle>) -> Told<()> {
        told(self.tcp_mut(this).and_then(|socket| Ok(socket.finish_listen()?)))
    }

    fn accept(&mut self, this: Borrow<Handle>) -> Told<(Own<Handle>, Own<InputStream>, Own<OutputStream>)> {
        told(self.accept_tcp(this))
    }

    fn local_address(&mut self, this: Borrow<Handle>) -> Told<IpSocketAddress> {
        told(self.tcp(this).and_then(|socket| Ok(to_guest(socket.local_address()?))))
    }

    fn remote_address(&mut self, this: Borrow<Handle>) -> Told<IpSocketAddress> {
        told(self.tcp(this).and_then(|socket| Ok(to_guest(socket.remote_address()?))))
    }

    fn is_listening(&mut self, this: Borrow<Handle>) -> Result<bool, Trap> {
        Ok(self.sockets.tcp.get(this.rep)?.is_listening())
    }

    fn address_family(&mut self, this: Borrow<Handle>) -> Result<IpAddressFamily, Trap> {
        Ok(self.sockets.tcp.get(this.rep)?.family)
    }

    fn set_listen_backlog_size(&mut self, this: Borrow<Handle>, value: u64) -> Told<()> {
        told(self.tcp_mut(this).and_then(|socket| Ok(socket.set_backlog(value)?)))
    }

    fn keep_alive_enabled(&mut self, this: Borrow<Handle>) -> Told<bool> {
        option(&self.sockets.tcp, this.rep, |_, fd| sockopt::socket_keepalive(fd).map_err(code))
    }

    fn set_keep_alive_enabled(&mut self, this: Borrow<Handle>, value: bool) -> Told<()> {
        option(&self.sockets.tcp, this.rep, |_, fd| sockopt::set_socket_keepalive(fd, value).map_err(code))
    }

    fn keep_alive_idle_time(&mut self, this: Borrow<Handle>) -> Told<u64> {
        option(&self.sockets.tcp, this.rep, |_, fd| KeepAlive::Idle.time_ns(fd))
    }

    fn set_keep_alive_idle_time(&mut self, this: Borrow<Handle>, value: u64) -> Told<()> {
        option(&self.sockets.tcp, this.rep, |_, fd| KeepAlive::Idle.set_time_ns(fd, value))
    }

    fn keep_alive_interval(&mut self, this: Borrow<Handle>) -> Told<u64> {
        option(&self.sockets.tcp, this.rep, |_, fd| KeepAlive::Interval.time_ns(fd))
    }

    fn set_keep_alive_interval(&mut self, this: Borrow<Handle>, value: u64) -> Told<()> {
        option(&self.sockets.tcp, this.rep, |_, fd| KeepAlive::Interval.set_time_ns(fd, value))
    }

    fn keep_alive_count(&mut self, this: Borrow<Handle>) -> Told<u32> {
        option(&self.sockets.tcp, this.rep, |_, fd| sockopt::tcp_keepcnt(fd).map_err(code))
    }

    fn set_keep_alive_count(&mut self, this: Borrow<Handle>, value: u32) -> Told<()> {
        option(&self.sockets.tcp, this.rep, |_, fd| sockopts::set_keep_alive_count(fd, value))
    }

    fn hop_limit(&mut self, this: Borrow<Handle>) -> Told<u8> {
        option(&self.sockets.tcp, this.rep, sockopts::hop_limit)
    }

    fn set_hop_limit(&mut self, this: Borrow<Handle>, value: u8) -> Told<()> {
        option(&self.sockets.tcp, this.rep, |family, fd| sockopts::set_hop_limit(family, fd, value))
    }

    fn receive_buffer_size(&mut self, this: Borrow<Handle>) -> Told<u64> {
        option(&self.sockets.tcp, this.rep, |_, fd| Buffers::Receive.size(fd))
    }

    fn set_receive_buffer_size(&mut self, this: Borrow<Handle>, value: u64) -> Told<()> {
        option(&self.sockets.tcp, this.rep, |_, fd| Buffers::Receive.set_size(fd, value))
    }

    fn send_buffer_size(&mut self, this: Borrow<Handle>) -> Told<u64> {
        option(&self.sockets.tcp, this.rep, |_, fd| Buffers::Send.size(fd))
    }

    fn set_send_buffer_size(&mut self, this: Borrow<Handle>, value: u64) -> Told<()> {
        option(&self.sockets.tcp, this.rep, |_, fd| Buffers::Send.set_size(fd, value))
    }

    fn subscribe(&mut self, this: Borrow<Handle>) -> Result<Own<Pollable>, Trap> {
        let key = self.sockets.tcp.key(this.rep)?;
        self.pollables.insert(Subject::Tcp(key)).map(Own::new)
    }

    fn shutdown(&mut self, this: Borrow<Handle>, what: ShutdownType) -> Told<()> {
        told(self.tcp(this).and_then(|socket| Ok(socket.shut_down(what)?)))
    }

    fn dropped(&mut self, this: Own<Handle>) -> Result<(), Trap> {
        self.sockets.tcp.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {}
