//! What nobody but the owner may learn, where whoever started the parts took no care of it.

use crate::world::{World, ready};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn holds(path: &Path, secret: &str) -> bool {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes.windows(secret.len()).any(|it| it == secret.as_bytes())
}

/// Every file and folder under `folder`.
fn all_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            found.extend(fs::read_dir(path).unwrap().flatten().map(|it| it.path()));
        }
    }
    found
}

#[test]
fn no_token_is_in_an_argument_a_log_an_event_the_journal_or_a_replica() {
    let mut world = World::new("");
    world.be_careless();
    let events = world.directory().join("events.jsonl");
    world.edit("mode: act,", &format!("mode: act, events: {{file: {}}},", events.display()));
    let parts = ["run", "gateway"].map(|part| (part, world.start(part)));
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    // Orders carry the token to the controller.
    world.at_least(2, 600);
    world.wait_for("two", |gold| ready(gold) == 2);
    let token = fs::read_to_string(world.state().join("token")).unwrap();
    let token = token.trim();

    let of_process = |pid: i64, file: &str| PathBuf::from(format!("/proc/{pid}/{file}"));
    for (part, number) in parts {
        assert!(!holds(&of_process(world.pid(number).into(), "cmdline"), token), "{part}");
        let log = world.log(part, number);
        assert!(fs::metadata(&log).unwrap().len() > 0, "{part} logs something");
        assert!(!holds(&log, token), "{part}");
    }
    let replicas = world.replicas();
    assert_eq!(replicas.len(), 2);
    for replica in replicas {
        for file in ["cmdline", "environ"] {
            assert!(!holds(&of_process(replica.into(), file), token), "a replica's {file}");
        }
    }
    assert!(fs::metadata(&events).unwrap().len() > 0, "something happened");
    assert!(!holds(&events, token));
    let with_it: Vec<PathBuf> =
        all_in(&world.state()).into_iter().filter(|path| path.is_file() && holds(path, token)).collect();
    assert_eq!(with_it, [world.state().join("token")]);
}

#[test]
fn everything_in_the_state_directory_is_for_its_owner_alone() {
    let mut world = World::new("");
    world.be_careless();
    world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let all = all_in(&world.state());
    for name in ["journal.sqlite", "token", "running.json", "gateway-routes.json", "replicas"] {
        assert!(all.iter().any(|path| path.ends_with(name)), "{name} is not among {all:?}");
    }
    assert!(all.iter().any(|path| path.extension().is_some_and(|it| it == "log")), "a replica's log");
    for path in all {
        // What is replaced just now is looked at under its other name.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:03o}", path.display());
    }
}
