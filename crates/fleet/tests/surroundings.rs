//! What `check` finds missing around a fleet file, on real files.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::model::{BackendSettings, Fleet};
use evenkeel_fleet::{read, surroundings};
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// The sound file, its gold tier started by `program` and its events written to `events`.
fn fleet(program: &str, events: &Path) -> Fleet {
    let mut fleet = read(include_str!("files/sound.yaml"), "x").unwrap();
    fleet.controller.events.file = Some(events.to_owned());
    for (tier, program) in fleet.tiers.iter_mut().zip([program, "evenkeel"]) {
        let BackendSettings::Local(local) = &mut tier.backend;
        program.clone_into(&mut local.command[0]);
    }
    fleet
}

fn script(folder: &TempDir, name: &str, mode: u32) {
    let path = folder.path().join(name);
    fs::write(&path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

/// What is missing for `program` in a folder that also is all of the PATH.
fn of_program(folder: &TempDir, program: &str) -> Vec<String> {
    let events = folder.path().join("events.jsonl");
    surroundings(&fleet(program, &events), folder.path(), Some(folder.path().as_os_str()))
}

#[test]
fn a_program_is_looked_for_where_the_backend_would_find_it() {
    let folder = tempfile::tempdir().unwrap();
    script(&folder, "server", 0o755);
    script(&folder, "notes.txt", 0o644);
    for there in ["server", "./server", "evenkeel", "{file}"] {
        assert_eq!(of_program(&folder, there), Vec::<String>::new(), "{there}");
    }
    for (missing, what) in [
        ("sever", "no program `sever` is on the PATH"),
        ("notes.txt", "no program `notes.txt` is on the PATH"),
        ("./sever", "there is no program"),
        ("./notes.txt", "chmod +x"),
    ] {
        let [warning] = &of_program(&folder, missing)[..] else { panic!("one warning expected for {missing}") };
        assert!(warning.starts_with("tiers.gold.backend.local.command: "), "{warning}");
        assert!(warning.contains(what), "{warning}");
    }
    let without_path = surroundings(&fleet("server", &folder.path().join("events")), folder.path(), None);
    assert_eq!(without_path.len(), 1, "a controller without PATH finds nothing by name: {without_path:?}");
}

/// What is wrong with an events file.
fn of_events(events: &Path) -> Option<String> {
    let mut found = surroundings(&fleet("evenkeel", events), Path::new("/"), Some(OsStr::new("")));
    assert!(found.len() <= 1, "{found:?}");
    found.pop().inspect(|warning| assert!(warning.starts_with("controller.events.file: "), "{warning}"))
}

#[test]
fn an_events_file_needs_a_folder_and_the_right_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    assert_eq!(of_events(&path("new.jsonl")), None);
    assert!(!path("new.jsonl").exists(), "looking makes no file");
    assert_eq!(of_events(Path::new("new.jsonl")), None, "a bare name is a file of the present directory");
    assert!(of_events(&path("none/new.jsonl")).unwrap().contains("there is no folder"));
    assert!(of_events(folder.path()).unwrap().contains("is a folder"));
    if rustix::process::geteuid().is_root() {
        println!("skipped in part: root may write everywhere");
        return;
    }
    script(&folder, "old.jsonl", 0o444);
    assert!(of_events(&path("old.jsonl")).unwrap().contains("cannot be written"));
    fs::create_dir(path("closed")).unwrap();
    fs::set_permissions(path("closed"), Permissions::from_mode(0o555)).unwrap();
    assert!(of_events(&path("closed/new.jsonl")).unwrap().contains("cannot be written"));
}
