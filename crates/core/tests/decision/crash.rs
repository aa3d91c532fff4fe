//! A replica that ends without being told.

use crate::specs::{by_players, gold, minutes, seconds};
use crate::timeline::Timeline;
use evenkeel_core::decision::Reason;
use evenkeel_core::observe::Cause;
use evenkeel_core::spec::{Behavior, Pace, StepLimit, TierSpec};

#[test]
fn it_is_replaced_on_the_next_tick_whatever_cooldown_runs() {
    let pace = |cooldown, step| Pace { cooldown, step: Some(step), ..Pace::default() };
    let behavior = Behavior {
        scale_out: pace(minutes(5), StepLimit { replicas: 6, percent: 0, period: minutes(5) }),
        scale_in: pace(minutes(5), StepLimit { replicas: 1, percent: 0, period: minutes(5) }),
    };
    let mut tier = Timeline::of(TierSpec { behavior, ..by_players() });
    tier.feed().players = Some(600);
    tier.at(minutes(1)).expect(6);
    tier.tiers[0].crash(2);
    tier.tick();
    tier.expect(6).because(Reason::GrewForDemand);
    assert_eq!((tier.decision().supply.ready, tier.decision().supply.failed), (4, 2));
    assert_eq!(tier.tiers[0].supply().starting, 2);
}

#[test]
fn it_begins_no_cooldown() {
    let behavior = Behavior { scale_out: Pace { cooldown: minutes(5), ..Pace::default() }, ..Behavior::default() };
    let mut tier = Timeline::of(TierSpec { behavior, ..by_players() });
    tier.feed().players = Some(600);
    tier.at(minutes(6)).expect(6);
    tier.tiers[0].crash(1);
    tier.tick();
    tier.feed().players = Some(900);
    tier.tick();
    tier.expect(9);
}

#[test]
fn it_is_replaced_soon_after_a_restart_for_nobody_knows_yet_that_it_is_not_needed() {
    let mut gold = Timeline::of(gold()).with_ready(6);
    gold.demand(1.5);
    gold.at(seconds(5)).expect(6).because(Reason::HeldInWindow);
    gold.tiers[0].crash(3);
    gold.tick();
    gold.expect(6).because(Reason::GrewInWindow);
    assert_eq!(gold.tiers[0].supply().starting, 3);
    gold.at(minutes(6)).expect(2);
}

#[test]
fn it_is_replaced_while_every_source_is_dark() {
    let mut gold = Timeline::of(gold());
    gold.demand(4.5);
    gold.at(minutes(10)).expect(5);
    gold.feed().dark = Some(Cause::Unreachable);
    gold.at(minutes(11)).expect(5);
    gold.tiers[0].crash(3);
    gold.tick();
    gold.expect(5).because(Reason::GrewWhenBlind);
    assert_eq!(gold.tiers[0].supply().starting, 3);
}

#[test]
fn one_that_only_a_window_still_holds_is_not_replaced() {
    let behavior = Behavior { scale_in: Pace { window: minutes(5), ..Pace::default() }, ..Behavior::default() };
    let mut tier = Timeline::of(TierSpec { behavior, ..by_players() });
    tier.feed().players = Some(900);
    tier.at(minutes(10)).expect(9);
    tier.feed().players = Some(200);
    tier.at(minutes(11)).expect(9);
    tier.tiers[0].crash(4);
    tier.at(minutes(12)).expect(5).because(Reason::HeldInWindow);
}

#[test]
fn one_that_nobody_needs_any_more_is_not_replaced() {
    let mut tier = Timeline::of(by_players()).with_ready(6);
    tier.feed().players = Some(400);
    tier.tiers[0].crash(2);
    tier.at(seconds(1)).expect(4).because(Reason::HeldSteady);
}
