//! Pieces of HTML. Every text of a run goes through [`escaped`].

/// What stands where a figure is not known: missing is not zero.
pub const NO_DATA: &str = "no data";

/// A text as HTML, in an element or in a quoted attribute.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A section with its heading; `body` is HTML.
pub fn section(id: &str, heading: &str, body: &str) -> String {
    format!("<section id=\"{id}\">\n<h2>{heading}</h2>\n{body}</section>\n")
}

/// A cell: a text, a figure, which stands at the right, or a judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Plain.
    Text(String),
    /// Plain, too.
    Figure(String),
    /// A judgement: its class, which colors it, and the mark and the word that tell it without color.
    Mark(&'static str, &'static str, &'static str),
}

impl Cell {
    /// A text, plain.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A figure, plain.
    pub fn figure(figure: impl Into<String>) -> Self {
        Self::Figure(figure.into())
    }

    /// A figure that may be missing.
    pub fn maybe(figure: Option<String>) -> Self {
        Self::Figure(figure.unwrap_or_else(|| NO_DATA.to_owned()))
    }
}

/// A table; columns whose first cell is a figure have their heading at the right.
pub fn table(caption: &str, header: &[&str], rows: &[Vec<Cell>]) -> String {
    let is_figure = |column: usize| rows.first().is_some_and(|row| matches!(row.get(column), Some(Cell::Figure(_))));
    let class = |figure: bool| if figure { " class=\"figure\"" } else { "" };
    let head = header
        .iter()
        .enumerate()
        .map(|(column, name)| format!("<th scope=\"col\"{}>{}</th>", class(is_figure(column)), escaped(name)));
    let body = rows.iter().map(|row| format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>()));
    format!(
        "<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
        escaped(caption),
        head.collect::<String>(),
        body.collect::<String>(),
    )
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => format!("<td>{}</td>", escaped(text)),
        Cell::Figure(figure) if figure == NO_DATA => format!("<td class=\"figure missing\">{NO_DATA}</td>"),
        Cell::Figure(figure) => format!("<td class=\"figure\">{}</td>", escaped(figure)),
        Cell::Mark(class, mark, word) => {
            format!("<td class=\"mark-cell {class}\"><span aria-hidden=\"true\">{mark}</span> {word}</td>")
        }
    }
}

/// A paragraph of explanation; `text` is plain.
pub fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_markup() {
        let table = table("a & b", &["<tier>"], &[vec![Cell::text("\"><script>alert('x')</script>")]]);
        assert!(!table.contains("<script") && table.contains("&lt;tier&gt;") && table.contains("a &amp; b"), "{table}");
    }
}
