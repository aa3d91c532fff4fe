//! Missing is not zero: what cannot be seen removes no replica.

use crate::specs::{by_players, capacity, gold, minutes, seconds, tracking};
use crate::timeline::Timeline;
use evenkeel_core::decision::{ActiveSchedule, Reason, Why};
use evenkeel_core::observe::Cause;
use evenkeel_core::spec::{Behavior, Blind, Pace, Per, PolicySpec, Signal, TierSpec};

/// Gold at five replicas, settled.
fn at_five(tier: TierSpec) -> Timeline {
    let mut gold = Timeline::of(tier);
    gold.demand(4.5);
    gold.at(minutes(10)).expect(5);
    gold
}

#[test]
fn a_blackout_of_everything_for_ten_minutes_removes_nothing() {
    for cause in [Cause::Unreachable, Cause::TimedOut, Cause::Malformed, Cause::FirstReading, Cause::CounterReset] {
        let mut gold = at_five(gold());
        assert!(!gold.autoscaler.is_blind(0));
        gold.feed().dark = Some(cause);
        gold.watch().at(minutes(20)).because(Reason::HeldBlind);
        assert!(gold.autoscaler.is_blind(0));
        assert_eq!(gold.lowest(), 5, "{cause:?}");
        let blind = Why::Blind { signal: Signal::Offered, cause };
        assert_eq!(gold.decision().recommendations[0].why, blind);
    }
}

#[test]
fn the_first_quiet_second_after_a_blackout_removes_nothing_either() {
    let mut gold = at_five(gold());
    gold.feed().dark = Some(Cause::Unreachable);
    gold.at(minutes(20)).expect(5);
    // The sources return before the clients do.
    gold.feed().dark = None;
    gold.demand(0.0);
    gold.watch().at(minutes(21));
    assert_eq!(gold.lowest(), 5);
    gold.demand(4.5);
    gold.watch().at(minutes(40)).expect(5);
    assert_eq!(gold.lowest(), 5);
}

#[test]
fn a_confirmed_zero_after_a_blackout_does_scale_in() {
    let mut gold = at_five(gold());
    gold.feed().dark = Some(Cause::Unreachable);
    gold.at(minutes(20));
    gold.feed().dark = None;
    gold.demand(0.0);
    gold.at(minutes(20) + seconds(1 + 360)).expect(1);
}

#[test]
fn a_reading_missed_now_and_then_does_not_stop_scale_in() {
    let mut gold = at_five(gold());
    gold.demand(0.5);
    for second in 0..420 {
        gold.feed().dark = (second % 7 == 0).then_some(Cause::TimedOut);
        gold.at(minutes(10) + seconds(second));
    }
    gold.expect(1);
}

#[test]
fn stale_readings_hold() {
    let mut gold = at_five(gold());
    gold.demand(0.0);
    gold.feed().lag = seconds(6);
    gold.watch().at(minutes(25)).because(Reason::HeldBlind);
    assert_eq!(gold.lowest(), 5);
    // Five seconds old is fresh enough.
    gold.feed().lag = seconds(5);
    gold.at(minutes(35)).expect(1);
}

#[test]
fn readings_from_the_future_hold() {
    let mut gold = at_five(gold());
    gold.demand(0.0);
    gold.feed().ahead = seconds(1);
    gold.watch().at(minutes(25)).because(Reason::HeldBlind);
    assert_eq!(gold.lowest(), 5);
    let why = Why::Blind { signal: Signal::Offered, cause: Cause::FutureDated };
    assert_eq!(gold.decision().recommendations[0].why, why);
}

#[test]
fn every_policy_holds_when_its_own_signal_is_missing() {
    let policies = [
        capacity(),
        tracking(Signal::GpuUtilization, 0.75, Per::Replica),
        tracking(Signal::QueueDepth, 50.0, Per::Tier),
        PolicySpec::BacklogPerReplica { target: 100.0 },
        PolicySpec::Latency { objective: 0, window: seconds(30) },
        PolicySpec::PlayersPerReplica { players: 235.0 },
    ];
    for policy in policies {
        let mut tier = Timeline::of(TierSpec { policies: vec![policy.clone()], ..gold() }).with_ready(7);
        tier.at(minutes(30)).expect(7).because(Reason::HeldBlind);
        assert_eq!(tier.decision().recommendations[0].desired, None, "{policy:?}");
    }
}

#[test]
fn one_blind_policy_holds_what_the_others_would_remove_and_not_what_they_add() {
    let policies = vec![PolicySpec::PlayersPerReplica { players: 100.0 }, capacity()];
    let mut tier = Timeline::of(TierSpec { policies, ..gold() }).with_ready(7);
    tier.feed().players = Some(200);
    tier.at(minutes(10)).expect(7).because(Reason::HeldBlind);
    tier.feed().players = Some(900);
    tier.tick();
    tier.expect(9).because(Reason::GrewForDemand);
}

#[test]
fn backlog_needs_both_of_its_signals_to_shrink() {
    let policies = vec![PolicySpec::BacklogPerReplica { target: 100.0 }];
    let mut tier = Timeline::of(TierSpec { policies, ..gold() }).with_ready(7);
    tier.feed().queue_depth = Some(0);
    tier.at(minutes(10)).expect(7);
    tier.feed().in_flight = Some(0);
    tier.at(minutes(11)).expect(1);
}

