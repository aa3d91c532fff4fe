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
async fn a_path_that_climbs_out_of_the_openai_endpoints_reaches_no_replica() {
    let (stage, gold, silver) = gold_and_silver().await;
    for path in ["/v1/../sleep", "/t/gold/v1/%2e%2E/sleep", "/v1/..%2fsleep", "/t/silver/v1/x/.%2e/.%2e/metrics"] {
        assert_eq!(stage.send(post(path, None, r#"{"model":"gold"}"#)).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert!(gold.asked().is_empty() && silver.asked().is_empty());
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
