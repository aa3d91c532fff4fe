//! `--verify`: which loads are compared, and the comparison as a table.

use crate::commands::values;
use crate::output;
use evenkeel_core::spec::Lengths;
use evenkeel_core::units::Span;
use evenkeel_load::calibrate::{Comparing, Comparison, Figure, FigureComparison};
use std::fmt::Write;

/// Shares of what the profile says that the engine carries: light, usual, and near the edge of queues without end.
const LOADS: [f64; 3] = [0.3, 0.5, 0.7];

#[derive(clap::Args)]
pub(super) struct Verify {
    /// Compare the engine model with measured latencies at loads that the fit has not seen; exit with 1 where it is off
    #[arg(long)]
    verify: bool,
    /// With --verify: a load as a share of what the engine carries; may be given more than once [default: 0.3 0.5 0.7]
    #[arg(long = "load", value_name = "SHARE", requires = "verify", value_parser = values::share)]
    loads: Vec<f64>,
    /// With --verify: prompt length, the mean and perhaps the spread of its logarithm
    #[arg(long, value_name = "MEAN[,SIGMA]", default_value = "100,0.8", value_parser = values::lengths)]
    prompt_tokens: Lengths,
    /// With --verify: output length
    #[arg(long, value_name = "MEAN[,SIGMA]", default_value = "40,0.4", value_parser = values::lengths)]
    output_tokens: Lengths,
    /// With --verify: how often each load is measured, each time with a calibration before and after
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// With --verify: how long requests are sent at each load, seconds
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 60.0, value_parser = values::above_zero)]
    length: f64,
    /// With --verify: the bound above which gaps between tokens are counted, ms [default: halfway between iterations
    /// with and without a prompt]
    #[arg(long, value_name = "MS", value_parser = values::above_zero)]
    itl_bound: Option<f64>,
}

impl Verify {
    /// `None` where nothing is to be compared.
    pub(super) fn comparing(&self) -> Option<Comparing> {
        self.verify.then(|| Comparing {
            loads: if self.loads.is_empty() { LOADS.to_vec() } else { self.loads.clone() },
            prompt_tokens: self.prompt_tokens,
            output_tokens: self.output_tokens,
            repeats: self.repeats,
            length: Span::from_secs_f64(self.length),
            itl_bound_ms: self.itl_bound,
        })
    }
}

/// A row for each load and figure, and what they come to.
pub(super) fn table(comparison: &Comparison) -> String {
    let header = ["load", "requests/s", "figure", "measured", "model", "error", "repeats differ", "accepted", ""];
    let mut table = output::table(&header);
    for load in &comparison.loads {
        for (figure, compared) in &load.figures {
            let share = format!("{:.0} %", load.share * 100.0);
            let rate = format!("{:.2}", load.requests_per_second);
            table.add_row([&[share, rate][..], &row(*figure, compared)].concat());
        }
    }
    let mut text = table.to_string();
    let verdict =
        if comparison.holds() { "the model holds at every load" } else { "the model is off where it says so" };
    // Writing to a string does not fail.
    let _ = write!(text, "\n{verdict}; gaps are counted above {:.1} ms", comparison.itl_bound_ms);
    let lag = comparison.loads.iter().map(|load| load.own_lag_p99_ms).fold(0.0, f64::max);
    let _ = write!(text, "\nrequests were sent up to {lag:.1} ms late (p99), which is this client's part");
    text
}

fn row(figure: Figure, compared: &FigureComparison) -> Vec<String> {
    let is_share = figure == Figure::ItlAbove;
    let value = |values: &[f64]| {
        let middle = FigureComparison::middle(values);
        if is_share { format!("{:.1} %", middle * 100.0) } else { format!("{middle:.1} ms") }
    };
    let part = |part: f64| {
        let (percent, unit) = (part * 100.0, if is_share { "points" } else { "%" });
        format!("{percent:.1} {unit}")
    };
    let verdict = if compared.holds() { "holds" } else { "off" };
    vec![
        figure.name().to_owned(),
        value(&compared.measured),
        value(&compared.model),
        part(compared.error),
        part(compared.spread),
        part(compared.accepted),
        verdict.to_owned(),
    ]
}
