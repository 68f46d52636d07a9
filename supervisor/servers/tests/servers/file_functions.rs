//! What can be done with granted files.

use std::fs;

use abi::typed::Borrow;
use servers::bindings::wasi::filesystem::preopens;
use servers::bindings::wasi::filesystem::types::{
    Advice, Datetime, DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor, HostDirectoryEntryStream,
    NewTimestamp, OpenFlags, PathFlags,
};
use servers::{SimulatedClock, Wasi};

use crate::folder::{Folder, at, granted, open, open_as};

const NONE: OpenFlags = OpenFlags(0);
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;

fn folder() -> (Folder, Wasi, u32) {
    let folder = Folder::new();
    fs::create_dir(folder.path("d")).unwrap();
    fs::write(folder.path("d/file"), "0123456789").unwrap();
    fs::create_dir(folder.path("d/sub")).unwrap();
    let clock = SimulatedClock { now_ns: 7_000_000_001 };
    let mut wasi = Wasi::builder().preopen(folder.grant("d", false)).wall_clock(clock).build().unwrap();
    let root = granted(&mut wasi)[0];
    (folder, wasi, root)
}

#[test]
fn grants_have_names_and_missing_ones_are_named() {
    let folder = Folder::new();
    let mut wasi = Wasi::builder().preopen(folder.grant("", true)).build().unwrap();
    let given = preopens::Host::directories(&mut wasi).unwrap();
    assert_eq!(given[0].1, "/");
    let error = Wasi::builder().preopen(folder.grant("nowhere", true)).build().err().unwrap().to_string();
    assert!(error.contains("nowhere") && error.contains("No such file"), "{error}");
}

#[test]
fn reads_and_writes_at_offsets() {
    let (_folder, mut wasi, root) = folder();
    let file = open(&mut wasi, root, "file", NONE).unwrap();
    assert_eq!(wasi.read(at(file), 4, 2).unwrap(), Ok((b"2345".to_vec(), false)));
    assert_eq!(wasi.read(at(file), 4, 8).unwrap(), Ok((b"89".to_vec(), false)));
    assert_eq!(wasi.read(at(file), 4, 10).unwrap(), Ok((Vec::new(), true)));
    assert_eq!(wasi.read(at(file), u64::MAX, 0).unwrap().unwrap().0.len(), 10);
    assert_eq!(wasi.read(at(file), 4, u64::MAX).unwrap(), Err(ErrorCode::Invalid));
    assert_eq!(wasi.write(at(file), b"xy".to_vec(), 12).unwrap(), Ok(2));
    assert_eq!(wasi.read(at(file), 10, 9).unwrap(), Ok((b"9\0\0xy".to_vec(), false)));
    assert_eq!(wasi.set_size(at(file), 3).unwrap(), Ok(()));
    assert_eq!(wasi.stat(at(file)).unwrap().unwrap().size, 3);
    assert_eq!(wasi.sync(at(file)).unwrap(), Ok(()));
    assert_eq!(wasi.sync_data(at(file)).unwrap(), Ok(()));
    assert_eq!(wasi.advise(at(file), 0, 0, Advice::Sequential).unwrap(), Ok(()));
    assert_eq!(wasi.advise(at(root), 0, 0, Advice::Normal).unwrap(), Err(ErrorCode::BadDescriptor));
    assert_eq!(wasi.sync(at(root)).unwrap(), Ok(()));
    assert_eq!(wasi.read(at(root), 1, 0).unwrap(), Err(ErrorCode::BadDescriptor));
    assert_eq!(wasi.read_via_stream(at(root), 0).unwrap(), Err(ErrorCode::IsDirectory));
}

