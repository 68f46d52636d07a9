//! `wasi:io/streams`

use std::io;
use std::os::fd::AsFd;

use abi::fault::Trap;
use abi::typed::{Borrow, Own};

use kernel::sched::park::Interest;

use super::input::{FileReader, Input, Progress};
use super::output::{FileWriter, Output};
use super::poll::Subject;
use super::shared_fd::{SharedFd, is_ready};
use crate::Wasi;
use crate::bindings::wasi::io::streams::{
    Host, HostInputStream, HostOutputStream, InputStream, OutputStream, Pollable, StreamError,
};
use crate::limits::{MAX_BLOCKING_WRITE, MAX_READ, WRITE_PERMIT};
use crate::slab::{Key, Slab};
use crate::sockets::connection::Connection;
use crate::turn::Turn;

/// The streams of a tree, and those that lead out of it.
pub(crate) struct Streams {
    ends: Vec<Ends>,
    inputs: Slab<Readable>,
    outputs: Slab<Writable>,
}

/// What the standard streams of some processes lead to.
pub(crate) struct Ends {
    pub(crate) stdin: Input,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

impl Ends {
    /// Where one is not given there is nothing to read, and nobody who reads.
    pub(crate) fn of(stdin: Option<Input>, stdout: Option<Output>, stderr: Option<Output>) -> Ends {
        Ends {
            stdin: stdin.unwrap_or_else(|| Input::bytes([])),
            stdout: stdout.unwrap_or_else(Output::discard),
            stderr: stderr.unwrap_or_else(Output::discard),
        }
    }
}

struct Readable {
    source: Source,
    is_closed: bool,
}

/// What an input stream reads.
pub(crate) enum Source {
    Tcp(Connection),
    /// Standard input, of these ends.
    Stdin(usize),
    File(FileReader),
}

struct Writable {
    sink: Sink,
    is_closed: bool,
    /// Bytes that the guest may still write before it asks again.
    permit: u64,
}

/// What an output stream writes.
pub(crate) enum Sink {
    Tcp(Connection),
    /// Standard output, of these ends.
    Stdout(usize),
    /// Standard error, of these ends.
    Stderr(usize),
    File(FileWriter),
    /// Takes nothing: its other end was never connected.
    Nowhere,
}

/// Why an operation gave nothing: what the guest is told, or the trap.
enum Stop {
    Closed,
    Failed(io::Error),
    Trap(Trap),
}

impl From<Trap> for Stop {
    fn from(trap: Trap) -> Stop {
        Stop::Trap(trap)
    }
}

impl Streams {
    pub(crate) fn new(ends: Vec<Ends>) -> Streams {
        Streams { ends, inputs: Slab::new("input-stream"), outputs: Slab::new("output-stream") }
    }

    /// The standard streams of those who have these ends.
    pub(crate) fn ends(&self, ends: usize) -> &Ends {
        &self.ends[ends]
    }

    pub(crate) fn add_input(&mut self, source: Source) -> Result<Own<InputStream>, Trap> {
        self.inputs.insert(Readable { source, is_closed: false }).map(Own::new)
    }

    pub(crate) fn add_output(&mut self, sink: Sink) -> Result<Own<OutputStream>, Trap> {
        self.outputs.insert(Writable { sink, is_closed: false, permit: 0 }).map(Own::new)
    }

    /// What to wait for before a read does not block.
    pub(crate) fn input_awaits(&self, key: Key) -> Option<SharedFd> {
        match self.inputs.find(key) {
            Some(Readable { source: Source::Stdin(ends), is_closed: false }) => {
                self.ends[*ends].stdin.awaited().cloned()
            }
            Some(Readable { source: Source::Tcp(connection), is_closed: false }) => {
                connection.input_awaits().cloned()
            }
            _ => None,
        }
    }

    /// What to wait for before a write does not block.
    pub(crate) fn output_awaits(&self, key: Key) -> Option<SharedFd> {
        match self.outputs.find(key) {
            Some(Writable { sink, is_closed: false, .. }) => self.sink_awaits(sink).cloned(),
            _ => None,
        }
    }

