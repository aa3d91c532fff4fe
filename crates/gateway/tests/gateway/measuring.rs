//! What the gateway measures and reports.

use crate::replica::{Behavior, FakeReplica};
use crate::stage::Stage;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_wire::report::{Histogram, TierReport};

fn histogram(tier: &TierReport, metric: LatencyMetric) -> &Histogram {
    tier.latency.iter().find(|histogram| histogram.metric == metric).unwrap()
}

fn counts(tier: &TierReport) -> [u64; 5] {
    LatencyMetric::ALL.map(|metric| histogram(tier, metric).counts.iter().sum())
}

#[tokio::test]
async fn a_streamed_answer_gives_every_latency() {
    let replica = FakeReplica::start("one", Behavior::Stream(3)).await;
    let stage = Stage::with_gold(&[&replica]).await;
    stage.chat().await;
    let gold = stage.tier("gold").await;
    // ttft, tpot, itl (two gaps between three tokens), e2e, queue_time.
    assert_eq!(counts(&gold), [1, 1, 2, 1, 1]);
    assert_eq!((gold.prompt_tokens, gold.output_tokens), (9, 3), "the engine's own count");
    let first = histogram(&gold, LatencyMetric::Ttft).sum_us;
    let whole = histogram(&gold, LatencyMetric::E2e).sum_us;
    assert!(Span::ZERO < first && first <= whole);
}

#[tokio::test]
async fn an_answer_in_one_piece_shows_only_its_end() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    stage.chat().await;
    let gold = stage.tier("gold").await;
    assert_eq!(counts(&gold), [0, 0, 0, 1, 1], "what cannot be seen stays unknown");
    assert_eq!((gold.prompt_tokens, gold.output_tokens), (11, 5));
}

#[tokio::test]
async fn the_objectives_bound_is_an_edge_of_its_metric() {
    let stage = Stage::open().await;
    let gold = stage.tier("gold").await;
    assert!(histogram(&gold, LatencyMetric::Tpot).edges_us.contains(&Span::from_millis(16)));
}

#[tokio::test]
async fn another_process_is_another_instance() {
    let (one, other) = (Stage::open().await, Stage::open().await);
    assert_ne!(one.report().await.instance, other.report().await.instance);
}

#[tokio::test]
async fn metrics_are_prometheus_text_with_cumulative_buckets() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    stage.chat().await;
    let metrics = stage.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    for line in [
        "# TYPE evenkeel_gateway_requests_offered_total counter",
        "evenkeel_gateway_requests_offered_total{tier=\"gold\"} 1",
        "evenkeel_gateway_requests_succeeded_total{tier=\"gold\"} 1",
        "evenkeel_gateway_requests_offered_total{tier=\"silver\"} 0",
        "evenkeel_gateway_e2e_seconds_bucket{tier=\"gold\",le=\"+Inf\"} 1",
        "evenkeel_gateway_e2e_seconds_count{tier=\"gold\"} 1",
        "evenkeel_gateway_replicas_serving{tier=\"gold\"} 1",
    ] {
        assert!(text.lines().any(|known| known == line), "no line {line} in\n{text}");
    }
    let types = text.lines().filter(|line| line.starts_with("# TYPE evenkeel_gateway_e2e_seconds ")).count();
    assert_eq!(types, 1);
}
