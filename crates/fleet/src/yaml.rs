//! YAML into one tree of nodes that know their places. Everything after this works on the tree alone, so that no
//! mistake hides another one.

use crate::place::Place;
use crate::problem::Problem;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Bytes of a fleet file at most: it is a few pages. Larger ones are refused before they are parsed, and whoever reads one
/// need not read on past this.
pub const LARGEST_FILE_BYTES: usize = 1024 * 1024;
/// Maps and lists within each other at most; every key of a fleet file needs fewer than ten.
const DEEPEST: usize = 32;

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let span = location.span();
        Self {
            line: number(location.line()).max(1),
            column: number(location.column()).max(1),
            offset: number(span.byte_offset().unwrap_or(0)),
            length: number(span.byte_len().unwrap_or(0)),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

/// What a value is, as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing, `~` or `null`.
    Empty,
    /// `true` or `false`; `yes` and `no` are text.
    Flag(bool),
    /// A number in its shortest spelling.
    Number(String),
    /// Anything else that is not a collection; `007` and `1_000` are text too.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the file's order, keys written twice included.
    Map(Vec<Entry>),
    /// Reported already; readers pass over it in silence.
    Refused,
}

impl Kind {
    /// How a value is called in a message.
    pub(crate) fn as_written(&self) -> String {
        match self {
            Self::Empty => "nothing".to_owned(),
            Self::Flag(flag) => format!("`{flag}`"),
            Self::Number(text) | Self::Text(text) => format!("`{text}`"),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
            Self::Refused => "a refused value".to_owned(),
        }
    }
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// A value that stands in no file: a default in the file's own spelling.
    pub(crate) fn unplaced(text: &str) -> Self {
        let kind = match text {
            "true" | "false" => Kind::Flag(text == "true"),
            number if number.parse::<f64>().is_ok() => Kind::Number(text.to_owned()),
            _ => Kind::Text(text.to_owned()),
        };
        Self { place: Place::START, kind }
    }
}

