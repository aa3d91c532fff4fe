//! Values without a unit: words, texts, counts, plain numbers.

use crate::form::{Leaf, Wrong};
use crate::later;
use crate::secret::looks_secret;
use crate::suggest;
use crate::yaml::Kind;
use serde_json::{Value, json};

/// `true` or `false`.
pub(crate) struct Flag;

impl Leaf for Flag {
    type Value = bool;

    fn parse(&self, kind: &Kind) -> Result<bool, Wrong> {
        match kind {
            Kind::Flag(flag) => Ok(*flag),
            other => Err(Wrong::new(
                format!("`true` or `false` belongs here, not {}", other.as_written()),
                match other {
                    Kind::Text(text) if ["yes", "on", "y"].contains(&text.to_ascii_lowercase().as_str()) => {
                        "write `true`"
                    }
                    Kind::Text(text) if ["no", "off", "n"].contains(&text.to_ascii_lowercase().as_str()) => {
                        "write `false`"
                    }
                    _ => "write `true` or `false`",
                },
            )),
        }
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }

    fn describe(&self) -> Value {
        json!({ "type": "boolean" })
    }
}

/// One of a closed list of words.
pub(crate) struct Choice<T> {
    /// What is chosen, for messages: `an engine`.
    pub(crate) what: &'static str,
    /// The words and their meaning.
    pub(crate) words: Vec<(&'static str, T)>,
}

impl<T: Clone + PartialEq> Leaf for Choice<T> {
    type Value = T;

    fn parse(&self, kind: &Kind) -> Result<T, Wrong> {
        let names: Vec<_> = self.words.iter().map(|(name, _)| *name).collect();
        let Kind::Text(text) = kind else {
            let message = format!("{} belongs here, not {}", self.what, kind.as_written());
            return Err(Wrong::new(message, format!("write one of: {}", names.join(", "))));
        };
        match self.words.iter().find(|(name, _)| name == text) {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => Err(match later::not_yet(text) {
                Some(fix) => Wrong::new(format!("`{text}` is not available yet"), fix),
                None => Wrong::new(format!("`{text}` is not {}", self.what), suggest::instead(text, &names)),
            }),
        }
    }

    fn show(&self, value: &T) -> String {
        self.words.iter().find(|(_, meaning)| meaning == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
    }

    fn describe(&self) -> Value {
        json!({ "enum": self.words.iter().map(|(name, _)| *name).collect::<Vec<_>>() })
    }
}

/// A text that keeps a rule.
pub(crate) struct Text {
    /// What it is, for messages: `a model name`.
    pub(crate) what: &'static str,
    /// One that is right, for messages and the schema.
    pub(crate) example: &'static str,
    /// Its pattern, for the schema; the rule below may be stricter where a pattern cannot say it.
    pub(crate) pattern: &'static str,
    /// `None` when it is right, otherwise what is wrong with it.
    pub(crate) rule: fn(&str) -> Option<String>,
}

impl Leaf for Text {
    type Value = String;

    fn parse(&self, kind: &Kind) -> Result<String, Wrong> {
        let text = match kind {
            Kind::Text(text) => text,
            Kind::Number(text) => {
                let message = format!("{} belongs here, not the number `{text}`", self.what);
                return Err(Wrong::new(message, format!("put it in quotes if it is meant as text: \"{text}\"")));
            }
            other => {
                let message = format!("{} belongs here, not {}", self.what, other.as_written());
                return Err(Wrong::new(message, format!("write for example `{}`", self.example)));
            }
        };
        match (self.rule)(text) {
            None => Ok(text.clone()),
            Some(wrong) => {
                let secret = looks_secret(text);
                let shown = if secret { "this".to_owned() } else { kind.as_written() };
                let message = format!("{shown} is not {}: {wrong}", self.what);
                Err(Wrong::new(message, format!("write for example `{}`", self.example)).hiding(secret))
            }
        }
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn describe(&self) -> Value {
        json!({ "title": self.what, "type": "string", "pattern": self.pattern, "examples": [self.example] })
    }
}

/// A whole number without a unit.
pub(crate) struct Whole {
    /// What is counted, for messages: `replicas`.
    pub(crate) what: &'static str,
    /// Smallest.
    pub(crate) least: u32,
    /// Largest.
    pub(crate) most: u32,
}

impl Leaf for Whole {
    type Value = u32;

