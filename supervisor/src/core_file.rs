//! Core dumps of processes that fault, where a manifest wants them: files beside it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use abi::fault::Fault;
use abi::id::ProcessId;
use kernel::component::observe::dump::{Dumps, WriteDump};

use crate::limits::CORE_FILES;
use crate::logs::{Logs, Stream};

/// Writes the dumps of one tree, and says so in its logs.
pub struct CoreFiles {
    folder: PathBuf,
    logs: Arc<Logs>,
    note: fn(&str),
    written: AtomicUsize,
}

impl CoreFiles {
    /// None written yet; they go into `folder`. Where is said in the logs, and with `note`.
    #[must_use]
    pub fn new(folder: &Path, logs: &Arc<Logs>, note: fn(&str)) -> CoreFiles {
        let (folder, logs) = (folder.to_path_buf(), Arc::clone(logs));
        CoreFiles { folder, logs, note, written: AtomicUsize::new(0) }
    }
}

impl Dumps for CoreFiles {
    fn faulted(&self, process: ProcessId, path: &str, _fault: &Fault, write: &mut WriteDump<'_>) {
        // A process that faults again and again must not fill the disk.
        if self.written.fetch_add(1, Ordering::Relaxed) >= CORE_FILES {
            return;
        }
        let name = self.folder.join(file_name(path, process.generation));
        let text = match File::create(&name).and_then(|mut file| write(&mut file)) {
            Ok(bytes) => format!("its core is in {} ({bytes} B)", name.display()),
            Err(error) => format!("its core cannot be written to {}: {error}", name.display()),
        };
        self.logs.say(path, Stream::Lifecycle, &text);
        (self.note)(&format!("{path}: {text}"));
    }
}

fn file_name(path: &str, generation: u32) -> String {
    format!("{}.gen{generation}.core.wasm", path.trim_start_matches('/').replace('/', "-"))
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_file_is_named_after_the_process_and_its_generation() {
        assert_eq!(file_name("/shop/cart/carts", 3), "shop-cart-carts.gen3.core.wasm");
    }
}
