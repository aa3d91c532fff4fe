//! A fault planted in a correct decision is named by the checker, as just the invariant that it breaks.

use crate::specs::{by_players, fleet, gold, minutes, seconds, silver, tracking};
use crate::timeline::Timeline;
use evenkeel_core::check::{Invariant, check};
use evenkeel_core::decision::{Clamp, Decision, Guard, Override};
use evenkeel_core::observe::{Cause, Latency, Mean, Offered, Portion, Reading, ReplicaId, ReplicaState, Signals};
use evenkeel_core::spec::{Per, PolicySpec, Signal, TierSpec};
use evenkeel_core::units::Span;

/// The invariants that the newest decisions of `timeline` break after `plant` changed them.
fn broken(timeline: &Timeline, plant: impl FnOnce(&mut Vec<Decision>)) -> Vec<Invariant> {
    let mut decisions = timeline.decisions.clone();
    plant(&mut decisions);
    check(timeline.spec(), &timeline.inputs, &decisions).into_iter().map(|it| it.broken).collect()
}

/// What a decision without any guard looks like that wants `count`.
fn plainly(decision: &mut Decision, count: u32) {
    decision.desired = count;
    decision.clamps.clear();
    decision.recommendations.iter_mut().for_each(|it| it.desired = Some(count));
}

/// Two tiers of four and three replicas under a shared maximum of ten, of which gold just shrank from six.
fn shrinking() -> Timeline {
    let tiers = vec![by_players(), TierSpec { policies: by_players().policies, ..silver() }];
    let mut both = Timeline::over(fleet(tiers, Some(10)));
    both.tiers[0].feed.players = Some(600);
    both.tiers[1].feed.players = Some(300);
    both.at(minutes(1)).expect_all(&[6, 3]);
    both.tiers[0].feed.players = Some(400);
    both.tick();
    both.expect_all(&[4, 3]);
    both
}

#[test]
fn a_correct_decision_breaks_nothing() {
    assert_eq!(broken(&shrinking(), |_| ()), []);
}

#[test]
fn a_tier_without_its_one_decision_is_caught() {
    let plants: [fn(&mut Vec<Decision>); 5] = [
        |it| drop(it.pop()),
        |it| it.push(it[0].clone()),
        |it| it.swap(0, 1),
        |it| it[1].tier = "gold".into(),
        |it| it[1].tier = "platinum".into(),
    ];
    for plant in plants {
        assert_eq!(broken(&shrinking(), plant), [Invariant::OneDecisionForEachTier]);
    }
}

#[test]
fn a_start_beyond_the_maximum_is_caught() {
    let mut tier = Timeline::of(TierSpec { maximum: 8, ..by_players() });
    tier.feed().players = Some(800);
    tier.at(minutes(1)).expect(8);
    assert_eq!(broken(&tier, |it| plainly(&mut it[0], 9)), [Invariant::StartsWithinMaximum]);
}

#[test]
fn a_start_beyond_the_shared_maximum_is_caught() {
    let mut both = shrinking();
    both.tiers[0].feed.players = Some(600);
    both.at(minutes(3)).expect_all(&[6, 3]);
    assert_eq!(broken(&both, |it| plainly(&mut it[0], 7)), []);
    assert_eq!(broken(&both, |it| plainly(&mut it[0], 8)), [Invariant::StartsWithinSharedMaximum]);
    let one_each = |it: &mut Vec<Decision>| {
        plainly(&mut it[0], 7);
        plainly(&mut it[1], 4);
    };
    assert_eq!(broken(&both, one_each), [Invariant::StartsWithinSharedMaximum], "granted before it was released");
}

#[test]
fn fewer_than_the_minimum_is_caught() {
    let mut tier = Timeline::of(TierSpec { minimum: 2, ..by_players() });
    tier.feed().players = Some(400);
    tier.at(minutes(1)).expect(4);
    let end = |count: u32| {
        broken(&tier, |it| {
            plainly(&mut it[0], count);
            it[0].victims = tier.tiers[0].replicas.iter().skip(count as usize).map(|it| it.id.clone()).collect();
        })
    };
    assert_eq!(end(2), []);
    assert_eq!(end(1), [Invariant::KeepsMinimum]);
    assert_eq!(end(0), [Invariant::KeepsMinimum]);
}

