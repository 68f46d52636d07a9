//! The table of a process's handles (CanonicalABI.md, "Table State", "Resource State").
//!
//! One index space for everything that a guest names by index: resources now, waitables and waitable sets later. The
//! entries are flat, so that compiled code can read and write them without a call:
//!
//! ```text
//! HandleTable                                Entry, 16 bytes, little endian
//!   0  address of the first entry              0  resource type; u32::MAX where the entry is free
//!   8  entries                                 4  representation
//!  12  index of the first free entry, or 0     8  how often it is lent
//!                                             12  kind and link: bits 0–3 kind: 0 free, 1 own, 2 borrow, 3–15 not
//!                                                 given out yet; bits 4–31 free: index of the next free entry, 0 for
//!                                                 none; borrow: the scope that must see it dropped; own: 0
//! ```
//!
//! Index 0 is reserved. Indices are given out as the spec does: the one freed last first, else the next new one. New
//! ones are on the free list from the beginning, in order and behind all that were freed, so that giving one out is
//! the same for compiled code in both cases; an empty list means that the table must grow, which only happens here.

use std::mem::offset_of;

use crate::fault::Trap;
use crate::limits::MAX_HANDLES;
use crate::scope::ScopeId;
use crate::types::ResourceType;

/// The handles of one process.
#[derive(Debug)]
#[repr(C)]
pub struct HandleTable {
    base: usize,
    len: u32,
    free: u32,
    entries: Vec<Entry>,
    limit: u32,
}

/// Offsets that compiled code uses.
pub mod offsets {
    use super::{Entry, HandleTable, offset_of};

    /// Bytes of a [`HandleTable`].
    pub const TABLE_BYTES: usize = size_of::<HandleTable>();
    /// In a table: 64 bits, the address of its first entry.
    pub const BASE: usize = offset_of!(HandleTable, base);
    /// In a table: 32 bits, how many entries there are.
    pub const LEN: usize = offset_of!(HandleTable, len);
    /// In a table: 32 bits, the first free entry, or 0.
    pub const FREE: usize = offset_of!(HandleTable, free);
    /// Bytes of an [`Entry`], and their logarithm.
    pub const ENTRY_BYTES: usize = 1 << ENTRY_BYTES_LOG2;
    /// The logarithm.
    pub const ENTRY_BYTES_LOG2: u32 = size_of::<Entry>().ilog2();
    /// In an entry: 32 bits, the resource type, [`super::NO_TYPE`] if it is free.
    pub const TYPE: usize = offset_of!(Entry, ty);
    /// In an entry: 32 bits, the representation.
    pub const REP: usize = offset_of!(Entry, rep);
    /// In an entry: 32 bits, how often it is lent.
    pub const LENDS: usize = offset_of!(Entry, lends);
    /// In an entry: 32 bits, its kind, and from bit [`super::LINK_SHIFT`] on what it links to.
    pub const LINK: usize = offset_of!(Entry, link);
}

/// The type of an entry that is free.
pub const NO_TYPE: u32 = u32::MAX;

/// The first bit of an entry's link.
pub const LINK_SHIFT: u32 = 4;

/// One entry; the module's documentation has the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Entry {
    ty: u32,
    rep: u32,
    lends: u32,
    link: u32,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Nothing: on the free list.
    Free = 0,
    /// An own handle.
    Own = 1,
    /// A borrow handle.
    Borrow = 2,
}

/// What dropping a handle leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The resource is to be destroyed.
    Own {
        /// Its representation.
        rep: u32,
    },
    /// Nothing: it was an own handle to what is no more.
    Gone,
    /// The scope has one borrow less.
    Borrow {
        /// Which scope.
        scope: ScopeId,
    },
}

impl Default for HandleTable {
    fn default() -> HandleTable {
        HandleTable { base: 0, len: 0, free: 0, entries: Vec::new(), limit: MAX_HANDLES }
    }
}

/// Of the table, not of its address.
impl Clone for HandleTable {
    fn clone(&self) -> HandleTable {
        let mut table = HandleTable { entries: self.entries.clone(), ..*self };
        table.base = table.entries.as_mut_ptr().expose_provenance();
        table
    }
}

impl HandleTable {
    /// Adds an own handle (`resource.new`, `lower_own`).
    ///
    /// # Errors
    /// The table is full.
    pub fn add_own(&mut self, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.add(Entry { ty: ty.0, rep, lends: 0, link: Kind::Own as u32 })
    }

