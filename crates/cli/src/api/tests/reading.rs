//! What is shown: state, history, decisions, explanations, health.

use super::{FLEET, Rig, START, blind, code, decision, eventually, fleet, message, steady, view_of};
use evenkeel_controller::journal::JournalHealth;
use evenkeel_controller::view::FleetView;
use evenkeel_core::decision::Reason;
use evenkeel_core::observe::Signals;
use evenkeel_core::units::Span;
use evenkeel_wire::routes::{RouteTable, RouteVersion};
use serde_json::{Value, json};
use std::sync::Arc;

#[tokio::test]
async fn before_the_first_tick_there_is_no_state_and_then_there_is() {
    let rig = Rig::start().await;
    for path in ["/v1/state", "/v1/explain/gold", "/readyz"] {
        let (status, body) = rig.get(path).await;
        assert_eq!((status, code(&body)), (503, "not_ready"), "{path}");
    }
    rig.publish(steady(START));
    let (status, body) = rig.get("/v1/state").await;
    assert_eq!(status, 200);
    assert_eq!(body["tiers"][0]["decision"]["reason"], "held_steady");
    assert_eq!(body["tiers"][0]["requests_per_second"], json!(6.0));
    assert_eq!(body["tiers"][0]["signals"]["players"], json!({"missing": {"cause": "not_configured"}}));
    assert_eq!(rig.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_controller_that_was_overtaken_shows_what_it_sees_and_is_not_ready() {
    let rig = Rig::start().await;
    rig.publish(FleetView { holds_fleet: false, ..steady(START) });
    let (status, body) = rig.get("/readyz").await;
    assert_eq!((status, code(&body)), (503, "overtaken"));
    assert!(message(&body).starts_with("another controller has taken the fleet"), "{body}");
    assert_eq!((rig.get("/healthz").await.0, rig.get("/v1/state").await.0), (200, 200));
}

#[tokio::test]
async fn a_controller_whose_journal_was_removed_is_not_ready() {
    let rig = Rig::start().await;
    let view = steady(START);
    let journal = JournalHealth { removed: true, ..view.journal.clone() };
    rig.publish(FleetView { journal, ..view });
    let (status, body) = rig.get("/readyz").await;
    assert_eq!((status, code(&body)), (503, "state_removed"));
    assert!(message(&body).contains("restart the controller"), "{body}");
}

#[tokio::test]
async fn health_ends_ten_ticks_after_the_last_view() {
    let rig = Rig::start().await;
    rig.set_now(10);
    assert_eq!(rig.get("/healthz").await.0, 200, "a first tick may take its time");
    rig.set_now(11);
    assert_eq!(rig.get("/healthz").await.0, 503);
    rig.publish(steady(START + Span::from_secs(9)));
    assert_eq!(rig.get("/healthz").await.0, 200);
    rig.set_now(19);
    assert_eq!(rig.get("/healthz").await.0, 200);
    rig.set_now(20);
    let (status, body) = rig.get("/healthz").await;
    assert_eq!((status, message(&body)), (503, "the last tick was 11.0 s ago"));
}

#[tokio::test]
async fn the_table_of_routes_is_not_given_out_before_one_was_made() {
    let rig = Rig::start().await;
    let (status, body) = rig.get("/v1/routes").await;
    assert_eq!((status, code(&body)), (503, "no_routes"));
    let table =
        RouteTable { fleet: "game".to_owned(), version: RouteVersion { epoch: 3, number: 1 }, tiers: Vec::new() };
    rig.routes.send_replace(Arc::new(table.clone()));
    let (status, body) = rig.get("/v1/routes").await;
    assert_eq!((status, body), (200, serde_json::to_value(table).unwrap()));
}

#[tokio::test]
async fn history_keeps_what_was_unknown_apart_from_zero_and_marks_changes() {
    let rig = Rig::start().await;
    let points = |count: usize| move |body: &Value| body["tiers"][0]["points"].as_array().map_or(0, Vec::len) == count;
    rig.publish(steady(rig.set_now(0)));
    eventually(&rig, "/v1/history", points(1)).await;
    rig.publish(blind(rig.set_now(10)));
    eventually(&rig, "/v1/history", points(2)).await;
    rig.publish(view_of(decision(rig.set_now(20), 2, 4, Reason::GrewForDemand), Signals::default(), true));
    let body = eventually(&rig, "/v1/history", points(3)).await;
    let seen = |index: usize| body["tiers"][0]["points"][index].clone();
    let expected = json!({
        "at_us": START, "requests_per_second": 6.0, "demand_replicas": null, "ready": 2, "starting": 0, "draining": 0,
        "desired": 2, "queue_depth": 0, "cost_usd_per_hour": 2.012, "reason": "held_steady", "changed": false,
    });
    assert_eq!(seen(0), expected);
    assert_eq!(seen(1)["queue_depth"], Value::Null);
    assert_eq!(seen(1)["requests_per_second"], Value::Null);
    assert_eq!((&seen(2)["desired"], &seen(2)["changed"]), (&json!(4), &json!(true)));

    let (_, body) = rig.get("/v1/history?seconds=10").await;
    let moments: Vec<i64> =
        body["tiers"][0]["points"].as_array().unwrap().iter().map(|it| it["at_us"].as_i64().unwrap()).collect();
    assert_eq!(moments, [10, 20].map(|seconds| (START + Span::from_secs(seconds)).as_micros()));
}

#[tokio::test]
async fn mistakes_in_a_query_are_told_at_once() {
    let rig = Rig::start().await;
    let (status, body) = rig.get("/v1/history?seconds=0").await;
    assert_eq!(status, 400);
    assert!(message(&body).starts_with("`seconds` must be a whole number from 1 to"), "{body}");
    let (status, body) = rig.get("/v1/decisions?limit=many&changes_only=1&teir=gold").await;
    assert_eq!(status, 400);
    for part in ["`limit` must be", "`changes_only` must be true or false", "`teir` is not known here"] {
        assert!(message(&body).contains(part), "{body}");
    }
    let (status, body) = rig.get("/v1/decisions?limit=5&limit=6").await;
    assert_eq!((status, message(&body)), (400, "`limit` is given twice"));
}

/// Two ticks steady, a growth, three ticks in the window, a shrinking, one tick steady.
async fn lived(rig: &Rig) {
    let story = [
        (1, 1, Reason::HeldSteady),
        (1, 1, Reason::HeldSteady),
        (1, 3, Reason::GrewForDemand),
        (3, 3, Reason::HeldInWindow),
        (3, 3, Reason::HeldInWindow),
        (3, 3, Reason::HeldInWindow),
        (3, 2, Reason::ShrankUnneeded),
        (2, 2, Reason::HeldBlind),
        (2, 2, Reason::HeldSteady),
    ];
    let decisions = story
        .iter()
        .zip(0..)
        .map(|(&(ready, desired, reason), second)| decision(START + Span::from_secs(second), ready, desired, reason));
    rig.journal(decisions.collect()).await;
}

fn reasons(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["decision"]["reason"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_decision_log_comes_out_of_the_journal_newest_first_and_in_words() {
    let rig = Rig::start().await;
    lived(&rig).await;
    let (status, rows) = rig.get("/v1/decisions").await;
    assert_eq!(status, 200);
    let expected = ["held_steady", "held_blind", "shrank_unneeded", "held_in_window", "grew_for_demand", "held_steady"];
    assert_eq!(reasons(&rows), expected);
    let held = &rows[3];
    assert_eq!((&held["ticks"], held["first_us"].as_i64()), (&json!(3), Some(START.as_micros() + 3_000_000)));
    assert_eq!(held["last_us"].as_i64(), Some(START.as_micros() + 5_000_000));
    assert_eq!(rows[4]["explanation"], "grew 1 -> 3. backlog_per_replica wants 3: 7 requests wait, 2 a replica may");
    assert_eq!(rows[4]["recommendations"], json!(["backlog_per_replica wants 3: 7 requests wait, 2 a replica may"]));
    assert_eq!(rows[4]["clamps"], json!(["9 -> 8 by the tier's maximum"]));

    let (_, rows) = rig.get("/v1/decisions?tier=gold&changes_only=true&limit=1").await;
    assert_eq!(reasons(&rows), ["shrank_unneeded"]);
}

#[tokio::test]
async fn a_tier_without_decisions_is_empty_and_a_misspelt_one_is_not_found() {
    let rig = Rig::start().await;
    let two =
        FLEET.to_owned() + &FLEET[FLEET.find("  gold:").unwrap()..].replace("gold", "silver").replace("small", "large");
    rig.fleet.send_replace(Arc::new(fleet(&two)));
    lived(&rig).await;
    assert_eq!(rig.get("/v1/decisions?tier=silver").await, (200, json!([])));
    let (status, body) = rig.get("/v1/decisions?tier=golf").await;
    assert_eq!((status, message(&body)), (404, "there is no tier `golf`; the fleet has gold, silver"));
    // A tier that was taken out of the fleet keeps its past.
    rig.fleet.send_replace(Arc::new(fleet(&FLEET.replace("gold", "bronze"))));
    assert_eq!(rig.get("/v1/decisions?tier=gold").await.0, 200);
}

#[tokio::test]
async fn an_explanation_has_now_and_the_changes_with_the_newest_hold_between() {
    let rig = Rig::start().await;
    lived(&rig).await;
    rig.publish(steady(START + Span::from_secs(9)));
    let (status, body) = rig.get("/v1/explain/gold").await;
    assert_eq!(status, 200, "{body}");
    let now = &body["now"];
    assert_eq!(
        (&now["reason"], &now["desired"], &now["supply"]["ready"]),
        (&json!("held_steady"), &json!(2), &json!(2))
    );
    assert!(now["explanation"].as_str().unwrap().starts_with("held 2: that is what is needed. backlog_per_replica"));
    // The older of the two holds after the shrinking is left out.
    let expected = ["held_steady", "shrank_unneeded", "held_in_window", "grew_for_demand", "held_steady"];
    assert_eq!(reasons(&body["recent"]), expected);
}

#[tokio::test]
async fn an_explanation_goes_back_twenty_changes() {
    let rig = Rig::start().await;
    let decisions = (0..60).map(|second| {
        let at = START + Span::from_secs(second);
        if second % 2 == 0 { decision(at, 1, 2, Reason::GrewForDemand) } else { decision(at, 2, 2, Reason::HeldSteady) }
    });
    rig.journal(decisions.collect()).await;
    rig.publish(steady(START));
    let (_, body) = rig.get("/v1/explain/gold").await;
    let reasons = reasons(&body["recent"]);
    assert_eq!(reasons.iter().filter(|reason| **reason == "grew_for_demand").count(), 20);
    assert_eq!((reasons.len(), reasons[0], reasons[39]), (40, "held_steady", "grew_for_demand"));
}

#[tokio::test]
async fn explaining_an_unknown_tier_names_those_that_exist() {
    let rig = Rig::start().await;
    rig.publish(steady(START));
    let (status, body) = rig.get("/v1/explain/golf").await;
    assert_eq!((status, code(&body)), (404, "unknown_tier"));
    assert_eq!(message(&body), "there is no tier `golf`; the fleet has gold");
}

#[tokio::test]
async fn a_journal_that_cannot_be_read_is_said_and_stops_nothing_else() {
    let rig = Rig::start().await;
    rig.publish(steady(START));
    let (status, body) = rig.get("/v1/decisions").await;
    assert_eq!((status, code(&body)), (503, "journal_unreadable"));
    assert_eq!(rig.get("/v1/state").await.0, 200);
}
