//! Collects what is wrong, and remembers where everything stands, so that rules need only name a key.

use crate::place::Place;
use crate::problem::Problem;
use std::collections::BTreeMap;

/// Everything that reading finds out besides the values themselves.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    spots: BTreeMap<String, Spot>,
    settings: BTreeMap<String, String>,
    hidden: Vec<Place>,
}

/// Where a key and its value stand.
#[derive(Clone, Copy, Debug)]
struct Spot {
    key: Place,
    value: Place,
}

impl Report {
    /// Remembers where `path` stands.
    pub(crate) fn note_place(&mut self, path: &str, key: Place, value: Place) {
        self.spots.insert(path.to_owned(), Spot { key, value });
    }

    /// Remembers a value in its canonical spelling, defaults included: what a reload compares.
    pub(crate) fn note_setting(&mut self, path: &str, spelling: String) {
        self.settings.insert(path.to_owned(), spelling);
    }

    /// A mistake in the value of `path`, or in the nearest key above it that stands in the file.
    pub(crate) fn problem(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let place = self.value_place(path);
        self.problems.push(Problem::new(place, path, message, help));
    }

    /// A mistake about the key `path` itself, or about something missing below it.
    pub(crate) fn problem_at_key(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let place = self.key_place(path);
        self.problems.push(Problem::new(place, path, message, help));
    }

    /// A mistake at a place of its own.
    pub(crate) fn problem_at(&mut self, place: Place, path: &str, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(place, path, message, help));
    }

    /// Allowed, but worth a second look.
    pub(crate) fn warning(&mut self, path: &str, message: impl Into<String>, help: impl Into<String>) {
        let place = self.value_place(path);
        self.warnings.push(Problem::new(place, path, message, help));
    }

    /// What stands there may be a secret: no message shows it.
    pub(crate) fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// `text`, the file, with every hidden place blanked out, each byte on its own so that all others stay in place.
    pub(crate) fn without_hidden(&self, text: &str) -> String {
        let hidden =
            |at: usize| self.hidden.iter().any(|place| (place.offset..place.offset + place.length).contains(&at));
        let blanked = text.char_indices().map(|(at, c)| match hidden(at) && c != '\n' {
            true => "*".repeat(c.len_utf8()),
            false => c.to_string(),
        });
        blanked.collect()
    }

    /// Whether nothing at or below `path` is wrong so far: rules about what is missing must not judge what could not be
    /// read.
    pub(crate) fn is_clean(&self, path: &str) -> bool {
        let below =
            |other: &str| other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        !self.problems.iter().any(|problem| below(&problem.path))
    }

    /// Mistakes, warnings and settings, when reading is over.
    pub(crate) fn into_parts(mut self) -> (Vec<Problem>, Vec<String>, BTreeMap<String, String>) {
        self.warnings.sort_by_key(|warning| (warning.line, warning.column));
        (self.problems, self.warnings.iter().map(ToString::to_string).collect(), self.settings)
    }

    fn value_place(&self, path: &str) -> Place {
        match self.spots.get(path) {
            Some(spot) => spot.value,
            None => self.key_place(path),
        }
    }

    fn key_place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(spot) = self.spots.get(path) {
                return spot.key;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return Place::START,
            }
        }
    }
}

/// The path of a key inside `path`.
pub(crate) fn child(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The path of a list's item.
pub(crate) fn item(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}
