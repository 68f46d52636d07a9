//! Tables. Compiled code reads base and length from a [`VmTable`], which this keeps up to date.

use crate::jit::valtype::TableType;
use crate::limits::TABLE_ELEMENTS;
use crate::mem::MemError;
use crate::vm::VmTable;

/// A table: the elements, and where compiled code looks for them.
#[derive(Debug)]
pub struct Table {
    ty: TableType,
    elements: Vec<usize>,
    vm: *mut VmTable,
}

// SAFETY: the record is its domain's, which goes where the table goes.
unsafe impl Send for Table {}

impl Table {
    /// A table of its minimum length, each element `init`, with its record at `vm`.
    ///
    /// # Safety
    /// `vm` must be valid for writes, and nothing else may write to it, as long as the table lives.
    ///
    /// # Errors
    /// [`MemError`] if the minimum is more than a table may have.
    pub unsafe fn new(ty: TableType, vm: *mut VmTable, init: usize) -> Result<Table, MemError> {
        if ty.minimum > TABLE_ELEMENTS {
            let bytes = ty.minimum.saturating_mul(size_of::<usize>() as u64);
            let allowed = TABLE_ELEMENTS * size_of::<usize>() as u64;
            return Err(MemError::Limit { what: "a table", bytes, allowed });
        }
        let len = usize::try_from(ty.minimum).expect("no more than TABLE_ELEMENTS");
        let mut table = Table { ty, elements: vec![init; len], vm };
        table.publish();
        Ok(table)
    }

    /// Its type, with the minimum that it began with.
    #[must_use]
    pub fn ty(&self) -> &TableType {
        &self.ty
    }

    /// Where compiled code looks for it.
    #[must_use]
    pub fn vm(&self) -> *mut VmTable {
        self.vm
    }

    /// Elements.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.elements.len() as u64
    }

    /// Whether it has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// All elements: the words of references.
    #[must_use]
    pub fn elements(&self) -> &[usize] {
        &self.elements
    }

    /// An element's word; `None` if there is none at `index`.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<usize> {
        self.elements.get(usize::try_from(index).ok()?).copied()
    }

    /// Whether it may grow by `delta` elements, and makes room for them.
    pub fn may_grow(&mut self, delta: u64) -> bool {
        let new = self.len().saturating_add(delta);
        let more = usize::try_from(delta).unwrap_or(usize::MAX);
        let may = new <= TABLE_ELEMENTS.min(self.ty.maximum.unwrap_or(u64::MAX))
            && self.elements.try_reserve(more).is_ok();
        self.publish();
        may
    }

    /// Whether it has `count` elements from `at` on.
    pub fn check(&self, at: u64, count: u64) -> Option<()> {
        (at.checked_add(count)? <= self.len()).then_some(())
    }

    /// Grows by `delta` elements, each `init`, and returns how many there were; `None` if that is not
    /// possible.
    pub fn grow(&mut self, delta: u64, init: usize) -> Option<u64> {
        let old = self.len();
        if !self.may_grow(delta) {
            return None;
        }
        let new = usize::try_from(old + delta).ok()?;
        self.elements.resize(new, init);
        self.publish();
        Some(old)
    }

    /// Sets `count` elements from `at` on; `None`, and nothing done, if there are not so many.
    pub fn fill(&mut self, at: u64, word: usize, count: u64) -> Option<()> {
        self.range(at, count)?.fill(word);
        Some(())
    }

    /// Sets `count` elements from `at` on to what `word` says for each; `None`, and nothing done, if there
    /// are not so many.
    pub fn init(&mut self, at: u64, count: u64, word: impl FnMut(usize) -> usize) -> Option<()> {
        let range = self.range(at, count)?;
        range.iter_mut().zip((0..).map(word)).for_each(|(element, word)| *element = word);
        Some(())
    }

    /// Copies `count` elements within the table; `None`, and nothing done, if there are not so many.
    pub fn copy_within(&mut self, to: u64, from: u64, count: u64) -> Option<()> {
        self.range(from, count)?;
        self.range(to, count)?;
        let (to, from, count) =
            (usize::try_from(to).ok()?, usize::try_from(from).ok()?, usize::try_from(count).ok()?);
        self.elements.copy_within(from..from + count, to);
        Some(())
    }

    /// Copies `count` elements of another table; `None`, and nothing done, if either has not so many.
    pub fn copy_from(&mut self, to: u64, other: &mut Table, from: u64, count: u64) -> Option<()> {
        let source = other.range(from, count)?;
        self.range(to, count)?.copy_from_slice(source);
        Some(())
    }

    fn range(&mut self, at: u64, count: u64) -> Option<&mut [usize]> {
        let end = usize::try_from(at.checked_add(count)?).ok()?;
        self.elements.get_mut(usize::try_from(at).ok()?..end)
    }

    fn publish(&mut self) {
        let record = VmTable { base: self.elements.as_mut_ptr(), len: self.len() };
        // SAFETY: `new`'s caller promised that the record may be written.
        unsafe { self.vm.write(record) };
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, TableType, VmTable};
    use crate::jit::valtype::RefType;

    #[test]
    fn keeps_its_record_up_to_date() {
        let mut vm = VmTable { base: std::ptr::null_mut(), len: 0 };
        let ty = TableType { element: RefType::FUNC, minimum: 2, maximum: Some(5), table64: false };
        // SAFETY: the record outlives the table.
        let mut table = unsafe { Table::new(ty, &raw mut vm, 7) }.unwrap();
        assert_eq!(
            (vm.len, table.grow(3, 8), table.grow(1, 8), table.grow(u64::MAX, 8)),
            (2, Some(2), None, None)
        );
        assert_eq!((table.elements(), vm.len), ([7, 7, 8, 8, 8].as_slice(), 5));
        assert_eq!(vm.base.cast_const(), table.elements().as_ptr());
        assert!(table.copy_within(1, 0, 4).is_some() && table.copy_within(2, 0, 4).is_none());
        assert!(
            table.fill(5, 9, 0).is_some()
                && table.fill(6, 9, 0).is_none()
                && table.fill(u64::MAX, 9, 2).is_none()
        );
        assert_eq!(table.elements(), [7, 7, 7, 8, 8]);
    }

    #[test]
    fn a_huge_minimum_is_an_error() {
        let mut vm = VmTable { base: std::ptr::null_mut(), len: 0 };
        let ty = TableType { element: RefType::FUNC, minimum: u64::MAX, maximum: None, table64: true };
        // SAFETY: the record outlives the table.
        assert!(unsafe { Table::new(ty, &raw mut vm, 0) }.is_err());
    }
}
