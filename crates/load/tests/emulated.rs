//! Against the emulated replica: what is drawn is what is generated, and what is measured is what its profile says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_load::Target;
use evenkeel_load::progress::Silent;
use evenkeel_local::emulated::{self, OPEN_OUTPUT};
use evenkeel_workload::{Arrivals, PlayersSeries, TierTraffic};
use std::time::Duration;
use support::{fleet, options, plan, tier};

#[tokio::test(flavor = "multi_thread")]
async fn an_emulated_replica_is_measured_as_its_profile_says() {
    let (spec, mut settings) = tier("gold", false);
    "served".clone_into(&mut settings.model);
    let replica = emulated::Server::bind(emulated::Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        model: "served".to_owned(),
        profile: spec.profile.clone(),
        start_up: Duration::ZERO,
        seed: 1,
        open_output: OPEN_OUTPUT,
        drain: Duration::from_secs(5),
    })
    .await
    .unwrap();
    let target = Target::parse(&format!("http://{}/v1", replica.address())).unwrap();
    tokio::spawn(replica.run(std::future::pending()));

    let traffic = TierTraffic::new("gold", 1.0, spec.requests, 3_686).unwrap();
    let players = PlayersSeries::constant(20.0, Span::from_secs(2));
    let drawn: Vec<_> = Arrivals::new(&players, &[traffic], Span::from_secs(2), 1).collect();
    let plan = plan(fleet(vec![(spec, settings)], Vec::new()), 20.0, 2_000);
    let never = std::future::pending();
    let summary = evenkeel_load::run(plan, target, options(), None, &mut Silent, never).await;

    let gold = &summary.tiers[0];
    assert_eq!((gold.succeeded_requests, gold.failed_requests), (drawn.len() as u64, 0), "{gold:?}");
    let output_tokens: u64 = drawn.iter().map(|arrival| u64::from(arrival.output_tokens)).sum();
    assert_eq!(gold.output_tokens, output_tokens);
    assert_eq!(gold.latency[&LatencyMetric::Itl].count, output_tokens - drawn.len() as u64);
    let prompt_tokens: u64 = drawn.iter().map(|arrival| u64::from(arrival.prompt_tokens)).sum();
    let counted = gold.prompt_tokens as f64 / prompt_tokens as f64;
    assert!((0.9..1.1).contains(&counted), "four bytes are a token for both: {counted}");
    // An iteration takes 6.5 ms at least, a prompt's first pass too.
    assert!(gold.latency[&LatencyMetric::Tpot].p50_ms >= 6.49);
    assert!(gold.latency_from_sending[&LatencyMetric::Ttft].p50_ms >= 6.49);
}
