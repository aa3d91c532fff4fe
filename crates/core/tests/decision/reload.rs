//! A changed fleet file: the change alone removes nothing.

use crate::specs::{by_players, capacity, fleet, gold, minutes, seconds, silver};
use crate::timeline::Timeline;
use evenkeel_core::decision::{Reason, Why};
use evenkeel_core::spec::{Per, PolicySpec, Signal, TierSpec};
use evenkeel_core::units::Span;

#[test]
fn a_maximum_below_the_present_count_removes_nothing() {
    let mut gold = Timeline::of(gold());
    gold.demand(8.5);
    gold.at(minutes(10)).expect(10);
    gold.reload(|it| it.tiers[0].maximum = 6);
    gold.watch().at(minutes(40)).because(Reason::HeldSteady);
    assert_eq!(gold.lowest(), 10, "what is needed stays; only no more is started");
    gold.demand(3.5);
    gold.at(minutes(50)).expect(4);
    gold.demand(8.5);
    gold.at(minutes(60)).expect(6).because(Reason::HeldAtMaximum);
}

#[test]
fn another_policy_list_removes_nothing_before_its_windows_are_full() {
    let mut tier = Timeline::of(by_players());
    tier.feed().players = Some(900);
    tier.demand(1.5);
    tier.at(minutes(10)).expect(9);
    tier.reload(|it| it.tiers[0].policies = vec![capacity()]);
    tier.watch().at(minutes(15));
    assert_eq!(tier.lowest(), 9);
    tier.at(minutes(15) + seconds(1)).expect(2);
}

#[test]
fn another_signal_is_not_averaged_with_the_old_one() {
    let policy = |signal, target| PolicySpec::TargetTracking { signal, target, per: Per::Replica, window: minutes(5) };
    let mut tier = Timeline::of(TierSpec { policies: vec![policy(Signal::InFlight, 50.0)], ..gold() });
    tier.feed().in_flight = Some(400);
    tier.feed().queue_depth = Some(30);
    tier.at(minutes(10)).expect(8);
    tier.reload(|it| it.tiers[0].policies = vec![policy(Signal::QueueDepth, 10.0)]);
    tier.tick();
    let Why::Target { value, .. } = tier.decision().recommendations[0].why else { panic!() };
    assert!((value - 30.0 / 8.0).abs() < 1e-9, "the queue's own mean for each replica, not {value}");
}

#[test]
fn another_profile_is_believed_from_the_next_tick_on() {
    let mut slower = Timeline::of(gold());
    slower.demand(4.5);
    slower.at(minutes(10)).expect(5);
    slower.reload(|it| it.tiers[0].profile = it.tiers[0].profile.slowed(1.3));
    slower.tick();
    let mut fresh = Timeline::of(slower.spec().tiers[0].clone());
    fresh.feed().requests_per_second = slower.feed().requests_per_second;
    fresh.at(minutes(5));
    let demand = |it: &Timeline| match it.decision().recommendations[0].why {
        Why::Demand { demand_replicas, .. } => demand_replicas,
        _ => panic!(),
    };
    assert!((demand(&slower) - demand(&fresh)).abs() < 0.05, "{} and {}", demand(&slower), demand(&fresh));
    assert!(demand(&slower) > 5.5);
}

#[test]
fn what_was_learned_of_another_engine_is_forgotten() {
    use evenkeel_core::observe::Mean;
    let mut gold = Timeline::of(gold());
    gold.demand(4.5);
    gold.feed().in_flight = Some(1);
    gold.feed().pace = Some(Mean { sum: 50.0 * 14.0, count: 50 });
    gold.at(minutes(10));
    let slowdown = |it: &Timeline| match it.decision().recommendations[0].why {
        Why::Demand { slowdown, .. } => slowdown,
        _ => panic!(),
    };
    let learned = slowdown(&gold);
    assert!(learned > 1.3, "{learned}");
    gold.feed().pace = None;
    gold.reload(|it| it.tiers[0].maximum = 30);
    gold.tick();
    assert_eq!(slowdown(&gold).to_bits(), learned.to_bits(), "another maximum is no other engine");
    gold.reload(|it| it.tiers[0].profile = it.tiers[0].profile.slowed(learned));
    gold.tick();
    assert_eq!(slowdown(&gold).to_bits(), 1.0_f64.to_bits(), "or the new figures would be slowed twice");
}

#[test]
fn another_objective_is_believed_from_the_next_tick_on() {
    let mut tighter = Timeline::of(gold());
    tighter.demand(4.5);
    tighter.at(minutes(10)).expect(5);
    tighter.reload(|it| it.tiers[0].slo.objectives[0].bound = Span::from_millis(11));
    tighter.tick();
    assert!(tighter.decision().desired > 5);
}

