//! The backend against a model that is no more than the set of intents that live: whatever is launched, ended and killed
//! in whatever order, and whichever controllers come, go and come back, the replicas on the machine are the model's.
//!
//! The sequence is drawn from `EVENKEEL_SEED` and has `EVENKEEL_STEPS` steps; a failure prints it.

use crate::machine::{Machine, TIER, look, new_id, order, processes_of, until};
use evenkeel_controller::ports::{Backend, BackendError, Order};
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_core::units::Span;
use evenkeel_local::backend::{FleetLock, LocalBackend, LockError, Role};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// More replicas than this would say nothing new.
const MOST: usize = 5;
/// Longer than a circuit stays open.
const AFTER_ANY_FAILURE: Span = Span::from_secs(700);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Launch,
    End,
    /// An order of before comes once more.
    RepeatOrder,
    /// A replica's first process is killed.
    KillReplica,
    /// One of its other processes is.
    KillChild,
    /// The controller is killed between two orders, and another starts.
    KillController,
    /// The controller is killed, then a replica, and then another controller starts.
    KillBoth,
    /// Another controller takes over from one that does not notice.
    TakeOver,
    /// The one that did not notice gives an order.
    OrderOfOlderEpoch,
    LoseRecord,
    /// A controller that only stands by looks, too.
    Observe,
}

impl Step {
    /// Each as often as it is in here.
    const URN: [Self; 17] = [
        Self::Launch,
        Self::Launch,
        Self::Launch,
        Self::Launch,
        Self::End,
        Self::End,
        Self::RepeatOrder,
        Self::KillReplica,
        Self::KillReplica,
        Self::KillChild,
        Self::KillController,
        Self::KillController,
        Self::KillBoth,
        Self::TakeOver,
        Self::OrderOfOlderEpoch,
        Self::LoseRecord,
        Self::Observe,
    ];
}

struct Controller {
    backend: LocalBackend,
    epoch: u64,
    _lock: FleetLock,
}

