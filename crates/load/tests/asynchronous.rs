//! Tiers that accept first and answer later.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use evenkeel_core::spec::LatencyMetric;
use evenkeel_fleet::model::Criterion;
use evenkeel_load::summary::{Observed, Verdict};
use evenkeel_load::{Options, Plan};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use support::{Asked, Reply, Server, failures, fleet, options, plan, run, tier};

const ANSWER: &str = r#"{"status":"succeeded","queue_time_us":1500,
    "result":{"status_code":200,"body":{"usage":{"completion_tokens":12}}}}"#;

fn bronze_plan() -> Plan {
    let drained = Criterion::QueueDrained { tier: "bronze".to_owned() };
    plan(fleet(vec![tier("bronze", true)], vec![drained]), 10.0, 1_000)
}

/// A server that accepts, then answers each look at a status by how many looks came before it.
async fn accepting(look: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Server {
    let looks: Mutex<BTreeMap<String, usize>> = Mutex::default();
    Server::start(move |asked: &Asked| {
        if asked.method == "POST" {
            let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
            assert_eq!(body["stream"], false);
            return Reply::Json(202, format!(r#"{{"status_url":"/v1/async/{}"}}"#, asked.number));
        }
        let mut looks = looks.lock().unwrap();
        let count = looks.entry(asked.path.clone()).or_default();
        *count += 1;
        look(*count - 1)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_request_is_asked_after_until_it_is_answered() {
    let server = accepting(|looks| match looks {
        0 => Reply::Json(202, String::new()),
        1 => Reply::Json(200, r#"{"status":"running"}"#.to_owned()),
        _ => Reply::Json(200, ANSWER.to_owned()),
    })
    .await;
    let summary = run(bronze_plan(), &server, options()).await;
    let bronze = &summary.tiers[0];
    assert!(bronze.accepted_requests > 0);
    assert_eq!((bronze.accepted_requests, bronze.failed_requests), (bronze.succeeded_requests, 0));
    assert_eq!(bronze.output_tokens, 12 * bronze.succeeded_requests);
    // Three looks, none before 250 ms.
    assert!(bronze.latency[&LatencyMetric::E2e].p50_ms >= 749.0);
    assert!((bronze.latency[&LatencyMetric::QueueTime].max_ms - 1.5).abs() < 0.01);
    assert_eq!(summary.criteria[0].verdict, Verdict::Passed);
    let asked = server.asked.lock().unwrap();
    assert_eq!(asked.len() as u64, 4 * bronze.accepted_requests, "one POST and three looks each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_restarts_between_two_looks_loses_nothing() {
    let server = accepting(|looks| match looks {
        0 => Reply::Close,
        1 => Reply::Json(503, "{}".to_owned()),
        _ => Reply::Json(200, ANSWER.to_owned()),
    })
    .await;
    let summary = run(bronze_plan(), &server, options()).await;
    assert_eq!(summary.tiers[0].failed_requests, 0);
    assert_eq!(summary.criteria[0].verdict, Verdict::Passed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_worked_off_fails_its_criterion() {
    let server = accepting(|_| Reply::Json(202, String::new())).await;
    let options = Options { drain: Duration::from_secs(1), ..options() };
    let summary = run(bronze_plan(), &server, options).await;
    let bronze = &summary.tiers[0];
    assert_eq!(failures(bronze), BTreeMap::from([("unfinished", bronze.offered_requests)]));
    assert_eq!(summary.criteria[0].verdict, Verdict::Failed);
    assert_eq!(summary.criteria[0].observed, Some(Observed::UnansweredRequests(bronze.accepted_requests)));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_loss_and_later_failure_are_told_apart() {
    let full = Server::start(|_| Reply::Json(429, "{}".to_owned())).await;
    let lost = accepting(|_| Reply::Json(404, "{}".to_owned())).await;
    let broken = accepting(|_| Reply::Json(200, r#"{"status":"failed"}"#.to_owned())).await;
    for (server, kind, accepted) in
        [(full, "status_429", false), (lost, "status_404", true), (broken, "deferred_failed", true)]
    {
        let summary = run(bronze_plan(), &server, options()).await;
        let bronze = &summary.tiers[0];
        assert_eq!(failures(bronze), BTreeMap::from([(kind, bronze.offered_requests)]));
        assert_eq!(bronze.accepted_requests, if accepted { bronze.offered_requests } else { 0 });
        let expected = if accepted { Verdict::Failed } else { Verdict::NotJudged };
        assert_eq!(summary.criteria[0].verdict, expected, "{kind}");
    }
}
