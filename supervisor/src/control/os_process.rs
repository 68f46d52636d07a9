//! What the operating system knows of a process that a domain runs in.

use std::fs;

/// Whether one of its threads runs, or would if it had a processor.
#[must_use]
pub fn is_running(os_pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{os_pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        fs::read_to_string(thread.path().join("stat")).is_ok_and(|line| state(&line) == Some('R'))
    })
}

/// The state in a line of `/proc/PID/stat`. The name before it is in parentheses, and may have any character in it.
fn state(line: &str) -> Option<char> {
    line.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::{is_running, state};

    #[test]
    fn who_asks_is_running() {
        assert!(is_running(std::process::id()));
        assert!(!is_running(0));
        assert_eq!(state("7 (a) S (b) R 1 7"), Some('R'));
        assert_eq!(state("nothing"), None);
    }
}
