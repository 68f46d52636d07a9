//! What one call may hold of others: which handles its caller lent, and how many borrow handles its callee has yet to
//! drop (CanonicalABI.md, `Subtask.lenders`, `Task.num_borrows`).
//!
//! Synchronous calls nest, so the scopes of a thread are a stack, and a scope's id is its depth: an entry of a handle
//! table that names a scope is gone when that scope ends.

use crate::fault::Trap;
use crate::handle::{Dropped, HandleTable};
use crate::limits::MAX_SCOPES;
use crate::types::ResourceType;

/// A scope that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopeId(pub u32);

/// The handles of all processes of a domain, and the open scopes of the calls between them.
#[derive(Debug, Default)]
pub struct Handles {
    /// One table a process. Compiled code knows where they are, so they stay there.
    pub tables: Vec<HandleTable>,
    scopes: Vec<Scope>,
    /// What the open scopes lent, as process and index; each scope knows where its own begin.
    lent: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Scope {
    borrows: u32,
    lent: usize,
}

impl Clone for Handles {
    fn clone(&self) -> Handles {
        Handles { tables: self.tables.clone(), scopes: self.scopes.clone(), lent: self.lent.clone() }
    }

    /// Leaves the tables where they are.
    fn clone_from(&mut self, other: &Handles) {
        self.tables.clone_from_slice(&other.tables);
        self.scopes.clone_from(&other.scopes);
        self.lent.clone_from(&other.lent);
    }
}

impl Handles {
    /// No handles, no scopes.
    #[must_use]
    pub fn new(processes: u32) -> Handles {
        Handles { tables: vec![HandleTable::default(); processes as usize], ..Handles::default() }
    }

    /// Opens the scope of a call.
    ///
    /// # Errors
    /// Too many calls that lend are nested.
    pub fn enter(&mut self) -> Result<(), Trap> {
        if self.scopes.len() >= MAX_SCOPES {
            let value = self.scopes.len() as u64 + 1;
            return Err(Trap::Limit { limit: "nested handle scopes", value, allowed: MAX_SCOPES as u64 });
        }
        self.scopes.push(Scope { borrows: 0, lent: self.lent.len() });
        Ok(())
    }

    /// Closes the innermost scope: gives back what it lent.
    ///
    /// # Errors
    /// The callee still has borrow handles.
    pub fn exit(&mut self) -> Result<(), Trap> {
        let Some(scope) = self.scopes.pop() else {
            return Ok(());
        };
        for (process, index) in self.lent.drain(scope.lent..) {
            if let Some(table) = self.tables.get_mut(process as usize) {
                table.give_back(index);
            }
        }
        if scope.borrows != 0 {
            return Err(Trap::BorrowsRemain(scope.borrows));
        }
        Ok(())
    }

    /// What the innermost scope lent, as process and index, stays lent when the scope closes: whoever borrowed it is not
    /// done yet. [`Self::give_back`] ends that.
    pub fn leave_lent(&mut self) -> Vec<(u32, u32)> {
        let begin = self.scopes.last().map_or(self.lent.len(), |scope| scope.lent);
        self.lent.drain(begin..).collect()
    }

    /// What the innermost scope has lent, as process and index.
    #[must_use]
    pub fn lent(&self) -> &[(u32, u32)] {
        let begin = self.scopes.last().map_or(self.lent.len(), |scope| scope.lent);
        &self.lent[begin..]
    }

    /// Ends the lending of what [`Self::leave_lent`] left.
    pub fn give_back(&mut self, lent: &[(u32, u32)]) {
        for (process, index) in lent {
            if let Some(table) = self.tables.get_mut(*process as usize) {
                table.give_back(*index);
            }
        }
    }

    /// How many scopes are open.
    #[inline]
    #[must_use]
    pub fn depth(&self) -> usize {
        self.scopes.len()
    }

    /// Closes the scopes above `depth` after a fault. All who lent or borrowed in them are gone, or are the host, but
    /// what was lent is given back all the same.
    #[inline]
    pub fn unwind(&mut self, depth: usize) {
        while self.scopes.len() > depth {
            let _ = self.exit();
        }
    }

    /// Adds an own handle to a process's table (`resource.new`, `lower_own`).
    ///
    /// # Errors
    /// The table is full.
    pub fn add_own(&mut self, process: u32, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        self.table(process)?.add_own(ty, rep)
    }

    /// Takes an own handle out of a process's table (`lift_own`).
    ///
    /// # Errors
    /// Those of [`HandleTable::lift_own`].
    pub fn lift_own(&mut self, process: u32, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.table(process)?.lift_own(ty, index)
    }

    /// The representation behind a process's handle (`resource.rep`).
    ///
    /// # Errors
    /// Those of [`HandleTable::rep`].
    pub fn rep(&mut self, process: u32, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        self.table(process)?.rep(ty, index)
    }

    /// Lends a process's handle for the length of the innermost scope (`lift_borrow`).
    ///
    /// # Errors
    /// Those of [`HandleTable::lend`].
    pub fn lend(&mut self, process: u32, ty: ResourceType, index: u32) -> Result<u32, Trap> {
        if self.scopes.is_empty() {
            self.table(process)?.rep(ty, index)?;
            return Err(Trap::Unsupported("a handle lent outside a call"));
        }
        let rep = self.table(process)?.lend(ty, index)?;
        self.lent.push((process, index));
        Ok(rep)
    }

