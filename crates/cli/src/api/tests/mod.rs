//! The API on a real listener, asked by a real client. The loop's side is played by the test: it publishes views and
//! routes, and answers orders.

mod connections;
mod document;
mod live;
mod orders;
mod page;
mod reading;
mod safety;
mod scrape;
mod streams;

use super::{Api, Limits, Token, serve};
use evenkeel_adapters::players::PlayersPush;
use evenkeel_controller::journal::{Journal, JournalHealth, JournalReader, TickRecord};
use evenkeel_controller::live::{Command, Published, Taken};
use evenkeel_controller::operator::{Mode, OperatorOrder};
use evenkeel_controller::ports::Clock;
use evenkeel_controller::view::{FleetView, SourceView, TierView};
use evenkeel_core::autoscaler::FleetInputs;
use evenkeel_core::decision::{Clamp, Decision, Guard, Reason, Recommendation, Why};
use evenkeel_core::observe::{Observation, Offered, Reading, Replica, ReplicaId, ReplicaState, Signals, Supply};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::Fleet;
use evenkeel_wire::routes::{RouteTable, RouteVersion};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const START: Time = Time::from_micros(1_790_000_000_000_000);
/// Generous, as the machine may be busy; nothing is expected to take it.
const LONG: Duration = Duration::from_secs(30);

const FLEET: &str = r#"
fleet: game
tick: 1s
players: {push: {}}
tiers:
  gold:
    model: small
    replicas: {minimum: 1, maximum: 8}
    price: $1.006/hour
    slo: {attainment: 99%, objectives: [{tpot: {p95: 16ms}}]}
    requests: {prompt_tokens: {mean: 300, sigma: 0.8}, output_tokens: {mean: 40, sigma: 0.8}, per_player: 3.4/min}
    profile:
      source: estimate
      iteration: 6.5ms
      per_sequence: 90us
      per_prefill_token: 80us
      max_batched_tokens: 112
      max_sequences: 64
      kv_tokens: 200000
      max_model_tokens: 4096
    start_up: 180s
    policies: [{backlog_per_replica: {target: 2}}]
    backend: {local: {command: [server, --port, "{port}"]}}
"#;

