//! Addresses as guests write them, and what is wrong with some.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};

/// A guest's address as this machine's.
pub(crate) fn from_guest(address: &IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(it) => {
            let (a, b, c, d) = it.address;
            SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), it.port))
        }
        IpSocketAddress::Ipv6(it) => {
            let (a, b, c, d, e, f, g, h) = it.address;
            let address = Ipv6Addr::new(a, b, c, d, e, f, g, h);
            SocketAddr::V6(SocketAddrV6::new(address, it.port, it.flow_info, it.scope_id))
        }
    }
}

/// This machine's address as a guest's.
pub(crate) fn to_guest(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(it) => {
            let [a, b, c, d] = it.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: it.port(), address: (a, b, c, d) })
        }
        SocketAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: it.port(),
                flow_info: it.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: it.scope_id(),
            })
        }
    }
}

/// The same without a port.
pub(crate) fn ip_to_guest(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(it) => {
            let [a, b, c, d] = it.octets();
            IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(it) => {
            let [a, b, c, d, e, f, g, h] = it.segments();
            IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}

/// A guest's address, for a socket of this family.
pub(crate) fn of_family(family: IpAddressFamily, address: &IpSocketAddress) -> Result<SocketAddr, ErrorCode> {
    let address = from_guest(address);
    let fits = match address.ip() {
        IpAddr::V4(_) => family == IpAddressFamily::Ipv4,
        IpAddr::V6(ip) => family == IpAddressFamily::Ipv6 && ip.to_ipv4_mapped().is_none(),
    };
    if fits { Ok(address) } else { Err(ErrorCode::InvalidArgument) }
}

/// One that stands for one machine, or for any.
pub(crate) fn unicast(address: SocketAddr) -> Result<SocketAddr, ErrorCode> {
    let ip = address.ip();
    if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(ErrorCode::InvalidArgument);
    }
    Ok(address)
}

/// One that something can be sent to.
pub(crate) fn remote(address: SocketAddr) -> Result<SocketAddr, ErrorCode> {
    let is_one = !address.ip().is_unspecified() && address.port() != 0;
    if is_one { Ok(address) } else { Err(ErrorCode::InvalidArgument) }
}

/// What the system says an address is; none for other families than IP.
pub(crate) fn of_system(address: rustix::net::SocketAddrAny) -> Result<SocketAddr, ErrorCode> {
    SocketAddr::try_from(address).map_err(|_| ErrorCode::Unknown)
}
