//! The table of a process's handles (CanonicalABI.md, "Table State", "Resource State").
//!
//! One index space for everything that a guest names by index: resources now, waitables and waitable sets later. The
//! entries are flat, so that compiled code can read and write them without a call:
//!
//! ```text
//! Entry, 16 bytes, little endian            word 3
//!   0  resource type, or what the kind needs   bits 0–3   kind: 0 free, 1 own, 2 borrow, 3–15 not given out yet
//!   4  representation                          bits 4–31  free: index of the next free entry, 0 for none
//!   8  how often it is lent                               borrow: the scope that must see it dropped
//!  12  kind and link                                      own: 0
//! ```
//!
//! Index 0 is reserved. Indices are given out as the spec does: the one freed last first, else the next new one.

use crate::fault::Trap;
use crate::limits::MAX_HANDLES;
use crate::scope::ScopeId;
use crate::types::ResourceType;

/// The handles of one process.
#[derive(Clone, Debug)]
pub struct HandleTable {
    entries: Vec<Entry>,
    free: u32,
    live: u32,
}

/// One entry; the module's documentation has the layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// The scope has one borrow less.
    Borrow {
        /// Which scope.
        scope: ScopeId,
    },
}

impl Default for HandleTable {
    fn default() -> HandleTable {
        HandleTable { entries: vec![Entry::default()], free: 0, live: 0 }
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
        let entry = self.unlent(ty, index)?;
        self.remove(index);
        Ok(match entry.kind() {
            Kind::Borrow => Dropped::Borrow { scope: ScopeId(entry.link >> LINK_SHIFT) },
            Kind::Own | Kind::Free => Dropped::Own { rep: entry.rep },
        })
    }

    /// How many handles there are.
    #[must_use]
    pub const fn live(&self) -> u32 {
        self.live
    }

    /// The entries as compiled code sees them. Adding a handle can move them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The representations of all own handles, for when the process is no more.
    pub fn owned(&self) -> impl Iterator<Item = (ResourceType, u32)> + '_ {
        let own = self.entries.iter().filter(|entry| entry.kind() == Kind::Own);
        own.map(|entry| (ResourceType(entry.ty), entry.rep))
    }

    fn add(&mut self, entry: Entry) -> Result<u32, Trap> {
        let index = if self.free == 0 {
            let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            if index > MAX_HANDLES {
                return Err(Trap::HandlesExhausted { limit: MAX_HANDLES });
            }
            self.entries.push(entry);
            index
        } else {
            let index = self.free;
            let slot = &mut self.entries[index as usize];
            self.free = slot.link >> LINK_SHIFT;
            *slot = entry;
            index
        };
        self.live += 1;
        Ok(index)
    }

    fn remove(&mut self, index: u32) {
        self.entries[index as usize] = Entry { link: self.free << LINK_SHIFT, ..Entry::default() };
        self.free = index;
        self.live -= 1;
    }

    fn typed(&self, ty: ResourceType, index: u32) -> Result<Entry, Trap> {
        match self.entries.get(index as usize) {
            Some(entry) if entry.kind() != Kind::Free => {
                if entry.ty == ty.0 {
                    Ok(*entry)
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

const LINK_SHIFT: u32 = 4;

impl Entry {
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
    use super::{Dropped, Entry, HandleTable, Kind};
    use crate::fault::Trap;
    use crate::scope::ScopeId;
    use crate::types::ResourceType;

    const A: ResourceType = ResourceType(7);
    const B: ResourceType = ResourceType::host(7);

    #[test]
    fn an_entry_is_sixteen_bytes_and_zero_is_free() {
        assert_eq!(size_of::<Entry>(), 16);
        assert_eq!(Entry::default().kind(), Kind::Free);
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
