//! Functions of open files.

use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{fdatasync, fsync, ftruncate};
use rustix::io::{Errno, pwrite};

use super::descriptor::{Descriptor, Node};
use super::errno::Refusal;
use crate::bindings::wasi::filesystem::types::Advice;
use crate::io::input::read_at;
use crate::limits::MAX_READ;

/// Reads at most `length` bytes; whether the end was reached.
pub(crate) fn read(it: &Descriptor, length: u64, offset: u64) -> Result<(Vec<u8>, bool), Refusal> {
    let limit = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_READ);
    let bytes = read_at(it.file()?, limit, offset)?;
    let is_end = bytes.is_empty() && limit > 0;
    Ok((bytes, is_end))
}

/// Writes some of `bytes`; how many.
pub(crate) fn write(it: &Descriptor, bytes: &[u8], offset: u64) -> Result<u64, Refusal> {
    let file = it.file_mut()?;
    loop {
        match pwrite(file, bytes, offset) {
            Ok(written) => return Ok(written as u64),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

pub(crate) fn advise(it: &Descriptor, offset: u64, length: u64, advice: Advice) -> Result<(), Refusal> {
    let advice = match advice {
        Advice::Normal => rustix::fs::Advice::Normal,
        Advice::Sequential => rustix::fs::Advice::Sequential,
        Advice::Random => rustix::fs::Advice::Random,
        Advice::WillNeed => rustix::fs::Advice::WillNeed,
        Advice::DontNeed => rustix::fs::Advice::DontNeed,
        Advice::NoReuse => rustix::fs::Advice::NoReuse,
    };
    Ok(rustix::fs::fadvise(it.file()?, offset, NonZeroU64::new(length), advice)?)
}

pub(crate) fn sync(it: &Descriptor) -> Result<(), Refusal> {
    without_path(it, |fd| fsync(fd))
}

pub(crate) fn sync_data(it: &Descriptor) -> Result<(), Refusal> {
    without_path(it, |fd| fdatasync(fd))
}

/// A directory may be open only as a path, which cannot be synchronized: it is opened again.
fn without_path(
    it: &Descriptor,
    sync: impl FnOnce(BorrowedFd<'_>) -> Result<(), Errno>,
) -> Result<(), Refusal> {
    match &it.node {
        Node::File(file) => Ok(sync(file.as_fd())?),
        Node::Dir(dir) => Ok(sync(dir.open(".")?.as_fd())?),
    }
}

pub(crate) fn set_size(it: &Descriptor, size: u64) -> Result<(), Refusal> {
    Ok(ftruncate(it.file_mut()?, size)?)
}
