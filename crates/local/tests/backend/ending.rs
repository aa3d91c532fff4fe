use crate::machine::{Machine, end, find, new_id, order, processes_of, serving, until, until_gone, until_state};
use evenkeel_controller::ports::{Backend, Order};
use evenkeel_core::observe::ReplicaState;
use evenkeel_local::backend::{FleetLock, Stopped, stop_fleet};
use std::time::Duration;

#[tokio::test]
async fn an_ended_replica_leaves_the_list_with_its_last_process() {
    let machine = Machine::new(&["child"]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    assert_eq!(processes_of(&id).len(), 2);
    end(&backend, &[&id]).await;
    until_gone(&backend, &id).await;
    assert_eq!(processes_of(&id), []);
    // Once more, and one that never was: nothing to do, no error.
    end(&backend, &[&id, &new_id()]).await;
}

#[tokio::test]
async fn what_ignores_sigterm_is_draining_until_it_is_killed_at_the_deadline() {
    let machine = Machine::new(&["ignore-term"]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    backend.apply(&Order { grace: Duration::from_secs(3), ..order(&[], &[&id]) }).await.unwrap();
    let draining = find(&backend, &id).await.unwrap();
    assert_eq!(draining.state, ReplicaState::Draining);
    // Told again it keeps its first deadline and its time.
    end(&backend, &[&id]).await;
    assert_eq!(find(&backend, &id).await, Some(draining));
    until_gone(&backend, &id).await;
    assert_eq!(processes_of(&id), []);
}

#[tokio::test]
async fn a_tree_whose_first_process_ends_first_is_ended_wholly() {
    let machine = Machine::new(&["child", "stubborn-grandchild"]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    until("the tree stands", async || processes_of(&id).len() == 4).await;
    backend.apply(&Order { grace: Duration::from_secs(3), ..order(&[], &[&id]) }).await.unwrap();
    until("the first process has ended", async || processes_of(&id).iter().all(|process| !process.leads())).await;
    assert_eq!(find(&backend, &id).await.unwrap().state, ReplicaState::Draining);
    until_gone(&backend, &id).await;
    assert_eq!(processes_of(&id), []);
}

#[tokio::test]
async fn a_process_that_left_the_group_does_not_outlive_the_replica() {
    let machine = Machine::new(&["stray"]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    until("the stray has its own group", async || processes_of(&id).iter().filter(|one| one.leads()).count() == 2)
        .await;
    end(&backend, &[&id]).await;
    until_gone(&backend, &id).await;
    until("the stray is gone", async || processes_of(&id).is_empty()).await;
}

#[tokio::test]
async fn a_replica_that_is_still_starting_can_be_ended() {
    let machine = Machine::new(&["never-ready"]);
    let backend = machine.open().await;
    let id = new_id();
    backend.apply(&order(&[&id], &[])).await.unwrap();
    end(&backend, &[&id]).await;
    until_gone(&backend, &id).await;
    assert_eq!(processes_of(&id), []);
}

#[tokio::test]
async fn a_fleet_is_stopped_without_a_controller_and_nothing_else_is() {
    let machine = Machine::new(&["stubborn-grandchild"]);
    let neighbour = Machine::new(&[]);
    let (backend, other) = (machine.open().await, neighbour.open().await);
    let mut ids = [serving(&backend).await, serving(&backend).await];
    let spared = serving(&other).await;
    drop(backend);
    let lock = FleetLock::acquire(&machine.options.state_dir, machine.clock_now()).unwrap();
    let stopped = stop_fleet(&lock, "game", Duration::from_secs(2)).await.unwrap();
    ids.sort();
    assert_eq!(stopped, ids.map(|id| Stopped { tier: "gold".to_owned(), id }));
    assert!(machine.processes().is_empty());
    // The neighbour's fleet has the same name.
    until_state(&other, &spared, ReplicaState::Ready).await;
    assert_eq!(stop_fleet(&lock, "game", Duration::ZERO).await.unwrap(), []);
}
