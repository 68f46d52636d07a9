//! Files that one OS process hands to another over a socket.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Files of one message.
pub const MAX_FILES: usize = 8;

/// Room for the control message of so many files, aligned as its header wants.
type Control = [u64; 8];

/// Sends bytes and files as one message.
///
/// # Errors
/// What the system says; there are more than [`MAX_FILES`]; not all bytes were taken.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    if files.len() > MAX_FILES {
        return Err(io::Error::other("too many files for one message"));
    }
    let mut control: Control = [0; 8];
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut message = message(&mut vector, &mut control);
    let payload = size_of_val(files) as u32;
    // SAFETY: the room is enough for the header and MAX_FILES descriptors, which is what is written.
    unsafe {
        message.msg_controllen = libc::CMSG_SPACE(payload) as usize;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(payload) as usize;
        let data = libc::CMSG_DATA(header).cast::<RawFd>();
        for (index, file) in files.iter().enumerate() {
            data.add(index).write_unaligned(file.as_raw_fd());
        }
        if files.is_empty() {
            (message.msg_control, message.msg_controllen) = (ptr::null_mut(), 0);
        }
    }
    // SAFETY: everything that the message points to lives for the call.
    match unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) } {
        sent if sent >= 0 && sent.cast_unsigned() == bytes.len() => Ok(()),
        sent if sent >= 0 => Err(io::Error::other("a message was cut off")),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Receives one message: how many bytes it has, and its files.
///
/// # Errors
/// What the system says; the message had more files than there is room for.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control: Control = [0; 8];
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut message = message(&mut vector, &mut control);
    // SAFETY: everything that the message points to lives for the call.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut files = Vec::new();
    // SAFETY: the system has filled in the headers and how long they are; descriptors in it are ours from now on.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let bytes = (*header).cmsg_len - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<RawFd>();
                for index in 0..bytes / size_of::<RawFd>() {
                    files.push(OwnedFd::from_raw_fd(data.add(index).read_unaligned()));
                }
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::other("more files than there is room for"));
    }
    Ok((received.cast_unsigned(), files))
}

fn message(vector: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: all zero is a valid `msghdr`.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = vector;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>();
    message
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn files_arrive_open() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut inner, outer) = UnixStream::pair().unwrap();
        send(ours.as_fd(), b"hello", &[outer.as_fd(), ours.as_fd()]).unwrap();
        let mut bytes = [0; 16];
        let (len, files) = receive(theirs.as_fd(), &mut bytes).unwrap();
        assert_eq!((&bytes[..len], files.len()), (&b"hello"[..], 2));
        drop(outer);
        let mut handed = UnixStream::from(files.into_iter().next().unwrap());
        handed.write_all(b"x").unwrap();
        let mut read = [0; 1];
        inner.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"x");
        send(ours.as_fd(), b"no files", &[]).unwrap();
        assert!(receive(theirs.as_fd(), &mut bytes).unwrap().1.is_empty());
    }
}
