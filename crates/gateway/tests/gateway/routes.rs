//! The route table: what is applied, what is refused, what stays while the controller is gone.

use crate::replica::{Behavior, FakeReplica};
use crate::stage::{PATIENCE, Stage, chat, fleet};
use evenkeel_gateway::{GatewayError, Options, bind};
use evenkeel_wire::routes::{RouteTable, RouteVersion};
use http::StatusCode;
use std::time::Duration;

#[tokio::test]
async fn the_gateway_serves_on_without_the_controller_and_follows_it_again() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let mut stage = Stage::with_gold(&[&replica]).await;
    stage.controller.stop().await;
    for _ in 0..3 {
        assert_eq!(stage.chat().await.status, StatusCode::OK);
    }
    let other = FakeReplica::start("other", Behavior::Answer).await;
    stage.controller.resume().await;
    stage.route("gold", vec![other.route()]).await;
    assert_eq!(stage.chat().await.header("x-evenkeel-replica"), Some("other"));
}

#[tokio::test]
async fn an_older_table_is_refused_and_a_later_epochs_first_one_is_not() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let mut stage = Stage::open().await;
    let version = |epoch, number| RouteVersion { epoch, number };
    stage.controller.publish_table(RouteTable { version: version(3, 9), ..stage.controller.table() });
    stage.route("gold", vec![replica.route()]).await;
    assert_eq!(stage.report().await.applied, Some(version(3, 10)));

    for older in [version(3, 8), version(2, 99)] {
        stage.controller.publish_table(RouteTable { version: older, fleet: "game".into(), tiers: Vec::new() });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(stage.report().await.applied, Some(version(3, 10)));
        assert_eq!(stage.chat().await.status, StatusCode::OK);
    }
    stage.controller.publish_table(RouteTable { version: version(4, 1), fleet: "game".into(), tiers: Vec::new() });
    let report = stage.until(|report| report.applied == Some(version(4, 1))).await;
    assert!(report.tiers[0].replicas.is_empty());
}

#[tokio::test]
async fn another_fleets_table_is_refused() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let mut stage = Stage::with_gold(&[&replica]).await;
    let newer = RouteVersion { epoch: 99, number: 1 };
    let ours = stage.controller.table();
    stage.controller.publish_table(RouteTable { fleet: "another".into(), version: newer, tiers: Vec::new() });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.chat().await.status, StatusCode::OK);
    stage.controller.publish_table(ours);
    stage.route("gold", vec![replica.route()]).await;
}

#[tokio::test]
async fn a_gateway_that_restarts_while_the_controller_is_gone_serves_by_the_kept_table() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { state_directory: Some(directory.path().join("state")), ..Options::default() };
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let mut stage = Stage::open_with(&fleet(), options.clone()).await;
    stage.route("gold", vec![replica.route()]).await;
    let applied = stage.report().await.applied;
    let mut controller = stage.kill().await;
    controller.stop().await;

    let url = Some(format!("http://{}", controller.address));
    let again = Stage::open_behind(controller, &fleet(), Options { controller_url: url, ..options }).await;
    assert_eq!(again.report().await.applied, applied);
    assert_eq!(again.chat().await.header("x-evenkeel-replica"), Some("one"));
}

#[tokio::test]
async fn a_route_that_is_no_address_is_left_out_and_the_others_serve() {
    let replica = FakeReplica::start("one", Behavior::Answer).await;
    let mut stage = Stage::open().await;
    let mut odd = replica.route();
    odd.id.0 = "odd".into();
    odd.url = "https://elsewhere/prefix".into();
    stage.route("gold", vec![odd, replica.route()]).await;
    assert_eq!(stage.chat().await.header("x-evenkeel-replica"), Some("one"));
}

#[tokio::test]
async fn a_new_address_under_an_old_name_is_a_new_replica() {
    let old = FakeReplica::start("same", Behavior::Gated).await;
    let new = FakeReplica::start("same", Behavior::Answer).await;
    let mut stage = Stage::with_gold(&[&old]).await;
    let last = stage.begin_apart(chat("gold"));
    stage.until_tier("gold", |gold| gold.in_flight == 1).await;
    stage.route("gold", vec![new.route()]).await;
    assert_eq!(stage.chat().await.status, StatusCode::OK);
    assert_eq!(new.asked().len(), 1);
    old.let_go(1);
    assert_eq!(last.await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_taken_address_and_a_bad_controller_address_are_told_at_the_start() {
    let stage = Stage::open().await;
    let state = tempfile::tempdir().unwrap();
    let options = Options { state_directory: Some(state.path().into()), ..Options::default() };
    let taken = bind(&fleet(), Options { listen: Some(stage.address), ..options.clone() }).await.unwrap_err();
    assert!(matches!(taken, GatewayError::Listen { .. }));
    assert!(taken.to_string().contains("choose another address"), "{taken}");
    let url = Some("controller:7600".to_owned());
    let bad = bind(&fleet(), Options { controller_url: url, ..options }).await.unwrap_err();
    assert!(matches!(bad, GatewayError::ControllerUrl(_)));
}

/// Waits until `/v1/models` and the metrics tell so many serving replicas of gold.
async fn until_serving(stage: &Stage, count: u64) {
    let line = format!("evenkeel_gateway_replicas_serving{{tier=\"gold\"}} {count}");
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let models = stage.get("/v1/models").await.json();
            let metrics = String::from_utf8(stage.get("/metrics").await.body.to_vec()).unwrap();
            if models["data"][0]["replicas_serving"] == count && metrics.lines().any(|known| known == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never {count}: {}", stage.get("/v1/models").await.json());
}

#[tokio::test]
async fn after_a_fleet_was_stopped_its_replicas_no_longer_count_as_serving() {
    let (mut one, mut other) =
        (FakeReplica::start("one", Behavior::Answer).await, FakeReplica::start("other", Behavior::Answer).await);
    let mut stage = Stage::with_gold(&[&one, &other]).await;
    until_serving(&stage, 2).await;
    // The controller ends first, so that no table says it, and no request finds it out.
    stage.controller.stop().await;
    one.kill().await;
    until_serving(&stage, 1).await;
    other.kill().await;
    until_serving(&stage, 0).await;
    one.revive().await;
    until_serving(&stage, 1).await;
}

#[tokio::test]
async fn a_replica_that_refused_a_request_does_not_count_until_it_is_back() {
    let mut replica = FakeReplica::start("one", Behavior::Answer).await;
    let stage = Stage::with_gold(&[&replica]).await;
    until_serving(&stage, 1).await;
    replica.kill().await;
    let held = stage.begin_apart(chat("gold"));
    until_serving(&stage, 0).await;
    replica.revive().await;
    assert_eq!(held.await.unwrap().status, StatusCode::OK);
    until_serving(&stage, 1).await;
}
