//! The classic policies, by the cases that their originals publish: Kubernetes' HPA (`replica_calculator_test.go` and its
//! documentation), KEDA's AverageValue, AWS's advice for queues, and what their users reported as bugs.

use crate::specs::{gold, minutes, seconds, tracking};
use crate::timeline::Timeline;
use evenkeel_core::decision::{ActiveSchedule, Reason, Why};
use evenkeel_core::observe::{Cause, Latency, Mean, Offered, Portion, Reading, Signals};
use evenkeel_core::spec::{Blind, Per, PolicySpec, Signal, TierSpec};
use evenkeel_core::units::Span;

fn with(policies: Vec<PolicySpec>) -> TierSpec {
    TierSpec { minimum: 0, maximum: 60, policies, ..gold() }
}

/// The count on the second tick, when the policy's window of one second is full and it may shrink for the first time.
fn settled(tier: TierSpec, ready: u32, load: impl FnOnce(&mut Timeline)) -> u32 {
    let mut timeline = Timeline::of(tier).with_ready(ready);
    load(&mut timeline);
    timeline.at(seconds(1)).decision().desired
}

fn by_gpu(target: f64, ready: u32, load: f64) -> u32 {
    let tier = with(vec![tracking(Signal::GpuUtilization, target, Per::Replica)]);
    settled(tier, ready, |it| it.feed().gpu_load = Some(load))
}

fn by_total(per: Per, target: f64, ready: u32, total: u64) -> u32 {
    let tier = with(vec![tracking(Signal::QueueDepth, target, per)]);
    settled(tier, ready, |it| it.feed().queue_depth = Some(total))
}

#[test]
fn a_mean_over_replicas_scales_as_hpa_does() {
    assert_eq!(by_gpu(0.30, 3, 0.3 + 0.5 + 0.7), 5, "TestReplicaCalcScaleUp");
    assert_eq!(by_gpu(0.50, 5, 0.10 + 0.30 + 0.50 + 0.25 + 0.25), 3, "TestReplicaCalcScaleDown");
    assert_eq!(by_gpu(0.10, 2, 2.0 * 0.2), 4, "documentation: 200m against 100m doubles the replicas");
    assert_eq!(by_gpu(0.10, 8, 8.0 * 0.05), 4, "documentation: 50m against 100m halves them");
}

#[test]
fn within_a_tenth_of_the_target_nothing_moves() {
    assert_eq!(by_gpu(0.75, 10, 10.0 * 0.82), 10, "82 % against 75 % is inside HPA's tolerance of 0.1");
    assert_eq!(by_gpu(0.75, 10, 10.0 * 0.84), 12, "84 % is not: 11.2, rounded up");
    assert_eq!(by_gpu(0.75, 10, 10.0 * 0.68), 10);
    assert_eq!(by_gpu(0.75, 10, 10.0 * 0.66), 9);
}

#[test]
fn rounding_in_the_last_digit_orders_no_replica() {
    assert_eq!(by_gpu(0.7, 5, 2.1), 3, "2.1 / 0.7 is 3.0000000000000004");
}

#[test]
fn a_total_against_a_target_for_each_replica_is_divided() {
    assert_eq!(by_total(Per::Replica, 2150.0, 3, 8600), 4, "TestReplicaCalcScaleUpPerPodCMExternal");
    assert_eq!(by_total(Per::Replica, 2867.0, 5, 8600), 3, "TestReplicaCalcScaleDownPerPodCMExternal");
    assert_eq!(by_total(Per::Replica, 5000.0, 3, 20_000), 4, "TestReplicaCalcScaleUpPerPodCMObject");
    assert_eq!(by_total(Per::Replica, 5.0, 1, 30), 6, "KEDA's SQS scaler: 30 messages at its default of 5");
    assert_eq!(by_total(Per::Replica, 5.0, 0, 1), 1, "KEDA activates on the first message");
    assert_eq!(by_total(Per::Replica, 5.0, 4, 0), 0, "and goes to zero on none");
}

