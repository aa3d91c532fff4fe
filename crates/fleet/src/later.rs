//! What other fleets' files or later versions hold: refused by name, never ignored and never called a typing error.

use crate::place::Place;
use crate::report::{Report, child, item};
use crate::yaml::{Kind, Node};

/// Keys and words whose behavior is not built yet.
const LATER: [(&str, &str); 22] = [
    ("quota", "limit replicas with `shared: {maximum: ...}` and `replicas: {maximum: ...}` until then"),
    ("budget", "limit replicas with `shared: {maximum: ...}` and `replicas: {maximum: ...}` until then"),
    ("degrade_to", "a tier without room answers 503 until then"),
    ("ecs", "only `backend: {local: ...}` is available"),
    ("sagemaker", "only `backend: {local: ...}` is available"),
    ("kubernetes", "only `backend: {local: ...}` is available"),
    ("forecast", "a `schedule` policy adds replicas ahead of time until then"),
    ("forecasts", "a `schedule` policy adds replicas ahead of time until then"),
    ("predictive", "a `schedule` policy adds replicas ahead of time until then"),
    ("step_scaling", "`target_tracking` with `behavior` comes nearest until then"),
    ("warm_pool", "keep `replicas: {minimum: ...}` above zero until then"),
    ("spot", "prices are on demand until then"),
    ("response_cache_hits", "`prefix_cache_miss` is the cache signal that is available"),
    ("response_cache", "`prefix_cache_miss` is the cache signal that is available"),
    ("cache_hits", "`prefix_cache_miss` is the cache signal that is available"),
    ("sqs", "an `asynchronous` tier keeps its own durable queue"),
    ("nats", "events go to `stdout`, `file` and `webhook`"),
    ("eventbridge", "events go to `stdout`, `file` and `webhook`"),
    ("prometheus", "engine metrics are read from the replicas themselves"),
    ("cloudwatch", "engine metrics are read from the replicas themselves"),
    ("regions", "a fleet has one region"),
    ("steps", "capacity attainment is judged by the excess over ready capacity"),
];

/// The fix for a key or word that is known but not available yet.
pub(crate) fn not_yet(word: &str) -> Option<&'static str> {
    LATER.iter().find(|(name, _)| *name == word).map(|(_, fix)| *fix)
}

/// Named by many guides, existing nowhere.
const FAKE_METRIC: &str = "ECSServiceAverageGPUUtilization";

/// Reports the fake metric wherever it is written, and blanks it out so that no other rule reports it again.
pub(crate) fn refuse_fake_metric(node: &mut Node, path: &str, report: &mut Report) {
    match &mut node.kind {
        Kind::Text(text) if text == FAKE_METRIC => {
            report_fake_metric(report, path, node.place);
            node.kind = Kind::Refused;
        }
        Kind::List(items) => {
            for (index, node) in items.iter_mut().enumerate() {
                refuse_fake_metric(node, &item(path, index), report);
            }
        }
        Kind::Map(entries) => {
            entries.retain_mut(|entry| {
                let path = child(path, &entry.key);
                if entry.key == FAKE_METRIC {
                    report_fake_metric(report, &path, entry.place);
                }
                refuse_fake_metric(&mut entry.value, &path, report);
                entry.key != FAKE_METRIC
            });
        }
        Kind::Empty | Kind::Flag(_) | Kind::Number(_) | Kind::Text(_) | Kind::Refused => {}
    }
}

fn report_fake_metric(report: &mut Report, path: &str, place: Place) {
    let message = format!("`{FAKE_METRIC}` does not exist: Application Auto Scaling has no predefined GPU metric type");
    let help =
        "write `signal: gpu_utilization`; on ECS it takes a customized metric specification, which Evenkeel fills in";
    report.problem_at(place, path, message, help);
}
