//! The figures of a report, from real requests over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use async_trait::async_trait;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_load::probe::ProbeError;
use evenkeel_load::progress::Silent;
use evenkeel_load::render::{Colors, text};
use evenkeel_load::summary::FleetPoint;
use evenkeel_load::{ApiKey, FleetProbe, Options, Plan, TierSample, Traffic};
use evenkeel_workload::RequestTrace;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::{Reply, Server, answered_after, fleet, gold_plan, objective, options, plan, quick, run, tier};

#[tokio::test(flavor = "multi_thread")]
async fn goodput_counts_the_requests_that_each_kept_every_bound() {
    // Of each four one fails and one is later than the bound.
    let server = Server::start(|asked| match asked.number % 4 {
        0 => Reply::Json(500, "{}".to_owned()),
        1 => answered_after(Duration::from_secs(6)),
        _ => quick(),
    })
    .await;
    let (mut spec, settings) = tier("gold", false);
    spec.slo.objectives = vec![objective(LatencyMetric::Ttft, 0.5, Span::from_secs(5))];
    let summary = run(plan(fleet(vec![(spec, settings)], Vec::new()), 40.0, 2_000), &server, options()).await;
    let gold = &summary.tiers[0];
    let (within, answered) = (gold.within_slo_requests.unwrap(), gold.succeeded_requests);
    let late = answered - within;
    let quarter = gold.offered_requests.div_ceil(4);
    assert_eq!(gold.failed_requests, quarter, "{gold:?}");
    assert!(late.abs_diff(quarter) <= 1, "a quarter is late: {late} of {}", gold.offered_requests);
    assert_eq!(gold.goodput_share, Some(within as f64 / gold.offered_requests as f64));
    let by_slice: u64 = gold.timeline.iter().filter_map(|slice| slice.within_slo_requests).sum();
    let offered: u64 = gold.timeline.iter().map(|slice| slice.offered_requests).sum();
    assert_eq!((by_slice, offered), (within, gold.offered_requests), "the slices hold every request once");
    let failure = &gold.failures[0];
    assert!(failure.first_seconds < failure.last_seconds && failure.last_seconds <= 2.0, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_sent_to_its_tier_in_its_order_and_with_its_lengths() {
    let server = Server::start(|_| quick()).await;
    let both = fleet(vec![tier("gold", false), tier("silver", false)], Vec::new());
    let requests = RequestTrace::from_bytes(b"0,40,7\n0.3,50,3\n0.6,60,9000\n").unwrap();
    let plan = Plan::new(&both, Traffic::Trace { tier: 1, requests }, Span::from_secs(1), 1).unwrap();
    let summary = run(plan, &server, options()).await;
    assert_eq!([0, 1].map(|tier: usize| summary.tiers[tier].offered_requests), [0, 3]);
    let asked = server.asked.lock().unwrap();
    let lengths: Vec<u64> = asked
        .iter()
        .map(|it| serde_json::from_slice::<serde_json::Value>(&it.body).unwrap()["max_tokens"].as_u64().unwrap())
        .collect();
    // The last is longer than the engine takes: 90 % of 4,096 tokens, one of them for the prompt.
    assert_eq!(lengths, [7, 3, 3_685]);
    assert!(asked.iter().all(|it| it.headers["x-evenkeel-tier"] == "silver"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_goes_with_every_request_and_is_told_to_nobody() {
    let server = Server::start(|_| quick()).await;
    let mut plan = gold_plan(20.0, 500, Vec::new());
    plan.tiers[0].named_to_gateway = false;
    let options = Options { api_key: ApiKey::new("s3cret"), ..options() };
    assert!(!format!("{options:?}").contains("s3cret"));
    let summary = run(plan, &server, options).await;
    let asked = server.asked.lock().unwrap();
    assert!(!asked.is_empty() && asked.iter().all(|it| it.headers["authorization"] == "Bearer s3cret"));
    assert!(asked.iter().all(|it| !it.headers.contains_key("x-evenkeel-tier")), "no gateway, no tier");
    assert!(!serde_json::to_string(&summary).unwrap().contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_this_machine_could_not_send_are_said_to_be_its_own_limit() {
    let server = Server::start(|_| answered_after(Duration::from_secs(1))).await;
    let few = Options { max_in_flight: 2, ..options() };
    let limited = text(&run(gold_plan(40.0, 500, Vec::new()), &server, few).await, Colors::None);
    assert!(
        limited.contains("This machine was the limit: ") && limited.contains(" requests were not sent"),
        "{limited}"
    );
}

/// One more ready replica at each third look, and always one more wanted.
#[derive(Default)]
struct Growing(AtomicU32);

#[async_trait]
impl FleetProbe for Growing {
    async fn sample(&self) -> Result<Vec<TierSample>, ProbeError> {
        let ready = 1 + self.0.fetch_add(1, Ordering::Relaxed) / 3;
        let point = FleetPoint {
            ready: Some(ready),
            starting: Some(1),
            desired: Some(ready + 1),
            demand_replicas: Some(1.5),
            cost_usd_per_hour: Some(3_600.0),
            ..FleetPoint::default()
        };
        Ok(vec![TierSample { tier: "gold".to_owned(), point }])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_controller_tells_becomes_scale_up_times_and_cost() {
    let server = Server::start(|_| quick()).await;
    let options = Options { probe_every: Duration::from_millis(200), ..options() };
    let probe: Arc<dyn FleetProbe> = Arc::new(Growing::default());
    let (plan, stop) = (gold_plan(20.0, 3_000, Vec::new()), std::future::pending);
    let summary = evenkeel_load::run(plan, server.target.clone(), options, Some(probe), &mut Silent, stop).await;
    let scaling = summary.fleet[0].scaling.as_ref().unwrap();
    // Short of half a replica until the second is ready.
    assert_eq!((scaling.shortages.len(), scaling.shortages[0].ready_after), (1, 2), "{scaling:?}");
    assert!(scaling.scale_up().unwrap().longest_seconds > 0.3, "{scaling:?}");
    // A dollar a second.
    let cost = summary.cost.unwrap();
    assert!((cost.usd - cost.known_seconds).abs() < 1e-6 && cost.known_seconds > 1.0, "{cost:?}");
    let each = cost.usd * 1_000.0 / summary.tiers[0].succeeded_requests as f64;
    assert!((summary.cost_usd_per_1000_requests.unwrap() - each).abs() < 1e-6);
}
