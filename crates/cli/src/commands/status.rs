//! `evenkeel status FLEET`: how a running fleet is.

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::state_dir::StateArgument;
use crate::whereabouts;
use evenkeel_core::units::Time;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let place = whereabouts::find(&arguments.fleet, &arguments.state)?;
    let state = place.control()?.state_of(&place.fleet).await?;
    match format {
        Format::Json => output::json(&state)?,
        Format::Table => print(&state)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(state: &Value) -> Result<(), Failure> {
    output::say(format_args!(
        "{}: mode {}, {:.2} USD/h",
        text(&state["fleet"]),
        text(&state["mode"]),
        state["cost_usd_per_hour"].as_f64().unwrap_or(0.0)
    ))?;
    for line in notices(state) {
        output::say(line)?;
    }
    let mut table = output::table(&[
        "tier",
        "desired",
        "ready",
        "starting",
        "draining",
        "failed",
        "demand",
        "requests/s",
        "waiting",
    ]);
    for tier in list(&state["tiers"]) {
        let supply = &tier["decision"]["supply"];
        let figure = |value: &Value| value.as_f64().map_or_else(|| "no data".to_owned(), |it| format!("{it:.2}"));
        table.add_row([
            text(&tier["tier"]),
            text(&tier["decision"]["desired"]),
            text(&supply["ready"]),
            text(&supply["starting"]),
            text(&supply["draining"]),
            text(&supply["failed"]),
            figure(&tier["demand_replicas"]),
            figure(&tier["requests_per_second"]),
            waiting(&tier["signals"]["queue_depth"]),
        ]);
    }
    output::say(table)?;
    // Below, for a sentence in a column would make every row wider than a terminal.
    list(&state["tiers"])
        .try_for_each(|tier| output::say(format_args!("{}: {}", text(&tier["tier"]), text(&tier["explanation"]))))
}

/// How many wait, as far as that is counted.
fn waiting(reading: &Value) -> String {
    let counted = |kind: &str| reading[kind]["value"].as_u64();
    let in_part = || counted("at_least").map(|it| format!(">= {it}"));
    counted("fresh").map(|it| it.to_string()).or_else(in_part).unwrap_or_else(|| "no data".to_owned())
}

/// What is not as it always is, a line each: orders in force, and what is wrong.
fn notices(state: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let (mode, in_file) = (&state["mode"], &state["mode_in_file"]);
    if mode != in_file {
        lines.push(format!("mode {} is in force; the fleet file says {}", text(mode), text(in_file)));
    }
    let refused = state["reload_refused"].as_str();
    lines.extend(refused.map(|why| format!("the fleet file was changed and is not in force: {}", why.trim_end())));
    lines.extend(state["stopping"].as_str().map(|how_far| format!("being stopped: {how_far}")));
    lines.extend(moment(&state["paused_until_us"]).map(|until| format!("paused until {until}")));
    lines.extend(list(&state["tiers"]).flat_map(tier_notices));
    if state["holds_fleet"] == false {
        // It writes no journal, which is as it should be.
        lines.push("another controller holds this fleet: this one decides and shows, and does nothing".to_owned());
    } else {
        lines.extend(journal_notice(&state["journal"]));
    }
    let (ours, obeyed) = (&state["epoch"], &state["gateway_applied"]["epoch"]);
    if obeyed.as_u64() > ours.as_u64() && ours.is_u64() {
        lines.push(format!(
            "the gateway obeys a controller of epoch {obeyed}, this one has {ours}: requests do not follow what is decided here"
        ));
    }
    let problems = list(&state["sources"]).filter_map(|source| Some((&source["name"], source["problem"].as_str()?)));
    lines.extend(problems.map(|(name, problem)| format!("source {}: {problem}", text(name))));
    lines.extend(list(&state["strays"]).map(|stray| {
        let (replica, tier) = (text(&stray["replica"]), text(&stray["tier"]));
        format!("replica {replica} runs on, but the fleet file has no tier {tier}: what it costs is in no sum here")
    }));
    lines
}

fn tier_notices(tier: &Value) -> Vec<String> {
    let (name, operator) = (text(&tier["tier"]), &tier["operator"]);
    let override_until = moment(&operator["until"]).map(|until| {
        let bound = |key: &str, words: &str| operator[key].as_u64().map(|count| format!("{words} {count} "));
        let bounds = [bound("at_least", "at least"), bound("at_most", "at most")].into_iter().flatten();
        format!("{name}: override {}until {until}: {}", bounds.collect::<String>(), text(&operator["because"]))
    });
    let refused = tier["refused"].as_str().map(|why| format!("{name}: the last order was refused: {why}"));
    let signals = &tier["signals"];
    let share = &signals["error_share"]["fresh"]["value"];
    let failed = share["part"].as_u64().filter(|&failed| failed > 0);
    let failing =
        failed.map(|failed| format!("{name}: {failed} of {} requests that ended just now failed", share["whole"]));
    let in_part = signals["in_flight"]["at_least"].is_object().then(|| {
        format!("{name}: an earlier gateway still ends its answers, so more may wait and be inside than is counted")
    });
    override_until.into_iter().chain(refused).chain(failing).chain(in_part).collect()
}

fn journal_notice(journal: &Value) -> Option<String> {
    let problem = journal["problem"].as_str();
    if journal["writable"] == false {
        // At first it is only seen that nothing was written for long, and not yet why.
        let why = problem.map_or_else(String::new, |why| format!(": {why}"));
        return Some(format!("the journal cannot be written, so nothing shrinks{why}"));
    }
    problem.map(|why| format!("the journal is written again; since the controller's start it had a problem: {why}"))
}

fn moment(value: &Value) -> Option<String> {
    value.as_i64().map(|at| output::moment(Time::from_micros(at)))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_waits_is_counted_in_whole_or_in_part_or_not_known() {
        let reading = |kind: &str| json!({kind: {"value": 3, "at": 1}});
        assert_eq!(["fresh", "at_least", "stale"].map(|kind| waiting(&reading(kind))), ["3", ">= 3", "no data"]);
    }

    #[test]
    fn whatever_is_not_as_always_is_told_in_a_line() {
        let quiet = json!({
            "mode": "act", "mode_in_file": "act", "holds_fleet": true, "reload_refused": null,
            "epoch": 7, "gateway_applied": {"epoch": 7, "number": 1},
            "stopping": null, "paused_until_us": null, "journal": {"writable": true, "problem": null}, "strays": [],
            "tiers": [{"tier": "gold", "operator": null, "refused": null}],
            "sources": [{"name": "gateway", "problem": null}],
        });
        assert_eq!(notices(&quiet), [""; 0]);
        let mended = json!({"journal": {"writable": true, "problem": "it was set aside"}});
        assert_eq!(
            notices(&mended),
            ["the journal is written again; since the controller's start it had a problem: it was set aside"]
        );
        let fenced = json!({"holds_fleet": false, "journal": {"writable": false, "problem": null}});
        let words = "another controller holds this fleet: this one decides and shows, and does nothing";
        assert_eq!(notices(&fenced), [words], "no word of a disk");
        let unexplained = json!({"journal": {"writable": false, "problem": null}});
        assert_eq!(notices(&unexplained), ["the journal cannot be written, so nothing shrinks"]);
        let loud = json!({
            "mode": "observe", "mode_in_file": "act", "holds_fleet": true, "reload_refused": "line 3: no number\n",
            "epoch": 7, "gateway_applied": {"epoch": 9, "number": 1},
            "stopping": "draining", "paused_until_us": 1_000_000, "journal": {"writable": false, "problem": "disk full"},
            "strays": [{"tier": "copper", "replica": "a"}],
            "tiers": [{
                "tier": "gold", "refused": "no GPU",
                "operator": {"at_least": 5, "at_most": null, "until": 2_000_000, "because": "launch day"},
                "signals": {
                    "error_share": {"fresh": {"value": {"part": 2, "whole": 9}, "at": 1}},
                    "in_flight": {"at_least": {"value": 3, "at": 1}},
                },
            }],
            "sources": [{"name": "gateway", "problem": "refused"}],
        });
        assert_eq!(
            notices(&loud),
            [
                "mode observe is in force; the fleet file says act",
                "the fleet file was changed and is not in force: line 3: no number",
                "being stopped: draining",
                "paused until 1970-01-01 00:00:01Z",
                "gold: override at least 5 until 1970-01-01 00:00:02Z: launch day",
                "gold: the last order was refused: no GPU",
                "gold: 2 of 9 requests that ended just now failed",
                "gold: an earlier gateway still ends its answers, so more may wait and be inside than is counted",
                "the journal cannot be written, so nothing shrinks: disk full",
                "the gateway obeys a controller of epoch 9, this one has 7: requests do not follow what is decided here",
                "source gateway: refused",
                "replica a runs on, but the fleet file has no tier copper: what it costs is in no sum here",
            ]
        );
    }
}