    fn parse(&self, kind: &Kind) -> Result<u32, Wrong> {
        let text = number_text(kind, self.what)?;
        let range = format!("write a whole number from {} to {}", self.least, self.most);
        match text.parse::<u32>() {
            Ok(number) if (self.least..=self.most).contains(&number) => Ok(number),
            Ok(_) => Err(Wrong::new(format!("`{text}` is out of range for {}", self.what), range)),
            Err(_) => Err(Wrong::new(format!("`{text}` is not a whole number of {}", self.what), range)),
        }
    }

    fn show(&self, value: &u32) -> String {
        value.to_string()
    }

    fn describe(&self) -> Value {
        json!({ "type": "integer", "minimum": self.least, "maximum": self.most })
    }
}

/// A number without a unit.
pub(crate) struct Number {
    /// What it counts, for messages: `tokens`.
    pub(crate) what: &'static str,
    /// Whether zero is allowed; less than zero never is.
    pub(crate) or_zero: bool,
    /// The largest that makes sense, if there is such a bound.
    pub(crate) most: Option<f64>,
}

impl Leaf for Number {
    type Value = f64;

    fn parse(&self, kind: &Kind) -> Result<f64, Wrong> {
        let text = number_text(kind, self.what)?;
        let least = if self.or_zero { "zero or more" } else { "above zero" };
        let bound = self.most.map_or_else(|| least.to_owned(), |most| format!("{least}, and at most {most}"));
        let fits = |number: f64| number > 0.0 || self.or_zero && number == 0.0;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && fits(number) && self.most.is_none_or(|most| number <= most) => {
                Ok(number)
            }
            _ => Err(Wrong::new(format!("`{text}` {} must be {bound}", self.what), format!("write a number {bound}"))),
        }
    }

    fn show(&self, value: &f64) -> String {
        value.to_string()
    }

    fn describe(&self) -> Value {
        let least = if self.or_zero { "minimum" } else { "exclusiveMinimum" };
        match self.most {
            None => json!({ "type": "number", least: 0 }),
            Some(most) => json!({ "type": "number", least: 0, "maximum": most }),
        }
    }
}

/// The digits of a plain number; a quoted or a spelt one is told how to be written.
fn number_text<'a>(kind: &'a Kind, what: &str) -> Result<&'a str, Wrong> {
    match kind {
        Kind::Number(text) => Ok(text),
        Kind::Text(text) => {
            let help = match bare_number(text) {
                Some(bare) => format!("write the number alone, without quotes, `_`, unit or leading zeros: {bare}"),
                None => "write a number".to_owned(),
            };
            Err(Wrong::new(format!("`{text}` is not a plain number of {what}"), help))
        }
        other => {
            Err(Wrong::new(format!("a number of {what} belongs here, not {}", other.as_written()), "write a number"))
        }
    }
}

/// The number that `text` begins with, as it is to be written; none where that is a guess, as of `1,000` or `1 000`.
fn bare_number(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '_')).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if rest.starts_with(',') || rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let digits = number.replace('_', "");
    digits.parse::<f64>().ok()?;
    let bare = digits.trim_start_matches('0');
    Some(if bare.is_empty() || bare.starts_with('.') { format!("0{bare}") } else { bare.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_to_write_keeps_every_digit_or_is_not_guessed() {
        for (written, bare) in [
            ("8", Some("8")),
            ("008", Some("8")),
            ("1_0", Some("10")),
            ("1_000 tokens", Some("1000")),
            ("8 replicas", Some("8")),
            ("00.50", Some("0.50")),
            ("0", Some("0")),
            ("1,000", None),
            ("1 000", None),
            ("many", None),
            ("_", None),
            ("1.2.3", None),
        ] {
            assert_eq!(bare_number(written).as_deref(), bare, "{written}");
        }
    }
}
