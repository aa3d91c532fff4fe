//! Clients that do something wrong, by mistake or on purpose: what they are told, and that nobody else notices.

use crate::replica::{Behavior, FakeReplica};
use crate::stage::{Stage, Told, Whole, eventually, fleet};
use bytes::Bytes;
use evenkeel_core::observe::ReplicaId;
use evenkeel_gateway::Options;
use evenkeel_wire::routes::Route;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1 << 20;

async fn ask(stage: &Stage, method: Method, path: &str, body: &'static str) -> Whole {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    stage.send(request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()).await
}

#[tokio::test]
async fn a_path_that_takes_only_post_says_so_and_so_does_one_that_is_only_read() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    for (method, path, allowed) in [
        (Method::GET, "/v1/chat/completions", "POST"),
        (Method::DELETE, "/t/gold/v1/completions", "POST"),
        (Method::PUT, "/v1/embeddings", "POST"),
        (Method::POST, "/v1/models", "GET, HEAD"),
        (Method::DELETE, "/v1/async/7", "GET, HEAD"),
        (Method::POST, "/metrics", "GET, HEAD"),
    ] {
        let answer = ask(&stage, method.clone(), path, "{}").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(answer.json()["error"]["code"], "method_not_allowed");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    assert!(replica.asked().is_empty());
    assert_eq!(stage.tier("gold").await.offered, 0);
}