    fn sink_awaits<'s>(&'s self, sink: &'s Sink) -> Option<&'s SharedFd> {
        match sink {
            Sink::Tcp(connection) => connection.output_awaits(),
            Sink::Stdout(ends) => self.ends[*ends].stdout.awaited(),
            Sink::Stderr(ends) => self.ends[*ends].stderr.awaited(),
            Sink::File(_) | Sink::Nowhere => None,
        }
    }

    /// Reads what there is; `None` if there is nothing yet.
    fn read(&mut self, rep: u32, len: u64) -> Result<Option<Vec<u8>>, Stop> {
        let stream = self.inputs.at_mut(rep)?;
        if stream.is_closed {
            return Err(Stop::Closed);
        }
        let limit = usize::try_from(len).unwrap_or(usize::MAX).min(MAX_READ);
        if limit == 0 {
            return Ok(Some(Vec::new()));
        }
        let read = match &mut stream.source {
            Source::Stdin(ends) => self.ends[*ends].stdin.read(limit),
            Source::Tcp(connection) => connection.read(limit),
            Source::File(file) => file.read(limit),
        };
        match read {
            Ok(Progress::Bytes(bytes)) => Ok(Some(bytes)),
            Ok(Progress::Pending) => Ok(None),
            Ok(Progress::End) => {
                stream.is_closed = true;
                Err(Stop::Closed)
            }
            Err(error) => {
                stream.is_closed = true;
                Err(Stop::Failed(error))
            }
        }
    }

    /// How many bytes may be written now.
    fn check_write(&mut self, rep: u32, may_block: bool) -> Result<u64, Stop> {
        let stream = self.outputs.get(rep)?;
        if stream.is_closed {
            return Err(Stop::Closed);
        }
        let permit = match &stream.sink {
            Sink::Tcp(connection) if connection.is_shut_to_send() => return Err(Stop::Closed),
            Sink::Tcp(connection) if !may_block => connection.permit().map_err(Stop::Failed)?,
            sink => match self.sink_awaits(sink) {
                Some(fd)
                    if !may_block && !is_ready(fd.as_fd(), Interest::Writable).map_err(Stop::Failed)? =>
                {
                    0
                }
                _ => WRITE_PERMIT,
            },
        };
        self.outputs.at_mut(rep)?.permit = permit;
        Ok(permit)
    }

    /// Takes from what `check-write` permitted.
    fn spend(&mut self, rep: u32, len: u64) -> Result<(), Stop> {
        let stream = self.outputs.at_mut(rep)?;
        if stream.is_closed {
            return Err(Stop::Closed);
        }
        let permit = stream.permit;
        stream.permit = permit.checked_sub(len).ok_or(Trap::Limit {
            limit: "wasi:io/streams: bytes of a write that `check-write` permitted",
            value: len,
            allowed: permit,
        })?;
        Ok(())
    }

    /// Writes some of `bytes`; how many, none if there is no room now.
    fn write(&mut self, rep: u32, bytes: &[u8]) -> Result<usize, Stop> {
        let stream = self.outputs.at_mut(rep)?;
        if stream.is_closed {
            return Err(Stop::Closed);
        }
        let written = match &mut stream.sink {
            Sink::Tcp(connection) => connection.write(bytes),
            Sink::Stdout(ends) => self.ends[*ends].stdout.write(bytes),
            Sink::Stderr(ends) => self.ends[*ends].stderr.write(bytes),
            Sink::File(file) => file.write(bytes).map(|()| bytes.len()),
            Sink::Nowhere => Ok(bytes.len()),
        };
        written.map_err(|error| {
            stream.is_closed = true;
            match (&stream.sink, error.kind()) {
                // One end of it is closed, here or there, and that is all that there is to say.
                (Sink::Tcp(_), io::ErrorKind::BrokenPipe) => Stop::Closed,
                _ => Stop::Failed(error),
            }
        })
    }

