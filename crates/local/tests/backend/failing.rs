use crate::machine::{Machine, find, launch, leader_of, new_id, processes_of, serving, until, until_gone, until_state};
use evenkeel_controller::ports::BackendError;
use evenkeel_core::observe::ReplicaState;
use evenkeel_core::units::Span;
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};

#[tokio::test]
async fn a_killed_replica_is_reported_with_its_cause_and_then_forgotten() {
    let machine = Machine::new(&["child", "stubborn-grandchild"]);
    let mut machine = machine;
    machine.gold().grace = Span::from_secs(1);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    leader_of(&id).signal(Signal::KILL);
    let failed = until_state(&backend, &id, ReplicaState::Failed).await;
    assert!(failed.note.unwrap().contains("ended by signal 9"));
    assert_eq!(failed.url, None);
    until("its leftovers are ended", async || processes_of(&id).is_empty()).await;

    // The next decision's replica waits a second; the failed one is shown for thirty.
    let next = new_id();
    machine.clock.advance(Span::from_secs(1));
    launch(&backend, &[&next]).await.unwrap();
    machine.clock.advance(Span::from_secs(30));
    until_gone(&backend, &id).await;
    until_state(&backend, &next, ReplicaState::Ready).await;
}

#[tokio::test]
async fn a_changed_command_is_tried_at_once() {
    let mut machine = Machine::new(&["crash"]);
    let backend = machine.open().await;
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    until_state(&backend, &id, ReplicaState::Failed).await;
    assert!(matches!(launch(&backend, &[&new_id()]).await, Err(BackendError::Busy(_))));
    machine.gold().command.pop();
    backend.reload(machine.options.tiers.clone());
    let next = new_id();
    launch(&backend, &[&next]).await.unwrap();
    until_state(&backend, &next, ReplicaState::Ready).await;
}

#[tokio::test]
async fn failed_starts_back_off_open_the_circuit_and_close_it_by_one_probe() {
    let machine = Machine::new(&["crash-while-broken"]);
    let broken = machine.dir().join("broken");
    fs::write(&broken, "").unwrap();
    let backend = machine.open().await;
    for wait in [1, 2, 4, 8] {
        let id = new_id();
        launch(&backend, &[&id]).await.unwrap();
        let failed = until_state(&backend, &id, ReplicaState::Failed).await;
        assert!(failed.note.unwrap().contains("exited with status 3 before it was ready"));
        let refused = launch(&backend, &[&new_id()]).await;
        assert!(matches!(&refused, Err(BackendError::Busy(why)) if why.contains("status 3")), "{refused:?}");
        machine.clock.advance(Span::from_secs(wait));
    }
    let fifth = new_id();
    launch(&backend, &[&fifth]).await.unwrap();
    until_state(&backend, &fifth, ReplicaState::Failed).await;
    let refused = launch(&backend, &[&new_id()]).await;
    assert!(matches!(&refused, Err(BackendError::NoCapacity(why)) if why.contains("5 times")), "{refused:?}");

    // A minute later the engine works again: one probe goes, and the others once it is ready.
    fs::remove_file(broken).unwrap();
    backend.reload(machine.options.tiers.clone());
    machine.clock.advance(Span::from_secs(60));
    let (probe, other) = (new_id(), new_id());
    assert!(matches!(launch(&backend, &[&probe, &other]).await, Err(BackendError::NoCapacity(_))));
    until_state(&backend, &probe, ReplicaState::Ready).await;
    launch(&backend, &[&other]).await.unwrap();
    until_state(&backend, &other, ReplicaState::Ready).await;
}

#[tokio::test]
async fn a_replica_that_is_not_ready_in_time_is_ended_and_says_why() {
    let mut machine = Machine::new(&["never-ready", "child"]);
    machine.gold().start_deadline = Span::from_secs(1);
    let backend = machine.open().await;
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    let failed = until_state(&backend, &id, ReplicaState::Failed).await;
    assert!(failed.note.unwrap().starts_with("not ready within 1s (port "));
    until("its processes are ended", async || processes_of(&id).is_empty()).await;
}

#[tokio::test]
async fn a_port_that_was_taken_is_changed_without_counting_as_a_failure() {
    let machine = Machine::new(&["late-at-first"]);
    let backend = machine.open().await;
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    let (tried, go) = (machine.dir().join("tried"), machine.dir().join("go"));
    until("the engine is about to bind", async || tried.exists()).await;
    let port: u16 = fs::read_to_string(&tried).unwrap().parse().unwrap();
    let _thief = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    fs::write(go, "").unwrap();

    let ready = until_state(&backend, &id, ReplicaState::Ready).await;
    assert_ne!(ready.url, Some(format!("http://127.0.0.1:{port}")));
    assert!(fs::read_to_string(machine.log(&id)).unwrap().contains("Address already in use"));
    launch(&backend, &[&new_id()]).await.expect("no backoff");
    assert_eq!(processes_of(&id).len(), 1);
}

#[tokio::test]
async fn a_stranger_that_answers_on_the_port_is_not_taken_for_the_replica() {
    let machine = Machine::new(&["deaf-at-first"]);
    let backend = machine.open().await;
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    let url = find(&backend, &id).await.unwrap().url.unwrap();
    until("the engine runs", async || machine.dir().join("tried").exists()).await;
    answer_ok_on(TcpListener::bind(url.strip_prefix("http://").unwrap()).unwrap());

    until("the replica moved", async || find(&backend, &id).await.unwrap().url != Some(url.clone())).await;
    let ready = until_state(&backend, &id, ReplicaState::Ready).await;
    assert_ne!(ready.url, Some(url));
}

/// Answers every request with 200, for as long as the test process lives.
pub(crate) fn answer_ok_on(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
}

#[tokio::test]
async fn a_replica_that_hangs_takes_no_work_until_it_answers_again() {
    let machine = Machine::new(&[]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    leader_of(&id).signal(Signal::STOP);
    let hanging = until_state(&backend, &id, ReplicaState::Starting).await;
    assert!(hanging.note.unwrap().contains("stopped answering"));
    leader_of(&id).signal(Signal::CONT);
    let again = until_state(&backend, &id, ReplicaState::Ready).await;
    assert_eq!(again.note, None);
}
