//! Between tiers: a shared maximum goes to floors first, then by strict priority, ties by unmet share per dollar.

use crate::specs::{by_players, fleet, minutes, seconds};
use crate::timeline::{Timeline, order};
use evenkeel_core::decision::Reason;
use evenkeel_core::observe::Cause;
use evenkeel_core::spec::{Blind, TierSpec};
use evenkeel_core::units::MicroUsd;

fn tier(name: &str, priority: u32) -> TierSpec {
    TierSpec { name: name.into(), priority, start_up: seconds(5), ..by_players() }
}

/// Gold before silver before bronze, each of which wants a replica for every 100 players.
fn three(shared_maximum: u32) -> Timeline {
    let tiers = vec![tier("gold", 10), tier("silver", 5), tier("bronze", 1)];
    let mut fleet = Timeline::over(fleet(tiers, Some(shared_maximum)));
    players(&mut fleet, [100, 100, 100]);
    fleet
}

fn players(fleet: &mut Timeline, players: [u64; 3]) {
    for (tier, players) in fleet.tiers.iter_mut().zip(players) {
        tier.feed.players = Some(players);
    }
}

#[test]
fn with_room_for_all_everyone_gets_what_it_wants() {
    let mut fleet = three(20);
    players(&mut fleet, [600, 500, 400]);
    fleet.at(minutes(1)).expect_all(&[6, 5, 4]);
    assert!(fleet.decisions.iter().all(|it| it.clamps.is_empty()));
}

#[test]
fn what_is_short_goes_by_priority_and_the_others_keep_their_minimum() {
    let mut fleet = three(10);
    players(&mut fleet, [600, 500, 400]);
    fleet.at(minutes(1)).expect_all(&[6, 3, 1]);
    assert_eq!(fleet.decisions[1].reason, Reason::HeldAtSharedMaximum);
    assert_eq!(fleet.decisions[2].reason, Reason::HeldAtSharedMaximum);
    players(&mut fleet, [1_500, 500, 400]);
    fleet.at(minutes(2)).expect_all(&[8, 1, 1]);
}

#[test]
fn the_order_in_the_file_does_not_matter() {
    let tiers = vec![tier("bronze", 1), tier("gold", 10), tier("silver", 5)];
    let mut fleet = Timeline::over(fleet(tiers, Some(10)));
    players(&mut fleet, [400, 600, 500]);
    fleet.at(minutes(1)).expect_all(&[1, 6, 3]);
}

#[test]
fn what_one_tier_gains_from_another_is_granted_only_once_it_is_released() {
    let mut fleet = three(10);
    players(&mut fleet, [100, 700, 100]);
    fleet.at(minutes(1)).expect_all(&[1, 7, 1]);
    players(&mut fleet, [600, 700, 100]);
    fleet.tick();
    // One place was free; the other four are released by silver in this tick and granted to gold in the next.
    fleet.expect_all(&[2, 3, 1]);
    assert_eq!(fleet.decisions[1].reason, Reason::ShrankForPriority);
    assert_eq!(fleet.decisions[1].victims.len(), 4);
    fleet.tick();
    fleet.expect_all(&[6, 3, 1]);
}

#[test]
fn while_places_are_being_released_the_free_ones_go_by_priority() {
    let tiers = vec![tier("silver", 5), tier("gold", 10), tier("bronze", 1)];
    let mut fleet = Timeline::over(fleet(tiers, Some(10)));
    players(&mut fleet, [100, 100, 700]);
    fleet.at(minutes(1)).expect_all(&[1, 1, 7]);
    players(&mut fleet, [300, 500, 700]);
    fleet.tick();
    fleet.expect_all(&[1, 2, 2]);
    fleet.tick();
    fleet.expect_all(&[3, 5, 2]);
}

#[test]
fn while_the_release_is_not_carried_out_nothing_more_is_started() {
    let mut fleet = three(10);
    players(&mut fleet, [100, 700, 100]);
    fleet.at(minutes(1));
    fleet.tiers[1].obeys = false;
    players(&mut fleet, [600, 700, 100]);
    for _ in 0..60 {
        fleet.tick();
        fleet.expect_all(&[2, 3, 1]);
    }
}

