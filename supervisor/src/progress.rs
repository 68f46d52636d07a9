//! A spinner for work that takes long: on standard error, on a terminal, and only after a while.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(400);
const FRAME: Duration = Duration::from_millis(90);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Work under way. Dropping it wipes the line.
pub struct Progress {
    running: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Says `what` is being done, if standard error is a terminal and it is not done soon.
    #[must_use]
    pub fn of(what: &str) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { running: None };
        }
        let (done, waiting) = channel::<()>();
        let what = what.to_string();
        let spin = move || {
            let start = Instant::now();
            let mut shown = false;
            let mut frames = FRAMES.iter().cycle();
            let mut wait = PATIENCE;
            while waiting.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let frame = frames.next().unwrap_or(&' ');
                let seconds = start.elapsed().as_secs_f32();
                // Nobody is told if a terminal cannot be written to: there is nowhere to say it.
                let _ = write!(std::io::stderr(), "\r\x1b[2K{frame} {what} {seconds:.1} s");
                (shown, wait) = (true, FRAME);
            }
            if shown {
                let _ = write!(std::io::stderr(), "\r\x1b[2K");
            }
        };
        let thread = std::thread::Builder::new().name("progress".to_string()).spawn(spin);
        Progress { running: thread.ok().map(|thread| (done, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.running.take() {
            drop(done);
            // A spinner that panicked has nothing that anybody waits for.
            let _ = thread.join();
        }
    }
}
