//! The controller's tick as a function, and what its journal keeps: no process, no socket, a real SQLite file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_controller::actuation::FailingReplica;
use evenkeel_controller::gateway_view::{Failures, GatewayView};
use evenkeel_controller::journal::{Journal, JournalReader, TickRecord, replay};
use evenkeel_controller::operator::{Mode, OperatorOrder, OperatorOrders};
use evenkeel_controller::ports::{BackendError, BackendReplica, Order};
use evenkeel_controller::step::{Controller, Gathered, Outcome, TierGathered};
use evenkeel_core::decision::{Override, Reason};
use evenkeel_core::observe::{Cause, Latency, Offered, Reading, ReplicaId, ReplicaState, Signals};
use evenkeel_core::units::{Span, Time};
use evenkeel_wire::routes::{RouteState, RouteVersion};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One tier of the fleet file, under its name.
const TIER: &str = include_str!("fixtures/tier.yaml");

/// Two tiers, gold and silver, whose backend carries out every order at once.
struct World {
    controller: Controller,
    operator: OperatorOrders,
    now: Time,
    names: u32,
    replicas: BTreeMap<&'static str, Vec<BackendReplica>>,
    unlisted: Option<&'static str>,
    offered: Option<u64>,
    gateway: GatewayView,
    /// No replica is asked anything, so none answers.
    quiet: bool,
    may_shrink: bool,
    /// What the backend answers instead of carrying out an order.
    fails: Option<BackendError>,
    latency: Option<Latency>,
}

