//! What an editor is told of the format: a JSON schema, out of the declaration that the parser is made of.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use toml::Spanned;

/// A part of the format that can say what may be written for it.
pub trait Described {
    /// Its JSON schema.
    fn schema() -> Value;
}

/// The schema of a table: what it is, its keys with their docs and schemas, and those that must be there.
#[must_use]
pub fn table(about: &str, keys: &[(&str, &str, Value)], required: &[&str]) -> Value {
    let mut properties = Map::new();
    for (key, doc, schema) in keys {
        let mut schema = schema.clone();
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), json!(doc.trim()));
        }
        properties.insert(kebab(key), schema);
    }
    let mut schema = json!({
        "description": about.trim(),
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required.iter().map(|key| kebab(key)).collect::<Vec<_>>());
    }
    schema
}

/// A field's name as it is written in a manifest.
#[must_use]
pub fn kebab(field: &str) -> String {
    field.replace('_', "-")
}

impl<T: Described> Described for Option<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Described> Described for Spanned<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }
}

impl<K, T: Described> Described for BTreeMap<K, T> {
    fn schema() -> Value {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }
}

impl Described for String {
    fn schema() -> Value {
        json!({ "type": "string" })
    }
}

impl Described for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}
