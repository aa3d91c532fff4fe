//! Who may ask, from where, and with which right.

use super::{LONG, Rig, TOKEN, answer, code, message, steady};
use reqwest::Method;
use reqwest::header::{HOST, ORIGIN};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn a_request_under_a_foreign_name_is_refused_and_under_an_allowed_one_served() {
    let rig = Rig::start().await;
    rig.publish(steady(super::START));
    let port = rig.port;
    let hosts = [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        (format!("fleet.internal:{port}"), 200),
        (format!("rebound.example:{port}"), 403),
        ("127.0.0.1:1".to_owned(), 403),
        ("localhost".to_owned(), 403),
    ];
    for (host, expected) in hosts {
        for path in ["/v1/state", "/metrics", "/healthz", "/v1/openapi.json"] {
            let response = rig.request(Method::GET, path).header(HOST, &host).send().await.unwrap();
            assert_eq!(response.status().as_u16(), expected, "{host} {path}");
        }
        let page = rig.request(Method::GET, "/").header(HOST, &host).send().await.unwrap();
        assert_eq!(page.status() == 403, expected == 403, "{host} /");
    }
}

#[tokio::test]
async fn a_request_with_no_host_or_two_or_a_foreign_absolute_address_is_refused() {
    let rig = Rig::start().await;
    rig.publish(steady(super::START));
    let ours = format!("Host: 127.0.0.1:{}\r\n", rig.port);
    let cases = [
        (format!("GET /v1/state HTTP/1.1\r\n{ours}"), "200"),
        ("GET /v1/state HTTP/1.1\r\n".to_owned(), "400"),
        (format!("GET /v1/state HTTP/1.1\r\n{ours}Host: rebound.example\r\n"), "400"),
        (format!("GET http://rebound.example/v1/state HTTP/1.1\r\n{ours}"), "403"),
    ];
    for (head, expected) in cases {
        let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).await.unwrap();
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        timeout(LONG, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        assert_eq!(text.split(' ').nth(1), Some(expected), "{head} -> {text}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_refused_even_with_the_token() {
    let rig = Rig::start().await;
    let own = rig.base.clone();
    for (origin, expected) in
        [(own.as_str(), 200), ("http://evil.example", 403), ("http://127.0.0.1:1", 403), ("null", 403)]
    {
        let pause = rig.request(Method::POST, "/v1/pause").bearer_auth(TOKEN).json(&json!({"for_seconds": 60}));
        let (status, body) = answer(pause.header(ORIGIN, origin).send().await.unwrap()).await;
        assert_eq!(status, expected, "{origin}: {body}");
    }
    assert_eq!(rig.ordered().len(), 1, "only the page's own order came through");
}

#[tokio::test]
async fn no_change_in_the_document_passes_without_the_token_and_none_reaches_the_loop() {
    let rig = Rig::start().await;
    let (_, document) = rig.get("/v1/openapi.json").await;
    let mut changes = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "get") {
            changes += 1;
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = path.replace("{tier}", "gold");
            let wrong =
                ["", "Bearer", "Bearer wrong-token-wrong-token", "Basic 0123456789abcdef0123456789abcdef", TOKEN];
            for authorization in wrong {
                let request =
                    rig.request(method.clone(), &path).json(&json!({"for_seconds": 60, "mode": "act", "players": 1}));
                let request =
                    if authorization.is_empty() { request } else { request.header("authorization", authorization) };
                let (status, body) = answer(request.send().await.unwrap()).await;
                assert_eq!((status, code(&body)), (401, "token_needed"), "{method} {path} {authorization}");
                assert!(!message(&body).contains(TOKEN));
            }
        }
    }
    assert_eq!(changes, 6, "pause, mode, override set and ended, drain, players");
    assert_eq!(rig.ordered(), []);
}

#[tokio::test]
async fn answers_stay_out_of_caches_and_foreign_pages() {
    let rig = Rig::start().await;
    rig.publish(steady(super::START));
    for path in ["/v1/state", "/v1/nothing", "/metrics", "/v1/state/stream"] {
        let response = rig.request(Method::GET, path).send().await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert!(header("content-security-policy").starts_with("default-src 'none'"));
        assert!(response.headers().get("access-control-allow-origin").is_none());
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said_in_the_same_form_as_every_refusal() {
    let rig = Rig::start().await;
    let (status, body) = rig.get("/v1/nothing").await;
    assert_eq!((status, code(&body)), (404, "no_such_route"));
    let (status, body) = rig.change(Method::POST, "/v1/state", Value::Null).await;
    assert_eq!((status, code(&body)), (405, "no_such_method"));
    let long = "x".repeat(20_000);
    let (status, body) = rig.change(Method::POST, "/v1/mode", json!({ "mode": long })).await;
    assert_eq!((status, code(&body)), (413, "body_refused"));
    assert_eq!(message(&body), "the body may have 16384 bytes, and has more");
}
