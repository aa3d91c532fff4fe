//! One line: `name{label="value",...} value [timestamp] [# exemplar]`.

use super::Sample;
use std::borrow::Cow;

const BLANK: [char; 2] = [' ', '\t'];
/// More than any exporter writes; keeps a hostile line's cost down.
const MOST_LABELS: usize = 128;

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

pub(super) fn sample(line: &str) -> Result<Sample<'_>, &'static str> {
    let (name, rest) = name(line, "the name of a metric is missing")?;
    let rest = rest.trim_start_matches(BLANK);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (Vec::new(), rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("the value is missing")?;
    let value = value.parse().map_err(|_| "the value is not a number")?;
    if let Some(word) = words.next().filter(|word| !word.starts_with('#')) {
        word.parse::<f64>().map_err(|_| "the timestamp is not a number")?;
        if words.next().is_some_and(|word| !word.starts_with('#')) {
            return Err("there is text after the timestamp");
        }
    }
    Ok(Sample { name, labels, value })
}

/// A name at the beginning of `text`, and what follows it.
fn name<'a>(text: &'a str, missing: &'static str) -> Result<(&'a str, &'a str), &'static str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) { Err(missing) } else { Ok((name, rest)) }
}

/// The labels up to the closing brace, and what follows it. A comma after the last one is allowed.
fn labels(mut rest: &str) -> Result<(Labels<'_>, &str), &'static str> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(BLANK);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        if labels.len() == MOST_LABELS {
            return Err("a series has too many labels");
        }
        let (label, after) = name(rest, "the name of a label is missing")?;
        let after = after.trim_start_matches(BLANK).strip_prefix('=').ok_or("a label has no value")?;
        let after = after.trim_start_matches(BLANK).strip_prefix('"').ok_or("a label's value has no quotes")?;
        let (value, after) = quoted(after)?;
        labels.push((label, value));
        rest = after.trim_start_matches(BLANK);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("labels are not separated by a comma"),
        }
    }
}

/// A label's value after its opening quote, with escapes resolved, and what follows the closing quote.
fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    const OPEN: &str = "a label's value does not end";
    let stop = text.find(['"', '\\']).ok_or(OPEN)?;
    let (plain, rest) = text.split_at(stop);
    if let Some(after) = rest.strip_prefix('"') {
        return Ok((Cow::Borrowed(plain), after));
    }
    let mut value = plain.to_owned();
    let mut rest = rest.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return Ok((Cow::Owned(value), rest.as_str())),
            '\\' => match rest.next().ok_or(OPEN)? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                // The format knows three escapes; a reader keeps any other as it stands.
                other => value.extend(['\\', other]),
            },
            plain => value.push(plain),
        }
    }
    Err(OPEN)
}
