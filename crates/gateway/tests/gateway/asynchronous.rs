//! A tier that answers later: bronze.

use crate::replica::{Behavior, FakeReplica, raw_replica};
use crate::stage::{PATIENCE, Stage, Whole, chat, eventually, fleet};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::{AsynchronousSettings, Fleet};
use evenkeel_gateway::{GatewayError, Options, StateError, bind};
use evenkeel_wire::report::TierReport;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The usual fleet with other settings for bronze.
fn fleet_with(change: impl FnOnce(&mut AsynchronousSettings)) -> Fleet {
    let mut fleet = fleet();
    change(fleet.tiers[2].asynchronous.as_mut().unwrap());
    fleet
}

fn kept_in(directory: &Path) -> Options {
    Options { state_directory: Some(directory.into()), ..Options::default() }
}

/// Puts a request in and returns where its answer will be.
async fn put_in(stage: &Stage) -> String {
    let answer = stage.send(chat("bronze")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let accepted = answer.json();
    let url = accepted["status_url"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(url.as_str()));
    assert_eq!(url, format!("/v1/async/{}", accepted["id"].as_str().unwrap()));
    url
}

/// Waits until the request is `status`.
async fn until(stage: &Stage, url: &str, status: &str) -> Value {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let progress = stage.get(url).await;
            assert_eq!(progress.status, StatusCode::OK);
            let progress = progress.json();
            if progress["status"] == status {
                return progress;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    match waited.await {
        Ok(progress) => progress,
        Err(_) => panic!("never {status}: {}", stage.get(url).await.json()),
    }
}

async fn gone(stage: &Stage, url: &str) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while stage.get(url).await.status != StatusCode::NOT_FOUND {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("the answer was kept for ever");
}

#[tokio::test]
async fn without_its_queue_a_gateway_serves_the_other_tiers_and_tells_nothing_of_this_one() {
    let directory = tempfile::tempdir().unwrap();
    // What a full disk or a foreign file makes of it: it cannot be opened.
    std::fs::create_dir(directory.path().join("gateway-requests.sqlite")).unwrap();
    let replica = FakeReplica::start("g1", Behavior::Answer).await;
    let mut stage = Stage::open_with(&fleet(), kept_in(directory.path())).await;
    stage.route("gold", vec![replica.route()]).await;
    assert_eq!(stage.chat().await.status, StatusCode::OK);
    let refused = stage.send(chat("bronze")).await;
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (StatusCode::SERVICE_UNAVAILABLE, true));
    assert_eq!(stage.get("/v1/async/some-id").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let known: Vec<String> = stage.report().await.tiers.into_iter().map(|tier| tier.tier).collect();
    assert!(
        known.contains(&"gold".to_owned()) && !known.contains(&"bronze".to_owned()),
        "missing is not zero: {known:?}"
    );
}

#[tokio::test]
async fn a_request_is_accepted_at_once_and_its_answer_fetched_by_its_id() {
    let replica = FakeReplica::start("b1", Behavior::Gated).await;
    let mut stage = Stage::open().await;
    stage.route("bronze", vec![replica.route()]).await;
    let url = put_in(&stage).await;
    until(&stage, &url, "running").await;
    replica.let_go(1);
    let done = until(&stage, &url, "succeeded").await;
    assert_eq!(done["tier"], "bronze");
    assert_eq!(done["attempts"], 1);
    assert_eq!(done["result"]["status_code"], 200);
    assert_eq!(done["result"]["body"]["usage"]["completion_tokens"], 5);
    assert_eq!(done["error"], Value::Null);

    let asked = &replica.asked()[0];
    assert_eq!(asked.path, "/v1/chat/completions");
    assert!(String::from_utf8_lossy(&asked.body).contains(r#""model":"served-model""#));
    assert_ne!(put_in(&stage).await, url);
}

#[tokio::test]
async fn requests_wait_as_long_as_there_is_no_replica_and_are_the_tiers_queue_in_the_report() {
    let mut fleet = fleet();
    fleet.gateway.hold = Span::from_millis(100);
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    let (first, second) = (put_in(&stage).await, put_in(&stage).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let bronze = stage.until_tier("bronze", |bronze| bronze.queued == 2).await;
    assert_eq!((bronze.offered, bronze.offered_prompt_tokens, bronze.failed), (2, 8, 0));
    assert!(bronze.oldest_queued_us >= Span::from_millis(300));

    let replica = FakeReplica::start("b1", Behavior::Answer).await;
    stage.route("bronze", vec![replica.route()]).await;
    until(&stage, &first, "succeeded").await;
    let done = until(&stage, &second, "succeeded").await;
    assert!(done["queue_time_us"].as_i64().unwrap() >= 300_000, "{done}");
    let bronze = stage.until_tier("bronze", |bronze| bronze.queued == 0 && bronze.in_flight == 0).await;
    assert_eq!((bronze.succeeded, bronze.output_tokens, bronze.oldest_queued_us), (2, 10, Span::ZERO));
    let waited = bronze.latency.iter().find(|h| h.metric == LatencyMetric::QueueTime).unwrap();
    assert_eq!(waited.counts.iter().sum::<u64>(), 2);
    assert!(waited.sum_us >= Span::from_millis(600), "from acceptance to the hand-over: {:?}", waited.sum_us);
}

#[tokio::test]
async fn a_full_queue_is_429_with_the_time_to_come_back_and_still_offered() {
    let stage = Stage::open().await;
    for _ in 0..3 {
        put_in(&stage).await;
    }
    let refused = stage.send(chat("large")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), Some("3"));
    assert_eq!(refused.json()["error"]["code"], "queue_full");
    let bronze = stage.tier("bronze").await;
    assert_eq!((bronze.offered, bronze.queued, bronze.failed), (4, 3, 1));
}

#[tokio::test]
async fn a_replica_gets_no_more_than_its_places() {
    let replica = FakeReplica::start("b1", Behavior::Gated).await;
    let mut stage = Stage::open().await;
    let urls = [put_in(&stage).await, put_in(&stage).await, put_in(&stage).await];
    stage.route("bronze", vec![replica.route()]).await;
    stage.until_tier("bronze", |bronze| (bronze.in_flight, bronze.queued) == (2, 1)).await;
    eventually("the replica has what fits", || replica.asked().len() == 2).await;
    replica.let_go(3);
    for url in urls {
        until(&stage, &url, "succeeded").await;
    }
}

/// Queue times counted and their sum.
fn queue_times(tier: &TierReport) -> (u64, Span) {
    let waited = tier.latency.iter().find(|histogram| histogram.metric == LatencyMetric::QueueTime).unwrap();
    (waited.counts.iter().sum(), waited.sum_us)
}

#[tokio::test]
async fn queue_time_runs_until_the_hand_over_that_is_answered_and_a_request_that_came_back_is_queued() {
    let mut first = FakeReplica::start("first", Behavior::Gated).await;
    let mut stage = Stage::open().await;
    stage.route("bronze", vec![first.route()]).await;
    let url = put_in(&stage).await;
    let accepted = Instant::now();
    assert_eq!(until(&stage, &url, "running").await["queue_time_us"], Value::Null, "not known before an answer");
    stage.until_tier("bronze", |bronze| (bronze.queued, bronze.in_flight) == (0, 1)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    // Its connection breaks, and from then on no connection is taken.
    first.kill().await;
    assert_eq!(until(&stage, &url, "queued").await["attempts"], 1);
    let bronze = stage.until_tier("bronze", |bronze| bronze.queued == 1).await;
    assert!(bronze.oldest_queued_us >= Span::from_millis(200), "its age counts from its acceptance");
    stage.until_tier("bronze", |bronze| bronze.retried >= 3).await;

    let waited_at_least = accepted.elapsed().as_micros() as i64;
    let second = FakeReplica::start("second", Behavior::Answer).await;
    stage.route("bronze", vec![second.route()]).await;
    let queue_time = until(&stage, &url, "succeeded").await["queue_time_us"].as_i64().unwrap();
    assert!(queue_time >= waited_at_least, "{queue_time} < {waited_at_least}");
    let bronze = stage.until_tier("bronze", |bronze| bronze.succeeded == 1).await;
    assert_eq!(queue_times(&bronze), (1, Span::from_micros(queue_time)), "once, whatever went before");
}

#[tokio::test]
async fn queue_time_runs_on_over_answers_that_tell_an_error() {
    let replica = FakeReplica::start("b1", Behavior::Status(StatusCode::SERVICE_UNAVAILABLE)).await;
    let fleet = fleet_with(|settings| settings.max_attempts = 1_000);
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("bronze", vec![replica.route()]).await;
    let url = put_in(&stage).await;
    let accepted = Instant::now();
    eventually("a second hand-out", || replica.asked().len() > 3).await;
    let waited_at_least = accepted.elapsed().as_micros() as i64;
    replica.behave(Behavior::Answer);
    let done = until(&stage, &url, "succeeded").await;
    assert!(done["attempts"].as_u64().unwrap() >= 2, "{done}");
    assert!(done["queue_time_us"].as_i64().unwrap() >= waited_at_least, "{done}");
    let bronze = stage.until_tier("bronze", |bronze| bronze.succeeded == 1).await;
    assert_eq!(queue_times(&bronze).0, 1);
}

#[tokio::test]
async fn a_request_that_no_replica_takes_costs_no_attempt_and_has_no_queue_time() {
    let mut dead = FakeReplica::start("dead", Behavior::Answer).await;
    dead.kill().await;
    let fleet = fleet_with(|settings| (settings.lease, settings.max_attempts) = (Span::from_millis(200), 1));
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("bronze", vec![dead.route()]).await;
    let url = put_in(&stage).await;
    // Several leases go by meanwhile.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let waiting = until(&stage, &url, "queued").await;
    assert_eq!((&waiting["error"], &waiting["queue_time_us"]), (&Value::Null, &Value::Null));
    let bronze = stage.until_tier("bronze", |bronze| bronze.queued == 1).await;
    assert_eq!((bronze.failed, queue_times(&bronze).0), (0, 0));

    let alive = FakeReplica::start("alive", Behavior::Answer).await;
    stage.route("bronze", vec![alive.route()]).await;
    assert_eq!(until(&stage, &url, "succeeded").await["attempts"], 1);
}

#[tokio::test]
async fn a_probes_first_byte_lets_the_next_request_go_while_its_own_answer_is_still_on_the_way() {
    let mut only = FakeReplica::start("only", Behavior::GatedAfterFirstToken).await;
    only.kill().await;
    let mut stage = Stage::open().await;
    stage.route("bronze", vec![only.route()]).await;
    let urls = [put_in(&stage).await, put_in(&stage).await];
    // Both are handed out, and wait for the replica together.
    stage.until_tier("bronze", |bronze| bronze.retried >= 4 && bronze.queued == 2).await;
    only.revive().await;
    eventually("both are sent before one has ended", || only.asked().len() == 2).await;
    for url in &urls {
        until(&stage, url, "running").await;
    }
    only.let_go(2);
    for url in &urls {
        assert_eq!(until(&stage, url, "succeeded").await["attempts"], 1);
    }
}

#[tokio::test]
async fn the_moment_of_acceptance_outlives_the_gateway_and_nothing_runs_after_its_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut lost = FakeReplica::start("lost", Behavior::Gated).await;
    let mut stage = Stage::open_with(&fleet(), kept_in(directory.path())).await;
    stage.route("bronze", vec![lost.route()]).await;
    let url = put_in(&stage).await;
    let accepted = Instant::now();
    let accepted_at = until(&stage, &url, "running").await["accepted_at_us"].clone();
    let controller = stage.kill().await;
    lost.kill().await;

    let url_of_controller = Some(format!("http://{}", controller.address));
    let options = Options { controller_url: url_of_controller, ..kept_in(directory.path()) };
    let mut again = Stage::open_behind(controller, &fleet(), options).await;
    until(&again, &url, "queued").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let waited_at_least = accepted.elapsed().as_micros() as i64;
    let fresh = FakeReplica::start("fresh", Behavior::Answer).await;
    again.route("bronze", vec![fresh.route()]).await;
    let done = until(&again, &url, "succeeded").await;
    assert_eq!(done["accepted_at_us"], accepted_at);
    // Both gateways read the wall clock once; a millisecond is for what it was adjusted by in between.
    assert!(done["queue_time_us"].as_i64().unwrap() + 1_000 >= waited_at_least, "{done}");
}

#[tokio::test]
async fn an_answer_that_its_last_piece_makes_too_long_is_counted_once() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n";
    let fleet = fleet_with(|settings| settings.result_max_bytes = 9);
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("bronze", vec![raw_replica("b1", chunked).await]).await;
    let url = put_in(&stage).await;
    assert_eq!(until(&stage, &url, "failed").await["error"], "the answer is longer than 9 bytes");
    let bronze = stage.until_tier("bronze", |bronze| bronze.failed == 1).await;
    let ended = bronze.latency.iter().find(|histogram| histogram.metric == LatencyMetric::E2e).unwrap();
    assert_eq!((bronze.offered, bronze.succeeded, bronze.failed, bronze.cancelled), (1, 0, 1, 0));
    assert_eq!(ended.counts.iter().sum::<u64>(), 0, "it did not end well");
}

#[tokio::test]
async fn a_lease_without_an_answer_is_handed_out_again_until_the_attempts_are_used_up() {
    let replica = FakeReplica::start("b1", Behavior::Silence).await;
    let fleet = fleet_with(|settings| settings.lease = Span::from_millis(200));
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("bronze", vec![replica.route()]).await;
    let url = put_in(&stage).await;
    let failed = until(&stage, &url, "failed").await;
    assert_eq!(failed["attempts"], 2);
    assert_eq!(failed["error"], "no answer within 200ms");
    assert_eq!(replica.asked().len(), 2);
    eventually("the replica is told that nobody waits", || replica.abandoned() == 2).await;
    let bronze = stage.until_tier("bronze", |bronze| bronze.in_flight == 0).await;
    assert_eq!((bronze.failed, bronze.cancelled, bronze.succeeded), (1, 0, 0));
}

#[tokio::test]
async fn what_a_replica_refuses_or_says_too_long_is_not_tried_again() {
    let replica = FakeReplica::start("b1", Behavior::Status(StatusCode::UNPROCESSABLE_ENTITY)).await;
    let mut stage = Stage::open().await;
    stage.route("bronze", vec![replica.route()]).await;
    let refused = until(&stage, &put_in(&stage).await, "failed").await;
    assert_eq!(refused["result"]["status_code"], 422);
    replica.behave(Behavior::Large(5_000));
    let long = until(&stage, &put_in(&stage).await, "failed").await;
    assert_eq!(long["error"], "the answer is longer than 4096 bytes");
    assert_eq!(long["result"], Value::Null);
    assert_eq!(replica.asked().len(), 2);
    let bronze = stage.tier("bronze").await;
    assert_eq!((bronze.failed, bronze.succeeded), (1, 0), "the refusal is the client's fault, not ours");
}

#[tokio::test]
async fn a_failing_replica_costs_attempts_and_the_last_answer_is_kept() {
    let replica = FakeReplica::start("b1", Behavior::Status(StatusCode::INTERNAL_SERVER_ERROR)).await;
    let mut stage = Stage::open().await;
    stage.route("bronze", vec![replica.route()]).await;
    let failed = until(&stage, &put_in(&stage).await, "failed").await;
    assert_eq!(failed["attempts"], 2);
    assert_eq!(failed["result"]["status_code"], 500);
    assert_eq!(stage.tier("bronze").await.failed, 1);
}

#[tokio::test]
async fn an_answer_is_kept_only_so_long() {
    let replica = FakeReplica::start("b1", Behavior::Answer).await;
    let fleet = fleet_with(|settings| settings.result_ttl = Span::from_millis(500));
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("bronze", vec![replica.route()]).await;
    let url = put_in(&stage).await;
    stage.until_tier("bronze", |bronze| bronze.succeeded == 1).await;
    gone(&stage, &url).await;
    let unknown: Whole = stage.get("/v1/async/00000000-0000-4000-8000-000000000000").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_killed_gateway_loses_nothing_that_it_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let replica = FakeReplica::start("b1", Behavior::Gated).await;
    let mut stage = Stage::open_with(&fleet(), kept_in(directory.path())).await;
    stage.route("bronze", vec![replica.route()]).await;
    let urls = [put_in(&stage).await, put_in(&stage).await, put_in(&stage).await];
    stage.until_tier("bronze", |bronze| bronze.in_flight == 2 && bronze.queued == 1).await;
    let controller = stage.kill().await;

    replica.behave(Behavior::Answer);
    let url = Some(format!("http://{}", controller.address));
    let options = Options { controller_url: url, ..kept_in(directory.path()) };
    let again = Stage::open_behind(controller, &fleet(), options).await;
    let mut attempts = Vec::new();
    for url in urls {
        attempts.push(until(&again, &url, "succeeded").await["attempts"].as_u64().unwrap());
    }
    assert_eq!(attempts, [2, 2, 1], "the two under way are carried out again");
}

#[tokio::test]
async fn a_gateway_that_ends_in_order_hands_back_what_does_not_end_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let replica = FakeReplica::start("b1", Behavior::Gated).await;
    let options = Options { shutdown_limit: Some(Duration::from_millis(100)), ..kept_in(directory.path()) };
    let mut stage = Stage::open_with(&fleet(), options).await;
    stage.route("bronze", vec![replica.route()]).await;
    let url = put_in(&stage).await;
    until(&stage, &url, "running").await;
    let controller = stage.shut_down().await;

    replica.behave(Behavior::Answer);
    let again = Stage::open_behind(controller, &fleet(), kept_in(directory.path())).await;
    // Served by the kept routes: no controller is named.
    assert_eq!(until(&again, &url, "succeeded").await["attempts"], 1);
}

#[tokio::test]
async fn the_queue_is_readable_by_its_owner_only_and_holds_no_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let stage = Stage::open_with(&fleet(), kept_in(directory.path())).await;
    let mut request = chat("bronze");
    request.headers_mut().insert("authorization", "Bearer of-the-client".parse().unwrap());
    assert_eq!(stage.send(request).await.status, StatusCode::ACCEPTED);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        let content = std::fs::read(entry.path()).unwrap();
        assert!(memchr::memmem::find(&content, b"of-the-client").is_none(), "{name}");
        files.push(name);
    }
    assert!(files.iter().any(|name| name.ends_with(".sqlite")), "{files:?}");
    assert!(files.iter().any(|name| name.ends_with("-wal")), "{files:?}");
}

#[tokio::test]
async fn only_post_can_be_put_in() {
    let stage = Stage::open().await;
    let get = Request::get("/t/bronze/v1/files").body(Full::default()).unwrap();
    assert_eq!(stage.send(get).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn two_gateways_never_share_a_state_directory_and_an_asynchronous_tier_needs_one() {
    let directory = tempfile::tempdir().unwrap();
    let _stage = Stage::open_with(&fleet(), kept_in(directory.path())).await;
    let second = bind(&fleet(), kept_in(directory.path())).await.unwrap_err();
    assert!(matches!(second, GatewayError::State { error: StateError::InUse, .. }), "{second}");
    let none = bind(&fleet(), Options::default()).await.unwrap_err();
    assert!(none.to_string().contains("tier `bronze` is asynchronous"), "{none}");
}
