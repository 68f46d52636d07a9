//! What moves and changes beneath a grant while it is used, and what one process can do with the files of another.

use std::fs;
use std::os::unix::fs::symlink;

use servers::Wasi;
use servers::bindings::wasi::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor, NewTimestamp, OpenFlags, PathFlags,
};

use crate::folder::{Folder, at, granted, open, open_as};

const NONE: OpenFlags = OpenFlags(0);
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags(0);
const READ: DescriptorFlags = DescriptorFlags::READ;

/// `in` and `also` are granted, in this order; `out` is not, and has a secret.
fn folders(in_read_only: bool) -> (Folder, Wasi, u32, u32) {
    let folder = Folder::new();
    for name in ["in", "in/sub", "also", "out"] {
        fs::create_dir(folder.path(name)).unwrap();
    }
    fs::write(folder.path("in/file"), "file").unwrap();
    fs::write(folder.path("out/secret"), "secret").unwrap();
    let builder =
        Wasi::builder().preopen(folder.grant("in", in_read_only)).preopen(folder.grant("also", false));
    let mut wasi = builder.build().unwrap();
    let [inside, also] = granted(&mut wasi)[..] else { panic!("two are granted") };
    (folder, wasi, inside, also)
}

fn read(wasi: &mut Wasi, dir: u32, path: &str) -> Result<Vec<u8>, ErrorCode> {
    let file = open_as(wasi, dir, path, FOLLOW, NONE, READ)?;
    wasi.read(at(file), 100, 0).unwrap().map(|(bytes, _)| bytes)
}

#[test]
fn a_directory_that_is_moved_out_does_not_take_the_guest_with_it() {
    let (folder, mut wasi, inside, _) = folders(false);
    let sub = open_as(&mut wasi, inside, "sub", FOLLOW, OpenFlags::DIRECTORY, READ).unwrap();
    fs::rename(folder.path("in/sub"), folder.path("out/sub")).unwrap();
    // What is open stays open, and nothing above it is reached.
    assert!(wasi.stat(at(sub)).unwrap().is_ok());
    for path in ["..", "../secret", "../../in/file", "../../out/secret"] {
        assert_eq!(read(&mut wasi, sub, path), Err(ErrorCode::NotPermitted), "{path}");
    }
    assert_eq!(read(&mut wasi, inside, "sub/../file"), Err(ErrorCode::NoEntry));
}

#[test]
fn a_directory_that_becomes_a_link_leads_nowhere() {
    let (folder, mut wasi, inside, _) = folders(false);
    fs::write(folder.path("in/sub/secret"), "mine").unwrap();
    assert_eq!(read(&mut wasi, inside, "sub/secret").unwrap(), b"mine");
    fs::remove_dir_all(folder.path("in/sub")).unwrap();
    symlink(folder.path("out"), folder.path("in/sub")).unwrap();
    assert_eq!(read(&mut wasi, inside, "sub/secret"), Err(ErrorCode::NotPermitted));
    fs::remove_file(folder.path("in/sub")).unwrap();
    symlink("../out", folder.path("in/sub")).unwrap();
    assert_eq!(read(&mut wasi, inside, "sub/secret"), Err(ErrorCode::NotPermitted));
}

/// The classic race: somebody outside swaps a directory and a link to elsewhere, as fast as it goes, while the guest opens.
#[test]
fn no_race_leads_out() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (folder, mut wasi, inside, _) = folders(false);
    fs::write(folder.path("in/sub/secret"), "mine").unwrap();
    symlink(folder.path("out"), folder.path("in/link")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let [sub, link, spare] = ["in/sub", "in/link", "in/spare"].map(|name| folder.path(name));
            while !done.load(Ordering::Relaxed) {
                for (from, to) in [(&sub, &spare), (&link, &sub), (&sub, &link), (&spare, &sub)] {
                    fs::rename(from, to).unwrap();
                }
            }
        });
        let (began, mut outcomes, mut others) = (std::time::Instant::now(), [0; 2], 0);
        // As long as it takes for both to have come about, on a machine that has other things to do.
        while outcomes.iter().sum::<u32>() < 2000 || outcomes.contains(&0) {
            if began.elapsed() > std::time::Duration::from_secs(60) {
                break;
            }
            match read(&mut wasi, inside, "sub/secret") {
                Ok(bytes) => {
                    others += u32::from(bytes != b"mine");
                    outcomes[0] += 1;
                }
                Err(_) => outcomes[1] += 1,
            }
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(others, 0);
        assert!(outcomes.iter().all(|count| *count > 0), "the race was none: {outcomes:?}");
    });
}

#[test]
fn links_that_a_guest_makes_lead_no_further_than_it_does() {
    let (folder, mut wasi, inside, _) = folders(false);
    let absolute = folder.path("out/secret").to_str().unwrap().to_owned();
    assert_eq!(
        wasi.symlink_at(at(inside), absolute, "absolute".into()).unwrap(),
        Err(ErrorCode::NotPermitted)
    );
    let chain =
        [("../out/secret", "one"), ("one", "two"), ("sub/../two", "three"), ("../../in/../out", "dir")];
    for (contents, path) in chain {
        assert_eq!(wasi.symlink_at(at(inside), contents.into(), path.into()).unwrap(), Ok(()), "{path}");
    }
    for path in ["one", "two", "three", "dir/secret"] {
        assert_eq!(read(&mut wasi, inside, path), Err(ErrorCode::NotPermitted), "{path}");
    }
    // Nor through a hard link to the link, which is the link.
    assert_eq!(wasi.link_at(at(inside), NO_FOLLOW, "one".into(), at(inside), "hard".into()).unwrap(), Ok(()));
    assert_eq!(read(&mut wasi, inside, "hard"), Err(ErrorCode::NotPermitted));
}

