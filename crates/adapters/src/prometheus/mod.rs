//! Prometheus' text format as engines write it. Own and small: what it reads comes from outside, so it never panics,
//! its work is bounded by the page's length, and a page that is wrong anywhere is refused whole, as a scraper does.
//!
//! Read: names, labels with escapes, values in every spelling of the format. Passed over: comments, types, timestamps,
//! exemplars. Values stay as written, NaN and infinity included; whoever counts them as a number refuses them there.

mod line;

use std::borrow::Cow;

/// A page has fewer series than this: fifty times what an engine writes.
const MOST_SAMPLES: usize = 50_000;

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name of the metric, for a histogram with its suffix.
    pub name: &'a str,
    /// Label names and values, in the page's order.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

/// A page that is not in the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Malformed {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// A page that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page<'a> {
    samples: Vec<Sample<'a>>,
}

impl<'a> Page<'a> {
    /// Reads a page.
    ///
    /// # Errors
    /// With the first line that is not in the format.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut samples = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_matches([' ', '\t']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if samples.len() == MOST_SAMPLES {
                return Err(Malformed { line: index + 1, what: "more series than any engine has" });
            }
            samples.push(line::sample(line).map_err(|what| Malformed { line: index + 1, what })?);
        }
        Ok(Self { samples })
    }

    /// Every sample, in the page's order.
    pub fn samples(&self) -> &[Sample<'a>] {
        &self.samples
    }

    /// The samples of exactly this metric: a longer name that begins alike is another one.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Sample<'a>> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
