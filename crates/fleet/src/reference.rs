//! The fleet file explained key by key, as Markdown, from the schema.

use crate::schema::schema;
use serde_json::{Map, Value};

const INTRODUCTION: &str = "\
# The fleet file, key by key

Generated from the schema (`docs/fleet.schema.json`), which comes from the reader itself: what stands here is what
`evenkeel check` accepts. Values carry their unit: `16ms`, `99%`, `$1.006/hour`, `8MiB`, `3.4/min`. A whole file is
`examples/game.yaml`.
";

/// Markdown with a table for each map of the file.
pub fn reference() -> String {
    let mut out = INTRODUCTION.to_owned();
    write_map(&schema(), "", &mut out);
    out
}

/// The table of a map, then those of the maps inside it.
fn write_map(schema: &Value, path: &str, out: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|map| !map.is_empty()) else {
        return;
    };
    let title = if path.is_empty() { "The file".to_owned() } else { format!("`{path}`") };
    out.push_str(&format!("\n## {title}\n\n"));
    if is_choice(schema) {
        out.push_str("Exactly one of these keys.\n\n");
    }
    out.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    let keys = sorted(properties);
    for (key, inner) in &keys {
        let about = inner.get("description").and_then(Value::as_str).unwrap_or_default();
        out.push_str(&format!("| `{key}` | {} | {} | {about} |\n", shape(inner), default(schema, key, inner)));
    }
    for (key, inner) in keys {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        write_inside(inner, &path, out);
    }
}

/// Steps through names, lists and alternatives to the next map.
fn write_inside(schema: &Value, path: &str, out: &mut String) {
    if let Some(items) = schema.get("items") {
        return write_inside(items, &format!("{path}[]"), out);
    }
    if let Some(named) = named(schema) {
        return write_inside(named, &format!("{path}.NAME"), out);
    }
    for choice in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        write_inside(choice, path, out);
    }
    write_map(schema, path, out);
}

/// By name, whatever order the JSON library keeps.
fn sorted(properties: &Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut keys: Vec<_> = properties.iter().map(|(key, schema)| (key.as_str(), schema)).collect();
    keys.sort_by_key(|(key, _)| *key);
    keys
}

fn is_choice(schema: &Value) -> bool {
    schema.get("maxProperties").is_some_and(|most| most == 1)
}

/// What stands at each name of a map whose names the user chooses.
fn named(schema: &Value) -> Option<&Value> {
    schema.get("patternProperties")?.as_object()?.values().next()
}

/// How a value looks: its words, an example, or its kind.
fn shape(schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return format!("`{word}`");
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        return choices.iter().map(shape).collect::<Vec<_>>().join(" or ");
    }
    let title = schema.get("title").and_then(Value::as_str).unwrap_or("a value");
    if let Some(example) = schema.get("examples").and_then(|examples| examples.get(0)).and_then(Value::as_str) {
        return format!("{title}, `{example}`");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => format!("a list, each {}", schema.get("items").map_or_else(String::new, shape)),
        Some("object") => match named(schema) {
            Some(inner) => format!("for each of its keys, {title}, {}", shape(inner)),
            None => "a map".to_owned(),
        },
        Some("integer") => "a whole number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        _ => "a number".to_owned(),
    }
}

fn default(map: &Value, key: &str, schema: &Value) -> String {
    let required =
        map.get("required").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|name| name == key));
    match schema.get("default") {
        Some(Value::String(text)) => format!("`{text}`"),
        Some(other) => format!("`{other}`"),
        None if required => "required".to_owned(),
        None => "optional".to_owned(),
    }
}
