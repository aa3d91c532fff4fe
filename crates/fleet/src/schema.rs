//! The fleet file as a schema, from the same declaration that reads it.

use crate::file;
use crate::form::Form;
use serde_json::Value;

/// The fleet file as JSON schema (draft 2020-12), for editors and for other tools that write fleet files.
pub fn schema() -> Value {
    let mut schema = serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Evenkeel fleet file",
    });
    if let (Some(to), Value::Object(from)) = (schema.as_object_mut(), file::FILE.schema()) {
        to.extend(from);
    }
    schema
}
