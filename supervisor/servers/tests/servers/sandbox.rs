//! What a guest cannot reach: everything outside of what was granted, and changes in what was granted to be read.

use std::fs;
use std::os::unix::fs::symlink;

use servers::Wasi;
use servers::bindings::wasi::filesystem::types::{
    Datetime, DescriptorFlags, ErrorCode, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};

use crate::folder::{Folder, at, granted, open, open_as};

const NONE: OpenFlags = OpenFlags(0);
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags(0);

/// `in` is granted; `out` beside it holds a secret, and links in `in` lead there.
fn trap() -> (Folder, Wasi, u32) {
    let folder = Folder::new();
    for name in ["in", "in/sub", "out"] {
        fs::create_dir(folder.path(name)).unwrap();
    }
    fs::write(folder.path("out/secret"), "secret").unwrap();
    fs::write(folder.path("in/file"), "file").unwrap();
    let out = folder.path("out");
    symlink(out.join("secret"), folder.path("in/absolute")).unwrap();
    symlink("../out/secret", folder.path("in/relative")).unwrap();
    symlink("../out", folder.path("in/dir")).unwrap();
    symlink(&out, folder.path("in/absolute-dir")).unwrap();
    symlink("sub/../../out/secret", folder.path("in/winding")).unwrap();
    symlink("dir/secret", folder.path("in/chain")).unwrap();
    symlink("file", folder.path("in/inside")).unwrap();
    symlink("loop", folder.path("in/loop")).unwrap();
    let mut wasi = Wasi::builder().preopen(folder.grant("in", false)).build().unwrap();
    let root = granted(&mut wasi)[0];
    (folder, wasi, root)
}

/// Paths that lead to the secret.
const ESCAPES: [&str; 11] = [
    "../out/secret",
    "sub/../../out/secret",
    "./../out/secret",
    "absolute",
    "relative",
    "dir/secret",
    "absolute-dir/secret",
    "winding",
    "chain",
    "dir/../out/secret",
    "dir/../../in/file",
];

fn is_kept_out(result: Result<impl std::fmt::Debug, ErrorCode>, what: &str) {
    assert!(matches!(result, Err(ErrorCode::NotPermitted)), "{what}: {result:?}");
}

#[test]
fn no_path_leads_out() {
    let (folder, mut wasi, root) = trap();
    let absolute = folder.path("out/secret").to_str().unwrap().to_owned();
    for path in ESCAPES.into_iter().chain([absolute.as_str(), "/", "/etc/passwd", ".."]) {
        is_kept_out(open_as(&mut wasi, root, path, FOLLOW, NONE, DescriptorFlags::READ), path);
        is_kept_out(open(&mut wasi, root, path, OpenFlags::CREATE | OpenFlags::TRUNCATE), path);
        is_kept_out(wasi.stat_at(at(root), FOLLOW, path.into()).unwrap(), path);
        is_kept_out(wasi.metadata_hash_at(at(root), FOLLOW, path.into()).unwrap(), path);
        let times = || (NewTimestamp::Now, NewTimestamp::Timestamp(Datetime { seconds: 1, nanoseconds: 0 }));
        let (accessed, modified) = times();
        is_kept_out(wasi.set_times_at(at(root), FOLLOW, path.into(), accessed, modified).unwrap(), path);
    }
    assert_eq!(fs::read_to_string(folder.path("out/secret")).unwrap(), "secret");
}

