//! Reading bytes that nobody vouches for.

use crate::fault::Trap;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at} of a message of {len}, found {found}")]
pub struct WireError {
    /// What should be there.
    pub expected: String,
    /// What is.
    pub found: String,
    /// Where.
    pub at: usize,
    /// How long the message is.
    pub len: usize,
}

impl From<WireError> for Trap {
    fn from(error: WireError) -> Trap {
        Trap::Host(error.to_string())
    }
}

/// Where in a message the next thing is read. It never moves backwards, so nothing is read twice.
#[derive(Clone, Debug)]
pub struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    /// Reads from the beginning.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Cursor<'b> {
        Cursor { bytes, at: 0 }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// There are not so many.
    #[inline]
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], WireError> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.cut_off(what, N)),
        }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// There are not so many.
    #[inline]
    pub fn take(&mut self, count: usize, what: &str) -> Result<&'b [u8], WireError> {
        let end = self.at.saturating_add(count);
        match self.bytes.get(self.at..end) {
            Some(taken) => {
                self.at = end;
                Ok(taken)
            }
            None => Err(self.cut_off(what, count)),
        }
    }

    /// A little-endian number of 1, 2 or 4 bytes.
    ///
    /// # Errors
    /// There are not so many bytes.
    pub fn uint(&mut self, bytes: usize, what: &str) -> Result<u32, WireError> {
        let mut wide = [0; 4];
        let read = self.take(bytes.min(4), what)?;
        wide[..read.len()].copy_from_slice(read);
        Ok(u32::from_le_bytes(wide))
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// All that is left.
    #[must_use]
    pub fn rest(&mut self) -> &'b [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        self.at = self.bytes.len();
        rest
    }

    /// Checks that everything has been read.
    ///
    /// # Errors
    /// It has not.
    pub fn finish(&self) -> Result<(), WireError> {
        match self.left() {
            0 => Ok(()),
            more => Err(self.wrong("the end", format!("{more} more bytes"))),
        }
    }

    /// An error about what was just read.
    #[cold]
    #[must_use]
    pub fn wrong(&self, expected: impl Into<String>, found: impl Into<String>) -> WireError {
        WireError { expected: expected.into(), found: found.into(), at: self.at, len: self.bytes.len() }
    }

    #[cold]
    fn cut_off(&self, what: &str, wanted: usize) -> WireError {
        self.wrong(format!("{what} of {wanted} bytes"), format!("{} bytes", self.left()))
    }
}