#[test]
fn wrong_victims_are_caught() {
    let plants: [fn(&mut Vec<Decision>); 7] = [
        |it| drop(it[0].victims.pop()),
        |it| it[0].victims.clear(),
        |it| it[0].victims[1] = it[0].victims[0].clone(),
        |it| it[0].victims[1] = ReplicaId("stranger".into()),
        |it| it[0].victims.extend_from_within(..1),
        // A victim although the count does not shrink.
        |it| it[1].victims.push(ReplicaId("r000".into())),
        // Supply that was not observed.
        |it| it[1].supply.starting += 1,
    ];
    for (index, plant) in plants.into_iter().enumerate() {
        assert_eq!(broken(&shrinking(), plant), [Invariant::VictimsLeave], "plant {index}");
    }
    let mut draining = shrinking();
    let victim = draining.decisions[0].victims[0].clone();
    let Reading::Fresh { value, .. } = &mut draining.inputs.tiers[0].observation.replicas else { panic!() };
    value.iter_mut().filter(|it| it.id == victim).for_each(|it| it.state = ReplicaState::Draining);
    draining.decisions[0].supply.ready -= 1;
    draining.decisions[0].supply.draining += 1;
    // Two of five shall go although four shall be there, one of them goes already.
    assert_eq!(broken(&draining, |_| ()), [Invariant::VictimsLeave]);
}

/// A decision with three clamps: 30 wanted, 15 by override, 10 by the maximum.
fn clamped() -> Timeline {
    let mut tier = Timeline::of(TierSpec { maximum: 10, ..by_players() });
    tier.feed().players = Some(3_000);
    tier.tiers[0].operator = crate::timeline::order(None, Some(15));
    tier.at(seconds(5)).expect(10);
    let guards: Vec<Guard> = tier.decision().clamps.iter().map(|it| it.guard).collect();
    assert_eq!(guards, [Guard::Override, Guard::Maximum]);
    tier
}

#[test]
fn a_chain_that_is_not_whole_is_caught() {
    let plants: [fn(&mut Vec<Decision>); 9] = [
        |it| it[0].clamps = it[0].clamps.split_off(1),
        |it| it[0].clamps.truncate(1),
        |it| it[0].clamps[0].before = 29,
        |it| it[0].clamps[0].after = 14,
        // Maximum before override.
        |it| {
            (it[0].clamps[0].guard, it[0].clamps[1].guard) = (Guard::Maximum, Guard::Override);
        },
        // A guard twice, and a guard that changes nothing.
        |it| it[0].clamps[1].guard = Guard::Override,
        |it| it[0].clamps.push(Clamp { guard: Guard::Minimum, before: 10, after: 10 }),
        // Freshness in the middle.
        |it| {
            it[0].clamps[1].after = 12;
            it[0].clamps.push(Clamp { guard: Guard::Freshness, before: 12, after: 11 });
            it[0].clamps.push(Clamp { guard: Guard::Minimum, before: 11, after: 10 });
        },
        // A recommendation that was larger than the one that won.
        |it| {
            let mut larger = it[0].recommendations[0].clone();
            larger.desired = Some(31);
            it[0].recommendations.push(larger);
        },
    ];
    for (index, plant) in plants.into_iter().enumerate() {
        assert_eq!(broken(&clamped(), plant), [Invariant::ChainIsWhole], "plant {index}");
    }
    assert_eq!(broken(&clamped(), |it| it[0].winner = None), [Invariant::ChainIsWhole]);
    assert_eq!(broken(&clamped(), |it| it[0].winner = Some(7)), [Invariant::ChainIsWhole]);
}

/// A tier under `policy` that shrank from four to two in the newest tick, with all its signals fresh.
fn shrunk(policy: PolicySpec) -> Timeline {
    let mut tier = Timeline::of(TierSpec { policies: vec![PolicySpec::Schedule], ..gold() }).with_ready(4);
    tier.feed().players = Some(200);
    tier.tick();
    let now = tier.inputs.now;
    tier.reload(|it| it.tiers[0].policies = vec![policy]);
    tier.inputs.tiers[0].observation.signals = seen(now);
    let victims: Vec<ReplicaId> = tier.inputs.tiers[0]
        .observation
        .replicas
        .fresh()
        .into_iter()
        .flatten()
        .take(2)
        .map(|it| it.id.clone())
        .collect();
    plainly(&mut tier.decisions[0], 2);
    tier.decisions[0].victims = victims;
    tier
}

