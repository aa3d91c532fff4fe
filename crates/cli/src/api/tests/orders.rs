//! What an operator can change.

use super::{FLEET, Rig, TOKEN, answer, code, fleet, message};
use evenkeel_adapters::players::Players;
use evenkeel_controller::live::Taken;
use evenkeel_controller::operator::{Mode, OperatorOrder};
use evenkeel_controller::ports::Source as _;
use evenkeel_core::decision::Override;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::PlayersSource;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn orders_reach_the_loop_and_the_answer_tells_that_they_are_durable() {
    let rig = Rig::start().await;
    let now = rig.set_now(0);
    let until = now + Span::from_secs(3_600);
    let set = json!({"tier": "gold", "at_least": 5, "until_us": until.as_micros(), "because": "launch day"});
    let durable = (200, json!({"durable": true}));
    assert_eq!(rig.change(Method::POST, "/v1/pause", json!({"for_seconds": 600})).await, durable);
    assert_eq!(rig.change(Method::POST, "/v1/mode", json!({"mode": "observe"})).await, durable);
    assert_eq!(rig.change(Method::POST, "/v1/override", set).await, durable);
    assert_eq!(rig.change(Method::DELETE, "/v1/override/gold", Value::Null).await, durable);
    assert_eq!(rig.change(Method::POST, "/v1/pause", json!({"for_seconds": 0})).await, durable);
    let order = Override { at_least: Some(5), at_most: None, until, because: "launch day".to_owned() };
    let tier = || "gold".to_owned();
    let expected = [
        OperatorOrder::Pause(now + Span::from_secs(600)),
        OperatorOrder::Mode(Mode::Observe),
        OperatorOrder::Override { tier: tier(), order: Some(order) },
        OperatorOrder::Override { tier: tier(), order: None },
        OperatorOrder::Pause(now),
    ];
    assert_eq!(rig.ordered(), expected);
}

#[tokio::test]
async fn an_override_beyond_the_tiers_limits_is_taken_and_says_which_limit_holds() {
    let rig = Rig::start().await;
    let until = (rig.set_now(0) + Span::from_secs(3_600)).as_micros();
    for (bounds, note) in [(json!(999), "gold stays at its maximum of"), (json!(null), "gold stays at its minimum of")]
    {
        let mut body = json!({"tier": "gold", "until_us": until, "because": "a test"});
        if bounds.is_null() {
            body["at_most"] = json!(0)
        } else {
            body["at_least"] = bounds
        }
        let (status, body) = rig.change(Method::POST, "/v1/override", body).await;
        assert_eq!(status, 200, "{body}");
        assert!(body["note"].as_str().unwrap().starts_with(note), "{body}");
    }
}

#[tokio::test]
async fn an_order_that_is_not_on_disk_is_in_force_and_one_to_a_controller_that_lost_the_fleet_is_not() {
    let rig = Rig::start().await;
    let pause = || rig.change(Method::POST, "/v1/pause", json!({"for_seconds": 600}));
    *rig.taken.lock().unwrap() = Taken::NotDurable;
    assert_eq!(pause().await, (200, json!({"durable": false})));
    *rig.taken.lock().unwrap() = Taken::NotOurs;
    let (status, body) = pause().await;
    assert_eq!((status, code(&body)), (409, "other_controller"));
    assert!(message(&body).contains("another controller holds the fleet"));
}

#[tokio::test]
async fn an_order_to_a_loop_that_has_ended_is_said_not_to_be_taken() {
    let rig = Rig::start().await;
    // The played loop ends with the first command that is no order; here a reload.
    let commands = rig.commands.clone();
    commands.send(evenkeel_controller::live::Command::ReloadRefused(String::new())).await.unwrap();
    let (status, body) = rig.change(Method::POST, "/v1/mode", json!({"mode": "act"})).await;
    assert_eq!((status, code(&body)), (503, "stopping"));
}

