//! `wasi:sockets`: present, so that guests that could use a network link, and refused, because none is granted.
//!
//! No socket can be made, so no guest ever holds one: the functions of sockets have the refusal that the generator
//! gives them.

use abi::fault::Trap;
use abi::typed::{Borrow, Own};

use crate::Wasi;
use crate::bindings::wasi::sockets::ip_name_lookup::{self, HostResolveAddressStream, ResolveAddressStream};
use crate::bindings::wasi::sockets::network::{self, ErrorCode, HostNetwork, IpAddressFamily, Network};
use crate::bindings::wasi::sockets::tcp::{self, HostTcpSocket, TcpSocket};
use crate::bindings::wasi::sockets::udp::{
    self, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagramStream,
    OutgoingDatagramStream, UdpSocket,
};
use crate::bindings::wasi::sockets::{instance_network, tcp_create_socket, udp_create_socket};

/// There is one network, and nothing can be reached over it.
const NETWORK: u32 = 0;

impl HostNetwork for Wasi {
    fn dropped(&mut self, _: Own<Network>) -> Result<(), Trap> {
        Ok(())
    }
}

impl network::Host for Wasi {
    fn network_error_code(&mut self, _: Borrow<network::Error>) -> Result<Option<ErrorCode>, Trap> {
        Ok(None)
    }
}

impl instance_network::Host for Wasi {
    fn instance_network(&mut self) -> Result<Own<Network>, Trap> {
        Ok(Own::new(NETWORK))
    }
}

impl tcp_create_socket::Host for Wasi {
    fn create_tcp_socket(&mut self, _: IpAddressFamily) -> Result<Result<Own<TcpSocket>, ErrorCode>, Trap> {
        Ok(Err(ErrorCode::NotSupported))
    }
}

impl udp_create_socket::Host for Wasi {
    fn create_udp_socket(&mut self, _: IpAddressFamily) -> Result<Result<Own<UdpSocket>, ErrorCode>, Trap> {
        Ok(Err(ErrorCode::NotSupported))
    }
}

impl ip_name_lookup::Host for Wasi {
    fn resolve_addresses(
        &mut self,
        _: Borrow<Network>,
        _: String,
    ) -> Result<Result<Own<ResolveAddressStream>, ErrorCode>, Trap> {
        Ok(Err(ErrorCode::AccessDenied))
    }
}

impl tcp::Host for Wasi {}

impl udp::Host for Wasi {}

/// What no guest holds cannot be dropped.
macro_rules! never_made {
    ($($host:ident for $resource:ident),*) => {$(
        impl $host for Wasi {
            fn dropped(&mut self, this: Own<$resource>) -> Result<(), Trap> {
                Err(Trap::Host(format!("no {this:?} was ever made")))
            }
        }
    )*};
}

never_made!(HostTcpSocket for TcpSocket, HostUdpSocket for UdpSocket);
never_made!(HostIncomingDatagramStream for IncomingDatagramStream);
never_made!(HostOutgoingDatagramStream for OutgoingDatagramStream);
never_made!(HostResolveAddressStream for ResolveAddressStream);
