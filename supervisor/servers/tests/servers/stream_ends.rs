//! Streams and what they are connected to.

use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use abi::fault::Trap;
use abi::typed::Borrow;
use servers::bindings::wasi::cli::{stderr, stdin, stdout};
use servers::bindings::wasi::filesystem::types::{self, ErrorCode, OpenFlags};
use servers::bindings::wasi::io::error::HostError;
use servers::bindings::wasi::io::streams::{
    HostInputStream, HostOutputStream, InputStream, OutputStream, StreamError,
};
use servers::turn::Turn;
use servers::{Buffer, Input, Output, Wasi};

use crate::folder::{Folder, at, granted, open};

fn input(rep: u32) -> Borrow<InputStream> {
    Borrow::new(rep)
}

fn output(rep: u32) -> Borrow<OutputStream> {
    Borrow::new(rep)
}

#[test]
fn standard_input_is_read_to_its_end() {
    let mut wasi = Wasi::builder().stdin(Input::bytes("hello")).build().unwrap();
    let first = stdin::Host::stdin(&mut wasi).unwrap().rep;
    let second = stdin::Host::stdin(&mut wasi).unwrap().rep;
    assert_eq!(wasi.read(input(first), 0).unwrap(), Ok(Vec::new()));
    assert_eq!(wasi.read(input(first), 2).unwrap(), Ok(b"he".to_vec()));
    // Streams of the same input share it.
    assert_eq!(Wasi::blocking_skip(&mut Turn::alone(&mut wasi), input(second), 1).unwrap(), Ok(1));
    assert_eq!(
        Wasi::blocking_read(&mut Turn::alone(&mut wasi), input(first), u64::MAX).unwrap(),
        Ok(b"lo".to_vec())
    );
    assert_eq!(
        Wasi::blocking_read(&mut Turn::alone(&mut wasi), input(first), 1).unwrap(),
        Err(StreamError::Closed)
    );
    assert_eq!(wasi.read(input(first), 0).unwrap(), Err(StreamError::Closed));
}

#[test]
fn a_pipe_is_read_when_it_has_something() {
    let (reader, mut writer) = io::pipe().unwrap();
    let mut wasi = Wasi::builder().stdin(Input::fd(reader.into())).build().unwrap();
    let stream = stdin::Host::stdin(&mut wasi).unwrap().rep;
    assert_eq!(wasi.read(input(stream), 10).unwrap(), Ok(Vec::new()));
    writer.write_all(b"abc").unwrap();
    assert_eq!(wasi.read(input(stream), 10).unwrap(), Ok(b"abc".to_vec()));
    let late = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        writer.write_all(b"late").unwrap();
    });
    assert_eq!(
        Wasi::blocking_read(&mut Turn::alone(&mut wasi), input(stream), 10).unwrap(),
        Ok(b"late".to_vec())
    );
    late.join().unwrap();
    assert_eq!(wasi.read(input(stream), 10).unwrap(), Err(StreamError::Closed));
}

#[test]
fn output_goes_to_buffers_closures_and_descriptors() {
    let buffer = Buffer::default();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let closure = Output::closure(move |bytes| {
        hears.lock().unwrap().push(bytes.to_vec());
        Ok(())
    });
    let mut wasi = Wasi::builder().stdout(Output::buffer(&buffer)).stderr(closure).build().unwrap();
    let out = stdout::Host::stdout(&mut wasi).unwrap().rep;
    let err = stderr::Host::stderr(&mut wasi).unwrap().rep;
    assert_eq!(
        Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(out), b"out".to_vec()).unwrap(),
        Ok(())
    );
    assert_eq!(
        Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(err), b"err".to_vec()).unwrap(),
        Ok(())
    );
    assert_eq!(
        Wasi::blocking_write_zeroes_and_flush(&mut Turn::alone(&mut wasi), output(out), 2).unwrap(),
        Ok(())
    );
    assert_eq!(buffer.contents(), b"out\0\0");
    assert_eq!(*heard.lock().unwrap(), [b"err".to_vec()]);
    let (mut reader, writer) = io::pipe().unwrap();
    let mut wasi = Wasi::builder().stdout(Output::fd(writer.into())).build().unwrap();
    let out = stdout::Host::stdout(&mut wasi).unwrap().rep;
    assert_eq!(
        Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(out), b"through a pipe".to_vec())
            .unwrap(),
        Ok(())
    );
    drop(wasi);
    let mut text = String::new();
    io::Read::read_to_string(&mut reader, &mut text).unwrap();
    assert_eq!(text, "through a pipe");
}