#[test]
fn a_total_against_a_target_for_the_tier_moves_in_proportion() {
    assert_eq!(by_total(Per::Tier, 4400.0, 1, 8600), 2, "TestReplicaCalcScaleUpCMExternal");
    assert_eq!(by_total(Per::Tier, 14_334.0, 5, 8600), 3, "TestReplicaCalcScaleDownCMExternal");
    assert_eq!(by_total(Per::Tier, 15_000.0, 3, 20_000), 4, "TestReplicaCalcScaleUpCMObject");
    assert_eq!(by_total(Per::Tier, 20_000.0, 5, 12_000), 3, "TestReplicaCalcScaleDownCMObject");
    assert_eq!(by_total(Per::Tier, 10_000.0, 0, 25_000), 3, "from zero as one replica would: HPA's ceil(r)");
}

#[test]
fn proportion_is_taken_of_the_ready_replicas_alone() {
    let mut tier = Timeline::of(with(vec![tracking(Signal::QueueDepth, 10_000.0, Per::Tier)])).with_ready(1);
    tier.feed().queue_depth = Some(30_000);
    tier.at(Span::ZERO).expect(3);
    tier.feed().queue_depth = Some(50_000);
    // TestReplicaCalcScaleUpCMObjectIgnoresUnreadyPods: one of three ready, five wanted and not fifteen.
    tier.at(seconds(1)).expect(5);
}

#[test]
fn starting_replicas_are_not_ordered_twice() {
    // vllm-project/aibrix#2670: pending replicas were ignored, and 2 became 4, 8, 16.
    for per in [Per::Replica, Per::Tier] {
        let target = if per == Per::Replica { 10.0 } else { 20.0 };
        let slow = TierSpec { start_up: minutes(10), ..with(vec![tracking(Signal::QueueDepth, target, per)]) };
        let mut tier = Timeline::of(slow).with_ready(2);
        tier.feed().queue_depth = Some(40);
        for second in 0..590 {
            tier.at(seconds(second)).expect(4);
        }
    }
    let slow = TierSpec {
        start_up: minutes(10),
        ..with(vec![tracking(Signal::GpuUtilization, 0.5, Per::Replica), tracking(Signal::Pace, 10.0, Per::Replica)])
    };
    let mut tier = Timeline::of(slow).with_ready(2);
    tier.feed().gpu_load = Some(2.0);
    tier.feed().pace = Some(Mean { sum: 200.0, count: 10 });
    for second in 0..590 {
        tier.at(seconds(second)).expect(4);
    }
}

#[test]
fn what_is_starting_is_not_taken_back_while_its_share_of_the_load_cannot_be_seen() {
    let mut tier = Timeline::of(with(vec![tracking(Signal::GpuUtilization, 0.5, Per::Replica)])).with_ready(2);
    tier.feed().gpu_load = Some(2.0);
    tier.at(seconds(5)).expect(4);
    tier.feed().gpu_load = Some(0.4);
    tier.at(seconds(15)).expect(4).because(Reason::HeldSteady);
    tier.at(seconds(25)).expect(1);
}

#[test]
fn a_mean_over_replicas_is_meant_for_each_replica_however_it_is_written() {
    let tier = with(vec![tracking(Signal::GpuUtilization, 0.75, Per::Tier)]);
    assert_eq!(settled(tier, 5, |it| it.feed().gpu_load = Some(5.0 * 0.75)), 5);
}

#[test]
fn the_largest_recommendation_wins_and_shrinking_needs_all_to_agree() {
    let policies = vec![
        tracking(Signal::GpuUtilization, 0.75, Per::Replica),
        tracking(Signal::QueueDepth, 50.0, Per::Replica),
        PolicySpec::PlayersPerReplica { players: 235.0 },
    ];
    let mut tier = Timeline::of(with(policies)).with_ready(4);
    tier.feed().gpu_load = Some(0.6);
    tier.feed().queue_depth = Some(180);
    tier.feed().players = Some(200);
    tier.at(seconds(5)).expect(4);
    assert_eq!(tier.decision().winner, Some(1), "the queue alone holds them");
    tier.feed().queue_depth = Some(0);
    tier.at(seconds(10)).expect(1);
}

#[test]
fn among_equal_recommendations_the_first_in_the_file_is_named() {
    let players = PolicySpec::PlayersPerReplica { players: 100.0 };
    let mut tier = Timeline::of(with(vec![PolicySpec::Schedule, players.clone(), players]));
    tier.feed().players = Some(300);
    tier.tick();
    assert_eq!((tier.decision().desired, tier.decision().winner), (3, Some(1)));
}

