//! A server that speaks OpenAI's protocol and fails on order, and fleets to load it with.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, unreachable_pub)]

use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{Behavior, Blind, FleetSpec, LatencyMetric, Lengths, Objective, RequestShape, Slo, TierSpec};
use evenkeel_core::units::{MicroUsd, Span};
use evenkeel_fleet::model::{
    AsynchronousSettings, BackendSettings, ControllerSettings, Criterion, EngineKind, EventSettings, Fleet,
    GatewaySettings, LocalSettings, Mode, TierSettings,
};
use evenkeel_load::progress::Silent;
use evenkeel_load::summary::TierSummary;
use evenkeel_load::{Options, Plan, Summary, Target, Traffic};
use evenkeel_workload::PlayersSeries;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Counts up over the server's life, from 0.
    pub number: usize,
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What it does about it.
pub enum Reply {
    /// Streams tokens.
    Tokens { first: Duration, gap: Duration, tokens: usize, ending: Ending },
    /// An answer as a whole.
    Json(u16, String),
    /// One server-sent event; the stream then stays open without another.
    Event(String),
    /// Closes the connection without a word.
    Close,
    /// Never answers.
    Silence,
}

/// How a stream ends.
pub enum Ending {
    Done,
    /// The same, and the connection closes unannounced right after.
    DoneAndClosed,
    /// The connection closes in the middle.
    CutOff,
    /// The response ends properly, but without its closing event.
    WithoutDone,
    ErrorEvent,
}

/// Five tokens at once.
pub fn quick() -> Reply {
    answered_after(Duration::ZERO)
}

pub fn answered_after(first: Duration) -> Reply {
    Reply::Tokens { first, gap: Duration::ZERO, tokens: 5, ending: Ending::Done }
}

pub struct Server {
    pub target: Target,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (asked, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (kept, counted, reply) = (Arc::clone(&asked), Arc::clone(&connections), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (kept, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                tokio::spawn(async move { serve_connection(stream, &kept, &*reply).await });
            }
        });
        Self { target, asked, connections }
    }
}

async fn serve_connection(stream: TcpStream, asked: &Mutex<Vec<Asked>>, reply: &(impl Fn(&Asked) -> Reply + Sync)) {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut stream).await {
        request.number = {
            let mut asked = asked.lock().unwrap();
            let number = asked.len();
            asked.push(Asked { number, ..request.clone() });
            number
        };
        if !answer(&mut stream, reply(&request)).await {
            return;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines[1..].iter().filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { number: 0, method, path, headers, body })
}

/// Returns whether the connection serves on.
async fn answer(stream: &mut BufReader<TcpStream>, reply: Reply) -> bool {
    match reply {
        Reply::Close => false,
        Reply::Silence => std::future::pending().await,
        Reply::Event(text) => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let event = format!("{head}{:x}\r\n{text}\r\n", text.len());
            stream.write_all(event.as_bytes()).await.unwrap();
            std::future::pending().await
        }
        Reply::Json(status, body) => {
            let head = format!(
                "HTTP/1.1 {status} Any\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.is_ok()
        }
        Reply::Tokens { first, gap, tokens, ending } => stream_tokens(stream, first, gap, tokens, ending).await.is_ok(),
    }
}