impl World {
    fn new() -> Self {
        let text = format!(
            "fleet: pair\ntiers:\n  gold:{}  silver:{}",
            TIER.replace("MODEL", "a"),
            TIER.replace("MODEL", "b")
        );
        let fleet = evenkeel_fleet::read(&text, "pair.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        let now = Time::from_micros(1_000_000_000_000_000);
        Self {
            controller: Controller::new(Arc::new(fleet), 7, now),
            operator: OperatorOrders::default(),
            now,
            names: 0,
            replicas: BTreeMap::from([("gold", Vec::new()), ("silver", Vec::new())]),
            unlisted: None,
            offered: Some(0),
            gateway: GatewayView::default(),
            quiet: false,
            may_shrink: true,
            fails: None,
            latency: None,
        }
    }

    /// Both tiers go by `policy` from now on, and have a latency to go by.
    fn policy(&mut self, policy: &str) {
        let one = |model: &str| TIER.replace("MODEL", model).replace("capacity: {window: 2s, hold: 5s}", policy);
        let text = format!("fleet: pair\ntiers:\n  gold:{}  silver:{}", one("a"), one("b"));
        let fleet = evenkeel_fleet::read(&text, "pair.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        self.controller = Controller::new(Arc::new(fleet), 7, self.now);
        self.latency = Some(Latency { count: 100, above: 0, ..Latency::default() });
    }

    fn tier(&self, name: &'static str) -> TierGathered {
        let over = Span::from_secs(1);
        let offered = match self.offered {
            Some(requests) => Reading::Fresh { value: Offered { requests, prompt_tokens: 0, over }, at: self.now },
            None => Reading::Missing { cause: Cause::Unreachable },
        };
        let listed = if self.unlisted == Some(name) {
            Err(BackendError::Unknown("a test".to_owned()))
        } else {
            Ok(self.replicas[name].clone())
        };
        let fresh = |count| Reading::Fresh { value: count, at: self.now };
        let latency = self.latency.map_or_else(Reading::default, |value| Reading::Fresh { value, at: self.now });
        let signals = Signals {
            offered,
            latency: vec![latency],
            queue_depth: fresh(0),
            in_flight: fresh(20),
            ..Signals::default()
        };
        TierGathered { signals, load: BTreeMap::new(), listed, schedule: None, forecast: None }
    }

    /// Each ready replica of gold in which the gateway finds no fault answers one more request.
    fn serve(&mut self) {
        let GatewayView { failing, served, .. } = &mut self.gateway;
        for replica in self.replicas["gold"].iter().filter(|it| !failing.contains_key(&it.id)) {
            *served.entry(replica.id.clone()).or_insert(0) += 1;
        }
    }

    /// One second and one tick.
    fn tick(&mut self) -> Outcome {
        self.now = self.now + Span::from_secs(1);
        let tiers = vec![self.tier("gold"), self.tier("silver")];
        if !self.quiet {
            self.serve();
        }
        let gathered = Gathered { now: self.now, tiers, gateway: self.gateway.clone() };
        let names = &mut self.names;
        let mut new_intent = || {
            *names += 1;
            ReplicaId(format!("intent-{names}"))
        };
        let outcome = self.controller.step(&gathered, &self.operator, self.may_shrink, &mut new_intent);
        assert_eq!(outcome.violations, [], "{:?}", outcome.decisions);
        for order in &outcome.orders {
            if let Some(error) = &self.fails {
                self.controller.outcome(order, Err(error.clone()), self.now);
            } else {
                self.carry_out(order);
            }
        }
        outcome
    }

    fn carry_out(&mut self, order: &Order) {
        let tier = self.replicas.get_mut(order.tier.as_str()).unwrap();
        tier.retain(|it| !order.end.contains(&it.id));
        tier.extend(order.launch.iter().map(|id| BackendReplica {
            id: id.clone(),
            state: ReplicaState::Ready,
            since: self.now,
            url: Some(format!("http://127.0.0.1/{id}")),
            note: None,
        }));
        self.controller.outcome(order, Ok(()), self.now);
    }

    fn ticks(&mut self, count: usize) -> Outcome {
        (1..count).for_each(|_| drop(self.tick()));
        self.tick()
    }

    fn bound(&mut self, at_least: Option<u32>, at_most: Option<u32>) {
        let until = self.now + Span::from_secs(3_600);
        let order = Override { at_least, at_most, until, because: "a test".to_owned() };
        self.operator.overrides.insert("gold".to_owned(), order);
    }

    fn draining(outcome: &Outcome) -> Vec<ReplicaId> {
        let routes = outcome.routes.tiers[0].replicas.iter();
        routes.filter(|route| route.state == RouteState::Draining).map(|route| route.id.clone()).collect()
    }
}

#[test]
fn a_victim_is_ended_only_once_the_gateway_obeys_the_drain_and_shows_nothing_in_flight() {
    let mut world = World::new();
    world.bound(Some(3), None);
    world.ticks(3);
    world.bound(None, Some(2));
    let outcome = world.tick();
    let draining = World::draining(&outcome);
    assert_eq!(draining.len(), 1);
    assert!(outcome.orders.is_empty(), "draining ends nothing yet");
    let told = outcome.routes.version;

    world.gateway.in_flight = BTreeMap::from([(draining[0].clone(), 0)]);
    world.gateway.applied = Some(RouteVersion { number: told.number - 1, ..told });
    assert!(world.tick().orders.is_empty(), "the gateway still obeys an older table");

    world.gateway.applied = Some(told);
    world.gateway.in_flight = BTreeMap::from([(draining[0].clone(), 1)]);
    assert!(world.tick().orders.is_empty(), "one request is still in there");

    world.gateway.in_flight = BTreeMap::from([(draining[0].clone(), 0)]);
    world.gateway.earlier_answers = true;
    assert!(world.tick().orders.is_empty(), "one may be in there by a gateway that was restarted");

    world.gateway.earlier_answers = false;
    let outcome = world.tick();
    assert_eq!(outcome.orders[0].end, draining);
    assert_eq!(world.replicas["gold"].len(), 2);
}

#[test]
fn a_launch_that_may_have_happened_is_told_to_end_when_it_is_wanted_no_more_whatever_a_gateway_answers() {
    let mut world = World::new();
    world.bound(Some(3), None);
    world.fails = Some(BackendError::Unknown("a test".to_owned()));
    let launched = world.tick().orders[0].launch.clone();
    assert_eq!(launched.len(), 3);
    world.fails = None;
    world.gateway.earlier_answers = true;
    world.bound(None, Some(1));
    let ended = world.tick().orders[0].end.clone();
    assert!(ended.len() == 2 && ended.iter().all(|id| launched.contains(id)), "{ended:?} of {launched:?}");
}

#[test]
fn at_the_drain_deadline_a_victim_ends_without_the_gateway() {
    let mut world = World::new();
    world.bound(Some(2), None);
    world.ticks(2);
    world.bound(None, Some(1));
    let ended =
        (0..40).map(|_| world.tick()).position(|outcome| outcome.orders.iter().any(|order| !order.end.is_empty()));
    assert_eq!(ended, Some(30), "the deadline is 30 s");
}

#[test]
fn demand_that_returns_takes_a_drain_back_instead_of_starting_another() {
    let mut world = World::new();
    world.bound(Some(3), None);
    world.ticks(3);
    let before = world.replicas["gold"].clone();
    world.bound(None, Some(1));
    assert_eq!(World::draining(&world.tick()).len(), 2);
    world.bound(Some(3), None);
    let outcome = world.tick();
    assert!(outcome.orders.is_empty());
    assert!(World::draining(&outcome).is_empty());
    assert_eq!(world.replicas["gold"], before);
}

#[test]
fn while_the_journal_cannot_be_written_replicas_are_started_and_none_is_drained_or_ended() {
    let mut world = World::new();
    world.may_shrink = false;
    world.bound(Some(4), None);
    world.ticks(2);
    assert_eq!(world.replicas["gold"].len(), 4);
    world.bound(None, Some(1));
    let outcome = world.ticks(60);
    assert_eq!(world.replicas["gold"].len(), 4);
    assert!(World::draining(&outcome).is_empty());
    assert_eq!(outcome.decisions[0].desired, 1, "deciding goes on");
}

#[test]
fn a_tier_whose_backend_cannot_list_stops_no_other_and_keeps_its_routes() {
    let mut world = World::new();
    let routed = world.ticks(3).routes.tiers[0].clone();
    assert_eq!(routed.replicas.len(), 1);
    world.unlisted = Some("gold");
    world.offered = Some(30);
    let outcome = world.ticks(3);
    assert_eq!(outcome.decisions[0].reason, Reason::HeldBlind);
    assert_eq!(outcome.routes.tiers[0], routed);
    assert!(world.replicas["silver"].len() > 1, "silver grew meanwhile");
    assert_eq!(world.replicas["gold"].len(), 1);
}

#[test]
fn a_blackout_removes_nothing_and_a_confirmed_zero_does() {
    let mut world = World::new();
    world.offered = Some(20);
    world.ticks(3);
    let grown = world.replicas["gold"].len();
    assert!(grown > 2);
    world.offered = None;
    let outcome = world.ticks(600);
    assert_eq!(outcome.decisions[0].reason, Reason::HeldBlind);
    assert_eq!(world.replicas["gold"].len(), grown);
    world.offered = Some(0);
    assert_eq!(world.ticks(60).decisions[0].desired, 1);
}

#[test]
fn an_end_whose_outcome_is_unknown_is_ordered_again() {
    let mut world = World::new();
    world.bound(Some(2), None);
    world.ticks(2);
    world.bound(None, Some(1));
    world.fails = Some(BackendError::Unknown("the fence could not be read".to_owned()));
    let ended = |outcome: &Outcome| outcome.orders.iter().any(|order| !order.end.is_empty());
    assert!((0..32).any(|_| ended(&world.tick())), "at the drain deadline");
    world.fails = None;
    assert!(ended(&world.tick()), "it is still there and not told");
    assert_eq!(world.replicas["gold"].len(), 1);
}

#[test]
fn a_replica_that_served_and_is_not_ready_just_now_is_drained_before_it_ends() {
    let mut world = World::new();
    world.bound(Some(2), None);
    world.ticks(2);
    // Its health check is late under load: it may still be answering.
    let busy = world.replicas["gold"][0].id.clone();
    world.replicas.get_mut("gold").unwrap()[0].state = ReplicaState::Starting;
    world.gateway.in_flight = BTreeMap::from([(busy.clone(), 40)]);
    world.bound(None, Some(1));
    let outcome = world.tick();
    assert_eq!((outcome.decisions[0].victims.as_slice(), outcome.orders.len()), (&[busy.clone()][..], 0));
    world.gateway.applied = Some(outcome.routes.version);
    assert!(world.tick().orders.is_empty(), "40 requests are in there");
    world.gateway.in_flight.clear();
    assert_eq!(world.tick().orders[0].end, [busy], "the gateway knows it no more");
}

#[test]
fn a_replica_that_served_and_is_not_ready_just_now_is_drained_also_while_the_gateway_cannot_be_asked() {
    let mut world = World::new();
    world.bound(Some(2), None);
    world.ticks(2);
    let busy = world.replicas["gold"][0].id.clone();
    world.replicas.get_mut("gold").unwrap()[0].state = ReplicaState::Starting;
    world.gateway = GatewayView::default();
    world.bound(None, Some(1));
    let outcome = world.tick();
    assert_eq!((outcome.decisions[0].victims.as_slice(), outcome.orders.len()), (&[busy.clone()][..], 0));
    let ended =
        (1..40).map(|_| world.tick()).position(|outcome| outcome.orders.iter().any(|it| it.end == [busy.clone()]));
    assert_eq!(ended, Some(29), "the deadline is 30 s");
}

#[test]
fn the_files_mode_is_in_force_until_an_operator_sets_another() {
    let mut world = World::new();
    let fleet = (**world.controller.fleet()).clone();
    for (in_file, mode) in [
        (evenkeel_fleet::model::Mode::Observe, Mode::Observe),
        (evenkeel_fleet::model::Mode::Advise, Mode::Advise),
        (evenkeel_fleet::model::Mode::Act, Mode::Act),
    ] {
        let mut changed = fleet.clone();
        changed.controller.mode = in_file;
        world.controller.reload(Arc::new(changed), world.now);
        assert_eq!(world.controller.mode(&world.operator), mode);
        assert_eq!(world.controller.permitted(&world.operator, world.now), mode == Mode::Act);
    }
    world.operator.take(OperatorOrder::Mode(Mode::Observe));
    assert_eq!(world.controller.mode(&world.operator), Mode::Observe);
}

#[test]
fn a_stop_that_is_broken_off_has_changed_no_decision() {
    let mut world = World::new();
    world.policy("latency: {objective: tpot p95, window: 60s}");
    world.bound(Some(6), None);
    world.ticks(3);
    world.operator.overrides.clear();
    world.controller.stop(true);
    for _ in 0..10 {
        let outcome = world.tick();
        assert_eq!((outcome.decisions[0].supply.ready, World::draining(&outcome).len()), (6, 6));
    }
    world.controller.stop(false);
    let outcome = world.ticks(40);
    assert_eq!((world.replicas["gold"].len(), World::draining(&outcome).len()), (6, 0));
}

#[tokio::test]
async fn a_journal_whose_first_start_was_cut_short_can_be_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
    assert!(journal.settled(Duration::from_secs(30)).await);
    let connection = rusqlite::Connection::open(&path).unwrap();
    let tables = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table'";
    let tables: i64 = connection.query_row(tables, [], |row| row.get(0)).unwrap();
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!((tables, version), (6, 1));
    // A kill in the middle leaves the transaction open, and of it nothing.
    let cut_short = directory.path().join("cut_short.sqlite");
    let connection = rusqlite::Connection::open(&cut_short).unwrap();
    connection.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; CREATE TABLE meta (key TEXT)").unwrap();
    drop(connection);
    assert!(Journal::open(&cut_short, Span::from_secs(1_000_000), 7).is_ok());
}

#[test]
fn a_refused_order_keeps_what_the_backend_ended_before_it_failed_out_of_service() {
    let mut world = World::new();
    world.bound(Some(3), None);
    world.ticks(3);
    world.bound(None, Some(2));
    world.ticks(2);
    world.fails = Some(BackendError::NoCapacity("a test".to_owned()));
    let order = (0..40).find_map(|_| world.tick().orders.into_iter().next()).unwrap();
    let ended = order.end[0].clone();
    // The backend ended it, then a launch of the same order failed; now demand returns.
    let gold = world.replicas.get_mut("gold").unwrap();
    gold.iter_mut().find(|it| it.id == ended).unwrap().state = ReplicaState::Draining;
    world.fails = None;
    world.bound(Some(3), None);
    let outcome = world.tick();
    assert_eq!(World::draining(&outcome), [ended], "what was told to end takes no work");
    assert_eq!(outcome.orders[0].launch.len(), 1, "a new one is launched in its place");
}

#[tokio::test]
async fn after_the_first_failed_statement_nothing_more_of_the_batch_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    // What SQLite does by itself on a full disk: it rolls the whole transaction back, not the statement alone.
    other
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON orders BEGIN SELECT RAISE(ROLLBACK, 'full'); END")
        .unwrap();
    let mut world = World::new();
    // While another holds the file, the thread waits, so that the ticks gather in one batch.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let barrier = journal.settled(Duration::from_secs(30));
    let ticks = async {
        for _ in 0..3 {
            let Outcome { inputs, decisions, orders, .. } = world.tick();
            journal.record(TickRecord { epoch: 7, inputs, decisions, orders, state: None });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        other.execute_batch("COMMIT").unwrap();
    };
    tokio::join!(barrier, ticks);
    assert!(!journal.settled(Duration::from_secs(30)).await);
    let rows: i64 = other.query_row("SELECT COUNT(*) FROM ticks", [], |row| row.get(0)).unwrap();
    assert_eq!((rows, journal.health().ticks_lost), (0, 3));
}

#[tokio::test]
async fn a_journal_replays_bit_for_bit_over_a_restart_and_a_changed_input_shows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    for load in [20, 5] {
        let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
        let mut world = World::new();
        world.offered = Some(load);
        for tick in 0..50 {
            let state = (tick == 0).then(|| world.controller.autoscaler().clone());
            let outcome = world.tick();
            let Outcome { inputs, decisions, orders, .. } = outcome;
            journal.record(TickRecord { epoch: 7, inputs, decisions, orders, state });
        }
        assert!(journal.settled(Duration::from_secs(30)).await);
    }
    let found = replay(&path).unwrap();
    assert_eq!((found.ticks, found.skipped, found.gaps, found.different.len()), (100, 0, 0, 0));
    let orders = JournalReader::new(&path).orders().unwrap();
    assert!(!orders.is_empty() && orders.iter().all(|order| order.epoch == 7));

    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE ticks SET decisions_digest = decisions_digest + 1 WHERE id = 60", []).unwrap();
    assert_eq!(replay(&path).unwrap().different, [60]);
    connection.execute("UPDATE ticks SET inputs_delta = x'00' WHERE id = 70", []).unwrap();
    assert!(replay(&path).unwrap_err().to_string().contains("tick 70"));
}