#[test]
fn no_path_of_an_entry_leads_out() {
    let (folder, mut wasi, root) = trap();
    for path in ["../out/secret", "dir/secret", "absolute-dir/secret", "sub/../../out/secret", "/tmp/x"] {
        is_kept_out(wasi.unlink_file_at(at(root), path.into()).unwrap(), path);
        is_kept_out(wasi.remove_directory_at(at(root), path.into()).unwrap(), path);
        is_kept_out(wasi.rename_at(at(root), path.into(), at(root), "stolen".into()).unwrap(), path);
        is_kept_out(wasi.rename_at(at(root), "file".into(), at(root), path.into()).unwrap(), path);
        is_kept_out(wasi.link_at(at(root), NO_FOLLOW, path.into(), at(root), "linked".into()).unwrap(), path);
        is_kept_out(wasi.link_at(at(root), NO_FOLLOW, "file".into(), at(root), path.into()).unwrap(), path);
        is_kept_out(wasi.readlink_at(at(root), path.into()).unwrap(), path);
    }
    for path in ["../out/new", "dir/new", "absolute-dir/new", "sub/../../out/new", "/tmp/atoll-new"] {
        is_kept_out(wasi.create_directory_at(at(root), path.into()).unwrap(), path);
        is_kept_out(wasi.symlink_at(at(root), "file".into(), path.into()).unwrap(), path);
        is_kept_out(wasi.rename_at(at(root), "file".into(), at(root), path.into()).unwrap(), path);
        is_kept_out(wasi.link_at(at(root), NO_FOLLOW, "file".into(), at(root), path.into()).unwrap(), path);
        is_kept_out(open(&mut wasi, root, path, OpenFlags::CREATE), path);
    }
    assert_eq!(fs::read_dir(folder.path("out")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(folder.path("in/file")).unwrap(), "file");
    assert_eq!(fs::read_to_string(folder.path("out/secret")).unwrap(), "secret");
}

#[test]
fn links_inside_are_followed_and_links_themselves_can_be_handled() {
    let (folder, mut wasi, root) = trap();
    assert!(open(&mut wasi, root, "inside", NONE).is_ok());
    assert!(open(&mut wasi, root, "sub/../inside", NONE).is_ok());
    assert_eq!(
        open_as(&mut wasi, root, "inside", NO_FOLLOW, NONE, DescriptorFlags::READ),
        Err(ErrorCode::Loop)
    );
    assert_eq!(open(&mut wasi, root, "loop", NONE), Err(ErrorCode::Loop));
    assert_eq!(wasi.readlink_at(at(root), "inside".into()).unwrap(), Ok("file".to_owned()));
    assert_eq!(wasi.readlink_at(at(root), "relative".into()).unwrap(), Ok("../out/secret".to_owned()));
    is_kept_out(wasi.readlink_at(at(root), "absolute".into()).unwrap(), "an absolute path of the host");
    assert!(wasi.stat_at(at(root), NO_FOLLOW, "relative".into()).unwrap().is_ok());
    assert_eq!(wasi.unlink_file_at(at(root), "relative".into()).unwrap(), Ok(()));
    assert!(folder.path("out/secret").exists());
}

#[test]
fn a_link_that_a_guest_makes_leads_nowhere_either() {
    let (_folder, mut wasi, root) = trap();
    is_kept_out(wasi.symlink_at(at(root), "/etc".into(), "etc".into()).unwrap(), "an absolute link");
    assert_eq!(wasi.symlink_at(at(root), "../out".into(), "sideways".into()).unwrap(), Ok(()));
    is_kept_out(open(&mut wasi, root, "sideways/secret", NONE), "a link sideways");
    // A directory that is opened is a root of its own.
    let sub = open_as(&mut wasi, root, "sub", FOLLOW, OpenFlags::DIRECTORY, DescriptorFlags::READ).unwrap();
    is_kept_out(open(&mut wasi, sub, "../file", NONE), "the parent of a directory");
    assert_eq!(wasi.symlink_at(at(sub), "../file".into(), "up".into()).unwrap(), Ok(()));
    is_kept_out(open(&mut wasi, sub, "up", NONE), "a link to the parent");
    assert!(open(&mut wasi, root, "sub/up", NONE).is_ok());
}

#[test]
fn what_is_granted_to_be_read_cannot_be_changed() {
    let (folder, _, _) = trap();
    let builder = Wasi::builder().preopen(folder.grant("in", true)).preopen(folder.grant("out", false));
    let mut wasi = builder.build().unwrap();
    let [root, other] = granted(&mut wasi)[..] else { panic!("two are granted") };
    for (flags, mode) in [
        (NONE, DescriptorFlags::WRITE),
        (OpenFlags::CREATE, DescriptorFlags::READ),
        (OpenFlags::CREATE | OpenFlags::EXCLUSIVE, DescriptorFlags::READ),
        (OpenFlags::TRUNCATE, DescriptorFlags::READ),
    ] {
        is_kept_out(open_as(&mut wasi, root, "file", FOLLOW, flags, mode), &format!("{flags:?} {mode:?}"));
    }
    let mutate = DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY;
    is_kept_out(open_as(&mut wasi, root, "sub", FOLLOW, OpenFlags::DIRECTORY, mutate), "mutate-directory");
    let file = open_as(&mut wasi, root, "file", FOLLOW, NONE, DescriptorFlags::READ).unwrap();
    let sub = open_as(&mut wasi, root, "sub", FOLLOW, OpenFlags::DIRECTORY, DescriptorFlags::READ).unwrap();
    is_kept_out(wasi.write(at(file), b"x".to_vec(), 0).unwrap(), "write");
    is_kept_out(wasi.write_via_stream(at(file), 0).unwrap(), "write-via-stream");
    is_kept_out(wasi.append_via_stream(at(file)).unwrap(), "append-via-stream");
    is_kept_out(wasi.set_size(at(file), 0).unwrap(), "set-size");
    for descriptor in [file, sub, root] {
        let times = wasi.set_times(at(descriptor), NewTimestamp::Now, NewTimestamp::Now);
        is_kept_out(times.unwrap(), "set-times");
    }
    for dir in [root, sub] {
        let times = wasi.set_times_at(at(dir), FOLLOW, ".".into(), NewTimestamp::Now, NewTimestamp::Now);
        is_kept_out(times.unwrap(), "set-times-at");
        is_kept_out(wasi.create_directory_at(at(dir), "new".into()).unwrap(), "create-directory-at");
        is_kept_out(wasi.remove_directory_at(at(dir), "sub".into()).unwrap(), "remove-directory-at");
        is_kept_out(wasi.unlink_file_at(at(dir), "file".into()).unwrap(), "unlink-file-at");
        is_kept_out(wasi.symlink_at(at(dir), "file".into(), "new".into()).unwrap(), "symlink-at");
        is_kept_out(wasi.rename_at(at(dir), "file".into(), at(dir), "new".into()).unwrap(), "rename-at");
        // Neither out of it nor into it.
        is_kept_out(wasi.rename_at(at(dir), "file".into(), at(other), "new".into()).unwrap(), "rename out");
        is_kept_out(wasi.rename_at(at(other), "secret".into(), at(dir), "new".into()).unwrap(), "rename in");
        is_kept_out(
            wasi.link_at(at(dir), NO_FOLLOW, "file".into(), at(other), "new".into()).unwrap(),
            "link out",
        );
        is_kept_out(
            wasi.link_at(at(other), NO_FOLLOW, "secret".into(), at(dir), "new".into()).unwrap(),
            "link in",
        );
    }
    assert_eq!(wasi.read(at(file), 10, 0).unwrap(), Ok((b"file".to_vec(), false)));
    assert_eq!(fs::read_to_string(folder.path("in/file")).unwrap(), "file");
    assert_eq!(fs::read_dir(folder.path("out")).unwrap().count(), 1);
}

#[test]
fn files_move_between_two_writable_grants() {
    let (folder, _, _) = trap();
    let builder = Wasi::builder().preopen(folder.grant("in", false)).preopen(folder.grant("out", false));
    let mut wasi = builder.build().unwrap();
    let [root, other] = granted(&mut wasi)[..] else { panic!("two are granted") };
    assert_eq!(wasi.rename_at(at(root), "file".into(), at(other), "moved".into()).unwrap(), Ok(()));
    assert_eq!(fs::read_to_string(folder.path("out/moved")).unwrap(), "file");
    assert_eq!(
        wasi.link_at(at(other), NO_FOLLOW, "moved".into(), at(root), "linked".into()).unwrap(),
        Ok(())
    );
    assert_eq!(fs::read_to_string(folder.path("in/linked")).unwrap(), "file");
    let followed = wasi.link_at(at(other), FOLLOW, "moved".into(), at(root), "again".into());
    assert_eq!(followed.unwrap(), Err(ErrorCode::Invalid));
}
