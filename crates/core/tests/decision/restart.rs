//! A controller that starts with nothing remembered.

use crate::specs::{before, by_players, fleet, gold, minutes, seconds, silver};
use crate::timeline::Timeline;
use evenkeel_core::decision::Reason;
use evenkeel_core::spec::{Behavior, Pace, TierSpec};

#[test]
fn it_lets_nothing_go_before_the_windows_are_full() {
    let mut gold = Timeline::of(gold()).with_ready(7);
    gold.demand(1.5);
    gold.watch().at(before(minutes(5))).because(Reason::HeldInWindow);
    assert_eq!(gold.lowest(), 7);
    gold.at(minutes(5)).expect(2).because(Reason::ShrankUnneeded);
}

#[test]
fn it_waits_for_the_longest_of_window_cooldown_and_policy() {
    for (window, cooldown) in [(minutes(4), minutes(2)), (minutes(2), minutes(4))] {
        let scale_in = Pace { window, cooldown, step: None };
        let behavior = Behavior { scale_in, ..Behavior::default() };
        let mut tier = Timeline::of(TierSpec { behavior, ..by_players() }).with_ready(7);
        tier.feed().players = Some(100);
        tier.watch().at(before(minutes(4)));
        assert_eq!(tier.lowest(), 7);
        tier.at(minutes(4)).expect(1);
    }
}

#[test]
fn it_grows_at_once() {
    let mut gold = Timeline::of(gold()).with_ready(3);
    gold.demand(8.5);
    gold.tick();
    gold.expect(10);
}

#[test]
fn a_restart_in_the_middle_of_a_day_removes_nothing_by_itself() {
    let mut gold = Timeline::of(gold());
    gold.demand(6.5);
    gold.at(minutes(30)).expect(7);
    // Demand fell two minutes ago; the hold would have gone on for three more.
    gold.demand(2.5);
    gold.at(minutes(32)).expect(7);
    gold.restart();
    gold.watch().at(minutes(37));
    assert_eq!(gold.lowest(), 7, "it waits its whole hold anew");
    gold.at(minutes(38)).expect(3);
}

#[test]
fn a_restart_while_replicas_start_orders_none_twice() {
    let mut gold = Timeline::of(gold());
    gold.demand(0.5);
    gold.at(minutes(10));
    gold.demand(8.5);
    gold.at(minutes(10) + seconds(30));
    let ordered = gold.decision().desired;
    gold.restart();
    gold.tick();
    let total = gold.tiers[0].supply().current();
    assert!(total <= ordered.max(10), "{total} of {ordered}");
}

#[test]
fn another_tiers_wish_takes_nothing_from_one_that_has_only_just_begun_to_look() {
    let tiers = vec![by_players(), TierSpec { policies: vec![crate::specs::capacity()], ..silver() }];
    let mut both = Timeline::over(fleet(tiers, Some(10)));
    both.tiers[0].feed.players = Some(100);
    both.tiers[1].feed.requests_per_second = Some(crate::timeline::rate_for(&silver(), 8.0));
    both.at(minutes(10)).expect_all(&[1, 9]);
    both.restart();
    both.tiers[0].feed.players = Some(600);
    both.at(minutes(15)).expect_all(&[1, 9]);
    both.at(minutes(15) + seconds(5)).expect_all(&[6, 4]);
}