#[test]
fn an_objective_that_the_tier_does_not_have_is_blind_and_not_met() {
    let mut tier = Timeline::of(with(vec![PolicySpec::Latency { objective: 7, window: seconds(60) }])).with_ready(4);
    tier.feed().latency = Some(Latency { count: 100, above: 0, ..Latency::default() });
    tier.at(minutes(10)).expect(4).because(Reason::HeldBlind);
    let cause = Cause::NotConfigured;
    assert_eq!(tier.decision().recommendations[0].why, Why::Blind { signal: Signal::Latency, cause });
}

#[test]
fn players_per_replica_gives_the_first_users_table() {
    // Players 100 / 500 / 1,000 / 5,000 / 10,000 (theory.md): the linear reading fits every band.
    for (per_replica, counts) in [(235.0, [1, 3, 5, 22, 43]), (435.0, [1, 2, 3, 12, 23]), (2_000.0, [1, 1, 1, 3, 5])] {
        for (players, count) in [100, 500, 1_000, 5_000, 10_000].into_iter().zip(counts) {
            let tier = with(vec![PolicySpec::PlayersPerReplica { players: per_replica }]);
            assert_eq!(settled(tier, 0, |it| it.feed().players = Some(players)), count, "{players} at {per_replica}");
        }
    }
}

fn by_backlog(ready: u32, waiting: u64, in_flight: u64) -> u32 {
    let tier = with(vec![PolicySpec::BacklogPerReplica { target: 100.0 }]);
    settled(tier, ready, |it| {
        it.feed().queue_depth = Some(waiting);
        it.feed().in_flight = Some(in_flight);
    })
}

#[test]
fn backlog_for_each_replica_follows_aws_advice_for_queues() {
    // AWS's example: 1,500 messages, ten instances, 0.1 s each, 10 s acceptable, so 100 each and five instances more.
    assert_eq!(by_backlog(10, 1_500, 10), 15);
    assert_eq!(by_backlog(0, 1_500, 0), 15, "and no replica is no division by zero");
    assert_eq!(by_backlog(0, 1, 0), 1);
}

#[test]
fn a_tier_is_not_idle_while_a_replica_works_although_nothing_waits() {
    assert_eq!(by_backlog(3, 0, 40), 1);
    assert_eq!(by_backlog(3, 0, 0), 0);
}

#[test]
fn a_schedule_is_a_floor_while_it_is_active() {
    let mut tier = Timeline::of(with(vec![PolicySpec::Schedule, PolicySpec::PlayersPerReplica { players: 100.0 }]));
    tier.feed().players = Some(250);
    tier.at(seconds(5)).expect(3);
    tier.tiers[0].schedule = Some(ActiveSchedule { entry: "friday evening".into(), at_least: 8 });
    tier.at(seconds(6)).expect(8);
    let entry = Some("friday evening".into());
    assert_eq!(tier.decision().recommendations[0].why, Why::Scheduled { entry });
    tier.tiers[0].schedule = None;
    tier.at(seconds(30)).expect(3);
    assert_eq!(tier.decision().recommendations[0].why, Why::Scheduled { entry: None });
}

fn by_latency() -> TierSpec {
    with(vec![PolicySpec::Latency { objective: 0, window: seconds(30) }])
}

/// Of 100 requests ended in a tick, so many above the bound.
fn above(above: u64) -> Option<Latency> {
    Some(Latency { count: 100, above, ..Latency::default() })
}

#[test]
fn latency_grows_by_one_when_missed_and_by_half_when_missed_by_far() {
    let grown = |missed| {
        settled(by_latency(), 6, |it| {
            it.feed().latency = above(missed);
            it.feed().queue_depth = Some(3);
            it.feed().in_flight = Some(300);
        })
    };
    assert_eq!(grown(4), 6, "four of a hundred may be late at p95");
    assert_eq!(grown(8), 7);
    assert_eq!(grown(30), 9);
}

#[test]
fn ten_of_a_hundred_may_be_late_at_p90() {
    let mut tier = by_latency();
    tier.slo.objectives[0].quantile = 0.9;
    let held = settled(tier, 6, |it| {
        it.feed().latency = above(10);
        it.feed().queue_depth = Some(3);
        it.feed().in_flight = Some(300);
    });
    assert_eq!(held, 6);
}

