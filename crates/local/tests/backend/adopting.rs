use crate::machine::{Machine, Seen, end, find, launch, leader_of, look, new_id, order, processes_of, serving};
use crate::machine::{until, until_gone, until_state};
use evenkeel_controller::ports::{Backend, BackendError, Order};
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_core::units::Span;
use evenkeel_local::backend::{FleetLock, LockError, Role};
use rustix::process::Signal;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[tokio::test]
async fn a_dropped_backend_leaves_its_replicas_to_the_next_one() {
    let machine = Machine::new(&["child"]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    let before = find(&backend, &id).await.unwrap();
    drop(backend);
    let next = machine.open().await;
    let adopted = find(&next, &id).await.unwrap();
    assert_eq!((adopted.state, &adopted.url), (ReplicaState::Ready, &before.url));
    // A replayed order changes nothing, and a new replica gets another index.
    launch(&next, &[&id]).await.unwrap();
    assert_eq!(processes_of(&id).len(), 2);
    let other = serving(&next).await;
    let about = crate::machine::about(&find(&next, &other).await.unwrap().url.unwrap());
    assert_eq!(about["environment"]["EVENKEEL_INDEX"], "1");
    end(&next, &[&id]).await;
    until_gone(&next, &id).await;
    assert_eq!(processes_of(&id), []);
}

#[tokio::test]
async fn an_adopted_replica_that_dies_is_noticed() {
    let machine = Machine::new(&[]);
    let owner = Owner::start(&machine).await;
    owner.kill().await;
    let backend = machine.open().await;
    until_state(&backend, &owner.id, ReplicaState::Ready).await;
    leader_of(&owner.id).signal(Signal::KILL);
    let failed = until_state(&backend, &owner.id, ReplicaState::Failed).await;
    assert!(failed.note.unwrap().starts_with("ended; its log is "));
}

#[tokio::test]
async fn after_a_kill_9_of_the_controller_the_next_one_has_the_lock_a_higher_epoch_and_the_same_replicas() {
    let machine = Machine::new(&["child"]);
    let owner = Owner::start(&machine).await;
    let now = machine.clock_now();
    let Err(LockError::Held(holder)) = FleetLock::acquire(&machine.options.state_dir, now) else {
        panic!("the owner lost its lock")
    };
    assert_eq!(holder.pid, Some(owner.process.id()));
    owner.kill().await;
    assert_eq!(processes_of(&owner.id).len(), 2, "replicas outlive their controller");

    let lock = FleetLock::acquire(&machine.options.state_dir, now).unwrap();
    assert_eq!(lock.epoch(), 2);
    let backend = machine.open_as(Role::from(&lock)).await;
    assert_eq!(find(&backend, &owner.id).await.unwrap().state, ReplicaState::Ready);
    backend.apply(&Order { epoch: 2, ..order(&[&owner.id], &[]) }).await.unwrap();
    assert_eq!(processes_of(&owner.id).len(), 2, "nothing is launched twice");
    backend.apply(&Order { epoch: 2, ..order(&[], &[&owner.id]) }).await.unwrap();
    until_gone(&backend, &owner.id).await;
    assert!(machine.processes().is_empty());
}

#[tokio::test]
async fn an_end_that_was_ordered_before_a_kill_9_is_carried_through_by_the_next_controller() {
    let machine = Machine::new(&["ignore-term"]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    backend.apply(&Order { grace: Duration::from_secs(2), ..order(&[], &[&id]) }).await.unwrap();
    // Dropping aborts the task like a kill would, before the grace is over.
    drop(backend);
    let next = machine.open().await;
    assert_eq!(find(&next, &id).await.unwrap().state, ReplicaState::Draining);
    until_gone(&next, &id).await;
    assert_eq!(processes_of(&id), []);
}

#[tokio::test]
async fn what_a_dead_first_process_left_behind_is_ended_at_the_next_start() {
    let mut machine = Machine::new(&["child", "stubborn-grandchild"]);
    machine.gold().grace = Span::from_secs(1);
    let owner = Owner::start(&machine).await;
    owner.kill().await;
    leader_of(&owner.id).signal(Signal::KILL);
    until("the first process is gone", async || processes_of(&owner.id).len() == 3).await;
    let backend = machine.open().await;
    until_state(&backend, &owner.id, ReplicaState::Failed).await;
    until("its leftovers are ended", async || processes_of(&owner.id).is_empty()).await;
}

#[tokio::test]
async fn a_program_that_writes_over_its_environment_is_found_by_its_record() {
    let machine = Machine::new(&["overwrite-environment"]);
    let owner = Owner::start(&machine).await;
    owner.kill().await;
    assert_eq!(processes_of(&owner.id), [], "the environment tells nothing");
    let backend = machine.open().await;
    let adopted = find(&backend, &owner.id).await.expect("found by its record");
    assert_eq!(adopted.state, ReplicaState::Ready);
    end(&backend, &[&owner.id]).await;
    until_gone(&backend, &owner.id).await;
    until("it stopped listening", async || {
        std::net::TcpStream::connect(adopted.url.as_ref().unwrap().trim_start_matches("http://")).is_err()
    })
    .await;
}

#[tokio::test]
async fn a_replica_without_a_record_is_found_by_its_environment() {
    let machine = Machine::new(&[]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    drop(backend);
    fs::remove_file(machine.log(&id).with_extension("json")).unwrap();
    let next = machine.open().await;
    assert_eq!(find(&next, &id).await.unwrap().state, ReplicaState::Ready);
    end(&next, &[&id]).await;
    until_gone(&next, &id).await;
    assert_eq!(processes_of(&id), []);
}

#[tokio::test]
async fn a_stranger_that_was_given_a_replicas_old_process_number_is_left_alone() {
    let machine = Machine::new(&[]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    drop(backend);
    let record = machine.log(&id).with_extension("json");
    let mut written: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let replica = leader_of(&id);
    replica.signal(Signal::KILL);
    until("the replica is gone", async || look(replica.pid).is_none()).await;

    // As if its number had been given to this process, which leads a group as a replica does.
    let mut stranger = Stranger(own_group(Command::new("sleep").arg("1000").env_clear()).spawn().unwrap());
    written["process"]["pid"] = stranger.0.id().into();
    fs::write(&record, serde_json::to_vec(&written).unwrap()).unwrap();
    let observer = machine.open_as(Role::Observes).await;
    assert_eq!(find(&observer, &id).await, None);
    assert!(record.exists(), "an observer touches nothing");
    let next = machine.open().await;
    assert_eq!(find(&next, &id).await, None);
    assert!(!record.exists(), "the record of a replica that is gone goes, too");
    end(&next, &[&id]).await;
    assert!(stranger.0.try_wait().unwrap().is_none(), "the stranger lives");
}

#[tokio::test]
async fn replicas_of_a_tier_that_left_the_fleet_file_are_shown_and_left_running() {
    let mut machine = Machine::new(&[]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    drop(backend);
    machine.options.tiers.clear();
    let next = machine.open().await;
    assert_eq!(next.strays(), [("gold".to_owned(), id.clone())]);
    assert_eq!(find(&next, &id).await.unwrap().state, ReplicaState::Ready);
}

#[tokio::test]
async fn an_observer_sees_what_the_controller_does_and_touches_nothing() {
    let mut machine = Machine::new(&["ignore-term"]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    machine.gold().start_deadline = Span::ZERO;
    let observer = machine.open_as(Role::Observes).await;
    assert_eq!(find(&observer, &id).await.unwrap().state, ReplicaState::Ready);
    assert!(matches!(launch(&observer, &[&new_id()]).await, Err(BackendError::Denied(_))));

    // A replica that hangs past the observer's deadline is not ended by it.
    leader_of(&id).signal(Signal::STOP);
    until_state(&observer, &id, ReplicaState::Starting).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(find(&observer, &id).await.unwrap().state, ReplicaState::Starting);
    leader_of(&id).signal(Signal::CONT);
    until_state(&observer, &id, ReplicaState::Ready).await;

    end(&backend, &[&id]).await;
    until_state(&observer, &id, ReplicaState::Draining).await;
    leader_of(&id).signal(Signal::KILL);
    until_gone(&observer, &id).await;
    until_gone(&backend, &id).await;
}

#[tokio::test]
async fn a_controller_that_was_superseded_leaves_a_hanging_replica_to_its_successor() {
    let mut machine = Machine::new(&["never-ready"]);
    machine.gold().start_deadline = Span::from_secs(2);
    let stale = machine.open().await;
    let id = new_id();
    launch(&stale, &[&id]).await.unwrap();
    // The successor's lock raises the epoch; it has not looked at the replica yet.
    let lock = FleetLock::acquire(&machine.options.state_dir, machine.clock_now()).unwrap();
    assert_eq!(lock.epoch(), 2);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(find(&stale, &id).await.unwrap().state, ReplicaState::Starting);
    assert!(!processes_of(&id).is_empty());
}

/// A controller in a process of its own, so that it can be killed.
struct Owner {
    process: Child,
    id: ReplicaId,
}

impl Owner {
    async fn start(machine: &Machine) -> Self {
        let id = new_id();
        let flags = machine.options.tiers["gold"].command[3..].join(" ");
        let process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "adopting::a_controller_to_be_killed", "--ignored", "--nocapture"])
            .env("OWNER_DIR", machine.dir())
            .env("OWNER_ID", &id.0)
            .env("OWNER_FLAGS", flags)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let owner = Self { process, id };
        until("the owner serves", async || machine.dir().join("owner-serves").exists()).await;
        owner
    }

    async fn kill(&self) {
        let owner = Seen { pid: self.process.id().cast_signed(), group: 0 };
        owner.signal(Signal::KILL);
        until("the owner is gone", async || look(owner.pid).is_none()).await;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "the tests above run it as another process"]
async fn a_controller_to_be_killed() {
    let dir = PathBuf::from(env::var("OWNER_DIR").unwrap());
    let flags = env::var("OWNER_FLAGS").unwrap();
    let machine = Machine::at(dir, &flags.split_whitespace().collect::<Vec<_>>());
    let lock = FleetLock::acquire(&machine.options.state_dir, machine.clock_now()).unwrap();
    let backend = machine.open_as(Role::from(&lock)).await;
    let id = ReplicaId(env::var("OWNER_ID").unwrap());
    backend.apply(&Order { epoch: lock.epoch(), ..order(&[&id], &[]) }).await.unwrap();
    until_state(&backend, &id, ReplicaState::Ready).await;
    fs::write(machine.dir().join("owner-serves"), "").unwrap();
    std::future::pending::<()>().await;
}

/// A process that has nothing to do with any fleet.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn own_group(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}
