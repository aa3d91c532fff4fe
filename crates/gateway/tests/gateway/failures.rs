//! Replicas that fail: what is tried elsewhere, and what never is.

use crate::replica::{Behavior, FakeReplica, raw_replica, scripted_replica};
use crate::stage::{Stage, chat, eventually, fleet, streamed};
use evenkeel_core::units::Span;
use evenkeel_gateway::Options;
use evenkeel_wire::routes::Route;
use http::StatusCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn an_error_before_the_first_byte_is_tried_elsewhere() {
    let bad = FakeReplica::start("bad", Behavior::Status(StatusCode::INTERNAL_SERVER_ERROR)).await;
    let good = FakeReplica::start("good", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&bad, &good]).await;
    for _ in 0..4 {
        let answer = stage.chat().await;
        assert_eq!((answer.status, answer.header("x-evenkeel-replica")), (StatusCode::OK, Some("good")));
    }
    assert!(!bad.asked().is_empty());
    let gold = stage.tier("gold").await;
    assert_eq!((gold.succeeded, gold.failed), (4, 0));
    assert!(gold.retried >= 1);
}

#[tokio::test]
async fn the_last_ones_own_answer_is_passed_on_when_every_try_failed() {
    let bad = FakeReplica::start("bad", Behavior::Status(StatusCode::INTERNAL_SERVER_ERROR)).await;
    let stage = Stage::with_gold(&[&bad]).await;
    let answer = stage.chat().await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.header("x-evenkeel-replica"), Some("bad"));
    assert_eq!(answer.body, crate::replica::DOCUMENT);
    assert_eq!(bad.asked().len(), 3);
    let gold = stage.tier("gold").await;
    assert_eq!((gold.succeeded, gold.failed, gold.in_flight), (0, 1, 0));
}

#[tokio::test]
async fn the_clients_own_mistake_is_passed_on_and_is_no_failure_of_ours() {
    let strict = FakeReplica::start("strict", Behavior::Status(StatusCode::BAD_REQUEST)).await;
    let stage = Stage::with_gold(&[&strict]).await;
    assert_eq!(stage.chat().await.status, StatusCode::BAD_REQUEST);
    assert_eq!(strict.asked().len(), 1);
    let gold = stage.tier("gold").await;
    assert_eq!((gold.offered, gold.succeeded, gold.failed), (1, 0, 0));
}

#[tokio::test]
async fn a_connection_that_broke_before_the_answer_costs_the_client_nothing() {
    let mut broken = FakeReplica::start("broken", Behavior::Break).await;
    let good = FakeReplica::start("good", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&broken, &good]).await;
    for _ in 0..2 {
        assert_eq!(stage.chat().await.header("x-evenkeel-replica"), Some("good"));
    }
    assert!(!broken.asked().is_empty());
    broken.kill().await;
    for _ in 0..4 {
        assert_eq!(stage.chat().await.header("x-evenkeel-replica"), Some("good"));
    }
    assert_eq!(stage.tier("gold").await.failed, 0);
}

#[tokio::test]
async fn replicas_killed_under_their_requests_give_them_back_to_the_queue() {
    let mut dying = FakeReplica::start("dying", Behavior::Gated).await;
    let mut stage = Stage::with_gold(&[&dying]).await;
    let held: Vec<_> = (0..2).map(|_| stage.begin_apart(chat("gold"))).collect();
    stage.until_tier("gold", |gold| gold.in_flight == 2).await;
    dying.kill().await;
    let fresh = FakeReplica::start("fresh", Behavior::Answer).await;
    stage.route("gold", vec![fresh.route()]).await;
    for answer in held {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status, answer.header("x-evenkeel-replica")), (StatusCode::OK, Some("fresh")));
    }
    assert_eq!(stage.tier("gold").await.failed, 0);
}