fn seen(at: evenkeel_core::units::Time) -> Signals {
    let mean = Reading::Fresh { value: Mean { sum: 1.0, count: 4 }, at };
    Signals {
        offered: Reading::Fresh { value: Offered { requests: 9, prompt_tokens: 99, over: seconds(1) }, at },
        queue_depth: Reading::Fresh { value: 0, at },
        oldest_queued: Reading::Fresh { value: Span::ZERO, at },
        in_flight: Reading::Fresh { value: 0, at },
        latency: vec![Reading::Fresh { value: Latency::default(), at }],
        pace: mean,
        gpu_utilization: mean,
        kv_utilization: mean,
        engine_waiting: Reading::Fresh { value: 0, at },
        players: Reading::Fresh { value: 200, at },
        prefix_cache_miss: Reading::Fresh { value: Portion { part: 1, whole: 4 }, at },
        ..Signals::default()
    }
}

/// `spoil` makes each signal, in turn, one that may not be decided by.
fn spoilt(policy: &PolicySpec, spoil: impl FnOnce(&mut Signals)) -> Vec<Invariant> {
    let mut tier = shrunk(policy.clone());
    assert_eq!(broken(&tier, |_| ()), [], "{policy:?} with everything fresh");
    spoil(&mut tier.inputs.tiers[0].observation.signals);
    broken(&tier, |_| ())
}

fn spoil<T: Copy>(reading: &mut Reading<T>, way: usize) {
    let Reading::Fresh { value, at } = *reading else { panic!() };
    *reading = match way {
        0 => Reading::Stale { value, at: at - seconds(9) },
        1 => Reading::Missing { cause: Cause::Unreachable },
        2 => Reading::Missing { cause: Cause::Partial },
        3 => Reading::AtLeast { value, at },
        _ => Reading::default(),
    };
}

#[test]
fn a_replica_removed_on_a_signal_that_may_not_be_used_is_caught() {
    let caught = [Invariant::BlindRemovesNothing];
    let track = |signal| tracking(signal, 50.0, Per::Replica);
    for way in 0..5 {
        let capacity = crate::specs::capacity();
        assert_eq!(spoilt(&capacity, |it| spoil(&mut it.offered, way)), caught);
        let backlog = PolicySpec::BacklogPerReplica { target: 100.0 };
        assert_eq!(spoilt(&backlog, |it| spoil(&mut it.queue_depth, way)), caught);
        assert_eq!(spoilt(&backlog, |it| spoil(&mut it.in_flight, way)), caught);
        let players = PolicySpec::PlayersPerReplica { players: 235.0 };
        assert_eq!(spoilt(&players, |it| spoil(&mut it.players, way)), caught);
        if way == 3 {
            let beside = |it: &mut Signals| {
                let Reading::Fresh { at, .. } = it.players else { panic!() };
                it.players = Reading::Fresh { value: 0, at };
                spoil(&mut it.in_flight, way);
            };
            assert_eq!(spoilt(&players, beside), caught, "nobody, beside what is counted in part");
        }
        let latency = PolicySpec::Latency { objective: 0, window: seconds(60) };
        assert_eq!(spoilt(&latency, |it| spoil(&mut it.latency[0], way)), caught);
        assert_eq!(spoilt(&track(Signal::GpuUtilization), |it| spoil(&mut it.gpu_utilization, way)), caught);
        assert_eq!(spoilt(&track(Signal::KvUtilization), |it| spoil(&mut it.kv_utilization, way)), caught);
        assert_eq!(spoilt(&track(Signal::QueueDepth), |it| spoil(&mut it.queue_depth, way)), caught);
        assert_eq!(spoilt(&track(Signal::OldestQueued), |it| spoil(&mut it.oldest_queued, way)), caught);
        assert_eq!(spoilt(&track(Signal::EngineWaiting), |it| spoil(&mut it.engine_waiting, way)), caught);
        assert_eq!(spoilt(&track(Signal::Pace), |it| spoil(&mut it.pace, way)), caught);
        assert_eq!(spoilt(&track(Signal::Players), |it| spoil(&mut it.players, way)), caught);
        assert_eq!(spoilt(&track(Signal::Offered), |it| spoil(&mut it.offered, way)), caught);
        assert_eq!(spoilt(&track(Signal::PrefixCacheMiss), |it| spoil(&mut it.prefix_cache_miss, way)), caught);
        // A signal that no policy lives on may be missing.
        assert_eq!(spoilt(&players, |it| spoil(&mut it.gpu_utilization, way)), []);
    }
}