#[tokio::test]
async fn every_mistake_of_a_body_is_told_at_once_in_words() {
    let rig = Rig::start().await;
    let body = json!({"tier": "golf", "at_least": 6, "at_most": 2, "until_us": 1_790_000_000, "becuase": "x"});
    let (status, body) = rig.change(Method::POST, "/v1/override", body).await;
    assert_eq!((status, code(&body)), (400, "bad_request"));
    let words = message(&body);
    for part in [
        "there is no tier `golf`; the fleet has gold",
        "`at_least` 6 is more than `at_most` 2",
        "`until_us` is 1970-01-01T00:29:50Z, which is not ahead of now",
        "`because` is missing",
        "`becuase` is not known here",
    ] {
        assert!(words.contains(part), "`{part}` is missing in: {words}");
    }

    let ahead = (super::START + Span::from_secs(800 * 86_400)).as_micros();
    let cases = [
        ("/v1/override", json!({}), "`at_least` or `at_most` is missing"),
        (
            "/v1/override",
            json!({"tier": "gold", "at_most": -1}),
            "`at_most` must be a whole number from 0 to 4294967295, it is -1",
        ),
        ("/v1/override", json!({"until_us": ahead}), "more than a year ahead"),
        ("/v1/override", json!({"because": "  "}), "`because` must be text"),
        ("/v1/override", json!({"because": 5}), "`because` must be text"),
        ("/v1/override", json!({"because": "a\u{7}b"}), "`because` must not hold control characters"),
        ("/v1/override", json!({"because": "x".repeat(501)}), "`because` has 501 characters, it may have 500 at most"),
        ("/v1/drain", json!({"for_seconds": 5}), "`for_seconds` is not known here"),
        ("/v1/drain", json!([]), "must be a JSON object"),
        ("/v1/pause", json!({"for_seconds": -5}), "it is -5"),
        ("/v1/pause", json!({"for_seconds": "600"}), "it is \"600\""),
        ("/v1/pause", json!({}), "`for_seconds` is missing"),
        ("/v1/pause", json!([1]), "must be a JSON object"),
        ("/v1/mode", json!({"mode": "on"}), "`mode` must be observe, advise or act, it is `on`"),
        ("/v1/players", json!({"players": -3}), "`players` must be from 0"),
        ("/v1/players", json!({"players": true}), "`players` must be a number"),
    ];
    for (path, body, expected) in cases {
        let (status, answer) = rig.change(Method::POST, path, body.clone()).await;
        assert_eq!(status, 400, "{path} {body} -> {answer}");
        assert!(message(&answer).contains(expected), "{path} {body} -> {answer}");
    }
    let torn = rig.request(Method::POST, "/v1/pause").bearer_auth(TOKEN).body("{\"for_seconds\": 6");
    let (status, body) = answer(torn.send().await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(message(&body).starts_with("the body is not JSON"), "{body}");
    assert_eq!(rig.ordered(), []);
}

#[tokio::test]
async fn a_key_given_twice_is_refused_whichever_value_it_has_last() {
    let rig = Rig::start().await;
    let post = async |path: &str, body: &'static str| {
        answer(rig.request(Method::POST, path).bearer_auth(TOKEN).body(body).send().await.unwrap()).await
    };
    let (status, body) = post("/v1/mode", r#"{"mode":"act","mode":"observe"}"#).await;
    assert_eq!((status, message(&body)), (400, "`mode` is given twice"));
    let (status, body) = post("/v1/mode", r#"{"mode":null,"mode":"observe","mode":"act"}"#).await;
    assert_eq!((status, message(&body)), (400, "`mode` is given twice; `mode` is given twice"));
    assert_eq!(rig.ordered(), []);
    let (status, body) = post("/v1/drain", "nonsense").await;
    assert_eq!(status, 400);
    assert!(message(&body).starts_with("the body is not JSON"), "{body}");
}

#[tokio::test]
async fn a_drain_needs_no_body() {
    for body in ["", "{}", " {} \n"] {
        let rig = Rig::start().await;
        let drain = rig.request(Method::POST, "/v1/drain").bearer_auth(TOKEN).body(body);
        assert_eq!(answer(drain.send().await.unwrap()).await, (200, json!({"durable": false})), "{body:?}");
    }
}

#[tokio::test]
async fn ending_the_override_of_an_unknown_tier_names_those_that_exist() {
    let rig = Rig::start().await;
    let (status, body) = rig.change(Method::DELETE, "/v1/override/golf", Value::Null).await;
    assert_eq!((status, code(&body)), (404, "unknown_tier"));
    assert!(message(&body).ends_with("the fleet has gold"));
    assert_eq!(rig.ordered(), []);
}

/// What the controller's own source reads of the pushed count.
async fn players_read(rig: &Rig, now: Time) -> Option<u64> {
    let shares = [("gold".to_owned(), 1.0)];
    let mut source = Players::new(&PlayersSource::Push, rig.players.clone(), shares, Duration::from_secs(1)).unwrap();
    let findings = source.read(now, &[]).await.ok()?;
    findings[0].signals.players.fresh().copied()
}

#[tokio::test]
async fn a_pushed_player_count_reaches_the_source_and_is_not_called_durable() {
    let rig = Rig::start().await;
    let now = rig.set_now(5);
    assert_eq!(players_read(&rig, now).await, None);
    let (status, body) = rig.change(Method::POST, "/v1/players", json!({"players": 123})).await;
    assert_eq!((status, body), (200, json!({"durable": false})));
    assert_eq!(players_read(&rig, now).await, Some(123));

    let elsewhere =
        FLEET.replace("players: {push: {}}", "players: {http: {url: \"http://127.0.0.1:9/p\", pointer: /n}}");
    rig.fleet.send_replace(Arc::new(fleet(&elsewhere)));
    let (status, body) = rig.change(Method::POST, "/v1/players", json!({"players": 7})).await;
    assert_eq!((status, code(&body)), (409, "players_not_pushed"));
    assert_eq!(players_read(&rig, now).await, Some(123));
}
