//! Manifests: a tree of processes described in a file, `atoll.toml`.
//!
//! Reading one either gives all that is needed to launch it, or a complaint that points at the line and says what to write.
//! Nothing here runs anything.
//!
//! - [`keys`]: the format, declared once; [`said`]: its single values; [`described`], [`schema`]: the same for editors
//! - [`sheet`]: a manifest as text; [`entries`]: the processes it names; [`binaries`]: their components
//! - [`wiring`]: who serves whose imports; [`misfit`]: what does not fit
//! - [`regime`]: domains, edges, limits; [`granting`]: grants; [`supervision`]: supervisors; [`combining`]: keys that
//!   exclude each other
//! - [`loaded`]: all of it together; [`summary`]: as `atoll check` shows it

pub mod described;
pub mod entries;
pub mod granting;
#[cfg(test)]
mod granting_tests;
pub mod keys;
pub mod loaded;
pub mod said;
pub mod schema;
pub mod sheet;
pub mod summary;
pub mod wiring;

mod binaries;
#[cfg(test)]
mod cases;
pub mod combining;
mod misfit;
mod regime;
#[cfg(test)]
mod running_tests;
mod supervision;

pub use granting::Printed;
pub use loaded::{Loaded, Planned, Unserved};

use crate::args;
use crate::complaint::Complaint;
use crate::launch;
use crate::paint::Paint;

/// `atoll check`: what a manifest comes to, or what is wrong with it.
///
/// # Errors
/// Anything that is wrong with it.
pub fn check(args: &args::Check, paint: Paint) -> Result<String, Complaint> {
    if args.schema {
        return Ok(schema::text());
    }
    let loaded = Loaded::read(&args.file, &launch::engine()?)?;
    let summary = summary::Summary::of(&loaded);
    Ok(if args.json { summary.to_json() } else { summary.to_text(paint) })
}
