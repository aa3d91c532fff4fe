//! Against the real other side, the emulated replica and the gateway: what is drawn is what is generated, and what is
//! measured is what the profile says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use evenkeel_core::observe::ReplicaId;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::{Criterion, Fleet};
use evenkeel_load::progress::Silent;
use evenkeel_load::summary::{TierSummary, Verdict};
use evenkeel_load::{Plan, Target};
use evenkeel_local::emulated::{self, OPEN_OUTPUT};
use evenkeel_wire::routes::{Route, RouteState, RouteTable, RouteVersion, TierRoutes};
use evenkeel_workload::{Arrival, Arrivals, PlayersSeries, TierTraffic};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use support::{Reply, Server, fleet, options, plan, tier};

/// One emulated replica that serves the model `served`.
async fn replica() -> SocketAddr {
    let replica = emulated::Server::bind(emulated::Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        model: "served".to_owned(),
        profile: tier("gold", false).0.profile,
        start_up: Duration::ZERO,
        seed: 1,
        open_output: OPEN_OUTPUT,
        fault: None,
        drain: Duration::from_secs(5),
    })
    .await
    .unwrap();
    let address = replica.address();
    tokio::spawn(replica.run(std::future::pending()));
    address
}

/// A gateway whose controller routes every tier to the one replica.
async fn gateway(fleet: &Fleet, replica: SocketAddr, state: &Path) -> SocketAddr {
    let route = Route {
        id: ReplicaId("the-one".into()),
        url: format!("http://{replica}"),
        served_model: "served".to_owned(),
        max_outstanding: 64,
        state: RouteState::Serving,
    };
    let tiers =
        fleet.spec.tiers.iter().map(|tier| TierRoutes { tier: tier.name.clone(), replicas: vec![route.clone()] });
    let version = RouteVersion { epoch: 1, number: 1 };
    let table = RouteTable { fleet: fleet.spec.name.clone(), version, tiers: tiers.collect() };
    let event = format!("event: routes\ndata: {}\n\n", serde_json::to_string(&table).unwrap());
    let controller = Server::start(move |_| Reply::Event(event.clone())).await;
    let gateway = evenkeel_gateway::Options {
        controller_url: Some(controller.target.to_string()),
        state_directory: Some(state.to_owned()),
        ..evenkeel_gateway::Options::default()
    };
    let gateway = evenkeel_gateway::bind(fleet, gateway).await.unwrap();
    let address = gateway.address();
    tokio::spawn(gateway.run(std::future::pending()));
    address
}

fn drawn(per_second: f64) -> Vec<Arrival> {
    let traffic = TierTraffic::new("gold", 1.0, tier("gold", false).0.requests, 3_686).unwrap();
    let players = PlayersSeries::constant(per_second, Span::from_secs(2));
    Arrivals::new(&players, &[traffic], Span::from_secs(2), 1).collect()
}

fn is_measured_as_its_profile_says(gold: &TierSummary, drawn: &[Arrival]) {
    assert_eq!((gold.succeeded_requests, gold.failed_requests), (drawn.len() as u64, 0), "{gold:?}");
    let output_tokens: u64 = drawn.iter().map(|arrival| u64::from(arrival.output_tokens)).sum();
    assert_eq!(gold.output_tokens, output_tokens);
    assert_eq!(gold.latency[&LatencyMetric::Itl].count, output_tokens - drawn.len() as u64);
    let prompt_tokens: u64 = drawn.iter().map(|arrival| u64::from(arrival.prompt_tokens)).sum();
    let counted = gold.prompt_tokens as f64 / prompt_tokens as f64;
    assert!((0.9..1.1).contains(&counted), "four bytes are a token for both: {counted}");
    // An iteration takes 6.5 ms at least, a prompt's first one too.
    assert!(gold.latency[&LatencyMetric::Tpot].p50_ms >= 6.49);
    assert!(gold.latency_from_sending[&LatencyMetric::Ttft].p50_ms >= 6.49);
}

async fn load(plan: Plan, address: SocketAddr) -> evenkeel_load::Summary {
    let target = Target::parse(&format!("http://{address}/v1")).unwrap();
    evenkeel_load::run(plan, target, options(), None, &mut Silent, std::future::pending).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emulated_replica_is_measured_as_its_profile_says() {
    let (spec, mut settings) = tier("gold", false);
    "served".clone_into(&mut settings.model);
    let plan = plan(fleet(vec![(spec, settings)], Vec::new()), 20.0, 2_000);
    let summary = load(plan, replica().await).await;
    is_measured_as_its_profile_says(&summary.tiers[0], &drawn(20.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_gateway_both_kinds_of_tier_are_served_and_measured() {
    let criteria = vec![
        Criterion::FailedRequests { at_most: 0 },
        Criterion::QueueDrained { tier: "bronze".to_owned() },
        Criterion::ObjectiveAttainment { tier: "gold".to_owned(), at_least: 1.0 },
        Criterion::ObjectiveAttainment { tier: "bronze".to_owned(), at_least: 1.0 },
    ];
    let fleet = fleet(vec![tier("gold", false), tier("bronze", true)], criteria);
    let state = tempfile::tempdir().unwrap();
    let address = gateway(&fleet, replica().await, state.path()).await;
    let summary = load(plan(fleet, 10.0, 2_000), address).await;
    is_measured_as_its_profile_says(&summary.tiers[0], &drawn(10.0));
    let bronze = &summary.tiers[1];
    assert!(bronze.accepted_requests > 0 && bronze.output_tokens > 0, "{bronze:?}");
    // The gateway tells when it was done, so the time until the next look, 250 ms at least, is no part of it.
    assert!(bronze.latency[&LatencyMetric::E2e].p50_ms >= 6.49);
    let verdicts: Vec<Verdict> = summary.criteria.iter().map(|criterion| criterion.verdict).collect();
    assert_eq!(verdicts, [Verdict::Passed; 4], "{:?}", summary.criteria);
}
