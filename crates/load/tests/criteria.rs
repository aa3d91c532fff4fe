//! Each criterion, each way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use async_trait::async_trait;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::Criterion;
use evenkeel_load::probe::ProbeError;
use evenkeel_load::progress::{Progress, ProgressSink, Silent};
use evenkeel_load::summary::{CriterionResult, FleetPoint, NotJudged, Observed, Outcome, Verdict};
use evenkeel_load::{FleetProbe, Options, Plan, Summary, TierSample};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{Reply, Server, answered_after, fleet, gold_plan, latency, objective, options, plan, quick, run, tier};

fn verdicts(summary: &Summary) -> Vec<Verdict> {
    summary.criteria.iter().map(|criterion| criterion.verdict).collect()
}

fn reason(criterion: &CriterionResult) -> &str {
    criterion.reason.as_deref().unwrap_or("")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latency_passes_within_its_bound_and_fails_above_it() {
    let server = Server::start(|_| answered_after(Duration::from_secs(2))).await;
    let criteria = vec![
        latency("gold", LatencyMetric::Ttft, 0.95, Span::from_secs(60)),
        // Far above any lag of this machine, so that it is judged, and below what every answer takes.
        latency("gold", LatencyMetric::Ttft, 0.5, Span::from_millis(1_999)),
        latency("gold", LatencyMetric::QueueTime, 0.95, Span::from_secs(60)),
        latency("platinum", LatencyMetric::Ttft, 0.95, Span::from_secs(60)),
    ];
    let summary = run(gold_plan(20.0, 1_000, criteria), &server, options()).await;
    let [passed, failed, not_told, no_tier] = &summary.criteria[..] else { panic!("{summary:?}") };
    assert_eq!((passed.verdict, failed.verdict), (Verdict::Passed, Verdict::Failed));
    assert!(matches!(passed.observed, Some(Observed::LatencyMs(ms)) if ms >= 1_998.0));
    assert_eq!((not_told.verdict, no_tier.verdict), (Verdict::NotJudged, Verdict::NotJudged));
    assert!(reason(not_told).contains("does not tell how long a request waited"));
    assert_eq!(reason(no_tier), "no request of this tier was sent");
    assert_eq!((summary.outcome, not_told.not_judged), (Outcome::Failed, Some(NotJudged::NeverRead)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_request_counts_as_above_every_bound() {
    let server = Server::start(|asked| match asked.number % 5 {
        0 => Reply::Json(500, "{}".to_owned()),
        _ => quick(),
    })
    .await;
    let minute = Span::from_secs(60);
    let criteria = vec![
        latency("gold", LatencyMetric::E2e, 0.7, minute),
        latency("gold", LatencyMetric::E2e, 0.9, minute),
        // Of which an answered request has many.
        latency("gold", LatencyMetric::Itl, 0.7, minute),
        latency("gold", LatencyMetric::Itl, 0.9, minute),
        Criterion::FailedRequests { at_most: 1_000 },
        Criterion::FailedRequests { at_most: 0 },
    ];
    let summary = run(gold_plan(60.0, 1_000, criteria), &server, options()).await;
    assert_eq!(verdicts(&summary), [Verdict::Passed, Verdict::Failed].repeat(3));
    assert!([1, 3].iter().all(|&index| reason(&summary.criteria[index]).contains("requests failed")));
    let failed = summary.failed_requests();
    assert!(failed > 0);
    assert_eq!(summary.criteria[5].observed, Some(Observed::FailedRequests(failed)));
}

/// Blocks the task that sends: the machine's own fault.
struct Blocking;

impl ProgressSink for Blocking {
    #[expect(clippy::disallowed_methods, reason = "blocking the runtime is what it is for")]
    fn update(&mut self, _: &Progress) {
        std::thread::sleep(Duration::from_millis(200));
    }
    fn finish(&mut self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_machine_that_lags_a_latency_is_neither_passed_nor_failed() {
    let server = Server::start(|_| quick()).await;
    let (mut spec, settings) = tier("gold", false);
    spec.slo.objectives = vec![objective(LatencyMetric::Ttft, 0.95, Span::from_millis(250))];
    let criteria = vec![
        latency("gold", LatencyMetric::Ttft, 0.95, Span::from_millis(250)),
        // The same run, with a bound that the lag cannot blur.
        latency("gold", LatencyMetric::Ttft, 0.95, Span::from_secs(600)),
        Criterion::ObjectiveAttainment { tier: "gold".to_owned(), at_least: 0.5 },
        Criterion::FailedRequests { at_most: 0 },
    ];
    let plan = plan(fleet(vec![(spec, settings)], criteria), 50.0, 2_000);
    let options = Options { progress_every: Duration::from_millis(250), ..options() };
    let stop = std::future::pending;
    let summary = evenkeel_load::run(plan, server.target.clone(), options, None, &mut Blocking, stop).await;
    let expected = [Verdict::NotJudged, Verdict::Passed, Verdict::NotJudged, Verdict::Passed];
    assert_eq!(verdicts(&summary), expected, "{:?}", summary.criteria);
    let why = reason(&summary.criteria[0]);
    assert!(why.starts_with("this machine sent requests ") && why.ends_with("over a quarter of the bound"), "{why}");
    assert!(summary.lag.p95_ms > 62.5);
    // A criterion that was not judged for lag does not fail the run, as long as others were judged.
    assert_eq!((summary.criteria[0].not_judged, summary.outcome), (Some(NotJudged::OwnLag), Outcome::Held));
}

fn attainment_plan(at_least: f64) -> Plan {
    let criterion = Criterion::ObjectiveAttainment { tier: "gold".to_owned(), at_least };
    gold_plan(40.0, 4_000, vec![criterion])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_spoils_the_window_in_which_its_request_was_due() {
    // The 41st request or so comes in the second of four windows.
    let server = Server::start(|asked| match asked.number {
        60 => Reply::Json(500, "{}".to_owned()),
        _ => quick(),
    })
    .await;
    let summary = run(attainment_plan(0.5), &server, options()).await;
    let gold = &summary.tiers[0];
    assert_eq!((gold.windows, gold.windows_held), (4, Some(3)), "{gold:?}");
    let share = gold.objective_attainment.unwrap();
    assert!((0.6..0.9).contains(&share), "{share}");
    assert_eq!(verdicts(&summary), [Verdict::Passed]);
    assert_eq!(reason(&summary.criteria[0]), "3 of 4 windows held");

    let broken = Server::start(|_| Reply::Json(500, "{}".to_owned())).await;
    let summary = run(attainment_plan(0.5), &broken, options()).await;
    assert_eq!(summary.tiers[0].objective_attainment, Some(0.0));
    assert_eq!(verdicts(&summary), [Verdict::Failed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_objective_that_clients_cannot_see_leaves_attainment_open() {
    let server = Server::start(|_| quick()).await;
    let (mut spec, settings) = tier("gold", false);
    spec.slo.objectives.push(objective(LatencyMetric::QueueTime, 0.95, Span::from_secs(60)));
    let criterion = Criterion::ObjectiveAttainment { tier: "gold".to_owned(), at_least: 0.5 };
    let plan = plan(fleet(vec![(spec, settings)], vec![criterion]), 20.0, 1_000);
    let summary = run(plan, &server, options()).await;
    assert_eq!(verdicts(&summary), [Verdict::NotJudged]);
    assert_eq!(summary.tiers[0].objective_attainment, None);
}

/// Replays samples, one each time it is asked, then fails.
struct Replayed {
    samples: Vec<TierSample>,
    asked: AtomicUsize,
}

#[async_trait]
impl FleetProbe for Replayed {
    async fn sample(&self) -> Result<Vec<TierSample>, ProbeError> {
        let index = self.asked.fetch_add(1, Ordering::Relaxed);
        let sample = self.samples.get(index).cloned();
        sample.map(|sample| vec![sample]).ok_or_else(|| ProbeError("the controller is gone".to_owned()))
    }
}

async fn probed(samples: Vec<TierSample>, criteria: Vec<Criterion>) -> Summary {
    let server = Server::start(|_| quick()).await;
    let probe = Arc::new(Replayed { samples, asked: AtomicUsize::new(0) });
    let options = Options { probe_every: Duration::from_millis(50), ..options() };
    let (plan, stop) = (gold_plan(10.0, 1_500, criteria), std::future::pending);
    evenkeel_load::run(plan, server.target.clone(), options, Some(probe), &mut Silent, stop).await
}

fn sample(ready: u32, gpu_utilization: Option<f64>, queue_depth: Option<u64>) -> TierSample {
    let point = FleetPoint { ready: Some(ready), gpu_utilization, queue_depth, ..FleetPoint::default() };
    TierSample { tier: "gold".to_owned(), point }
}

fn gpu(while_ready: u32) -> Criterion {
    Criterion::GpuUtilization { tier: "gold".to_owned(), at_least: 0.7, at_most: 0.85, while_ready }
}

fn depth(at_most: u64) -> Criterion {
    Criterion::QueueDepth { tier: "gold".to_owned(), at_most }
}

#[tokio::test(flavor = "multi_thread")]
async fn gpu_utilization_is_judged_only_while_enough_replicas_are_ready() {
    let mut samples = vec![sample(1, Some(0.2), None); 3];
    samples.extend(vec![sample(5, Some(0.8), None); 3]);
    let summary = probed(samples, vec![gpu(5), gpu(1), gpu(6)]).await;
    // Over all six samples the mean is 0.5; with six ready there is none.
    assert_eq!(verdicts(&summary), [Verdict::Passed, Verdict::Failed, Verdict::NotJudged]);
    // Too few replicas are no occasion to judge it, not a figure that nobody gave.
    assert_eq!(summary.criteria[2].not_judged, Some(NotJudged::NoOccasion));
    assert_eq!(reason(&summary.criteria[2]), "never 6 ready: 5 at most");
    assert_eq!(summary.fleet[0].timeline.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_depth_fails_by_its_largest_sample_and_passes_only_when_seen_enough() {
    let mut samples = vec![sample(1, None, Some(3)); 500];
    samples[2] = sample(1, None, Some(40));
    let summary = probed(samples, vec![depth(40), depth(39)]).await;
    assert_eq!(verdicts(&summary), [Verdict::Passed, Verdict::Failed]);
    assert_eq!(summary.criteria[1].observed, Some(Observed::QueueDepth(40)));

    let summary = probed(vec![sample(1, None, Some(40)); 2], vec![depth(40), depth(39)]).await;
    // Two of some thirty looks are too few to pass, and enough to fail.
    assert_eq!(verdicts(&summary), [Verdict::NotJudged, Verdict::Failed]);
    assert_eq!(summary.criteria[0].not_judged, Some(NotJudged::TooFewSamples));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_figure_that_no_source_gave_is_never_read_and_keeps_the_run_from_passing() {
    let none_failed = Criterion::FailedRequests { at_most: 0 };
    // Five are ready all the time, and nobody tells their queue or their GPUs: a zero would pass as `at most 40`.
    let summary = probed(vec![sample(5, None, None); 500], vec![none_failed.clone(), depth(40), gpu(5)]).await;
    assert_eq!(verdicts(&summary), [Verdict::Passed, Verdict::NotJudged, Verdict::NotJudged]);
    for never_read in &summary.criteria[1..] {
        assert_eq!((never_read.not_judged, never_read.observed), (Some(NotJudged::NeverRead), None));
        assert!(reason(never_read).starts_with("never read: none of "), "{never_read:?}");
    }
    assert_eq!(summary.outcome, Outcome::NeverRead);

    // A source that fails is named, and a failed criterion outweighs what was not read.
    let one_failed = Criterion::FailedRequests { at_most: 0 };
    let broken = Server::start(|_| Reply::Json(500, "{}".to_owned())).await;
    let probe = Arc::new(Replayed { samples: Vec::new(), asked: AtomicUsize::new(0) });
    let plan = gold_plan(20.0, 500, vec![one_failed, depth(40)]);
    let (target, stop) = (broken.target.clone(), std::future::pending);
    let summary = evenkeel_load::run(plan, target, options(), Some(probe), &mut Silent, stop).await;
    assert!(reason(&summary.criteria[1]).ends_with("the last error: the controller is gone"));
    assert_eq!(summary.outcome, Outcome::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_shows_nothing_does_not_pass() {
    let server = Server::start(|_| quick()).await;
    let outcome = async |rate, criteria| run(gold_plan(rate, 500, criteria), &server, options()).await.outcome;
    let none_failed = || Criterion::FailedRequests { at_most: 0 };
    let of_no_tier = || latency("platinum", LatencyMetric::Ttft, 0.95, Span::from_secs(60));
    assert_eq!(outcome(0.0, vec![none_failed()]).await, Outcome::NothingSent);
    assert_eq!(outcome(0.0, Vec::new()).await, Outcome::NothingSent);
    assert_eq!(outcome(20.0, vec![of_no_tier()]).await, Outcome::NothingJudged);
    // Whoever states no criteria asks for traffic, not for a verdict.
    assert_eq!(outcome(20.0, Vec::new()).await, Outcome::NoCriteria);
    assert_eq!(outcome(20.0, vec![none_failed(), of_no_tier()]).await, Outcome::Held);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_controller_s_address_the_fleet_s_state_is_not_judged() {
    let server = Server::start(|_| quick()).await;
    let summary = run(gold_plan(10.0, 500, vec![gpu(1), depth(1)]), &server, options()).await;
    assert_eq!(verdicts(&summary), [Verdict::NotJudged, Verdict::NotJudged]);
    assert_eq!(reason(&summary.criteria[0]), "never read: the controller was not asked; give its address");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_criteria_a_run_in_which_nothing_was_answered_does_not_pass() {
    let server = Server::start(|_| Reply::Json(500, "{}".to_owned())).await;
    let summary = run(gold_plan(20.0, 500, Vec::new()), &server, options()).await;
    assert_eq!(summary.outcome, Outcome::NothingAnswered);
    assert!(!summary.outcome.passed());
}
