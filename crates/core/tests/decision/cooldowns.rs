//! Cooldowns, with the defaults of classic policies: 300 s before shrinking, 60 s before growing again.

use crate::specs::{before, by_players, minutes, seconds};
use crate::timeline::Timeline;
use evenkeel_core::decision::Reason;
use evenkeel_core::spec::{Behavior, Pace, TierSpec};

fn cooling() -> Timeline {
    let pace = |cooldown| Pace { cooldown, ..Pace::default() };
    Timeline::of(TierSpec {
        start_up: seconds(5),
        behavior: Behavior { scale_out: pace(seconds(60)), scale_in: pace(seconds(300)) },
        ..by_players()
    })
}

#[test]
fn after_growing_it_grows_no_further_for_60_seconds() {
    let mut tier = cooling();
    tier.feed().players = Some(300);
    tier.at(minutes(10)).expect(3);
    tier.feed().players = Some(500);
    tier.at(minutes(10) + seconds(1)).expect(5);
    tier.feed().players = Some(900);
    tier.at(minutes(11)).expect(5).because(Reason::HeldInCooldown);
    tier.at(minutes(11) + seconds(1)).expect(9).because(Reason::GrewForDemand);
}

#[test]
fn after_shrinking_it_shrinks_no_further_for_300_seconds() {
    let mut tier = cooling().with_ready(9);
    tier.feed().players = Some(600);
    tier.at(before(minutes(5))).expect(9);
    tier.at(minutes(5)).expect(6);
    tier.feed().players = Some(200);
    tier.at(before(minutes(10))).expect(6).because(Reason::HeldInCooldown);
    tier.at(minutes(10)).expect(2).because(Reason::ShrankUnneeded);
}

#[test]
fn after_growing_it_does_not_shrink_for_300_seconds() {
    let mut tier = cooling();
    tier.feed().players = Some(300);
    tier.at(minutes(10)).expect(3);
    tier.feed().players = Some(800);
    tier.at(minutes(10) + seconds(1)).expect(8);
    tier.feed().players = Some(300);
    tier.at(minutes(15)).expect(8).because(Reason::HeldInCooldown);
    tier.at(minutes(15) + seconds(1)).expect(3);
}

#[test]
fn a_scale_out_ends_a_scale_in_cooldown() {
    let mut tier = cooling().with_ready(9);
    tier.feed().players = Some(600);
    tier.at(minutes(5)).expect(6);
    tier.feed().players = Some(1_100);
    // Not one second later than the demand, although the last change was a second ago.
    tier.at(minutes(5) + seconds(1)).expect(11).because(Reason::GrewForDemand);
}

#[test]
fn an_order_not_yet_carried_out_is_not_a_second_change() {
    let mut tier = cooling();
    tier.tiers[0].obeys = false;
    tier.feed().players = Some(700);
    for second in 0..200 {
        tier.at(seconds(second)).expect(7).because(Reason::GrewForDemand);
    }
    // And the cooldown began when it was decided, so it is long over.
    tier.feed().players = Some(900);
    tier.at(seconds(200)).expect(9);
    tier.at(seconds(259)).expect(9);
}

#[test]
fn an_order_to_shrink_not_yet_carried_out_stands() {
    let mut tier = cooling().with_ready(9);
    tier.feed().players = Some(600);
    tier.at(before(minutes(5)));
    tier.tiers[0].obeys = false;
    for second in 0..200 {
        tier.at(minutes(5) + seconds(second)).expect(6).because(Reason::ShrankUnneeded);
    }
}

#[test]
fn the_end_of_a_cooldown_after_growing_is_announced_to_who_would_grow_on() {
    let mut tier = cooling();
    tier.feed().players = Some(400);
    tier.at(seconds(10)).expect(4);
    tier.feed().players = Some(700);
    tier.at(seconds(20)).expect(4);
    let ends = tier.decision().look_again;
    while tier.decision().at < ends {
        tier.expect(4).tick();
    }
    tier.expect(7);
}

#[test]
fn its_end_is_announced() {
    let mut tier = cooling().with_ready(9);
    tier.feed().players = Some(600);
    tier.at(minutes(5)).expect(6);
    tier.feed().players = Some(200);
    tier.at(minutes(6)).expect(6);
    let ends = tier.decision().look_again;
    while tier.decision().at < ends {
        tier.expect(6).tick();
    }
    tier.expect(2);
}
