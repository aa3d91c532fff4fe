//! What may stand at a key: one declaration that both reads a value and describes it as JSON schema, so that the two
//! cannot drift apart.

use crate::later;
use crate::report::{Report, child, item};
use crate::suggest;
use crate::yaml::{Entry, Kind, Node};
use serde_json::{Value, json};

/// A shape of value.
pub(crate) trait Form {
    /// What reading gives.
    type Value;

    /// Reads the value at `path`. `None` when something is wrong, which is in the report then.
    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<Self::Value>;

    /// The same as JSON schema.
    fn schema(&self) -> Value;
}

/// A single value: a number, a word, a length of time.
pub(crate) trait Leaf {
    /// What reading gives.
    type Value;

    /// Understands a value, or tells what is wrong with it.
    fn parse(&self, kind: &Kind) -> Result<Self::Value, Wrong>;

    /// The value in its canonical spelling.
    fn show(&self, value: &Self::Value) -> String;

    /// The value as JSON schema.
    fn describe(&self) -> Value;
}

/// What is wrong with a value, and its fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) help: String,
    /// The value may be a secret: it is not shown.
    pub(crate) secret: bool,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), secret: false }
    }

    /// The same about a value that is not to be shown, if it is `secret`; the message must not hold it either.
    pub(crate) fn hiding(self, secret: bool) -> Self {
        Self { secret, ..self }
    }
}

impl<L: Leaf> Form for L {
    type Value = L::Value;

    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<L::Value> {
        if node.kind == Kind::Refused {
            return None;
        }
        match self.parse(&node.kind) {
            Ok(value) => {
                report.note_setting(path, self.show(&value));
                Some(value)
            }
            Err(wrong) => {
                if wrong.secret {
                    report.hide(node.place);
                }
                report.problem_at(node.place, path, wrong.message, wrong.help);
                None
            }
        }
    }

    fn schema(&self) -> Value {
        self.describe()
    }
}

/// The entries of a map, each noted with its place; a key written twice is reported.
pub(crate) fn map_entries<'a>(node: &'a Node, path: &str, report: &mut Report) -> Option<&'a [Entry]> {
    let entries = match &node.kind {
        Kind::Map(entries) => entries,
        Kind::Refused => return None,
        other => {
            let message = format!("a map of keys belongs here, not {}", other.as_written());
            report.problem_at(node.place, path, message, map_help(other));
            return None;
        }
    };
    for (index, entry) in entries.iter().enumerate() {
        let path = child(path, &entry.key);
        match entries[..index].iter().find(|earlier| earlier.key == entry.key) {
            Some(first) => {
                let message = format!("`{}` is written twice, first on line {}", entry.key, first.place.line);
                report.problem_at(entry.place, &path, message, "keep one of them");
            }
            None => report.note_place(&path, entry.place, entry.value.place),
        }
    }
    Some(entries)
}

fn map_help(kind: &Kind) -> &'static str {
    match kind {
        Kind::Empty => "write its keys indented below it, or `{}` for none",
        Kind::List(_) => "write `key: value` lines without the leading `-`",
        _ => "write `key: value` lines indented below it",
    }
}

/// A map whose keys the user chooses, in the file's order.
pub(crate) struct Named<K, F> {
    /// Understands a key.
    pub(crate) key: fn(&str) -> Result<K, Wrong>,
    /// Its pattern, for the schema.
    pub(crate) pattern: &'static str,
    /// What a key is, for messages: `a tier`.
    pub(crate) what: &'static str,
    /// What stands at each.
    pub(crate) form: F,
}

impl<K, F: Form> Form for Named<K, F> {
    type Value = Vec<(String, K, F::Value)>;

    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<Self::Value> {
        let entries = map_entries(node, path, report)?;
        if entries.is_empty() {
            report.problem_at(node.place, path, format!("at least {} belongs here", self.what), "add one");
            return None;
        }
        let mut read = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if entries[..index].iter().any(|earlier| earlier.key == entry.key) {
                // Reported as written twice.
                continue;
            }
            let path = child(path, &entry.key);
            let key = (self.key)(&entry.key);
            let value = self.form.read(&entry.value, &path, report);
            match (key, value) {
                (Ok(key), Some(value)) => read.push((path, key, value)),
                (Ok(_), None) => {}
                (Err(wrong), _) => report.problem_at(entry.place, &path, wrong.message, wrong.help),
            }
        }
        Some(read)
    }

    fn schema(&self) -> Value {
        json!({
            "title": self.what,
            "type": "object",
            "minProperties": 1,
            "additionalProperties": false,
            "patternProperties": { self.pattern: self.form.schema() },
        })
    }
}

/// A list.
pub(crate) struct List<F> {
    /// Each item.
    pub(crate) form: F,
    /// Items at least.
    pub(crate) least: usize,
}

