//! A fleet of two tiers, gold and silver, whose backend and sources do what a test tells them.

use async_trait::async_trait;
use evenkeel_controller::events::CloudEvent;
use evenkeel_controller::gateway_view::GatewayView;
use evenkeel_controller::journal::{Journal, JournalReader};
use evenkeel_controller::live::{Command, Live, Published, Surroundings, Taken};
use evenkeel_controller::operator::{OperatorOrder, OperatorOrders};
use evenkeel_controller::ports::{
    Backend, BackendError, BackendReplica, Capabilities, Clock, Finding, LivingReplica, Order, Source, SourceError,
};
use evenkeel_controller::view::FleetView;
use evenkeel_core::decision::Override;
use evenkeel_core::observe::{Cause, Offered, Reading, ReplicaId, ReplicaState, Signals};
use evenkeel_core::spec::Signal;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::Fleet;
use evenkeel_wire::routes::RouteState;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

/// One tier of the fleet file, under its name.
const TIER: &str = include_str!("../fixtures/tier.yaml");

/// Time that moves only when a test advances it.
pub(crate) struct VirtualClock {
    /// Microseconds since the epoch, at the start.
    anchor: AtomicI64,
    started: Instant,
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        Time::from_micros(self.anchor.load(Ordering::Relaxed))
            + Span::from_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap())
    }
}

/// What the backend has, was told and shall do.
#[derive(Default)]
pub(crate) struct BackendState {
    pub(crate) replicas: BTreeMap<String, Vec<BackendReplica>>,
    pub(crate) applied: Vec<Order>,
    /// Launches that the journal's orders did not hold yet when the order arrived.
    pub(crate) not_journalled: Vec<ReplicaId>,
    pub(crate) fail_apply: BTreeMap<&'static str, BackendError>,
    pub(crate) hang_apply: BTreeSet<&'static str>,
    pub(crate) hang_list: BTreeSet<&'static str>,
    pub(crate) permitted: bool,
    pub(crate) strays: Vec<(String, ReplicaId)>,
}

/// Launches and ends at once, unless it is told to fail or hang.
pub(crate) struct FakeBackend {
    journal: PathBuf,
    clock: Arc<VirtualClock>,
    goes_on: Notify,
    pub(crate) state: Mutex<BackendState>,
}

impl FakeBackend {
    pub(crate) fn names(&self, tier: &str) -> Vec<ReplicaId> {
        self.state.lock().unwrap().replicas.get(tier).into_iter().flatten().map(|it| it.id.clone()).collect()
    }

    pub(crate) fn count(&self, tier: &str) -> usize {
        self.names(tier).len()
    }

    /// Orders of `tier` that hang go on.
    pub(crate) fn go_on(&self, tier: &str) {
        self.state.lock().unwrap().hang_apply.remove(tier);
        self.goes_on.notify_waiters();
    }

    pub(crate) fn ended(&self) -> Vec<ReplicaId> {
        self.state.lock().unwrap().applied.iter().flat_map(|order| order.end.clone()).collect()
    }

    pub(crate) fn orders(&self, tier: &str) -> usize {
        self.state.lock().unwrap().applied.iter().filter(|order| order.tier == tier).count()
    }
}

#[async_trait]
impl Backend for FakeBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities { chooses_victims: true, reaches_zero: true, drains: true }
    }

    async fn list(&self, tier: &str) -> Result<Vec<BackendReplica>, BackendError> {
        if self.state.lock().unwrap().hang_list.contains(tier) {
            std::future::pending::<()>().await;
        }
        Ok(self.state.lock().unwrap().replicas.get(tier).cloned().unwrap_or_default())
    }

    fn permit(&self, acts: bool) {
        self.state.lock().unwrap().permitted = acts;
    }

    fn strays(&self) -> Vec<(String, ReplicaId)> {
        self.state.lock().unwrap().strays.clone()
    }

    async fn apply(&self, order: &Order) -> Result<(), BackendError> {
        let journalled = JournalReader::new(&self.journal).orders().unwrap_or_default();
        {
            let mut state = self.state.lock().unwrap();
            state.applied.push(order.clone());
            let bodies: Vec<String> = journalled.iter().map(|it| it.order["launch"].to_string()).collect();
            let missing = |id: &&ReplicaId| !bodies.iter().any(|body| body.contains(&format!("\"{id}\"")));
            state.not_journalled.extend(order.launch.iter().filter(missing).cloned());
        }
        while self.state.lock().unwrap().hang_apply.contains(order.tier.as_str()) {
            self.goes_on.notified().await;
        }
        let mut state = self.state.lock().unwrap();
        if let Some(error) = state.fail_apply.get(order.tier.as_str()) {
            return Err(error.clone());
        }
        let tier = state.replicas.entry(order.tier.clone()).or_default();
        tier.retain(|it| !order.end.contains(&it.id));
        tier.extend(order.launch.iter().map(|id| BackendReplica {
            id: id.clone(),
            state: ReplicaState::Ready,
            since: self.clock.now(),
            url: Some(format!("http://127.0.0.1/{id}")),
            note: None,
        }));
        Ok(())
    }
}

