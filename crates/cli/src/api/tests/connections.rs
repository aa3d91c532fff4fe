//! Clients that open connections and send little.

use super::{LONG, Limits, Rig, client};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const HALF_A_HEAD: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: local";

#[tokio::test]
async fn half_a_head_and_none_at_all_are_let_go_within_the_limit() {
    let rig = Rig::start_within(Limits { head: Duration::from_millis(300), ..Limits::default() }).await;
    for sent in [HALF_A_HEAD, b""] {
        let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await.expect("let go").unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(rig.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_until_others_are_gone() {
    // One of the three is the rig's own, which its client keeps.
    let rig = Rig::start_within(Limits { connections: 3, head: LONG }).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        stream.write_all(HALF_A_HEAD).await.unwrap();
        others.push(stream);
    }
    let request = client().get(format!("{}/healthz", rig.base));
    let waiting = tokio::spawn(request.send());
    sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "it waits for a place");
    drop(others);
    let answer = timeout(LONG, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    rig.stopped().await;
}
