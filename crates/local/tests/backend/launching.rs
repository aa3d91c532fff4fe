use crate::machine::{Machine, TIER, about, end, find, launch, leader_of, new_id, order, processes_of, serving, until};
use crate::machine::{until_gone, until_state};
use evenkeel_controller::ports::{Backend, BackendError};
use evenkeel_core::observe::ReplicaState;
use evenkeel_core::units::Span;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_launched_replica_becomes_ready_and_answers_at_its_address() {
    let machine = Machine::new(&["{index}", "{file}", "a b;$HOME"]);
    let backend = machine.open().await;
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    let starting = find(&backend, &id).await.unwrap();
    assert_eq!(starting.state, ReplicaState::Starting);
    let ready = until_state(&backend, &id, ReplicaState::Ready).await;
    assert!(ready.since >= starting.since);

    let about = about(&ready.url.unwrap());
    let file = machine.options.fleet_file.display().to_string();
    assert_eq!(about["arguments"].as_array().unwrap()[1..], ["0", &file, "a b;$HOME"]);
    assert_eq!(about["directory"], machine.dir().display().to_string());
    let environment = &about["environment"];
    assert_eq!((&environment["EVENKEEL_INTENT"], &environment["EVENKEEL_TIER"]), (&id.0.into(), &TIER.into()));
}

#[tokio::test]
async fn nothing_of_the_controllers_environment_reaches_a_replica_unless_the_tier_lists_it() {
    let mut machine = Machine::new(&[]);
    machine.gold().command = vec!["sleep".to_owned(), "1000".to_owned()];
    machine.gold().environment = vec!["CARGO_MANIFEST_DIR".to_owned(), "NOT_SET_ANYWHERE".to_owned()];
    let backend = machine.open().await;
    let id = new_id();
    launch(&backend, &[&id]).await.unwrap();
    let environment = fs::read_to_string(format!("/proc/{}/environ", leader_of(&id).pid)).unwrap();
    let mut names: Vec<&str> =
        environment.split_terminator('\0').map(|entry| entry.split_once('=').unwrap().0).collect();
    names.sort_unstable();
    let marks = ["FLEET", "INDEX", "INTENT", "PORT", "STATE_DIR", "TIER"].map(|name| format!("EVENKEEL_{name}"));
    assert_eq!(names[0], "CARGO_MANIFEST_DIR");
    assert_eq!(names[1..], marks);
}