#[test]
fn the_fallback_grows_after_its_time_and_removes_nothing() {
    let fallback = |replicas| Blind::AtLeast { replicas, after: minutes(3) };
    let mut gold = at_five(TierSpec { blind: fallback(8), ..gold() });
    gold.feed().dark = Some(Cause::Unreachable);
    // Blind since 601 s.
    gold.at(minutes(12)).expect(5).because(Reason::HeldBlind);
    assert_eq!(gold.decision().look_again, gold.decision().at + seconds(61), "the fallback is announced");
    gold.at(minutes(13)).expect(5).because(Reason::HeldBlind);
    gold.at(minutes(13) + seconds(1)).expect(8).because(Reason::GrewWhenBlind);
    gold.at(minutes(60)).expect(8).because(Reason::HeldBlind);

    let mut lower = at_five(TierSpec { blind: fallback(2), ..gold.spec().tiers[0].clone() });
    lower.feed().dark = Some(Cause::Unreachable);
    lower.at(minutes(30)).expect(5);
}

#[test]
fn the_fallback_is_told_as_such_also_where_another_policy_can_see() {
    let blind = Blind::AtLeast { replicas: 5, after: minutes(3) };
    let policies =
        vec![tracking(Signal::QueueDepth, 50.0, Per::Replica), PolicySpec::PlayersPerReplica { players: 100.0 }];
    let mut tier = Timeline::of(TierSpec { policies, blind, ..gold() });
    tier.feed().players = Some(200);
    tier.at(minutes(2)).expect(2);
    tier.at(minutes(3)).expect(5).because(Reason::GrewWhenBlind);
}

#[test]
fn the_fallback_stays_within_the_maximum() {
    let blind = Blind::AtLeast { replicas: 90, after: minutes(1) };
    let mut gold = at_five(TierSpec { blind, maximum: 12, ..gold() });
    gold.feed().dark = Some(Cause::Unreachable);
    gold.at(minutes(15)).expect(12);
}

#[test]
fn a_schedule_may_add_while_the_rest_is_dark() {
    let mut tier = Timeline::of(TierSpec { policies: vec![capacity(), PolicySpec::Schedule], ..gold() }).with_ready(2);
    tier.feed().dark = Some(Cause::Unreachable);
    tier.tiers[0].schedule = Some(ActiveSchedule { entry: "raid night".into(), at_least: 6 });
    tier.at(minutes(1)).expect(6);
    tier.tiers[0].schedule = None;
    tier.at(minutes(30)).expect(6);
}

#[test]
fn replicas_that_cannot_be_listed_change_nothing() {
    let mut gold = at_five(gold());
    gold.tiers[0].listed = false;
    for demand in [9.0, 0.0] {
        gold.demand(demand);
        for _ in 0..600 {
            gold.tick();
            gold.expect(5).because(Reason::HeldBlind);
            assert!(gold.decision().victims.is_empty());
        }
    }
    gold.tiers[0].listed = true;
    gold.demand(9.0);
    gold.at(minutes(40)).expect(10);
}

#[test]
fn what_was_wanted_of_replicas_that_could_not_be_listed_removes_none_of_them_later() {
    let pace = Pace { window: minutes(5), ..Pace::default() };
    let behavior = Behavior { scale_in: pace, ..Behavior::default() };
    let mut tier = Timeline::of(TierSpec { behavior, ..by_players() });
    tier.feed().players = Some(600);
    tier.at(minutes(10)).expect(6);
    tier.tiers[0].listed = false;
    tier.feed().players = Some(100);
    tier.at(minutes(14)).expect(6);
    // Four of the five minutes of the window were seen by nobody who could have acted on them.
    tier.tiers[0].listed = true;
    tier.at(minutes(18)).expect(6);
    tier.at(minutes(19) + seconds(1)).expect(1);
}

#[test]
fn replicas_that_cannot_be_listed_change_nothing_for_an_operator_either() {
    let mut gold = at_five(gold());
    gold.tiers[0].listed = false;
    gold.tiers[0].operator = Some(evenkeel_core::decision::Override {
        at_least: None,
        at_most: Some(2),
        until: gold.inputs.now + minutes(30),
        because: "cost".into(),
    });
    gold.at(minutes(20)).expect(5);
    gold.tiers[0].listed = true;
    gold.tick();
    gold.expect(2).because(Reason::ShrankForOverride);
}

#[test]
fn a_tier_that_never_was_seen_is_not_touched() {
    let mut tier = Timeline::of(by_players()).with_ready(7);
    tier.tiers[0].listed = false;
    tier.feed().players = Some(100);
    tier.at(minutes(5));
    assert!(tier.decision().victims.is_empty());
    assert_eq!(tier.decision().desired, tier.decision().supply.current(), "no order comes of it");
    tier.tiers[0].listed = true;
    tier.tick();
    assert_eq!(tier.decision().supply.current(), 7);
    assert_eq!(tier.clock(), minutes(5) + seconds(1));
}

#[test]
fn a_tier_at_zero_is_not_blind_for_what_no_replica_could_tell_unless_nothing_else_tells() {
    let busy = || tracking(Signal::GpuUtilization, 0.75, Per::Replica);
    let blind = Blind::AtLeast { replicas: 2, after: minutes(1) };
    let players = PolicySpec::PlayersPerReplica { players: 100.0 };
    let asleep = |policies| {
        let mut tier = Timeline::of(TierSpec { minimum: 0, policies, blind, ..by_players() }).with_ready(0);
        tier.feed().players = Some(0);
        tier
    };
    let mut seen = asleep(vec![players, busy()]);
    seen.at(minutes(30)).expect(0).because(Reason::HeldSteady);
    seen.feed().players = Some(150);
    seen.at(minutes(31)).expect(2);
    // Alone, utilization would let it sleep for ever: the fallback is what wakes it.
    asleep(vec![busy()]).at(minutes(2)).expect(2);
}