async fn stream_tokens(
    stream: &mut BufReader<TcpStream>,
    first: Duration,
    gap: Duration,
    tokens: usize,
    ending: Ending,
) -> std::io::Result<()> {
    tokio::time::sleep(first).await;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        .await?;
    for index in 0..tokens {
        if index > 0 && !gap.is_zero() {
            tokio::time::sleep(gap).await;
        }
        event(stream, r#"{"choices":[{"index":0,"delta":{"content":"word "}}]}"#).await?;
    }
    match &ending {
        Ending::Done | Ending::DoneAndClosed => {
            let usage = format!(r#"{{"choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":{tokens}}}}}"#);
            event(stream, &usage).await?;
            event(stream, "[DONE]").await?;
        }
        Ending::ErrorEvent => event(stream, r#"{"error":{"message":"out of memory"}}"#).await?,
        Ending::WithoutDone => {}
        Ending::CutOff => return Err(std::io::ErrorKind::BrokenPipe.into()),
    }
    stream.write_all(b"0\r\n\r\n").await?;
    if matches!(ending, Ending::DoneAndClosed) { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
}

async fn event(stream: &mut BufReader<TcpStream>, data: &str) -> std::io::Result<()> {
    let text = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

/// A tier that answers at once, or one that answers later.
pub fn tier(name: &str, asynchronous: bool) -> (TierSpec, TierSettings) {
    let length = |mean| Lengths { mean, sigma: 0.5 };
    let spec = TierSpec {
        name: name.to_owned(),
        minimum: 1,
        maximum: 8,
        priority: 1,
        price_per_hour: MicroUsd::from_micros(1_006_000),
        slo: Slo { objectives: vec![objective(LatencyMetric::E2e, 0.9, Span::from_secs(20))] },
        attainment: 0.99,
        // One request a second from each player.
        requests: RequestShape {
            prompt_tokens: length(30.0),
            output_tokens: length(10.0),
            per_player_per_minute: 60.0,
        },
        profile: profile(),
        start_up: Span::from_secs(60),
        policies: Vec::new(),
        behavior: Behavior::default(),
        blind: Blind::Hold,
    };
    let settings = TierSettings {
        model: format!("{name}-model"),
        served_model: "served".to_owned(),
        engine: EngineKind::Vllm,
        slack: 4,
        backend: BackendSettings::Local(LocalSettings {
            command: vec!["evenkeel".to_owned(), "replica".to_owned()],
            environment: Vec::new(),
            gpus: Vec::new(),
            ready_path: "/health".to_owned(),
            start_deadline: Span::from_secs(60),
            drain_deadline: Span::from_secs(60),
            grace: Span::from_secs(5),
        }),
        asynchronous: asynchronous.then_some(AsynchronousSettings {
            max_queued: 1_000,
            lease: Span::from_secs(60),
            max_attempts: 3,
            result_ttl: Span::from_secs(600),
            result_max_bytes: 1 << 20,
        }),
        players_share: 1.0,
        schedule: Vec::new(),
        profile_is_estimate: true,
    };
    (spec, settings)
}

fn profile() -> Profile {
    Profile {
        iteration_ms: 6.5,
        per_sequence_ms: 0.09,
        decode_steps: Vec::new(),
        per_cached_token_ms: 9e-5,
        per_prefill_token_ms: 0.08,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 112,
        max_sequences: 64,
        kv_tokens: 50_000,
        max_model_tokens: 4_096,
        prefix_hit_share: 0.0,
        overhead_ms: 1.0,
    }
}

pub fn objective(metric: LatencyMetric, quantile: f64, bound: Span) -> Objective {
    Objective { metric, quantile, bound }
}

pub fn latency(tier: &str, metric: LatencyMetric, quantile: f64, at_most: Span) -> Criterion {
    Criterion::Latency { tier: tier.to_owned(), metric, quantile, at_most }
}

pub fn fleet(tiers: Vec<(TierSpec, TierSettings)>, criteria: Vec<Criterion>) -> Fleet {
    let loopback = "127.0.0.1:0".parse().unwrap();
    let (specs, settings) = tiers.into_iter().unzip();
    Fleet {
        spec: FleetSpec { name: "game".to_owned(), tick: Span::from_secs(1), shared_maximum: None, tiers: specs },
        tiers: settings,
        controller: ControllerSettings {
            listen: loopback,
            mode: Mode::Act,
            freshness: Span::from_secs(15),
            retention: Span::from_secs(86_400),
            events: EventSettings::default(),
        },
        gateway: GatewaySettings {
            listen: loopback,
            max_body_bytes: 8 << 20,
            max_held: 1_000,
            hold: Span::from_secs(60),
            first_byte: Span::from_secs(60),
        },
        players: None,
        criteria,
        warnings: Vec::new(),
        settings: BTreeMap::new(),
    }
}

/// So many requests a second for so many milliseconds, one tier `gold`.
pub fn gold_plan(per_second: f64, millis: i64, criteria: Vec<Criterion>) -> Plan {
    plan(fleet(vec![tier("gold", false)], criteria), per_second, millis)
}

pub fn plan(fleet: Fleet, per_second: f64, millis: i64) -> Plan {
    let players = PlayersSeries::constant(per_second, Span::from_millis(millis));
    Plan::new(&fleet, Traffic::Players(players), Span::from_secs(1), 1).unwrap()
}

/// Short enough that a broken test ends.
pub fn options() -> Options {
    Options { timeout: Duration::from_secs(30), drain: Duration::from_secs(30), ..Options::default() }
}

pub async fn run(plan: Plan, server: &Server, options: Options) -> Summary {
    let never = std::future::pending;
    evenkeel_load::run(plan, server.target.clone(), options, None, &mut Silent, never).await
}

pub fn failures(tier: &TierSummary) -> BTreeMap<&str, u64> {
    tier.failures.iter().map(|failure| (failure.kind.as_str(), failure.requests)).collect()
}
