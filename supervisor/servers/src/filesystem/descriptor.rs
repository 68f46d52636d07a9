//! `wasi:filesystem/types`: files and directories as a guest holds them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::errno::{Refusal, told};
use super::preopens::Preopen;
use super::{files, metadata, paths};
use crate::Wasi;
use crate::bindings::wasi::filesystem::types::{
    Advice, Descriptor as Handle, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, Error, ErrorCode, Host, HostDescriptor, HostDirectoryEntryStream, InputStream,
    MetadataHashValue, NewTimestamp, OpenFlags, OutputStream, PathFlags,
};
use crate::io::input::FileReader;
use crate::io::output::{FileWriter, Place};
use crate::io::streams::{Sink, Source};

/// An open file or directory; streams share it.
#[derive(Clone, Debug)]
pub struct Descriptor {
    pub(crate) node: Node,
    /// Whether the grant that it was reached through forbids changes.
    pub(crate) is_read_only: bool,
    /// How it was opened.
    pub(crate) mode: DescriptorFlags,
}

/// What is open.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    File(Arc<File>),
    Dir(Arc<Dir>),
}

/// The entries of a directory that have not been read; errors stand where their entries would.
pub(crate) type Directory = std::vec::IntoIter<Result<DirectoryEntry, ErrorCode>>;

impl Descriptor {
    /// Opens a directory to grant. This is the only place where a path of the host is used.
    pub(crate) fn preopen(preopen: &Preopen) -> io::Result<Descriptor> {
        let dir = Dir::open_ambient_dir(&preopen.host, ambient_authority())?;
        let mutate = if preopen.read_only { DescriptorFlags(0) } else { DescriptorFlags::MUTATE_DIRECTORY };
        Ok(Descriptor {
            node: Node::Dir(Arc::new(dir)),
            is_read_only: preopen.read_only,
            mode: DescriptorFlags::READ | mutate,
        })
    }

    /// The open file; a directory is none.
    pub(crate) fn file(&self) -> Result<&Arc<File>, ErrorCode> {
        match &self.node {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(ErrorCode::BadDescriptor),
        }
    }

    /// The open directory.
    pub(crate) fn dir(&self) -> Result<&Dir, ErrorCode> {
        match &self.node {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    /// The open directory, to change what is in it.
    pub(crate) fn dir_mut(&self) -> Result<&Dir, ErrorCode> {
        let dir = self.dir()?;
        self.check_writable()?;
        Ok(dir)
    }

    /// The open file, to change it.
    pub(crate) fn file_mut(&self) -> Result<&Arc<File>, ErrorCode> {
        let file = self.file()?;
        self.check_writable()?;
        Ok(file)
    }

    pub(crate) fn check_writable(&self) -> Result<(), ErrorCode> {
        if self.is_read_only { Err(ErrorCode::NotPermitted) } else { Ok(()) }
    }

    /// What the operating system calls it.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match &self.node {
            Node::File(file) => file.as_fd(),
            Node::Dir(dir) => dir.as_fd(),
        }
    }
}

impl Wasi {
    fn at(&self, this: Borrow<Handle>) -> Result<&Descriptor, Refusal> {
        Ok(self.descriptors.get(this.rep)?)
    }

    /// The time that `now` stands for.
    fn now(&mut self) -> Duration {
        self.wall.now()
    }
}

/// A function's result within one that may trap.
type Told<T> = Result<Result<T, ErrorCode>, Trap>;

impl HostDescriptor for Wasi {
    fn read_via_stream(&mut self, this: Borrow<Handle>, offset: u64) -> Told<Own<InputStream>> {
        let file = match &self.descriptors.get(this.rep)?.node {
            Node::File(file) => file.clone(),
            Node::Dir(_) => return Ok(Err(ErrorCode::IsDirectory)),
        };
        self.streams.add_input(Source::File(FileReader { file, offset })).map(Ok)
    }

    fn write_via_stream(&mut self, this: Borrow<Handle>, offset: u64) -> Told<Own<OutputStream>> {
        let file = self.descriptors.get(this.rep)?.file_mut().cloned();
        let writer = file.map(|file| FileWriter { file, place: Place::At(offset) });
        writer.map(|writer| self.streams.add_output(Sink::File(writer))).transpose_trap()
    }

    fn append_via_stream(&mut self, this: Borrow<Handle>) -> Told<Own<OutputStream>> {
        let file = self.descriptors.get(this.rep)?.file_mut().cloned();
        let writer = file.map(|file| FileWriter { file, place: Place::End });
        writer.map(|writer| self.streams.add_output(Sink::File(writer))).transpose_trap()
    }

    fn advise(&mut self, this: Borrow<Handle>, offset: u64, length: u64, advice: Advice) -> Told<()> {
        told(self.at(this).and_then(|it| files::advise(it, offset, length, advice)))
    }

    fn sync_data(&mut self, this: Borrow<Handle>) -> Told<()> {
        told(self.at(this).and_then(files::sync_data))
    }

    fn flags(&mut self, this: Borrow<Handle>) -> Told<DescriptorFlags> {
        told(self.at(this).map(|it| it.mode))
    }