#[test]
fn latency_waits_for_what_it_ordered() {
    let mut tier = Timeline::of(TierSpec { start_up: minutes(2), ..by_latency() }).with_ready(6);
    tier.feed().latency = above(30);
    tier.feed().queue_depth = Some(3);
    tier.feed().in_flight = Some(300);
    tier.at(seconds(60)).expect(9);
    // Missed by less meanwhile: what was ordered is neither taken back nor added to before it has shown its effect.
    tier.feed().latency = above(8);
    tier.at(seconds(110)).expect(9);
    tier.at(seconds(130)).expect(10);
    tier.feed().latency = above(30);
    tier.at(seconds(200)).expect(10);
}

#[test]
fn latency_shrinks_by_one_when_the_remaining_ones_have_room() {
    let mut tier = Timeline::of(by_latency()).with_ready(6);
    tier.feed().latency = above(0);
    tier.feed().queue_depth = Some(0);
    // Half of a batch of 64 in each of the five that remain.
    tier.feed().in_flight = Some(161);
    tier.at(minutes(5)).expect(6);
    tier.feed().in_flight = Some(160);
    tier.tick();
    tier.expect(5);
    tier.tick();
    tier.expect(5).because(Reason::HeldSteady);
    // Kept, but by less than twice: one replica fewer could miss it.
    let mut close = Timeline::of(by_latency()).with_ready(6);
    close.feed().latency = above(4);
    close.feed().queue_depth = Some(0);
    close.feed().in_flight = Some(0);
    close.at(minutes(10)).expect(6);
}

#[test]
fn a_bound_missed_by_idle_replicas_is_unachievable() {
    // TTFT that breaches with nobody waiting and one request in each replica at most: more replicas cannot help.
    let mut tier = Timeline::of(by_latency()).with_ready(4);
    tier.feed().latency = above(60);
    tier.feed().queue_depth = Some(0);
    tier.feed().in_flight = Some(4);
    tier.feed().requests_per_second = Some(8.0);
    tier.at(minutes(20)).expect(4).because(Reason::Unachievable);
    let Why::Unachievable { requests_per_second, throughput_replicas, .. } = tier.decision().recommendations[0].why
    else {
        panic!()
    };
    assert_eq!((requests_per_second, throughput_replicas), (8.0, 4.0));
    tier.feed().in_flight = Some(9);
    tier.tick();
    tier.expect(6).because(Reason::GrewForDemand);
}

#[test]
fn a_count_over_no_time_is_no_rate() {
    let mut tier = Timeline::of(by_latency()).with_ready(4);
    let at = tier.inputs.now;
    let offered = Reading::Fresh { value: Offered { requests: 8, prompt_tokens: 0, over: Span::ZERO }, at };
    let (queue_depth, in_flight) = (Reading::Fresh { value: 0, at }, Reading::Fresh { value: 4, at });
    let value = Latency { count: 100, above: 60, ..Latency::default() };
    let latency = vec![Reading::Fresh { value, at }];
    tier.tick_with(vec![Signals { offered, queue_depth, in_flight, latency, ..Signals::default() }]);
    let Why::Unachievable { requests_per_second, .. } = tier.decision().recommendations[0].why else { panic!() };
    assert_eq!(requests_per_second, 0.0);
}

#[test]
fn no_traffic_is_no_outage_for_a_policy_that_measures_requests() {
    // ai-dynamo/dynamo#6985: zero traffic gave NaN and never scaled in.
    for policy in [
        PolicySpec::Latency { objective: 0, window: seconds(30) },
        tracking(Signal::Pace, 12.0, Per::Replica),
        tracking(Signal::ErrorShare, 0.05, Per::Replica),
    ] {
        let mut tier = Timeline::of(TierSpec { minimum: 1, ..with(vec![policy]) }).with_ready(5);
        tier.feed().queue_depth = Some(0);
        tier.feed().in_flight = Some(0);
        tier.at(minutes(2)).expect(1);
        // The same silence while requests are under way is not known to be idleness.
        let mut busy = Timeline::of(tier.spec().tiers[0].clone()).with_ready(5);
        busy.feed().queue_depth = Some(0);
        busy.feed().in_flight = Some(20);
        busy.at(minutes(2)).expect(5).because(Reason::HeldBlind);
    }
}

