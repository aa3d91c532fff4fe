//! Server-sent events: the present first, then what is newer, within bounds, and no obstacle to a shutdown.

use super::{LONG, Rig, START, blind, code, eventually, steady};
use crate::api::MOST_STREAMS;
use evenkeel_core::units::Span;
use evenkeel_wire::routes::{RouteTable, RouteVersion};
use reqwest::header::ACCEPT;
use reqwest::{Method, Response};
use serde_json::Value;
use std::sync::Arc;
use tokio::time::timeout;

/// An open stream and what came of it.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(rig: &Rig, path: &str) -> Self {
        let response = rig.request(Method::GET, path).header(ACCEPT, "text/event-stream").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event's name and data.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                    return (name.to_owned(), serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let chunk = timeout(LONG, self.response.chunk()).await.unwrap().unwrap().expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

fn table(number: u64) -> Arc<RouteTable> {
    let version = RouteVersion { epoch: 3, number };
    Arc::new(RouteTable { fleet: "game".to_owned(), version, tiers: Vec::new() })
}

#[tokio::test]
async fn routes_are_followed_from_the_present_table_on() {
    let rig = Rig::start().await;
    let mut early = Stream::open(&rig, "/v1/routes").await;
    rig.routes.send_replace(table(1));
    let (name, data) = early.next().await;
    assert_eq!(
        (name.as_str(), &data["version"]["number"]),
        ("routes", &Value::from(1)),
        "nothing came before a table was made"
    );

    let mut late = Stream::open(&rig, "/v1/routes").await;
    assert_eq!(late.next().await.1["version"]["number"], 1);
    rig.routes.send_replace(table(2));
    for stream in [&mut early, &mut late] {
        assert_eq!(stream.next().await.1["version"]["number"], 2);
    }
}

#[tokio::test]
async fn state_is_followed_tick_by_tick_by_several_at_once() {
    let rig = Rig::start().await;
    rig.publish(steady(START));
    let mut first = Stream::open(&rig, "/v1/state/stream").await;
    let mut second = Stream::open(&rig, "/v1/state/stream").await;
    for stream in [&mut first, &mut second] {
        let (name, data) = stream.next().await;
        assert_eq!((name.as_str(), &data["tiers"][0]["decision"]["reason"]), ("state", &Value::from("held_steady")));
    }
    rig.publish(blind(START + Span::from_secs(1)));
    for stream in [&mut first, &mut second] {
        assert_eq!(stream.next().await.1["tiers"][0]["decision"]["reason"], "held_blind");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_misses_views_and_gets_the_newest() {
    let rig = Rig::start().await;
    rig.publish(steady(START));
    let mut stream = Stream::open(&rig, "/v1/state/stream").await;
    stream.next().await;
    for second in 1..=500 {
        rig.publish(steady(START + Span::from_secs(second)));
    }
    let last = (START + Span::from_secs(500)).as_micros();
    let mut events = 0;
    loop {
        events += 1;
        if stream.next().await.1["at_us"].as_i64() == Some(last) {
            break;
        }
    }
    assert!(events < 500, "{events} events came: they were queued");
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room_and_gateways_have_their_own() {
    let rig = Rig::start().await;
    rig.publish(steady(START));
    rig.routes.send_replace(table(1));
    let mut open = Vec::new();
    for _ in 0..MOST_STREAMS {
        open.push(Stream::open(&rig, "/v1/state/stream").await);
    }
    let (status, body) = rig.get("/v1/state/stream").await;
    assert_eq!((status, code(&body)), (503, "too_many_streams"));
    assert_eq!(Stream::open(&rig, "/v1/routes").await.next().await.0, "routes");
    open.clear();
    // The server notices a closed connection when it writes to it.
    let deadline = tokio::time::Instant::now() + LONG;
    for second in 1.. {
        rig.publish(steady(START + Span::from_secs(second)));
        let response = rig.request(Method::GET, "/v1/state/stream").send().await.unwrap();
        if response.status() == 200 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "no room after all streams were closed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    eventually(&rig, "/readyz", |body| body["status"] == "ok").await;
}

#[tokio::test]
async fn a_shutdown_ends_open_streams_and_does_not_wait_for_them() {
    let rig = Rig::start().await;
    rig.publish(steady(START));
    rig.routes.send_replace(table(1));
    let mut state = Stream::open(&rig, "/v1/state/stream").await;
    let mut routes = Stream::open(&rig, "/v1/routes").await;
    state.next().await;
    routes.next().await;
    timeout(LONG, rig.stopped()).await.expect("the server ends while streams are open");
    for stream in [&mut state, &mut routes] {
        let rest = timeout(LONG, stream.response.chunk()).await.unwrap();
        assert!(matches!(rest, Ok(None)), "the stream ends in order: {rest:?}");
    }
}