#[test]
fn the_processes_own_files_are_not_named_by_number() {
    let (folder, mut wasi, inside, _) = folders(false);
    let secret = fs::File::open(folder.path("out/secret")).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&secret);
    for (path, target) in [("fd", format!("/proc/self/fd/{fd}")), ("root", "/proc/self/root".to_owned())] {
        // The host put them there; a guest could not.
        symlink(&target, folder.path("in").join(path)).unwrap();
        assert_eq!(read(&mut wasi, inside, path), Err(ErrorCode::NotPermitted), "{path}");
        assert_eq!(read(&mut wasi, inside, &target), Err(ErrorCode::NotPermitted), "{target}");
    }
    assert_eq!(read(&mut wasi, inside, "root/etc/passwd"), Err(ErrorCode::NotPermitted));
    assert_eq!(
        read(&mut wasi, inside, &format!("../../../../proc/self/fd/{fd}")),
        Err(ErrorCode::NotPermitted)
    );
    // `proc` itself, granted, is full of links that lead everywhere.
    let proc = servers::Preopen { host: "/proc/self".into(), guest: "/p".into(), read_only: true };
    let mut wasi = Wasi::builder().preopen(proc).build().unwrap();
    let proc = granted(&mut wasi)[0];
    for path in [format!("fd/{fd}"), "root/etc/passwd".into(), "cwd/Cargo.toml".into(), "exe".into()] {
        assert!(read(&mut wasi, proc, &path).is_err(), "{path}");
    }
}

#[test]
fn what_is_read_only_is_so_in_every_way() {
    let (folder, mut wasi, inside, also) = folders(true);
    let denied = ErrorCode::NotPermitted;
    let write = DescriptorFlags::WRITE;
    for (flags, mode) in [
        (OpenFlags::CREATE, READ),
        (OpenFlags::TRUNCATE, READ),
        (OpenFlags::CREATE | OpenFlags::EXCLUSIVE, READ),
        (NONE, write),
        (NONE, READ | write),
        (OpenFlags::DIRECTORY, DescriptorFlags::MUTATE_DIRECTORY),
        (OpenFlags::TRUNCATE, write),
    ] {
        for path in ["file", "new", "sub"] {
            let opened = open_as(&mut wasi, inside, path, FOLLOW, flags, mode);
            assert_eq!(opened.map(drop), Err(denied), "{path}, {flags:?}, {mode:?}");
        }
    }
    // Nor through a directory or file that was opened from it.
    let sub = open_as(&mut wasi, inside, "sub", FOLLOW, OpenFlags::DIRECTORY, READ).unwrap();
    assert_eq!(open(&mut wasi, sub, "new", OpenFlags::CREATE).map(drop), Err(denied));
    assert_eq!(wasi.flags(at(sub)).unwrap(), Ok(READ));
    let file = open_as(&mut wasi, inside, "file", FOLLOW, NONE, READ).unwrap();
    let now = || NewTimestamp::Now;
    assert_eq!(wasi.write(at(file), vec![1], 0).unwrap(), Err(denied));
    assert_eq!(wasi.set_size(at(file), 0).unwrap(), Err(denied));
    assert_eq!(wasi.set_times(at(file), now(), now()).unwrap(), Err(denied));
    assert_eq!(wasi.write_via_stream(at(file), 0).unwrap().map(drop), Err(denied));
    assert_eq!(wasi.append_via_stream(at(file)).unwrap().map(drop), Err(denied));
    assert_eq!(wasi.set_times_at(at(inside), FOLLOW, "file".into(), now(), now()).unwrap(), Err(denied));
    assert_eq!(wasi.unlink_file_at(at(inside), "file".into()).unwrap(), Err(denied));
    assert_eq!(wasi.remove_directory_at(at(inside), "sub".into()).unwrap(), Err(denied));
    assert_eq!(wasi.create_directory_at(at(inside), "new".into()).unwrap(), Err(denied));
    assert_eq!(wasi.symlink_at(at(inside), "file".into(), "new".into()).unwrap(), Err(denied));
    // Nor with another grant that may be changed, in either direction: a link would be a way to write.
    for (from, to) in [(inside, also), (also, inside), (inside, inside)] {
        fs::write(folder.path("also/file"), "other").unwrap();
        assert_eq!(wasi.rename_at(at(from), "file".into(), at(to), "moved".into()).unwrap(), Err(denied));
        let linked = wasi.link_at(at(from), NO_FOLLOW, "file".into(), at(to), "linked".into());
        assert_eq!(linked.unwrap(), Err(denied));
    }
    assert_eq!(fs::read_to_string(folder.path("in/file")).unwrap(), "file");
    assert_eq!(fs::read_dir(folder.path("in")).unwrap().count(), 2);
    assert_eq!(fs::read_dir(folder.path("also")).unwrap().count(), 1);
}

#[test]
fn a_hard_link_is_as_writable_as_the_grant_that_it_is_reached_by() {
    let (folder, mut wasi, inside, also) = folders(true);
    // One file, in a read-only folder and in one that is not: made by whoever granted both, and so meant.
    fs::hard_link(folder.path("in/file"), folder.path("also/file")).unwrap();
    assert_eq!(open(&mut wasi, inside, "file", NONE).map(drop), Err(ErrorCode::NotPermitted));
    let file = open(&mut wasi, also, "file", NONE).unwrap();
    assert_eq!(wasi.write(at(file), b"new!".to_vec(), 0).unwrap(), Ok(4));
    assert_eq!(read(&mut wasi, inside, "file").unwrap(), b"new!");
}
