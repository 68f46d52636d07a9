//! Who is told when a call ends processes, wherever it is served.

use abi::fault::Fault;
use abi::id::DomainId;

use super::peers::Peers;
use super::running::Running;

/// Whoever watches over a tree.
pub trait Onlooker: Send + Sync {
    /// A call has ended processes of a domain: they never run again. They are given as indices of the tree's. It has
    /// faulted, or asked for the end of the program. To be quick: the call returns after this.
    fn fell(&self, domain: DomainId, processes: &[u32], fault: &Fault);
}

/// Tells whoever watches over the tree, if somebody does, that these processes of a domain have ended.
pub(super) fn tell(running: &Running, processes: &[u32], fault: &Fault) {
    let Some(peers) = running.peers.upgrade() else { return };
    tell_of(&peers, running.id(), processes, fault);
}

/// The same of a domain that may run elsewhere.
pub(super) fn tell_of(peers: &Peers, domain: DomainId, processes: &[u32], fault: &Fault) {
    if let Some(onlooker) = peers.onlooker().filter(|_| !processes.is_empty()) {
        let known = &peers.linked.domains[domain.index as usize].processes;
        let in_tree = processes.iter().filter_map(|process| known.get(*process as usize).copied());
        onlooker.fell(domain, &in_tree.collect::<Vec<_>>(), fault);
    }
}
