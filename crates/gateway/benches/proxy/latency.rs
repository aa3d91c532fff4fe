//! What the gateway adds to a direct connection: to a small request at 5,000 a second, and to the first byte of a stream
//! while 500 streams are open. What nginx adds is told beside it.

use crate::servers::Servers;
use crate::{median, tell};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const PAIRS: usize = 5;
const CONNECTIONS: usize = 64;
const RATE: usize = 5_000;
const HELD: Duration = Duration::from_secs(3);
const GRAIN: Duration = Duration::from_millis(1);
const OPEN_STREAMS: usize = 500;
const PROBES: usize = 400;

pub(crate) fn measure(servers: &Servers) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let what = format!("p99 at {RATE}/s");
        let added = compared(servers, &what, held_rate_p99).await;
        tell("gateway_added_p99_at_5000_rps", added, "ms", "<= 1", added <= 1.0);
        let what = format!("first byte p99, {OPEN_STREAMS} streams open");
        let added = compared(servers, &what, first_byte_p99).await;
        tell("gateway_added_first_byte_p99", added, "ms", "<= 1", added <= 1.0);
    });
}

/// Measures each way in turn, several times; the median of what the gateway adds.
async fn compared<F: Future<Output = f64>>(servers: &Servers, what: &str, p99: impl Fn(SocketAddr) -> F) -> f64 {
    let (mut ours, mut nginx) = (Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (through, other) = (p99(servers.gateway).await, p99(servers.nginx).await);
        let direct = p99(servers.upstream).await;
        println!("# {what}: gateway {through:.3} ms, nginx {other:.3} ms, direct {direct:.3} ms");
        ours.push(through - direct);
        nginx.push(other - direct);
    }
    println!("# {what}: nginx adds {:.3} ms", median(nginx));
    median(ours)
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

/// Sends at a fixed rate whatever the answers do. Each request is measured from when it was due, so that one that has to
/// wait for a connection, or for this thread, counts with its wait. The timer's own grain is not counted: it hits all ways
/// alike and would drown the difference.
async fn held_rate_p99(address: SocketAddr) -> f64 {
    let (places, idle) = (Arc::new(Semaphore::new(CONNECTIONS)), Arc::new(Mutex::new(Vec::new())));
    for _ in 0..CONNECTIONS {
        let connected = connect(address).await;
        idle.lock().unwrap().push(connected);
    }
    let (mut asked, mut tick, began) = (JoinSet::new(), interval(GRAIN), Instant::now());
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0..HELD.as_millis() as u32 {
        tick.tick().await;
        let due = Instant::now().min(began + GRAIN * (number + 1));
        for _ in 0..RATE / 1_000 {
            let (places, idle) = (Arc::clone(&places), Arc::clone(&idle));
            asked.spawn(async move {
                let _place = places.acquire().await.unwrap();
                let mut sender = idle.lock().unwrap().pop().unwrap();
                let answer = sender.send_request(request("/v1/chat/completions")).await.unwrap();
                answer.into_body().collect().await.unwrap();
                let took = due.elapsed();
                sender.ready().await.unwrap();
                idle.lock().unwrap().push(sender);
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