    fn r#type(&mut self, this: Borrow<Handle>) -> Told<DescriptorType> {
        told(self.at(this).and_then(metadata::kind))
    }

    fn set_size(&mut self, this: Borrow<Handle>, size: u64) -> Told<()> {
        told(self.at(this).and_then(|it| files::set_size(it, size)))
    }

    fn set_times(
        &mut self,
        this: Borrow<Handle>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Told<()> {
        let now = self.now();
        told(self.at(this).and_then(|it| metadata::set_times(it, &accessed, &modified, now)))
    }

    fn read(&mut self, this: Borrow<Handle>, length: u64, offset: u64) -> Told<(Vec<u8>, bool)> {
        told(self.at(this).and_then(|it| files::read(it, length, offset)))
    }

    fn write(&mut self, this: Borrow<Handle>, buffer: Vec<u8>, offset: u64) -> Told<u64> {
        told(self.at(this).and_then(|it| files::write(it, &buffer, offset)))
    }

    fn read_directory(&mut self, this: Borrow<Handle>) -> Told<Own<DirectoryEntryStream>> {
        let listing = self.at(this).and_then(paths::list);
        told(listing.and_then(|listing| Ok(Own::new(self.listings.insert(listing)?))))
    }

    fn sync(&mut self, this: Borrow<Handle>) -> Told<()> {
        told(self.at(this).and_then(files::sync))
    }

    fn create_directory_at(&mut self, this: Borrow<Handle>, path: String) -> Told<()> {
        told(self.at(this).and_then(|it| paths::create_directory(it, &path)))
    }

    fn stat(&mut self, this: Borrow<Handle>) -> Told<DescriptorStat> {
        told(self.at(this).and_then(metadata::stat))
    }

    fn stat_at(&mut self, this: Borrow<Handle>, flags: PathFlags, path: String) -> Told<DescriptorStat> {
        told(self.at(this).and_then(|it| metadata::stat_at(it, flags, &path)))
    }

    fn set_times_at(
        &mut self,
        this: Borrow<Handle>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> Told<()> {
        let now = self.now();
        told(
            self.at(this)
                .and_then(|it| metadata::set_times_at(it, flags, &path, [&accessed, &modified], now)),
        )
    }

    fn link_at(
        &mut self,
        this: Borrow<Handle>,
        flags: PathFlags,
        old_path: String,
        new: Borrow<Handle>,
        new_path: String,
    ) -> Told<()> {
        told(self.at(this).and_then(|it| paths::link(it, flags, &old_path, self.at(new)?, &new_path)))
    }

    fn open_at(
        &mut self,
        this: Borrow<Handle>,
        path_flags: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> Told<Own<Handle>> {
        let opened = self.at(this).and_then(|it| paths::open(it, path_flags, &path, open, flags));
        told(opened.and_then(|descriptor| Ok(Own::new(self.descriptors.insert(descriptor)?))))
    }

    fn readlink_at(&mut self, this: Borrow<Handle>, path: String) -> Told<String> {
        told(self.at(this).and_then(|it| paths::read_link(it, &path)))
    }

    fn remove_directory_at(&mut self, this: Borrow<Handle>, path: String) -> Told<()> {
        told(self.at(this).and_then(|it| paths::remove_directory(it, &path)))
    }

    fn rename_at(
        &mut self,
        this: Borrow<Handle>,
        path: String,
        new: Borrow<Handle>,
        new_path: String,
    ) -> Told<()> {
        told(self.at(this).and_then(|it| paths::rename(it, &path, self.at(new)?, &new_path)))
    }

    fn symlink_at(&mut self, this: Borrow<Handle>, contents: String, path: String) -> Told<()> {
        told(self.at(this).and_then(|it| paths::symlink(it, &contents, &path)))
    }

    fn unlink_file_at(&mut self, this: Borrow<Handle>, path: String) -> Told<()> {
        told(self.at(this).and_then(|it| paths::unlink(it, &path)))
    }

    fn is_same_object(&mut self, this: Borrow<Handle>, other: Borrow<Handle>) -> Result<bool, Trap> {
        let (this, other) = (self.descriptors.get(this.rep)?, self.descriptors.get(other.rep)?);
        Ok(metadata::is_same(this, other))
    }

    fn metadata_hash(&mut self, this: Borrow<Handle>) -> Told<MetadataHashValue> {
        told(self.at(this).and_then(metadata::hash))
    }

    fn metadata_hash_at(
        &mut self,
        this: Borrow<Handle>,
        flags: PathFlags,
        path: String,
    ) -> Told<MetadataHashValue> {
        told(self.at(this).and_then(|it| metadata::hash_at(it, flags, &path)))
    }

    fn dropped(&mut self, this: Own<Handle>) -> Result<(), Trap> {
        self.descriptors.remove(this.rep).map(drop)
    }
}

/// `Err` of the outer result becomes that of the inner one: a guest's error is not a trap.
trait TransposeTrap<T> {
    fn transpose_trap(self) -> Told<T>;
}

impl<T> TransposeTrap<T> for Result<Result<T, Trap>, ErrorCode> {
    fn transpose_trap(self) -> Told<T> {
        match self {
            Ok(value) => value.map(Ok),
            Err(code) => Ok(Err(code)),
        }
    }
}

impl HostDirectoryEntryStream for Wasi {
    fn read_directory_entry(&mut self, this: Borrow<DirectoryEntryStream>) -> Told<Option<DirectoryEntry>> {
        Ok(self.listings.at_mut(this.rep)?.next().transpose())
    }

    fn dropped(&mut self, this: Own<DirectoryEntryStream>) -> Result<(), Trap> {
        self.listings.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {
    fn filesystem_error_code(&mut self, err: Borrow<Error>) -> Result<Option<ErrorCode>, Trap> {
        Ok(Some(self.failures.get(err.rep)?.code))
    }
}
