//! The binary `atoll`; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A domain that runs in an OS process of its own runs in this program, started again.
    ipc::segment::far_side::serve_if_asked();
    atoll::console::main()
}
