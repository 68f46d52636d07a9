//! `wasi:sockets/udp` and `udp-create-socket`.

use abi::fault::Trap;
use abi::typed::{Borrow, Own};

use super::address::{of_family, to_guest};
use super::datagrams::{self, Incoming, Outgoing};
use super::eithersocket::{option, start};
use super::sockopts::{self, Buffers};
use super::udp::UdpSocket;
use super::{Refusal, Told, told};
use crate::Wasi;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use crate::bindings::wasi::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, Pollable, UdpSocket as Handle,
};
use crate::bindings::wasi::sockets::udp_create_socket;
use crate::io::poll::Subject;

/// The two streams of a socket.
type Streams = (Own<IncomingDatagramStream>, Own<OutgoingDatagramStream>);

impl udp_create_socket::Host for Wasi {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> Told<Own<Handle>> {
        told(self.create_udp(family))
    }
}

impl Wasi {
    fn create_udp(&mut self, family: IpAddressFamily) -> Result<Own<Handle>, Refusal> {
        if !self.grants().network.has_udp() {
            return Err(ErrorCode::AccessDenied.into());
        }
        let process = self.caller_index();
        let socket = UdpSocket::open(family, self.sockets.charge(process)?)?;
        Ok(Own::new(self.sockets.udp.insert(socket)?))
    }

    fn udp(&self, this: Borrow<Handle>) -> Result<&UdpSocket, Refusal> {
        Ok(self.sockets.udp.get(this.rep)?)
    }

    fn udp_stream(
        &mut self,
        this: Borrow<Handle>,
        peer: Option<IpSocketAddress>,
    ) -> Result<Streams, Refusal> {
        let key = self.sockets.udp.key(this.rep)?;
        let socket = self.sockets.udp.at_mut(this.rep)?;
        let peer = peer.map(|peer| of_family(socket.family, &peer)).transpose()?;
        let streams = socket.stream(peer, &self.granted[socket.network()])?;
        let incoming = Own::new(self.sockets.incoming.insert(Incoming { socket: key, streams })?);
        let outgoing = Outgoing { socket: key, streams, permit: 0 };
        Ok((incoming, Own::new(self.sockets.outgoing.insert(outgoing)?)))
    }

    fn send_datagrams(&mut self, this: u32, datagrams: &[OutgoingDatagram]) -> Result<u64, Refusal> {
        let sockets = &mut self.sockets;
        let outgoing = sockets.outgoing.at_mut(this)?;
        datagrams::spend(outgoing, datagrams.len())?;
        let socket = sockets.udp.find(outgoing.socket).filter(|socket| socket.is_current(outgoing.streams));
        let socket = socket.ok_or(ErrorCode::InvalidState)?;
        datagrams::send_all(socket, &self.granted[socket.network()], datagrams)
    }
}

impl HostUdpSocket for Wasi {
    fn start_bind(
        &mut self,
        this: Borrow<Handle>,
        network: Borrow<Network>,
        at: IpSocketAddress,
    ) -> Told<()> {
        let which = *self.sockets.networks.get(network.rep)?;
        let by = (which, &self.granted[which]);
        start(&mut self.sockets.udp, this.rep, by, &at, UdpSocket::start_bind)
    }

    fn finish_bind(&mut self, this: Borrow<Handle>) -> Told<()> {
        Ok(self.sockets.udp.at_mut(this.rep)?.finish_bind())
    }

    fn stream(&mut self, this: Borrow<Handle>, remote_address: Option<IpSocketAddress>) -> Told<Streams> {
        told(self.udp_stream(this, remote_address))
    }

    fn local_address(&mut self, this: Borrow<Handle>) -> Told<IpSocketAddress> {
        told(self.udp(this).and_then(|socket| Ok(to_guest(socket.local_address()?))))
    }

    fn remote_address(&mut self, this: Borrow<Handle>) -> Told<IpSocketAddress> {
        told(self.udp(this).and_then(|socket| Ok(to_guest(socket.remote_address()?))))
    }