#[test]
fn a_replica_that_fails_its_requests_for_long_is_told_and_replaced() {
    let mut world = World::new();
    world.bound(Some(3), None);
    world.ticks(3);
    let broken = world.replicas["gold"][0].id.clone();
    world.gateway = obeying([&broken]);
    let told = |replaced| FailingReplica { tier: "gold".to_owned(), replica: broken.clone(), replaced };
    assert_eq!(world.tick().failing, [told(false)]);
    // The tier gives a start 2 s, which is too short to judge by.
    for second in 1..10 {
        let outcome = world.tick();
        assert!(outcome.failing.is_empty() && outcome.orders.is_empty(), "after {second} s: {outcome:?}");
    }
    let outcome = world.tick();
    assert_eq!(outcome.failing, [told(true)]);
    let order = &outcome.orders[0];
    assert_eq!((order.launch.len(), World::draining(&outcome)), (1, vec![broken.clone()]));
    assert_eq!(world.tick().orders[0].end, [broken]);
    assert_eq!(world.tick().decisions[0].supply.ready, 3);
}

#[test]
fn of_two_failing_replicas_the_second_is_replaced_only_when_the_first_has_gone() {
    let mut world = World::new();
    world.bound(Some(4), None);
    world.ticks(3);
    let broken: Vec<ReplicaId> = world.replicas["gold"].iter().take(2).map(|it| it.id.clone()).collect();
    world.gateway = obeying(&broken);
    world.ticks(10);
    let replaced = |outcome: &Outcome| outcome.failing.iter().filter(|it| it.replaced).count();
    // From 10 s on the first one drains and ends, and its successor starts; at 13 s all of that is seen to be over.
    assert_eq!([(); 4].map(|()| replaced(&world.tick())), [1, 0, 0, 1]);
}

