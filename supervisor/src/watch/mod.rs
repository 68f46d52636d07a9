//! Commands for trees that run: each asks a supervisor over its control socket, and prints what it is told.
//!
//! What is printed comes from guests, in part: names lose whatever a terminal would obey.
//!
//! - [`watchargs`]: what can be asked for
//! - [`listing`]: `ps`; [`columns`]: tables as text
//! - [`inspecting`]: `inspect`, and `tree` of what runs
//! - [`dumping`]: `dump`; [`traced_lines`]: `trace`; [`wayfinding`]: `route`; [`top`]: the full screen
//! - [`steering`]: `kill`, `restart`, `down`; [`asking`]: `call`; [`printed`]: `logs`

pub mod asking;
pub mod columns;
pub mod dumping;
pub mod inspecting;
pub mod listing;
pub mod printed;
pub mod steering;
pub mod top;
pub mod traced_lines;
pub mod watchargs;
pub mod wayfinding;