#[test]
fn a_tier_that_did_not_change_keeps_its_windows() {
    let tiers = vec![by_players(), TierSpec { policies: vec![capacity()], ..silver() }];
    let mut both = Timeline::over(fleet(tiers, None));
    both.tiers[0].feed.players = Some(100);
    both.tiers[1].feed.requests_per_second = Some(crate::timeline::rate_for(&silver(), 5.5));
    both.at(minutes(10)).expect_all(&[1, 6]);
    both.tiers[1].feed.requests_per_second = Some(0.0);
    both.at(minutes(14));
    both.reload(|it| it.tiers[0].maximum = 50);
    both.at(minutes(16)).expect_all(&[1, 1]);
}

#[test]
fn a_reload_of_a_shared_maximum_takes_nothing_from_anyone() {
    let tiers = vec![by_players(), TierSpec { policies: by_players().policies, ..silver() }];
    let mut both = Timeline::over(fleet(tiers, Some(20)));
    both.tiers[0].feed.players = Some(400);
    both.tiers[1].feed.players = Some(800);
    both.at(minutes(10)).expect_all(&[4, 8]);
    both.reload(|it| it.shared_maximum = Some(5));
    both.at(minutes(20)).expect_all(&[4, 8]);
}

#[test]
fn a_shared_maximum_that_was_not_there_before_takes_nothing_before_the_windows_are_full() {
    let tiers = vec![by_players(), TierSpec { policies: vec![capacity()], ..silver() }];
    let mut both = Timeline::over(fleet(tiers, None));
    both.tiers[0].feed.players = Some(400);
    both.tiers[1].feed.requests_per_second = Some(crate::timeline::rate_for(&silver(), 5.5));
    both.at(minutes(10)).expect_all(&[4, 6]);
    both.reload(|it| it.shared_maximum = Some(10));
    both.tiers[0].feed.players = Some(900);
    both.at(minutes(15)).expect_all(&[4, 6]);
    both.at(minutes(16)).expect_all(&[9, 1]);
}

#[test]
fn another_priority_takes_nothing_before_the_windows_are_full() {
    let tiers = vec![by_players(), TierSpec { policies: vec![capacity()], ..silver() }];
    let mut both = Timeline::over(fleet(tiers, Some(10)));
    both.tiers[0].feed.players = Some(900);
    both.tiers[1].feed.requests_per_second = Some(crate::timeline::rate_for(&silver(), 5.0));
    both.at(minutes(10)).expect_all(&[9, 1]);
    both.reload(|it| it.tiers[1].priority = 99);
    // Gold looks at this moment alone and is settled at once; silver's wish counts from then on.
    both.at(minutes(10) + seconds(2)).expect_all(&[4, 6]);
    both.at(minutes(20)).expect_all(&[4, 6]);
    both.reload(|it| it.tiers[0].priority = 100);
    both.at(minutes(25)).expect_all(&[4, 6]);
    both.at(minutes(25) + seconds(5)).expect_all(&[9, 1]);
}

#[test]
fn counts_above_another_bound_are_no_counts_above_this_one() {
    use evenkeel_core::observe::Latency;
    let share_after = |change: fn(&mut TierSpec)| {
        let policies = vec![PolicySpec::Latency { objective: 0, window: minutes(5) }];
        let mut tier = Timeline::of(TierSpec { policies, maximum: 2, ..gold() }).with_ready(2);
        tier.feed().latency = Some(Latency { count: 100, above: 40, ..Latency::default() });
        tier.feed().queue_depth = Some(5);
        tier.at(minutes(10));
        tier.reload(|it| change(&mut it.tiers[0]));
        tier.feed().latency = Some(Latency { count: 100, above: 1, ..Latency::default() });
        tier.tick();
        let Why::Objective { above_share, .. } = tier.decision().recommendations[0].why else { panic!() };
        above_share
    };
    let another_bound = share_after(|it| it.slo.objectives[0].bound = Span::from_millis(40));
    assert!((another_bound - 0.01).abs() < 1e-12, "{another_bound}");
    let another_maximum = share_after(|it| it.maximum = 3);
    assert!(another_maximum > 0.3, "the bound is the same, and so are the counts: {another_maximum}");
}

#[test]
fn a_tier_may_come_and_go() {
    let mut both = Timeline::of(by_players());
    both.feed().players = Some(400);
    both.at(minutes(5)).expect(4);
    let added = TierSpec { name: "bronze".into(), minimum: 0, ..by_players() };
    let mut spec = both.spec().clone();
    spec.tiers.insert(0, added);
    let mut larger = Timeline::over(spec.clone());
    larger.autoscaler = both.autoscaler.clone();
    larger.autoscaler.reload(spec, crate::timeline::START + minutes(5));
    let gold = both.tiers.remove(0);
    larger.tiers[1] = gold;
    larger.tiers[0].feed.players = Some(0);
    larger.tick();
    larger.expect_all(&[0, 4]);
}
