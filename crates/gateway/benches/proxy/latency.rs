//! What the gateway adds to a direct connection: to a small request at 5,000 a second, and to the first byte of a stream
//! while 500 streams are open.

use crate::servers::Servers;
use crate::{median, tell};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const PAIRS: usize = 5;
const CONNECTIONS: usize = 64;
const RATE: usize = 5_000;
const HELD: Duration = Duration::from_secs(3);
const OPEN_STREAMS: usize = 500;
const PROBES: usize = 400;

pub(crate) fn measure(servers: &Servers) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut added, mut added_to_first) = (Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let through = held_rate_p99(servers.gateway).await;
            let direct = held_rate_p99(servers.upstream).await;
            println!("# p99 at {RATE}/s: gateway {through:.3} ms, direct {direct:.3} ms");
            added.push(through - direct);
        }
        for _ in 0..PAIRS {
            let through = first_byte_p99(servers.gateway).await;
            let direct = first_byte_p99(servers.upstream).await;
            println!("# first byte p99, {OPEN_STREAMS} streams: gateway {through:.3} ms, direct {direct:.3} ms");
            added_to_first.push(through - direct);
        }
        let (added, added_to_first) = (median(added), median(added_to_first));
        tell("gateway_added_p99_at_5000_rps", added, "ms", "<= 1", added <= 1.0);
        tell("gateway_added_first_byte_p99", added_to_first, "ms", "<= 1", added_to_first <= 1.0);
    });
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(path: &str) -> Request<Full<Bytes>> {
    let body = r#"{"model":"gold","prompt":"hello wide world"}"#;
    Request::post(path).header("host", "gateway").header("content-type", "application/json").body(body.into()).unwrap()
}

/// Sends at a fixed rate whatever the answers do, and measures each from its sending: the timer's own lateness would hit
/// both sides alike and drown the difference.
async fn held_rate_p99(address: SocketAddr) -> f64 {
    let (give_back, mut free) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..CONNECTIONS {
        give_back.send(connect(address).await).unwrap();
    }
    let (mut asked, mut tick, began) = (JoinSet::new(), interval(Duration::from_millis(1)), Instant::now());
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while began.elapsed() < HELD {
        tick.tick().await;
        for _ in 0..RATE / 1_000 {
            let Ok(mut sender) = free.try_recv() else { break };
            let give_back = give_back.clone();
            asked.spawn(async move {
                let sent = Instant::now();
                let answer = sender.send_request(request("/v1/chat/completions")).await.unwrap();
                answer.into_body().collect().await.unwrap();
                let took = sent.elapsed();
                sender.ready().await.unwrap();
                let _ = give_back.send(sender);
                took
            });
        }
    }
    p99(asked.join_all().await)
}

async fn first_byte_p99(address: SocketAddr) -> f64 {
    let mut open = JoinSet::new();
    for _ in 0..OPEN_STREAMS {
        let mut sender = connect(address).await;
        let mut body = sender.send_request(request("/v1/completions")).await.unwrap().into_body();
        open.spawn(async move { while body.frame().await.is_some() {} });
    }
    let mut first = Vec::new();
    for _ in 0..PROBES {
        let mut sender = connect(address).await;
        let sent = Instant::now();
        let mut body = sender.send_request(request("/v1/completions")).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        first.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    p99(first)
}

/// In milliseconds.
fn p99(mut values: Vec<Duration>) -> f64 {
    values.sort_unstable();
    values[values.len() * 99 / 100].as_secs_f64() * 1e3
}