/// Parses one document.
///
/// # Errors
/// The one syntax error that YAML parsers stop at, or a file that is too large, too deep or swollen by aliases.
pub(crate) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > LARGEST_FILE_BYTES {
        let message = format!("the file has {} bytes; a fleet file has at most {LARGEST_FILE_BYTES}", text.len());
        return Err(Problem::new(Place::START, "", message, "is this the right file?"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: DEEPEST,
            max_nodes: 20_000,
            max_events: 60_000,
            max_aliases: 1_000,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options).map(Node::from).map_err(|error| {
        let problem = syntax_problem(&error);
        tab_problem(text, problem.line).unwrap_or(problem)
    })
}

/// A parser trips over a tab in the indentation of its line or of the next one that holds anything, and not always by
/// that name.
fn tab_problem(text: &str, line: usize) -> Option<Problem> {
    let starts = text.split_inclusive('\n').scan(0, |next, content| {
        let start = *next;
        *next += content.len();
        Some((start, content))
    });
    let from_here = starts.enumerate().skip(line - 1).filter(|(_, (_, content))| !content.trim().is_empty());
    from_here.take(2).find_map(|(index, (offset, content))| {
        let length = content.len() - content.trim_start_matches([' ', '\t']).len();
        content[..length].contains('\t').then(|| {
            let place = Place { line: index + 1, column: 1, offset, length };
            let message = format!("line {} is indented with a tab; YAML wants spaces", index + 1);
            Problem::new(place, "", message, "put spaces in its place, two for each level")
        })
    })
}

fn syntax_problem(error: &serde_saphyr::Error) -> Problem {
    let place = error.location().map_or(Place::START, Place::from);
    let error = error.without_snippet();
    if let serde_saphyr::Error::Budget { breach, .. } = error {
        let (message, help) = beyond_limits(breach);
        return Problem::new(place, "", message, help);
    }
    let bare = error.to_string();
    // The parser ends its sentence with the place, which is told apart here.
    let message = bare.split(" at line ").next().unwrap_or(&bare).trim_end_matches([',', ' ']).to_owned();
    let help =
        "the file is not valid YAML from here on; mind the indentation, and quote texts with `{`, `[`, `: ` or `#`";
    Problem::new(place, "", message, help)
}

/// A parser's limit in words.
fn beyond_limits(breach: &BudgetBreach) -> (String, &'static str) {
    match breach {
        BudgetBreach::Documents { .. } => (
            "a second document begins here; a fleet file is one document".to_owned(),
            "remove the `---`, or put the other fleet into a file of its own",
        ),
        BudgetBreach::Depth { .. } => (
            format!("maps and lists stand more than {DEEPEST} deep in each other here"),
            "no key of a fleet file stands so deep; mind the indentation and the brackets",
        ),
        BudgetBreach::Aliases { .. }
        | BudgetBreach::Anchors { .. }
        | BudgetBreach::AliasAnchorRatio { .. }
        | BudgetBreach::RecordedAnchorEvents { .. }
        | BudgetBreach::RecordedAnchorBytes { .. } => (
            "anchors and aliases (`&name`, `*name`) swell the file beyond what is read".to_owned(),
            "write the values out, or use fewer aliases",
        ),
        _ => ("the file holds more than a fleet file does".to_owned(), "is this the right file?"),
    }
}

/// A node's content while serde builds it.
struct Raw(Kind);

impl From<Spanned<Raw>> for Node {
    fn from(spanned: Spanned<Raw>) -> Self {
        Self { place: Place::from(spanned.referenced), kind: spanned.value.0 }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor).map(Raw)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Kind, E> {
        Ok(Kind::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Kind, E> {
        Ok(Kind::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        let mut nodes = Vec::new();
        while let Some(item) = list.next_element::<Spanned<Raw>>()? {
            nodes.push(Node::from(item));
        }
        Ok(Kind::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Raw>>()? {
            entries.push(Entry { key: key.value, place: key.referenced.into(), value: Node::from(value) });
        }
        Ok(Kind::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn entry<'a>(node: &'a Node, key: &str) -> &'a Entry {
        let Kind::Map(entries) = &node.kind else { panic!("not a map: {node:?}") };
        entries.iter().find(|entry| entry.key == key).unwrap()
    }

    #[test]
    fn every_key_and_value_knows_its_line_column_and_bytes() {
        let text = "fleet: game\ntiers:\n  gold: {price: $1.006/hour, é: [1, two]}\n";
        let root = parse(text).unwrap();
        let gold = entry(&entry(&root, "tiers").value, "gold");
        assert_eq!((gold.place.line, gold.place.column), (3, 3));
        let price = &entry(&gold.value, "price").value;
        assert_eq!((price.place.line, price.place.column), (3, 17));
        assert_eq!(&text[price.place.offset..price.place.offset + price.place.length], "$1.006/hour");
        let Kind::List(items) = &entry(&gold.value, "é").value.kind else { panic!("a list") };
        assert_eq!(items[0].kind, Kind::Number("1".into()));
        let two = items[1].place;
        assert_eq!(&text[two.offset..two.offset + two.length], "two");
    }

    #[test]
    fn no_and_007_stay_what_was_written() {
        let root = parse("a: no\nb: 007\nc: 1_000\nd: true\ne: 1e3\nf:\n").unwrap();
        let kinds: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|key| entry(&root, key).value.kind.clone()).into();
        let text = |text: &str| Kind::Text(text.into());
        let number = Kind::Number("1000".into());
        assert_eq!(kinds, [text("no"), text("007"), text("1_000"), Kind::Flag(true), number, Kind::Empty]);
    }

    #[test]
    fn a_key_written_twice_is_kept_twice_for_the_reader_to_report() {
        let root = parse("a: 1\na: 2\n").unwrap();
        assert!(matches!(root.kind, Kind::Map(entries) if entries.len() == 2));
    }

    #[test]
    fn a_syntax_error_a_second_document_and_an_alias_bomb_are_one_problem_each_with_a_place() {
        let broken = parse("fleet: game\ntiers: [1, 2\nmore: x\n").unwrap_err();
        assert!(broken.line >= 2, "{broken:?}");
        let second = parse("a: 1\n---\nb: 2\n").unwrap_err();
        assert!(second.line >= 2, "{second:?}");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let below = format!("*a{}, ", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&" ".repeat(LARGEST_FILE_BYTES + 1)).is_err());
    }

    #[test]
    fn a_text_with_two_dots_is_text() {
        let root = parse("a: 1.10\nb: 1.2.3\n").unwrap();
        assert_eq!(entry(&root, "b").value.kind, Kind::Text("1.2.3".into()));
    }
}