#[test]
fn among_equals_the_unmet_share_per_dollar_decides() {
    let priced = |name: &str, dollars: i64| TierSpec {
        price_per_hour: MicroUsd::from_micros(dollars * 1_000_000),
        ..tier(name, 5)
    };
    let mut both = Timeline::over(fleet(vec![priced("cheap", 1), priced("dear", 2)], Some(8)));
    both.tiers.iter_mut().for_each(|it| it.feed.players = Some(800));
    // 3 of 8 unmet at 1 USD weigh a little more than 5 of 8 at 2 USD; a sixth for cheap would weigh less than dear's third.
    both.at(minutes(1)).expect_all(&[5, 3]);
    let mut alike = Timeline::over(fleet(vec![priced("one", 1), priced("other", 1)], Some(9)));
    alike.tiers[0].feed.players = Some(400);
    alike.tiers[1].feed.players = Some(800);
    // Equal shares of unequal wishes.
    alike.at(minutes(1)).expect_all(&[3, 6]);
}

#[test]
fn among_equals_no_replica_is_moved_for_less_than_its_worth() {
    let tiers = vec![tier("one", 5), tier("other", 5)];
    let mut both = Timeline::over(fleet(tiers, Some(9)));
    both.tiers.iter_mut().for_each(|it| it.feed.players = Some(800));
    both.at(minutes(1)).expect_all(&[5, 4]);
    // Wishes that go up and down by one in turn move nothing.
    for second in 0..120 {
        both.tiers[second % 2].feed.players = Some(900);
        both.tiers[1 - second % 2].feed.players = Some(800);
        both.tick();
        both.expect_all(&[5, 4]);
    }
    // A wish twice as large does.
    both.tiers[0].feed.players = Some(500);
    both.tiers[1].feed.players = Some(1_000);
    both.at(minutes(10)).expect_all(&[4, 5]);
}

#[test]
fn a_blind_tier_keeps_what_it_has_against_any_priority() {
    let mut fleet = three(10);
    players(&mut fleet, [100, 100, 600]);
    fleet.at(minutes(1)).expect_all(&[1, 1, 6]);
    fleet.tiers[2].feed.dark = Some(Cause::Unreachable);
    players(&mut fleet, [900, 100, 0]);
    fleet.at(minutes(30)).expect_all(&[3, 1, 6]);
    assert_eq!(fleet.decisions[0].reason, Reason::HeldAtSharedMaximum);
    assert_eq!(fleet.decisions[2].reason, Reason::HeldBlind);
}

#[test]
fn a_tier_that_grows_on_partial_figures_keeps_what_it_has() {
    let gpu =
        crate::specs::tracking(evenkeel_core::spec::Signal::GpuUtilization, 0.5, evenkeel_core::spec::Per::Replica);
    let bronze = TierSpec { policies: vec![gpu], ..tier("bronze", 1) };
    let mut both = Timeline::over(fleet(vec![tier("gold", 10), bronze], Some(8)));
    both.tiers[0].feed.players = Some(100);
    both.tiers[1].feed.gpu_load = Some(2.5);
    both.at(minutes(1)).expect_all(&[1, 5]);
    both.tiers[1].feed.gpu_load = Some(3.9);
    both.tiers[1].feed.gpu_reporting = Some(4);
    both.tiers[0].feed.players = Some(900);
    both.at(minutes(2)).expect_all(&[3, 5]);
}

#[test]
fn a_blind_tier_grows_to_its_fallback_by_its_priority_only() {
    let blind = Blind::AtLeast { replicas: 6, after: minutes(1) };
    let mut both = Timeline::over(fleet(vec![tier("gold", 10), TierSpec { blind, ..tier("bronze", 1) }], Some(8)));
    both.tiers[0].feed.players = Some(500);
    both.tiers[1].feed.dark = Some(Cause::Unreachable);
    both.at(minutes(3)).expect_all(&[5, 3]);
}