#[test]
fn a_failing_replica_stays_where_all_fail_or_nothing_can_be_seen_or_the_journal_cannot_be_written() {
    let grown = || {
        let mut world = World::new();
        world.bound(Some(2), None);
        world.ticks(3);
        let ids: Vec<ReplicaId> = world.replicas["gold"].iter().map(|it| it.id.clone()).collect();
        world.gateway = obeying([&ids[0]]);
        (world, ids)
    };
    let (mut world, ids) = grown();
    world.gateway = obeying(&ids);
    let mut worlds = vec![world, grown().0, grown().0];
    worlds[1].offered = None;
    worlds[2].may_shrink = false;
    for world in &mut worlds {
        world.ticks(120);
        assert_eq!(world.replicas["gold"].len(), 2);
    }
    worlds[2].may_shrink = true;
    assert!(worlds[2].tick().failing[0].replaced, "and goes once that is over");
}

#[test]
fn a_fault_behind_all_replicas_replaces_none_also_when_a_new_one_becomes_ready() {
    let mut world = World::new();
    world.bound(Some(2), None);
    world.ticks(3);
    // 0 s: what both of them load their model from is gone.
    let ids: Vec<ReplicaId> = world.replicas["gold"].iter().map(|it| it.id.clone()).collect();
    (world.gateway, world.quiet) = (obeying(&ids), true);
    world.ticks(60);
    // 60 s: a third comes, of which the gateway knows no fault yet.
    world.bound(Some(3), None);
    world.ticks(60);
    assert_eq!(world.replicas["gold"].iter().filter(|it| ids.contains(&it.id)).count(), 2);
    // 120 s: it does serve, so the fault is theirs: they go, one after the other.
    world.quiet = false;
    world.ticks(60);
    assert_eq!(world.replicas["gold"].len(), 3);
    assert!(!world.replicas["gold"].iter().any(|it| ids.contains(&it.id)));
}

