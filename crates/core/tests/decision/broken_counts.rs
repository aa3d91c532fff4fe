//! A player count that is wrong: ten times too many, or nobody at all.

use crate::specs::{by_players, minutes, seconds};
use crate::timeline::Timeline;
use evenkeel_core::decision::{Guard, Reason, Why};
use evenkeel_core::observe::{Cause, Reading, Signals};
use evenkeel_core::spec::{Behavior, Pace, Signal, StepLimit, TierSpec};

#[test]
fn ten_times_too_many_players_cost_a_step_at_a_time_and_the_maximum_at_most_and_both_are_told() {
    let step = StepLimit { replicas: 4, percent: 0, period: seconds(15) };
    let scale_out = Pace { step: Some(step), ..Pace::default() };
    let behavior = Behavior { scale_out, ..Behavior::default() };
    let mut gold = Timeline::of(TierSpec { behavior, ..by_players() }).with_ready(5);
    gold.feed().players = Some(500);
    gold.at(seconds(60)).expect(5);
    gold.feed().players = Some(5_000);
    gold.at(seconds(61)).expect(9);
    let clamp = &gold.decision().clamps[0];
    assert_eq!((clamp.guard, clamp.before, clamp.after), (Guard::StepLimit, 50, 9));
    gold.at(seconds(76)).expect(13);
    gold.at(seconds(91)).expect(17);
    gold.at(seconds(106)).expect(20);
    assert_eq!(
        gold.decision().clamps.iter().map(|it| it.guard).collect::<Vec<_>>(),
        [Guard::StepLimit, Guard::Maximum]
    );
    gold.at(minutes(30)).expect(20).because(Reason::HeldAtMaximum);
}

#[test]
fn nobody_beside_more_requests_than_the_minimum_takes_is_not_believed() {
    let mut gold = Timeline::of(by_players()).with_ready(5);
    gold.feed().players = Some(500);
    // A replica takes 64 at once.
    gold.feed().in_flight = Some(200);
    gold.at(minutes(10)).expect(5);
    gold.feed().players = Some(0);
    gold.watch().at(minutes(40)).because(Reason::HeldBlind);
    assert_eq!(gold.lowest(), 5);
    let blind = Why::Blind { signal: Signal::Players, cause: Cause::Contradicted };
    assert_eq!(gold.decision().recommendations[0].why, blind);
    // What waits counts as well as what is inside.
    gold.feed().in_flight = Some(0);
    gold.feed().queue_depth = Some(65);
    gold.at(minutes(50)).expect(5);
    // As many as the minimum takes at once contradict nobody.
    gold.feed().queue_depth = Some(64);
    gold.tick();
    assert_eq!(gold.decision().recommendations[0].desired, Some(0));
}

#[test]
fn nobody_beside_what_is_counted_in_part_is_not_believed() {
    let decided = |inside: u64| {
        let mut gold = Timeline::of(by_players()).with_ready(5);
        let at = gold.inputs.now;
        let (players, queue_depth) = (Reading::Fresh { value: 0, at }, Reading::AtLeast { value: 0, at });
        let in_flight = Reading::AtLeast { value: inside, at };
        gold.tick_with(vec![Signals { players, queue_depth, in_flight, ..Signals::default() }]);
        (gold.decision().desired, gold.decision().recommendations[0].why.clone())
    };
    let blind = |signal, cause| Why::Blind { signal, cause };
    assert_eq!(decided(3), (5, blind(Signal::InFlight, Cause::LowerBound)));
    // What is counted is enough to know better.
    assert_eq!(decided(65), (5, blind(Signal::Players, Cause::Contradicted)));
}

#[test]
fn nobody_beside_what_the_minimum_can_take_is_a_zero_like_any_other() {
    let mut gold = Timeline::of(by_players()).with_ready(5);
    gold.feed().players = Some(500);
    gold.feed().in_flight = Some(200);
    gold.at(minutes(10)).expect(5);
    gold.feed().players = Some(0);
    gold.feed().in_flight = Some(40);
    gold.at(minutes(40)).expect(1);
}
