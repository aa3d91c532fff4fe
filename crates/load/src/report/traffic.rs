//! How many came: players, and the requests that they sent.

use super::chart::{Chart, Series, Style};
use super::timeline::moments;
use crate::summary::{SlicePoint, Summary, TierSummary};
use evenkeel_report::markup::section as html_section;

pub(super) fn section(summary: &Summary) -> String {
    let players = if summary.players.is_empty() { String::new() } else { players(summary).html() };
    html_section("traffic", "How many came", &format!("{players}{}", requests(summary).html()))
}

fn players(summary: &Summary) -> Chart {
    let moments = moments(summary);
    let sent = moments.iter().filter(|moment| **moment < summary.sent_seconds).count();
    let known = |index: usize| summary.players.get(index).filter(|_| index < sent).map(|point| point.players);
    let values = (0..moments.len()).map(known).collect();
    let series = vec![Series { name: "players".to_owned(), color: "c0".to_owned(), style: Style::Line, values }];
    let show = |value: f64| format!("{value:.0}");
    Chart {
        title: "Players".to_owned(),
        moments,
        end_seconds: summary.elapsed_seconds,
        series,
        bounds: Vec::new(),
        whole: true,
        show,
    }
}

fn requests(summary: &Summary) -> Chart {
    let series = summary.tiers.iter().enumerate().map(|(index, tier)| Series {
        name: tier.tier.clone(),
        color: format!("c{}", index % super::COLORS),
        style: Style::Line,
        values: by_slice(summary, tier, |slice| Some(slice.offered_requests as f64 / summary.slice_seconds)),
    });
    Chart {
        title: "Requests offered per second, by tier".to_owned(),
        moments: moments(summary),
        end_seconds: summary.elapsed_seconds,
        series: series.collect(),
        bounds: Vec::new(),
        whole: false,
        show: |value| if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") },
    }
}

/// A value of each slice in which requests were sent. A slice of which none was due is one without requests; after the
/// sending there is nothing to tell.
pub(super) fn by_slice(
    summary: &Summary,
    tier: &TierSummary,
    value: impl Fn(&SlicePoint) -> Option<f64>,
) -> Vec<Option<f64>> {
    let quiet = SlicePoint::default();
    let of = |(index, moment): (usize, f64)| {
        let slice = tier.timeline.get(index).unwrap_or(&quiet);
        // The last slice is cut off by the end: a rate over its whole length would be too low.
        let whole = moment + summary.slice_seconds <= summary.sent_seconds + summary.slice_seconds * 0.05;
        value(slice).filter(|_| whole)
    };
    moments(summary).into_iter().enumerate().map(of).collect()
}
