//! `pause`, `override` and `mode`: an operator's orders to a running controller.

use crate::control::Control;
use crate::failure::Failure;
use crate::fleet_file;
use crate::state_dir::StateArgument;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Pause {
    /// The fleet file
    fleet: PathBuf,
    /// How long, for example 10m; 0s ends a pause
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    length: u64,
    #[command(flatten)]
    state: StateArgument,
}

#[derive(clap::Args)]
pub(crate) struct Overriding {
    /// The fleet file
    fleet: PathBuf,
    /// The tier
    tier: String,
    /// Replicas at least
    #[arg(long, value_name = "N", required_unless_present = "at_most")]
    at_least: Option<u32>,
    /// Replicas at most; it ends replicas if there are more
    #[arg(long, value_name = "N")]
    at_most: Option<u32>,
    /// Until when, for example 2026-12-24T22:00:00Z, or for how long, for example 2h
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Why, for those who read it later
    #[arg(long, value_name = "TEXT")]
    because: String,
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
    order(&arguments.fleet, &arguments.state, "/v1/pause", &body).await?;
    println!(
        "{}",
        if arguments.length == 0 {
            "the pause is over".to_owned()
        } else {
            format!("paused for {} s", arguments.length)
        }
    );
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn overriding(arguments: Overriding) -> Result<ExitCode, Failure> {
    let mut body = json!({
        "tier": arguments.tier, "until_us": until(&arguments.until)?, "because": arguments.because,
    });
    for (key, count) in [("at_least", arguments.at_least), ("at_most", arguments.at_most)] {
        if let Some(count) = count {
            body[key] = json!(count);
        }
    }
    order(&arguments.fleet, &arguments.state, "/v1/override", &body).await?;
    println!("the override of {} is in force", arguments.tier);
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn mode(arguments: SetMode) -> Result<ExitCode, Failure> {
    order(&arguments.fleet, &arguments.state, "/v1/mode", &json!({ "mode": arguments.mode })).await?;
    println!("the mode is {}", arguments.mode);
    Ok(ExitCode::SUCCESS)
}

async fn order(fleet: &Path, state: &StateArgument, path: &str, body: &Value) -> Result<(), Failure> {
    let fleet = fleet_file::load(fleet)?;
    let state = state.of(&fleet.spec.name)?;
    let control = Control::of(&fleet)?;
    let answering = control.get("/v1/state").await?;
    if answering["fleet"].as_str() != Some(fleet.spec.name.as_str()) {
        let other = answering["fleet"].as_str().unwrap_or("another one");
        let why = format!("at {} runs the controller of {other}, not of {}", fleet.controller.listen, fleet.spec.name);
        return Err(Failure::refused(why));
    }
    control.post(path, body, &state).await.map(|_| ())
}

/// `90s`, `10m`, `2h` or `1d` as seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no length of time; write it like 90s, 10m or 2h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    count.checked_mul(each).ok_or_else(wrong)
}

/// A moment (RFC 3339), or a length of time from now, as microseconds UTC.
fn until(text: &str) -> Result<i64, Failure> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_microsecond());
    }
    let length = seconds(text).map_err(|_| {
        Failure::usage(format!(
            "`{text}` is no moment; write it like 2026-12-24T22:00:00Z, or a length of time like 2h"
        ))
    })?;
    let length = i64::try_from(length).unwrap_or(i64::MAX / 2_000_000).saturating_mul(1_000_000);
    Ok(jiff::Timestamp::now().as_microsecond().saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_carry_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("2h"), Ok(7_200));
        for wrong in ["", "10", "h", "-1s", "1.5h", "3µ"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