#[test]
fn a_write_needs_a_permit() {
    let buffer = Buffer::default();
    let mut wasi = Wasi::builder().stdout(Output::buffer(&buffer)).build().unwrap();
    let out = stdout::Host::stdout(&mut wasi).unwrap().rep;
    assert!(matches!(
        Wasi::write(&mut Turn::alone(&mut wasi), output(out), vec![1]),
        Err(Trap::Limit { allowed: 0, .. })
    ));
    let permit = wasi.check_write(output(out)).unwrap().unwrap();
    assert_eq!(Wasi::write(&mut Turn::alone(&mut wasi), output(out), vec![2; 10]).unwrap(), Ok(()));
    assert_eq!(Wasi::write_zeroes(&mut Turn::alone(&mut wasi), output(out), permit - 10).unwrap(), Ok(()));
    assert!(Wasi::write(&mut Turn::alone(&mut wasi), output(out), vec![1]).is_err());
    assert!(Wasi::write_zeroes(&mut Turn::alone(&mut wasi), output(out), u64::MAX).is_err());
    assert!(Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(out), vec![0; 4097]).is_err());
    assert!(Wasi::blocking_write_zeroes_and_flush(&mut Turn::alone(&mut wasi), output(out), 4097).is_err());
    assert_eq!(buffer.contents().len() as u64, permit);
    assert_eq!(wasi.flush(output(out)).unwrap(), Ok(()));
    assert_eq!(wasi.blocking_flush(output(out)).unwrap(), Ok(()));
}

#[test]
fn a_full_pipe_permits_nothing() {
    let (mut reader, writer) = io::pipe().unwrap();
    let mut wasi = Wasi::builder().stdout(Output::fd(writer.into())).build().unwrap();
    let out = stdout::Host::stdout(&mut wasi).unwrap().rep;
    let mut written = 0;
    // Pipes hold 64 KiB by custom; what is written here stays below what may be in flight.
    while wasi.check_write(output(out)).unwrap().unwrap() > 0 {
        assert_eq!(Wasi::write(&mut Turn::alone(&mut wasi), output(out), vec![0; 4096]).unwrap(), Ok(()));
        written += 4096;
        assert!(written < 32 << 20, "the pipe is never full");
    }
    let mut bytes = vec![0; 4096];
    io::Read::read_exact(&mut reader, &mut bytes).unwrap();
    assert!(wasi.check_write(output(out)).unwrap().unwrap() > 0);
}

#[test]
fn a_write_that_fails_says_why_once() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut wasi = Wasi::builder().stdout(Output::fd(full.into())).build().unwrap();
    let out = stdout::Host::stdout(&mut wasi).unwrap().rep;
    let failed = Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(out), vec![1]).unwrap();
    let Err(StreamError::LastOperationFailed(error)) = failed else { panic!("{failed:?}") };
    let text = wasi.to_debug_string(Borrow::new(error.rep)).unwrap();
    assert!(text.contains("No space left"), "{text}");
    let code = types::Host::filesystem_error_code(&mut wasi, Borrow::new(error.rep)).unwrap();
    assert_eq!(code, Some(ErrorCode::InsufficientSpace));
    assert_eq!(
        Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(out), vec![1]).unwrap(),
        Err(StreamError::Closed)
    );
    assert_eq!(wasi.check_write(output(out)).unwrap(), Err(StreamError::Closed));
    assert_eq!(wasi.flush(output(out)).unwrap(), Err(StreamError::Closed));
    HostError::dropped(&mut wasi, error).unwrap();
}

#[test]
fn files_stream_from_offsets_and_to_their_end() {
    let folder = Folder::new();
    let mut wasi = Wasi::builder().preopen(folder.grant("", false)).build().unwrap();
    let root = granted(&mut wasi)[0];
    let file = open(&mut wasi, root, "file", OpenFlags::CREATE).unwrap();
    let writer = types::HostDescriptor::write_via_stream(&mut wasi, at(file), 2).unwrap().unwrap().rep;
    Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(writer), b"ab".to_vec())
        .unwrap()
        .unwrap();
    Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(writer), b"cd".to_vec())
        .unwrap()
        .unwrap();
    let appender = types::HostDescriptor::append_via_stream(&mut wasi, at(file)).unwrap().unwrap().rep;
    Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(appender), b"!".to_vec())
        .unwrap()
        .unwrap();
    Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(writer), b"E".to_vec())
        .unwrap()
        .unwrap();
    Wasi::blocking_write_and_flush(&mut Turn::alone(&mut wasi), output(appender), b"?".to_vec())
        .unwrap()
        .unwrap();
    assert_eq!(fs::read(folder.path("file")).unwrap(), b"\0\0abcdE?");
    let reader = types::HostDescriptor::read_via_stream(&mut wasi, at(file), 3).unwrap().unwrap().rep;
    // Streams outlive the descriptor they came from.
    types::HostDescriptor::dropped(&mut wasi, abi::typed::Own::new(file)).unwrap();
    assert_eq!(wasi.read(input(reader), 2).unwrap(), Ok(b"bc".to_vec()));
    assert_eq!(wasi.skip(input(reader), 1).unwrap(), Ok(1));
    assert_eq!(Wasi::splice(&mut Turn::alone(&mut wasi), output(appender), input(reader), 1).unwrap(), Ok(1));
    assert_eq!(
        Wasi::blocking_splice(&mut Turn::alone(&mut wasi), output(appender), input(reader), u64::MAX)
            .unwrap(),
        Ok(2)
    );
    assert_eq!(fs::read(folder.path("file")).unwrap(), b"\0\0abcdE?E?E");
    HostInputStream::dropped(&mut wasi, abi::typed::Own::new(reader)).unwrap();
    assert!(wasi.read(input(reader), 1).is_err());
}
