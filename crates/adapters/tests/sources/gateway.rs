//! The gateway's report over a real socket, read twice.

use crate::double::{Answer, Double};
use axum::http::StatusCode;
use evenkeel_adapters::gateway::Gateway;
use evenkeel_controller::ports::{Finding, LivingReplica, Source as _};
use evenkeel_core::observe::{Cause, Finished, Latency, Mean, Offered, Portion, Reading, ReplicaId};
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::{Span, Time};
use evenkeel_wire::report::{GatewayReport, Histogram, ReplicaLoad, TierReport};
use evenkeel_wire::routes::RouteVersion;
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(20);
const TIERS: [&str; 2] = ["gold", "silver"];

/// The gateway's clock runs ten minutes behind the controller's: nothing may depend on the two agreeing.
fn gateway_time(second: i64) -> Time {
    now(second) - Span::from_secs(600)
}

fn now(second: i64) -> Time {
    Time::from_micros(1_700_000_000_000_000) + Span::from_secs(second)
}

fn objective(metric: LatencyMetric, bound_ms: i64) -> Objective {
    Objective { metric, quantile: 0.95, bound: Span::from_millis(bound_ms) }
}

fn histogram(metric: LatencyMetric, counts: [u64; 3], sum_ms: i64) -> Histogram {
    let edges_us = [16, 250].map(Span::from_millis).to_vec();
    Histogram { metric, edges_us, counts: counts.to_vec(), sum_us: Span::from_millis(sum_ms) }
}

/// A report at `second` after so many requests, each of 10 prompt and 5 output tokens and 20 ms a token.
fn report(second: i64, requests: u64) -> GatewayReport {
    let count = i64::try_from(requests).unwrap();
    let tier = |name: &str| TierReport {
        tier: name.to_owned(),
        offered: requests + 2,
        offered_prompt_tokens: requests * 10 + 20,
        queued: 3,
        oldest_queued_us: Span::from_millis(1_500),
        in_flight: 4,
        replicas: vec![
            ReplicaLoad {
                id: ReplicaId("a".to_owned()),
                in_flight: 4,
                failed_in_a_row: 6,
                failed_probes: 1,
                served: 2,
            },
            ReplicaLoad {
                id: ReplicaId("gone".to_owned()),
                in_flight: 9,
                failed_in_a_row: 0,
                failed_probes: 0,
                served: 7,
            },
        ],
        succeeded: requests - requests / 10,
        prompt_tokens: requests * 10,
        output_tokens: requests * 5,
        failed: requests / 10,
        latency: vec![
            histogram(LatencyMetric::Tpot, [0, requests, 0], 20 * count),
            histogram(LatencyMetric::Ttft, [requests, 0, 0], 9 * count),
        ],
        ..TierReport::default()
    };
    GatewayReport {
        instance: "first".to_owned(),
        at: gateway_time(second),
        applied: Some(RouteVersion { epoch: 1, number: 7 }),
        tiers: TIERS.map(tier).to_vec(),
    }
}

fn answer(report: &GatewayReport) -> Answer {
    Answer::ok(serde_json::to_string(report).unwrap())
}

fn source(double: &Double, timeout: Duration) -> Gateway {
    let objectives = vec![objective(LatencyMetric::Tpot, 16), objective(LatencyMetric::Ttft, 250)];
    Gateway::new(&double.url, TIERS.map(|tier| (tier.to_owned(), objectives.clone())), timeout).unwrap()
}

fn living() -> Vec<LivingReplica> {
    let id = ReplicaId("a".to_owned());
    vec![LivingReplica { tier: "gold".to_owned(), id, url: "http://127.0.0.1:1".to_owned(), ready: true }]
}

async fn gold(gateway: &mut Gateway, second: i64) -> Finding {
    gateway.read(now(second), &living()).await.unwrap().remove(0)
}

fn fresh<T: Copy>(reading: Reading<T>) -> T {
    *reading.fresh().unwrap_or_else(|| panic!("missing: {:?}", reading.blind()))
}