#[test]
fn latency_wakes_a_tier_at_zero_by_what_waits() {
    let mut tier = Timeline::of(by_latency());
    tier.feed().queue_depth = Some(0);
    tier.feed().in_flight = Some(0);
    tier.at(minutes(1)).expect(0);
    tier.feed().queue_depth = Some(1);
    tier.at(minutes(1) + seconds(1)).expect(1).because(Reason::GrewForDemand);
    // Nobody waits: that nothing ended, as no replica is there, wakes nothing.
    let mut empty = Timeline::of(by_latency());
    empty.feed().queue_depth = Some(0);
    empty.feed().in_flight = Some(1);
    empty.at(minutes(1)).expect(0);
}

#[test]
fn silence_while_requests_are_inside_is_blind_whatever_was_measured_before() {
    let mut tier = Timeline::of(with(vec![tracking(Signal::Pace, 12.0, Per::Replica)])).with_ready(5);
    tier.feed().queue_depth = Some(0);
    tier.feed().in_flight = Some(20);
    tier.feed().pace = Some(Mean { sum: 60.0, count: 10 });
    tier.at(seconds(30));
    tier.feed().pace = None;
    tier.tick();
    let blind = Why::Blind { signal: Signal::Pace, cause: Cause::NoRequest };
    assert_eq!(tier.decision().recommendations[0].why, blind);
    // A share of no requests is as silent.
    let mut errors = Timeline::of(with(vec![tracking(Signal::ErrorShare, 0.05, Per::Replica)])).with_ready(5);
    let at = errors.inputs.now;
    let error_share = Reading::Fresh { value: Portion { part: 0, whole: 0 }, at };
    let (queue_depth, in_flight) = (Reading::Fresh { value: 0, at }, Reading::Fresh { value: 20, at });
    errors.tick_with(vec![Signals { error_share, queue_depth, in_flight, ..Signals::default() }]);
    let blind = Why::Blind { signal: Signal::ErrorShare, cause: Cause::NoRequest };
    assert_eq!(errors.decision().recommendations[0].why, blind);
}

#[test]
fn a_figure_that_adds_up_is_told_for_each_replica_and_any_other_as_it_is() {
    let told = |policy, ready| {
        let mut tier = Timeline::of(with(vec![policy])).with_ready(ready);
        let at = tier.inputs.now;
        let (queue_depth, oldest_queued) =
            (Reading::Fresh { value: 12, at }, Reading::Fresh { value: seconds(12), at });
        tier.tick_with(vec![Signals { queue_depth, oldest_queued, ..Signals::default() }]);
        let Why::Target { value, .. } = tier.decision().recommendations[0].why else { panic!() };
        value
    };
    assert_eq!(told(tracking(Signal::QueueDepth, 3.0, Per::Replica), 4), 3.0);
    assert_eq!(told(tracking(Signal::QueueDepth, 3.0, Per::Replica), 0), 12.0, "without a replica, all of it");
    assert_eq!(told(tracking(Signal::OldestQueued, 3.0, Per::Replica), 4), 12.0, "an age is nobody's share");
}

#[test]
fn a_replica_that_does_not_report_removes_none_and_does_not_stop_growth() {
    // vllm-project/aibrix#617: one scrape error wedged the autoscaler.
    let partial = |load: f64, reporting: u64| {
        let tier = with(vec![tracking(Signal::GpuUtilization, 0.5, Per::Replica)]);
        let mut tier = Timeline::of(tier).with_ready(6);
        tier.feed().gpu_load = Some(load);
        tier.feed().gpu_reporting = Some(reporting);
        tier.at(seconds(1)).decision().clone()
    };
    let half = partial(0.6, 3);
    assert_eq!((half.desired, half.reason), (6, Reason::HeldBlind));
    assert_eq!(half.recommendations[0].why, Why::Blind { signal: Signal::GpuUtilization, cause: Cause::Partial });
    assert_eq!(partial(5.0, 5).desired, 10, "what five report needs ten");
    // What five report needs six, which are there; whether the sixth needs another nobody knows.
    let as_many = partial(3.0, 5).recommendations[0].why.clone();
    assert_eq!(as_many, Why::Blind { signal: Signal::GpuUtilization, cause: Cause::Partial });
    assert_eq!(partial(0.6, 6).desired, 2, "all reported");
}

