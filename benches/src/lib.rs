//! Measurements beside a rival in the same process: nobody's morning load may decide who is faster.
//!
//! - [`ratio`]: alternating runs of two contenders, and the table of their ratios

pub mod ratio;
