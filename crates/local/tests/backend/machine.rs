//! A fleet of its own for each test, on this machine, and nothing left of it afterwards.

use evenkeel_controller::ports::{Backend, BackendError, BackendReplica, Clock, Order};
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::LocalSettings;
use evenkeel_local::backend::{LocalBackend, LocalOptions, LogLimits, Role};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

pub(crate) const TIER: &str = "gold";
/// The machine that runs the tests may be slow; what is awaited longer than this does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The time since it was made, and whatever a test adds to it.
#[derive(Debug)]
pub(crate) struct TestClock {
    start: Instant,
    added: AtomicI64,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Span) {
        self.added.fetch_add(by.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        let elapsed = i64::try_from(self.start.elapsed().as_micros()).unwrap();
        Time::from_micros(1_700_000_000_000_000 + elapsed + self.added.load(Ordering::SeqCst))
    }
}

/// A directory with an engine and a fleet; when it goes, so do the fleet's processes, also after a panic.
pub(crate) struct Machine {
    dir: PathBuf,
    keep: Option<tempfile::TempDir>,
    pub(crate) options: LocalOptions,
    pub(crate) clock: Arc<TestClock>,
}

impl Machine {
    /// A fleet of one tier, `gold`, whose engine has `flags`.
    pub(crate) fn new(flags: &[&str]) -> Self {
        let keep = tempfile::tempdir().unwrap();
        let dir = keep.path().canonicalize().unwrap();
        let mut machine = Self::at(dir, flags);
        machine.keep = Some(keep);
        // So that the first controller has the epoch 1, and not the seconds since 1970.
        DirBuilder::new().mode(0o700).create(&machine.options.state_dir).unwrap();
        fs::write(machine.options.state_dir.join("epoch"), "0").unwrap();
        machine
    }

    /// The same in a directory that another process cleans up.
    pub(crate) fn at(dir: PathBuf, flags: &[&str]) -> Self {
        fs::write(dir.join("engine.py"), include_str!("engine.py")).unwrap();
        fs::write(dir.join("fleet.yaml"), "").unwrap();
        let command = ["python3", "engine.py", "{port}"].iter().chain(flags).map(|&word| word.to_owned()).collect();
        let gold = LocalSettings {
            command,
            environment: Vec::new(),
            gpus: Vec::new(),
            ready_path: "/health".to_owned(),
            start_deadline: Span::from_secs(120),
            drain_deadline: Span::from_secs(60),
            grace: Span::from_secs(10),
        };
        let options = LocalOptions {
            fleet: "game".to_owned(),
            fleet_file: dir.join("fleet.yaml"),
            tiers: BTreeMap::from([(TIER.to_owned(), gold)]),
            state_dir: dir.join("state"),
            evenkeel: PathBuf::from("/bin/true"),
            logs: LogLimits::default(),
        };
        let clock = Arc::new(TestClock { start: Instant::now(), added: AtomicI64::new(0) });
        Self { dir, keep: None, options, clock }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn gold(&mut self) -> &mut LocalSettings {
        self.options.tiers.get_mut(TIER).unwrap()
    }

    pub(crate) async fn open(&self) -> LocalBackend {
        // Several at once are for the fence to tell apart: no test relies on the lock here.
        self.open_as(Role::Acts { epoch: 1 }).await
    }

    /// As it is once the loop has ticked in mode `act`.
    pub(crate) async fn open_as(&self, role: Role) -> LocalBackend {
        let backend = self.open_before_the_first_tick(role).await;
        backend.permit(true);
        backend
    }

    pub(crate) async fn open_before_the_first_tick(&self, role: Role) -> LocalBackend {
        LocalBackend::open(self.options.clone(), role, Arc::<TestClock>::clone(&self.clock)).await.unwrap()
    }

    pub(crate) fn clock_now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn log(&self, id: &ReplicaId) -> PathBuf {
        self.options.state_dir.join(format!("replicas/{TIER}-{id}.log"))
    }

    /// The living processes of this fleet: its engines run in its directory.
    pub(crate) fn processes(&self) -> Vec<Seen> {
        living(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|dir| dir == self.dir))
    }
}