#[test]
fn a_failing_replica_stays_while_its_tier_is_blind_also_where_another_guard_hides_that() {
    let mut world = World::new();
    // Nobody tells the utilization.
    world.policy(
        "capacity: {window: 2s, hold: 5s}}, {target_tracking: {signal: gpu_utilization, target: 75%, window: 2s}",
    );
    world.offered = Some(10_000);
    world.ticks(5);
    let broken = world.replicas["gold"][0].id.clone();
    world.gateway = obeying([&broken]);
    for _ in 0..60 {
        let outcome = world.tick();
        assert_eq!(outcome.decisions[0].supply.ready, 9);
        assert!(matches!(outcome.decisions[0].reason, Reason::HeldInCooldown | Reason::HeldAtMaximum));
        assert_eq!(outcome.failing.iter().filter(|it| it.replaced).count(), 0);
    }
}

/// A gateway that obeys every table and finds these replicas failing.
fn obeying<'a>(failing: impl IntoIterator<Item = &'a ReplicaId>) -> GatewayView {
    let applied = Some(RouteVersion { epoch: 7, number: u64::MAX });
    GatewayView {
        applied,
        failing: failing.into_iter().map(|id| (id.clone(), Failures { in_a_row: 8, probes: 1 })).collect(),
        ..GatewayView::default()
    }
}