#[test]
fn opens_as_it_is_told() {
    let (folder, mut wasi, root) = folder();
    let read = DescriptorFlags::READ;
    let mut tried = |path: &str, flags: OpenFlags, mode: DescriptorFlags| {
        open_as(&mut wasi, root, path, FOLLOW, flags, mode).map(drop)
    };
    assert_eq!(tried("nowhere", NONE, read), Err(ErrorCode::NoEntry));
    assert_eq!(tried("", NONE, read), Err(ErrorCode::NoEntry));
    assert_eq!(tried("file/x", NONE, read), Err(ErrorCode::NotDirectory));
    assert_eq!(tried("file", OpenFlags::DIRECTORY, read), Err(ErrorCode::NotDirectory));
    assert_eq!(tried("sub", NONE, DescriptorFlags::WRITE), Err(ErrorCode::IsDirectory));
    assert_eq!(tried("file", OpenFlags::CREATE | OpenFlags::EXCLUSIVE, read), Err(ErrorCode::Exist));
    assert_eq!(tried("x", OpenFlags::CREATE | OpenFlags::DIRECTORY, read), Err(ErrorCode::Invalid));
    assert_eq!(tried("nul\0", NONE, read), Err(ErrorCode::Invalid));
    assert_eq!(tried(&"x".repeat(300), NONE, read), Err(ErrorCode::NameTooLong));
    assert_eq!(tried("new", OpenFlags::CREATE | OpenFlags::EXCLUSIVE, read), Ok(()));
    assert_eq!(tried("file", OpenFlags::TRUNCATE, DescriptorFlags::WRITE), Ok(()));
    assert_eq!(fs::read(folder.path("d/file")).unwrap(), b"");
    let file = open_as(&mut wasi, root, "file", FOLLOW, NONE, DescriptorFlags::WRITE).unwrap();
    assert_eq!(wasi.flags(at(file)).unwrap(), Ok(DescriptorFlags::WRITE));
    assert_eq!(wasi.read(at(file), 1, 0).unwrap(), Err(ErrorCode::BadDescriptor));
    let file = open_as(&mut wasi, root, "file", FOLLOW, NONE, read).unwrap();
    assert_eq!(wasi.write(at(file), vec![1], 0).unwrap(), Err(ErrorCode::BadDescriptor));
    assert_eq!(wasi.r#type(at(file)).unwrap(), Ok(DescriptorType::RegularFile));
    let synced = DescriptorFlags::WRITE | DescriptorFlags::DATA_INTEGRITY_SYNC;
    let file = open_as(&mut wasi, root, "file", FOLLOW, NONE, synced).unwrap();
    assert_eq!(wasi.flags(at(file)).unwrap(), Ok(synced));
    assert_eq!(wasi.flags(at(root)).unwrap(), Ok(read | DescriptorFlags::MUTATE_DIRECTORY));
    assert_eq!(wasi.open_at(at(file), FOLLOW, "x".into(), NONE, read).unwrap(), Err(ErrorCode::NotDirectory));
}

#[test]
fn a_pipe_that_nobody_writes_holds_nobody_up() {
    let (folder, mut wasi, root) = folder();
    let made = std::process::Command::new("mkfifo").arg(folder.path("d/pipe")).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let pipe = open_as(&mut wasi, root, "pipe", FOLLOW, NONE, DescriptorFlags::READ).unwrap();
    assert_eq!(wasi.r#type(at(pipe)).unwrap(), Ok(DescriptorType::Fifo));
}

#[test]
fn lists_directories() {
    let (folder, mut wasi, root) = folder();
    std::os::unix::fs::symlink("file", folder.path("d/link")).unwrap();
    let listing = wasi.read_directory(at(root)).unwrap().unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = wasi.read_directory_entry(Borrow::new(listing.rep)).unwrap().unwrap() {
        entries.push((entry.name, entry.r#type));
    }
    entries.sort();
    let expected = [
        ("file".to_owned(), DescriptorType::RegularFile),
        ("link".to_owned(), DescriptorType::SymbolicLink),
        ("sub".to_owned(), DescriptorType::Directory),
    ];
    assert_eq!(entries, expected);
    let file = open(&mut wasi, root, "file", NONE).unwrap();
    assert_eq!(wasi.read_directory(at(file)).unwrap(), Err(ErrorCode::NotDirectory));
}

#[test]
fn makes_and_removes_entries() {
    let (_folder, mut wasi, root) = folder();
    assert_eq!(wasi.create_directory_at(at(root), "new".into()).unwrap(), Ok(()));
    assert_eq!(wasi.create_directory_at(at(root), "new".into()).unwrap(), Err(ErrorCode::Exist));
    assert_eq!(wasi.unlink_file_at(at(root), "new".into()).unwrap(), Err(ErrorCode::IsDirectory));
    assert_eq!(wasi.rename_at(at(root), "file".into(), at(root), "new/file".into()).unwrap(), Ok(()));
    assert_eq!(wasi.remove_directory_at(at(root), "new".into()).unwrap(), Err(ErrorCode::NotEmpty));
    assert_eq!(wasi.remove_directory_at(at(root), "new/file".into()).unwrap(), Err(ErrorCode::NotDirectory));
    assert_eq!(wasi.unlink_file_at(at(root), "new/file".into()).unwrap(), Ok(()));
    assert_eq!(wasi.remove_directory_at(at(root), "new".into()).unwrap(), Ok(()));
    assert_eq!(wasi.unlink_file_at(at(root), "new".into()).unwrap(), Err(ErrorCode::NoEntry));
    assert_eq!(wasi.readlink_at(at(root), "sub".into()).unwrap(), Err(ErrorCode::Invalid));
}

#[test]
fn sets_times() {
    let (_folder, mut wasi, root) = folder();
    let file = open(&mut wasi, root, "file", NONE).unwrap();
    let some = Datetime { seconds: 1_000_000_000, nanoseconds: 5 };
    let set = wasi.set_times(at(file), NewTimestamp::Timestamp(some.clone()), NewTimestamp::Now);
    assert_eq!(set.unwrap(), Ok(()));
    let stat = wasi.stat(at(file)).unwrap().unwrap();
    assert_eq!(stat.data_access_timestamp, Some(some.clone()));
    // `now` is what the guest's own clock shows.
    assert_eq!(stat.data_modification_timestamp, Some(Datetime { seconds: 7, nanoseconds: 1 }));
    let some_time = NewTimestamp::Timestamp(some.clone());
    let set = wasi.set_times_at(at(root), FOLLOW, "file".into(), NewTimestamp::NoChange, some_time);
    assert_eq!(set.unwrap(), Ok(()));
    let stat = wasi.stat_at(at(root), FOLLOW, "file".into()).unwrap().unwrap();
    assert_eq!(stat.data_modification_timestamp, Some(some));
    assert_eq!((stat.r#type, stat.size, stat.link_count), (DescriptorType::RegularFile, 10, 1));
    let far = NewTimestamp::Timestamp(Datetime { seconds: u64::MAX, nanoseconds: 0 });
    assert_eq!(wasi.set_times(at(file), far, NewTimestamp::NoChange).unwrap(), Err(ErrorCode::Overflow));
    let wrong = NewTimestamp::Timestamp(Datetime { seconds: 0, nanoseconds: 1_000_000_000 });
    assert_eq!(wasi.set_times(at(file), wrong, NewTimestamp::NoChange).unwrap(), Err(ErrorCode::Invalid));
}

#[test]
fn the_hash_says_which_file_it_is() {
    let (_folder, mut wasi, root) = folder();
    let file = open(&mut wasi, root, "file", NONE).unwrap();
    let again = open(&mut wasi, root, "sub/../file", NONE).unwrap();
    let hash = wasi.metadata_hash(at(file)).unwrap().unwrap();
    assert_eq!(wasi.metadata_hash(at(again)).unwrap().unwrap(), hash);
    assert_eq!(wasi.metadata_hash_at(at(root), FOLLOW, "file".into()).unwrap().unwrap(), hash);
    assert_ne!(wasi.metadata_hash_at(at(root), FOLLOW, "sub".into()).unwrap().unwrap(), hash);
    assert_eq!(wasi.write(at(file), b"changed".to_vec(), 0).unwrap(), Ok(7));
    assert_eq!(wasi.metadata_hash(at(file)).unwrap().unwrap(), hash);
    assert!(wasi.is_same_object(at(file), at(again)).unwrap());
    assert!(!wasi.is_same_object(at(file), at(root)).unwrap());
}
