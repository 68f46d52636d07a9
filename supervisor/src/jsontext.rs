//! Data as JSON: what `--json` prints everywhere.

use serde::Serialize;

/// Indented, with a newline at the end.
#[must_use]
pub fn json<T: Serialize + ?Sized>(data: &T) -> String {
    serde_json::to_string_pretty(data).expect("strings and numbers always have a JSON form") + "\n"
}
