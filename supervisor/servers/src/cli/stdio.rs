//! `wasi:cli/stdin`, `stdout` and `stderr`: each call gives one more stream to the same end.

use abi::fault::Trap;
use abi::typed::Own;

use crate::Wasi;
use crate::bindings::wasi::cli::{stderr, stdin, stdout};
use crate::io::streams::{Sink, Source};

impl stdin::Host for Wasi {
    fn stdin(&mut self) -> Result<Own<stdin::InputStream>, Trap> {
        let ends = self.granted();
        self.streams.add_input(Source::Stdin(ends))
    }
}

impl stdout::Host for Wasi {
    fn stdout(&mut self) -> Result<Own<stdout::OutputStream>, Trap> {
        let ends = self.granted();
        self.streams.add_output(Sink::Stdout(ends))
    }
}

impl stderr::Host for Wasi {
    fn stderr(&mut self) -> Result<Own<stderr::OutputStream>, Trap> {
        let ends = self.granted();
        self.streams.add_output(Sink::Stderr(ends))
    }
}