    /// Adds a borrow handle that must be dropped before `scope` ends (`lower_borrow`).
    ///
    /// # Errors
    /// The table is full.
    pub fn add_borrow(&mut self, ty: ResourceType, rep: u32, scope: ScopeId) -> Result<u32, Trap> {
        self.add(Entry { ty: ty.0, rep, lends: 0, link: Kind::Borrow as u32 | scope.0 << LINK_SHIFT })
    }

    /// The representation behind a handle of either kind (`resource.rep`).
    ///
    /// # Errors
    /// No such handle, or one of another type.
    pub fn rep(&self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.typed(ty, index).map(|entry| entry.rep)
    }

    /// Takes an own handle out and gives its representation (`lift_own`).
    ///
    /// # Errors
    /// No such handle, or it is of another type, lent, or a borrow.
    pub fn lift_own(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        let entry = self.unlent(ty, index)?;
        if entry.kind() != Kind::Own {
            return Err(Trap::NotOwned { index });
        }
        self.remove(index);
        Ok(entry.rep)
    }

    /// Lends a handle and gives its representation (`lift_borrow`). Whoever calls this notes it in a scope.
    ///
    /// # Errors
    /// No such handle, or one of another type.
    pub fn lend(&mut self, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        let mut entry = self.typed(ty, index)?;
        let lends = u64::from(entry.lends) + 1;
        let allowed = u64::from(u32::MAX);
        entry.lends =
            u32::try_from(lends).map_err(|_| Trap::Limit { limit: "lends", value: lends, allowed })?;
        self.entries[index as usize] = entry;
        Ok(entry.rep)
    }

    /// Ends one lending of a handle. A lent handle cannot leave the table, so it is still there.
    pub fn give_back(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.lends = entry.lends.saturating_sub(1);
        }
    }

    /// Takes a handle out and says what is left to do (`resource.drop`).
    ///
    /// # Errors
    /// No such handle, or it is of another type or lent.
    pub fn take(&mut self, ty: ResourceType, index: u32) -> Result<Dropped, Trap> {
        let entry = match self.entries.get(index as usize) {
            Some(gone) if gone.kind() != Kind::Free && gone.ty == ResourceType::GONE.0 => {
                self.unlent(ResourceType::GONE, index)?
            }
            _ => self.unlent(ty, index)?,
        };
        self.remove(index);
        Ok(match entry.kind() {
            Kind::Own if entry.ty == ResourceType::GONE.0 => Dropped::Gone,
            Kind::Borrow => Dropped::Borrow { scope: ScopeId(entry.link >> LINK_SHIFT) },
            Kind::Own | Kind::Free => Dropped::Own { rep: entry.rep },
        })
    }

    /// Makes every handle of a type one to nothing: what they led to is no more. They can be dropped still.
    pub fn revoke(&mut self, ty: ResourceType) {
        for entry in self.entries.iter_mut().filter(|entry| entry.kind() != Kind::Free && entry.ty == ty.0) {
            entry.ty = ResourceType::GONE.0;
        }
    }

    /// How many handles there are.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.entries.iter().map(|entry| u32::from(entry.kind() != Kind::Free)).sum()
    }

    /// The handles, in order: index, type, representation, how often it is lent, and what it is.
    pub fn rows(&self) -> impl Iterator<Item = (u32, ResourceType, u32, u32, Kind)> + '_ {
        let entries = (0..).zip(&self.entries).filter(|(_, entry)| entry.kind() != Kind::Free);
        entries.map(|(index, entry)| (index, ResourceType(entry.ty), entry.rep, entry.lends, entry.kind()))
    }

    /// The types and representations of all own handles, and whether each is lent, for when the process is no more.
    pub fn owned(&self) -> impl Iterator<Item = (ResourceType, u32, bool)> + '_ {
        let own = self.entries.iter().filter(|entry| entry.kind() == Kind::Own);
        own.map(|entry| (ResourceType(entry.ty), entry.rep, entry.lends != 0))
    }

    /// Lets it hold so many handles, or as many as the specification lets it. Those that are there stay.
    ///
    /// Compiled code gives out what is on the free list, so there are never more on that than may still be given out.
    pub fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit.unwrap_or(MAX_HANDLES).min(MAX_HANDLES);
        let room = self.limit.saturating_sub(self.live()) as usize;
        let free = (1..self.len).filter(|index| self.entries[*index as usize].kind() == Kind::Free);
        let listed: Vec<u32> = free.take(room).collect();
        self.free = listed.first().copied().unwrap_or(0);
        for (place, index) in listed.iter().enumerate() {
            let next = listed.get(place + 1).copied().unwrap_or(0);
            self.entries[*index as usize] = Entry::free(next);
        }
    }

    fn add(&mut self, entry: Entry) -> Result<u32, Trap> {
        if self.free == 0 {
            self.grow()?;
        }
        let index = self.free;
        let slot = &mut self.entries[index as usize];
        self.free = slot.link >> LINK_SHIFT;
        *slot = entry;
        Ok(index)
    }

    /// Makes room: nothing is free. Index 0 is on no list.
    #[cold]
    fn grow(&mut self) -> Result<(), Trap> {
        let first = self.len.max(1);
        if first > self.limit {
            return Err(Trap::HandlesExhausted { limit: self.limit });
        }
        let len = self.len.saturating_mul(2).max(FIRST_ENTRIES).min(self.limit + 1);
        self.entries.resize(len as usize, Entry::free(0));
        for index in first..len - 1 {
            self.entries[index as usize] = Entry::free(index + 1);
        }
        self.base = self.entries.as_mut_ptr().expose_provenance();
        (self.len, self.free) = (len, first);
        Ok(())
    }

    fn remove(&mut self, index: u32) {
        self.entries[index as usize] = Entry::free(self.free);
        self.free = index;
    }

    fn typed(&self, ty: ResourceType, index: u32) -> Result<Entry, Trap> {
        match self.entries.get(index as usize) {
            Some(entry) if entry.kind() != Kind::Free => {
                if entry.ty == ty.0 {
                    Ok(*entry)
                } else if entry.ty == ResourceType::GONE.0 {
                    Err(Trap::Gone(format!("what handle {index} led to ended with it")))
                } else {
                    Err(Trap::WrongHandleType { index })
                }
            }
            _ => Err(Trap::UnknownHandle(index)),
        }
    }

    fn unlent(&self, ty: ResourceType, index: u32) -> Result<Entry, Trap> {
        let entry = self.typed(ty, index)?;
        if entry.lends != 0 {
            return Err(Trap::StillLent { index, lends: entry.lends });
        }
        Ok(entry)
    }
}

