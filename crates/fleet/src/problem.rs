//! What is wrong with a fleet file: a list of mistakes, each with its place, its cause and its fix.

use crate::place::Place;
use serde::Serialize;
use std::fmt;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The key it is about, for example `tiers.gold.replicas.maximum`; empty for the file as a whole.
    pub path: String,
    /// What is wrong, in the words of the file.
    pub message: String,
    /// What to write instead.
    pub help: String,
    /// Byte offset and length in the text, for the snippet.
    #[serde(skip)]
    pub(crate) bytes: (usize, usize),
}

impl Problem {
    pub(crate) fn new(place: Place, path: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            line: place.line,
            column: place.column,
            path: path.to_owned(),
            message: message.into(),
            help: help.into(),
            bytes: (place.offset, place.length),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.message, self.help)
    }
}

/// Every mistake of one file, in the file's order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    name: String,
    text: String,
    list: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(name: &str, text: &str, mut list: Vec<Problem>) -> Self {
        list.sort_by(|a, b| (a.line, a.column, &a.path, &a.message).cmp(&(b.line, b.column, &b.path, &b.message)));
        Self { name: name.to_owned(), text: text.to_owned(), list }
    }

    /// The mistakes, in the file's order.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// The file's name, as it was given to `read`.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Stable JSON: `{"file": ..., "problems": [{"line", "column", "path", "message", "help"}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "file": self.name, "problems": self.list })
    }
}

impl fmt::Display for Problems {
    /// A line for each mistake: `file:line:column: path: what; fix`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{problem}", self.name)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
