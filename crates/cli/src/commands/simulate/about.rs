//! What a report tells of the comparison that the runs do not know.

use super::choices::ModelName;
use super::report::About;
use super::{Arguments, MOST_REPLICAS};
use crate::command_line;
use evenkeel_core::spec::{RequestShape, TierSpec};
use evenkeel_core::units::Span;
use evenkeel_sim::cloud::{Cloud, Pipeline};
use evenkeel_sim::setting::Setting;

const FLUID: &str = "queues (what exceeds the ready replicas is turned away at once), latencies, drains; troubles of a cloud that `--weather`, \
     `--spot` and `--metrics` do not state";
const REQUESTS: &str = "the network; troubles of a cloud that `--weather`, `--spot` and `--metrics` do not state";

/// What was asked for, with what the fleet file gave where nothing was.
pub(super) fn about(
    arguments: &Arguments,
    spec: &TierSpec,
    setting: &Setting,
    cloud: &Cloud,
    warnings: &[String],
) -> About {
    let (model, left_out) = match arguments.model {
        ModelName::Fluid => ("fluid: demand and replicas as rates", FLUID),
        ModelName::Requests => ("requests: each through the gateway\u{2019}s queue and an engine", REQUESTS),
    };
    About {
        tier: spec.name.clone(),
        trace: arguments.series.in_words(),
        begins_seconds: arguments.part.from.as_secs_f64(),
        parameters: parameters(arguments, spec, setting, model)
            .into_iter()
            .chain([("lengths", lengths(&spec.requests)), ("metrics", metrics(cloud))])
            .collect(),
        command: command_line::given(),
        left_out,
        warnings: warnings.to_vec(),
    }
}

fn lengths(requests: &RequestShape) -> String {
    let [prompts, outputs] = [requests.prompt_tokens.mean, requests.output_tokens.mean];
    format!("prompts of {prompts:.0} tokens and answers of {outputs:.0} on average")
}

/// How Evenkeel reads what is offered.
fn metrics(cloud: &Cloud) -> String {
    let (pipeline, name) = (cloud.pipeline, cloud.pipeline.name());
    let stale = cloud.freshness.map_or_else(String::new, |limit| format!(", stale after {limit}"));
    match pipeline {
        Pipeline::Direct => format!("{name}: each step's at once"),
        _ => format!("{name}: each {}, readable {} later{stale}", pipeline.period(), pipeline.delay()),
    }
}

fn parameters(arguments: &Arguments, spec: &TierSpec, setting: &Setting, model: &str) -> Vec<(&'static str, String)> {
    let most = match spec.maximum {
        MOST_REPLICAS => "no maximum".to_owned(),
        maximum => format!("{maximum} at most"),
    };
    let history = Span::from_micros(setting.slot.as_micros() * setting.scored_from as i64);
    let given = |time: Option<Span>| time.map_or("none".to_owned(), |time| time.to_string());
    let scaled = arguments.mean_replicas.map_or("as it is".to_owned(), |mean| format!("to {mean} replicas on average"));
    let violation = match setting.violation {
        evenkeel_sim::oracle::Violation::Excess => "excess: only what exceeds the ready replicas",
        evenkeel_sim::oracle::Violation::Step => "step: all demand of a step that is short",
    };
    vec![
        ("fleet file", arguments.fleet.display().to_string()),
        ("series", arguments.series.in_words()),
        ("seed", arguments.seed.to_string()),
        ("program", format!("evenkeel {}", env!("CARGO_PKG_VERSION"))),
        ("attainment asked for", format!("{} %", 100.0 * spec.attainment)),
        ("violated is", violation.to_owned()),
        ("model", model.to_owned()),
        ("patience of players", given(arguments.patience)),
        ("demand scaled", scaled),
        ("step", setting.slot.to_string()),
        ("history, not scored", history.to_string()),
        ("start-up", spec.start_up.to_string()),
        ("replicas", format!("{} at least, {most}", spec.minimum)),
        ("price", arguments.cloud.price_in_words(spec.price_per_hour.as_usd_f64())),
        ("noise of a coarse series", format!("{} of its mean, in steps of 5 s", arguments.noise)),
    ]
}
