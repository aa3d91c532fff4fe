//! The published schema, and that it says what the reader does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::{read, reference, schema};
use regex_lite::Regex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const SOUND: &str = include_str!("files/sound.yaml");
const TWELVE: &str = include_str!("files/twelve_mistakes.yaml");

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn parse(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true, leading_zero_numbers_as_strings: true };
    serde_saphyr::from_str_with_options(text, options).unwrap()
}

/// As much of JSON schema as ours uses; an unknown keyword fails the test that meets it.
fn validate(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    let mut refuse = |why: &str| wrong.push(format!("{path}: {why}"));
    for (keyword, rule) in schema.as_object().unwrap() {
        match (keyword.as_str(), value) {
            ("$schema" | "title" | "description" | "default" | "examples", _) => {}
            ("additionalProperties" | "patternProperties", _) => {}
            ("type", _) => {
                if !is_type(rule.as_str().unwrap(), value) {
                    refuse("type");
                }
            }
            ("enum", _) => {
                if !rule.as_array().unwrap().contains(value) {
                    refuse("enum");
                }
            }
            ("const", _) => {
                if rule != value {
                    refuse("const");
                }
            }
            ("pattern", Value::String(text)) => {
                if !Regex::new(rule.as_str().unwrap()).unwrap().is_match(text) {
                    refuse("pattern");
                }
            }
            ("minimum", Value::Number(number)) => {
                if number.as_f64() < rule.as_f64() {
                    refuse("minimum");
                }
            }
            ("exclusiveMinimum", Value::Number(number)) => {
                if number.as_f64() <= rule.as_f64() {
                    refuse("exclusiveMinimum");
                }
            }
            ("maximum", Value::Number(number)) => {
                if number.as_f64() > rule.as_f64() {
                    refuse("maximum");
                }
            }
            ("minItems", Value::Array(items)) => {
                if (items.len() as u64) < rule.as_u64().unwrap() {
                    refuse("minItems");
                }
            }
            ("minProperties", Value::Object(map)) => {
                if (map.len() as u64) < rule.as_u64().unwrap() {
                    refuse("minProperties");
                }
            }
            ("maxProperties", Value::Object(map)) => {
                if (map.len() as u64) > rule.as_u64().unwrap() {
                    refuse("maxProperties");
                }
            }
            ("required", Value::Object(map)) => {
                for key in rule.as_array().unwrap() {
                    if !map.contains_key(key.as_str().unwrap()) {
                        refuse(&format!("required {key}"));
                    }
                }
            }
            ("items" | "properties" | "anyOf", _) => {}
            ("pattern" | "minimum" | "exclusiveMinimum" | "maximum" | "minItems", _) => {}
            ("minProperties" | "maxProperties" | "required", _) => {}
            (unknown, _) => panic!("the validator does not know {unknown}"),
        }
    }
    inside(schema, value, path, wrong);
}

fn inside(schema: &Value, value: &Value, path: &str, wrong: &mut Vec<String>) {
    if let Some(choices) = schema.get("anyOf") {
        let fits = |choice: &&Value| {
            let mut wrong = Vec::new();
            validate(choice, value, path, &mut wrong);
            wrong.is_empty()
        };
        if !choices.as_array().unwrap().iter().any(|choice| fits(&choice)) {
            wrong.push(format!("{path}: anyOf"));
            // What is wrong with the choice that is meant, judged by its type.
            let meant = |choice: &&Value| choice.get("type").is_some_and(|name| is_type(name.as_str().unwrap(), value));
            choices.as_array().unwrap().iter().filter(meant).for_each(|choice| validate(choice, value, path, wrong));
        }
    }
    if let (Some(items), Value::Array(list)) = (schema.get("items"), value) {
        for (index, item) in list.iter().enumerate() {
            validate(items, item, &format!("{path}/{index}"), wrong);
        }
    }
    let Value::Object(map) = value else { return };
    for (key, value) in map {
        match property(schema, key) {
            Some(schema) => validate(schema, value, &format!("{path}/{key}"), wrong),
            None if schema.get("type").is_some() => wrong.push(format!("{path}: unknown {key}")),
            None => {}
        }
    }
}

fn property<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    schema.get("properties").and_then(|properties| properties.get(key)).or_else(|| {
        let (pattern, schema) = schema.get("patternProperties")?.as_object()?.iter().next()?;
        Regex::new(pattern).unwrap().is_match(key).then_some(schema)
    })
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("{other}"),
    }
}

fn wrongs(value: &Value) -> Vec<String> {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema);
    let mut wrong = Vec::new();
    validate(&SCHEMA, value, "", &mut wrong);
    wrong
}

/// The reader's verdict on the same value: JSON is YAML.
fn reader_accepts(value: &Value) -> bool {
    read(&value.to_string(), "x").is_ok()
}

