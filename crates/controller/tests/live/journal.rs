//! What the journal promises: orders before deeds, no shrinking without it, a restart that ends nothing, exact replay.

use crate::world::{Tells, World, sql};
use evenkeel_controller::journal::replay;
use evenkeel_controller::live::Taken;
use evenkeel_controller::operator::{Mode, OperatorOrder};
use evenkeel_core::units::Span;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{Read, Write};
use std::path::Path;

#[tokio::test(start_paused = true)]
async fn an_intent_is_in_the_journal_before_the_backend_hears_of_it() {
    let mut world = World::new();
    let mut running = world.start().await;
    world.tells("gold", Tells::Requests(20));
    running.ticks(4).await;
    running.stop().await;
    let state = world.backend.state.lock().unwrap();
    let mut launched: Vec<_> = state.applied.iter().flat_map(|order| order.launch.clone()).collect();
    assert!(launched.len() > 3, "{launched:?}");
    assert_eq!(state.not_journalled, []);
    let count = launched.len();
    launched.sort_unstable();
    launched.dedup();
    assert_eq!(launched.len(), count, "every intent is new");
}

#[tokio::test(start_paused = true)]
async fn without_a_writable_journal_an_alarm_sounds_growth_goes_on_and_nothing_is_drained_or_ended() {
    let mut world = World::new();
    let mut running = world.start().await;
    let until = world.now() + Span::from_secs(3_600);
    running.bound_gold(Some(3), None, until).await;
    running.ticks(2).await;
    running.bound_gold(Some(2), Some(2), until).await;
    running.tick().await;
    let draining = running.draining();
    assert_eq!(draining.len(), 1);
    running.events();

    // The very tick in which the disk fails would end the drained replica.
    sql(&world.journal(), "ALTER TABLE ticks RENAME TO elsewhere");
    world.gateway.lock().unwrap().applied = Some(running.published.routes.borrow().version);
    world.gateway.lock().unwrap().in_flight.insert(draining[0].clone(), 0);
    running.tick().await;
    assert!(world.backend.ended().is_empty(), "an end that is not on disk is not ordered");
    let view = running.tick().await;
    assert!(!view.journal.writable);
    assert!(running.kinds().contains(&"dev.evenkeel.alarm.journal_unwritable"));

    world.tells("silver", Tells::Requests(30));
    running.ticks(3).await;
    let grown = world.backend.count("silver");
    assert!(grown > 2, "growth goes on");
    world.tells("silver", Tells::Requests(0));
    running.ticks(60).await;
    assert_eq!(world.backend.count("silver"), grown);
    assert_eq!(running.draining(), draining, "no further drain begins");
    assert!(world.backend.ended().is_empty());
    assert!(!running.kinds().contains(&"dev.evenkeel.journal.writable"));

    sql(&world.journal(), "ALTER TABLE elsewhere RENAME TO ticks");
    running.ticks(60).await;
    assert!(running.kinds().contains(&"dev.evenkeel.journal.writable"));
    assert_eq!(world.backend.count("silver"), 1);
    assert!(world.backend.ended().contains(&draining[0]));
    running.stop().await;
    let found = replay(&world.journal()).unwrap();
    assert_eq!(found.different, Vec::<i64>::new());
    assert!(found.gaps > 0, "the ticks that were lost show: {found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_restarted_controller_adopts_every_replica_ends_none_and_replays_with_the_one_before() {
    let mut world = World::new();
    world.tells("gold", Tells::Requests(20));
    let mut first = world.start().await;
    first.ticks(10).await;
    first.stop().await;
    let replicas = world.backend.names("gold");
    assert!(replicas.len() > 2);

    let mut second = world.start().await;
    let view = second.ticks(60).await;
    assert_eq!(view.epoch, 2);
    assert_eq!(world.backend.names("gold"), replicas);
    assert!(world.backend.ended().is_empty() && second.draining().is_empty());
    assert_eq!(second.published.routes.borrow().tiers[0].replicas.len(), replicas.len(), "all of them are routed to");
    second.stop().await;

    let found = replay(&world.journal()).unwrap();
    assert_eq!((found.ticks, found.skipped, found.gaps), (72, 0, 0));
    assert_eq!(found.different, Vec::<i64>::new());
}

#[tokio::test(start_paused = true)]
async fn a_short_retention_keeps_little_more_than_it_says_and_what_it_keeps_replays() {
    let mut world = World::new();
    world.retention = Span::from_secs(600);
    let mut running = world.start().await;
    running.ticks(2_000).await;
    running.stop().await;
    let found = replay(&world.journal()).unwrap();
    assert!((600..=800).contains(&found.ticks), "{found:?}");
    assert_eq!((found.different, found.skipped), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn one_changed_number_in_a_journalled_input_is_reported_as_different() {
    let mut world = World::new();
    world.tells("gold", Tells::Requests(20));
    let mut running = world.start().await;
    running.ticks(10).await;
    running.stop().await;
    assert_eq!(replay(&world.journal()).unwrap().different, Vec::<i64>::new());
    change_first_input(&world.journal(), "\"requests\":20", "\"requests\":21");
    assert_eq!(replay(&world.journal()).unwrap().different.first(), Some(&1));
}

fn change_first_input(journal: &Path, before: &str, after: &str) {
    let connection = rusqlite::Connection::open(journal).unwrap();
    let packed: Vec<u8> =
        connection.query_row("SELECT inputs_whole FROM ticks WHERE id = 1", [], |row| row.get(0)).unwrap();
    let mut text = String::new();
    DeflateDecoder::new(packed.as_slice()).read_to_string(&mut text).unwrap();
    assert!(text.contains(before), "{text}");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.replacen(before, after, 1).as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(connection.execute("UPDATE ticks SET inputs_whole = ?1 WHERE id = 1", [packed]).unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn mode_pause_and_override_outlive_a_restart() {
    let mut world = World::new();
    let mut first = world.start().await;
    first.tick().await;
    let until = world.now() + Span::from_secs(60);
    first.bound_gold(Some(4), None, until + Span::from_secs(3_600)).await;
    assert_eq!(first.order(OperatorOrder::Pause(until)).await, Taken::Durable);
    assert_eq!(first.order(OperatorOrder::Mode(Mode::Advise)).await, Taken::Durable);
    first.stop().await;

    let mut second = world.start().await;
    let view = second.tick().await;
    assert_eq!((view.mode, view.paused_until_us), (Mode::Advise, Some(until)));
    assert_eq!(view.tiers[0].operator.as_ref().unwrap().at_least, Some(4));
    assert_eq!(second.order(OperatorOrder::Mode(Mode::Act)).await, Taken::Durable);
    second.ticks(20).await;
    assert_eq!(world.backend.count("gold"), 1, "the pause of the controller before holds");
    let view = second.ticks(60).await;
    assert_eq!(view.paused_until_us, None);
    assert_eq!(world.backend.count("gold"), 4, "so does its override, once the pause is over");
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_journal_cannot_keep_is_in_force_at_once_and_written_when_it_can_be() {
    let mut world = World::new();
    let mut first = world.start().await;
    sql(&world.journal(), "ALTER TABLE operator RENAME TO elsewhere");
    assert_eq!(first.order(OperatorOrder::Mode(Mode::Observe)).await, Taken::NotDurable);
    let view = first.tick().await;
    assert_eq!((view.mode, view.journal.writable), (Mode::Observe, false));
    assert!(view.journal.orders_not_written > 0);
    sql(&world.journal(), "ALTER TABLE elsewhere RENAME TO operator");
    assert_eq!(first.ticks(2).await.journal.orders_not_written, 0);
    first.stop().await;
    let mut second = world.start().await;
    assert_eq!(second.tick().await.mode, Mode::Observe);
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_operators_row_that_cannot_be_read_stops_the_acting_until_a_later_order_sets_the_mode() {
    let mut world = World::new();
    world.start().await.stop().await;
    sql(&world.journal(), "INSERT INTO operator (at_us, body) VALUES (1, 'no order')");
    let mut second = world.start().await;
    let view = second.tick().await;
    assert_eq!(view.mode, Mode::Observe);
    assert!(view.journal.problem.as_deref().unwrap().contains("1 of the operator's orders cannot be read"));
    assert_eq!(second.order(OperatorOrder::Mode(Mode::Act)).await, Taken::Durable);
    second.stop().await;
    let mut third = world.start().await;
    assert_eq!(third.tick().await.mode, Mode::Act);
    third.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_a_later_controller_writes_fences_the_earlier_one() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.tick().await;
    running.events();
    sql(&world.journal(), "INSERT INTO ticks (id, epoch, at_us, decisions_digest) VALUES (1000, 9, 0, 0)");
    world.tells("gold", Tells::Requests(30));
    let view = running.ticks(3).await;
    assert!(!view.holds_fleet);
    assert!(running.kinds().contains(&"dev.evenkeel.alarm.fenced"));
    let orders = world.backend.orders("gold");
    running.ticks(3).await;
    assert_eq!(world.backend.orders("gold"), orders, "nothing more is ordered");
    assert_eq!(running.order(OperatorOrder::Mode(Mode::Act)).await, Taken::NotOurs);
    running.stop().await;
    let connection = rusqlite::Connection::open(world.journal()).unwrap();
    let last: (i64, i64) = connection
        .query_row("SELECT MAX(id), MAX(epoch) FROM ticks", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(last, (1000, 9), "nothing more is written");
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_removed_while_the_controller_runs_sounds_the_alarm() {
    let mut world = World::new();
    let mut running = world.start().await;
    std::fs::remove_file(world.journal()).unwrap();
    let view = running.ticks(2).await;
    assert!(!view.journal.writable && view.journal.removed);
    assert!(view.journal.problem.as_deref().unwrap().contains("removed or replaced"));
    assert!(running.kinds().contains(&"dev.evenkeel.alarm.journal_unwritable"));
    assert_eq!(running.order(OperatorOrder::Mode(Mode::Advise)).await, Taken::NotDurable);
    assert_eq!(running.view().mode, Mode::Advise, "shown before the next tick");
    running.stop().await;
}