/// `ticks` ticks of a world that grows, on disk if they could be written.
async fn written(journal: &Journal, world: &mut World, ticks: usize) -> bool {
    for tick in 0..ticks {
        let state = (tick == 0).then(|| world.controller.autoscaler().clone());
        let Outcome { inputs, decisions, orders, .. } = world.tick();
        journal.record(TickRecord { epoch: 7, inputs, decisions, orders, state });
    }
    journal.settled(Duration::from_secs(30)).await
}

#[tokio::test]
async fn decisions_are_read_back_newest_first_by_tier_and_changes_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
    let mut world = World::new();
    world.offered = Some(20);
    assert!(written(&journal, &mut world, 20).await);
    let reader = JournalReader::new(&path);
    let all = reader.decisions(None, 100, false).unwrap();
    assert!(all.iter().any(|it| it.decision.tier == "silver") && all.is_sorted_by(|one, next| one.id > next.id));
    let gold = reader.decisions(Some("gold"), 100, false).unwrap();
    assert_eq!(gold.iter().map(|it| it.ticks).sum::<u64>(), 20, "runs of equal decisions cover every tick");
    assert!(gold.iter().all(|it| it.decision.tier == "gold" && it.first_us <= it.last_us));
    let changes = reader.decisions(Some("gold"), 100, true).unwrap();
    assert!(!changes.is_empty() && changes.len() < gold.len());
    assert!(changes.iter().all(|it| it.decision.desired != it.decision.supply.current()));
    assert_eq!(reader.decisions(None, 1, false).unwrap(), all[..1]);

    rusqlite::Connection::open(&path).unwrap().execute("UPDATE decisions SET decision = '{'", []).unwrap();
    let error = reader.decisions(None, 1, false).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("is damaged at tick"), "{error}");
}

