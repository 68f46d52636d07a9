//! The pages behind a linear memory, and the pool that they go back to.
//!
//! ```text
//! base          image            accessible          len - guard         len
//!  |  read/write  |  copy-on-write  |  … inaccessible …  |     guard      |
//! ```
//!
//! Making and unmapping 4 GiB reservations costs far more than resetting one, so an extent of the usual size
//! goes to the pool with its protections and its image as they are: the next memory of the same library needs
//! one `madvise`, which was done already when the extent came back, unless nobody had stored to it.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::MemError;
use super::cow::Image;
use super::reservation::{Access, Reservation};
use crate::limits::{MEMORY_GUARD_BYTES, MEMORY32_BYTES, POOLED_MEMORIES};
use crate::os::page;

static POOL: Mutex<Vec<Extent>> = Mutex::new(Vec::new());

/// A reservation whose beginning is accessible, perhaps with an image mapped into it.
#[derive(Debug)]
pub struct Extent {
    reservation: Reservation,
    accessible: usize,
    image: Option<Arc<Image>>,
}

impl Extent {
    /// An extent that can hold `capacity` bytes, of which the first `bytes` are accessible and zero except
    /// for `image`.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses, or if the image does not fit into `bytes`.
    pub fn take(capacity: usize, bytes: usize, image: Option<&Arc<Image>>) -> Result<Extent, MemError> {
        if let Some(end) = image.map(|image| image.range().end)
            && page::round_up(bytes).is_none_or(|bytes| end > bytes)
        {
            return Err(MemError::Limit { what: "a memory image", bytes: end as u64, allowed: bytes as u64 });
        }
        let mut extent = match (capacity == MEMORY32_BYTES).then(|| Extent::pooled(image)).flatten() {
            Some(extent) => extent,
            None => {
                let reservation =
                    Reservation::new(capacity.saturating_add(MEMORY_GUARD_BYTES), "a linear memory")?;
                Extent { reservation, accessible: 0, image: None }
            }
        };
        extent.exchange_image(image)?;
        extent.set_accessible(bytes)?;
        Ok(extent)
    }

    fn pooled(image: Option<&Arc<Image>>) -> Option<Extent> {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |extent: &Extent| match (&extent.image, image) {
            (Some(has), Some(wants)) => Arc::ptr_eq(has, wants),
            (None, None) => true,
            _ => false,
        };
        match pool.iter().rposition(wanted) {
            Some(at) => Some(pool.swap_remove(at)),
            None => pool.pop(),
        }
    }

    fn exchange_image(&mut self, image: Option<&Arc<Image>>) -> Result<(), MemError> {
        let same = match (&self.image, image) {
            (Some(has), Some(wants)) => Arc::ptr_eq(has, wants),
            (None, None) => true,
            _ => false,
        };
        if same {
            return Ok(());
        }
        if self.image.is_some() {
            // It ends at 0 before it is cleared, so that an error leaves nothing that is believed accessible.
            let cleared = std::mem::take(&mut self.accessible);
            // SAFETY: the extent is between two users: nobody relies on its pages.
            unsafe { self.reservation.clear(0..cleared)? };
            self.image = None;
        }
        if let Some(image) = image {
            self.set_accessible(image.range().end)?;
            // SAFETY: as above; the image's file is sealed against becoming shorter.
            unsafe { self.reservation.map(image.range(), image.file(), 0)? };
            self.image = Some(Arc::clone(image));
        }
        Ok(())
    }

    /// Makes exactly the first `bytes` accessible, rounded up to pages; new ones are zero.
    ///
    /// # Errors
    /// [`MemError`] if the system refuses; then nothing has changed.
    ///
    /// # Panics
    /// If `bytes` is more than the capacity.
    pub fn set_accessible(&mut self, bytes: usize) -> Result<(), MemError> {
        assert!(bytes <= self.capacity(), "{bytes} of {}", self.capacity());
        let end = page::round_up(bytes).expect("no more than the reservation");
        let (range, access) = match end >= self.accessible {
            true => (self.accessible..end, Access::ReadWrite),
            false => (end..self.accessible, Access::None),
        };
        // SAFETY: widening hurts nobody. Only `take` narrows, when nobody uses the extent; its pages were
        // discarded when it came back, so they are zero if they ever become accessible again.
        unsafe { self.reservation.protect(range, access)? };
        self.accessible = end;
        Ok(())
    }

    /// The first address.
    #[must_use]
    pub fn base(&self) -> *mut u8 {
        self.reservation.base()
    }

    /// How many bytes can become accessible.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.reservation.len() - MEMORY_GUARD_BYTES
    }

    /// All addresses, the guard's included.
    #[must_use]
    pub fn addresses(&self) -> Range<usize> {
        self.reservation.addresses()
    }

    /// Ends its use: to the pool if that has room, back to the system otherwise. `pristine` says that nobody has stored to it.
    pub fn give(self, pristine: bool) {
        if self.capacity() != MEMORY32_BYTES {
            return;
        }
        // SAFETY: its user gave it up. If the contents cannot be dropped the extent is not used again.
        if !pristine && unsafe { self.reservation.discard(0..self.accessible) }.is_err() {
            return;
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < POOLED_MEMORIES {
            pool.push(self);
        }
    }
}

/// Gives every unused reservation back to the system.
pub fn drain() {
    let drained = std::mem::take(&mut *POOL.lock().unwrap_or_else(PoisonError::into_inner));
    drop(drained);
}
