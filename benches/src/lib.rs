//! Measurements beside a rival in the same process: nobody's morning load may decide who is faster.
//!
//! - [`kernels`]: programs that compute
//! - [`ratio`]: alternating runs of two contenders, and the table of their ratios
//! - [`contest`]: the same for calls, which are short, and for more than two

pub mod contest;
pub mod kernels;
pub mod ratio;
