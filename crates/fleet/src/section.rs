//! A map while its keys are asked for. Asking for a key declares it: over a file it reads the value, over nothing it
//! writes the schema.

use crate::form::{Form, described, map_entries};
use crate::later;
use crate::place::Place;
use crate::report::{Report, child};
use crate::secret::is_secret_key;
use crate::suggest;
use crate::yaml::{Entry, Kind, Node};
use serde_json::{Map, Value, json};

/// A map with known keys, read by a function that declares them.
pub(crate) struct Object<T>(pub(crate) fn(&mut Section<'_>) -> Option<T>);

impl<T> Form for Object<T> {
    type Value = T;

    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<T> {
        let entries = map_entries(node, path, report)?;
        let mut section = Section::of_file(entries, path, report);
        let value = (self.0)(&mut section);
        section.refuse_unknown();
        value
    }

    fn schema(&self) -> Value {
        let mut section = Section::of_schema();
        // Every key is declared on any way through the function, so this run over nothing sees them all.
        let _ = (self.0)(&mut section);
        section.into_schema()
    }
}

/// A map of the file, or the schema of one.
pub(crate) struct Section<'a> {
    known: Vec<&'static str>,
    source: Source<'a>,
}

enum Source<'a> {
    File { entries: &'a [Entry], path: &'a str, report: &'a mut Report },
    Schema { properties: Map<String, Value>, required: Vec<&'static str> },
}

impl<'a> Section<'a> {
    pub(crate) fn of_file(entries: &'a [Entry], path: &'a str, report: &'a mut Report) -> Self {
        Self { known: Vec::new(), source: Source::File { entries, path, report } }
    }

    pub(crate) fn of_schema() -> Self {
        Self { known: Vec::new(), source: Source::Schema { properties: Map::new(), required: Vec::new() } }
    }

    /// A key that must be there.
    pub(crate) fn required<F: Form>(&mut self, key: &'static str, about: &'static str, form: F) -> Option<F::Value> {
        if let Source::Schema { required, .. } = &mut self.source {
            required.push(key);
        }
        if self.is_absent(key)
            && let Source::File { path, report, .. } = &mut self.source
        {
            let help = format!("add `{key}:`, {}", first_sentence(about));
            report.problem_at_key(path, format!("`{key}` is missing"), help);
        }
        self.ask(key, about, &form, None)
    }

    /// A key that may be left out.
    pub(crate) fn optional<F: Form>(&mut self, key: &'static str, about: &'static str, form: F) -> Option<F::Value> {
        self.ask(key, about, &form, None)
    }

    /// A key with a default in the file's own spelling.
    pub(crate) fn or<F: Form>(
        &mut self,
        key: &'static str,
        about: &'static str,
        form: F,
        default: &'static str,
    ) -> Option<F::Value> {
        self.ask(key, about, &form, Some(Node::unplaced(default)))
    }

    /// A map that is read even if it is left out, so that its own keys' defaults hold.
    pub(crate) fn or_empty<F: Form>(&mut self, key: &'static str, about: &'static str, form: F) -> Option<F::Value> {
        let empty = Node { place: Place::START, kind: Kind::Map(Vec::new()) };
        self.ask(key, about, &form, Some(empty))
    }

    /// Runs a rule that needs the report and the section's path; it is not run for the schema.
    pub(crate) fn check(&mut self, rule: impl FnOnce(&mut Report, &str)) {
        if let Source::File { path, report, .. } = &mut self.source {
            rule(report, path);
        }
    }

    /// Whether the file leaves `key` out.
    pub(crate) fn is_absent(&self, key: &str) -> bool {
        match &self.source {
            Source::File { entries, .. } => !entries.iter().any(|entry| entry.key == key),
            Source::Schema { .. } => false,
        }
    }

    /// The section's own path.
    pub(crate) fn path(&self) -> String {
        match &self.source {
            Source::File { path, .. } => (*path).to_owned(),
            Source::Schema { .. } => String::new(),
        }
    }

    fn ask<F: Form>(
        &mut self,
        key: &'static str,
        about: &'static str,
        form: &F,
        default: Option<Node>,
    ) -> Option<F::Value> {
        self.known.push(key);
        match &mut self.source {
            Source::File { entries, path, report } => {
                let written = entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
                let node = written.or(default.as_ref())?;
                form.read(node, &child(path, key), report)
            }
            Source::Schema { properties, .. } => {
                let mut schema = described(form.schema(), about);
                if let Some(default) = default.and_then(|node| default_value(&node.kind)) {
                    schema["default"] = default;
                }
                properties.insert(key.to_owned(), schema);
                None
            }
        }
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn refuse_unknown(self) {
        let Source::File { entries, path, report } = self.source else { return };
        for entry in entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let path = child(path, &entry.key);
            let (message, help) = match later::not_yet(&entry.key) {
                Some(fix) => (format!("`{}` is not available yet", entry.key), fix.to_owned()),
                None => (format!("`{}` is not a key here", entry.key), suggest::instead(&entry.key, &self.known)),
            };
            if is_secret_key(&entry.key) {
                report.hide(entry.value.place);
            }
            report.problem_at(entry.place, &path, message, help);
        }
    }

    pub(crate) fn into_schema(self) -> Value {
        match self.source {
            Source::Schema { properties, required } => json!({
                "type": "object",
                "additionalProperties": false,
                "required": required,
                "properties": properties,
            }),
            Source::File { .. } => Value::Null,
        }
    }
}

/// A default as JSON; maps show their own keys' defaults instead.
fn default_value(kind: &Kind) -> Option<Value> {
    match kind {
        Kind::Flag(flag) => Some(json!(flag)),
        Kind::Number(number) => serde_json::from_str(number).ok(),
        Kind::Text(text) => Some(json!(text)),
        Kind::Empty | Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
    }
}

/// What a key is about, to go on within a sentence.
fn first_sentence(about: &str) -> String {
    let text = about.split(". ").next().unwrap_or(about).trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
