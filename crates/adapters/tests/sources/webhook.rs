//! Events over a real socket: delivered once, tried again where that makes sense, given up with the reason.

use crate::double::{Answer, Double};
use axum::http::StatusCode;
use evenkeel_adapters::webhook::{DeliveryError, Retry, Webhook};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const RETRY: Retry = Retry { tries: 3, first_pause: Duration::from_millis(20), timeout: Duration::from_secs(20) };

fn event() -> Value {
    json!({"specversion": "1.0", "id": "1-7", "type": "dev.evenkeel.tier.scaled", "source": "/evenkeel/game/1", "data": {"to": 3}})
}

fn webhook(double: &Double, retry: Retry) -> Webhook {
    Webhook::new(&format!("{}/hook?key=secret", double.url), Some("token-secret"), retry).unwrap()
}

#[tokio::test]
async fn an_event_arrives_whole_with_its_type_and_token() {
    let double = Double::answering(Answer::status(StatusCode::NO_CONTENT, "")).await;
    webhook(&double, RETRY).post(&event()).await.unwrap();
    let asked = double.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!(asked[0].headers["authorization"], "Bearer token-secret");
    assert_eq!(serde_json::from_slice::<Value>(&asked[0].body).unwrap(), event());
}

#[tokio::test]
async fn a_receiver_that_stumbles_gets_the_same_event_again() {
    let double = Double::answering(Answer::ok("")).await;
    double.answer_once(Answer::status(StatusCode::BAD_GATEWAY, ""));
    double.answer_once(Answer::status(StatusCode::TOO_MANY_REQUESTS, ""));
    let began = Instant::now();
    webhook(&double, RETRY).post(&event()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(20 + 40), "pauses double");
    let asked = double.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|again| again.body == asked[0].body));
}

#[tokio::test]
async fn a_receiver_that_names_a_pause_is_given_it() {
    let double = Double::answering(Answer::ok("")).await;
    let busy = Answer::status(StatusCode::SERVICE_UNAVAILABLE, "");
    double.answer_once(Answer { headers: vec![("retry-after", "1".to_owned())], ..busy });
    let began = Instant::now();
    webhook(&double, RETRY).post(&event()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_refusal_is_not_argued_with() {
    let double = Double::answering(Answer::status(StatusCode::UNAUTHORIZED, "")).await;
    let error = webhook(&double, RETRY).post(&event()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { status: 401, .. }), "{error}");
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn after_the_last_try_it_gives_up_and_keeps_the_secrets() {
    let double = Double::answering(Answer::status(StatusCode::INTERNAL_SERVER_ERROR, "")).await;
    let hook = webhook(&double, RETRY);
    let error = hook.post(&event()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::GivenUp { tries: 3, .. }), "{error}");
    assert_eq!(double.asked().len(), 3);
    drop(double);
    let unreachable = hook.post(&event()).await.unwrap_err();
    assert!(matches!(unreachable, DeliveryError::GivenUp { tries: 3, .. }));
    for shown in [error.to_string(), unreachable.to_string(), format!("{hook:?}")] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn a_token_that_no_header_can_hold_is_refused_without_being_shown() {
    let error = Webhook::new("http://127.0.0.1:1/", Some("a\nsecret"), RETRY).unwrap_err();
    assert!(error.to_string().contains("token") && !error.to_string().contains("secret"));
}
