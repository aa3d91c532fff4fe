//! A fleet file that changes while the gateway runs.

use crate::replica::{Behavior, FakeReplica};
use crate::stage::{PATIENCE, Stage, chat, eventually};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_gateway::Options;
use evenkeel_wire::report::TierReport;
use http::StatusCode;
use std::time::Duration;

/// A gateway beside the fleet file that it looks at.
struct Reloading {
    stage: Stage,
    file: tempfile::NamedTempFile,
}

const START: &str =
    "fleet: game\ngateway:\n  listen: 127.0.0.1:0\n  max_body: 64KiB\n  hold: {requests: 4, time: 30s}\n";

fn tier(name: &str, model: &str) -> String {
    format!(
        "  {name}:
    model: {model}
    replicas: {{minimum: 0, maximum: 4}}
    price: $1/hour
    slo: {{attainment: 95%, objectives: [{{queue_time: {{p95: 60s}}}}]}}
    requests:
      prompt_tokens: {{mean: 300, sigma: 0.8}}
      output_tokens: {{mean: 150, sigma: 0.8}}
      per_player: 5/hour
    profile:
      source: estimate
      iteration: 160ms
      per_sequence: 45ms
      per_prefill_token: 45ms
      max_batched_tokens: 512
      max_sequences: 8
      kv_tokens: 32768
      max_model_tokens: 4096
    start_up: 3s
    policies: [{{backlog_per_replica: {{target: 2}}}}]
    backend: {{local: {{command: [server, --port, \"{{port}}\"]}}}}
"
    )
}

fn file(tiers: &[(&str, &str)]) -> String {
    let tiers: String = tiers.iter().map(|(name, model)| tier(name, model)).collect();
    format!("{START}tiers:\n{tiers}")
}

const BOTH: [(&str, &str); 2] = [("gold", "small"), ("silver", "middle")];

impl Reloading {
    async fn open(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let fleet = evenkeel_fleet::read(text, "fleet.yaml").unwrap();
        let options = Options { fleet_file: Some(file.path().into()), ..Options::default() };
        Self { stage: Stage::open_with(&fleet, options).await, file }
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file.path(), text).unwrap();
    }

    /// The tiers listed, with their models.
    async fn models(&self) -> Vec<(String, String)> {
        let models = self.stage.get("/v1/models").await.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        models["data"].as_array().unwrap().iter().map(|model| (text(&model["tier"]), text(&model["id"]))).collect()
    }

    /// Waits until these tiers are listed.
    async fn until_models(&self, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(tier, model)| ((*tier).to_owned(), (*model).to_owned())).collect();
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.models().await != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "{:?} and never {expected:?}", self.models().await);
    }

    /// Waits until the metrics tell whether all of the file is in force.
    async fn until_file_in_force(&self, in_force: u8) {
        let line = format!("evenkeel_gateway_fleet_file_in_force {in_force}");
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let metrics = String::from_utf8(self.stage.get("/metrics").await.body.to_vec()).unwrap();
                if metrics.lines().any(|known| known == line) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "never: {line}");
    }
}

#[tokio::test]
async fn a_new_tier_serves_whether_its_routes_or_the_file_came_first() {
    let replica = FakeReplica::start("s1", Behavior::Answer).await;
    let mut reloading = Reloading::open(&file(&BOTH[..1])).await;
    assert_eq!(reloading.stage.send(chat("silver")).await.status, StatusCode::NOT_FOUND);
    reloading.stage.route("silver", vec![replica.route()]).await;
    reloading.write(&file(&BOTH));
    reloading.until_models(&BOTH).await;
    assert_eq!(reloading.stage.send(chat("silver")).await.header("x-evenkeel-replica"), Some("s1"));

    reloading.write(&file(&[BOTH[0], BOTH[1], ("iron", "tiny")]));
    reloading.until_models(&[BOTH[0], BOTH[1], ("iron", "tiny")]).await;
    let held = reloading.stage.begin_apart(chat("iron"));
    reloading.stage.until_tier("iron", |iron| iron.queued == 1).await;
    let late = FakeReplica::start("i1", Behavior::Answer).await;
    reloading.stage.route("iron", vec![late.route()]).await;
    assert_eq!(held.await.unwrap().header("x-evenkeel-replica"), Some("i1"));
}

#[tokio::test]
async fn a_removed_tier_is_unknown_at_once_and_what_is_in_it_ends_well() {
    let replica = FakeReplica::start("s1", Behavior::Gated).await;
    let mut reloading = Reloading::open(&file(&BOTH)).await;
    reloading.stage.route("silver", vec![replica.route()]).await;
    let answers: Vec<_> = (0..3).map(|_| reloading.stage.begin_apart(chat("silver"))).collect();
    reloading.stage.until_tier("silver", |silver| (silver.in_flight, silver.queued) == (2, 1)).await;

    reloading.write(&file(&BOTH[..1]));
    reloading.until_models(&BOTH[..1]).await;
    let refused = reloading.stage.send(chat("silver")).await;
    assert_eq!(
        (refused.status, refused.json()["error"]["code"].as_str()),
        (StatusCode::NOT_FOUND, Some("model_not_found"))
    );
    let silver = reloading.stage.tier("silver").await;
    assert_eq!((silver.in_flight, silver.queued), (2, 1), "still told, so that its replicas are let finish");

    replica.let_go(3);
    for answer in answers {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
    reloading.stage.until(|report| report.tiers.iter().all(|tier| tier.tier != "silver")).await;
}

#[tokio::test]
async fn a_tier_that_comes_back_before_it_was_empty_goes_on_where_it_was() {
    let replica = FakeReplica::start("s1", Behavior::Gated).await;
    let mut reloading = Reloading::open(&file(&BOTH)).await;
    reloading.stage.route("silver", vec![replica.route()]).await;
    let kept = reloading.stage.begin_apart(chat("silver"));
    eventually("the replica has it", || replica.asked().len() == 1).await;
    reloading.write(&file(&BOTH[..1]));
    reloading.until_models(&BOTH[..1]).await;
    reloading.write(&file(&BOTH));
    reloading.until_models(&BOTH).await;
    replica.let_go(2);
    assert_eq!(kept.await.unwrap().status, StatusCode::OK);
    assert_eq!(reloading.stage.send(chat("silver")).await.status, StatusCode::OK);
    assert_eq!(reloading.stage.tier("silver").await.offered, 2);
}

#[tokio::test]
async fn limits_change_for_what_already_waits_and_for_what_comes() {
    let reloading = Reloading::open(&file(&BOTH)).await;
    let held = reloading.stage.begin_apart(chat("gold"));
    reloading.stage.until_tier("gold", |gold| gold.queued == 1).await;
    let tighter = file(&BOTH).replace("time: 30s", "time: 1s").replace("max_body: 64KiB", "max_body: 64B");
    reloading.write(&tighter);
    let answer = held.await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("within 1s"));
    assert_eq!(reloading.stage.send(chat("gold")).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

fn queue_time_edges(tier: &TierReport) -> &[Span] {
    &tier.latency.iter().find(|histogram| histogram.metric == LatencyMetric::QueueTime).unwrap().edges_us
}

#[tokio::test]
async fn a_model_and_an_objective_change_without_a_request_lost() {
    let replica = FakeReplica::start("g1", Behavior::Gated).await;
    let mut reloading = Reloading::open(&file(&BOTH[..1])).await;
    reloading.stage.route("gold", vec![replica.route()]).await;
    let kept = reloading.stage.begin_apart(chat("small"));
    eventually("the replica has it", || replica.asked().len() == 1).await;
    reloading.write(&file(&[("gold", "large")]).replace("p95: 60s", "p95: 7s"));
    reloading.until_models(&[("gold", "large")]).await;
    let gold = reloading.stage.tier("gold").await;
    assert!(queue_time_edges(&gold).contains(&Span::from_secs(7)));
    replica.let_go(2);
    assert_eq!(kept.await.unwrap().status, StatusCode::OK);
    assert_eq!(reloading.stage.send(chat("small")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(reloading.stage.send(chat("large")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_unsound_file_keeps_the_old_one_in_force_and_is_told() {
    let reloading = Reloading::open(&file(&BOTH)).await;
    reloading.until_file_in_force(1).await;
    let unsound =
        [file(&BOTH).replace("maximum: 4", "maximum: four"), file(&BOTH).replace("fleet: game", "fleet: other")];
    for text in unsound {
        reloading.write(&text);
        reloading.until_file_in_force(0).await;
        assert_eq!(reloading.models().await.len(), 2);
        reloading.write(&file(&BOTH));
        reloading.until_file_in_force(1).await;
    }
    std::fs::remove_file(reloading.file.path()).unwrap();
    reloading.until_file_in_force(0).await;
    assert_eq!(reloading.models().await.len(), 2);
}

#[tokio::test]
async fn what_needs_a_restart_waits_for_it_and_the_rest_is_taken_over() {
    let reloading = Reloading::open(&file(&BOTH[..1])).await;
    let bronze = tier("bronze", "huge") + "    asynchronous: {max_queued: 10, lease: 60s, max_attempts: 2}\n";
    reloading.write(&(file(&BOTH) + &bronze));
    reloading.until_models(&BOTH).await;
    reloading.until_file_in_force(0).await;
    assert_eq!(reloading.stage.send(chat("bronze")).await.status, StatusCode::NOT_FOUND);
    reloading.write(&file(&BOTH));
    reloading.until_file_in_force(1).await;
    let elsewhere = file(&[BOTH[0], ("silver", "other")]).replace("127.0.0.1:0", "127.0.0.1:9");
    reloading.write(&elsewhere);
    reloading.until_models(&[BOTH[0], ("silver", "other")]).await;
    reloading.until_file_in_force(0).await;
    reloading.write(&file(&BOTH));
    reloading.until_file_in_force(1).await;
}
