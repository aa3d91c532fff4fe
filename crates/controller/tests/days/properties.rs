use crate::day::{Event, TIERS, day, fleet, shared_maximum};
use crate::repeatable::repeatable;
use crate::world::{Line, World};
use evenkeel_controller::journal::{Journal, TickRecord, replay};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel};
use evenkeel_core::units::Span;
use proptest::prelude::*;
use std::time::Duration;

/// Longer than any window, cooldown, drain deadline and start deadline of a made-up fleet take together.
const UNTIL_ALL_IS_WELL: usize = 400;

proptest! {
    #![proptest_config(repeatable(96))]

    #[test]
    fn whatever_happens_no_order_breaks_an_invariant_and_the_fleet_converges_once_all_is_well(
        fleet in fleet(shared_maximum()),
        day in day(shared_maximum()),
    ) {
        let mut world = World::new(&fleet.0);
        world.live(day);
        world.heal();
        (0..UNTIL_ALL_IS_WELL).for_each(|_| world.tick());
        world.has_converged();
        decides_again(&world.journal);
    }

    #[test]
    fn nothing_that_happens_to_one_tier_changes_what_another_does(
        fleet in fleet(Just(None)),
        day in day(Just(None)),
    ) {
        let gold_alone = |event: &Event| if event.tier() == Some(1) { Event::Nothing } else { event.clone() };
        let mut calm = World::new(&fleet.0);
        calm.live(day.iter().map(gold_alone).collect());
        let mut stormy = World::new(&fleet.0);
        stormy.live(day);
        for (calm, stormy) in calm.seen.iter().zip(&stormy.seen) {
            prop_assert_eq!(&calm[0], &stormy[0], "{}", TIERS[0]);
        }
    }
}

/// From what is on disk, the journal decides to the same bits.
fn decides_again(journal: &[Line]) {
    let mut autoscaler: Option<Evenkeel> = None;
    for line in journal {
        match line {
            Line::State(state) => {
                let saved = serde_json::to_string(state).unwrap();
                autoscaler = Some(serde_json::from_str(&saved).unwrap());
            }
            Line::Tick(inputs, decisions) => {
                let inputs = serde_json::from_str(inputs).unwrap();
                let again = autoscaler.as_mut().unwrap().decide(&inputs);
                assert_eq!(
                    serde_json::to_string(&again).unwrap(),
                    serde_json::to_string(decisions).unwrap(),
                    "at {:?}",
                    inputs.now
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(repeatable(6))]

    #[test]
    fn the_journal_of_any_day_replays_from_its_file(fleet in fleet(shared_maximum()), day in day(shared_maximum())) {
        let mut world = World::new(&fleet.0);
        world.live(day);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.sqlite");
        let ticks = runtime.block_on(write(&path, world.journal));
        let found = replay(&path).unwrap();
        prop_assert_eq!((found.ticks, found.skipped, found.gaps, found.different), (ticks, 0, 0, Vec::new()));
    }
}

/// Writes the lines as the loop does: a state goes with the tick after it.
async fn write(path: &std::path::Path, lines: Vec<Line>) -> u64 {
    let (journal, _) = Journal::open(path, Span::from_secs(1_000_000), 1).unwrap();
    let (mut state, mut ticks) = (None, 0);
    for line in lines {
        match line {
            Line::State(begun) => state = Some(*begun),
            Line::Tick(inputs, decisions) => {
                let inputs = serde_json::from_str(&inputs).unwrap();
                journal.record(TickRecord { epoch: 1, inputs, decisions, orders: Vec::new(), state: state.take() });
                ticks += 1;
            }
        }
    }
    assert!(journal.settled(Duration::from_secs(60)).await);
    ticks
}
