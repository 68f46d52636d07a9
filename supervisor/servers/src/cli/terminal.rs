//! `wasi:cli/terminal-input`, `terminal-output`, `terminal-stdin`, `terminal-stdout` and `terminal-stderr`: whether a
//! person is at the other end.

use abi::fault::Trap;
use abi::typed::Own;

use crate::Wasi;
use crate::bindings::wasi::cli::terminal_input::{self, HostTerminalInput, TerminalInput};
use crate::bindings::wasi::cli::terminal_output::{self, HostTerminalOutput, TerminalOutput};
use crate::bindings::wasi::cli::{terminal_stderr, terminal_stdin, terminal_stdout};

/// Terminals have no functions, so all of them are this one.
const TERMINAL: u32 = 0;

impl HostTerminalInput for Wasi {
    fn dropped(&mut self, _: Own<TerminalInput>) -> Result<(), Trap> {
        Ok(())
    }
}

impl terminal_input::Host for Wasi {}

impl HostTerminalOutput for Wasi {
    fn dropped(&mut self, _: Own<TerminalOutput>) -> Result<(), Trap> {
        Ok(())
    }
}

impl terminal_output::Host for Wasi {}

impl terminal_stdin::Host for Wasi {
    fn terminal_stdin(&mut self) -> Result<Option<Own<TerminalInput>>, Trap> {
        Ok(self.streams.ends(self.granted()).stdin.is_terminal().then(|| Own::new(TERMINAL)))
    }
}

impl terminal_stdout::Host for Wasi {
    fn terminal_stdout(&mut self) -> Result<Option<Own<TerminalOutput>>, Trap> {
        Ok(self.streams.ends(self.granted()).stdout.is_terminal().then(|| Own::new(TERMINAL)))
    }
}

impl terminal_stderr::Host for Wasi {
    fn terminal_stderr(&mut self) -> Result<Option<Own<TerminalOutput>>, Trap> {
        Ok(self.streams.ends(self.granted()).stderr.is_terminal().then(|| Own::new(TERMINAL)))
    }
}
