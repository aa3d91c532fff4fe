//! The tier's maximum and minimum.

use crate::specs::{by_players, fleet, minutes, silver};
use crate::timeline::Timeline;
use evenkeel_core::decision::{Guard, Reason};
use evenkeel_core::spec::TierSpec;

#[test]
fn the_maximum_is_not_passed_and_the_wish_is_told() {
    let mut tier = Timeline::of(TierSpec { maximum: 6, ..by_players() });
    tier.feed().players = Some(2_500);
    tier.at(minutes(1)).expect(6).because(Reason::HeldAtMaximum);
    let clamp = tier.decision().clamps[0].clone();
    assert_eq!((clamp.guard, clamp.before, clamp.after), (Guard::Maximum, 25, 6));
}

#[test]
fn the_maximum_is_told_also_while_another_policy_cannot_see() {
    let policies = vec![by_players().policies[0].clone(), crate::specs::capacity()];
    let mut tier = Timeline::of(TierSpec { maximum: 6, policies, ..by_players() });
    tier.feed().players = Some(2_500);
    tier.at(minutes(1)).expect(6).because(Reason::HeldAtMaximum);
}

#[test]
fn the_minimum_is_kept_and_told() {
    let mut tier = Timeline::of(TierSpec { minimum: 3, ..by_players() });
    tier.feed().players = Some(0);
    tier.at(minutes(1)).expect(3).because(Reason::HeldAtMinimum);
}

#[test]
fn a_tier_below_its_minimum_is_filled_whatever_is_known() {
    let mut tier = Timeline::of(TierSpec { minimum: 3, ..by_players() });
    tier.tiers[0].replicas.clear();
    tier.tick();
    tier.expect(3).because(Reason::GrewToMinimum);
}

#[test]
fn the_minimum_wins_over_the_shared_maximum() {
    let tiers = vec![
        TierSpec { minimum: 4, ..by_players() },
        TierSpec { minimum: 4, policies: by_players().policies, ..silver() },
    ];
    let mut both = Timeline::over(fleet(tiers, Some(6)));
    both.tiers.iter_mut().for_each(|tier| {
        tier.replicas.clear();
        tier.feed.players = Some(0);
    });
    both.at(minutes(1)).expect_all(&[4, 4]);
}

#[test]
fn filling_to_the_minimum_is_told_as_such_under_a_shared_maximum_too() {
    let mut tier = Timeline::over(fleet(vec![TierSpec { minimum: 3, ..by_players() }], Some(10)));
    tier.tiers[0].replicas.clear();
    tier.feed().players = Some(0);
    tier.tick();
    tier.expect(3).because(Reason::GrewToMinimum);
}
