//! A folder for one test, gone when the test is.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use abi::typed::Own;
use servers::bindings::wasi::filesystem::preopens;
use servers::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use servers::{Preopen, Wasi};

pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("atoll-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }

    pub fn grant(&self, below: &str, read_only: bool) -> Preopen {
        Preopen { host: self.path(below), guest: format!("/{below}"), read_only }
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in the temporary folder of a test that went wrong is for whoever looks into it.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The representations of granted directories, in the order they were granted.
pub fn granted(wasi: &mut Wasi) -> Vec<u32> {
    let given = preopens::Host::directories(wasi).unwrap();
    given.into_iter().map(|(descriptor, _)| descriptor.rep).collect()
}

/// Opens a file to be read and written, following links.
pub fn open(wasi: &mut Wasi, dir: u32, path: &str, flags: OpenFlags) -> Result<u32, ErrorCode> {
    let mode = DescriptorFlags::READ | DescriptorFlags::WRITE;
    open_as(wasi, dir, path, PathFlags::SYMLINK_FOLLOW, flags, mode)
}

pub fn open_as(
    wasi: &mut Wasi,
    dir: u32,
    path: &str,
    path_flags: PathFlags,
    flags: OpenFlags,
    mode: DescriptorFlags,
) -> Result<u32, ErrorCode> {
    let opened = wasi.open_at(at(dir), path_flags, path.to_owned(), flags, mode).unwrap();
    opened.map(|descriptor: Own<Descriptor>| descriptor.rep)
}

pub fn at(rep: u32) -> abi::typed::Borrow<Descriptor> {
    abi::typed::Borrow::new(rep)
}
