//! Requests over real sockets: what is sent, what is measured, what counts as failed, how a run ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_load::progress::Silent;
use evenkeel_load::summary::Ended;
use evenkeel_load::{Options, Plan, Target, Traffic};
use evenkeel_workload::RequestTrace;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Ending, Reply, Server, answered_after, failures, fleet, gold_plan, options, plan, quick, run, tier};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_arrives_once_with_its_tier_its_model_and_its_lengths() {
    let server = Server::start(|_| quick()).await;
    let plan = plan(fleet(vec![tier("gold", false), tier("silver", false)], Vec::new()), 40.0, 1_000);
    let summary = run(plan, &server, options()).await;
    let asked = server.asked.lock().unwrap();
    for tier in &summary.tiers {
        let own: Vec<_> = asked.iter().filter(|asked| asked.headers["x-evenkeel-tier"] == tier.tier).collect();
        assert!(!own.is_empty() && own.len() as u64 == tier.offered_requests);
        assert_eq!(tier.succeeded_requests, tier.offered_requests);
        for asked in own {
            let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
            assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v1/chat/completions"));
            assert_eq!(body["model"], format!("{}-model", tier.tier));
            assert_eq!(body["stream"], true);
            assert!(body["max_tokens"].as_u64().unwrap() >= 1);
        }
        // Each answer has five tokens and says that its prompt had nine.
        assert_eq!(tier.output_tokens, 5 * tier.succeeded_requests);
        assert_eq!(tier.prompt_tokens, 9 * tier.succeeded_requests);
        assert_eq!(tier.latency[&LatencyMetric::Itl].count, 4 * tier.succeeded_requests);
    }
    assert_eq!((summary.ended, summary.lag.count as usize), (Ended::Completed, asked.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_shorter_than_asked_are_counted_unless_the_model_may_end_them() {
    // Five tokens, where some ten are asked for.
    let server = Server::start(|_| quick()).await;
    let summary = run(gold_plan(40.0, 1_000, Vec::new()), &server, options()).await;
    let asked = |asked: &support::Asked| {
        serde_json::from_slice::<serde_json::Value>(&asked.body).unwrap()["max_tokens"].as_u64().unwrap()
    };
    let short = server.asked.lock().unwrap().iter().filter(|it| asked(it) > 5).count() as u64;
    let tier = &summary.tiers[0];
    assert!(0 < short && short < tier.succeeded_requests && tier.failed_requests == 0, "{tier:?}");
    assert_eq!(tier.short_answers, Some(short));

    let may_end = Options { ignore_eos: false, ..options() };
    let summary = run(gold_plan(40.0, 1_000, Vec::new()), &server, may_end).await;
    assert_eq!(summary.tiers[0].short_answers, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_trace_that_are_too_long_for_the_engine_are_cut_and_counted() {
    let server = Server::start(|_| quick()).await;
    // The engine takes 4,096 tokens, and 90 % of that is sent.
    let requests = RequestTrace::from_bytes(b"0,100,5\n0.1,5000,5\n0.2,3686,5\n0.3,100,9000\n").unwrap();
    let fleet = fleet(vec![tier("gold", false), tier("silver", false)], Vec::new());
    let plan = Plan::new(&fleet, Traffic::Trace { tier: 0, requests }, Span::from_secs(1), 1).unwrap();
    let whole = run(plan.clone(), &server, options()).await;
    let cut: Vec<_> = whole.tiers.iter().map(|tier| tier.cut_requests).collect();
    assert_eq!(cut, [Some(3), None], "nothing of the trace goes to silver");
    // Only what was sent counts.
    let two = run(plan, &server, Options { max_requests: Some(2), ..options() }).await;
    assert_eq!(two.tiers[0].cut_requests, Some(1));
}

/// Coordinated omission: a tool that waits for an answer before it sends on would put one slow request into its
/// figures where a quarter of the players waited.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stalls_for_a_second_is_seen_by_the_requests_scheduled_meanwhile() {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let server = Server::start(|_| {
        // From 0.5 s to 1.5 s nothing is answered.
        let since = FIRST.get_or_init(Instant::now).elapsed();
        let stalled = since > Duration::from_millis(500) && since < Duration::from_millis(1_500);
        answered_after(if stalled { Duration::from_millis(1_500) - since } else { Duration::ZERO })
    })
    .await;
    let summary = run(gold_plan(60.0, 2_500, Vec::new()), &server, options()).await;
    let ttft = summary.tiers[0].latency[&LatencyMetric::Ttft];
    // Two of five requests come during the stall and wait 0 to 1 s: a fifth of all wait more than 500 ms.
    assert!(ttft.p90_ms > 500.0, "p90 {} ms", ttft.p90_ms);
    assert_eq!(summary.tiers[0].failed_requests, 0);
    let asked = server.asked.lock().unwrap().len() as f64;
    assert!((100.0..200.0).contains(&asked), "all 150 or so were sent, not fewer for the stall: {asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_is_the_client_s_and_pace_leaves_the_first_token_out() {
    let server = Server::start(|_| Reply::Tokens {
        first: Duration::from_secs(1),
        gap: Duration::from_millis(20),
        tokens: 11,
        ending: Ending::Done,
    })
    .await;
    let summary = run(gold_plan(10.0, 1_000, Vec::new()), &server, options()).await;
    let latency = &summary.tiers[0].latency;
    // A sleep is never shorter than asked; how much longer it is depends on the machine. One in a thousand is the
    // histogram's rounding.
    let at_least = |metric, ms: f64| assert!(latency[&metric].p50_ms >= ms * 0.999, "{metric:?} {latency:?}");
    at_least(LatencyMetric::Ttft, 1_000.0);
    at_least(LatencyMetric::Tpot, 20.0);
    at_least(LatencyMetric::E2e, 1_200.0);
    assert!(latency[&LatencyMetric::Tpot].p50_ms < 100.0, "the second before the first token is no part of it");
    let from_sending = summary.tiers[0].latency_from_sending[&LatencyMetric::E2e];
    assert!(from_sending.p50_ms <= latency[&LatencyMetric::E2e].p50_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_failure_are_counted_apart() {
    let stream = |ending| Reply::Tokens { first: Duration::ZERO, gap: Duration::ZERO, tokens: 3, ending };
    let server = Server::start(move |asked| match asked.number % 9 {
        0 => Reply::Json(503, "{}".to_owned()),
        1 => Reply::Json(429, "{}".to_owned()),
        2 => Reply::Json(400, "{}".to_owned()),
        3 => Reply::Close,
        4 => stream(Ending::CutOff),
        5 => stream(Ending::WithoutDone),
        6 => stream(Ending::ErrorEvent),
        7 => Reply::Json(200, "{}".to_owned()),
        _ => quick(),
    })
    .await;
    let summary = run(gold_plan(90.0, 1_000, Vec::new()), &server, options()).await;
    let total = server.asked.lock().unwrap().len() as u64;
    assert!(total > 27);
    // How many of `total` requests have a number that leaves this remainder.
    let of = |remainder: u64| (total + 8 - remainder) / 9;
    let expected = [
        ("status_503", of(0)),
        ("status_429", of(1)),
        ("status_400", of(2)),
        ("reset", of(3)),
        ("truncated", of(4) + of(5)),
        ("error_event", of(6)),
        ("malformed", of(7)),
    ];
    assert_eq!(failures(&summary.tiers[0]), BTreeMap::from(expected));
    assert_eq!(summary.tiers[0].succeeded_requests, of(8));
    assert_eq!(summary.tiers[0].offered_requests, total);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_failure_tells_what_the_server_said_but_never_the_key() {
    let said = r#"{"error":{"message":"Incorrect API key provided:\n sk-secret"}}"#;
    let server = Server::start(move |asked| match asked.number % 4 {
        0 => Reply::Json(401, said.to_owned()),
        2 => Reply::Json(200, r#"{"error":{"message":"no such model"}}"#.to_owned()),
        1 => Reply::Tokens { first: Duration::ZERO, gap: Duration::ZERO, tokens: 3, ending: Ending::ErrorEvent },
        _ => Reply::Close,
    })
    .await;
    let options = Options { api_key: evenkeel_load::ApiKey::new("sk-secret"), ..options() };
    let summary = run(gold_plan(40.0, 1_000, Vec::new()), &server, options).await;
    let failures = &summary.tiers[0].failures;
    let of = |kind: &str| failures.iter().find(|it| it.kind == kind).unwrap().message.as_deref();
    assert_eq!(of("status_401"), Some("Incorrect API key provided: (the key)"));
    assert_eq!(of("error_event"), Some("out of memory"));
    assert_eq!(of("malformed"), Some("no such model"), "a success that is none");
    assert_eq!(of("reset"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_there_is_a_failed_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let plan = gold_plan(20.0, 500, Vec::new());
    let summary = evenkeel_load::run(plan, target, options(), None, &mut Silent, std::future::pending).await;
    let gold = &summary.tiers[0];
    assert!(gold.offered_requests > 0);
    assert_eq!(failures(gold), BTreeMap::from([("connect", gold.offered_requests)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_in_the_time_allowed_is_a_timeout() {
    let server = Server::start(|_| Reply::Silence).await;
    let options = Options { timeout: Duration::from_millis(300), ..options() };
    let summary = run(gold_plan(20.0, 500, Vec::new()), &server, options).await;
    assert_eq!(failures(&summary.tiers[0]), BTreeMap::from([("timeout", summary.tiers[0].offered_requests)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_drain_time_cuts_off_counts_as_unfinished() {
    let server = Server::start(|_| Reply::Silence).await;
    let options = Options { drain: Duration::from_millis(200), ..options() };
    let summary = run(gold_plan(20.0, 500, Vec::new()), &server, options).await;
    assert_eq!(failures(&summary.tiers[0]), BTreeMap::from([("unfinished", summary.tiers[0].offered_requests)]));
    assert!(summary.elapsed_seconds < 20.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_used_again() {
    let server = Server::start(|_| quick()).await;
    let summary = run(gold_plan(50.0, 2_000, Vec::new()), &server, options()).await;
    let (requests, connections) = (summary.tiers[0].offered_requests, server.connections.load(Ordering::Relaxed));
    assert_eq!(summary.tiers[0].failed_requests, 0);
    assert!((connections as u64) < requests / 2, "{connections} connections for {requests} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closed_meanwhile_harms_no_request() {
    let server = Server::start(|_| Reply::Tokens {
        first: Duration::ZERO,
        gap: Duration::ZERO,
        tokens: 5,
        ending: Ending::DoneAndClosed,
    })
    .await;
    let summary = run(gold_plan(20.0, 1_000, Vec::new()), &server, options()).await;
    let gold = &summary.tiers[0];
    assert!(gold.offered_requests > 5);
    assert_eq!(gold.failed_requests, 0);
    assert_eq!(server.connections.load(Ordering::Relaxed) as u64, gold.offered_requests);
}

/// One stop after so long, then no other.
fn first_after(delay: Duration) -> impl AsyncFn() {
    let stops = AtomicUsize::new(0);
    async move || match stops.fetch_add(1, Ordering::Relaxed) {
        0 => tokio::time::sleep(delay).await,
        _ => std::future::pending().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stop_ends_the_wait_for_answers_and_still_sums_up() {
    let server = Server::start(|asked| if asked.number < 5 { quick() } else { Reply::Silence }).await;
    let (plan, options) =
        (gold_plan(20.0, 3_600_000, Vec::new()), Options { drain: Duration::from_secs(3_600), ..options() });
    let options = Options { timeout: Duration::from_secs(3_600), ..options };
    let every_second = async || tokio::time::sleep(Duration::from_secs(1)).await;
    let summary = evenkeel_load::run(plan, server.target.clone(), options, None, &mut Silent, every_second).await;
    let gold = &summary.tiers[0];
    assert_eq!((summary.ended, gold.succeeded_requests), (Ended::Interrupted, 5));
    assert_eq!(failures(gold), BTreeMap::from([("unfinished", gold.offered_requests - 5)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_sending_and_lets_requests_under_way_finish() {
    let server = Server::start(|_| answered_after(Duration::from_millis(500))).await;
    let plan = gold_plan(20.0, 3_600_000, Vec::new());
    let stop = first_after(Duration::from_secs(1));
    let summary = evenkeel_load::run(plan, server.target.clone(), options(), None, &mut Silent, stop).await;
    let gold = &summary.tiers[0];
    assert_eq!(summary.ended, Ended::Interrupted);
    assert!(gold.offered_requests > 0 && gold.failed_requests == 0, "{gold:?}");
    assert_eq!(gold.succeeded_requests, server.asked.lock().unwrap().len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_requests_ends_the_run_with_its_last() {
    let server = Server::start(|_| quick()).await;
    let options = Options { max_requests: Some(7), ..options() };
    let summary = run(gold_plan(50.0, 3_600_000, Vec::new()), &server, options).await;
    assert_eq!((summary.ended, summary.tiers[0].offered_requests), (Ended::RequestLimit, 7));
    assert_eq!(server.asked.lock().unwrap().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_limit_in_flight_requests_are_not_sent_and_said_so() {
    let server = Server::start(|_| answered_after(Duration::from_secs(2))).await;
    let options = Options { max_in_flight: 5, ..options() };
    let summary = run(gold_plan(50.0, 1_000, Vec::new()), &server, options).await;
    let gold = &summary.tiers[0];
    assert_eq!(server.asked.lock().unwrap().len(), 5);
    assert_eq!(failures(gold), BTreeMap::from([("not_sent", gold.offered_requests - 5)]));
}
