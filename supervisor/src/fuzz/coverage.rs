//! What has been reached so far: each edge with how often in one sequence, in steps that double.

use kernel::jit::watch::Board;

/// Steps of counting: 1 to 8 each, then 16 … 255.
const STEPS: u32 = 16;

/// What sequences have reached.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// For each edge a bit for each step of counting.
    seen: Vec<u16>,
    edges: usize,
}

/// What one sequence reached that none had before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gain {
    /// How many edges are new.
    pub edges: usize,
    /// What is new: edges, each with a step of counting.
    pub counts: Vec<(u32, u32)>,
    /// How much is new in the other component, if there is one.
    pub others: usize,
}

impl Gain {
    /// Whether anything is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.others == 0
    }

    /// Whether what the board has noted since the last time has all of it too.
    #[must_use]
    pub fn is_in(&self, board: &Board) -> bool {
        let mut missing = self.counts.len();
        // Both are in the order of the edges.
        let mut wanted = self.counts.iter().peekable();
        board.take_edges(|edge, count| {
            while wanted.next_if(|(other, _)| *other < edge).is_some() {}
            if wanted.next_if(|other| **other == (edge, step(count))).is_some() {
                missing -= 1;
            }
        });
        missing == 0
    }
}

impl Coverage {
    /// Adds what the board has noted since the last time.
    pub fn take(&mut self, board: &Board) -> Gain {
        let known = self.seen.len().max(board.edges().next_multiple_of(8) as usize);
        self.seen.resize(known, 0);
        let mut gain = Gain::default();
        board.take_edges(|edge, count| {
            let seen = &mut self.seen[edge as usize];
            let step = step(count);
            if *seen & 1 << step == 0 {
                gain.edges += usize::from(*seen == 0);
                gain.counts.push((edge, step));
                *seen |= 1 << step;
            }
        });
        self.edges += gain.edges;
        gain
    }

    /// Edges that were taken at all.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.edges
    }
}

fn step(count: u8) -> u32 {
    let step = match count {
        0..=8 => u32::from(count).saturating_sub(1),
        9..=11 => 8,
        12..=15 => 9,
        16..=23 => 10,
        24..=31 => 11,
        32..=63 => 12,
        64..=127 => 13,
        128..=254 => 14,
        255 => 15,
    };
    debug_assert!(step < STEPS);
    step
}