#[tokio::test]
async fn where_there_is_nothing_is_404_unless_a_named_tiers_engine_may_know_it() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    for (method, path) in [
        (Method::GET, "/v1/nothing"),
        (Method::GET, "/"),
        (Method::POST, "/nothing"),
        (Method::GET, "/t/gold/sleep"),
        (Method::GET, "/t/platinum/v1/models"),
    ] {
        let answer = ask(&stage, method.clone(), path, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert!(answer.json()["error"]["message"].is_string(), "{method} {path}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    assert!(replica.asked().is_empty());
    assert_eq!(ask(&stage, Method::GET, "/t/gold/v1/files", "").await.status, StatusCode::OK);
    assert_eq!(replica.asked()[0].path, "/v1/files");
}

#[tokio::test]
async fn a_body_that_is_no_object_is_told_in_the_clients_words() {
    let stage = Stage::open().await;
    for (body, told) in [("[1]", "it is a list"), ("", "it is empty"), ("\"gold\"", "it is a text")] {
        let answer = ask(&stage, Method::POST, "/v1/completions", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], "bad_json");
        let message = error["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("the request body must be a JSON object") && message.ends_with(told), "{message}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431_and_a_malformed_one_400_and_both_say_why() {
    let stage = Stage::open().await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(128 * 1024));
    for headers in [many, long] {
        let told = stage.raw(format!("GET /healthz HTTP/1.1\r\nhost: g\r\n{headers}\r\n")).await;
        assert_eq!((told.status(), told.code().as_str()), ("431", "head_too_large"));
    }
    for malformed in ["GET /healthz HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/9\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n"] {
        let told = stage.raw(malformed).await;
        assert_eq!((told.status(), told.code().as_str()), ("400", "bad_head"), "{malformed}");
    }
    // Behind an answer on the same connection as well.
    let told = stage.raw("GET /healthz HTTP/1.1\r\nhost: g\r\n\r\nnonsense\r\n\r\n").await;
    assert!(told.0.starts_with("HTTP/1.1 200 OK") && told.0.contains("HTTP/1.1 400 Bad Request"), "{told:?}");
}

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_is_refused_and_nothing_behind_it_is_read() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    let body = r#"{"model":"gold"}"#;
    let hidden = format!("POST /v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    for ambiguous in [
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", hidden.len() + 5),
        format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", hidden.len() + 5),
        format!("content-length: {0}\r\ncontent-length: {0}\r\n", body.len()),
        format!("content-length: {}\r\ncontent-length: 3\r\n", body.len()),
        format!("content-length: +{}\r\n", body.len()),
        "transfer-encoding: gzip, chunked\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
    ] {
        let head = format!("POST /v1/completions HTTP/1.1\r\nhost: g\r\n{ambiguous}\r\n");
        let told = stage.raw(format!("{head}0\r\n\r\n{hidden}")).await;
        assert_eq!((told.status(), told.code().as_str()), ("400", "bad_head"), "{ambiguous}");
        assert_eq!(told.0.matches("HTTP/1.1 ").count(), 1, "what is hidden behind it has no answer: {told:?}");
    }
    let twice = ask(&stage, Method::POST, "/v1/completions", r#"{"model":"gold","model":"silver"}"#).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    assert!(replica.asked().is_empty());
}

fn chunked_request(body: &str) -> String {
    let head = "POST /v1/completions HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunks: String =
        body.as_bytes().chunks(4_096).map(|c| format!("{:x}\r\n{}\r\n", c.len(), String::from_utf8_lossy(c))).collect();
    format!("{head}{chunks}0\r\n\r\n")
}

fn request_with_length(body: &str) -> String {
    let length = body.len();
    format!("POST /v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// A request body of so many bytes for gold.
fn body_of(bytes: usize) -> String {
    let (start, end) = (r#"{"model":"gold","prompt":""#, r#""}"#);
    format!("{start}{}{end}", "x".repeat(bytes - start.len() - end.len()))
}

#[tokio::test]
async fn a_body_of_8_mib_is_taken_and_one_byte_more_is_413_with_and_without_a_length() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let mut fleet = fleet();
    fleet.gateway.max_body_bytes = 8 * MIB as u64;
    let mut stage = Stage::open_with(&fleet, Options::default()).await;
    stage.route("gold", vec![replica.route()]).await;
    for request in [request_with_length, chunked_request] {
        let told = stage.raw(request(&body_of(8 * MIB + 1))).await;
        assert_eq!((told.status(), told.code().as_str()), ("413", "request_too_large"));
        assert!(replica.asked().is_empty());
        let told = stage.raw(request(&body_of(8 * MIB))).await;
        assert_eq!(told.status(), "200");
        assert_eq!(replica.asked().len(), 1);
        replica.forget();
    }
    // The length alone is enough: nothing of the body has to come.
    let told = stage.raw("POST /v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 8388609\r\n\r\n").await;
    assert_eq!(told.status(), "413");
}

/// Sends `start`, then a byte every now and then until the gateway says something or closes; what it said.
async fn trickle(stage: &Stage, start: &str, byte: u8) -> Told {
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    writing.write_all(start.as_bytes()).await.unwrap();
    let trickling = tokio::spawn(async move {
        while writing.write_all(&[byte]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let told = Told::read(&mut reading).await;
    trickling.abort();
    told
}

/// Serves others beside `slow`; what `slow` was told.
async fn beside(stage: &Stage, slow: impl Future<Output = Told>) -> Told {
    let others = async {
        for _ in 0..5 {
            assert_eq!(stage.chat().await.status, StatusCode::OK);
        }
    };
    tokio::join!(slow, others).0
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_has_a_deadline_and_one_that_never_ends_too() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let options = Options { head_limit: Duration::from_millis(400), ..Options::default() };
    let mut stage = Stage::open_with(&fleet(), options).await;
    stage.route("gold", vec![replica.route()]).await;
    let endless = trickle(&stage, "GET /healthz HTTP/1.1\r\nx-slow: ", b'x');
    assert_eq!(beside(&stage, endless).await.0, "", "a byte now and then buys no time");
    let silent = async {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        stream.write_all(b"POST /v1/completions HTTP/1.1\r\nhost: g").await.unwrap();
        Told::read(&mut stream).await
    };
    assert_eq!(beside(&stage, silent).await.0, "");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_in_time_is_answered() {
    let stage = Stage::open().await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /healthz HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(Told::read(&mut stream).await.status(), "200");
}

#[tokio::test]
async fn a_body_that_stops_or_trickles_is_408_and_no_replica_hears_of_it() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let start = "POST /t/gold/v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 9000\r\n\r\n{";
    let patient = Duration::from_secs(60);
    for (pause, whole) in [(Duration::from_millis(300), patient), (patient, Duration::from_millis(300))] {
        let options = Options { body_pause_limit: pause, body_limit: whole, ..Options::default() };
        let mut stage = Stage::open_with(&fleet(), options).await;
        stage.route("gold", vec![replica.route()]).await;
        let slow = async {
            if whole < patient {
                return trickle(&stage, start, b' ').await;
            }
            let mut stream = TcpStream::connect(stage.address).await.unwrap();
            stream.write_all(start.as_bytes()).await.unwrap();
            Told::read(&mut stream).await
        };
        let told = beside(&stage, slow).await;
        assert_eq!((told.status(), told.code().as_str()), ("408", "request_too_slow"));
        assert!(replica.asked().iter().all(|asked| asked.path == "/v1/chat/completions"));
    }
}

/// A chat request for gold with a body of so many bytes.
fn large_chat(bytes: usize) -> Request<Full<Bytes>> {
    Request::post("/v1/completions").header("content-type", "application/json").body(body_of(bytes).into()).unwrap()
}

/// A gateway that holds 64 KiB of bodies, with a replica of two places for gold.
async fn narrow_stage(replica: &FakeReplica) -> Stage {
    let mut stage = Stage::open_with(&fleet(), Options { body_room: 64 * 1024, ..Options::default() }).await;
    stage.route("gold", vec![replica.route()]).await;
    stage
}

async fn body_bytes(stage: &Stage) -> u64 {
    let metrics = stage.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let line = metrics.lines().find(|line| line.starts_with("evenkeel_gateway_request_body_bytes ")).unwrap();
    line.split(' ').next_back().unwrap().parse().unwrap()
}

#[tokio::test]
async fn bodies_are_held_up_to_a_bound_and_what_finds_no_room_is_503_until_one_leaves() {
    let replica = FakeReplica::start("one", Behavior::Gated).await;
    let stage = narrow_stage(&replica).await;
    let held = [stage.begin_apart(large_chat(30_000)), stage.begin_apart(large_chat(30_000))];
    eventually("both bodies are inside", || replica.asked().len() == 2).await;
    assert_eq!(body_bytes(&stage).await, 60_000);

    let refused = stage.send(large_chat(30_000)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("1")));
    assert_eq!(refused.json()["error"]["code"], "gateway_full");
    let small = stage.begin_apart(large_chat(1_000));
    stage.until_tier("gold", |gold| gold.queued == 1).await;

    replica.let_go(3);
    for answer in held.into_iter().chain([small]) {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(body_bytes(&stage).await, 0);
    replica.let_go(1);
    assert_eq!(stage.send(large_chat(30_000)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_room_back_and_one_that_only_announces_takes_none() {
    let replica = FakeReplica::start("one", Behavior::Gated).await;
    let stage = narrow_stage(&replica).await;
    let leaving = stage.begin_apart(large_chat(60_000));
    eventually("its body is inside", || replica.asked().len() == 1).await;
    leaving.abort();
    stage.until_tier("gold", |gold| gold.in_flight == 0).await;

    let mut announcing = TcpStream::connect(stage.address).await.unwrap();
    let start = b"POST /t/gold/v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 60000\r\n\r\n{";
    announcing.write_all(start).await.unwrap();
    replica.behave(Behavior::Answer);
    assert_eq!(stage.send(large_chat(60_000)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_for_later_gives_its_room_back_once_it_is_on_disk() {
    let replica = FakeReplica::start("one", Behavior::Gated).await;
    let stage = narrow_stage(&replica).await;
    for _ in 0..3 {
        let mut request = large_chat(40_000);
        request.headers_mut().insert("x-evenkeel-tier", "bronze".parse().unwrap());
        assert_eq!(stage.send(request).await.status, StatusCode::ACCEPTED);
    }
    assert_eq!(body_bytes(&stage).await, 0);
}

#[tokio::test]
async fn a_client_that_sends_everything_before_it_reads_still_gets_its_refusal() {
    let stage = Stage::open().await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    // Far more than sockets hold: it can only be sent if the gateway goes on reading.
    stream.write_all(request_with_length(&body_of(16 * MIB)).as_bytes()).await.expect("the gateway stopped reading");
    assert_eq!(Told::read(&mut stream).await.status(), "413");
}

#[tokio::test]
async fn a_head_behind_a_strange_body_is_looked_at_like_any_other() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    let body = r#"{"model":"gold"}"#;
    let first = "POST /v1/completions HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n";
    let hidden = format!("POST /v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let ambiguous = format!(
        "POST /v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        hidden.len() + 5
    );
    // Longer than the watcher of heads takes, and not too long for the parser behind it.
    let extension = "x".repeat(5_000);
    let trailer = format!("x: {}\r\n", "y".repeat(5_000));
    for chunks in [
        format!("{:x};{extension}\r\n{body}\r\n0\r\n\r\n", body.len()),
        format!("{:x}\r\n{body}\r\n0;{extension}\r\n\r\n", body.len()),
        format!("{:x}\r\n{body}\r\n0\r\n{trailer}\r\n", body.len()),
    ] {
        let told = stage.raw(format!("{first}{chunks}{ambiguous}{hidden}")).await;
        assert!(told.0.matches("HTTP/1.1 ").count() <= 1, "what is behind it has no answer: {told:?}");
        assert!(replica.asked().len() <= 1, "and no replica heard of it");
        replica.forget();
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up_and_frees_the_replica() {
    let replica = FakeReplica::start("one", Behavior::Flood).await;
    let options = Options { answer_pause_limit: Duration::from_millis(500), ..Options::default() };
    let mut stage = Stage::open_with(&fleet(), options).await;
    stage.route("gold", vec![replica.route()]).await;
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let body = r#"{"model":"gold"}"#;
    let request = format!("POST /v1/completions HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    // It stays connected and reads nothing.
    eventually("the replica is rid of it", || replica.abandoned() == 1).await;
    let gold = stage.until_tier("gold", |gold| gold.in_flight == 0).await;
    assert_eq!((gold.cancelled, gold.failed), (1, 0), "the client's fault is not ours");
    drop(stream);
}

#[tokio::test]
async fn a_client_that_takes_its_answer_slowly_gets_all_of_it() {
    let replica = FakeReplica::start("one", Behavior::Flood).await;
    let limit = Duration::from_secs(4);
    let options = Options { answer_pause_limit: limit, ..Options::default() };
    let mut stage = Stage::open_with(&fleet(), options).await;
    stage.route("gold", vec![replica.route()]).await;
    let mut answer = stage.begin(crate::stage::chat("gold")).await;
    // Sockets are full most of the time, but never for as long as the limit.
    let began = std::time::Instant::now();
    while began.elapsed() < limit * 3 / 2 {
        answer.next().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(replica.abandoned(), 0);
}

#[tokio::test]
async fn clients_are_bounded_and_one_that_leaves_makes_room() {
    let options = Options { most_clients: Some(4), ..Options::default() };
    let stage = Stage::open_with(&fleet(), options).await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(TcpStream::connect(stage.address).await.unwrap());
    }
    let mut late = TcpStream::connect(stage.address).await.unwrap();
    late.write_all(b"GET /healthz HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(500), late.read(&mut byte)).await;
    assert!(early.is_err(), "it was served beyond the bound");
    idle.pop();
    assert_eq!(Told::read(&mut late).await.status(), "200");
}

#[tokio::test]
async fn a_compressed_body_is_refused_before_it_is_unpacked() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    for coding in ["gzip", "br", "deflate, gzip"] {
        let request = Request::post("/v1/completions").header("content-encoding", coding);
        let answer = stage.send(request.body(Full::from(r#"{"model":"gold"}"#)).unwrap()).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{coding}");
        assert_eq!(answer.json()["error"]["code"], "request_compressed");
    }
    assert!(replica.asked().is_empty());
}

#[tokio::test]
async fn no_name_ends_a_header_a_label_or_a_body() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let mut stage = Stage::with_gold(&[&replica]).await;
    let name = "a\"}\r\n\r\nHTTP/1.1 200 OK\r\nx-injected: 1";
    // A name that a client gives comes back in a message only.
    let body = serde_json::json!({ "model": name }).to_string();
    let answer = stage.send(Request::post("/v1/completions").body(Full::from(body)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains(name));
    assert!(answer.header("x-injected").is_none());
    let told = stage.raw("GET /healthz HTTP/1.1\r\nhost: g\r\nx-evenkeel-tier: a\rb\r\n\r\n").await;
    assert_eq!(told.status(), "400");
    // A name that the engine goes by is written as JSON.
    let route = Route { served_model: name.to_owned(), ..replica.route() };
    stage.route("gold", vec![route.clone()]).await;
    assert_eq!(stage.chat().await.status, StatusCode::OK);
    let sent: serde_json::Value = serde_json::from_slice(&replica.asked()[0].body).unwrap();
    assert_eq!(sent["model"], name);
    // A replica's own name would become a header: such a route is left out.
    stage.route("gold", vec![Route { id: ReplicaId(name.to_owned()), ..route }]).await;
    stage.until_tier("gold", |gold| gold.replicas.is_empty()).await;
    let metrics = stage.get("/metrics").await;
    assert!(!String::from_utf8_lossy(&metrics.body).contains("injected"));
}
