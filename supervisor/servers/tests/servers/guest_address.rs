//! Addresses as guests write them.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use servers::bindings::wasi::sockets::network::{IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress};

pub fn to_guest(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(it) => {
            let [a, b, c, d] = it.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: it.port(), address: (a, b, c, d) })
        }
        SocketAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.ip().segments();
            let address = (a, b, c, d, e, f, g, h);
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port: it.port(), flow_info: 0, address, scope_id: 0 })
        }
    }
}

pub fn of_guest(address: &IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(it) => {
            let (a, b, c, d) = it.address;
            SocketAddr::V4(SocketAddrV4::new([a, b, c, d].into(), it.port))
        }
        IpSocketAddress::Ipv6(it) => {
            let (a, b, c, d, e, f, g, h) = it.address;
            SocketAddr::V6(SocketAddrV6::new(
                [a, b, c, d, e, f, g, h].into(),
                it.port,
                it.flow_info,
                it.scope_id,
            ))
        }
    }
}