impl<F: Form> Form for List<F> {
    /// Each item that could be read, with its path.
    type Value = Vec<(String, F::Value)>;

    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<Self::Value> {
        let items = match &node.kind {
            Kind::List(items) => items,
            Kind::Refused => return None,
            other => {
                let message = format!("a list belongs here, not {}", other.as_written());
                report.problem_at(node.place, path, message, "write `[...]`, or a line with `- ` for each item");
                return None;
            }
        };
        if items.len() < self.least {
            let message = format!("the list has {} items and needs at least {}", items.len(), self.least);
            report.problem_at(node.place, path, message, "add one");
        }
        let mut read = Vec::new();
        for (index, node) in items.iter().enumerate() {
            let path = item(path, index);
            report.note_place(&path, node.place, node.place);
            if let Some(value) = self.form.read(node, &path, report) {
                read.push((path, value));
            }
        }
        Some(read)
    }

    fn schema(&self) -> Value {
        json!({ "type": "array", "minItems": self.least, "items": self.form.schema() })
    }
}

/// A map with exactly one of several keys: `local: {...}`.
pub(crate) struct OneOf<T> {
    /// What the key chooses, for messages: `a policy`.
    pub(crate) what: &'static str,
    /// The choices.
    pub(crate) variants: Vec<Variant<T>>,
}

/// One choice of `OneOf`.
pub(crate) struct Variant<T> {
    name: &'static str,
    about: &'static str,
    form: Box<dyn Form<Value = T>>,
}

impl<T> Variant<T> {
    pub(crate) fn new(name: &'static str, about: &'static str, form: impl Form<Value = T> + 'static) -> Self {
        Self { name, about, form: Box::new(form) }
    }
}

impl<T> OneOf<T> {
    fn names(&self) -> Vec<&'static str> {
        self.variants.iter().map(|variant| variant.name).collect()
    }

    fn refuse(&self, written: &str, node: &Node, path: &str, report: &mut Report) {
        let (message, help) = match later::not_yet(written) {
            Some(fix) => (format!("`{written}` is not available yet"), fix.to_owned()),
            None if self.names().contains(&written) => {
                (format!("`{written}` is a key here and stands without its colon"), format!("write `{written}: {{}}`"))
            }
            None => (format!("`{written}` is not {}", self.what), suggest::instead(written, &self.names())),
        };
        report.problem_at(node.place, path, message, help);
    }
}

impl<T> Form for OneOf<T> {
    type Value = T;

    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<T> {
        if let Kind::Text(written) = &node.kind {
            self.refuse(written, node, path, report);
            return None;
        }
        let entries = map_entries(node, path, report)?;
        let [entry] = entries else {
            let found: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
            let message = format!("exactly one key belongs here, {}, but there are {}", self.what, found.len());
            let help = match found.len() {
                0 => format!("write one of: {}", self.names().join(", ")),
                _ => format!("keep one of {}, or start a list item for each", found.join(", ")),
            };
            report.problem_at(node.place, path, message, help);
            return None;
        };
        match self.variants.iter().find(|variant| variant.name == entry.key) {
            Some(variant) => variant.form.read(&entry.value, &child(path, &entry.key), report),
            None => {
                let place = Node { place: entry.place, kind: Kind::Empty };
                self.refuse(&entry.key, &place, &child(path, &entry.key), report);
                None
            }
        }
    }

    fn schema(&self) -> Value {
        let mut properties = serde_json::Map::new();
        for variant in &self.variants {
            properties.insert(variant.name.to_owned(), described(variant.form.schema(), variant.about));
        }
        json!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": false,
            "properties": properties,
        })
    }
}

/// Either one fixed word or another form.
pub(crate) struct WordOr<F> {
    /// The word.
    pub(crate) word: &'static str,
    /// The other form.
    pub(crate) form: F,
}

impl<F: Form> Form for WordOr<F> {
    /// `None` inside for the word.
    type Value = Option<F::Value>;

    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<Self::Value> {
        match &node.kind {
            Kind::Text(text) if text == self.word => {
                report.note_setting(path, self.word.to_owned());
                Some(None)
            }
            Kind::Map(_) | Kind::Refused => self.form.read(node, path, report).map(Some),
            other => {
                let message = format!("`{}` or a map belongs here, not {}", self.word, other.as_written());
                report.problem_at(node.place, path, message, format!("write `{}`, or the map's keys", self.word));
                None
            }
        }
    }

    fn schema(&self) -> Value {
        json!({ "anyOf": [{ "const": self.word }, self.form.schema()] })
    }
}

/// Another form's value turned into something else.
pub(crate) struct Mapped<F, T>
where
    F: Form,
{
    /// The other form.
    pub(crate) form: F,
    /// What becomes of its value.
    pub(crate) into: fn(F::Value) -> T,
}

impl<F: Form, T> Form for Mapped<F, T> {
    type Value = T;

    fn read(&self, node: &Node, path: &str, report: &mut Report) -> Option<T> {
        self.form.read(node, path, report).map(self.into)
    }

    fn schema(&self) -> Value {
        self.form.schema()
    }
}

/// A schema with its description put first.
pub(crate) fn described(schema: Value, about: &str) -> Value {
    let mut with = json!({ "description": about });
    if let (Value::Object(to), Value::Object(from)) = (&mut with, schema) {
        to.extend(from);
    }
    with
}
