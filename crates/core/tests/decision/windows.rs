//! Stabilization windows: growing follows the smallest, shrinking the largest count wanted in the window.

use crate::specs::{before, by_players, minutes, seconds};
use crate::timeline::Timeline;
use evenkeel_core::decision::{Guard, Reason};
use evenkeel_core::spec::{Behavior, Pace, TierSpec};
use evenkeel_core::units::Span;

fn windows(out: Span, back: Span) -> Timeline {
    let pace = |window| Pace { window, ..Pace::default() };
    Timeline::of(TierSpec { behavior: Behavior { scale_out: pace(out), scale_in: pace(back) }, ..by_players() })
}

#[test]
fn shrinking_waits_for_the_largest_count_of_the_window_to_leave_it() {
    let mut tier = windows(Span::ZERO, minutes(5));
    tier.feed().players = Some(900);
    tier.at(minutes(10)).expect(9);
    tier.feed().players = Some(200);
    // 600 s was the last tick that wanted nine.
    tier.at(before(minutes(15))).expect(9).because(Reason::HeldInWindow);
    tier.at(minutes(15)).expect(2).because(Reason::ShrankUnneeded);
}

#[test]
fn it_shrinks_to_the_next_largest_count_and_no_further() {
    let mut tier = windows(Span::ZERO, minutes(5));
    tier.feed().players = Some(900);
    tier.at(minutes(10)).expect(9);
    tier.feed().players = Some(500);
    tier.at(minutes(12)).expect(9);
    tier.feed().players = Some(100);
    tier.at(minutes(16)).expect(5);
    assert_eq!(tier.decision().clamps.len(), 1);
    assert_eq!(tier.decision().clamps[0].guard, Guard::Window);
    tier.at(minutes(18)).expect(1);
}

#[test]
fn growing_waits_until_the_whole_window_wanted_more() {
    let mut tier = windows(minutes(1), Span::ZERO);
    tier.feed().players = Some(100);
    tier.at(minutes(5)).expect(1);
    tier.feed().players = Some(800);
    tier.at(before(minutes(6))).expect(1).because(Reason::HeldInWindow);
    tier.at(minutes(6)).expect(8).because(Reason::GrewForDemand);
}

#[test]
fn a_spike_shorter_than_the_window_grows_nothing() {
    let mut tier = windows(minutes(1), Span::ZERO);
    tier.feed().players = Some(100);
    tier.at(minutes(5));
    tier.feed().players = Some(1_900);
    tier.at(minutes(5) + seconds(50)).expect(1);
    tier.feed().players = Some(100);
    tier.at(minutes(10)).expect(1);
    tier.feed().players = Some(300);
    tier.at(minutes(12)).expect(3);
}

#[test]
fn without_windows_the_count_follows_at_once() {
    let mut tier = windows(Span::ZERO, Span::ZERO);
    for players in [100, 1_500, 200, 900, 100] {
        tier.feed().players = Some(players);
        tier.tick();
        tier.expect((players / 100) as u32);
    }
}

#[test]
fn the_end_of_the_window_is_announced() {
    let mut tier = windows(Span::ZERO, minutes(5));
    tier.feed().players = Some(900);
    tier.at(minutes(10));
    tier.feed().players = Some(200);
    tier.at(minutes(11)).expect(9);
    let ends = tier.decision().look_again;
    while tier.decision().at < ends {
        tier.expect(9).tick();
    }
    tier.expect(2);
}
