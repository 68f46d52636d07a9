//! Imports: who provides each, over what, or why nobody does, and what would change that.

use bincode::{Decode, Encode};
use serde::Serialize;

/// An import of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct RouteRow {
    /// The name that the component imports it by.
    pub import: String,
    /// Whether calls of it can do what they are for.
    pub granted: bool,
    /// Who provides it: the path of a process, `server NAME`, or nobody.
    pub provider: Option<String>,
    /// What carries calls of it.
    pub rung: Option<String>,
    /// Why, in a few words.
    pub why: String,
    /// What would grant it, if it is not.
    pub advice: Option<String>,
}

/// The imports of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Routes {
    /// The process.
    pub path: String,
    /// Its imports, in order.
    pub imports: Vec<RouteRow>,
}