    fn address_family(&mut self, this: Borrow<Handle>) -> Result<IpAddressFamily, Trap> {
        Ok(self.sockets.udp.get(this.rep)?.family)
    }

    fn unicast_hop_limit(&mut self, this: Borrow<Handle>) -> Told<u8> {
        option(&self.sockets.udp, this.rep, sockopts::hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, this: Borrow<Handle>, value: u8) -> Told<()> {
        option(&self.sockets.udp, this.rep, |family, fd| sockopts::set_hop_limit(family, fd, value))
    }

    fn receive_buffer_size(&mut self, this: Borrow<Handle>) -> Told<u64> {
        option(&self.sockets.udp, this.rep, |_, fd| Buffers::Receive.size(fd))
    }

    fn set_receive_buffer_size(&mut self, this: Borrow<Handle>, value: u64) -> Told<()> {
        option(&self.sockets.udp, this.rep, |_, fd| Buffers::Receive.set_size(fd, value))
    }

    fn send_buffer_size(&mut self, this: Borrow<Handle>) -> Told<u64> {
        option(&self.sockets.udp, this.rep, |_, fd| Buffers::Send.size(fd))
    }

    fn set_send_buffer_size(&mut self, this: Borrow<Handle>, value: u64) -> Told<()> {
        option(&self.sockets.udp, this.rep, |_, fd| Buffers::Send.set_size(fd, value))
    }

    fn subscribe(&mut self, this: Borrow<Handle>) -> Result<Own<Pollable>, Trap> {
        self.sockets.udp.get(this.rep)?;
        // Binding is done at once; what comes and goes has streams to wait for.
        self.pollables.insert(Subject::Ready).map(Own::new)
    }

    fn dropped(&mut self, this: Own<Handle>) -> Result<(), Trap> {
        self.sockets.udp.remove(this.rep).map(drop)
    }
}

impl HostIncomingDatagramStream for Wasi {
    fn receive(&mut self, this: Borrow<IncomingDatagramStream>, max: u64) -> Told<Vec<IncomingDatagram>> {
        let Incoming { socket, streams } = *self.sockets.incoming.get(this.rep)?;
        let Some(socket) = self.sockets.udp.find_mut(socket).filter(|socket| socket.is_current(streams))
        else {
            return Ok(Err(ErrorCode::InvalidState));
        };
        let granted = &self.granted[socket.network()];
        Ok(datagrams::receive(socket, granted, max))
    }

    fn subscribe(&mut self, this: Borrow<IncomingDatagramStream>) -> Result<Own<Pollable>, Trap> {
        let socket = self.sockets.incoming.get(this.rep)?.socket;
        self.pollables.insert(Subject::Datagrams(socket)).map(Own::new)
    }

    fn dropped(&mut self, this: Own<IncomingDatagramStream>) -> Result<(), Trap> {
        self.sockets.incoming.remove(this.rep).map(drop)
    }
}

impl HostOutgoingDatagramStream for Wasi {
    fn check_send(&mut self, this: Borrow<OutgoingDatagramStream>) -> Told<u64> {
        let outgoing = self.sockets.outgoing.at_mut(this.rep)?;
        let socket = self.sockets.udp.find(outgoing.socket);
        match socket.filter(|socket| socket.is_current(outgoing.streams)) {
            Some(socket) => Ok(datagrams::check_send(socket, outgoing)),
            None => Ok(Err(ErrorCode::InvalidState)),
        }
    }

    fn send(&mut self, this: Borrow<OutgoingDatagramStream>, datagrams: Vec<OutgoingDatagram>) -> Told<u64> {
        told(self.send_datagrams(this.rep, &datagrams))
    }

    fn subscribe(&mut self, this: Borrow<OutgoingDatagramStream>) -> Result<Own<Pollable>, Trap> {
        let socket = self.sockets.outgoing.get(this.rep)?.socket;
        self.pollables.insert(Subject::RoomForDatagrams(socket)).map(Own::new)
    }

    fn dropped(&mut self, this: Own<OutgoingDatagramStream>) -> Result<(), Trap> {
        self.sockets.outgoing.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {}