impl Drop for Machine {
    #[expect(clippy::disallowed_methods, reason = "a drop cannot await")]
    fn drop(&mut self) {
        while self.keep.is_some() {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            for process in left {
                let _ = kill_process(Pid::from_raw(process.pid).unwrap(), Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A living process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) pid: i32,
    pub(crate) group: i32,
}

impl Seen {
    pub(crate) fn leads(&self) -> bool {
        self.pid == self.group
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid).unwrap(), signal).unwrap();
    }
}

/// The living processes of one replica.
pub(crate) fn processes_of(id: &ReplicaId) -> Vec<Seen> {
    let wanted = format!("EVENKEEL_INTENT={id}");
    living(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == wanted.as_bytes())
    })
}

/// The first process of one replica. It shows its own environment a little after it was started.
pub(crate) fn leader_of(id: &ReplicaId) -> Seen {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(leader) = processes_of(id).into_iter().find(Seen::leads) {
            return leader;
        }
        assert!(Instant::now() < deadline, "the replica has no first process");
        std::thread::yield_now();
    }
}

fn living(counts: impl Fn(i32) -> bool) -> Vec<Seen> {
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&pid| counts(pid)).filter_map(look).collect()
}

/// The process with number `pid`, if it lives.
pub(crate) fn look(pid: i32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (fields[0] != "Z").then(|| Seen { pid, group: fields[2].parse().unwrap() })
}

pub(crate) fn new_id() -> ReplicaId {
    ReplicaId(uuid::Uuid::new_v4().to_string())
}

pub(crate) fn order(launch: &[&ReplicaId], end: &[&ReplicaId]) -> Order {
    Order {
        tier: TIER.to_owned(),
        epoch: 1,
        desired: 0,
        launch: launch.iter().map(|&id| id.clone()).collect(),
        end: end.iter().map(|&id| id.clone()).collect(),
        grace: Duration::from_secs(20),
    }
}

pub(crate) async fn launch(backend: &LocalBackend, ids: &[&ReplicaId]) -> Result<(), BackendError> {
    backend.apply(&order(ids, &[])).await
}

pub(crate) async fn end(backend: &LocalBackend, ids: &[&ReplicaId]) {
    backend.apply(&order(&[], ids)).await.unwrap();
}

pub(crate) async fn find(backend: &LocalBackend, id: &ReplicaId) -> Option<BackendReplica> {
    backend.list(TIER).await.unwrap().into_iter().find(|replica| replica.id == *id)
}

/// Launches one replica and waits until it serves.
pub(crate) async fn serving(backend: &LocalBackend) -> ReplicaId {
    let id = new_id();
    launch(backend, &[&id]).await.unwrap();
    until_state(backend, &id, ReplicaState::Ready).await;
    id
}

pub(crate) async fn until_state(backend: &LocalBackend, id: &ReplicaId, state: ReplicaState) -> BackendReplica {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = find(backend, id).await;
        match &found {
            Some(replica) if replica.state == state => return replica.clone(),
            _ => assert!(Instant::now() < deadline, "not {state:?} in time: {found:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The replica comes into `state` and stays in it for `span`.
pub(crate) async fn until_state_for(backend: &LocalBackend, id: &ReplicaId, state: ReplicaState, span: Duration) {
    until_state(backend, id, state).await;
    let end = Instant::now() + span;
    while Instant::now() < end {
        let found = find(backend, id).await;
        assert_eq!(found.map(|replica| replica.state), Some(state));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn until_gone(backend: &LocalBackend, id: &ReplicaId) {
    until("the replica is gone", async || find(backend, id).await.is_none()).await;
}

pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a replica says about itself.
pub(crate) fn about(url: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /about HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