    /// Nothing is kept back here, so there is nothing to do but to say whether the stream works.
    fn flush(&mut self, rep: u32) -> Result<(), Stop> {
        match self.outputs.get(rep)? {
            Writable { is_closed: true, .. } => Err(Stop::Closed),
            Writable { sink: Sink::Tcp(connection), .. } if connection.is_shut_to_send() => Err(Stop::Closed),
            Writable { .. } => Ok(()),
        }
    }
}

/// Reads when there is something.
fn read_blocking(turn: &mut Turn<'_, Wasi>, rep: u32, len: u64) -> Result<Vec<u8>, Stop> {
    loop {
        let streams = &mut turn.state().streams;
        if let Some(bytes) = streams.read(rep, len)? {
            return Ok(bytes);
        }
        let fd = streams.input_awaits(streams.inputs.key(rep)?);
        wait(turn, fd, Interest::Readable)?;
    }
}

/// Writes all of `bytes`, as there is room.
fn write_all(turn: &mut Turn<'_, Wasi>, rep: u32, mut bytes: &[u8]) -> Result<(), Stop> {
    turn.state().streams.flush(rep)?;
    while !bytes.is_empty() {
        let streams = &mut turn.state().streams;
        match streams.write(rep, bytes)? {
            0 => {
                let fd = streams.output_awaits(streams.outputs.key(rep)?);
                wait(turn, fd, Interest::Writable)?;
            }
            written => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    Ok(())
}

fn wait(turn: &mut Turn<'_, Wasi>, fd: Option<SharedFd>, interest: Interest) -> Result<(), Stop> {
    let file = fd.as_ref().map(|fd| (fd.as_fd(), interest));
    // Without a file there is nothing to wait for; whoever tries again is told.
    Ok(turn.wait(file.as_slice(), file.is_none().then_some(0))?)
}

/// Writes what `check-write` permitted.
fn write_permitted(turn: &mut Turn<'_, Wasi>, rep: u32, bytes: &[u8]) -> Result<(), Stop> {
    turn.state().streams.spend(rep, bytes.len() as u64)?;
    write_all(turn, rep, bytes)
}

/// Writes what the blocking functions take.
fn write_blocking(turn: &mut Turn<'_, Wasi>, rep: u32, bytes: &[u8]) -> Result<(), Stop> {
    check_blocking(bytes.len() as u64)?;
    write_all(turn, rep, bytes)
}

fn splice(turn: &mut Turn<'_, Wasi>, to: u32, from: u32, len: u64, may_block: bool) -> Result<u64, Stop> {
    let permit = turn.state().streams.check_write(to, may_block)?;
    let len = len.min(permit);
    let bytes = match may_block {
        true => read_blocking(turn, from, len)?,
        false => turn.state().streams.read(from, len)?.unwrap_or_default(),
    };
    write_permitted(turn, to, &bytes)?;
    Ok(bytes.len() as u64)
}

fn check_blocking(len: u64) -> Result<(), Stop> {
    if len <= MAX_BLOCKING_WRITE {
        return Ok(());
    }
    let limit = "wasi:io/streams: bytes of a blocking write";
    Err(Stop::Trap(Trap::Limit { limit, value: len, allowed: MAX_BLOCKING_WRITE }))
}

/// Zeroes to write: no more than can be permitted.
fn zeroes(len: u64, allowed: u64) -> Result<Vec<u8>, Stop> {
    let limit = "wasi:io/streams: zeroes of one write";
    let count = usize::try_from(len).ok().filter(|_| len <= allowed);
    Ok(vec![0; count.ok_or(Trap::Limit { limit, value: len, allowed })?])
}

impl Wasi {
    /// Tells the guest how an operation ended.
    fn told<T>(&mut self, result: Result<T, Stop>) -> Result<Result<T, StreamError>, Trap> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Stop::Closed) => Ok(Err(StreamError::Closed)),
            Err(Stop::Failed(error)) => Ok(Err(StreamError::LastOperationFailed(self.fail(&error)?))),
            Err(Stop::Trap(trap)) => Err(trap),
        }
    }
}

/// A function's result within one that may trap.
type Told<T> = Result<Result<T, StreamError>, Trap>;

impl HostInputStream for Wasi {
    fn read(&mut self, this: Borrow<InputStream>, len: u64) -> Told<Vec<u8>> {
        let read = self.streams.read(this.rep, len);
        self.told(read.map(Option::unwrap_or_default))
    }

