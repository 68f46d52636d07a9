//! Functions of paths beneath a directory.

use std::sync::Arc;

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, DirEntry, FileTypeExt, OpenOptions};

use super::descriptor::{Descriptor, Directory, Node};
use super::errno::{Refusal, code};
use crate::bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags, PathFlags,
};

/// Flags that say when a write is done.
const SYNCS: DescriptorFlags = DescriptorFlags(
    DescriptorFlags::FILE_INTEGRITY_SYNC.0
        | DescriptorFlags::DATA_INTEGRITY_SYNC.0
        | DescriptorFlags::REQUESTED_WRITE_SYNC.0,
);

/// Opens a file or directory.
pub(crate) fn open(
    it: &Descriptor,
    path_flags: PathFlags,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, Refusal> {
    let dir = it.dir()?;
    let creates = open.contains(OpenFlags::CREATE);
    let truncates = open.contains(OpenFlags::TRUNCATE);
    let wants_dir = open.contains(OpenFlags::DIRECTORY);
    if wants_dir && (creates || truncates || open.contains(OpenFlags::EXCLUSIVE)) {
        return Err(ErrorCode::Invalid.into());
    }
    let writes = flags.contains(DescriptorFlags::WRITE) || creates || truncates;
    if writes {
        it.check_writable()?;
    }
    if it.is_read_only && flags.contains(DescriptorFlags::MUTATE_DIRECTORY) {
        return Err(ErrorCode::NotPermitted.into());
    }
    // A descriptor that is opened for nothing can still be asked for its metadata, so it is opened to be read.
    let reads = flags.contains(DescriptorFlags::READ) || !flags.contains(DescriptorFlags::WRITE);
    let follow = path_flags.contains(PathFlags::SYMLINK_FOLLOW);
    let mut options = OpenOptions::new();
    options
        .read(reads)
        .write(writes)
        .create(creates)
        .truncate(truncates)
        .create_new(creates && open.contains(OpenFlags::EXCLUSIVE))
        .follow(if follow { FollowSymlinks::Yes } else { FollowSymlinks::No })
        .sync(flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC))
        .dsync(flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC))
        .rsync(flags.contains(DescriptorFlags::REQUESTED_WRITE_SYNC))
        // A pipe that nobody holds the other end of must not hold up the host.
        .nonblock(true);
    let file = dir.open_with(path, &options)?;
    let is_dir = file.metadata()?.is_dir();
    if wants_dir && !is_dir {
        return Err(ErrorCode::NotDirectory.into());
    }
    let file = file.into_std();
    let mut mode = DescriptorFlags(flags.0 & SYNCS.0);
    for (is_so, flag) in [
        (reads, DescriptorFlags::READ),
        (writes && !is_dir, DescriptorFlags::WRITE),
        (is_dir && flags.contains(DescriptorFlags::MUTATE_DIRECTORY), DescriptorFlags::MUTATE_DIRECTORY),
    ] {
        mode = if is_so { mode | flag } else { mode };
    }
    let node =
        if is_dir { Node::Dir(Arc::new(Dir::from_std_file(file))) } else { Node::File(Arc::new(file)) };
    Ok(Descriptor { node, is_read_only: it.is_read_only, mode })
}

/// Reads all entries of a directory, so that changes while the guest reads them do no harm.
pub(crate) fn list(it: &Descriptor) -> Result<Directory, Refusal> {
    let entries =
        it.dir()?.entries()?.map(|read| read.and_then(|it| entry(&it)).map_err(|error| code(&error)));
    Ok(entries.collect::<Vec<_>>().into_iter())
}

fn entry(entry: &DirEntry) -> std::io::Result<DirectoryEntry> {
    let ty = entry.file_type()?;
    let kind = if ty.is_dir() {
        DescriptorType::Directory
    } else if ty.is_file() {
        DescriptorType::RegularFile
    } else if ty.is_symlink() {
        DescriptorType::SymbolicLink
    } else if ty.is_fifo() {
        DescriptorType::Fifo
    } else if ty.is_socket() {
        DescriptorType::Socket
    } else if ty.is_char_device() {
        DescriptorType::CharacterDevice
    } else if ty.is_block_device() {
        DescriptorType::BlockDevice
    } else {
        DescriptorType::Unknown
    };
    let name = entry.file_name().into_string().map_err(|_| rustix::io::Errno::ILSEQ)?;
    Ok(DirectoryEntry { r#type: kind, name })
}

pub(crate) fn create_directory(it: &Descriptor, path: &str) -> Result<(), Refusal> {
    Ok(it.dir_mut()?.create_dir(path)?)
}

pub(crate) fn remove_directory(it: &Descriptor, path: &str) -> Result<(), Refusal> {
    Ok(it.dir_mut()?.remove_dir(path)?)
}

pub(crate) fn unlink(it: &Descriptor, path: &str) -> Result<(), Refusal> {
    Ok(it.dir_mut()?.remove_file(path)?)
}

/// Both directories must be writable: a link to a read-only file in a writable place would let it be written.
pub(crate) fn link(
    it: &Descriptor,
    flags: PathFlags,
    path: &str,
    new: &Descriptor,
    new_path: &str,
) -> Result<(), Refusal> {
    let (old_dir, new_dir) = (it.dir_mut()?, new.dir_mut()?);
    if flags.contains(PathFlags::SYMLINK_FOLLOW) {
        return Err(ErrorCode::Invalid.into());
    }
    Ok(old_dir.hard_link(path, new_dir, new_path)?)
}

pub(crate) fn rename(it: &Descriptor, path: &str, new: &Descriptor, new_path: &str) -> Result<(), Refusal> {
    Ok(it.dir_mut()?.rename(path, new.dir_mut()?, new_path)?)
}

/// Makes a symbolic link; one that says an absolute path leads nowhere in the guest's world and is refused.
pub(crate) fn symlink(it: &Descriptor, contents: &str, path: &str) -> Result<(), Refusal> {
    Ok(it.dir_mut()?.symlink(contents, path)?)
}

pub(crate) fn read_link(it: &Descriptor, path: &str) -> Result<String, Refusal> {
    let contents = it.dir()?.read_link(path)?;
    Ok(contents.into_os_string().into_string().map_err(|_| ErrorCode::IllegalByteSequence)?)
}