#[tokio::test]
async fn a_journal_of_another_version_is_refused_and_not_taken_for_a_damaged_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
    assert!(journal.settled(Duration::from_secs(30)).await);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let errors = [
        Journal::open(&path, Span::from_secs(1_000_000), 8).map(|_| ()).unwrap_err(),
        JournalReader::new(&path).orders().unwrap_err(),
    ];
    for error in errors {
        assert!(!error.is_damage() && error.to_string().contains("has schema 99"), "{error}");
    }
    std::fs::write(&path, "this is no journal, and long enough to be taken for the head of a database file").unwrap();
    std::fs::remove_file(path.with_extension("sqlite-wal")).ok();
    let error = Journal::open(&path, Span::from_secs(1_000_000), 8).map(|_| ()).unwrap_err();
    assert!(error.is_damage(), "{error}");
}

#[tokio::test]
async fn a_journal_whose_tables_are_not_its_own_any_more_is_not_writable_and_names_what_is_wrong() {
    for (change, named) in [
        ("DROP TABLE ticks", "ticks"),
        ("ALTER TABLE ticks RENAME COLUMN decisions_digest TO digest", "decisions_digest"),
        ("DROP TABLE decisions", "decisions"),
        ("DROP TABLE orders", "orders"),
        ("DROP TABLE hours", "hours"),
        ("CREATE TRIGGER full BEFORE INSERT ON hours BEGIN SELECT RAISE(FAIL, 'no room'); END", "no room"),
        ("DROP TABLE operator", "operator"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.sqlite");
        let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let mut world = World::new();
        let pause = OperatorOrder::Pause(world.now);
        assert!(!(journal.operator(pause, world.now).await && written(&journal, &mut world, 3).await), "{change}");
        let problem = journal.health().problem.unwrap();
        assert!(!journal.health().writable && problem.contains(named), "{change}: {problem}");
    }
}

#[tokio::test]
async fn an_outcome_or_a_question_for_which_there_is_no_table_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("DROP TABLE orders; DROP TABLE decisions").unwrap();
    journal.outcome(
        Order {
            tier: "gold".to_owned(),
            epoch: 7,
            desired: 1,
            launch: Vec::new(),
            end: Vec::new(),
            grace: Duration::ZERO,
        },
        "done".to_owned(),
    );
    journal.settled(Duration::from_secs(30)).await;
    assert!(journal.health().problem.unwrap().contains("orders"));
    let error = JournalReader::new(&path).decisions(None, 1, false).unwrap_err();
    assert!(error.to_string().contains("no such table: decisions"), "{error}");
}

#[tokio::test]
async fn a_journal_whose_disk_hangs_takes_no_more_than_its_queue_holds_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut world = World::new();
    let full = (0..2_000).any(|_| {
        let Outcome { inputs, decisions, orders, .. } = world.tick();
        journal.record(TickRecord { epoch: 7, inputs, decisions, orders, state: None });
        journal.health().problem.is_some_and(|problem| problem.contains("queue is full"))
    });
    assert!(full && !journal.health().writable && journal.health().ticks_lost > 0);
}

#[tokio::test]
async fn ticks_before_the_first_saved_state_are_skipped_by_a_replay_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let (journal, _) = Journal::open(&path, Span::from_secs(1_000_000), 7).unwrap();
    assert!(written(&journal, &mut World::new(), 10).await);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("UPDATE ticks SET state = NULL", []).unwrap();
    let found = replay(&path).unwrap();
    assert_eq!((found.ticks, found.skipped, found.gaps), (0, 10, 0));
    // The deltas after a tick that is gone lead nowhere.
    connection.execute("DELETE FROM ticks WHERE id = 4", []).unwrap();
    let found = replay(&path).unwrap();
    assert_eq!((found.ticks, found.skipped, found.gaps), (0, 9, 1));
}