/// A clock that the test sets.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A running API and everything around it.
struct Rig {
    folder: tempfile::TempDir,
    base: String,
    port: u16,
    client: Client,
    clock: Arc<SetClock>,
    view: watch::Sender<Option<Arc<FleetView>>>,
    routes: watch::Sender<Arc<RouteTable>>,
    fleet: watch::Sender<Arc<Fleet>>,
    players: PlayersPush,
    orders: Arc<Mutex<Vec<OperatorOrder>>>,
    taken: Arc<Mutex<Taken>>,
    commands: mpsc::Sender<Command>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl Rig {
    async fn start() -> Self {
        Self::start_within(Limits::default()).await
    }

    async fn start_within(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (view, views) = watch::channel(None);
        let (routes, tables) = watch::channel(Arc::new(RouteTable::default()));
        let (fleet, fleets) = watch::channel(Arc::new(fleet(FLEET)));
        let (commands, received) = mpsc::channel(8);
        let clock = Arc::new(SetClock(AtomicI64::new(START.as_micros())));
        let players = PlayersPush::default();
        let published = Published { view: views, routes: tables, commands: commands.clone() };
        let api = Api { limits, ..api(&folder, published, clock.clone(), players.clone(), fleets) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = oneshot::channel();
        let (orders, taken) = (Arc::default(), Arc::new(Mutex::new(Taken::Durable)));
        tokio::spawn(obey(received, Arc::clone(&orders), taken.clone()));
        let shutdown = async move { drop(stopped.await) };
        let server = tokio::spawn(serve(api, listener, shutdown));
        let client = client();
        let base = format!("http://127.0.0.1:{port}");
        // Once it answers it has looked at the clock, which the test may now set.
        client.get(format!("{base}/healthz")).send().await.unwrap();
        Self { folder, base, port, client, clock, view, routes, fleet, players, orders, taken, commands, stop, server }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// A change with the token.
    async fn change(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        answer(self.request(method, path).bearer_auth(TOKEN).json(&body).send().await.unwrap()).await
    }

    fn set_now(&self, seconds: i64) -> Time {
        let now = START + Span::from_secs(seconds);
        self.clock.0.store(now.as_micros(), Ordering::SeqCst);
        now
    }

    fn publish(&self, view: FleetView) {
        self.view.send_replace(Some(Arc::new(view)));
    }

    fn ordered(&self) -> Vec<OperatorOrder> {
        self.orders.lock().unwrap().clone()
    }

    /// A real journal with these decisions, one a tick.
    async fn journal(&self, decisions: Vec<Decision>) {
        let (journal, _) = Journal::open(&self.folder.path().join("journal.db"), Span::from_secs(86_400), 1).unwrap();
        for decision in decisions {
            let observation = Observation { signals: Signals::default(), replicas: Reading::default() };
            let tier = TierInputs { observation, forecast: None, schedule: None, operator: None };
            let inputs = FleetInputs { now: decision.at, tiers: vec![tier] };
            journal.record(TickRecord { epoch: 1, inputs, decisions: vec![decision], orders: Vec::new(), state: None });
        }
        assert!(journal.settled(LONG).await);
    }

    /// Stops and waits for the end.
    async fn stopped(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

/// An API over what is published, with the journal in `folder`.
fn api(
    folder: &tempfile::TempDir,
    published: Published,
    clock: Arc<dyn Clock>,
    players: PlayersPush,
    fleet: watch::Receiver<Arc<Fleet>>,
) -> Api {
    let journal = JournalReader::new(&folder.path().join("journal.db"));
    let token = Token::obtain(folder.path(), Some(TOKEN.to_owned())).unwrap();
    let allowed_hosts = vec!["fleet.internal".to_owned()];
    Api { published, journal, players, clock, token, fleet, allowed_hosts, limits: Limits::default() }
}

fn client() -> Client {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only when another test was faster, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Client::builder().no_proxy().tls_certs_only([]).timeout(LONG).build().unwrap()
}

/// Plays the loop: takes orders and says what became of them.
async fn obey(mut commands: mpsc::Receiver<Command>, orders: Arc<Mutex<Vec<OperatorOrder>>>, taken: Arc<Mutex<Taken>>) {
    while let Some(Command::Order(order, done)) = commands.recv().await {
        orders.lock().unwrap().push(order);
        let _ = done.send(*taken.lock().unwrap());
    }
}

fn fleet(text: &str) -> Fleet {
    evenkeel_fleet::read(text, "fleet.yaml").unwrap_or_else(|problems| panic!("{problems}"))
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The words of a refusal.
fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().unwrap_or_else(|| panic!("no error in {body}"))
}

fn code(body: &Value) -> &str {
    body["error"]["code"].as_str().unwrap_or_else(|| panic!("no error in {body}"))
}

fn decision(at: Time, ready: u32, desired: u32, reason: Reason) -> Decision {
    Decision {
        tier: "gold".to_owned(),
        at,
        supply: Supply { ready, ..Supply::default() },
        desired,
        victims: Vec::new(),
        recommendations: vec![Recommendation {
            policy: "backlog_per_replica".to_owned(),
            desired: Some(desired),
            why: Why::Backlog { waiting: 7, target: 2.0 },
        }],
        winner: Some(0),
        clamps: vec![Clamp { guard: Guard::Maximum, before: 9, after: 8 }],
        reason,
        look_again: at,
    }
}

/// What the loop would publish about `decision`, with `signals` seen.
fn view_of(decision: Decision, signals: Signals, listed: bool) -> FleetView {
    let fleet = fleet(FLEET);
    let at = decision.at;
    let replica = |number: u32| Replica {
        id: ReplicaId(format!("replica-{number}")),
        state: ReplicaState::Ready,
        since: at,
        in_flight: None,
    };
    let replicas = (0..decision.supply.ready).map(replica).collect();
    let replicas = if listed { Reading::Fresh { value: replicas, at } } else { Reading::default() };
    let tier = TierView::new(&fleet.spec.tiers[0], decision, signals, &replicas);
    FleetView {
        fleet: "game".to_owned(),
        at_us: at,
        epoch: 3,
        holds_fleet: true,
        mode: Mode::Act,
        mode_in_file: Mode::Act,
        reload_refused: None,
        paused_until_us: None,
        journal: JournalHealth { writable: true, ..JournalHealth::default() },
        sources: vec![SourceView { name: "gateway".to_owned(), problem: None, took_us: 1_500 }],
        routes: RouteVersion { epoch: 3, number: 1 },
        gateway_applied: None,
        cost_usd_per_hour: tier.cost_usd_per_hour,
        stopping: None,
        strays: Vec::new(),
        tiers: vec![tier],
    }
}

/// A view of a tier that holds, everything seen.
fn steady(at: Time) -> FleetView {
    let offered = Offered { requests: 12, prompt_tokens: 3_600, over: Span::from_secs(2) };
    let signals = Signals {
        offered: Reading::Fresh { value: offered, at },
        queue_depth: Reading::Fresh { value: 0, at },
        ..Signals::default()
    };
    view_of(decision(at, 2, 2, Reason::HeldSteady), signals, true)
}

/// A view of a tier about which nothing is known.
fn blind(at: Time) -> FleetView {
    let view = view_of(decision(at, 2, 2, Reason::HeldBlind), Signals::default(), false);
    let problem = Some("did not answer in time".to_owned());
    FleetView { sources: vec![SourceView { name: "gateway".to_owned(), problem, took_us: 250_000 }], ..view }
}

/// Asks until `good`: the recorder works beside the test.
async fn eventually(rig: &Rig, path: &str, good: impl Fn(&Value) -> bool) -> Value {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        let (_, body) = rig.get(path).await;
        if good(&body) {
            return body;
        }
        assert!(tokio::time::Instant::now() < deadline, "{path} still answers {body}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
