//! The emulated replica over real sockets. Upper bounds on time are deadlines for a noisy machine; what is exact is read
//! from the replica's own metrics, which are in the engine's time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use evenkeel_core::profile::Profile;
use evenkeel_local::emulated::{OPEN_OUTPUT, Options, ServeError, Server, serve};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(30);

/// An iteration is 5 ms, whatever is in it.
fn profile() -> Profile {
    Profile {
        iteration_ms: 5.0,
        per_sequence_ms: 0.0,
        decode_steps: Vec::new(),
        per_cached_token_ms: 0.0,
        per_prefill_token_ms: 0.0,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 512,
        max_sequences: 4,
        kv_tokens: 20_000,
        max_model_tokens: 10_000,
        prefix_hit_share: 0.0,
        overhead_ms: 0.0,
    }
}

fn options() -> Options {
    Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        model: "tiny".to_owned(),
        profile: profile(),
        start_up: Duration::ZERO,
        seed: 7,
        open_output: OPEN_OUTPUT,
        fault: None,
        drain: PATIENCE,
    }
}

/// A replica that runs until it is told to end.
struct Running {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Running {
    async fn with(options: Options) -> Self {
        let server = Server::bind(options).await.unwrap();
        let (end, told) = oneshot::channel();
        let address = server.address();
        let ended = tokio::spawn(server.run(async move { told.await.unwrap_or_default() }));
        Self { address, end, ended, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> Response<Incoming> {
        let uri = format!("http://{}{path}", self.address);
        let body = if body.is_null() { Full::default() } else { Full::from(body.to_string()) };
        self.client.request(Request::builder().method(method).uri(uri).body(body).unwrap()).await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        text(self.send(Method::GET, path, &Value::Null).await).await
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let (status, text) = text(self.send(Method::POST, path, body).await).await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn stream(&self, body: &Value) -> Incoming {
        let response = self.send(Method::POST, "/v1/completions", body).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        response.into_body()
    }

    /// A series of the metrics page.
    async fn metric(&self, series: &str) -> f64 {
        let (_, page) = self.get("/metrics").await;
        let line =
            page.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series} in\n{page}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    async fn until(&self, series: &str, expected: f64) {
        let began = Instant::now();
        loop {
            let value = self.metric(series).await;
            if (value - expected).abs() < 1e-9 {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{series} is {value} and never became {expected}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn text(response: Response<Incoming>) -> (StatusCode, String) {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// The data of a stream's events.
fn events(stream: &str) -> Vec<&str> {
    stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
}

fn completion(max_tokens: u32, stream: bool) -> Value {
    json!({"model": "tiny", "prompt": "once upon a time", "max_tokens": max_tokens, "stream": stream})
}

const ABORTED: &str = "vllm:request_success_total{engine=\"0\",model_name=\"tiny\",finished_reason=\"abort\"}";

#[tokio::test]
async fn while_it_loads_everything_is_503_and_then_it_serves() {
    let replica = Running::with(Options { start_up: Duration::from_secs(2), ..options() }).await;
    let began = Instant::now();
    for path in ["/health", "/v1/models", "/metrics"] {
        assert_eq!(replica.get(path).await.0, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    while replica.get("/health").await.0 != StatusCode::OK {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(1_500));
    assert!(replica.get("/v1/models").await.1.contains("\"id\":\"tiny\""));
}

#[tokio::test]
async fn an_answer_is_exactly_as_long_as_max_tokens_and_tells_its_usage() {
    let replica = Running::with(options()).await;
    let (status, body) = replica.post("/v1/completions", &completion(12, false)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["usage"], json!({"prompt_tokens": 4, "completion_tokens": 12, "total_tokens": 16}));
    assert_eq!(body["choices"][0]["finish_reason"], "length");
    assert_eq!(body["choices"][0]["text"].as_str().unwrap().split_whitespace().count(), 12);
    let chat = json!({"model": "tiny", "messages": [{"role": "user", "content": "tell me"}], "max_tokens": 3});
    let (_, body) = replica.post("/v1/chat/completions", &chat).await;
    assert_eq!(body["choices"][0]["message"]["content"], " word word word");
}

#[tokio::test]
async fn a_stream_is_an_event_for_each_token_then_the_usage_then_done() {
    let replica = Running::with(options()).await;
    let mut request = completion(20, true);
    request["stream_options"] = json!({"include_usage": true});
    let began = Instant::now();
    let body = replica.stream(&request).await.collect().await.unwrap().to_bytes();
    // One iteration for the prompt, one for each further token.
    assert!(began.elapsed() >= Duration::from_millis(20 * 5));
    let text = String::from_utf8(body.to_vec()).unwrap();
    let events = events(&text);
    assert_eq!(events.len(), 20 + 1 + 1);
    assert_eq!(events[21], "[DONE]");
    let usage: Value = serde_json::from_str(events[20]).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], 20);
    for (index, event) in events[..20].iter().enumerate() {
        let reason = serde_json::from_str::<Value>(event).unwrap()["choices"][0]["finish_reason"].clone();
        assert_eq!(reason, if index == 19 { json!("length") } else { Value::Null });
    }
}

#[tokio::test]
async fn the_first_token_leaves_long_before_the_last_is_due() {
    let replica = Running::with(options()).await;
    let mut body = replica.stream(&completion(4_000, true)).await;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"data: {"));
    assert!(replica.metric("vllm:generation_tokens_total").await < 4_000.0);
    assert!((replica.metric("vllm:num_requests_running").await - 1.0).abs() < 1e-9);
    assert!(replica.metric("evenkeel_replica_busy_share").await > 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_frees_its_place() {
    let replica = Running::with(options()).await;
    let mut body = replica.stream(&completion(8_000, true)).await;
    body.frame().await.unwrap().unwrap();
    drop(body);
    replica.until(ABORTED, 1.0).await;
    replica.until("vllm:num_requests_running", 0.0).await;
    assert!(replica.metric("vllm:generation_tokens_total").await < 8_000.0);
}

#[tokio::test]
async fn a_client_that_stops_waiting_for_a_whole_answer_frees_its_place() {
    let replica = Running::with(options()).await;
    let request = completion(8_000, false);
    let asked = replica.post("/v1/completions", &request);
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    replica.until(ABORTED, 1.0).await;
    replica.until("vllm:num_requests_running", 0.0).await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_in_openai_form() {
    let replica = Running::with(options()).await;
    let long = json!({"prompt": "x".repeat(60_000), "max_tokens": 5});
    let (status, body) = replica.post("/v1/completions", &long).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["type"], "BadRequestError");
    assert_eq!(body["error"]["code"], 400);
    assert!(body["error"]["message"].as_str().unwrap().contains("15005 tokens"), "{body}");
    let (status, body) = replica.post("/v1/completions", &json!({"model": "other", "prompt": "a"})).await;
    assert_eq!((status, &body["error"]["type"]), (StatusCode::NOT_FOUND, &json!("NotFoundError")));
    assert_eq!(replica.post("/v1/embeddings", &json!({})).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_open_end_is_drawn_from_the_seed_alone() {
    let mut lengths = Vec::new();
    for seed in [7, 7, 8] {
        let fast = Profile { iteration_ms: 0.2, ..profile() };
        let replica = Running::with(Options { seed, profile: fast, ..options() }).await;
        let (_, body) = replica.post("/v1/completions", &json!({"prompt": "a"})).await;
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        lengths.push(body["usage"]["completion_tokens"].as_u64().unwrap());
    }
    assert_eq!(lengths[0], lengths[1]);
    assert_ne!(lengths[0], lengths[2]);
}

#[tokio::test]
async fn token_times_are_the_engines_and_a_slower_truth_shows_in_them() {
    let mut per_token = Vec::new();
    for factor in [1.0, 1.25] {
        let replica = Running::with(Options { profile: profile().slowed(factor), ..options() }).await;
        replica.stream(&completion(41, true)).await.collect().await.unwrap();
        per_token.push(replica.metric("vllm:request_decode_time_seconds_sum").await / 40.0);
        assert!(replica.metric("evenkeel_replica_lag_seconds_count").await > 0.0);
        assert!(replica.metric("evenkeel_replica_lag_max_seconds").await > 0.0);
    }
    assert!((per_token[0] - 0.005).abs() < 1e-6, "{per_token:?}");
    assert!((per_token[1] - 0.00625).abs() < 1e-6, "{per_token:?}");
}

#[tokio::test]
async fn told_to_end_it_takes_no_more_but_finishes_what_it_has() {
    let replica = Running::with(options()).await;
    let mut body = replica.stream(&completion(100, true)).await;
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    replica.end.send(()).unwrap();
    let rest = body.collect().await.unwrap().to_bytes();
    let all = [first, rest].concat();
    assert_eq!(events(&String::from_utf8(all).unwrap()).len(), 101);
    tokio::time::timeout(PATIENCE, replica.ended).await.unwrap().unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(replica.address).await.is_err());
}

#[tokio::test]
async fn at_the_drain_deadline_a_stream_is_broken_off_not_ended() {
    let replica = Running::with(Options { drain: Duration::from_millis(100), ..options() }).await;
    let mut body = replica.stream(&completion(8_000, true)).await;
    body.frame().await.unwrap().unwrap();
    replica.end.send(()).unwrap();
    assert!(body.collect().await.is_err(), "a client must not take the part for the whole");
    tokio::time::timeout(PATIENCE, replica.ended).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_port_in_use_and_a_senseless_profile_are_said_with_the_fix() {
    let replica = Running::with(options()).await;
    let taken = serve(Options { listen: replica.address, ..options() }, std::future::pending()).await;
    assert!(taken.unwrap_err().to_string().contains("choose another port"));
    let senseless = Options { profile: Profile { iteration_ms: 0.0, ..profile() }, ..options() };
    assert!(serve(senseless, std::future::pending()).await.unwrap_err().to_string().contains("iteration_ms"));
}