    /// Adds a borrow handle to the callee's table, to be dropped before the innermost scope ends (`lower_borrow`, for a
    /// callee that does not itself define the type).
    ///
    /// # Errors
    /// The table is full.
    pub fn borrow(&mut self, process: u32, ty: ResourceType, rep: u32) -> Result<u32, Trap> {
        let Some(scope) = self.scopes.len().checked_sub(1) else {
            return Err(Trap::Unsupported("a borrow handle outside a call"));
        };
        let id = ScopeId(u32::try_from(scope).expect("not more than MAX_SCOPES"));
        let index = self.table(process)?.add_borrow(ty, rep, id)?;
        self.scopes[scope].borrows += 1;
        Ok(index)
    }

    /// Takes a handle out of a process's table. Gives the representation if it was an own handle, for the destructor
    /// (`resource.drop`).
    ///
    /// # Errors
    /// Those of [`HandleTable::take`].
    pub fn drop(&mut self, process: u32, ty: ResourceType, index: u32) -> Result<Option<u32>, Trap> {
        match self.table(process)?.take(ty, index)? {
            Dropped::Own { rep } => Ok(Some(rep)),
            Dropped::Gone => Ok(None),
            Dropped::Borrow { scope } => {
                if let Some(scope) = self.scopes.get_mut(scope.0 as usize) {
                    scope.borrows = scope.borrows.saturating_sub(1);
                }
                Ok(None)
            }
        }
    }

    fn table(&mut self, process: u32) -> Result<&mut HandleTable, Trap> {
        self.tables.get_mut(process as usize).ok_or(Trap::Unsupported("a process without a handle table"))
    }
}

#[cfg(test)]
mod tests {
    use super::Handles;
    use crate::fault::Trap;
    use crate::types::ResourceType;

    const TY: ResourceType = ResourceType(1);

    #[test]
    fn a_scope_gives_back_what_it_lent_and_no_more() {
        let mut handles = Handles::new(2);
        let own = handles.add_own(0, TY, 3).unwrap();
        handles.enter().unwrap();
        handles.lend(0, TY, own).unwrap();
        handles.enter().unwrap();
        handles.lend(0, TY, own).unwrap();
        handles.exit().unwrap();
        assert_eq!(handles.drop(0, TY, own), Err(Trap::StillLent { index: own, lends: 1 }));
        handles.exit().unwrap();
        assert_eq!(handles.drop(0, TY, own), Ok(Some(3)));
    }

    #[test]
    fn a_callee_must_drop_its_borrows() {
        let mut handles = Handles::new(2);
        handles.enter().unwrap();
        let one = handles.borrow(1, TY, 3).unwrap();
        handles.borrow(1, TY, 3).unwrap();
        handles.enter().unwrap();
        assert_eq!(
            handles.drop(1, TY, one),
            Ok(None),
            "dropped in a nested call, counted where it was borrowed"
        );
        handles.exit().unwrap();
        assert_eq!(handles.exit(), Err(Trap::BorrowsRemain(1)));
    }

    #[test]
    fn a_borrow_can_be_lent_on_and_is_not_dropped_meanwhile() {
        let mut handles = Handles::new(3);
        handles.enter().unwrap();
        let borrow = handles.borrow(1, TY, 3).unwrap();
        handles.enter().unwrap();
        assert_eq!(handles.lend(1, TY, borrow), Ok(3));
        let inner = handles.borrow(2, TY, 3).unwrap();
        assert!(matches!(handles.drop(1, TY, borrow), Err(Trap::StillLent { .. })));
        assert_eq!(handles.drop(2, TY, inner), Ok(None));
        handles.exit().unwrap();
        assert_eq!(handles.drop(1, TY, borrow), Ok(None));
        handles.exit().unwrap();
    }

    #[test]
    fn what_is_left_lent_is_given_back_later() {
        let mut handles = Handles::new(1);
        let own = handles.add_own(0, TY, 3).unwrap();
        handles.enter().unwrap();
        handles.lend(0, TY, own).unwrap();
        assert_eq!(handles.lent(), [(0, own)]);
        let lent = handles.leave_lent();
        handles.exit().unwrap();
        assert_eq!(handles.drop(0, TY, own), Err(Trap::StillLent { index: own, lends: 1 }));
        handles.give_back(&lent);
        assert_eq!(handles.drop(0, TY, own), Ok(Some(3)));
    }

    #[test]
    fn a_fault_closes_scopes_and_the_depth_is_bounded() {
        let mut handles = Handles::new(1);
        let own = handles.add_own(0, TY, 3).unwrap();
        handles.enter().unwrap();
        let depth = handles.depth();
        while handles.enter().is_ok() {
            handles.lend(0, TY, own).unwrap();
        }
        assert_eq!(handles.depth(), crate::limits::MAX_SCOPES);
        handles.unwind(depth);
        assert_eq!(handles.depth(), depth);
        assert_eq!(handles.lift_own(0, TY, own), Ok(3));
    }
}
