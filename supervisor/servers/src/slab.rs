//! Where a server keeps the resources that guests hold: a representation is an index into one of these.

use abi::fault::Trap;

use crate::limits::MAX_RESOURCES;

/// Values by index; the indices of removed ones are used again.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    what: &'static str,
}

#[derive(Debug)]
struct Entry<T> {
    /// How many values had this index before.
    generation: u32,
    value: Option<T>,
}

/// Names a value even after its index is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl<T> Slab<T> {
    /// An empty slab; `what` names its values in errors.
    #[must_use]
    pub const fn new(what: &'static str) -> Slab<T> {
        Slab { entries: Vec::new(), free: Vec::new(), what }
    }

    /// Adds a value and gives its index.
    ///
    /// # Errors
    /// A tree holds [`MAX_RESOURCES`] of this kind.
    pub fn insert(&mut self, value: T) -> Result<u32, Trap> {
        if let Some(index) = self.free.pop() {
            self.entries[index as usize].value = Some(value);
            return Ok(index);
        }
        let index = self.entries.len();
        if index >= MAX_RESOURCES {
            return Err(Trap::Limit {
                limit: self.what,
                value: index as u64 + 1,
                allowed: MAX_RESOURCES as u64,
            });
        }
        self.entries.push(Entry { generation: 0, value: Some(value) });
        Ok(u32::try_from(index).expect("below the limit"))
    }

    /// Takes a value out.
    ///
    /// # Errors
    /// There is none: the kernel gave a representation that it never was given.
    pub fn remove(&mut self, index: u32) -> Result<T, Trap> {
        let entry = self.entries.get_mut(index as usize);
        let value = entry.and_then(|entry| {
            entry.generation = entry.generation.wrapping_add(1);
            entry.value.take()
        });
        let value = value.ok_or_else(|| unknown(self.what, index))?;
        self.free.push(index);
        Ok(value)
    }

    /// The value at an index.
    ///
    /// # Errors
    /// As [`Slab::remove`].
    pub fn get(&self, index: u32) -> Result<&T, Trap> {
        let entry = self.entries.get(index as usize);
        entry.and_then(|entry| entry.value.as_ref()).ok_or_else(|| unknown(self.what, index))
    }

    /// The same, to change.
    ///
    /// # Errors
    /// As [`Slab::remove`].
    pub fn at_mut(&mut self, index: u32) -> Result<&mut T, Trap> {
        let entry = self.entries.get_mut(index as usize);
        entry.and_then(|entry| entry.value.as_mut()).ok_or_else(|| unknown(self.what, index))
    }

    /// A name for the value at an index that outlives it.
    ///
    /// # Errors
    /// As [`Slab::remove`].
    pub fn key(&self, index: u32) -> Result<Key, Trap> {
        self.get(index)?;
        Ok(Key { index, generation: self.entries[index as usize].generation })
    }

    /// The value that a key names, if it still is there.
    #[must_use]
    pub fn find(&self, key: Key) -> Option<&T> {
        let entry = self.entries.get(key.index as usize)?;
        entry.value.as_ref().filter(|_| entry.generation == key.generation)
    }

    /// The same, to change.
    pub fn find_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        entry.value.as_mut().filter(|_| entry.generation == key.generation)
    }
}

fn unknown(what: &str, index: u32) -> Trap {
    Trap::Host(format!("no {what} has representation {index}"))
}

#[cfg(test)]
mod tests {
    use super::Slab;

    #[test]
    fn a_key_does_not_name_what_took_its_index() {
        let mut slab = Slab::new("number");
        let first = slab.insert(1).unwrap();
        let key = slab.key(first).unwrap();
        assert_eq!(slab.find(key), Some(&1));
        assert_eq!(slab.remove(first).unwrap(), 1);
        assert_eq!(slab.insert(2).unwrap(), first);
        assert_eq!(slab.find(key), None);
        assert!(slab.remove(7).is_err());
    }
}
