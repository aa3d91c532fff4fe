//! An operator's order, until its time is over.

use crate::specs::{before, by_players, minutes, seconds};
use crate::timeline::{Timeline, order};
use evenkeel_core::decision::{Guard, Reason};
use evenkeel_core::observe::Cause;
use evenkeel_core::spec::{Behavior, Pace, TierSpec};

#[test]
fn at_least_adds_and_holds_until_it_ends() {
    let mut tier = Timeline::of(by_players());
    tier.feed().players = Some(300);
    tier.at(minutes(1)).expect(3);
    tier.tiers[0].operator = order(Some(8), None);
    tier.at(minutes(1) + seconds(1)).expect(8).because(Reason::GrewForOverride);
    tier.at(before(minutes(10))).expect(8).because(Reason::HeldByOverride);
    tier.at(minutes(10)).expect(3).because(Reason::ShrankUnneeded);
}

#[test]
fn at_least_does_not_lower_what_is_needed() {
    let mut tier = Timeline::of(by_players());
    tier.feed().players = Some(900);
    tier.tiers[0].operator = order(Some(8), None);
    tier.at(minutes(1)).expect(9).because(Reason::HeldSteady);
}

#[test]
fn at_most_removes_at_once_and_ends() {
    let slow = Pace { window: minutes(5), cooldown: minutes(5), step: None };
    let behavior = Behavior { scale_out: Pace::default(), scale_in: slow };
    let mut tier = Timeline::of(TierSpec { behavior, ..by_players() });
    tier.feed().players = Some(900);
    tier.at(minutes(1)).expect(9);
    tier.tiers[0].operator = order(None, Some(4));
    tier.at(minutes(1) + seconds(1)).expect(4).because(Reason::ShrankForOverride);
    tier.at(before(minutes(10))).expect(4).because(Reason::HeldByOverride);
    tier.at(minutes(10)).expect(9).because(Reason::GrewForDemand);
}

#[test]
fn at_most_may_remove_what_a_blackout_would_hold() {
    let mut tier = Timeline::of(by_players());
    tier.feed().players = Some(900);
    tier.at(minutes(1)).expect(9);
    tier.feed().dark = Some(Cause::Unreachable);
    tier.at(minutes(2)).expect(9);
    tier.tiers[0].operator = order(None, Some(4));
    tier.at(minutes(3)).expect(4);
}

#[test]
fn an_order_stays_within_maximum_and_minimum() {
    let mut tier = Timeline::of(TierSpec { minimum: 2, maximum: 10, ..by_players() });
    tier.feed().players = Some(500);
    tier.at(minutes(1)).expect(5);
    tier.tiers[0].operator = order(Some(40), None);
    tier.at(minutes(2)).expect(10).because(Reason::HeldAtMaximum);
    tier.tiers[0].operator = order(None, Some(0));
    tier.at(minutes(3)).expect(2).because(Reason::HeldAtMinimum);
    let guards: Vec<Guard> = tier.decision().clamps.iter().map(|it| it.guard).collect();
    assert_eq!(guards, [Guard::Override, Guard::Minimum]);
}
