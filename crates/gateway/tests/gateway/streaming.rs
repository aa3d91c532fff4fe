//! Answers that come piece by piece.

use crate::replica::{Behavior, FakeReplica, TOKEN};
use crate::stage::{Stage, chat, eventually};
use std::time::Duration;

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes_byte_for_byte() {
    let replica = FakeReplica::start("one", Behavior::Stream(5)).await;
    let stage = Stage::with_gold(&[&replica]).await;
    let answer = stage.chat().await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(text.starts_with(&TOKEN.repeat(5)) && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn the_first_piece_reaches_the_client_while_the_rest_is_yet_to_come() {
    let replica = FakeReplica::start("one", Behavior::BreakAfterFirstToken).await;
    let stage = Stage::with_gold(&[&replica]).await;
    // The replica pauses after its first token and never ends well, so a gateway that waited for more would show nothing.
    let mut answer = stage.begin(chat("gold")).await;
    assert_eq!(answer.next().await.unwrap().unwrap(), TOKEN);
}

#[tokio::test]
async fn a_client_that_leaves_is_known_to_the_replica() {
    for behavior in [Behavior::Silence, Behavior::HeadOnly, Behavior::Flood] {
        let replica = FakeReplica::start("one", behavior).await;
        let stage = Stage::with_gold(&[&replica]).await;
        let leaving = stage.begin_apart(chat("gold"));
        eventually("the replica is asked", || replica.asked().len() == 1).await;
        leaving.abort();
        eventually("the replica notices", || replica.abandoned() == 1).await;
        let gold = stage.until_tier("gold", |gold| gold.in_flight == 0).await;
        assert_eq!((gold.cancelled, gold.failed, gold.succeeded), (1, 0, 0), "{behavior:?}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_replica_back() {
    let replica = FakeReplica::start("one", Behavior::Flood).await;
    let stage = Stage::with_gold(&[&replica]).await;
    let mut answer = stage.begin(chat("gold")).await;
    answer.next().await.unwrap().unwrap();
    // Sockets on both sides take some megabytes; then the replica gets nothing off its hands any more.
    let mut before = 0;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = replica.pieces();
        if now == before {
            break;
        }
        before = now;
    }
    assert_eq!(replica.pieces(), before, "the flood never came to a halt");
    assert!(before < 1_024, "{before} pieces of 64 KiB were taken in");
    for _ in 0..2_000 {
        answer.next().await.unwrap().unwrap();
        if replica.pieces() > before {
            return;
        }
    }
    panic!("the flood did not go on when the client read again");
}

#[tokio::test]
async fn connections_are_used_again_after_a_stream_was_read_to_its_end() {
    let replica = FakeReplica::start("one", Behavior::Stream(3)).await;
    let stage = Stage::with_gold(&[&replica]).await;
    // Each of the gateway's threads keeps one of its own.
    let threads = std::thread::available_parallelism().unwrap().get();
    for _ in 0..3 * threads {
        stage.chat().await;
    }
    assert_eq!(replica.connections(), threads);
}
