//! Which handles of others a domain has that runs in another OS process.
//!
//! Handle tables are there, and not to be believed; what was given there is known here. A resource that the process names
//! must be one that its domain implements itself, one that it owns by this ledger, or one that it was lent for the call
//! that it serves. So it reaches nothing that a domain in this process could not reach.

use std::collections::HashMap;

use abi::types::ResourceType;
use abi::value::Resource;
use abi::wire::Slot;

/// The handles of others that a domain has.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What it owns, how often.
    owned: HashMap<Resource, u32>,
    /// What it was lent for calls that it serves, innermost last.
    borrowed: Vec<Resource>,
    /// What it has lent to the domain that it calls, or that has not come to an end with what it was called for.
    lent: Vec<Resource>,
    /// That domain.
    pub calling: Option<u32>,
}

/// A handle that the domain does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Forged(pub Slot);

impl Ledger {
    /// Handles go there.
    pub fn give(&mut self, slots: &[Slot], is_its: impl Fn(ResourceType) -> bool) {
        for slot in slots.iter().filter(|slot| !is_its(slot.resource.ty)) {
            match slot.is_own {
                true => *self.owned.entry(slot.resource).or_default() += 1,
                false => self.borrowed.push(slot.resource),
            }
        }
    }

    /// Handles come from there: what is owned is its own no more.
    ///
    /// # Errors
    /// One that it does not have; those before it are taken.
    pub fn take(&mut self, slots: &[Slot], is_its: impl Fn(ResourceType) -> bool) -> Result<(), Forged> {
        for slot in slots.iter().filter(|slot| !is_its(slot.resource.ty)) {
            let known = match slot.is_own {
                true => self.take_own(slot.resource),
                false => self.owned.contains_key(&slot.resource) || self.borrowed.contains(&slot.resource),
            };
            if !known {
                return Err(Forged(*slot));
            }
        }
        Ok(())
    }

    /// Takes one that it owns; whether it does.
    pub fn take_own(&mut self, resource: Resource) -> bool {
        let Some(count) = self.owned.get_mut(&resource) else { return false };
        *count -= 1;
        if *count == 0 {
            self.owned.remove(&resource);
        }
        true
    }

    /// How much it was lent, for [`Self::return_to`].
    pub fn depth(&self) -> usize {
        self.borrowed.len()
    }

    /// The call is over before which it was lent so much.
    pub fn return_to(&mut self, depth: usize) {
        self.borrowed.truncate(depth);
    }

    /// It calls a domain, and lends it these.
    pub fn lend(&mut self, to: u32, slots: &[Slot]) {
        self.calling = Some(to);
        self.lent = slots.iter().filter(|slot| !slot.is_own).map(|slot| slot.resource).collect();
    }

    /// That call is over, and so is what was lent.
    pub fn given_back(&mut self) {
        self.calling = None;
        self.lent.clear();
    }

    /// Forgets what has been lost with the domains that implemented it.
    pub fn keep(&mut self, lives: impl Fn(&Resource) -> bool) {
        self.owned.retain(|resource, _| lives(resource));
    }

    /// What it leaves: what is its alone, and what it has lent.
    pub fn estate(self) -> (Vec<Resource>, Vec<Resource>) {
        let Ledger { owned, lent, .. } = self;
        let each = owned.into_iter().flat_map(|(resource, count)| (0..count).map(move |_| resource));
        let (late, own) = each.partition(|resource| lent.contains(resource));
        (own, late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITS: ResourceType = ResourceType(1);

    fn slot(is_own: bool, ty: u32, rep: u32) -> Slot {
        Slot { is_own, resource: Resource { ty: ResourceType(ty), rep, generation: 0 } }
    }

    #[test]
    fn only_what_was_given_comes_back() {
        let is_its = |ty| ty == ITS;
        let mut ledger = Ledger::default();
        let (own, borrow) = (slot(true, 0, 7), slot(false, 0, 8));
        ledger.give(&[own, own, borrow], is_its);
        assert_eq!(ledger.take(&[slot(true, 1, 99), slot(false, 1, 98)], is_its), Ok(()), "its own type");
        assert_eq!(ledger.take(&[slot(true, 0, 9)], is_its), Err(Forged(slot(true, 0, 9))));
        assert_eq!(ledger.take(&[slot(true, 0, 8)], is_its), Err(Forged(slot(true, 0, 8))), "only lent");
        let other = Slot { resource: Resource { generation: 1, ..own.resource }, ..own };
        assert_eq!(ledger.take(&[other], is_its), Err(Forged(other)), "another life");
        assert_eq!(ledger.take(&[slot(false, 0, 7), borrow], is_its), Ok(()), "lends what it has");
        assert_eq!(ledger.take(&[own, own], is_its), Ok(()));
        assert_eq!(ledger.take(&[own], is_its), Err(Forged(own)), "given away");
        ledger.return_to(0);
        assert_eq!(ledger.take(&[borrow], is_its), Err(Forged(borrow)), "the call is over");
    }

    #[test]
    fn it_leaves_what_it_owns() {
        let none = |_| false;
        let mut ledger = Ledger::default();
        ledger.give(&[slot(true, 0, 1), slot(true, 0, 1), slot(true, 0, 2), slot(false, 0, 3)], none);
        ledger.lend(4, &[slot(false, 0, 2)]);
        let (own, lent) = ledger.estate();
        assert_eq!(own, [slot(true, 0, 1).resource; 2]);
        assert_eq!(lent, [slot(true, 0, 2).resource]);
    }
}
