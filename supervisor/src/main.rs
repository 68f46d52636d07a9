//! The binary `atoll`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    atoll::console::main()
}
