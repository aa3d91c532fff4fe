//! The API between the real loop, with a real journal, and a real gateway.

use super::{FLEET, LONG, Rig, TOKEN, answer, api, client, fleet};
use crate::api::serve;
use async_trait::async_trait;
use evenkeel_adapters::players::PlayersPush;
use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::gateway_view::GatewayView;
use evenkeel_controller::journal::Journal;
use evenkeel_controller::live::{Live, Surroundings};
use evenkeel_controller::operator::{Mode, OperatorOrders};
use evenkeel_controller::ports::{Backend, BackendError, BackendReplica, Capabilities, Order};
use evenkeel_core::observe::ReplicaId;
use evenkeel_core::units::Span;
use evenkeel_wire::report::GatewayReport;
use evenkeel_wire::routes::{RouteTable, RouteVersion};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

/// A backend on which nothing runs and nothing starts.
struct Empty;

#[async_trait]
impl Backend for Empty {
    fn capabilities(&self) -> Capabilities {
        Capabilities { chooses_victims: true, reaches_zero: true, drains: true }
    }

    async fn list(&self, _tier: &str) -> Result<Vec<BackendReplica>, BackendError> {
        Ok(Vec::new())
    }

    fn permit(&self, _acts: bool) {}

    fn strays(&self) -> Vec<(String, ReplicaId)> {
        Vec::new()
    }

    async fn apply(&self, _order: &Order) -> Result<(), BackendError> {
        Err(BackendError::NoCapacity("this backend is empty".to_owned()))
    }
}

#[tokio::test]
async fn an_order_shows_in_the_next_view_and_outlives_the_controller() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let (journal, operator) = Journal::open(&path, Span::from_secs(86_400), 1).unwrap();
    let fleet = Arc::new(fleet(FLEET));
    let clock = Arc::new(AnchoredClock::start());
    let (events, _heard) = mpsc::channel(64);
    let around = Surroundings {
        clock: clock.clone(),
        sources: Vec::new(),
        backend: Arc::new(Empty),
        gateway: Arc::new(GatewayView::default),
        journal: Some(journal),
        operator,
        new_intent: Box::new(|| ReplicaId(uuid::Uuid::new_v4().to_string())),
        events,
    };
    let (live, published) = Live::new(fleet.clone(), 1, true, around);
    let (_fleets, fleets) = watch::channel(fleet);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let api = api(&folder, published, clock, PlayersPush::default(), fleets);
    let server = tokio::spawn(serve(api, listener, pending()));
    let (stop, stopped) = oneshot::channel::<()>();
    let controller = tokio::spawn(live.run(async { drop(stopped.await) }));

    for (path, body) in [("pause", json!({"for_seconds": 600})), ("mode", json!({"mode": "observe"}))] {
        let request = client().post(format!("{base}/v1/{path}")).bearer_auth(TOKEN).json(&body);
        assert_eq!(answer(request.send().await.unwrap()).await, (200, json!({"durable": true})));
    }
    let shown = |body: &Value| body["mode"] == "observe" && body["paused_until_us"].is_i64();
    let body = until(&format!("{base}/v1/state"), shown).await;
    let (status, explained) = answer(client().get(format!("{base}/v1/explain/gold")).send().await.unwrap()).await;
    assert_eq!((status, &explained["now"]["desired"]), (200, &json!(1)), "{explained}");

    stop.send(()).unwrap();
    timeout(LONG, controller).await.unwrap().unwrap();
    server.abort();
    let (_, orders) = Journal::open(&path, Span::from_secs(86_400), 2).unwrap();
    let OperatorOrders { mode, paused_until, .. } = orders;
    assert_eq!(mode, Some(Mode::Observe));
    assert_eq!(paused_until.map(|it| it.as_micros()), body["paused_until_us"].as_i64());
}

#[tokio::test]
async fn a_gateway_follows_the_routes_from_here() {
    let rig = Rig::start().await;
    let options = evenkeel_gateway::Options {
        listen: Some(([127, 0, 0, 1], 0).into()),
        controller_url: Some(rig.base.clone()),
        ..evenkeel_gateway::Options::default()
    };
    let gateway = evenkeel_gateway::bind(&fleet(FLEET), options).await.unwrap();
    let report = format!("http://{}/gateway/report", gateway.address());
    let gateway = tokio::spawn(gateway.run(pending()));
    for number in 1..=2 {
        let version = RouteVersion { epoch: 3, number };
        rig.routes.send_replace(Arc::new(RouteTable { fleet: "game".to_owned(), version, tiers: Vec::new() }));
        let obeyed =
            |body: &Value| GatewayReport::deserialize(body).is_ok_and(|report| report.applied == Some(version));
        until(&report, obeyed).await;
    }
    gateway.abort();
}

/// Asks `url` until the answer is `good`.
async fn until(url: &str, good: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + LONG;
    loop {
        let (_, body) = answer(client().get(url).send().await.unwrap()).await;
        if good(&body) {
            return body;
        }
        assert!(Instant::now() < deadline, "{url} still answers {body}");
        sleep(Duration::from_millis(50)).await;
    }
}
