//! Limits of the system on this process. They only ever get tighter.

use std::fs::File;
use std::io::Read;

use nix::sys::resource::{Resource, setrlimit};

/// What the kernel itself may need beyond the guests' memories, bytes: stacks, tables, values under way.
const SLACK_BYTES: u64 = 256 << 20;

/// No core files, no new files, no files that grow, no new processes; and no more memory than is granted, on top of what is
/// there now. Address space is not limited: memories reserve far more of it than they use. Says what holds.
///
/// # Errors
/// What the system says.
pub fn tighten(memory_bytes: Option<u64>, status: Option<File>) -> Result<Vec<String>, String> {
    let mut limits = vec![
        (Resource::RLIMIT_CORE, 0, "no core file"),
        (Resource::RLIMIT_NOFILE, 0, "no new file"),
        (Resource::RLIMIT_FSIZE, 0, "no file grows"),
        (Resource::RLIMIT_NPROC, 0, "no new process"),
        (Resource::RLIMIT_MEMLOCK, 0, "no locked memory"),
    ];
    if let Some(bytes) = memory_bytes {
        let there = status.and_then(data_bytes).unwrap_or(0);
        let most = there.saturating_add(bytes).saturating_add(SLACK_BYTES);
        limits.push((Resource::RLIMIT_DATA, most, "no more memory than granted"));
    }
    let mut held = Vec::new();
    for (limit, most, what) in limits {
        setrlimit(limit, most, most).map_err(|errno| format!("cannot limit itself: {what}: {errno}"))?;
        held.push(what.to_owned());
    }
    Ok(held)
}

/// Bytes of writable private memory, as the system counts them; where it cannot be asked, nothing.
fn data_bytes(mut file: File) -> Option<u64> {
    let mut status = String::new();
    file.read_to_string(&mut status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