struct World {
    machine: Machine,
    random: Pcg64,
    controller: Option<Controller>,
    /// One that another has taken over from, with its epoch.
    stale: Option<(LocalBackend, u64)>,
    /// The model.
    living: BTreeSet<ReplicaId>,
    launched: Vec<ReplicaId>,
    told: Vec<String>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut world = Self {
            machine: Machine::new(&["child"]),
            random: Pcg64::seed_from_u64(seed),
            controller: None,
            stale: None,
            living: BTreeSet::new(),
            launched: Vec::new(),
            told: vec![format!("seed {seed}")],
        };
        world.start_controller().await;
        world
    }

    fn draw(&mut self, below: usize) -> usize {
        (self.random.next_u64() % below as u64) as usize
    }

    fn draw_living(&mut self) -> Option<ReplicaId> {
        let index = self.draw(self.living.len().max(1));
        self.living.iter().nth(index).cloned()
    }

    fn backend(&self) -> &LocalBackend {
        &self.controller.as_ref().unwrap().backend
    }

    async fn start_controller(&mut self) {
        let mut lock = None;
        // A process that is being started has our files open until it runs its own program, and with them the lock.
        until("the lock is free", async || {
            match FleetLock::acquire(&self.machine.options.state_dir, self.machine.clock_now()) {
                Err(LockError::Held(_)) => false,
                taken => lock.replace(taken.unwrap()).is_none(),
            }
        })
        .await;
        let lock = lock.unwrap();
        let backend = self.machine.open_as(Role::from(&lock)).await;
        self.controller = Some(Controller { backend, epoch: lock.epoch(), _lock: lock });
    }

    /// The order under the epoch in force, until it is carried out: after a failure the backend asks for patience.
    async fn carry_out(&self, launch: &[ReplicaId], end: &[ReplicaId]) {
        let Controller { backend, epoch, .. } = self.controller.as_ref().unwrap();
        let order =
            Order { epoch: *epoch, ..order(&launch.iter().collect::<Vec<_>>(), &end.iter().collect::<Vec<_>>()) };
        until("the order is carried out", async || match backend.apply(&order).await {
            Err(BackendError::Busy(_) | BackendError::NoCapacity(_)) => {
                self.machine.clock.advance(AFTER_ANY_FAILURE);
                false
            }
            outcome => outcome.map(|()| true).unwrap(),
        })
        .await;
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Launch => {
                let room = MOST - self.living.len();
                let intents: Vec<ReplicaId> = (0..(1 + self.draw(2)).min(room)).map(|_| new_id()).collect();
                self.carry_out(&intents, &[]).await;
                self.launched.extend(intents.iter().cloned());
                self.living.extend(intents);
            }
            Step::End => {
                let ended: Vec<ReplicaId> = self.draw_living().into_iter().collect();
                self.carry_out(&[], &ended).await;
                self.living.retain(|id| !ended.contains(id));
            }
            Step::RepeatOrder => {
                let index = self.draw(self.launched.len().max(1));
                let again: Vec<ReplicaId> = self.launched.get(index).into_iter().cloned().collect();
                let gone: Vec<ReplicaId> = again.iter().filter(|id| !self.living.contains(*id)).cloned().collect();
                self.carry_out(&again, &gone).await;
                self.carry_out(&again, &[]).await;
            }
            Step::KillReplica => self.kill_replica(true).await,
            Step::KillChild => self.kill_replica(false).await,
            Step::KillController => {
                self.controller = None;
                self.start_controller().await;
            }
            Step::KillBoth => {
                self.controller = None;
                self.kill_replica(true).await;
                self.start_controller().await;
            }
            Step::TakeOver => {
                let Controller { backend, epoch, .. } = self.controller.take().unwrap();
                self.stale = Some((backend, epoch));
                self.start_controller().await;
            }
            Step::OrderOfOlderEpoch => self.order_of_older_epoch().await,
            Step::LoseRecord => {
                if let Some(id) = self.draw_living() {
                    let record = self.machine.log(&id).with_extension("json");
                    assert!(fs::remove_file(&record).is_ok() || !record.exists());
                }
            }
            Step::Observe => {
                let observer = self.machine.open_as(Role::Observes).await;
                until("the observer sees them", async || living_of(&observer).await == self.living).await;
            }
        }
    }

    /// Kills a replica's first process, or its child once it has that; the way to the engine may lead over others.
    async fn kill_replica(&mut self, first: bool) {
        let Some(id) = self.draw_living() else { return };
        let mut victim = None;
        until("it has the process", async || {
            let mut processes = processes_of(&id).into_iter();
            victim = processes.find(|it| if first { it.leads() } else { name_of(it.pid) == "sleep" });
            victim.is_some()
        })
        .await;
        let victim = victim.unwrap();
        victim.signal(Signal::KILL);
        until("it is dead", async || look(victim.pid).is_none()).await;
        if !first {
            // One that lost only its child goes on, until it is told to end.
            assert!(processes_of(&id).iter().any(|it| it.leads()), "{id} ended with its child");
            self.carry_out(&[], std::slice::from_ref(&id)).await;
        }
        self.living.remove(&id);
    }

    async fn order_of_older_epoch(&mut self) {
        let victim = self.draw_living();
        let Some((stale, epoch)) = &self.stale else { return };
        let current = self.controller.as_ref().unwrap().epoch;
        let newcomer = new_id();
        let order = Order { epoch: *epoch, ..order(&[&newcomer], &victim.iter().collect::<Vec<_>>()) };
        assert_eq!(stale.apply(&order).await, Err(BackendError::Fenced { current }));
    }

    /// No replica more and none less, each with its one first process and its child, and nothing of any other.
    async fn is_as_modelled(&self) {
        until("the list is the model", async || living_of(self.backend()).await == self.living).await;
        until("the machine is the model", async || {
            self.living.iter().all(|id| {
                let processes = processes_of(id);
                processes.len() == 2 && processes.iter().filter(|it| it.leads()).count() == 1
            }) && self.machine.processes().len() == 2 * self.living.len()
        })
        .await;
        for id in &self.launched {
            let log = fs::read_to_string(self.machine.log(id)).unwrap_or_default();
            assert!(log.matches("starting on").count() <= 1, "{id} was started twice: {log}");
        }
    }
}

fn name_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

async fn living_of(backend: &LocalBackend) -> BTreeSet<ReplicaId> {
    let listed = backend.list(TIER).await.unwrap().into_iter();
    listed.filter(|it| matches!(it.state, ReplicaState::Starting | ReplicaState::Ready)).map(|it| it.id).collect()
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the sequence, {} living in the model at its end:", self.living.len());
            self.told.iter().for_each(|step| eprintln!("  {step}"));
        }
    }
}

fn from_environment(name: &str, or: u64) -> u64 {
    std::env::var(name).map_or(or, |value| value.parse().unwrap())
}

#[tokio::test]
async fn whatever_happens_in_whatever_order_the_replicas_are_those_of_the_model() {
    let steps = from_environment("EVENKEEL_STEPS", 40);
    let mut world = World::new(from_environment("EVENKEEL_SEED", 1)).await;
    for number in 1..=steps {
        let step = Step::URN[world.draw(Step::URN.len())];
        world.told.push(format!("{number}: {step:?}"));
        world.take(step).await;
        // Now and then the next step comes before the last one has had its whole effect.
        if world.draw(3) > 0 {
            world.is_as_modelled().await;
        } else {
            tokio::time::sleep(Duration::from_millis(world.draw(60) as u64)).await;
        }
    }
    world.is_as_modelled().await;
}