/// Entries of a table that gives out its first handle.
const FIRST_ENTRIES: u32 = 16;

impl Entry {
    const fn free(next: u32) -> Entry {
        Entry { ty: NO_TYPE, rep: 0, lends: 0, link: next << LINK_SHIFT }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.link & 0xF {
            1 => Kind::Own,
            2 => Kind::Borrow,
            _ => Kind::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::offsets::{BASE, ENTRY_BYTES, FREE, LEN, LENDS, LINK, REP, TYPE};
    use super::{Dropped, Entry, HandleTable, Kind};
    use crate::fault::Trap;
    use crate::scope::ScopeId;
    use crate::types::ResourceType;

    const A: ResourceType = ResourceType(7);
    const B: ResourceType = ResourceType::host(7);

    #[test]
    fn compiled_code_finds_what_it_reads() {
        assert_eq!(size_of::<Entry>(), ENTRY_BYTES);
        assert_eq!((BASE, LEN, FREE, TYPE, REP, LENDS, LINK), (0, 8, 12, 0, 4, 8, 12));
        assert_eq!(Entry::free(3).kind(), Kind::Free);
        let mut table = HandleTable::default();
        assert_eq!((table.base, table.len, table.free), (0, 0, 0));
        table.add_own(A, 1).unwrap();
        assert_eq!(table.base, table.entries.as_ptr().addr());
        assert_eq!((table.len as usize, table.free), (table.entries.len(), 2));
        let copy = table.clone();
        assert_eq!(copy.base, copy.entries.as_ptr().addr());
    }

    #[test]
    fn a_table_that_grows_goes_on_counting() {
        let mut table = HandleTable::default();
        for index in 1..100 {
            assert_eq!(table.add_own(A, index), Ok(index));
        }
        assert_eq!((1..100).map(|index| table.rep(A, index).unwrap()).sum::<u32>(), 4950);
        assert_eq!((table.live(), table.rep(A, 100)), (99, Err(Trap::UnknownHandle(100))));
    }

    #[test]
    fn the_index_freed_last_is_given_first() {
        let mut table = HandleTable::default();
        let indices: Vec<u32> = (0..4).map(|rep| table.add_own(A, rep).unwrap()).collect();
        assert_eq!(indices, [1, 2, 3, 4]);
        table.take(A, 2).unwrap();
        table.take(A, 4).unwrap();
        table.take(A, 1).unwrap();
        let again: Vec<u32> = (0..4).map(|rep| table.add_own(A, rep).unwrap()).collect();
        assert_eq!(again, [1, 4, 2, 5]);
        assert_eq!(table.live(), 5);
    }

    #[test]
    fn what_is_not_there_is_unknown() {
        let mut table = HandleTable::default();
        let own = table.add_own(A, 9).unwrap();
        for index in [0, own + 1, u32::MAX] {
            assert_eq!(table.rep(A, index), Err(Trap::UnknownHandle(index)));
            assert_eq!(table.lift_own(A, index), Err(Trap::UnknownHandle(index)));
            assert_eq!(table.lend(A, index), Err(Trap::UnknownHandle(index)));
            assert_eq!(table.take(A, index), Err(Trap::UnknownHandle(index)));
        }
        assert_eq!(table.rep(B, own), Err(Trap::WrongHandleType { index: own }));
        assert_eq!(table.lift_own(A, own), Ok(9));
        assert_eq!(table.rep(A, own), Err(Trap::UnknownHandle(own)));
    }

    #[test]
    fn what_is_lent_stays() {
        let mut table = HandleTable::default();
        let own = table.add_own(A, 9).unwrap();
        assert_eq!(table.lend(A, own), Ok(9));
        assert_eq!(table.lend(A, own), Ok(9));
        let lent = |lends| Err(Trap::StillLent { index: own, lends });
        assert_eq!(table.lift_own(A, own), lent(2));
        table.give_back(own);
        assert_eq!(table.take(A, own).map(|_| ()), lent(1).map(|_: u32| ()));
        table.give_back(own);
        assert_eq!(table.lift_own(A, own), Ok(9));
    }

    #[test]
    fn a_limit_counts_what_is_there() {
        let mut table = HandleTable::default();
        table.set_limit(Some(2));
        let first = table.add_own(A, 1).unwrap();
        table.add_own(A, 2).unwrap();
        assert_eq!(table.add_own(A, 3), Err(Trap::HandlesExhausted { limit: 2 }));
        table.take(A, first).unwrap();
        assert_eq!(table.add_own(A, 3), Ok(first));
        table.set_limit(Some(1));
        assert_eq!((table.live(), table.add_own(A, 4)), (2, Err(Trap::HandlesExhausted { limit: 1 })));
        table.set_limit(Some(3));
        table.add_own(A, 4).unwrap();
        assert_eq!(table.add_own(A, 5), Err(Trap::HandlesExhausted { limit: 3 }));
        table.set_limit(None);
        for rep in 5..100 {
            table.add_own(A, rep).unwrap();
        }
        assert_eq!(table.live(), 98);
    }

    #[test]
    fn what_is_gone_can_only_be_dropped() {
        let mut table = HandleTable::default();
        let (own, other) = (table.add_own(A, 9).unwrap(), table.add_own(B, 9).unwrap());
        let borrow = table.add_borrow(A, 9, ScopeId(1)).unwrap();
        table.revoke(A);
        for index in [own, borrow] {
            assert!(matches!(table.rep(A, index), Err(Trap::Gone(_))));
            assert!(matches!(table.lift_own(A, index), Err(Trap::Gone(_))));
            assert!(matches!(table.lend(A, index), Err(Trap::Gone(_))));
        }
        assert_eq!(table.rep(B, other), Ok(9));
        assert_eq!(table.take(A, own), Ok(Dropped::Gone));
        assert_eq!(table.take(A, borrow), Ok(Dropped::Borrow { scope: ScopeId(1) }));
        assert_eq!(table.take(A, own), Err(Trap::UnknownHandle(own)));
    }

    #[test]
    fn a_borrow_cannot_be_given_away_and_names_its_scope() {
        let mut table = HandleTable::default();
        let scope = ScopeId(0xABC_DEF);
        let borrow = table.add_borrow(B, 5, scope).unwrap();
        assert_eq!(table.lift_own(B, borrow), Err(Trap::NotOwned { index: borrow }));
        assert_eq!(table.rep(B, borrow), Ok(5));
        assert_eq!(table.take(B, borrow), Ok(Dropped::Borrow { scope }));
        assert_eq!(table.live(), 0);
    }
}
