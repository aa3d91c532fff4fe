//! The summary as people and programs read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_core::spec::LatencyMetric;
use evenkeel_load::Summary;
use evenkeel_load::render::{Colors, text};
use evenkeel_load::summary::{
    CriterionResult, Distribution, Ended, FailureCount, FleetPoint, NotJudged, Observed, Outcome, TierFleet,
    TierSummary, Verdict,
};
use std::collections::BTreeMap;

fn distribution(count: u64, p50_ms: f64) -> Distribution {
    Distribution {
        count,
        mean_ms: p50_ms * 1.1,
        p50_ms,
        p90_ms: p50_ms * 1.5,
        p95_ms: p50_ms * 1.7,
        p99_ms: p50_ms * 2.3,
        max_ms: p50_ms * 8.0,
    }
}

fn criterion(
    kind: &str,
    tier: Option<&str>,
    statement: &str,
    (verdict, observed, reason): (Verdict, Option<Observed>, Option<&str>),
) -> CriterionResult {
    CriterionResult {
        kind: kind.to_owned(),
        tier: tier.map(str::to_owned),
        statement: statement.to_owned(),
        verdict,
        observed,
        not_judged: (verdict == Verdict::NotJudged).then_some(NotJudged::OwnLag),
        reason: reason.map(str::to_owned),
    }
}

fn criteria() -> Vec<CriterionResult> {
    let late = "this machine sent requests 5.2 ms late at p95, over a quarter of the bound";
    vec![
        criterion("latency", Some("gold"), "tpot p95 <= 16 ms", (Verdict::NotJudged, None, Some(late))),
        criterion(
            "latency",
            Some("silver"),
            "ttft p95 <= 250 ms",
            (Verdict::Failed, Some(Observed::LatencyMs(312.4)), None),
        ),
        criterion(
            "objective_attainment",
            Some("gold"),
            "objective attainment >= 99 %",
            (Verdict::Passed, Some(Observed::ObjectiveAttainment(0.9951)), Some("57 of 58 windows held")),
        ),
        criterion(
            "failed_requests",
            None,
            "failed requests <= 5",
            (Verdict::Passed, Some(Observed::FailedRequests(5)), Some("of 14,069")),
        ),
        criterion(
            "queue_drained",
            Some("bronze"),
            "queue drained at the end",
            (Verdict::Passed, Some(Observed::UnansweredRequests(0)), Some("unanswered of 120 accepted")),
        ),
    ]
}

fn gold() -> TierSummary {
    TierSummary {
        tier: "gold".to_owned(),
        asynchronous: false,
        offered_requests: 13_949,
        succeeded_requests: 13_944,
        failed_requests: 5,
        accepted_requests: 0,
        offered_per_second: 58.12,
        prompt_tokens: 4_183_200,
        output_tokens: 557_760,
        objective_attainment: Some(0.9951),
        windows_held: Some(57),
        windows: 58,
        latency: BTreeMap::from([
            (LatencyMetric::Ttft, distribution(13_944, 41.26)),
            (LatencyMetric::Tpot, distribution(13_944, 9.231)),
            (LatencyMetric::Itl, distribution(543_816, 8.1)),
            (LatencyMetric::E2e, distribution(13_944, 402.7)),
        ]),
        latency_from_sending: BTreeMap::from([
            (LatencyMetric::Ttft, distribution(13_944, 40.9)),
            (LatencyMetric::E2e, distribution(13_944, 402.3)),
        ]),
        failures: vec![
            FailureCount {
                kind: "reset".to_owned(),
                meaning: "the connection broke before the answer began".to_owned(),
                requests: 2,
            },
            FailureCount {
                kind: "status_503".to_owned(),
                meaning: "answered 503 Service Unavailable".to_owned(),
                requests: 3,
            },
        ],
    }
}

fn bronze() -> TierSummary {
    TierSummary {
        tier: "bronze".to_owned(),
        asynchronous: true,
        offered_requests: 120,
        succeeded_requests: 120,
        failed_requests: 0,
        accepted_requests: 120,
        offered_per_second: 0.5,
        objective_attainment: None,
        windows_held: None,
        latency: BTreeMap::from([(LatencyMetric::E2e, distribution(120, 14_250.0))]),
        latency_from_sending: BTreeMap::new(),
        failures: Vec::new(),
        ..gold()
    }
}

fn summary() -> Summary {
    let point =
        FleetPoint { at_seconds: 12.0, ready: Some(3), desired: Some(4), queue_depth: Some(17), gpu_utilization: None };
    Summary {
        target: "http://127.0.0.1:8080".to_owned(),
        seed: 42,
        ended: Ended::Completed,
        planned_seconds: 240.0,
        sent_seconds: 240.01,
        elapsed_seconds: 243.62,
        window_seconds: 4.0,
        outcome: Outcome::Failed,
        criteria: criteria(),
        tiers: vec![gold(), bronze()],
        lag: distribution(14_069, 0.31),
        peak_in_flight: 1_204,
        fleet: vec![TierFleet { tier: "gold".to_owned(), timeline: vec![point] }],
    }
}

#[test]
fn people_read_criteria_first_then_tiers_then_failures_then_lag() {
    insta::assert_snapshot!(text(&summary(), Colors::None));
}

#[test]
fn programs_read_names_that_carry_their_units() {
    insta::assert_json_snapshot!(summary());
}

#[test]
fn a_run_that_ended_early_says_so() {
    let interrupted = Summary { ended: Ended::Interrupted, sent_seconds: 31.4, ..summary() };
    assert!(text(&interrupted, Colors::None).contains("sent for 31.4 s of 240 s, interrupted"));
}

#[test]
fn what_shows_nothing_is_said_in_plain_words_and_does_not_read_like_a_pass() {
    let said = |outcome| text(&Summary { outcome, ..summary() }, Colors::None);
    assert!(said(Outcome::Held).contains("    Every criterion that was judged held.\n"));
    assert!(said(Outcome::NoCriteria).contains("states no criteria: nothing was judged"));
    for (outcome, words) in [
        (Outcome::NothingSent, "No request was sent"),
        (Outcome::NothingJudged, "No criterion could be judged"),
        (Outcome::NeverRead, "A figure that a criterion asks for was never read"),
    ] {
        let said = said(outcome);
        assert!(said.contains(words) && said.contains("does not count as passed"), "{said}");
        assert!(!outcome.passed());
    }
}

#[test]
fn only_a_terminal_gets_colors() {
    let (plain, colored) = (text(&summary(), Colors::None), text(&summary(), Colors::Ansi));
    assert!(!plain.contains('\u{1b}'));
    assert!(colored.contains("\u{1b}[31m\u{2717}\u{1b}[0m silver") && colored.contains("\u{1b}[33m-\u{1b}[0m gold"));
    let codes = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"];
    assert_eq!(codes.iter().fold(colored, |text, code| text.replace(code, "")), plain);
}

#[test]
fn a_summary_survives_its_own_json() {
    let text = serde_json::to_string(&summary()).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary());
}
