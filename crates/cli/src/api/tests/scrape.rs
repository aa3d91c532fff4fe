//! Metrics as Prometheus reads them.

use super::{Rig, START, blind, eventually, steady};
use evenkeel_controller::view::FleetView;
use evenkeel_core::units::Span;
use reqwest::Method;
use serde_json::Value;

async fn scrape(rig: &Rig) -> String {
    rig.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap()
}

fn sample<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

#[tokio::test]
async fn what_is_known_is_exported_with_its_unit_in_the_name() {
    let rig = Rig::start().await;
    rig.publish(steady(START));
    rig.set_now(2);
    let response = rig.request(Method::GET, "/metrics").send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = response.text().await.unwrap();
    let expected = [
        ("evenkeel_tier_desired_replicas{tier=\"gold\"}", "2.0"),
        ("evenkeel_tier_ready_replicas{tier=\"gold\"}", "2.0"),
        ("evenkeel_tier_starting_replicas{tier=\"gold\"}", "0.0"),
        ("evenkeel_tier_draining_replicas{tier=\"gold\"}", "0.0"),
        ("evenkeel_tier_offered_requests_per_second{tier=\"gold\"}", "6.0"),
        ("evenkeel_tier_queue_depth_requests{tier=\"gold\"}", "0.0"),
        ("evenkeel_tier_cost_usd_per_hour{tier=\"gold\"}", "2.012"),
        ("evenkeel_tick_age_seconds", "2.0"),
        ("evenkeel_journal_writable", "1.0"),
        ("evenkeel_reload_refused", "0.0"),
        ("evenkeel_source_problem{source=\"gateway\"}", "0.0"),
        ("evenkeel_mode{mode=\"act\"}", "1.0"),
        ("evenkeel_mode{mode=\"observe\"}", "0.0"),
    ];
    for (name, value) in expected {
        assert_eq!(sample(&text, name), Some(value), "{name} in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_changed_file_that_is_not_in_force_can_be_alarmed_on() {
    let rig = Rig::start().await;
    rig.publish(FleetView { reload_refused: Some("line 3".to_owned()), ..steady(START) });
    assert_eq!(sample(&scrape(&rig).await, "evenkeel_reload_refused"), Some("1.0"));
}

#[tokio::test]
async fn what_is_missing_has_no_sample_rather_than_zero() {
    let rig = Rig::start().await;
    assert!(!scrape(&rig).await.contains("evenkeel_tick_age_seconds "), "there was no tick");
    rig.publish(blind(START));
    let text = scrape(&rig).await;
    let unknown = [
        "ready_replicas",
        "starting_replicas",
        "draining_replicas",
        "demand_replicas",
        "offered_requests_per_second",
        "queue_depth_requests",
        "oldest_queued_seconds",
        "online_players",
        "cost_usd_per_hour",
        "objective_attainment_ratio",
    ];
    for name in unknown {
        assert!(!text.contains(&format!("evenkeel_tier_{name}{{")), "{name} has a sample in {text}");
    }
    assert_eq!(sample(&text, "evenkeel_tier_desired_replicas{tier=\"gold\"}"), Some("2.0"));
    assert_eq!(sample(&text, "evenkeel_source_problem{source=\"gateway\"}"), Some("1.0"));
}

#[tokio::test]
async fn decisions_are_counted_by_reason() {
    let rig = Rig::start().await;
    let points = |count: usize| move |body: &Value| body["tiers"][0]["points"].as_array().map_or(0, Vec::len) == count;
    for second in 0..3 {
        let at = rig.set_now(second);
        rig.publish(if second == 1 { blind(at) } else { steady(at) });
        eventually(&rig, "/v1/history", points(second as usize + 1)).await;
    }
    let text = scrape(&rig).await;
    assert_eq!(sample(&text, "evenkeel_decisions_total{tier=\"gold\",reason=\"held_steady\"}"), Some("2"), "{text}");
    assert_eq!(sample(&text, "evenkeel_decisions_total{tier=\"gold\",reason=\"held_blind\"}"), Some("1"));
    assert_eq!(rig.set_now(9), START + Span::from_secs(9));
}
