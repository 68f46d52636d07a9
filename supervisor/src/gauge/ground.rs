//! The floors: what this machine takes for what a rung does, with nobody kept from anybody.

use std::hint::black_box;
use std::io;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};
use kernel::floor::pingpong::PingPong;
use kernel::floor::switching::Switching;

use super::course::Rung;
use super::load::{Load, MOST_BYTES};
use super::readings::Readings;
use crate::complaint::Complaint;
use crate::exit_code::Exit;

/// A guest's memory begins at a page.
const PAGE: usize = 4096;

/// One kind of floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// A call of a native function through a pointer.
    Pointer,
    /// One copy.
    Copy,
    /// To another stack and back.
    Switches,
    /// To another thread and back.
    Threads,
    /// To another process and back.
    Processes,
}

impl Floor {
    /// That of a rung for a load.
    #[must_use]
    pub fn of(rung: Rung, load: &Load) -> Floor {
        match rung {
            Rung::Fused if load.bytes == 0 => Floor::Pointer,
            Rung::Fused => Floor::Copy,
            Rung::Handoff => Floor::Switches,
            Rung::Channel => Floor::Threads,
            Rung::Process => Floor::Processes,
        }
    }

    /// What it is, for a load of so many bytes.
    #[must_use]
    pub fn name(self, bytes: u32) -> String {
        let name = match self {
            Floor::Pointer => "native call",
            Floor::Copy => return "memcpy".to_owned(),
            Floor::Switches => "two switches",
            Floor::Threads => "crossbeam ping-pong",
            Floor::Processes => "futex ping-pong",
        };
        match bytes {
            0 => name.to_owned(),
            _ => format!("{name} + memcpy"),
        }
    }
}

/// What the floors stand on.
pub struct Ground {
    here: Buffers,
    switching: Switching,
    echo: Option<Echo>,
    peer: Option<Peer>,
}

impl Ground {
    /// Nothing that takes a thread or a process is there before it is asked for.
    #[must_use]
    pub fn new() -> Ground {
        Ground { here: Buffers::new(), switching: Switching::new(), echo: None, peer: None }
    }

    /// Does a floor's work.
    ///
    /// # Errors
    /// There is no thread or no process to do it with.
    pub fn measure(
        &mut self,
        floor: Floor,
        bytes: u32,
        samples: u32,
        batch: u32,
    ) -> Result<Readings, Complaint> {
        let length = bytes as usize;
        let Ground { here, switching, echo, peer } = self;
        match floor {
            Floor::Pointer => Ok(timed(samples, batch, call_native)),
            Floor::Copy => Ok(timed(samples, batch, |count| (0..count).for_each(|_| here.copy(length)))),
            Floor::Switches => Ok(timed(samples, batch, |count| {
                (0..count).for_each(|_| {
                    switching.round_trip();
                    here.copy(length);
                });
            })),
            Floor::Threads => {
                let echo = match echo {
                    Some(echo) => echo,
                    None => echo.insert(Echo::start().map_err(unavailable)?),
                };
                tried(samples, batch, || echo.round_trip(length))
            }
            Floor::Processes => {
                let peer = match peer {
                    Some(peer) => peer,
                    None => peer.insert(Peer::start().map_err(unavailable)?),
                };
                tried(samples, batch, || peer.ball.round_trip(&here.source()[..length]))
            }
        }
    }
}

impl Default for Ground {
    fn default() -> Ground {
        Ground::new()
    }
}

fn unavailable(error: io::Error) -> Complaint {
    Complaint::new(Exit::Failed, "a floor cannot be measured").because(error)
}

fn timed(samples: u32, batch: u32, mut work: impl FnMut(u32)) -> Readings {
    let mut readings = Readings::new(batch);
    for _ in 0..samples {
        let start = Instant::now();
        work(batch);
        readings.note(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    readings
}

fn tried(samples: u32, batch: u32, mut once: impl FnMut() -> io::Result<()>) -> Result<Readings, Complaint> {
    let mut failed = Ok(());
    let readings = timed(samples, batch, |count| {
        for _ in 0..count {
            if failed.is_ok() {
                failed = once();
            }
        }
    });
    failed.map(|()| readings).map_err(unavailable)
}

fn call_native(count: u32) {
    extern "C" fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }
    let add: extern "C" fn(u32, u32) -> u32 = black_box(add);
    black_box((0..count).fold(0, |sum, next| add(sum, next)));
}

/// Bytes to copy, and a place for them.
struct Buffers {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Buffers {
    fn new() -> Buffers {
        let length = MOST_BYTES as usize + PAGE;
        Buffers { from: vec![1; length], to: vec![2; length] }
    }

    fn source(&self) -> &[u8] {
        &self.from[self.from.as_ptr().align_offset(PAGE)..]
    }

    fn copy(&mut self, length: usize) {
        if length > 0 {
            let start = self.to.as_ptr().align_offset(PAGE);
            let target = &mut self.to[start..start + length];
            let source = self.from.as_ptr().align_offset(PAGE);
            black_box(target).copy_from_slice(black_box(&self.from[source..source + length]));
        }
    }
}

/// A thread that copies what it is told to and says so.
struct Echo {
    ping: Sender<usize>,
    pong: Receiver<()>,
}

impl Echo {
    fn start() -> io::Result<Echo> {
        let (ping, asked) = bounded::<usize>(1);
        let (answer, pong) = bounded(1);
        let serve = move || {
            let mut buffers = Buffers::new();
            while let Ok(length) = asked.recv() {
                buffers.copy(length);
                if answer.send(()).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("atoll-echo".to_owned()).spawn(serve)?;
        Ok(Echo { ping, pong })
    }

    fn round_trip(&self, length: usize) -> io::Result<()> {
        self.ping.send(length).map_err(io::Error::other)?;
        self.pong.recv().map_err(io::Error::other)
    }
}

/// A process that takes what it is given.
struct Peer {
    ball: PingPong,
    child: Child,
}

impl Peer {
    /// Starts this program again, which calls [`serve_as_peer`].
    fn start() -> io::Result<Peer> {
        let ball = PingPong::create(MOST_BYTES as usize)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench", "peer"]).stdin(ball.file().try_clone_to_owned()?);
        let child = command.stdout(Stdio::null()).spawn()?;
        Ok(Peer { ball, child })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.ball.end();
        // It ends by itself; one that does not is nobody's any more.
        let _ = self.child.wait();
    }
}

/// The other process of [`Floor::Processes`]: serves until it is told to end.
///
/// # Errors
/// Standard input is not such memory, or the first process has gone.
pub fn serve_as_peer() -> Result<Exit, Complaint> {
    let served = io::stdin().as_fd().try_clone_to_owned().and_then(PingPong::open).and_then(|mut ball| {
        let mut place = vec![0; ball.capacity()];
        ball.serve(&mut place)
    });
    let wrong = "`atoll bench peer` is a part of `atoll bench ipc`, and nothing to be run";
    served.map(|()| Exit::Success).map_err(|error| Complaint::new(Exit::Usage, wrong).because(error))
}

#[cfg(test)]
mod tests {
    use super::{Floor, Ground};

    #[test]
    fn floors_take_time() {
        let mut ground = Ground::new();
        for floor in [Floor::Pointer, Floor::Copy, Floor::Switches, Floor::Threads] {
            let readings = ground.measure(floor, 4096, 20, 10).expect("no more than threads");
            assert_eq!(readings.samples(), 20);
            assert!(readings.median_ns() > 0.0, "{floor:?}");
        }
    }
}
