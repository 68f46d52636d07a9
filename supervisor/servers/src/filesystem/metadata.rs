//! What is known of a file without opening it.

use std::time::Duration;

use cap_fs_ext::{DirExt, SystemTimeSpec};
use cap_std::fs::{Metadata, MetadataExt};
use cap_std::time::SystemTime;
use rustix::fs::{FileType, Stat, Timespec, Timestamps, UTIME_OMIT, fstat, futimens};

use super::descriptor::{Descriptor, Node};
use super::errno::Refusal;
use crate::bindings::wasi::filesystem::types::{
    Datetime, DescriptorStat, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp, PathFlags,
};

/// What the guest sees of a file, from either of two sources: an open one, or one by its path.
struct Facts {
    kind: DescriptorType,
    links: u64,
    size: u64,
    device: u64,
    inode: u64,
    accessed: (i64, i64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Facts {
    fn of(it: &Descriptor) -> Result<Facts, Refusal> {
        let stat: Stat = fstat(it.fd())?;
        let nanoseconds = |ns: u64| i64::try_from(ns).unwrap_or(0);
        Ok(Facts {
            kind: kind_of(FileType::from_raw_mode(stat.st_mode)),
            links: stat.st_nlink,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            device: stat.st_dev,
            inode: stat.st_ino,
            accessed: (stat.st_atime, nanoseconds(stat.st_atime_nsec)),
            modified: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
            changed: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
        })
    }

    fn at(it: &Descriptor, flags: PathFlags, path: &str) -> Result<Facts, Refusal> {
        let dir = it.dir()?;
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        let data: Metadata = if follow { dir.metadata(path)? } else { dir.symlink_metadata(path)? };
        Ok(Facts {
            kind: kind_of(FileType::from_raw_mode(data.mode())),
            links: data.nlink(),
            size: data.size(),
            device: data.dev(),
            inode: data.ino(),
            accessed: (data.atime(), data.atime_nsec()),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }

    fn stat(&self) -> DescriptorStat {
        DescriptorStat {
            r#type: self.kind,
            link_count: self.links,
            size: self.size,
            data_access_timestamp: datetime(self.accessed),
            data_modification_timestamp: datetime(self.modified),
            status_change_timestamp: datetime(self.changed),
        }
    }

    /// Guests use the hash as an inode number, so it says which file it is and not what is in it. Mixed, so that it
    /// tells nothing of the host's numbers.
    fn hash(&self) -> MetadataHashValue {
        let lower = mix(mix(self.device) ^ self.inode);
        MetadataHashValue { lower, upper: mix(lower ^ self.device) }
    }
}

pub(crate) fn kind_of(ty: FileType) -> DescriptorType {
    match ty {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Unknown,
    }
}

/// A time before 1970 cannot be told.
fn datetime((seconds, nanoseconds): (i64, i64)) -> Option<Datetime> {
    Some(Datetime { seconds: seconds.try_into().ok()?, nanoseconds: nanoseconds.try_into().ok()? })
}

fn mix(value: u64) -> u64 {
    let mixed = (value ^ (value >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

pub(crate) fn kind(it: &Descriptor) -> Result<DescriptorType, Refusal> {
    match &it.node {
        Node::Dir(_) => Ok(DescriptorType::Directory),
        Node::File(_) => Ok(Facts::of(it)?.kind),
    }
}

pub(crate) fn stat(it: &Descriptor) -> Result<DescriptorStat, Refusal> {
    Ok(Facts::of(it)?.stat())
}

pub(crate) fn stat_at(it: &Descriptor, flags: PathFlags, path: &str) -> Result<DescriptorStat, Refusal> {
    Ok(Facts::at(it, flags, path)?.stat())
}

pub(crate) fn hash(it: &Descriptor) -> Result<MetadataHashValue, Refusal> {
    Ok(Facts::of(it)?.hash())
}

pub(crate) fn hash_at(it: &Descriptor, flags: PathFlags, path: &str) -> Result<MetadataHashValue, Refusal> {
    Ok(Facts::at(it, flags, path)?.hash())
}

/// Whether two descriptors are open on one file; no if that cannot be told.
pub(crate) fn is_same(this: &Descriptor, other: &Descriptor) -> bool {
    match (Facts::of(this), Facts::of(other)) {
        (Ok(this), Ok(other)) => (this.device, this.inode) == (other.device, other.inode),
        _ => false,
    }
}

/// Sets the times of an open file or directory.
pub(crate) fn set_times(
    it: &Descriptor,
    accessed: &NewTimestamp,
    modified: &NewTimestamp,
    now: Duration,
) -> Result<(), Refusal> {
    it.check_writable()?;
    let times =
        Timestamps { last_access: timespec(accessed, now)?, last_modification: timespec(modified, now)? };
    match &it.node {
        Node::File(file) => Ok(futimens(file, &times)?),
        Node::Dir(dir) => Ok(futimens(dir.open(".")?, &times)?),
    }
}

/// Sets the times of a file by its path: accessed, modified.
pub(crate) fn set_times_at(
    it: &Descriptor,
    flags: PathFlags,
    path: &str,
    [accessed, modified]: [&NewTimestamp; 2],
    now: Duration,
) -> Result<(), Refusal> {
    let dir = it.dir_mut()?;
    let (accessed, modified) = (time_spec(accessed, now)?, time_spec(modified, now)?);
    if flags.contains(PathFlags::SYMLINK_FOLLOW) {
        Ok(dir.set_times(path, accessed, modified)?)
    } else {
        Ok(dir.set_symlink_times(path, accessed, modified)?)
    }
}

/// The time since 1970 that is to be set, if one is.
fn new_time(time: &NewTimestamp, now: Duration) -> Result<Option<Duration>, ErrorCode> {
    match time {
        NewTimestamp::NoChange => Ok(None),
        NewTimestamp::Now => Ok(Some(now)),
        NewTimestamp::Timestamp(time) if time.nanoseconds < 1_000_000_000 => {
            Ok(Some(Duration::new(time.seconds, time.nanoseconds)))
        }
        NewTimestamp::Timestamp(_) => Err(ErrorCode::Invalid),
    }
}

fn timespec(time: &NewTimestamp, now: Duration) -> Result<Timespec, ErrorCode> {
    let Some(time) = new_time(time, now)? else { return Ok(Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }) };
    let seconds = i64::try_from(time.as_secs()).map_err(|_| ErrorCode::Overflow)?;
    Ok(Timespec { tv_sec: seconds, tv_nsec: time.subsec_nanos().into() })
}

fn time_spec(time: &NewTimestamp, now: Duration) -> Result<Option<SystemTimeSpec>, ErrorCode> {
    let Some(time) = new_time(time, now)? else { return Ok(None) };
    let time = std::time::SystemTime::UNIX_EPOCH.checked_add(time).ok_or(ErrorCode::Overflow)?;
    Ok(Some(SystemTimeSpec::Absolute(SystemTime::from_std(time))))
}
