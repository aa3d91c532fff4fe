//! Requests that wait: for a tier to wake, for a place, and not for ever.

use crate::replica::{Behavior, FakeReplica};
use crate::stage::{Stage, chat, eventually, fleet};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_gateway::Options;
use evenkeel_wire::routes::{Route, RouteState};
use http::StatusCode;
use std::io::{Read, Write};

#[tokio::test]
async fn a_request_for_a_tier_at_zero_is_held_and_served_when_a_replica_comes() {
    let mut stage = Stage::open().await;
    let held = stage.begin_apart(chat("gold"));
    let gold = stage.until_tier("gold", |gold| gold.queued == 1).await;
    assert_eq!((gold.offered, gold.in_flight), (1, 0));
    stage.until_tier("gold", |gold| gold.oldest_queued_us > Span::ZERO).await;

    let replica = FakeReplica::start("woken", Behavior::Answer).await;
    stage.route("gold", vec![replica.route()]).await;
    let answer = held.await.unwrap();
    assert_eq!((answer.status, answer.header("x-evenkeel-replica")), (StatusCode::OK, Some("woken")));
    let waited: i64 = answer.header("x-evenkeel-queue-time-us").unwrap().parse().unwrap();
    let counted = stage.tier("gold").await.latency.into_iter().find(|h| h.metric == LatencyMetric::QueueTime).unwrap();
    assert!(waited > 0);
    assert_eq!(counted.sum_us, Span::from_micros(waited));
}

#[tokio::test]
async fn held_too_long_is_503_and_says_when_to_come_back() {
    let mut fleet = fleet();
    fleet.gateway.hold = Span::from_millis(200);
    let stage = Stage::open_with(&fleet, Options::default()).await;
    let answer = stage.chat().await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    // The tier's start-up of 2.5 s, rounded up.
    assert_eq!(answer.header("retry-after"), Some("3"));
    assert_eq!(answer.header("x-evenkeel-tier"), Some("gold"));
    assert_eq!(answer.json()["error"]["code"], "no_replica");
    let gold = stage.tier("gold").await;
    assert_eq!((gold.offered, gold.failed, gold.queued), (1, 1, 0));
}