/// What is decided over so many ready replicas by what a gateway counts while the one before it still ends answers.
fn of_a_part(policy: PolicySpec, ready: u32, waiting: u64, inside: u64) -> evenkeel_core::decision::Decision {
    let mut tier = Timeline::of(with(vec![policy])).with_ready(ready);
    let at = tier.inputs.now;
    let part = |value| Reading::AtLeast { value, at };
    let latency = vec![Reading::Missing { cause: Cause::NoReplica }];
    let (queue_depth, in_flight) = (part(waiting), part(inside));
    tier.tick_with(vec![Signals { queue_depth, in_flight, latency, ..Signals::default() }]);
    tier.decision().clone()
}

#[test]
fn what_a_restarted_gateway_counts_already_adds_replicas_and_what_it_does_not_count_removes_none() {
    let backlog = || PolicySpec::BacklogPerReplica { target: 2.0 };
    assert_eq!(of_a_part(backlog(), 1, 6, 3).desired, 3);
    let held = of_a_part(backlog(), 6, 0, 0);
    assert_eq!((held.desired, held.reason), (6, Reason::HeldBlind));
    let blind = |signal| Why::Blind { signal, cause: Cause::LowerBound };
    assert_eq!(held.recommendations[0].why, blind(Signal::QueueDepth));

    let inside = || tracking(Signal::InFlight, 5.0, Per::Replica);
    assert_eq!(of_a_part(inside(), 2, 0, 20).desired, 4);
    let held = of_a_part(inside(), 6, 0, 1);
    assert_eq!((held.desired, &held.recommendations[0].why), (6, &blind(Signal::InFlight)));

    let latency = || PolicySpec::Latency { objective: 0, window: seconds(60) };
    assert_eq!(of_a_part(latency(), 0, 1, 0).desired, 1, "it waits, and nobody is there");
}

#[test]
fn a_lower_bound_wakes_a_tier_without_replicas_and_keeps_it_from_its_fallback_no_longer_than_declared() {
    let blind = Blind::AtLeast { replicas: 3, after: minutes(1) };
    let mut tier = Timeline::of(TierSpec { blind, ..by_latency() }).with_ready(0);
    let mut decided = |times: usize| {
        for _ in 0..times {
            let (at, latency) = (tier.inputs.now, vec![Reading::Missing { cause: Cause::NoReplica }]);
            tier.tick_with(vec![Signals {
                queue_depth: Reading::AtLeast { value: 1, at },
                latency,
                ..Signals::default()
            }]);
        }
        tier.decision().desired
    };
    assert_eq!(decided(1), 1, "it waits, and nobody is there");
    assert_eq!(decided(120), 3, "how many wait nobody knows");
}

#[test]
fn a_backlog_of_which_one_half_is_known_is_named_by_the_other() {
    let mut tier = Timeline::of(with(vec![PolicySpec::BacklogPerReplica { target: 2.0 }])).with_ready(2);
    let queue_depth = Reading::Fresh { value: 9, at: tier.inputs.now };
    tier.tick_with(vec![Signals { queue_depth, ..Signals::default() }]);
    let blind = Why::Blind { signal: Signal::InFlight, cause: Cause::NotConfigured };
    assert_eq!(tier.decision().recommendations[0].why, blind);
}

#[test]
fn a_figure_that_is_not_a_number_is_refused_at_the_door() {
    for wrong in [f64::NAN, f64::INFINITY, -1.0] {
        let tier = with(vec![tracking(Signal::Pace, 12.0, Per::Replica)]);
        let mut tier = Timeline::of(tier).with_ready(5);
        tier.feed().pace = Some(Mean { sum: wrong, count: 3 });
        tier.at(minutes(1)).expect(5).because(Reason::HeldBlind);
        let why = &tier.decision().recommendations[0].why;
        assert_eq!(*why, Why::Blind { signal: Signal::Pace, cause: Cause::NotANumber });
    }
}
