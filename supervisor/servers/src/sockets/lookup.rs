//! `wasi:sockets/ip-name-lookup`

use std::collections::VecDeque;
use std::net::IpAddr;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use kernel::sched::park::Interest;

use super::address::ip_to_guest;
use super::idna::to_ascii;
use super::resolver::{LookupError, Pending};
use super::{Refusal, Told, told};
use crate::Wasi;
use crate::bindings::wasi::sockets::ip_name_lookup::{
    Host, HostResolveAddressStream, Pollable, ResolveAddressStream as Handle,
};
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddress, Network};
use crate::io::poll::Subject;
use crate::io::shared_fd::SharedFd;

/// The addresses of a name, as they come.
#[derive(Debug)]
pub(crate) struct Lookup {
    /// The name; none for an address that was written out.
    name: Option<String>,
    /// The grants by which it was asked for.
    network: usize,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Pending(Pending),
    Found(VecDeque<IpAddr>),
    Failed(LookupError),
}

impl Lookup {
    /// The next address; none after the last.
    fn next(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        if let Progress::Pending(pending) = &self.progress {
            self.progress = match pending.take() {
                None => return Err(ErrorCode::WouldBlock),
                Some(Ok(found)) if found.is_empty() => Progress::Failed(LookupError::Unknown),
                Some(Ok(found)) => Progress::Found(found.into()),
                Some(Err(error)) => Progress::Failed(error),
            };
        }
        match &mut self.progress {
            Progress::Found(addresses) => Ok(addresses.pop_front()),
            Progress::Failed(error) => Err(error.code()),
            Progress::Pending(_) => Err(ErrorCode::WouldBlock),
        }
    }

    /// What to wait for before there is an answer.
    pub(crate) fn awaits(&self) -> Option<(SharedFd, Interest)> {
        match &self.progress {
            Progress::Pending(pending) => Some((pending.done().clone(), Interest::Readable)),
            _ => None,
        }
    }
}

impl Wasi {
    fn resolve(&mut self, network: Borrow<Network>, name: &str) -> Result<Own<Handle>, Refusal> {
        let which = *self.sockets.networks.get(network.rep)?;
        let lookup = match name.parse::<IpAddr>() {
            // Nobody is asked, so nothing is needed for it.
            Ok(address) => {
                let found = VecDeque::from([address.to_canonical()]);
                Lookup { name: None, network: which, progress: Progress::Found(found) }
            }
            Err(_) => {
                let name = to_ascii(name).ok_or(ErrorCode::InvalidArgument)?;
                if !self.granted[which].network.may_resolve(&name) {
                    return Err(ErrorCode::AccessDenied.into());
                }
                let process = self.caller_index();
                let pending =
                    self.sockets.resolver.start(process, name.clone()).map_err(LookupError::code)?;
                Lookup { name: Some(name), network: which, progress: Progress::Pending(pending) }
            }
        };
        Ok(Own::new(self.sockets.lookups.insert(lookup)?))
    }

    fn next_address(&mut self, this: Borrow<Handle>) -> Result<Option<IpAddress>, Refusal> {
        let lookup = self.sockets.lookups.at_mut(this.rep)?;
        let Some(address) = lookup.next()? else { return Ok(None) };
        // From here on rules with this name let its asker talk to this address, and to no other that it may get later.
        if let Some(name) = &lookup.name {
            self.granted[lookup.network].pins.note(name, address);
        }
        Ok(Some(ip_to_guest(address)))
    }
}

impl HostResolveAddressStream for Wasi {
    fn resolve_next_address(&mut self, this: Borrow<Handle>) -> Told<Option<IpAddress>> {
        told(self.next_address(this))
    }

    fn subscribe(&mut self, this: Borrow<Handle>) -> Result<Own<Pollable>, Trap> {
        let key = self.sockets.lookups.key(this.rep)?;
        self.pollables.insert(Subject::Lookup(key)).map(Own::new)
    }

    fn dropped(&mut self, this: Own<Handle>) -> Result<(), Trap> {
        self.sockets.lookups.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {
    fn resolve_addresses(&mut self, network: Borrow<Network>, name: String) -> Told<Own<Handle>> {
        told(self.resolve(network, &name))
    }
}