#[tokio::test]
async fn a_full_queue_is_503_at_once_and_still_counts_as_offered() {
    let mut stage = Stage::open().await;
    let held: Vec<_> = (0..4).map(|_| stage.begin_apart(chat("gold"))).collect();
    stage.until_tier("gold", |gold| gold.queued == 4).await;
    let refused = stage.chat().await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.json()["error"]["code"], "queue_full");
    assert!(refused.header("retry-after").is_some());
    let gold = stage.tier("gold").await;
    // "hello wide world" is 16 bytes: 4 tokens.
    assert_eq!((gold.offered, gold.offered_prompt_tokens, gold.failed, gold.queued), (5, 20, 1, 4));

    let replica = FakeReplica::start("one", Behavior::Answer).await;
    stage.route("gold", vec![replica.route()]).await;
    for answer in held {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_replica_never_has_more_than_its_places_and_a_new_one_helps_what_waits() {
    let first = FakeReplica::start("first", Behavior::Gated).await;
    let mut stage = Stage::with_gold(&[&first]).await;
    let answers: Vec<_> = (0..5).map(|_| stage.begin_apart(chat("gold"))).collect();
    let gold = stage.until_tier("gold", |gold| gold.offered == 5 && gold.in_flight == 2).await;
    assert_eq!((gold.queued, gold.replicas[0].in_flight), (3, 2));

    let second = FakeReplica::start("second", Behavior::Gated).await;
    stage.route("gold", vec![first.route(), second.route()]).await;
    eventually("the new replica is full at once", || second.asked().len() == 2).await;
    assert_eq!(first.asked().len(), 2);
    first.let_go(5);
    second.let_go(5);
    for answer in answers {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_draining_replica_gets_nothing_new_and_finishes_what_it_has() {
    let (old, new) =
        (FakeReplica::start("old", Behavior::Gated).await, FakeReplica::start("new", Behavior::Gated).await);
    let mut stage = Stage::with_gold(&[&old]).await;
    let last = stage.begin_apart(chat("gold"));
    eventually("the old replica has it", || old.asked().len() == 1).await;

    // Both have two places: one more than the new replica has must wait, although the old one has a place.
    stage.route("gold", vec![old.draining(), new.route()]).await;
    let others: Vec<_> = (0..3).map(|_| stage.begin_apart(chat("gold"))).collect();
    let gold = stage.until_tier("gold", |gold| gold.queued == 1 && gold.in_flight == 3).await;
    assert!(gold.replicas.iter().any(|load| load.id.0 == "old" && load.in_flight == 1), "{gold:?}");

    old.let_go(1);
    assert_eq!(last.await.unwrap().header("x-evenkeel-replica"), Some("old"));
    stage.until_tier("gold", |gold| gold.replicas.iter().any(|r| r.id.0 == "old" && r.in_flight == 0)).await;
    new.let_go(3);
    for answer in others {
        assert_eq!(answer.await.unwrap().header("x-evenkeel-replica"), Some("new"));
    }
    assert_eq!(old.asked().len(), 1);
}

#[tokio::test]
async fn a_replica_that_vanishes_from_the_table_finishes_what_it_has() {
    let replica = FakeReplica::start("vanishing", Behavior::Gated).await;
    let mut stage = Stage::with_gold(&[&replica]).await;
    let last = stage.begin_apart(chat("gold"));
    eventually("the replica has it", || replica.asked().len() == 1).await;
    stage.route("gold", Vec::new()).await;
    let gold = stage.tier("gold").await;
    assert_eq!((gold.in_flight, gold.replicas.len()), (1, 1));
    replica.let_go(1);
    assert_eq!(last.await.unwrap().status, StatusCode::OK);
    stage.until_tier("gold", |gold| gold.in_flight == 0 && gold.replicas.is_empty()).await;
}

/// What the report says that gold's replicas hold.
async fn loads(stage: &Stage) -> Vec<(String, u32)> {
    stage.tier("gold").await.replicas.into_iter().map(|load| (load.id.0, load.in_flight)).collect()
}

#[tokio::test]
async fn every_replica_of_the_table_is_in_the_report_idle_draining_and_never_seen_serving_ones_too() {
    let names = ["idle", "draining", "unseen"];
    let [idle, draining, unseen] = names.map(|name| FakeReplica::start(name, Behavior::Answer));
    let (idle, draining, unseen) = (idle.await, draining.await, unseen.await);
    let mut stage = Stage::with_gold(&[&idle, &draining]).await;
    stage.route("gold", vec![idle.route(), draining.draining(), unseen.draining()]).await;
    assert_eq!(loads(&stage).await, [("draining".into(), 0), ("idle".into(), 0), ("unseen".into(), 0)]);
}

#[tokio::test]
async fn a_replica_that_is_back_in_the_table_to_drain_stays_in_the_report_after_its_last_request() {
    let replica = FakeReplica::start("returning", Behavior::Gated).await;
    let mut stage = Stage::with_gold(&[&replica]).await;
    let last = stage.begin_apart(chat("gold"));
    eventually("the replica has it", || replica.asked().len() == 1).await;
    stage.route("gold", Vec::new()).await;
    stage.route("gold", vec![replica.draining()]).await;
    assert_eq!(loads(&stage).await, [("returning".into(), 1)]);
    let waiting = stage.begin_apart(chat("gold"));
    stage.until_tier("gold", |gold| gold.queued == 1).await;
    assert_eq!(replica.asked().len(), 1, "it drains: nothing new for it");

    replica.let_go(1);
    assert_eq!(last.await.unwrap().status, StatusCode::OK);
    stage.until_tier("gold", |gold| gold.in_flight == 0).await;
    assert_eq!(loads(&stage).await, [("returning".into(), 0)]);
    waiting.abort();
}

#[tokio::test]
async fn a_replica_whose_route_changed_under_its_requests_is_one_in_the_report_and_empty_only_after_them() {
    let replica = FakeReplica::start("renamed", Behavior::Gated).await;
    let mut stage = Stage::with_gold(&[&replica]).await;
    let first = stage.begin_apart(chat("gold"));
    eventually("the replica has it", || replica.asked().len() == 1).await;
    // It sorts behind the old one, so that a reader who keeps the last entry of a name would find it empty.
    let renamed = Route { served_model: "z-served-model".into(), ..replica.route() };
    stage.route("gold", vec![Route { state: RouteState::Draining, ..renamed }]).await;
    assert_eq!(loads(&stage).await, [("renamed".into(), 1)]);
    replica.let_go(1);
    assert_eq!(first.await.unwrap().status, StatusCode::OK);
    stage.until_tier("gold", |gold| gold.in_flight == 0).await;
    assert_eq!(loads(&stage).await, [("renamed".into(), 0)]);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_frees_its_place() {
    let stage = Stage::open().await;
    let leaving = stage.begin_apart(chat("gold"));
    stage.until_tier("gold", |gold| gold.queued == 1).await;
    leaving.abort();
    let gold = stage.until_tier("gold", |gold| gold.queued == 0).await;
    assert_eq!((gold.cancelled, gold.failed), (1, 0));
}

#[tokio::test]
async fn while_answers_under_way_end_the_next_gateway_serves() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options { state_directory: Some(directory.path().to_owned()), ..Options::default() };
    let replica = FakeReplica::start("one", Behavior::Gated).await;
    let mut stage = Stage::open_with(&fleet(), options()).await;
    stage.route("gold", vec![replica.route()]).await;
    let last = stage.begin_apart(chat("gold"));
    eventually("the replica has it", || replica.asked().len() == 1).await;
    let ended = tokio::spawn(stage.shut_down());
    // It waits for the state no longer than that takes to be handed over.
    let next = Stage::open_with(&fleet(), options()).await;
    assert!(!ended.is_finished() && !last.is_finished());
    replica.behave(Behavior::Answer);
    assert_eq!(next.chat().await.status, StatusCode::OK, "by the routes that were kept");
    let uncounted = next.report().await.tiers.into_iter().map(|tier| (tier.tier, tier.earlier_answers));
    let expected = [("gold", true), ("silver", true), ("bronze", false)];
    assert!(uncounted.eq(expected.map(|(tier, it)| (tier.to_owned(), it))), "bronze's went back to its queue");
    replica.let_go(1);
    assert_eq!(last.await.unwrap().status, StatusCode::OK);
    ended.await.unwrap();
    assert!(next.report().await.tiers.iter().all(|tier| !tier.earlier_answers));
}

#[tokio::test]
async fn on_shutdown_requests_in_flight_end_well() {
    let replica = FakeReplica::start("one", Behavior::Gated).await;
    let stage = Stage::with_gold(&[&replica]).await;
    let last = stage.begin_apart(chat("gold"));
    eventually("the replica has it", || replica.asked().len() == 1).await;
    let address = stage.address;
    let ended = tokio::spawn(stage.shut_down());
    eventually("the gateway takes no new connection", || std::net::TcpStream::connect(address).is_err()).await;
    replica.let_go(1);
    assert_eq!(last.await.unwrap().status, StatusCode::OK);
    ended.await.unwrap();
}

#[tokio::test]
async fn a_crowd_that_has_connected_before_the_gateway_ends_is_answered() {
    let stage = Stage::open().await;
    // Nothing else runs on this thread meanwhile, so nobody has accepted them.
    let connect = |_| {
        let mut stream = std::net::TcpStream::connect(stage.address).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n").unwrap();
        stream
    };
    let crowd: Vec<_> = (0..400).map(connect).collect();
    let ended = tokio::spawn(stage.shut_down());
    let read = |mut stream: std::net::TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer.starts_with("HTTP/1.1 200 "))
    };
    let answers = tokio::task::spawn_blocking(move || crowd.into_iter().map(read).collect::<Vec<_>>()).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Ok(true))), "{answers:?}");
    ended.await.unwrap();
}
