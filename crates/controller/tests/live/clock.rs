//! Wall clocks that are set. A running controller anchors its time once, so only a start meets another time; the last test
//! is harsher than that.

use crate::world::{Running, Tells, World};
use evenkeel_controller::journal::replay;
use evenkeel_controller::live::Taken;
use evenkeel_controller::operator::OperatorOrder;
use evenkeel_core::units::Span;

const HOUR: i64 = 3_600;

/// Gold at the count that 20 requests a second need, and its replicas.
async fn grown(world: &mut World) -> (Running, usize) {
    world.tells("gold", Tells::Requests(20));
    let mut running = world.start().await;
    running.ticks(30).await;
    let count = world.backend.count("gold");
    assert!(count > 2, "{count}");
    (running, count)
}

#[tokio::test(start_paused = true)]
async fn a_start_an_hour_ahead_or_behind_starts_nothing_twice_and_removes_nothing() {
    for set_by in [HOUR, -HOUR] {
        let mut world = World::new();
        let (first, _) = grown(&mut world).await;
        first.stop().await;
        let replicas = world.backend.names("gold");
        world.set_clock(set_by);
        let mut second = world.start().await;
        second.ticks(60).await;
        assert_eq!(world.backend.names("gold"), replicas, "set by {set_by} s");
        assert!(world.backend.ended().is_empty() && second.draining().is_empty());
        second.stop().await;
        let found = replay(&world.journal()).unwrap();
        assert_eq!((found.ticks, found.skipped, found.gaps, found.different), (92, 0, 0, vec![]), "set by {set_by} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_ordered_until_a_moment_ends_at_that_moment_of_the_clock_as_it_is_set() {
    for (set_by, in_force) in [(HOUR, false), (-HOUR, true)] {
        let mut world = World::new();
        let mut first = world.start().await;
        let until = world.now() + Span::from_secs(600);
        first.bound_gold(Some(4), None, until).await;
        first.ticks(5).await;
        assert_eq!(first.order(OperatorOrder::Pause(until)).await, Taken::Durable);
        first.stop().await;
        world.set_clock(set_by);
        let mut second = world.start().await;
        let view = second.ticks(5).await;
        assert_eq!((view.paused_until_us.is_some(), view.tiers[0].operator.is_some()), (in_force, in_force));
        assert!(world.backend.ended().is_empty(), "an order that ended removes nothing before windows are full");
        second.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_ahead_by_more_than_the_retention_leaves_a_journal_that_replays() {
    let mut world = World::new();
    world.retention = Span::from_secs(1_800);
    let (first, _) = grown(&mut world).await;
    first.stop().await;
    world.set_clock(HOUR);
    let mut second = world.start().await;
    second.ticks(5).await;
    second.stop().await;
    let found = replay(&world.journal()).unwrap();
    assert!(found.ticks >= 6 && found.different.is_empty(), "{found:?}");
    // And back: what is dated ahead is kept until its time has come.
    world.set_clock(-HOUR);
    let mut third = world.start().await;
    third.ticks(5).await;
    third.stop().await;
    let found = replay(&world.journal()).unwrap();
    assert!(found.ticks >= 12 && found.different.is_empty(), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn even_a_clock_that_jumps_under_a_running_controller_removes_nothing_that_is_needed() {
    for set_by in [HOUR, -HOUR] {
        let mut world = World::new();
        let (mut running, count) = grown(&mut world).await;
        world.set_clock(set_by);
        running.ticks(60).await;
        assert_eq!(world.backend.count("gold"), count, "set by {set_by} s");
        assert!(world.backend.ended().is_empty(), "set by {set_by} s");
        running.stop().await;
    }
}