#[test]
fn the_published_schema_is_the_generated_one() {
    let path = project("docs/fleet.schema.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("EVENKEEL_BLESS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let published: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(published, schema(), "write it anew: EVENKEEL_BLESS=1 cargo test -p evenkeel-fleet --test schema");
}

#[test]
fn the_published_reference_is_the_generated_one() {
    let path = project("docs/fleet-reference.md");
    if std::env::var_os("EVENKEEL_BLESS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap();
    assert_eq!(published, reference(), "write it anew: EVENKEEL_BLESS=1 cargo test -p evenkeel-fleet --test schema");
}

#[test]
fn the_schema_accepts_the_examples_and_refuses_the_twelve_mistakes() {
    for name in ["examples/game.yaml", "examples/demo.yaml"] {
        assert_eq!(wrongs(&parse(&std::fs::read_to_string(project(name)).unwrap())), Vec::<String>::new(), "{name}");
    }
    assert_eq!(wrongs(&parse(SOUND)), Vec::<String>::new());
    let wrong = wrongs(&parse(TWELVE));
    for expected in ["/tick: type", "/tiers/gold: unknown replica_count", "/tiers/gold: required \"start_up\""] {
        assert!(wrong.iter().any(|wrong| wrong == expected), "{expected} is not among {wrong:#?}");
    }
}

/// Every map in `value` with its path.
fn maps(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.push(path.to_owned());
            map.iter().for_each(|(key, value)| maps(value, &format!("{path}/{key}"), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| maps(item, &format!("{path}/{index}"), found));
        }
        _ => {}
    }
}

#[test]
fn an_unknown_key_anywhere_is_refused_by_both() {
    let sound = parse(SOUND);
    let mut paths = Vec::new();
    maps(&sound, "", &mut paths);
    assert!(paths.len() > 40);
    for path in paths {
        let mut broken = sound.clone();
        broken.pointer_mut(&path).unwrap()["zzz"] = json!(1);
        assert!(!wrongs(&broken).is_empty(), "the schema takes an unknown key in {path}");
        assert!(!reader_accepts(&broken), "the reader takes an unknown key in {path}");
    }
}

#[test]
fn a_key_that_one_misses_the_other_misses_too() {
    let sound = parse(SOUND);
    let mut paths = Vec::new();
    maps(&sound, "", &mut paths);
    let mut required = 0;
    for path in paths {
        let keys: Vec<String> = sound.pointer(&path).unwrap().as_object().unwrap().keys().cloned().collect();
        for key in keys {
            let mut broken = sound.clone();
            broken.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(&key);
            let by_schema = wrongs(&broken).iter().any(|wrong| *wrong == format!("{path}: required \"{key}\""));
            let problems =
                read(&broken.to_string(), "x").map_or_else(|problems| problems.list().to_vec(), |_| Vec::new());
            let message = format!("`{key}` is missing");
            let by_reader = problems.iter().any(|problem| problem.message == message);
            assert_eq!(by_schema, by_reader, "{path}/{key}");
            required += usize::from(by_schema);
        }
    }
    assert!(required > 40, "{required}");
}

#[test]
fn what_the_schema_refuses_as_a_value_the_reader_refuses_too() {
    let sound = parse(SOUND);
    let mut leaves = Vec::new();
    leaf_paths(&sound, "", &mut leaves);
    assert!(leaves.len() > 90);
    for path in leaves {
        for value in [json!(null), json!(true), json!(-1), json!(2.5), json!("?!"), json!([]), json!({})] {
            let mut broken = sound.clone();
            *broken.pointer_mut(&path).unwrap() = value.clone();
            if !wrongs(&broken).is_empty() {
                assert!(!reader_accepts(&broken), "{path} = {value}: refused by the schema, taken by the reader");
            }
        }
    }
}

fn leaf_paths(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaf_paths(value, &format!("{path}/{key}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| leaf_paths(item, &format!("{path}/{index}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Every key that the schema knows, by its path without indices and names.
fn schema_keys(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (key, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}/{key}");
        schema_keys(schema, &path, found);
        found.insert(path);
    }
    for (_, schema) in schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
        schema_keys(schema, &format!("{path}/*"), found);
    }
    for schema in schema.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        schema_keys(schema, path, found);
    }
    if let Some(schema) = schema.get("items") {
        schema_keys(schema, path, found);
    }
}

/// The keys of a file in the same form.
fn file_keys(schema: &Value, value: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        choices.iter().for_each(|choice| file_keys(choice, value, path, found));
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let named = schema.get("patternProperties").is_some();
                let path = if named { format!("{path}/*") } else { format!("{path}/{key}") };
                if !named {
                    found.insert(path.clone());
                }
                if let Some(schema) = property(schema, key) {
                    file_keys(schema, value, &path, found);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            items.iter().for_each(|item| file_keys(schema, item, path, found));
        }
        _ => {}
    }
}

#[test]
fn the_sound_file_shows_every_key_of_the_schema() {
    let mut known = BTreeSet::new();
    schema_keys(&schema(), "", &mut known);
    let mut shown = BTreeSet::new();
    for text in [
        SOUND.to_owned(),
        SOUND.replace(
            "players: {http: {url: \"http://127.0.0.1:9000/players\", pointer: /online}}",
            "players: {push: {}}",
        ),
        SOUND.replace(
            "players: {http: {url: \"http://127.0.0.1:9000/players\", pointer: /online}}",
            "players: {file: {path: online.json, pointer: /online}}",
        ),
    ] {
        assert!(read(&text, "x").is_ok());
        file_keys(&schema(), &parse(&text), "", &mut shown);
    }
    // One metric stands for all: objectives and criteria take the same five.
    let metric =
        |path: &String| ["ttft", "tpot", "itl", "e2e", "queue_time"].iter().any(|metric| path.ends_with(metric));
    let missing: Vec<_> = known.difference(&shown).filter(|path| !metric(path)).collect();
    assert!(missing.is_empty(), "keys that no test file shows: {missing:#?}");
    assert!(known.len() > 100, "{}", known.len());
}
