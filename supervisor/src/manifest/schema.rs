//! The JSON schema of manifests, for editors: `atoll check --schema`.

use serde_json::{Value, json};

use super::described::Described;
use super::keys::ManifestKeys;

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let mut schema = ManifestKeys::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("atoll.toml");
    schema
}

/// The same as text.
#[must_use]
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).expect("a schema is plain data");
    text.push('\n');
    text
}
