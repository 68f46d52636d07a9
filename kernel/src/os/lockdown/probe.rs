//! Tries to do what a process that is locked down must not be able to do, and says how that went.
//!
//! This is what its code would do if a guest got hold of it; tests ask for it.

use std::io;
use std::ptr;

/// A name, and a system call.
type Attempt = (&'static str, fn() -> libc::c_long);

/// What is tried.
const ATTEMPTS: [Attempt; 16] = [
    ("open", || {
        // SAFETY: a literal path.
        unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, c"/etc/passwd".as_ptr(), libc::O_RDONLY) }
    }),
    ("create", || {
        let flags = libc::O_CREAT | libc::O_WRONLY;
        // SAFETY: a literal path.
        unsafe { libc::syscall(libc::SYS_open, c"/tmp/atoll-escaped".as_ptr(), flags, 0o600) }
    }),
    ("socket", || {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0) }
    }),
    ("kill the parent", || {
        // SAFETY: no pointers; signal 0 asks only.
        unsafe { libc::syscall(libc::SYS_kill, libc::getppid(), 0) }
    }),
    ("signal a thread of another process", || {
        // SAFETY: no pointers; signal 0 asks only.
        unsafe { libc::syscall(libc::SYS_tgkill, 1, 1, 0) }
    }),
    ("ptrace", || {
        // SAFETY: asks to be traced, which would need no pointers.
        unsafe { libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0) }
    }),
    ("execve", || {
        let none: [*const libc::c_char; 1] = [ptr::null()];
        // SAFETY: a literal path, and empty lists.
        unsafe { libc::syscall(libc::SYS_execve, c"/bin/sh".as_ptr(), none.as_ptr(), none.as_ptr()) }
    }),
    ("fork", || {
        // SAFETY: if it were allowed the child would end at once.
        unsafe {
            let child = libc::syscall(libc::SYS_fork);
            if child == 0 {
                libc::_exit(0);
            }
            child
        }
    }),
    ("unshare", || {
        // SAFETY: no pointers.
        unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER) }
    }),
    ("mount", || {
        let (nothing, none) = (c"none".as_ptr(), ptr::null::<libc::c_void>());
        // SAFETY: literal names, no data.
        unsafe { libc::syscall(libc::SYS_mount, nothing, c"/".as_ptr(), c"tmpfs".as_ptr(), 0, none) }
    }),
    ("executable memory", || {
        let (access, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the system's choice.
        unsafe { libc::syscall(libc::SYS_mmap, 0, 4096, access, flags, -1, 0) }
    }),
    ("read another process", || {
        let none = ptr::null::<libc::iovec>();
        // SAFETY: no vectors, so nothing is read.
        unsafe { libc::syscall(libc::SYS_process_vm_readv, libc::getppid(), none, 0, none, 0, 0) }
    }),
    ("a new file", || {
        // SAFETY: a literal name.
        unsafe { libc::syscall(libc::SYS_memfd_create, c"x".as_ptr(), 0) }
    }),
    ("lift a limit", || {
        let most = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
        let none = ptr::null::<libc::rlimit>();
        // SAFETY: the limit lives for the call.
        unsafe { libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &raw const most, none) }
    }),
    ("another filter", || {
        // SAFETY: no program.
        unsafe { libc::syscall(libc::SYS_seccomp, 0, 0, ptr::null::<libc::c_void>()) }
    }),
    ("io_uring", || {
        let mut room = [0_u64; 16];
        // SAFETY: the room is what the call writes.
        unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, room.as_mut_ptr()) }
    }),
];

/// One line for each attempt: its name, and the error, or `done`.
#[must_use]
pub fn attempts() -> Vec<String> {
    let attempt = |(name, work): (&str, fn() -> libc::c_long)| match work() {
        -1 => format!("{name}: {}", io::Error::last_os_error()),
        _ => format!("{name}: done"),
    };
    ATTEMPTS.into_iter().map(attempt).collect()
}