/// What a source tells.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tells {
    /// This many requests since the last reading.
    Requests(u64),
    /// An error.
    Nothing,
    /// It never answers.
    Hangs,
}

struct ScriptedSource {
    tier: &'static str,
    tells: Arc<Mutex<BTreeMap<&'static str, Tells>>>,
}

#[async_trait]
impl Source for ScriptedSource {
    fn name(&self) -> &str {
        self.tier
    }

    fn covers(&self, tier: &str) -> &[Signal] {
        if tier == self.tier { &[Signal::Offered] } else { &[] }
    }

    async fn read(&mut self, now: Time, _living: &[LivingReplica]) -> Result<Vec<Finding>, SourceError> {
        let tells = self.tells.lock().unwrap()[self.tier];
        match tells {
            Tells::Requests(requests) => {
                let value = Offered { requests, prompt_tokens: 0, over: Span::from_secs(1) };
                let signals = Signals { offered: Reading::Fresh { value, at: now }, ..Signals::default() };
                Ok(vec![Finding { tier: self.tier.to_owned(), signals, replica_load: Vec::new() }])
            }
            Tells::Nothing => Err(SourceError { cause: Cause::Unreachable, detail: "it is down".to_owned() }),
            Tells::Hangs => std::future::pending().await,
        }
    }
}

/// What outlives a controller: the replicas, the journal's file, the sources, the gateway, the time.
pub(crate) struct World {
    pub(crate) backend: Arc<FakeBackend>,
    pub(crate) gateway: Arc<Mutex<GatewayView>>,
    tells: Arc<Mutex<BTreeMap<&'static str, Tells>>>,
    clock: Arc<VirtualClock>,
    directory: tempfile::TempDir,
    /// How long the journal keeps ticks, from the next start on.
    pub(crate) retention: Span,
    epoch: u64,
    /// Events that nobody has taken yet, at most.
    pub(crate) room_for_events: usize,
    /// Virtual time advances by itself when nothing but the journal's thread has work, unless a blocking task runs: this
    /// one runs until the world is dropped.
    _no_auto_advance: std::sync::mpsc::Sender<()>,
}

impl World {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || receiver.recv());
        let directory = tempfile::tempdir().unwrap();
        let anchor = AtomicI64::new(1_000_000_000_000_000);
        let clock = Arc::new(VirtualClock { anchor, started: Instant::now() });
        let journal = directory.path().join("journal.sqlite");
        let backend = FakeBackend { journal, clock: clock.clone(), goes_on: Notify::new(), state: Mutex::default() };
        let quiet = BTreeMap::from([("gold", Tells::Requests(0)), ("silver", Tells::Requests(0))]);
        Self {
            backend: Arc::new(backend),
            gateway: Arc::default(),
            tells: Arc::new(Mutex::new(quiet)),
            clock,
            directory,
            retention: Span::from_secs(1_000_000),
            epoch: 0,
            room_for_events: 10_000,
            _no_auto_advance: sender,
        }
    }

    /// Both tiers, in mode `act`.
    pub(crate) fn fleet(&self) -> Fleet {
        let text = format!(
            "fleet: pair\ntick: 1s\ncontroller: {{mode: act, retention: {}s}}\ntiers:\n  gold:{}  silver:{}",
            self.retention.as_micros() / 1_000_000,
            TIER.replace("MODEL", "a"),
            TIER.replace("MODEL", "b")
        );
        evenkeel_fleet::read(&text, "pair.yaml").unwrap_or_else(|problems| panic!("{problems}"))
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.path().join("journal.sqlite")
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Sets the clock, as an operator or a time server may.
    pub(crate) fn set_clock(&self, by_seconds: i64) {
        self.clock.anchor.fetch_add(by_seconds * 1_000_000, Ordering::Relaxed);
    }

    pub(crate) fn tells(&self, tier: &'static str, tells: Tells) {
        self.tells.lock().unwrap().insert(tier, tells);
    }

    /// A controller that holds the fleet, after its first tick.
    pub(crate) async fn start(&mut self) -> Running {
        let (journal, operator) = Journal::open(&self.journal(), self.retention, self.epoch + 1).unwrap();
        self.begin(Some(journal), operator).await
    }

    /// A controller beside the one that holds the fleet, after its first tick.
    pub(crate) async fn start_observer(&mut self) -> Running {
        self.begin(None, OperatorOrders::default()).await
    }

    async fn begin(&mut self, journal: Option<Journal>, operator: OperatorOrders) -> Running {
        self.epoch += 1;
        let epoch = self.epoch;
        let fleet = self.fleet();
        let source = |tier| Box::new(ScriptedSource { tier, tells: self.tells.clone() }) as Box<dyn Source>;
        let (events, received) = mpsc::channel(self.room_for_events);
        let (gateway, mut names, holds_fleet) = (self.gateway.clone(), 0, journal.is_some());
        let around = Surroundings {
            clock: self.clock.clone(),
            sources: vec![source("gold"), source("silver")],
            backend: self.backend.clone(),
            gateway: Arc::new(move || gateway.lock().unwrap().clone()),
            journal,
            operator,
            new_intent: Box::new(move || {
                names += 1;
                ReplicaId(format!("r{epoch}-{names}"))
            }),
            events,
        };
        let (live, published) = Live::new(Arc::new(fleet), epoch, holds_fleet, around);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(live.run(async {
            let _ = stopped.await;
        }));
        let mut running = Running { published, received, stop, task };
        running.idle().await;
        running
    }
}