#[tokio::test]
async fn the_first_read_gives_levels_and_no_rate_is_made_up() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let finding = gold(&mut source(&double, PATIENT), 0).await;
    assert_eq!(fresh(finding.signals.queue_depth), 3);
    assert_eq!(fresh(finding.signals.oldest_queued), Span::from_millis(1_500));
    assert_eq!(fresh(finding.signals.in_flight), 4);
    assert_eq!(finding.signals.offered.blind(), Some(Cause::FirstReading));
    assert_eq!(finding.signals.finished.blind(), Some(Cause::FirstReading));
    assert_eq!(finding.signals.pace.blind(), Some(Cause::FirstReading));
    assert_eq!(finding.signals.error_share.blind(), Some(Cause::FirstReading));
    assert_eq!(finding.signals.latency.len(), 2);
    assert!(finding.signals.latency.iter().all(|latency| latency.blind() == Some(Cause::FirstReading)));
    assert_eq!(double.asked()[0].uri.path(), "/gateway/report");
}

#[tokio::test]
async fn while_a_gateway_before_it_still_answers_its_levels_are_lower_bounds_and_what_was_offered_is_known() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    gold(&mut gateway, 0).await;
    let mut later = report(2, 90);
    later.tiers[0].earlier_answers = true;
    double.answer(answer(&later));
    let finding = gold(&mut gateway, 1).await;
    let signals = &finding.signals;
    let at = now(1);
    assert_eq!(signals.queue_depth, Reading::AtLeast { value: 3, at });
    assert_eq!(signals.oldest_queued, Reading::AtLeast { value: Span::from_millis(1_500), at });
    assert_eq!(signals.in_flight, Reading::AtLeast { value: 4, at });
    assert_eq!(signals.finished.at_least().map(|it| it.succeeded), Some(36));
    assert_eq!(signals.finished.fresh(), None, "most end at the earlier one");
    assert_eq!(finding.replica_load, [], "the least loaded replica is not known");
    assert_eq!(fresh(signals.offered).requests, 40);
    assert!(gateway.view().borrow().earlier_answers);
}

#[tokio::test]
async fn what_replicas_refused_for_the_clients_fault_is_no_demand() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    gold(&mut gateway, 0).await;
    let mut later = report(2, 90);
    later.tiers.iter_mut().for_each(|tier| tier.client_errors = 30);
    double.answer(answer(&later));
    assert_eq!(fresh(gold(&mut gateway, 1).await.signals.offered).requests, 10);
}

#[tokio::test]
async fn the_second_read_gives_what_came_between_over_the_gateways_own_time() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    gold(&mut gateway, 0).await;
    double.answer(answer(&report(2, 90)));
    let finding = gold(&mut gateway, 1).await;
    let over = Span::from_secs(2);
    let signals = finding.signals;
    assert_eq!(
        signals.offered,
        Reading::Fresh { value: Offered { requests: 40, prompt_tokens: 400, over }, at: now(1) }
    );
    let finished = Finished { succeeded: 36, failed: 4, prompt_tokens: 400, output_tokens: 200, over };
    assert_eq!(fresh(signals.finished), finished);
    assert_eq!(fresh(signals.error_share), Portion { part: 4, whole: 40 });
    assert_eq!(fresh(signals.pace), Mean { sum: 800.0, count: 40 });
    let (low, high) = (Span::from_millis(16), Span::from_millis(250));
    assert_eq!(fresh(signals.latency[0]), Latency { count: 40, above: 40, quantile_low: low, quantile_high: high });
    assert_eq!(
        fresh(signals.latency[1]),
        Latency { count: 40, above: 0, quantile_low: Span::ZERO, quantile_high: low }
    );
    assert_eq!(finding.replica_load, [(ReplicaId("a".to_owned()), 4)], "a replica that is gone has no load");
}

