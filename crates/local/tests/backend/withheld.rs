//! What the backend does not do of itself while the loop does not permit it: before the first tick, in mode `observe` or
//! `advise`, during a pause. Each test lets several start deadlines pass.

use crate::failing::answer_ok_on;
use crate::machine::{Machine, end, find, launch, leader_of, new_id, processes_of, serving, until, until_gone};
use crate::machine::{until_state, until_state_for};
use evenkeel_controller::ports::Backend;
use evenkeel_core::observe::ReplicaState;
use evenkeel_core::units::Span;
use evenkeel_local::backend::Role;
use rustix::process::Signal;
use std::net::TcpListener;
use std::time::Duration;

const SEVERAL_DEADLINES: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_replica_that_was_stopped_to_look_into_it_during_a_pause_is_not_ended() {
    let mut machine = Machine::new(&[]);
    machine.gold().start_deadline = Span::from_secs(1);
    let backend = machine.open().await;
    // Its own start takes longer than the deadline where the machine is busy.
    backend.permit(false);
    let id = serving(&backend).await;
    leader_of(&id).signal(Signal::STOP);
    until_state(&backend, &id, ReplicaState::Starting).await;
    until_state_for(&backend, &id, ReplicaState::Starting, SEVERAL_DEADLINES).await;
    leader_of(&id).signal(Signal::CONT);
    until_state(&backend, &id, ReplicaState::Ready).await;

    // The pause is over: from now on its patience runs out.
    leader_of(&id).signal(Signal::STOP);
    until_state(&backend, &id, ReplicaState::Starting).await;
    backend.permit(true);
    until_state(&backend, &id, ReplicaState::Failed).await;
    until("it is ended", async || processes_of(&id).is_empty()).await;
}

#[tokio::test]
async fn nothing_is_ended_before_the_first_tick_and_an_order_is_carried_out_all_the_same() {
    let mut machine = Machine::new(&["never-ready"]);
    machine.gold().start_deadline = Span::from_secs(1);
    let backend = machine.open_before_the_first_tick(Role::Acts { epoch: 1 }).await;
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    until_state_for(&backend, &id, ReplicaState::Starting, SEVERAL_DEADLINES).await;
    assert_eq!(processes_of(&id).len(), 1);
    end(&backend, &[&id]).await;
    until_gone(&backend, &id).await;
    assert_eq!(processes_of(&id), []);
}

#[tokio::test]
async fn a_replica_whose_port_was_taken_is_started_elsewhere_only_once_that_is_permitted() {
    let machine = Machine::new(&["deaf-at-first"]);
    let backend = machine.open().await;
    backend.permit(false);
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    let url = find(&backend, &id).await.unwrap().url.unwrap();
    until("the engine runs", async || machine.dir().join("tried").exists()).await;
    let before = processes_of(&id);
    answer_ok_on(TcpListener::bind(url.strip_prefix("http://").unwrap()).unwrap());
    until_state_for(&backend, &id, ReplicaState::Starting, SEVERAL_DEADLINES).await;
    assert_eq!((find(&backend, &id).await.unwrap().url, processes_of(&id)), (Some(url.clone()), before));
    backend.permit(true);
    until("it moved", async || find(&backend, &id).await.unwrap().url.is_some_and(|now| now != url)).await;
}

#[tokio::test]
async fn what_a_dead_first_process_left_behind_stays_for_whoever_looks_into_it() {
    let mut machine = Machine::new(&["child", "stubborn-grandchild"]);
    machine.gold().grace = Span::from_secs(1);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    until("the tree stands", async || processes_of(&id).len() == 4).await;
    backend.permit(false);
    leader_of(&id).signal(Signal::KILL);
    until_state_for(&backend, &id, ReplicaState::Failed, SEVERAL_DEADLINES).await;
    assert_eq!(processes_of(&id).len(), 3);
    backend.permit(true);
    until("its leftovers are ended", async || processes_of(&id).is_empty()).await;
}