#[tokio::test]
async fn after_the_first_byte_nothing_is_tried_again() {
    let breaking = FakeReplica::start("breaking", Behavior::BreakAfterFirstToken).await;
    let stage = Stage::with_gold(&[&breaking]).await;
    let other = FakeReplica::start("other", Behavior::Stream(3)).await;
    let mut stage = stage;
    let mut answer = stage.begin(chat("gold")).await;
    assert_eq!(answer.next().await.unwrap().unwrap(), crate::replica::TOKEN);
    stage.route("gold", vec![breaking.route(), other.route()]).await;
    let rest = answer.next().await;
    assert!(matches!(rest, Some(Err(_))), "a broken answer must not look whole: {rest:?}");
    assert!(other.asked().is_empty());
    assert_eq!(breaking.asked().len(), 1);
    let gold = stage.until_tier("gold", |gold| gold.in_flight == 0).await;
    assert_eq!((gold.succeeded, gold.failed, gold.cancelled), (0, 1, 0));
}

#[tokio::test]
async fn the_head_is_held_until_the_first_piece_so_a_replica_that_stalls_after_it_is_given_up() {
    let stalled = FakeReplica::start("stalled", Behavior::HeadOnly).await;
    let good = FakeReplica::start("good", Behavior::Answer).await;
    let options = Options { whole_answer_limit: Duration::from_millis(300), ..Options::default() };
    let mut stage = Stage::open_with(&fleet(), options).await;
    stage.route("gold", vec![stalled.route()]).await;
    let waiting = stage.begin_apart(chat("gold"));
    eventually("the stalled replica is asked", || !stalled.asked().is_empty()).await;
    stage.route("gold", vec![stalled.route(), good.route()]).await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.header("x-evenkeel-replica"), Some("good"));
    eventually("the stalled replica is told", || stalled.abandoned() >= 1).await;
}

#[tokio::test]
async fn a_replica_that_fails_fast_does_not_draw_the_tiers_requests() {
    let hole = FakeReplica::start("hole", Behavior::Status(StatusCode::INTERNAL_SERVER_ERROR)).await;
    let good = FakeReplica::start("good", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&hole, &good]).await;
    let mut failed = 0;
    for _ in 0..60 {
        failed += u32::from(stage.chat().await.status != StatusCode::OK);
    }
    assert_eq!(failed, 0);
    assert!(hole.asked().len() <= 15, "asked {} times", hole.asked().len());
    let metrics = stage.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("evenkeel_gateway_replicas_ejected{tier=\"gold\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_replica_that_says_nothing_holds_up_what_is_inside_it_once_and_no_request_fails() {
    let silent = FakeReplica::start("silent", Behavior::Silence).await;
    let good = FakeReplica::start("good", Behavior::Answer).await;
    // The good one is never so slow, and all may wait for it.
    let mut fleet = fleet();
    fleet.gateway.first_byte = Span::from_secs(2);
    fleet.gateway.max_held = 100;
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    let roomy = Route { max_outstanding: 20, ..silent.route() };
    stage.route("gold", vec![roomy, good.route()]).await;
    let waiting: Vec<_> = (0..60).map(|_| stage.begin_apart(streamed())).collect();
    for answer in waiting {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
    assert!(silent.asked().len() >= 20, "more came back from it at once than the budget of retries allows");
    let gold = stage.tier("gold").await;
    assert_eq!(gold.failed, 0);
    let out: Vec<&str> = gold.replicas.iter().filter(|it| it.failed_in_a_row > 0).map(|it| it.id.0.as_str()).collect();
    assert_eq!(out, ["silent"], "and the report says that it is out of rotation");
}

#[tokio::test]
async fn a_pooled_connection_that_the_replica_closed_meanwhile_is_replaced_unseen() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    // Each of the gateway's threads keeps a connection of its own, and clients take turns on them.
    let threads = std::thread::available_parallelism().unwrap().get();
    for _ in 0..3 * threads {
        assert_eq!(stage.chat().await.status, StatusCode::OK);
    }
    assert_eq!(replica.connections(), threads, "they are used again");
    replica.behave(Behavior::BreakOnce);
    assert_eq!(stage.chat().await.status, StatusCode::OK);
    assert_eq!(replica.connections(), threads + 1);
    let gold = stage.tier("gold").await;
    assert_eq!((gold.failed, gold.retried), (0, 0), "the queue need not know");
}