    fn blocking_read(turn: &mut Turn<'_, Wasi>, this: Borrow<InputStream>, len: u64) -> Told<Vec<u8>> {
        let read = read_blocking(turn, this.rep, len);
        turn.state().told(read)
    }

    fn skip(&mut self, this: Borrow<InputStream>, len: u64) -> Told<u64> {
        let read = self.streams.read(this.rep, len);
        self.told(read.map(|bytes| bytes.map_or(0, |bytes| bytes.len() as u64)))
    }

    fn blocking_skip(turn: &mut Turn<'_, Wasi>, this: Borrow<InputStream>, len: u64) -> Told<u64> {
        let read = read_blocking(turn, this.rep, len);
        turn.state().told(read.map(|bytes| bytes.len() as u64))
    }

    fn subscribe(&mut self, this: Borrow<InputStream>) -> Result<Own<Pollable>, Trap> {
        let key = self.streams.inputs.key(this.rep)?;
        self.pollables.insert(Subject::Input(key)).map(Own::new)
    }

    fn dropped(&mut self, this: Own<InputStream>) -> Result<(), Trap> {
        self.streams.inputs.remove(this.rep).map(drop)
    }
}

impl HostOutputStream for Wasi {
    fn check_write(&mut self, this: Borrow<OutputStream>) -> Told<u64> {
        let permit = self.streams.check_write(this.rep, false);
        self.told(permit)
    }

    fn write(turn: &mut Turn<'_, Wasi>, this: Borrow<OutputStream>, contents: Vec<u8>) -> Told<()> {
        let written = write_permitted(turn, this.rep, &contents);
        turn.state().told(written)
    }

    fn blocking_write_and_flush(
        turn: &mut Turn<'_, Wasi>,
        this: Borrow<OutputStream>,
        contents: Vec<u8>,
    ) -> Told<()> {
        let written = write_blocking(turn, this.rep, &contents);
        turn.state().told(written)
    }

    fn flush(&mut self, this: Borrow<OutputStream>) -> Told<()> {
        let flushed = self.streams.flush(this.rep);
        self.told(flushed)
    }

    fn blocking_flush(&mut self, this: Borrow<OutputStream>) -> Told<()> {
        let flushed = self.streams.flush(this.rep);
        self.told(flushed)
    }

    fn subscribe(&mut self, this: Borrow<OutputStream>) -> Result<Own<Pollable>, Trap> {
        let key = self.streams.outputs.key(this.rep)?;
        self.pollables.insert(Subject::Output(key)).map(Own::new)
    }

    fn write_zeroes(turn: &mut Turn<'_, Wasi>, this: Borrow<OutputStream>, len: u64) -> Told<()> {
        let bytes = zeroes(len, WRITE_PERMIT);
        let written = bytes.and_then(|bytes| write_permitted(turn, this.rep, &bytes));
        turn.state().told(written)
    }

    fn blocking_write_zeroes_and_flush(
        turn: &mut Turn<'_, Wasi>,
        this: Borrow<OutputStream>,
        len: u64,
    ) -> Told<()> {
        let bytes = zeroes(len, MAX_BLOCKING_WRITE);
        let written = bytes.and_then(|bytes| write_blocking(turn, this.rep, &bytes));
        turn.state().told(written)
    }

    fn splice(
        turn: &mut Turn<'_, Wasi>,
        this: Borrow<OutputStream>,
        src: Borrow<InputStream>,
        len: u64,
    ) -> Told<u64> {
        let spliced = splice(turn, this.rep, src.rep, len, false);
        turn.state().told(spliced)
    }

    fn blocking_splice(
        turn: &mut Turn<'_, Wasi>,
        this: Borrow<OutputStream>,
        src: Borrow<InputStream>,
        len: u64,
    ) -> Told<u64> {
        let spliced = splice(turn, this.rep, src.rep, len, true);
        turn.state().told(spliced)
    }

    fn dropped(&mut self, this: Own<OutputStream>) -> Result<(), Trap> {
        self.streams.outputs.remove(this.rep).map(drop)
    }
}

impl Host for Wasi {}
