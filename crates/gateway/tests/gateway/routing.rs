//! Which tier a request is for, and how it reaches the replica.

use crate::replica::{Behavior, FakeReplica};
use crate::stage::{Stage, chat};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;

fn post(path: &str, tier_header: Option<&str>, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(tier) = tier_header {
        request = request.header("X-Evenkeel-Tier", tier);
    }
    request.body(Full::new(body.into())).unwrap()
}

async fn gold_and_silver() -> (Stage, FakeReplica, FakeReplica) {
    let (gold, silver) =
        (FakeReplica::start("g1", Behavior::Answer).await, FakeReplica::start("s1", Behavior::Answer).await);
    let mut stage = Stage::open().await;
    stage.route("gold", vec![gold.route()]).await;
    stage.route("silver", vec![silver.route()]).await;
    (stage, gold, silver)
}

#[tokio::test]
async fn a_request_finds_its_tier_by_header_then_path_then_model() {
    let (stage, _gold, _silver) = gold_and_silver().await;
    for (request, tier) in [
        (post("/v1/completions", Some("silver"), r#"{"model":"gold"}"#), "silver"),
        (post("/t/gold/v1/completions", Some("silver"), r#"{"model":"x"}"#), "silver"),
        (post("/t/silver/v1/completions", None, r#"{"model":"gold"}"#), "silver"),
        (post("/v1/completions", None, r#"{"model":"silver"}"#), "silver"),
        (post("/v1/completions", None, r#"{"model":"qwen"}"#), "gold"),
    ] {
        let answer = stage.send(request).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("x-evenkeel-tier"), Some(tier));
        assert!(answer.header("x-evenkeel-replica").is_some());
    }
}

#[tokio::test]
async fn the_replica_sees_its_own_path_and_model_and_the_clients_headers_but_no_hop_by_hop_ones() {
    let (stage, gold, _silver) = gold_and_silver().await;
    let mut request = post("/t/gold/v1/completions?a=b", None, r#"{"n": 1.50,"model":"qwen"}"#);
    request.headers_mut().insert("authorization", "Bearer of-the-client".parse().unwrap());
    request.headers_mut().insert("connection", "keep-alive, x-private".parse().unwrap());
    request.headers_mut().insert("x-private", "1".parse().unwrap());
    request.headers_mut().insert("x-request-id", "17".parse().unwrap());
    stage.send(request).await;

    let asked = &gold.asked()[0];
    assert_eq!(asked.path, "/v1/completions?a=b");
    assert_eq!(asked.body, r#"{"n": 1.50,"model":"served-model"}"#);
    assert_eq!(asked.headers["authorization"], "Bearer of-the-client");
    assert_eq!(asked.headers["x-request-id"], "17");
    assert_eq!(asked.headers["host"], gold.address.to_string());
    assert_eq!(asked.headers["content-length"], asked.body.len().to_string());
    assert!(!asked.headers.contains_key("x-private"));
}

#[tokio::test]
async fn an_unknown_model_is_404_and_lists_what_exists() {
    let (stage, _gold, _silver) = gold_and_silver().await;
    for request in [chat("platinum"), post("/v1/completions", Some("platinum"), "{}"), post("/t/x/v1/y", None, "{}")] {
        let answer = stage.send(request).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "model_not_found");
        assert_eq!(error["type"], "invalid_request_error");
        assert!(error["message"].as_str().unwrap().contains("`bronze` (model `large`)"));
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_or_not_it_announces_its_size() {
    let (stage, gold, _silver) = gold_and_silver().await;
    let large = format!(r#"{{"model":"gold","prompt":"{}"}}"#, "x".repeat(64 * 1024));
    let answer = stage.send(post("/v1/completions", None, large.clone())).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);

    let chunked = raw(&stage, &chunked_request(&large)).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
    assert!(gold.asked().is_empty());
    let fits = format!(r#"{{"model":"gold","prompt":"{}"}}"#, "x".repeat(60 * 1024));
    assert_eq!(stage.send(post("/v1/completions", None, fits)).await.status, StatusCode::OK);
}

fn chunked_request(body: &str) -> String {
    let head =
        "POST /v1/completions HTTP/1.1\r\nhost: gateway\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    let chunks: String =
        body.as_bytes().chunks(4_096).map(|c| format!("{:x}\r\n{}\r\n", c.len(), String::from_utf8_lossy(c))).collect();
    format!("{head}{chunks}0\r\n\r\n")
}

/// Sends bytes as they are and reads until the gateway closes.
async fn raw(stage: &Stage, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    // The gateway may answer and close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(crate::stage::PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the gateway did not close");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_is_refused() {
    let (stage, gold, _silver) = gold_and_silver().await;
    let body = r#"{"model":"gold"}"#;
    for ambiguous in [
        format!("content-length: {}\r\ncontent-length: 3\r\n", body.len()),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        format!("content-length: +{}\r\n", body.len()),
    ] {
        let request = format!("POST /v1/completions HTTP/1.1\r\nhost: g\r\n{ambiguous}connection: close\r\n\r\n{body}");
        let answer = raw(&stage, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{ambiguous}: {answer}");
    }
    let twice = stage.send(post("/v1/completions", None, r#"{"model":"gold","model":"silver"}"#)).await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
    assert!(gold.asked().is_empty());
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_431() {
    let (stage, _gold, _silver) = gold_and_silver().await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "x".repeat(128 * 1024));
    for headers in [many, long] {
        let answer = raw(&stage, &format!("GET /healthz HTTP/1.1\r\nhost: g\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn models_list_every_tier_also_at_zero() {
    let stage = Stage::open().await;
    let models = stage.get("/v1/models").await.json();
    assert_eq!(models["object"], "list");
    let listed: Vec<_> = models["data"].as_array().unwrap().iter().map(|m| (&m["id"], &m["tier"])).collect();
    assert_eq!(serde_json::to_string(&listed).unwrap(), r#"[["qwen","gold"],["qwen","silver"],["large","bronze"]]"#);
    let one = stage.get("/t/silver/v1/models").await.json();
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn health_is_the_process_and_readiness_the_route_table() {
    let mut stage = Stage::open_behind(
        crate::stage::Controller::start().await,
        &crate::stage::fleet(),
        evenkeel_gateway::Options::default(),
    )
    .await;
    assert_eq!(stage.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(stage.get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    stage.controller.stop().await;
    let mut routed = Stage::open().await;
    routed.route("gold", Vec::new()).await;
    assert_eq!(routed.get("/readyz").await.status, StatusCode::OK);
}