#[tokio::test]
async fn an_order_that_is_repeated_launches_nothing_twice() {
    let machine = Machine::new(&[]);
    let backend = machine.open().await;
    let id = new_id();
    let order = order(&[&id], &[]);
    let (first, second) = tokio::join!(backend.apply(&order), backend.apply(&order));
    assert_eq!((first, second), (Ok(()), Ok(())));
    until_state(&backend, &id, ReplicaState::Ready).await;
    backend.apply(&order).await.unwrap();
    assert_eq!(processes_of(&id).len(), 1);
    assert_eq!(backend.list(TIER).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_intent_that_has_ended_is_not_launched_again_even_by_a_later_controller() {
    let machine = Machine::new(&[]);
    let backend = machine.open().await;
    let id = serving(&backend).await;
    end(&backend, &[&id]).await;
    until_gone(&backend, &id).await;
    launch(&backend, &[&id]).await.unwrap();
    assert_eq!(find(&backend, &id).await, None);
    drop(backend);
    let later = machine.open().await;
    launch(&later, &[&id]).await.unwrap();
    assert_eq!(find(&later, &id).await, None);
    assert!(machine.processes().is_empty());
}

#[tokio::test]
async fn an_order_of_an_older_epoch_is_refused_by_every_process() {
    let machine = Machine::new(&[]);
    let (stale, fresh) = (machine.open().await, machine.open().await);
    let id = new_id();
    let older = order(&[&id], &[]);
    let newer = evenkeel_controller::ports::Order { epoch: 2, launch: Vec::new(), ..older.clone() };
    fresh.apply(&newer).await.unwrap();
    assert_eq!(stale.apply(&older).await, Err(BackendError::Fenced { current: 2 }));
    assert_eq!(fresh.apply(&older).await, Err(BackendError::Fenced { current: 2 }));
    assert!(machine.processes().is_empty());
    drop((stale, fresh));
    // It is durable, too.
    assert_eq!(machine.open().await.apply(&older).await, Err(BackendError::Fenced { current: 2 }));
}

#[tokio::test]
async fn gpus_and_indices_are_handed_out_one_to_a_replica_and_come_back() {
    let mut machine = Machine::new(&["{gpu}"]);
    machine.gold().gpus = vec!["GPU-a".to_owned(), "GPU-b".to_owned()];
    let backend = machine.open().await;
    let (first, second) = (serving(&backend).await, serving(&backend).await);
    let third = new_id();
    let refused = launch(&backend, &[&third]).await;
    assert!(matches!(&refused, Err(BackendError::NoCapacity(why)) if why.contains("GPU")), "{refused:?}");
    let given = about(&find(&backend, &second).await.unwrap().url.unwrap());
    assert_eq!(given["arguments"][1], "GPU-b");
    assert_eq!(given["environment"]["EVENKEEL_INDEX"], "1");

    end(&backend, &[&first]).await;
    until_gone(&backend, &first).await;
    // What was refused for want of room may be tried again under the same intent.
    launch(&backend, &[&third]).await.unwrap();
    let ready = until_state(&backend, &third, ReplicaState::Ready).await;
    let given = about(&ready.url.unwrap());
    assert_eq!((&given["arguments"][1], &given["environment"]["EVENKEEL_INDEX"]), (&"GPU-a".into(), &"0".into()));
}

#[tokio::test]
async fn a_replica_writes_its_own_log_which_is_private_and_rotated() {
    let mut machine = Machine::new(&["chatty"]);
    machine.options.logs.rotate_above = 1000;
    let backend = machine.open().await;
    let id = serving(&backend).await;
    let (log, piece) = (machine.log(&id), machine.log(&id).with_added_extension("1"));
    until("the log was rotated", async || piece.exists() && fs::metadata(&log).unwrap().len() == 0).await;
    assert!(fs::read_to_string(&piece).unwrap().contains("line 1999 of many"));
    for path in [&log, &piece, &machine.log(&id).with_extension("json")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let output = fs::read_link(format!("/proc/{}/fd/1", leader_of(&id).pid)).unwrap();
    assert_eq!(output, log);
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_said_and_slows_the_next_launch() {
    let mut machine = Machine::new(&[]);
    let command = std::mem::replace(&mut machine.gold().command, vec!["no-such-engine".to_owned()]);
    let backend = machine.open().await;
    let id = new_id();
    let refused = launch(&backend, &[&id]).await;
    assert!(matches!(&refused, Err(BackendError::NotFound(why)) if why.contains("no-such-engine")), "{refused:?}");
    assert!(matches!(launch(&backend, &[&id]).await, Err(BackendError::Busy(_))));
    // The file is put right and reloaded: the same intent may still be launched.
    machine.gold().command = command;
    backend.reload(machine.options.tiers.clone());
    machine.clock.advance(Span::from_secs(1));
    launch(&backend, &[&id]).await.unwrap();
    until_state(&backend, &id, ReplicaState::Ready).await;
}

#[tokio::test]
async fn a_tier_or_an_id_that_cannot_be_is_refused() {
    let machine = Machine::new(&[]);
    let backend = machine.open().await;
    let elsewhere = evenkeel_core::observe::ReplicaId("../../escape".to_owned());
    assert!(matches!(launch(&backend, &[&elsewhere]).await, Err(BackendError::Denied(_))));
    let mut unknown = order(&[&new_id()], &[]);
    "platinum".clone_into(&mut unknown.tier);
    assert!(matches!(backend.apply(&unknown).await, Err(BackendError::NotFound(_))));
}
