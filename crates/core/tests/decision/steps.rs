//! Step limits: how far one period may move, from the count at its start.

use crate::specs::{by_players, minutes, seconds};
use crate::timeline::Timeline;
use evenkeel_core::decision::Reason;
use evenkeel_core::spec::{Behavior, Pace, StepLimit, TierSpec};

/// HPA's own limits for growing: the larger of four replicas and 100 % in every 15 s; shrinking by two a minute.
fn stepping() -> Timeline {
    let pace = |step| Pace { step: Some(step), ..Pace::default() };
    Timeline::of(TierSpec {
        maximum: 100,
        behavior: Behavior {
            scale_out: pace(StepLimit { replicas: 4, percent: 100, period: seconds(15) }),
            scale_in: pace(StepLimit { replicas: 2, percent: 0, period: minutes(1) }),
        },
        ..by_players()
    })
}

#[test]
fn growing_takes_the_larger_of_replicas_and_percent_in_each_period() {
    let mut tier = stepping();
    tier.feed().players = Some(5_000);
    tier.at(seconds(0)).expect(5).because(Reason::GrewForDemand);
    tier.at(seconds(14)).expect(5).because(Reason::HeldByStepLimit);
    tier.at(seconds(15)).expect(10);
    tier.at(seconds(29)).expect(10);
    tier.at(seconds(30)).expect(20);
    tier.at(seconds(45)).expect(40);
    tier.at(seconds(60)).expect(50);
}

#[test]
fn shrinking_takes_so_many_in_each_period() {
    let mut tier = stepping().with_ready(9);
    tier.feed().players = Some(400);
    tier.at(seconds(0)).expect(7);
    tier.at(seconds(59)).expect(7).because(Reason::HeldByStepLimit);
    tier.at(seconds(60)).expect(5);
    tier.at(seconds(120)).expect(4);
}

#[test]
fn several_small_changes_share_one_period() {
    let mut tier = stepping();
    for (second, players) in [(0, 200), (5, 400), (10, 500), (12, 900)] {
        tier.feed().players = Some(players);
        tier.at(seconds(second));
    }
    tier.expect(5).because(Reason::HeldByStepLimit);
    // At 15 s the first of them is a period old: four are free again, from two.
    tier.at(seconds(15)).expect(6);
}

#[test]
fn an_order_not_yet_carried_out_is_not_taken_back_by_the_limit() {
    let mut tier = stepping();
    tier.feed().players = Some(5_000);
    tier.at(seconds(15)).expect(10);
    tier.tiers[0].obeys = false;
    tier.at(seconds(30)).expect(20);
    tier.at(seconds(44)).expect(20);
    tier.at(seconds(45)).expect(40);
}

#[test]
fn an_order_to_shrink_not_yet_carried_out_is_not_taken_back_by_the_limit() {
    let mut tier = stepping().with_ready(9);
    tier.feed().players = Some(100);
    tier.tiers[0].obeys = false;
    tier.at(seconds(59)).expect(7);
    tier.at(seconds(60)).expect(5);
    tier.at(seconds(119)).expect(5);
}

#[test]
fn when_one_period_ends_the_end_of_the_next_is_announced() {
    let mut tier = stepping();
    tier.feed().players = Some(300);
    tier.at(seconds(4)).expect(3);
    tier.feed().players = Some(5_000);
    tier.at(seconds(5)).expect(5);
    // What was added at +0 leaves its period now, what was added at +5 in five seconds.
    tier.at(seconds(15));
    assert_eq!(tier.decision().look_again, tier.decision().at + seconds(5));
}

#[test]
fn the_end_of_a_period_of_shrinking_is_announced_as_such() {
    let mut tier = stepping().with_ready(9);
    tier.feed().players = Some(100);
    tier.tick();
    tier.expect(7).tick();
    assert_eq!(tier.decision().look_again, tier.decision().at + seconds(59));
}

#[test]
fn the_end_of_the_period_is_announced() {
    let mut tier = stepping();
    tier.feed().players = Some(5_000);
    tier.at(seconds(3)).expect(5);
    assert_eq!(tier.decision().look_again, tier.decision().at + seconds(12));
}
