//! `pause`, `override` and `mode`: an operator's orders to a running controller.

use crate::failure::Failure;
use crate::output;
use crate::state_dir::StateArgument;
use crate::whereabouts;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Pause {
    /// The fleet file
    fleet: PathBuf,
    /// How long, for example 10m; 0s ends a pause
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, allow_hyphen_values = true)]
    length: u64,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("bound").args(["at_least", "at_most", "end"]).required(true).multiple(true))]
pub(crate) struct Overriding {
    /// The fleet file
    fleet: PathBuf,
    /// The tier
    tier: String,
    /// Replicas at least
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    at_least: Option<u32>,
    /// Replicas at most; it ends replicas if there are more
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    at_most: Option<u32>,
    /// Until when, for example 2026-12-24T22:00:00Z, or for how long, for example 2h
    #[arg(long, value_name = "TIME", value_parser = until, allow_hyphen_values = true, required_unless_present = "end")]
    until: Option<i64>,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT", required_unless_present = "end")]
    because: Option<String>,
    /// Ends the tier's override instead
    #[arg(long, conflicts_with_all = ["at_least", "at_most", "until", "because"])]
    end: bool,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(clap::Args)]
pub(crate) struct SetMode {
    /// The fleet file
    fleet: PathBuf,
    /// observe: touch and publish nothing; advise: decide and publish; act
    #[arg(value_parser = ["observe", "advise", "act"])]
    mode: String,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn pause(arguments: Pause) -> Result<ExitCode, Failure> {
    let body = json!({ "for_seconds": arguments.length });
    order(&arguments.fleet, &arguments.state, Method::POST, "/v1/pause", &body).await?;
    output::say(format_args!(
        "{}",
        if arguments.length == 0 {
            "the pause is over".to_owned()
        } else {
            format!("paused for {} s", arguments.length)
        }
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn overriding(arguments: Overriding) -> Result<ExitCode, Failure> {
    if arguments.end {
        let path = format!("/v1/override/{}", arguments.tier);
        order(&arguments.fleet, &arguments.state, Method::DELETE, &path, &Value::Null).await?;
        output::say(format_args!("{} has no override any more", arguments.tier))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut body = json!({
        "tier": arguments.tier, "until_us": arguments.until, "because": arguments.because,
    });
    if let (Some(least), Some(most)) = (arguments.at_least, arguments.at_most)
        && least > most
    {
        return Err(Failure::usage(format!("--at-least {least} is more than --at-most {most}")));
    }
    for (key, count) in [("at_least", arguments.at_least), ("at_most", arguments.at_most)] {
        if let Some(count) = count {
            body[key] = json!(count);
        }
    }
    order(&arguments.fleet, &arguments.state, Method::POST, "/v1/override", &body).await?;
    output::say(format_args!("the override of {} is in force", arguments.tier))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn mode(arguments: SetMode) -> Result<ExitCode, Failure> {
    order(&arguments.fleet, &arguments.state, Method::POST, "/v1/mode", &json!({ "mode": arguments.mode })).await?;
    output::say(format_args!("the mode is {}", arguments.mode))?;
    Ok(ExitCode::SUCCESS)
}

async fn order(file: &Path, state: &StateArgument, method: Method, path: &str, body: &Value) -> Result<(), Failure> {
    let place = whereabouts::find(file, state)?;
    let control = place.control()?;
    control.state_of(&place.fleet).await?;
    let answer = control.order(method, path, body, &place.state).await?;
    if let Some(note) = answer["note"].as_str() {
        output::note(format_args!("note: {note}"));
    }
    if answer["durable"] == false {
        output::note("warning: the journal cannot be written, so a restart of the controller would forget this order");
    }
    Ok(())
}

/// Days that a pause or an override lasts at most, as the controller takes them: a longer one is a slip.
const MOST_DAYS: u64 = 366;

/// A number of replicas.
fn count(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of replicas; write a whole number, 0 or more"))
}

/// `90s`, `10m`, `2h` or `1d` as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    length(text).unwrap_or_else(|| Err(format!("`{text}` is no length of time; write it like 90s, 10m or 2h")))
}

/// The same; `None` where the text means no length of time at all.
fn length(text: &str) -> Option<Result<u64, String>> {
    if text.starts_with('-') {
        return Some(Err(format!("`{text}` is negative; a length of time begins now, write it like 90s, 10m or 2h")));
    }
    let unit = text.chars().last()?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = &text[..text.len() - unit.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What no number can hold is too long as well.
    let count: u64 = digits.parse().unwrap_or(u64::MAX);
    let seconds = count.checked_mul(each).filter(|seconds| *seconds <= MOST_DAYS * 86_400);
    Some(seconds.ok_or_else(|| format!("`{text}` is too long; at most {MOST_DAYS} days (`{MOST_DAYS}d`) are taken")))
}

/// A moment ahead (RFC 3339), or a length of time from now, as microseconds UTC.
fn until(text: &str) -> Result<i64, String> {
    until_after(jiff::Timestamp::now(), text)
}

fn until_after(now: jiff::Timestamp, text: &str) -> Result<i64, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        if at <= now {
            return Err(format!(
                "`{text}` is over: it is {now:.0} now; write a moment ahead, or a length of time like 2h"
            ));
        }
        let farthest = i64::try_from(MOST_DAYS * 86_400 * 1_000_000).unwrap_or(i64::MAX);
        if at.as_microsecond() - now.as_microsecond() > farthest {
            return Err(format!("`{text}` is too far ahead; at most {MOST_DAYS} days from now are taken"));
        }
        return Ok(at.as_microsecond());
    }
    match length(text) {
        None => Err(format!("`{text}` is no moment; write it like 2026-12-24T22:00:00Z, or a length of time like 2h")),
        Some(Ok(0)) => Err(format!("`{text}` is over at once; write a length of time like 2h")),
        Some(length) => {
            let micros = i64::try_from(length? * 1_000_000).unwrap_or(i64::MAX);
            Ok(now.as_microsecond().saturating_add(micros))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_carry_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("2h"), Ok(7_200));
        for wrong in ["", "10", "h", "-1s", "1.5h", "3µ", "+3s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_length_beyond_a_year_is_refused_in_days() {
        assert_eq!(seconds("366d"), Ok(366 * 86_400));
        for long in ["367d", "100000d", "18446744073709551615s", "99999999999999999999999d"] {
            assert_eq!(seconds(long), Err(format!("`{long}` is too long; at most 366 days (`366d`) are taken")));
        }
    }

    #[test]
    fn an_override_ends_ahead_of_now() {
        let now: jiff::Timestamp = "2026-12-24T20:00:00Z".parse().unwrap();
        assert_eq!(until_after(now, "2026-12-24T22:00:00Z"), until_after(now, "2h"));
        for (wrong, words) in [
            ("2026-12-24T19:59:59Z", "is over: it is 2026-12-24T20:00:00Z now"),
            ("2026-12-24T20:00:00Z", "is over"),
            ("0s", "over at once"),
            ("-5s", "negative"),
            ("tomorrow", "no moment"),
            ("2h30m", "no moment"),
            ("100000d", "`100000d` is too long; at most 366 days"),
            ("2028-12-24T22:00:00Z", "too far ahead; at most 366 days"),
        ] {
            let refused = until_after(now, wrong).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
