//! Mistakes for a terminal: each with its line of the file underlined.

use crate::problem::{Problem, Problems};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;

/// A file with a longer line is none that a person wrote: its mistakes are told by line and column alone. Drawing them
/// would fill the screen, and miette panics on a column beyond 65,535.
const LONGEST_DRAWN: usize = 4 * 1024;
/// Mistakes that are drawn; those after them are told by line and column alone. Nobody mends so many at one look, and each
/// drawing reads the file from its beginning.
const MOST_DRAWN: usize = 50;

impl Problems {
    /// The mistakes for a terminal, each with its line of the file underlined, in color if asked for.
    pub fn render(&self, color: bool) -> String {
        if self.text().lines().any(|line| line.len() > LONGEST_DRAWN) {
            return format!("{self}\n");
        }
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false).with_context_lines(1);
        let source = NamedSource::new(self.name(), self.text().to_owned()).with_language("yaml");
        let mut out = String::new();
        for problem in self.list().iter().take(MOST_DRAWN) {
            let report = Shown { problem, source: &source, length: self.text().len() };
            // Writing to a string cannot fail.
            let _ = handler.render_report(&mut out, &report);
            out.push('\n');
        }
        for problem in self.list().iter().skip(MOST_DRAWN) {
            out.push_str(&format!("{}:{problem}\n", self.name()));
        }
        let count = self.list().len();
        out.push_str(&format!("{}: {count} {}\n", self.name(), if count == 1 { "problem" } else { "problems" }));
        out
    }
}

struct Shown<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
    length: usize,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.problem.path.is_empty() {
            write!(f, "{}: ", self.problem.path)?;
        }
        f.write_str(&self.problem.message)
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.problem.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (offset, length) = self.problem.bytes;
        let offset = offset.min(self.length);
        let length = length.min(self.length - offset);
        Some(Box::new(std::iter::once(LabeledSpan::new(None, offset, length))))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_mistake_far_out_in_a_line_is_told_by_its_place() {
        let text = format!("fleet: x\ntick: 1s\ntiers: {{{}nobody: 1}}\n", " ".repeat(70_000));
        let problems = crate::read(&text, "x.yaml").unwrap_err();
        assert!(problems.render(false).starts_with("x.yaml:3:"), "{}", problems.render(false));
    }

    #[test]
    fn of_very_many_mistakes_the_first_are_drawn_and_every_one_is_told() {
        let keys: String = (0..200).map(|key| format!("strange{key}: 1\n")).collect();
        let problems = crate::read(&keys, "x.yaml").unwrap_err();
        let shown = problems.render(false);
        assert_eq!(shown.matches("─[x.yaml:").count(), super::MOST_DRAWN);
        assert!((0..200).all(|key| shown.contains(&format!("strange{key}`"))), "{shown}");
    }
}
