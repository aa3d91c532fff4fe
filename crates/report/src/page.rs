//! The page around a report's sections.

use crate::markup::escaped;

/// Colors for both schemes, and all that pages share.
const STYLE: &str = include_str!("page.css");

/// One page. Nothing on it is fetched, and its policy forbids that.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its title, plain.
    pub title: &'a str,
    /// CSS of its own, after what all pages share.
    pub style: &'a str,
    /// What it does under the pointer. Nothing that is told may need it.
    pub script: &'a str,
    /// The sections, HTML.
    pub body: &'a str,
}

impl Page<'_> {
    /// The document.
    pub fn html(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             script-src 'unsafe-inline'\">\n\
             <title>{}</title>\n<style>\n{STYLE}{}</style>\n</head>\n<body>\n<main>\n{}</main>\n\
             <script>\n{}</script>\n</body>\n</html>\n",
            escaped(self.title),
            self.style,
            self.body,
            self.script,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_forbids_what_it_could_load_and_its_title_cannot_end_itself() {
        let html = Page { title: "</title><script>", style: "", script: "", body: "<p>told</p>\n" }.html();
        assert!(html.contains("default-src 'none'") && html.contains("<main>\n<p>told</p>\n</main>"), "{html}");
        assert_eq!(html.matches("<script").count(), 1, "our own");
    }
}
