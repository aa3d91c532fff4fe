//! A calibration as the `profile:` of a fleet file.

use super::{Calibration, Kind};
use evenkeel_core::profile::{DecodeStep, Profile};
use std::fmt::Write;

/// Digits that a measurement can have; more would only look exact.
const DIGITS: usize = 4;
/// On a quiet machine the mean error on decoding is below 5 %.
const UNSTEADY: f64 = 0.15;

/// The calibration as YAML to stand in a tier. Where it came from stands in comments above it; `date` is when it was
/// measured, and `address` what.
pub fn yaml(calibration: &Calibration, date: &str, address: &str) -> String {
    let engine = calibration.engine.as_deref().unwrap_or("an engine that tells no version");
    let mut text = format!("# Measured {date}: {engine} at {address}, model {}.\n", calibration.model);
    for (kind, error) in &calibration.fit.errors {
        if *kind != Kind::Joining {
            let (mean, max) = (error.mean * 100.0, error.max * 100.0);
            let (what, count) = (kind.in_words(), error.observations);
            text += &format!("# Error of the fit on {what}: {mean:.1} % on average, {max:.1} % at most, of {count}.\n");
        }
    }
    if unsteady(calibration) {
        text += "# Measurements of the same differ widely: the engine or this machine had other work. Measure again.\n";
    }
    let most = calibration.profile.max_sequences;
    let tried = calibration.observations.iter().map(|it| it.sequences).max().unwrap_or(0);
    if tried < most {
        text += &format!(
            "# More than {tried} sequences at once were not measured; how long {most} take is extrapolated.\n"
        );
    }
    text += "profile:\n  source: measured\n";
    for (key, value) in entries(&calibration.profile) {
        // Writing to a string does not fail.
        let space = if value.starts_with('\n') { "" } else { " " };
        let _ = writeln!(text, "  {key}:{space}{value}");
    }
    text
}

/// Whether a profile says little, because decoding took now this time and now that.
fn unsteady(calibration: &Calibration) -> bool {
    calibration.fit.errors.get(&Kind::Decode).is_some_and(|error| error.mean > UNSTEADY)
}

fn entries(profile: &Profile) -> Vec<(&'static str, String)> {
    let mut entries = vec![("iteration", time(profile.iteration_ms)), ("per_sequence", time(profile.per_sequence_ms))];
    if !profile.decode_steps.is_empty() {
        entries.push(("decode_steps", steps(&profile.decode_steps)));
    }
    entries.extend([
        ("per_cached_token", time(profile.per_cached_token_ms)),
        ("per_prefill_chunk", time(profile.per_prefill_chunk_ms)),
        ("per_prefill_token", time(profile.per_prefill_token_ms)),
        ("per_prefill_token_squared", time(profile.per_prefill_token_squared_ms)),
        ("max_batched_tokens", profile.max_batched_tokens.to_string()),
        ("max_sequences", profile.max_sequences.to_string()),
        ("kv_tokens", profile.kv_tokens.to_string()),
        ("max_model_tokens", profile.max_model_tokens.to_string()),
        ("prefix_hits", "0%".to_owned()),
        ("overhead", time(profile.overhead_ms)),
    ]);
    entries
}

/// A list, an item a line below the key.
fn steps(steps: &[DecodeStep]) -> String {
    let item = |step: &DecodeStep| {
        let DecodeStep { sequences, added_ms } = *step;
        format!("\n    - {{sequences: {sequences}, added: {}}}", time(added_ms))
    };
    steps.iter().map(item).collect()
}

/// Milliseconds with as many digits as a measurement has, in the unit that shows them best.
fn time(ms: f64) -> String {
    let (value, unit) = match ms {
        0.0 => return "0ms".to_owned(),
        ms if ms >= 1.0 => (ms, "ms"),
        ms if ms >= 1e-3 => (ms * 1e3, "us"),
        ms => (ms * 1e6, "ns"),
    };
    let before = value.log10().floor() as i32 + 1;
    let decimals = usize::try_from(DIGITS as i32 - before).unwrap_or(0).min(12);
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_digits_of_a_measurement_and_a_unit_of_the_fleet_file() {
        let written: Vec<String> = [18.634_21, 123.456, 4_321.9, 0.528_17, 0.09, 9.04e-5, 1.2e-9, 0.0].map(time).into();
        assert_eq!(written, ["18.63ms", "123.5ms", "4322ms", "528.2us", "90us", "90.4ns", "0.0012ns", "0ms"]);
    }
}