#[test]
fn while_a_tier_was_never_counted_nobody_grows_for_it_may_have_any_number() {
    let mut fleet = three(10);
    fleet.tiers[2].listed = false;
    players(&mut fleet, [900, 100, 100]);
    fleet.at(seconds(30)).expect_all(&[1, 1, 0]);
    assert_eq!(fleet.decisions[0].reason, Reason::HeldAtSharedMaximum);
    fleet.tiers[2].listed = true;
    fleet.at(minutes(2)).expect_all(&[8, 1, 1]);
}

#[test]
fn an_unlisted_tier_keeps_what_it_was_decided_to_have() {
    let mut fleet = three(10);
    players(&mut fleet, [100, 100, 600]);
    fleet.at(minutes(1)).expect_all(&[1, 1, 6]);
    fleet.tiers[2].listed = false;
    players(&mut fleet, [900, 100, 100]);
    fleet.at(minutes(30)).expect_all(&[3, 1, 6]);
}

#[test]
fn an_unlisted_tier_keeps_the_places_of_replicas_that_were_to_go_and_may_be_there_still() {
    let mut fleet = three(10);
    players(&mut fleet, [100, 100, 600]);
    fleet.at(minutes(1)).expect_all(&[1, 1, 6]);
    fleet.tiers[2].obeys = false;
    players(&mut fleet, [100, 100, 200]);
    fleet.at(minutes(2)).expect_all(&[1, 1, 2]);
    fleet.tiers[2].listed = false;
    players(&mut fleet, [900, 100, 200]);
    fleet.tick();
    fleet.expect_all(&[3, 1, 2]);
    fleet.tiers[2].listed = true;
    fleet.tiers[2].obeys = true;
    fleet.at(minutes(3)).expect_all(&[8, 1, 1]);
}

#[test]
fn an_operators_limit_on_a_blind_tier_frees_its_places() {
    let mut fleet = three(10);
    players(&mut fleet, [100, 100, 600]);
    fleet.at(minutes(1));
    fleet.tiers[2].feed.dark = Some(Cause::Unreachable);
    fleet.tiers[2].operator = order(None, Some(2));
    players(&mut fleet, [900, 100, 0]);
    fleet.tick();
    fleet.expect_all(&[3, 1, 2]);
    assert_eq!(fleet.decisions[2].reason, Reason::ShrankForOverride);
    fleet.tick();
    fleet.expect_all(&[7, 1, 2]);
}

#[test]
fn a_fleet_over_its_shared_maximum_starts_nothing_and_ends_nothing_needed() {
    let mut fleet = three(5);
    fleet.tiers = fleet.tiers.into_iter().map(|it| it.with_ready(3)).collect();
    players(&mut fleet, [400, 400, 400]);
    fleet.at(minutes(1)).expect_all(&[4, 4, 4]);
    // Gold cannot gain from what the others would lose, so they lose nothing.
    players(&mut fleet, [900, 400, 400]);
    fleet.at(minutes(2)).expect_all(&[4, 4, 4]);
    players(&mut fleet, [900, 100, 100]);
    fleet.at(minutes(3)).expect_all(&[4, 1, 1]);
}

#[test]
fn a_minimum_that_is_not_there_takes_its_free_places_before_a_higher_priority_does() {
    let at_least = |minimum, tier: TierSpec| TierSpec { minimum, ..tier };
    let tiers = vec![at_least(0, tier("gold", 10)), at_least(2, tier("silver", 5)), at_least(0, tier("bronze", 1))];
    let mut fleet = Timeline::over(fleet(tiers, Some(12)));
    players(&mut fleet, [0, 200, 600]);
    fleet.at(minutes(1)).expect_all(&[0, 2, 6]);
    fleet.tiers[1].crash(2);
    players(&mut fleet, [500, 200, 600]);
    fleet.tick();
    // Six of twelve are there. Silver's two come first, four are left for gold, and bronze makes room for its fifth.
    let desired: Vec<u32> = fleet.decisions.iter().map(|it| it.desired).collect();
    assert_eq!(desired, [4, 2, 5]);
    fleet.at(minutes(2)).expect_all(&[5, 2, 5]);
}
