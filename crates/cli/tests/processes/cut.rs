//! The fleet is cut at every failpoint: the process dies, the step fails, or it hangs. Afterwards the fleet is what it
//! should be: no orphan, no double, no scale-in that nobody asked for, no asynchronous request lost, and the journal
//! replays.
//!
//! Which action and which visit a point gets is drawn from a seed, `EVENKEEL_SEED`; with `EVENKEEL_ALL_ACTIONS` each point
//! gets all three.

use crate::client::exchange;
use crate::world::{PATIENCE, World, launches, ready};
use evenkeel_failpoint::Point;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng as _;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const ACTIONS: [&str; 3] = ["crash", "error", "delay"];
/// An asynchronous tier, small and quick.
pub(crate) const BRONZE: &str = "
  bronze:
    model: large
    replicas: {minimum: 1, maximum: 1}
    price: $1/hour
    slo: {attainment: 95%, objectives: [{queue_time: {p95: 30s}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 1/min}
    profile: {source: estimate, iteration: 20ms, per_sequence: 1ms, per_prefill_token: 100us, max_batched_tokens: 256, max_sequences: 4, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 1s
    policies: [{capacity: {window: 2s, hold: 3s}}]
    backend: {local: {command: [evenkeel, replica, --fleet, \"{file}\", --tier, bronze, --port, \"{port}\"], start_deadline: 20s, drain_deadline: 20s, grace: 5s}}
    asynchronous: {max_queued: 100, lease: 20s, max_attempts: 3, result_ttl: 1h, result_max: 1MiB}
criteria:";

macro_rules! cut_at_each {
    ($($name:ident: $point:ident,)*) => {
        $(#[test]
        fn $name() {
            cut(Point::$point);
        })*

        #[test]
        fn every_point_is_cut() {
            assert_eq!([$(Point::$point),*], Point::ALL);
        }
    };
}

cut_at_each! {
    before_a_journals_transaction: JournalBegin,
    before_a_journals_commit: JournalCommit,
    after_a_journals_commit: JournalCommitted,
    before_a_state_file_is_written: StateWrite,
    before_a_state_file_replaces_the_old_one: StateRename,
    after_a_state_file_has_replaced_the_old_one: StateRenamed,
    when_replicas_are_listed: BackendList,
    before_an_order_is_carried_out: BackendApply,
    before_a_replica_is_started: BackendSpawn,
    after_a_replica_is_started: BackendSpawned,
    before_a_replica_is_told_to_end: BackendEnd,
    after_an_order_is_carried_out: BackendApplied,
    before_a_route_table_is_kept: RoutesKeep,
    before_a_request_goes_to_a_replica: HandOver,
    after_a_replica_has_begun_to_answer: HandedOver,
    before_the_asynchronous_queues_commit: QueueCommit,
    after_the_asynchronous_queues_commit: QueueCommitted,
}

fn cut(point: Point) {
    let seed = std::env::var("EVENKEEL_SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    let mut random = Pcg64::new(seed, point as u128);
    let drawn = random.next_u64() as usize % ACTIONS.len();
    let all = std::env::var_os("EVENKEEL_ALL_ACTIONS").is_some();
    for action in if all { &ACTIONS[..] } else { &ACTIONS[drawn..=drawn] } {
        let visit = 1 + random.next_u64() % visits(point);
        eprintln!("seed {seed}: {action} at visit {visit} of {}", point.name());
        Scenario::new(point, visit, action).play();
    }
}

/// So many visits of a point every scenario makes.
const fn visits(point: Point) -> u64 {
    match point {
        Point::JournalBegin | Point::JournalCommit | Point::JournalCommitted | Point::BackendList => 10,
        Point::HandOver | Point::HandedOver => 20,
        Point::QueueCommit | Point::QueueCommitted => 4,
        Point::StateWrite | Point::StateRename | Point::StateRenamed => 4,
        Point::BackendApply | Point::BackendApplied | Point::BackendSpawn | Point::BackendSpawned => 3,
        Point::BackendEnd => 1,
        Point::RoutesKeep => 2,
    }
}

const fn is_the_gateways(point: Point) -> bool {
    matches!(
        point,
        Point::RoutesKeep | Point::HandOver | Point::HandedOver | Point::QueueCommit | Point::QueueCommitted
    )
}

struct Scenario {
    world: World,
    /// What is to be cut: `run` or `gateway`.
    part: &'static str,
    number: usize,
    point: Point,
    /// The part that is cut may end of it: somebody starts it again.
    may_end: bool,
    /// Processes of replicas that were there when the fleet was largest.
    largest: BTreeSet<i32>,
}

impl Scenario {
    fn new(point: Point, visit: u64, action: &str) -> Self {
        let mut world = World::new("");
        world.edit("\ncriteria:", BRONZE);
        let part = if is_the_gateways(point) { "gateway" } else { "run" };
        let schedule = format!("{}:{visit}={action}", point.name());
        let mut number = 0;
        for each in ["run", "gateway"] {
            let started = world.start_to_fail(each, if each == part { &schedule } else { "" });
            if each == part {
                number = started;
            }
        }
        // The first state file of all is the epoch, without which no controller begins.
        let epoch = matches!(point, Point::StateWrite | Point::StateRename | Point::StateRenamed) && visit == 1;
        let may_end = action == "crash" || epoch && action == "error";
        Self { world, part, number, point, may_end, largest: BTreeSet::new() }
    }

    /// One replica, three, then two again, under traffic; whatever dies is started again.
    fn play(mut self) {
        let first_number = self.number;
        self.until("the first replica", |gold| ready(gold) == 1);
        self.until_living(2);
        let first = self.living();
        let gateway = self.world.gateway().to_owned();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let ending = Ending(&done);
            let traffic = scope.spawn(|| traffic(&gateway, &done));
            self.ordered(&["--at-least", "3"]);
            self.until("three", |gold| ready(gold) == 3 && gold["decision"]["supply"]["starting"] == 0);
            self.until_living(4);
            self.largest = self.living();
            assert!(first.is_subset(&self.largest), "{first:?} were there, now {:?}", self.largest);
            self.ordered(&["--at-least", "2", "--at-most", "2"]);
            self.until("two", |gold| ready(gold) == 2 && gold["decision"]["supply"]["draining"] == 0);
            self.until_reached(first_number);
            drop(ending);
            let told = traffic.join().unwrap();
            let gateway_dies = self.part == "gateway" && self.may_end;
            assert!(gateway_dies || told.failed == 0, "{} requests failed", told.failed);
            self.answered(&gateway, &told.accepted);
        });
        self.assert_whole();
    }

    /// Starts the part that was cut again if it has died.
    fn revive(&mut self) {
        if self.world.has_ended(self.number) {
            assert!(self.may_end, "it ended by itself:\n{}", self.log(self.number));
            self.number = self.world.start(self.part);
        }
    }

    fn until(&mut self, what: &str, reached: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.revive();
            let state = self.world.status();
            if state.as_ref().is_some_and(|state| reached(&state["tiers"][0])) {
                return;
            }
            let living = self.world.replicas().len();
            assert!(living <= 4, "{living} replicas live where three and bronze's one are wanted");
            assert!(Instant::now() < deadline, "waited for {what}: {state:?}\n{}", self.log(self.number));
            sleep(Duration::from_millis(100));
        }
    }

    fn living(&self) -> BTreeSet<i32> {
        self.world.replicas().into_iter().collect()
    }

    /// Bronze's replica, which no status of gold tells of, is there as well, and what was ended is gone.
    fn until_living(&mut self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.living().len() != count {
            assert!(Instant::now() < deadline, "waited for {count} replicas: {:?}", self.living());
            self.revive();
            sleep(Duration::from_millis(100));
        }
    }

    /// Gives an order, again while the controller is down.
    fn ordered(&mut self, bounds: &[&str]) {
        let fleet = self.world.fleet.display().to_string();
        let mut arguments = vec!["override", &fleet, "gold", "--until", "600s", "--because", "a test"];
        arguments.extend(bounds);
        let deadline = Instant::now() + PATIENCE;
        while !self.world.evenkeel(&arguments).status.success() {
            assert!(Instant::now() < deadline, "the order is not taken");
            self.revive();
            sleep(Duration::from_millis(100));
        }
    }

    /// The scenario is about a point that it came to.
    fn until_reached(&mut self, number: usize) {
        let words = format!("failpoint {} reached", self.point.name());
        let deadline = Instant::now() + PATIENCE;
        while !self.log(number).contains(&words) {
            assert!(Instant::now() < deadline, "it never came to {}:\n{}", self.point.name(), self.log(number));
            sleep(Duration::from_millis(100));
        }
        // What follows from it, too.
        sleep(Duration::from_secs(1));
        self.revive();
        self.until("two after all", |gold| ready(gold) == 2);
    }

    /// Every request that was accepted is answered.
    fn answered(&mut self, gateway: &str, accepted: &BTreeSet<String>) {
        assert!(!accepted.is_empty());
        let deadline = Instant::now() + PATIENCE;
        for id in accepted {
            loop {
                self.revive();
                let standing = exchange(gateway, "GET", &format!("/v1/async/{id}"), "");
                let (status, body) = standing.unwrap_or_default();
                if body.contains("\"succeeded\"") {
                    break;
                }
                assert!(Instant::now() < deadline, "{id} is {status} {body}");
                sleep(Duration::from_millis(100));
            }
        }
    }

    /// What lives is what the controller knows, its journal tells how it came about, and nobody went but the one that was to
    /// go: no replica was ended and another started for it.
    fn assert_whole(&self) {
        let state = self.world.status().unwrap();
        let tiers = state["tiers"].as_array().unwrap();
        let known: usize = tiers.iter().map(|tier| tier["replicas"].as_array().unwrap().len()).sum();
        let living = self.living();
        assert_eq!((known, living.len()), (3, 3), "{state}");
        assert!(living.is_subset(&self.largest), "of {:?} one was to go, there are {living:?}", self.largest);
        // A start that was cut may leave a log of its own.
        let cut = matches!(self.point, Point::BackendSpawn | Point::BackendSpawned);
        let launched = (launches(&self.world, "gold"), launches(&self.world, "bronze"));
        assert!(launched == (3, 1) || cut && launched.0 + launched.1 == 5, "launches: {launched:?}");
        self.world.assert_replays();
    }

    fn log(&self, number: usize) -> String {
        fs::read_to_string(self.world.log(self.part, number)).unwrap()
    }
}

/// Ends the traffic, also when an assertion fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Told {
    failed: usize,
    accepted: BTreeSet<String>,
}

/// Requests to gold and bronze, one after the other, until `done`.
fn traffic(gateway: &str, done: &AtomicBool) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let tier = if number % 5 == 0 { "bronze" } else { "gold" };
        let body = format!(r#"{{"model": "{tier}", "prompt": "a b c", "max_tokens": 4}}"#);
        match exchange(gateway, "POST", "/v1/completions", &body) {
            Ok((202, answer)) => {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                told.accepted.insert(answer["id"].as_str().unwrap().to_owned());
            }
            Ok((200, _)) => {}
            // It was not accepted, and the client knows: a queue that cannot be written is no lost request.
            Ok((503, answer)) if answer.contains("queue_unusable") => {}
            _ => told.failed += 1,
        }
        sleep(Duration::from_millis(50));
    }
    told
}
