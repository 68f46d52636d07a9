//! `atoll top`: every tree of this user on one screen, as it changes.
//!
//! What is shown is a function of what was sampled and of the keys that were pressed; only [`screen`] has a terminal, and only
//! [`sampler`] asks supervisors.
//!
//! - [`moment`]: the trees at one moment, and what happens a second between two of them
//! - [`outline`]: which rows there are: folded, sorted
//! - [`view`]: where the person looks, and what keys do
//! - [`canvas`]: one screen of it
//! - [`sampler`]: a thread that asks; [`screen`]: the terminal

mod canvas;
mod moment;
mod outline;
mod sampler;
mod screen;
mod view;

pub use self::screen::top;
