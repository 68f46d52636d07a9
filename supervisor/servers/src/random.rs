//! `wasi:random`: `random`, `insecure` and `insecure-seed`. Randomness is a parameter, so that a run can be replayed.

use std::io;

use abi::fault::Trap;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::Wasi;
use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::limits::MAX_RANDOM;
use crate::turn::Turn;

/// A source of random bytes.
pub trait Entropy: Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// The source gives no more.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The random numbers of the operating system, fit for keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Numbers that follow from a seed (SplitMix64); fit for replays and hash seeds, not for keys.
#[derive(Clone, Copy, Debug)]
pub struct SeededEntropy {
    state: u64,
}

impl SeededEntropy {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> SeededEntropy {
        SeededEntropy { state: seed }
    }

    /// A sequence that nobody chose.
    ///
    /// # Errors
    /// The operating system gives no seed.
    pub fn from_system() -> io::Result<SeededEntropy> {
        let mut seed = [0; 8];
        SystemEntropy.fill(&mut seed)?;
        Ok(SeededEntropy::new(u64::from_le_bytes(seed)))
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        for chunk in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
        Ok(())
    }
}

/// Bytes asked for between two checkpoints.
const PIECE: usize = 64 << 10;

fn bytes(
    turn: &mut Turn<'_, Wasi>,
    source: fn(&mut Wasi) -> &mut dyn Entropy,
    len: u64,
) -> Result<Vec<u8>, Trap> {
    let limit = "wasi:random: bytes of one call";
    let count = usize::try_from(len).ok().filter(|_| len <= MAX_RANDOM);
    let mut bytes = vec![0; count.ok_or(Trap::Limit { limit, value: len, allowed: MAX_RANDOM })?];
    for piece in bytes.chunks_mut(PIECE) {
        fill(source(turn.state()), piece)?;
        turn.checkpoint()?;
    }
    Ok(bytes)
}

fn number(source: &mut dyn Entropy) -> Result<u64, Trap> {
    let mut bytes = [0; 8];
    fill(source, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn fill(source: &mut dyn Entropy, bytes: &mut [u8]) -> Result<(), Trap> {
    source.fill(bytes).map_err(|error| Trap::Host(format!("wasi:random: no random bytes: {error}")))
}

const RANDOM: &str = "wasi:random/random";
const INSECURE: &str = "wasi:random/insecure";
const INSECURE_SEED: &str = "wasi:random/insecure-seed";

impl random::Host for Wasi {
    fn random_bytes(turn: &mut Turn<'_, Wasi>, len: u64) -> Result<Vec<u8>, Trap> {
        turn.state().check_random(RANDOM)?;
        bytes(turn, |wasi| &mut *wasi.random, len)
    }

    fn random_u64(&mut self) -> Result<u64, Trap> {
        self.check_random(RANDOM)?;
        number(&mut *self.random)
    }
}

impl insecure::Host for Wasi {
    fn insecure_random_bytes(turn: &mut Turn<'_, Wasi>, len: u64) -> Result<Vec<u8>, Trap> {
        turn.state().check_random(INSECURE)?;
        bytes(turn, |wasi| &mut *wasi.insecure, len)
    }

    fn insecure_random_u64(&mut self) -> Result<u64, Trap> {
        self.check_random(INSECURE)?;
        number(&mut *self.insecure)
    }
}

impl insecure_seed::Host for Wasi {
    fn insecure_seed(&mut self) -> Result<(u64, u64), Trap> {
        self.check_random(INSECURE_SEED)?;
        Ok((number(&mut *self.insecure)?, number(&mut *self.insecure)?))
    }
}