#[tokio::test]
async fn what_broke_after_a_part_of_an_answer_is_another_try_and_never_sent_again_unseen() {
    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    for answers in [&[GOOD, "nonsense\r\n\r\n", GOOD], &[GOOD, "HTTP/1.1 200 OK\r\nx-cut: ", GOOD]] {
        let (route, asked) = scripted_replica("odd", answers).await;
        let mut stage = Stage::open().await;
        stage.route("gold", vec![route]).await;
        assert_eq!(stage.chat().await.status, StatusCode::OK);
        assert_eq!(stage.chat().await.status, StatusCode::OK, "{answers:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
        assert_eq!(stage.tier("gold").await.retried, 1, "the queue knows of it: {answers:?}");
    }
}

#[tokio::test]
async fn a_request_that_every_replica_answers_with_nonsense_is_sent_as_often_as_it_has_tries() {
    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    let (route, asked) = scripted_replica("odd", &[GOOD, "nonsense\r\n\r\n"]).await;
    let mut stage = Stage::open().await;
    stage.route("gold", vec![route]).await;
    // Leaves a connection that waits for its next request.
    assert_eq!(stage.chat().await.status, StatusCode::OK);
    assert_eq!(stage.chat().await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(asked.load(Ordering::SeqCst), 1 + 3);
}

#[tokio::test]
async fn a_request_behind_a_full_batch_is_waited_for_as_long_as_the_replica_is_heard_of() {
    // Three seconds of tokens, three times as long as it may be silent.
    let busy = FakeReplica::start("busy", Behavior::Trickle(30)).await;
    let mut fleet = fleet();
    fleet.gateway.first_byte = Span::from_secs(1);
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("gold", vec![busy.route()]).await;
    let streaming = stage.begin_apart(streamed());
    eventually("it streams", || busy.asked().len() == 1).await;
    busy.behave(Behavior::Gated);
    let behind = stage.begin_apart(streamed());
    assert_eq!(streaming.await.unwrap().status, StatusCode::OK);
    busy.let_go(1);
    assert_eq!(behind.await.unwrap().status, StatusCode::OK);
    assert_eq!((busy.asked().len(), busy.abandoned()), (2, 0), "it was never given up");

    // From its last token on it is silent.
    let last = stage.send(streamed()).await;
    assert_eq!(last.status, StatusCode::GATEWAY_TIMEOUT);
    let gold = stage.tier("gold").await;
    assert_eq!((gold.succeeded, gold.failed), (2, 1));
}

#[tokio::test]
async fn a_request_that_is_lost_among_others_is_waited_for_no_longer_than_an_answer_may_take() {
    let busy = FakeReplica::start("busy", Behavior::Trickle(100)).await;
    let mut fleet = fleet();
    fleet.gateway.first_byte = Span::from_secs(1);
    let options = Options { whole_answer_limit: Duration::from_secs(2), ..Options::default() };
    let mut stage = Stage::open_with(&fleet, options).await;
    stage.route("gold", vec![busy.route()]).await;
    let streaming = stage.begin_apart(streamed());
    eventually("it streams", || busy.asked().len() == 1).await;
    busy.behave(Behavior::Silence);
    let lost = stage.send(streamed()).await;
    assert_eq!(lost.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(String::from_utf8_lossy(&lost.body).contains("within 2s"), "{lost:?}");
    streaming.abort();
}

#[tokio::test]
async fn a_replica_that_only_refuses_is_not_heard_of() {
    let half_dead = FakeReplica::start("half-dead", Behavior::Silence).await;
    let mut fleet = fleet();
    fleet.gateway.first_byte = Span::from_secs(1);
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    let roomy = Route { max_outstanding: 20, ..half_dead.route() };
    stage.route("gold", vec![roomy]).await;
    let hangs = stage.begin_apart(streamed());
    eventually("it has it", || half_dead.asked().len() == 1).await;
    half_dead.behave(Behavior::Status(StatusCode::BAD_REQUEST));
    while half_dead.abandoned() == 0 {
        assert_eq!(stage.chat().await.status, StatusCode::BAD_REQUEST);
        assert!(half_dead.asked().len() < 60, "the one that hangs is never given up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(hangs.await.unwrap().status, StatusCode::BAD_REQUEST, "by its second try");
}

#[tokio::test]
async fn a_stream_that_no_replica_begins_is_504_long_before_an_answer_in_one_piece_would_be() {
    let silent = FakeReplica::start("silent", Behavior::Silence).await;
    let mut fleet = fleet();
    fleet.gateway.first_byte = Span::from_millis(100);
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("gold", vec![silent.route()]).await;
    let answer = stage.send(streamed()).await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(silent.asked().len(), 3);
    eventually("the replica is told each time", || silent.abandoned() == 3).await;
    let gold = stage.tier("gold").await;
    assert_eq!((gold.failed, gold.retried), (1, 2));
}

#[tokio::test]
async fn an_answer_that_could_be_read_in_two_ways_is_never_passed_on() {
    let mut stage = Stage::open().await;
    let ambiguous = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    stage.route("gold", vec![raw_replica("odd", ambiguous).await]).await;
    let answer = stage.chat().await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.json()["error"]["code"], "replica_unreachable");
    assert_eq!(stage.tier("gold").await.failed, 1);
}

#[tokio::test]
async fn old_ways_of_ending_an_answer_are_understood() {
    let mut stage = Stage::open().await;
    for answer in [
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    ] {
        stage.route("gold", vec![raw_replica("old", answer).await]).await;
        let whole = stage.chat().await;
        assert_eq!((whole.status, whole.body.as_ref()), (StatusCode::OK, b"hello".as_slice()), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_shorter_than_it_said_is_tried_elsewhere_when_nothing_of_it_came_and_broken_off_else() {
    let mut stage = Stage::open().await;
    let good = FakeReplica::start("good", Behavior::Answer).await;
    let nothing = raw_replica("nothing", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await;
    stage.route("gold", vec![nothing, good.route()]).await;
    for _ in 0..4 {
        assert_eq!(stage.chat().await.header("x-evenkeel-replica"), Some("good"));
    }
    let part = raw_replica("part", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npart").await;
    stage.route("gold", vec![part]).await;
    let mut answer = stage.begin(chat("gold")).await;
    assert_eq!(answer.next().await.unwrap().unwrap(), "part");
    assert!(matches!(answer.next().await, Some(Err(_))));
}

#[tokio::test]
async fn a_probes_first_byte_lets_those_go_that_wait_behind_it_while_its_own_stream_goes_on() {
    let mut only = FakeReplica::start("only", Behavior::GatedAfterFirstToken).await;
    only.kill().await;
    let stage = Stage::with_gold(&[&only]).await;
    let held: Vec<_> = (0..4).map(|_| stage.begin_apart(chat("gold"))).collect();
    stage.until_tier("gold", |gold| gold.queued == 4).await;
    only.revive().await;
    // The replica has two places: the probe takes one, and its first byte gives the other to the next in line.
    eventually("the next in line is sent", || only.asked().len() == 2).await;
    let gold = stage.until_tier("gold", |gold| gold.in_flight == 2).await;
    assert_eq!((gold.queued, gold.succeeded), (2, 0));
    only.let_go(4);
    for answer in held {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
    let gold = stage.tier("gold").await;
    assert_eq!((gold.succeeded, gold.failed, gold.in_flight, gold.queued), (4, 0, 0, 0));
}

#[tokio::test]
async fn an_endless_or_huge_head_is_given_up_and_another_replica_answers() {
    let good = FakeReplica::start("good", Behavior::Answer).await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for head in [
        format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(128 * 1024)),
        format!("HTTP/1.1 200 OK\r\nx-endless: {}", "x".repeat(512 * 1024)),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", "f".repeat(64 * 1024)),
    ] {
        let mut stage = Stage::open().await;
        let bad = raw_replica("bad", Box::leak(head.into_boxed_str())).await;
        stage.route("gold", vec![bad, good.route()]).await;
        for _ in 0..3 {
            assert_eq!(stage.chat().await.header("x-evenkeel-replica"), Some("good"));
        }
        assert_eq!(stage.tier("gold").await.failed, 0);
    }
}