/// One controller's run.
pub(crate) struct Running {
    pub(crate) published: Published,
    received: mpsc::Receiver<CloudEvent>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// One second and one tick, to its end.
    pub(crate) async fn tick(&mut self) -> Arc<FleetView> {
        advance(Duration::from_secs(1)).await;
        self.idle().await
    }

    pub(crate) async fn ticks(&mut self, count: usize) -> Arc<FleetView> {
        for _ in 1..count {
            self.tick().await;
        }
        self.tick().await
    }

    /// Waits for a tick that is due: for its view, then for the loop to take a command again, then for the workers.
    pub(crate) async fn idle(&mut self) -> Arc<FleetView> {
        self.published.view.changed().await.unwrap();
        self.order(OperatorOrder::Override { tier: "nobody".to_owned(), order: None }).await;
        yields().await;
        self.view()
    }

    pub(crate) fn view(&self) -> Arc<FleetView> {
        self.published.view.borrow().clone().unwrap()
    }

    /// Gives an order.
    pub(crate) async fn order(&self, order: OperatorOrder) -> Taken {
        let (done, taken) = oneshot::channel();
        assert!(self.published.commands.send(Command::Order(order, done)).await.is_ok());
        taken.await.unwrap()
    }

    pub(crate) async fn bound_gold(&self, at_least: Option<u32>, at_most: Option<u32>, until: Time) {
        let order = Override { at_least, at_most, until, because: "a test".to_owned() };
        let taken = self.order(OperatorOrder::Override { tier: "gold".to_owned(), order: Some(order) }).await;
        assert_eq!(taken, Taken::Durable);
    }

    /// The events since the last call.
    pub(crate) fn events(&mut self) -> Vec<CloudEvent> {
        let mut events: Vec<CloudEvent> = std::iter::from_fn(|| self.received.try_recv().ok()).collect();
        events.retain(|event| !event.data.to_string().contains("nobody"));
        events
    }

    pub(crate) fn kinds(&mut self) -> Vec<&'static str> {
        self.events().into_iter().map(|event| event.kind).collect()
    }

    pub(crate) fn draining(&self) -> Vec<ReplicaId> {
        let routes = self.published.routes.borrow().clone();
        let all = routes.tiers.iter().flat_map(|tier| &tier.replicas);
        all.filter(|route| route.state == RouteState::Draining).map(|route| route.id.clone()).collect()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// Moves the time and lets every task whose timer ended go on.
pub(crate) async fn advance(by: Duration) {
    tokio::time::advance(by).await;
    yields().await;
}

/// Lets every task that can go on go on.
async fn yields() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A statement on the journal from outside.
pub(crate) fn sql(journal: &Path, statement: &str) {
    rusqlite::Connection::open(journal).unwrap().execute_batch(statement).unwrap();
}
