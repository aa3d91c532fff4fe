//! What reproduces the page, and what its figures do not know.

use super::About;
use evenkeel_report::markup::{escaped, section as html_section};
use std::fmt::Write;

pub(super) fn section(about: &About) -> String {
    let mut body = String::from("<dl class=\"run\">\n");
    let _ = writeln!(body, "<dt>command</dt><dd><code>{}</code></dd>", escaped(&about.command));
    let left_out = ("left out by the model", about.left_out.to_owned());
    for (name, value) in about.parameters.iter().chain([&left_out]) {
        let _ = writeln!(body, "<dt>{}</dt><dd>{}</dd>", escaped(name), escaped(value));
    }
    body.push_str("</dl>\n");
    html_section("run", "What was run", &body)
}
