//! What was run, so that it can be run again, and whether the machine that sent it was up to it.

use super::About;
use crate::render::generator_in_words;
use crate::summary::Summary;
use evenkeel_report::markup::{escaped, section as html_section};
use evenkeel_report::words::{count, milliseconds, seconds};
use std::fmt::Write;

pub(super) fn section(summary: &Summary, about: &About) -> String {
    let lag = summary.lag;
    let own_lag = format!(
        "p50 {}, p95 {}, p99 {}, max {}; at most {} requests under way at once",
        milliseconds(lag.p50_ms),
        milliseconds(lag.p95_ms),
        milliseconds(lag.p99_ms),
        milliseconds(lag.max_ms),
        count(summary.peak_in_flight)
    );
    let windows = format!("{} each", seconds(summary.window_seconds));
    let rows = [
        ("command", format!("<code>{}</code>", escaped(&about.command))),
        ("target", escaped(&summary.target)),
        ("traffic", escaped(&about.traffic)),
        ("seed", summary.seed.to_string()),
        ("began", escaped(&about.started)),
        ("machine", escaped(&about.machine)),
        ("program", escaped(&about.version)),
        ("windows of attainment", windows),
        ("samples of the fleet", escaped(&samples(summary))),
        ("own lag", own_lag),
        ("was this machine the limit?", escaped(&generator_in_words(summary))),
    ];
    let mut body = String::from("<dl class=\"run\">\n");
    for (name, value) in rows {
        let _ = writeln!(body, "<dt>{name}</dt><dd>{value}</dd>");
    }
    body.push_str("</dl>\n");
    html_section("run", "What was run", &body)
}

fn samples(summary: &Summary) -> String {
    let most = summary.fleet.iter().map(|tier| tier.timeline.len()).max().unwrap_or(0);
    match most {
        0 => "none: no controller was asked, or none answered".to_owned(),
        most => format!(
            "{} of each tier over {}; charts show the last one in each {}",
            count(most as u64),
            seconds(summary.elapsed_seconds),
            seconds(summary.slice_seconds)
        ),
    }
}