#[test]
fn a_latency_is_no_figure_to_track_so_nothing_may_be_removed_by_it() {
    let tracked = shrunk(tracking(Signal::Latency, 50.0, Per::Replica));
    assert_eq!(broken(&tracked, |_| ()), [Invariant::BlindRemovesNothing]);
}

#[test]
fn a_replica_removed_on_figures_of_some_replicas_only_is_caught() {
    let gpu = tracking(Signal::GpuUtilization, 0.75, Per::Replica);
    let reported = |count| {
        spoilt(&gpu, |it| {
            let Reading::Fresh { value, .. } = &mut it.gpu_utilization else { panic!() };
            value.count = count;
        })
    };
    assert_eq!(reported(3), [Invariant::BlindRemovesNothing]);
    assert_eq!(reported(0), [Invariant::BlindRemovesNothing]);
    assert_eq!(reported(4), []);
}

#[test]
fn a_replica_removed_on_a_mean_of_nobody_is_caught() {
    let mut starting = shrunk(tracking(Signal::GpuUtilization, 0.75, Per::Replica));
    let observation = &mut starting.inputs.tiers[0].observation;
    let Reading::Fresh { value: replicas, .. } = &mut observation.replicas else { panic!() };
    replicas.iter_mut().for_each(|it| it.state = ReplicaState::Starting);
    let Reading::Fresh { value: mean, .. } = &mut observation.signals.gpu_utilization else { panic!() };
    *mean = Mean { sum: 0.0, count: 0 };
    assert_eq!(broken(&starting, |_| ()), [Invariant::BlindRemovesNothing]);
}

#[test]
fn silence_is_an_outage_unless_it_is_known_that_nothing_is_under_way() {
    let latency = PolicySpec::Latency { objective: 0, window: seconds(60) };
    let silent = |in_flight: u64, cause| {
        spoilt(&latency, |it| {
            it.latency[0] = Reading::Missing { cause };
            let Reading::Fresh { value, .. } = &mut it.in_flight else { panic!() };
            *value = in_flight;
        })
    };
    assert_eq!(silent(0, Cause::NoRequest), []);
    assert_eq!(silent(3, Cause::NoRequest), [Invariant::BlindRemovesNothing]);
    assert_eq!(silent(0, Cause::Unreachable), [Invariant::BlindRemovesNothing]);
}

#[test]
fn anything_done_to_replicas_that_could_not_be_listed_is_caught() {
    let mut unlisted = shrunk(PolicySpec::Schedule);
    unlisted.inputs.tiers[0].observation.replicas = Reading::Missing { cause: Cause::Unreachable };
    // Both: a replica is removed while blind, and nobody knows whether the victims are there.
    let both = [Invariant::BlindRemovesNothing, Invariant::VictimsLeave];
    assert_eq!(broken(&unlisted, |_| ()), both);
    let grown = |it: &mut Vec<Decision>| {
        plainly(&mut it[0], 5);
        it[0].victims.clear();
    };
    assert_eq!(broken(&unlisted, grown), [Invariant::VictimsLeave]);
    let kept = |it: &mut Vec<Decision>| {
        plainly(&mut it[0], 4);
        it[0].victims.clear();
    };
    assert_eq!(broken(&unlisted, kept), []);
}

#[test]
fn only_an_operator_may_remove_while_blind_and_only_what_the_order_says_and_in_time() {
    let players = PolicySpec::PlayersPerReplica { players: 235.0 };
    let ordered = |at_most: u32, offset: i64| {
        let mut tier = shrunk(players.clone());
        tier.inputs.tiers[0].observation.signals.players = Reading::Missing { cause: Cause::TimedOut };
        let until = tier.inputs.now + Span::from_secs(offset);
        tier.inputs.tiers[0].operator =
            Some(Override { at_least: None, at_most: Some(at_most), until, because: "cost".into() });
        broken(&tier, |_| ())
    };
    assert_eq!(ordered(2, 60), []);
    assert_eq!(ordered(2, 0), [Invariant::BlindRemovesNothing]);
    assert_eq!(ordered(3, 60), [Invariant::BlindRemovesNothing], "two of four remain, three may");
}