#[tokio::test]
async fn nothing_finished_is_no_latency_but_zero_offered_is_a_value() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    gold(&mut gateway, 0).await;
    double.answer(answer(&report(1, 50)));
    let signals = gold(&mut gateway, 1).await.signals;
    assert_eq!(fresh(signals.offered).requests, 0);
    assert_eq!(fresh(signals.error_share), Portion { part: 0, whole: 0 });
    assert_eq!(signals.latency[0].blind(), Some(Cause::NoRequest));
}

#[tokio::test]
async fn a_gateway_that_restarted_has_no_past_and_then_has_one_again() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    gold(&mut gateway, 0).await;
    let restarted = |second, requests| GatewayReport { instance: "second".to_owned(), ..report(second, requests) };
    // More requests than before: only the instance tells.
    double.answer(answer(&restarted(1, 70)));
    let signals = gold(&mut gateway, 1).await.signals;
    assert_eq!(signals.offered.blind(), Some(Cause::CounterReset));
    assert_eq!(signals.latency[0].blind(), Some(Cause::CounterReset));
    assert_eq!(fresh(signals.queue_depth), 3);
    double.answer(answer(&restarted(2, 71)));
    assert_eq!(fresh(gold(&mut gateway, 2).await.signals.offered).requests, 1);
}

#[tokio::test]
async fn counts_that_went_backwards_are_a_reset_whatever_the_instance_says() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    gold(&mut gateway, 0).await;
    double.answer(answer(&report(1, 20)));
    let signals = gold(&mut gateway, 1).await.signals;
    assert_eq!(signals.offered.blind(), Some(Cause::CounterReset));
    assert_eq!(signals.pace.blind(), Some(Cause::CounterReset));
}

#[tokio::test]
async fn the_same_report_twice_is_no_rate_over_no_time() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    gold(&mut gateway, 0).await;
    assert_eq!(gold(&mut gateway, 1).await.signals.offered.blind(), Some(Cause::Stale));
}

#[tokio::test]
async fn a_tier_that_the_gateway_does_not_know_does_not_blind_the_others() {
    let mut half = report(0, 50);
    half.tiers.truncate(1);
    let double = Double::answering(answer(&half)).await;
    let findings = source(&double, PATIENT).read(now(0), &[]).await.unwrap();
    assert_eq!(fresh(findings[0].signals.queue_depth), 3);
    assert_eq!(findings[1].signals.queue_depth.blind(), Some(Cause::Malformed));
    assert_eq!(findings[1].signals.latency.len(), 2);
}

#[tokio::test]
async fn a_blackout_names_its_cause_and_loses_no_request() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, Duration::from_secs(2));
    gold(&mut gateway, 0).await;
    for (blackout, cause) in [
        (Answer::status(StatusCode::BAD_GATEWAY, ""), Cause::Refused),
        (Answer::ok("{\"instance\":"), Cause::Malformed),
        (Answer::ok("x".repeat(5_000_000)), Cause::Malformed),
        (Answer::ok("").late(PATIENT), Cause::TimedOut),
    ] {
        double.answer(blackout);
        assert_eq!(gateway.read(now(1), &living()).await.unwrap_err().cause, cause);
        assert_eq!(gateway.view().borrow().applied, None, "a gateway that cannot be asked has applied nothing");
    }
    double.answer(answer(&report(5, 100)));
    let offered = fresh(gold(&mut gateway, 5).await.signals.offered);
    assert_eq!(offered, Offered { requests: 50, prompt_tokens: 500, over: Span::from_secs(5) });
}

#[tokio::test]
async fn draining_sees_the_applied_table_and_every_replica_in_it() {
    let double = Double::answering(answer(&report(0, 50))).await;
    let mut gateway = source(&double, PATIENT);
    let view = gateway.view();
    assert_eq!(view.borrow().applied, None);
    gold(&mut gateway, 0).await;
    assert_eq!(view.borrow().applied, Some(RouteVersion { epoch: 1, number: 7 }));
    assert_eq!(view.borrow().in_flight.get(&ReplicaId("gone".to_owned())), Some(&9));
}
