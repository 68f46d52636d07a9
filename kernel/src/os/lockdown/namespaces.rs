//! No user, network, message queue, mount or name of others; no capability; and an end with the parent.

use std::io;

/// Namespaces that are left if the system lets us, and what they are of.
const LEFT: [(libc::c_int, &str); 5] = [
    (libc::CLONE_NEWNET, "network"),
    (libc::CLONE_NEWIPC, "ipc"),
    (libc::CLONE_NEWNS, "mount"),
    (libc::CLONE_NEWUTS, "uts"),
    (libc::CLONE_NEWCGROUP, "cgroup"),
];
/// The last capability that could be: more are refused.
const CAPABILITIES: libc::c_ulong = 63;
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Leaves what others are in. Says what was left.
pub fn leave() -> Vec<String> {
    let left = |flags| {
        // SAFETY: no pointers; the process has one thread.
        unsafe { libc::unshare(flags) == 0 }
    };
    let mut names = Vec::new();
    if left(libc::CLONE_NEWUSER) {
        names.push("user");
    }
    names.extend(LEFT.iter().filter(|(flag, _)| left(*flag)).map(|(_, name)| *name));
    match names.as_slice() {
        [] => vec!["namespaces: not allowed here".to_owned()],
        names => vec![format!("own namespaces: {}", names.join(", "))],
    }
}

/// Lets the process end when the thread ends that started it.
///
/// # Errors
/// What the system says.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives up every capability, those included that a program could be given later.
pub fn drop_capabilities() {
    #[repr(C)]
    struct Header {
        version: u32,
        process: i32,
    }
    for capability in 0..=CAPABILITIES {
        // SAFETY: no pointers. One that there is not, or may not be dropped, is refused, which is as good.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    let header = Header { version: CAPABILITY_VERSION, process: 0 };
    let none = [0_u32; 6];
    // SAFETY: the version says that there are two times three words, which is what there is.
    unsafe {
        libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr());
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    }
}
