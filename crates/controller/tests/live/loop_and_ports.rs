//! What the loop makes of its ports: orders, drains, failures of one that stop no other.

use crate::world::{Tells, World, advance};
use evenkeel_controller::live::{Command, Taken};
use evenkeel_controller::operator::{Mode, OperatorOrder};
use evenkeel_controller::ports::BackendError;
use evenkeel_controller::step::Stopping;
use evenkeel_core::decision::Reason;
use evenkeel_core::observe::{Cause, Reading, ReplicaId, ReplicaState};
use evenkeel_core::units::Span;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_victim_is_routed_around_first_and_ended_once_the_gateway_has_emptied_it() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.bound_gold(Some(3), None, world.now() + Span::from_secs(3_600)).await;
    running.ticks(2).await;
    assert_eq!(world.backend.count("gold"), 3);
    running.bound_gold(Some(2), Some(2), world.now() + Span::from_secs(3_600)).await;
    running.tick().await;
    let draining = running.draining();
    assert_eq!(draining.len(), 1);
    let told = running.published.routes.borrow().version;
    world.gateway.lock().unwrap().applied = Some(told);
    world.gateway.lock().unwrap().in_flight = BTreeMap::from([(draining[0].clone(), 2)]);
    running.ticks(3).await;
    assert!(world.backend.ended().is_empty(), "two requests are still in there");
    world.gateway.lock().unwrap().in_flight.insert(draining[0].clone(), 0);
    running.tick().await;
    assert_eq!(world.backend.ended(), draining);
    running.tick().await;
    assert!(running.draining().is_empty());
    assert_eq!(world.backend.count("gold"), 2);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_cut_at_a_quarter_tick_and_the_other_tier_is_decided_in_the_same_tick() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.tick().await;
    world.tells("gold", Tells::Hangs);
    world.tells("silver", Tells::Requests(30));
    advance(Duration::from_secs(1)).await;
    advance(Duration::from_millis(249)).await;
    assert!(!running.published.view.has_changed().unwrap(), "it has its quarter");
    advance(Duration::from_millis(1)).await;
    let view = running.idle().await;
    assert_eq!(view.tiers[0].signals.offered, Reading::Missing { cause: Cause::TimedOut });
    assert_eq!(view.tiers[0].decision.reason, Reason::HeldBlind);
    assert!(view.sources[0].problem.as_deref().unwrap().contains("quarter"));
    assert_eq!(view.sources[1].problem, None);
    assert_eq!(view.tiers[1].decision.reason, Reason::GrewForDemand);
    assert!(world.backend.count("silver") > 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_never_lists_one_tier_stops_no_other() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.ticks(2).await;
    world.backend.state.lock().unwrap().hang_list.insert("gold");
    for tier in ["gold", "silver"] {
        world.tells(tier, Tells::Requests(30));
    }
    advance(Duration::from_secs(1)).await;
    advance(Duration::from_millis(250)).await;
    let view = running.idle().await;
    assert!(!view.tiers[0].replicas_known);
    assert_eq!(view.tiers[0].decision.reason, Reason::HeldBlind);
    assert!(world.backend.count("silver") > 1);
    assert_eq!(world.backend.count("gold"), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_never_finishes_one_tiers_order_or_refuses_it_stops_no_other() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.tick().await;
    world.backend.state.lock().unwrap().hang_apply.insert("gold");
    world.tells("gold", Tells::Requests(30));
    running.ticks(3).await;
    assert_eq!(world.backend.count("gold"), 1, "its order hangs");
    let error = BackendError::NoCapacity("no GPU is free".to_owned());
    world.backend.state.lock().unwrap().fail_apply.insert("silver", error);
    world.tells("silver", Tells::Requests(30));
    running.events();
    let view = running.ticks(3).await;
    assert!(view.tiers[1].refused.as_deref().unwrap().contains("no GPU is free"));
    assert!(running.kinds().contains(&"dev.evenkeel.order.refused"));
    world.backend.state.lock().unwrap().fail_apply.clear();
    let view = running.ticks(3).await;
    assert!(world.backend.count("silver") > 1, "what was refused is asked for again");
    assert_eq!(view.tiers[1].refused, None);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_blackout_of_every_source_ends_nothing_and_a_confirmed_zero_does() {
    let mut world = World::new();
    let mut running = world.start().await;
    for tier in ["gold", "silver"] {
        world.tells(tier, Tells::Requests(20));
    }
    running.ticks(4).await;
    let grown = world.backend.names("gold");
    assert!(grown.len() > 2);
    for tier in ["gold", "silver"] {
        world.tells(tier, Tells::Nothing);
    }
    let view = running.ticks(300).await;
    assert_eq!(view.tiers[0].decision.reason, Reason::HeldBlind);
    assert_eq!(world.backend.names("gold"), grown);
    assert!(running.draining().is_empty());
    for tier in ["gold", "silver"] {
        world.tells(tier, Tells::Requests(0));
    }
    running.ticks(100).await;
    assert_eq!(world.backend.count("gold"), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_fenced_controller_says_so_and_orders_nothing_more() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.tick().await;
    world.backend.state.lock().unwrap().fail_apply.insert("gold", BackendError::Fenced { current: 9 });
    world.tells("gold", Tells::Requests(20));
    running.ticks(2).await;
    let alarm = running.events().into_iter().find(|event| event.kind == "dev.evenkeel.alarm.fenced").unwrap();
    assert_eq!(alarm.data["by_epoch"], 9);
    let (gold, silver) = (world.backend.orders("gold"), world.backend.orders("silver"));
    world.backend.state.lock().unwrap().fail_apply.clear();
    for tier in ["gold", "silver"] {
        world.tells(tier, Tells::Requests(30));
    }
    let view = running.ticks(5).await;
    assert_eq!((world.backend.orders("gold"), world.backend.orders("silver")), (gold, silver));
    assert!(!view.holds_fleet);
    assert_eq!(view.mode, Mode::Act, "the mode is the operator's, not the loop's");
    assert_eq!(view.tiers[1].decision.supply.starting, 0, "what nobody launches does not start");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_controller_without_the_fleet_decides_and_touches_nothing() {
    let mut world = World::new();
    for tier in ["gold", "silver"] {
        world.tells(tier, Tells::Requests(20));
    }
    let mut running = world.start_observer().await;
    let view = running.ticks(5).await;
    assert!(view.tiers[0].decision.desired > 1);
    assert_eq!(view.tiers[0].decision.supply.starting, 0);
    assert_eq!(world.backend.orders("gold") + world.backend.orders("silver"), 0);
    assert!(running.published.routes.borrow().tiers.is_empty());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_not_carried_out_is_one_event_and_not_one_a_tick() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.tick().await;
    assert_eq!(running.order(OperatorOrder::Mode(Mode::Advise)).await, Taken::Durable);
    running.bound_gold(Some(4), None, world.now() + Span::from_secs(3_600)).await;
    running.events();
    let view = running.ticks(30).await;
    assert_eq!((view.tiers[0].decision.desired, world.backend.count("gold")), (4, 1));
    assert_eq!(running.kinds(), ["dev.evenkeel.tier.scaled"]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_has_the_fields_of_a_cloud_event_and_an_id_of_its_own() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.ticks(2).await;
    let events = running.events();
    let mut ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
    let scaled = serde_json::to_value(&events[0]).unwrap();
    let text = |field: &str| scaled[field].as_str().unwrap().to_owned();
    assert_eq!(text("specversion"), "1.0");
    assert_eq!(text("source"), "/evenkeel/pair/1");
    assert_eq!(text("type"), "dev.evenkeel.tier.scaled");
    assert_eq!(text("subject"), "gold");
    assert_eq!(text("time"), "2001-09-09T01:46:40Z");
    assert_eq!(text("datacontenttype"), "application/json");
    assert_eq!((&scaled["data"]["from"], &scaled["data"]["to"]), (&0.into(), &1.into()));
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&"dev.evenkeel.replica.ready"), "{kinds:?}");
    running.stop().await;
    // What serves when a controller begins is no news.
    let mut next = world.start().await;
    next.ticks(2).await;
    assert!(!next.kinds().contains(&"dev.evenkeel.replica.ready"));
    next.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_launch_without_an_answer_is_never_repeated_however_long_it_hangs() {
    let mut world = World::new();
    world.backend.state.lock().unwrap().hang_apply.insert("gold");
    let mut running = world.start().await;
    world.tells("gold", Tells::Requests(30));
    let view = running.ticks(200).await;
    assert_eq!(world.backend.orders("gold"), 1, "the start deadline of 120 s has passed");
    assert_eq!(view.tiers[0].decision.supply.starting, 1, "it may still happen, so it counts");
    assert!(view.tiers[0].refused.as_deref().unwrap().contains("no answer"), "{:?}", view.tiers[0].refused);
    world.backend.go_on("gold");
    let view = running.ticks(5).await;
    assert_eq!(world.backend.count("gold"), view.tiers[0].decision.desired as usize);
    assert_eq!(view.tiers[0].refused, None);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_waits_behind_a_slow_one_is_withdrawn_by_the_kill_switch() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.bound_gold(Some(4), None, world.now() + Span::from_secs(3_600)).await;
    running.ticks(3).await;
    world.backend.state.lock().unwrap().hang_apply.insert("gold");
    running.bound_gold(Some(5), None, world.now() + Span::from_secs(3_600)).await;
    running.tick().await;
    running.bound_gold(None, Some(2), world.now() + Span::from_secs(3_600)).await;
    running.ticks(40).await;
    assert_eq!(running.draining().len(), 3, "their end, due at the drain deadline, waits behind the launch");
    running.order(OperatorOrder::Mode(Mode::Observe)).await;
    world.backend.go_on("gold");
    running.ticks(40).await;
    assert!(world.backend.ended().is_empty());
    assert_eq!(world.backend.count("gold"), 5, "the launch had begun");
    assert!(running.draining().is_empty(), "they serve again");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_takes_back_what_drains_and_goes_on_serving_with_it() {
    let mut world = World::new();
    let mut running = world.start().await;
    let until = world.now() + Span::from_secs(3_600);
    running.bound_gold(Some(3), None, until).await;
    running.ticks(2).await;
    running.bound_gold(None, Some(1), until).await;
    running.tick().await;
    assert_eq!(running.draining().len(), 2);
    running.order(OperatorOrder::Pause(world.now() + Span::from_secs(60))).await;
    running.tick().await;
    assert!(running.draining().is_empty());
    running.ticks(50).await;
    assert!(world.backend.ended().is_empty());
    running.ticks(60).await;
    assert_eq!(world.backend.count("gold"), 1, "the override holds on after the pause");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_drains_every_replica_launches_none_and_lapses_when_nobody_asks_again() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.bound_gold(Some(3), None, world.now() + Span::from_secs(3_600)).await;
    running.ticks(3).await;
    running.events();
    let all: Vec<ReplicaId> = [world.backend.names("gold"), world.backend.names("silver")].concat();
    assert!(running.published.commands.send(Command::Drain).await.is_ok());
    world.tells("gold", Tells::Requests(50));
    let view = running.tick().await;
    assert_eq!((running.draining(), view.stopping), (all.clone(), Some(Stopping::Draining)));
    world.gateway.lock().unwrap().applied = Some(running.published.routes.borrow().version);
    world.gateway.lock().unwrap().in_flight = all.iter().map(|id| (id.clone(), 0)).collect();
    assert_eq!(running.tick().await.stopping, Some(Stopping::Drained));
    assert_eq!(
        (world.backend.names("gold").len(), world.backend.ended().len()),
        (3, 0),
        "ending them is not the loop's"
    );
    assert!(!running.kinds().contains(&"dev.evenkeel.tier.scaled"));
    let view = running.ticks(9).await;
    assert_eq!((running.draining(), view.stopping), (Vec::new(), None), "whoever stopped it is gone: it serves on");
    assert!(world.backend.count("gold") >= 3);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_tier_is_gone_is_shown_and_told_once() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.events();
    world.backend.state.lock().unwrap().strays.push(("copper".to_owned(), ReplicaId("old".to_owned())));
    let view = running.ticks(5).await;
    assert_eq!((view.strays[0].tier.as_str(), view.strays[0].replica.0.as_str()), ("copper", "old"));
    assert_eq!(running.kinds().iter().filter(|kind| **kind == "dev.evenkeel.alarm.stray_replica").count(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_is_in_force_from_the_next_tick_on_and_one_that_cannot_be_used_changes_nothing() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.ticks(2).await;
    running.events();
    let mut changed = world.fleet();
    changed.spec.tiers[0].minimum = 4;
    let reload = Command::Reload(Arc::new(changed), vec!["tiers.gold.replicas.minimum".to_owned()]);
    assert!(running.published.commands.send(reload).await.is_ok());
    running.ticks(2).await;
    assert_eq!((world.backend.count("gold"), world.backend.count("silver")), (4, 1));
    assert!(running.published.commands.send(Command::ReloadRefused("line 3".to_owned())).await.is_ok());
    let view = running.ticks(2).await;
    assert_eq!((world.backend.count("gold"), view.reload_refused.as_deref()), (4, Some("line 3")));
    assert!(running.published.commands.send(Command::FileInForce).await.is_ok());
    assert_eq!(running.ticks(2).await.reload_refused, None);
    let kinds = running.kinds();
    for kind in ["dev.evenkeel.fleet.reloaded", "dev.evenkeel.alarm.reload_refused"] {
        assert_eq!(kinds.iter().filter(|it| **it == kind).count(), 1, "{kinds:?}");
    }
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_failed_is_told_once_and_replaced() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.ticks(2).await;
    running.events();
    world.backend.state.lock().unwrap().replicas.get_mut("gold").unwrap()[0].state = ReplicaState::Failed;
    running.ticks(3).await;
    assert_eq!(running.kinds().iter().filter(|kind| **kind == "dev.evenkeel.replica.failed").count(), 1);
    assert_eq!(world.backend.count("gold"), 2, "the failed one and another in its place");
    world.backend.state.lock().unwrap().replicas.get_mut("gold").unwrap()[1].state = ReplicaState::Starting;
    running.tick().await;
    assert_eq!(running.kinds(), [""; 0], "one that starts is no event");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn sinks_that_take_no_event_hold_up_no_tick() {
    let mut world = World::new();
    world.room_for_events = 1;
    let mut running = world.start().await;
    world.tells("gold", Tells::Requests(30));
    running.ticks(5).await;
    assert!(world.backend.count("gold") > 2);
    assert!(running.events().len() <= 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn observe_tells_no_decision_and_advise_does() {
    let mut world = World::new();
    let mut running = world.start().await;
    running.tick().await;
    running.order(OperatorOrder::Mode(Mode::Observe)).await;
    running.bound_gold(Some(4), None, world.now() + Span::from_secs(3_600)).await;
    running.events();
    running.ticks(3).await;
    assert_eq!(running.kinds(), [""; 0]);
    running.order(OperatorOrder::Mode(Mode::Advise)).await;
    running.bound_gold(Some(5), None, world.now() + Span::from_secs(3_600)).await;
    running.ticks(3).await;
    assert!(running.kinds().contains(&"dev.evenkeel.tier.scaled"));
    running.stop().await;
}
