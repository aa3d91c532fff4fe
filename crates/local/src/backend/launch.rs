//! Starting one replica: its command line, its environment, its port, its process group.

use super::group::Group;
use super::log_file;
use super::process_table::Identity;
use super::registry::Place;
use super::shared::Shared;
use super::state_files::{Record, log_path};
use evenkeel_controller::ports::BackendError;
use evenkeel_core::observe::ReplicaId;
use evenkeel_failpoint::{Point, hit};
use evenkeel_fleet::model::LocalSettings;
use evenkeel_wire::intent;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Starts a replica's first process as the leader of a new group, with `log` as its output, and writes the record of it.
/// After an error nothing runs.
pub(crate) fn spawn(
    shared: &Shared,
    settings: &LocalSettings,
    place: &Place,
    log: File,
) -> Result<Group, BackendError> {
    let mut command = command(shared, settings, place)?;
    let program = command.get_program().to_owned();
    command.stdin(Stdio::null()).stderr(log.try_clone().map_err(unusable)?).stdout(log).process_group(0);
    hit(Point::BackendSpawn).map_err(|error| unusable(error.into()))?;
    let mut child = command.spawn().map_err(|error| not_started(&program, &error))?;
    let (process, group) = match watch(&child, &place.id) {
        Ok(watched) => watched,
        Err(error) => {
            give_up(&mut child);
            return Err(unusable(error));
        }
    };
    let record = Record {
        fleet: shared.fleet.clone(),
        tier: place.tier.clone(),
        id: place.id.clone(),
        process: process.clone(),
        port: place.port,
        index: place.index,
        gpu: place.gpu.clone(),
        ending_grace_micros: None,
    };
    if let Err(error) = record.write(&shared.state_dir) {
        tracing::warn!(tier = place.tier, id = %place.id, %error, "no record of a replica; its environment must do");
    }
    Ok(group)
}

/// Who the child is, and its group. It is not reaped before its group is empty, so its number is still its own here.
fn watch(child: &Child, id: &ReplicaId) -> io::Result<(Identity, Group)> {
    hit(Point::BackendSpawned)?;
    let process = Identity::of(child.id().cast_signed())?;
    let group = Group::led_by(&process, &id.0)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok((process, group))
}

/// Ends a child that cannot be watched, for want of descriptors for example.
fn give_up(child: &mut Child) {
    if let Err(error) = kill_process_group(Pid::from_child(child), Signal::KILL) {
        tracing::warn!(%error, "could not kill a replica that cannot be watched");
    }
    if let Err(error) = child.wait() {
        tracing::warn!(%error, "could not reap it");
    }
}

/// A replica's log, made anew: an error of kind `AlreadyExists` means that its intent was launched before.
pub(crate) fn new_log(shared: &Shared, tier: &str, id: &ReplicaId) -> io::Result<File> {
    log_file::create(&log_path(&shared.state_dir, tier, id))
}

/// The command with a clean environment: what the tier lists, and what identifies the replica. Without `PATH` in the
/// list the replica has none.
fn command(shared: &Shared, settings: &LocalSettings, place: &Place) -> Result<Command, BackendError> {
    let words = Words { port: place.port, index: place.index, gpu: place.gpu.as_deref(), file: &shared.fleet_file };
    let mut arguments = settings.command.iter().map(|word| words.fill(word));
    let Some(first) = arguments.next() else {
        return Err(BackendError::NotFound(format!("tier {} has an empty command", place.tier)));
    };
    let program = if first == OsStr::new("evenkeel") {
        shared.evenkeel.clone()
    } else {
        find_program(&first, &shared.working_dir, env::var_os("PATH").as_deref()).ok_or_else(|| {
            BackendError::NotFound(format!("program {} is not on the controller's PATH", first.display()))
        })?
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir(&shared.working_dir);
    command.envs(settings.environment.iter().filter_map(|name| Some((name, env::var_os(name)?))));
    command.env(intent::FLEET, &shared.fleet).env(intent::STATE_DIR, &shared.state_dir);
    command.env(intent::TIER, &place.tier).env(intent::INTENT, &place.id.0);
    command.env(intent::PORT, place.port.to_string()).env(intent::INDEX, place.index.to_string());
    command.envs(place.gpu.iter().map(|gpu| (intent::GPU, gpu)));
    Ok(command)
}

/// What stands for the placeholders of a command.
struct Words<'a> {
    port: u16,
    index: u32,
    gpu: Option<&'a str>,
    file: &'a Path,
}

impl Words<'_> {
    /// `word` with its placeholders filled; other braces, such as those of JSON arguments, stay as they are.
    fn fill(&self, word: &str) -> OsString {
        let mut filled = OsString::new();
        let mut rest = word;
        while let Some(brace) = rest.find('{') {
            filled.push(&rest[..brace]);
            rest = &rest[brace..];
            let known = ["{port}", "{index}", "{gpu}", "{file}"].into_iter().find(|name| rest.starts_with(name));
            match (known, self.gpu) {
                (Some("{port}"), _) => filled.push(self.port.to_string()),
                (Some("{index}"), _) => filled.push(self.index.to_string()),
                (Some("{file}"), _) => filled.push(self.file),
                (Some("{gpu}"), Some(gpu)) => filled.push(gpu),
                _ => filled.push(&rest[..known.map_or(1, str::len)]),
            }
            rest = &rest[known.map_or(1, str::len)..];
        }
        filled.push(rest);
        filled
    }
}

/// Finds a program as a shell would, except that a relative path starts at `working_dir`.
fn find_program(program: &OsStr, working_dir: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        return Some(working_dir.join(program));
    }
    env::split_paths(path?)
        .map(|dir| dir.join(program))
        .find(|candidate| rustix::fs::access(candidate, rustix::fs::Access::EXEC_OK).is_ok() && candidate.is_file())
}

/// A loopback port on which nothing listens and which no other replica was given.
pub(crate) fn free_port(taken: &BTreeSet<u16>) -> Result<u16, BackendError> {
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(unusable)?;
        let port = listener.local_addr().map_err(unusable)?.port();
        if !taken.contains(&port) {
            return Ok(port);
        }
    }
    Err(BackendError::NoCapacity("no free port on loopback".to_owned()))
}

/// Whether somebody listens on a port of loopback.
pub(crate) fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn not_started(program: &OsStr, error: &io::Error) -> BackendError {
    let message = format!("{}: {error}", program.display());
    match error.kind() {
        io::ErrorKind::NotFound => BackendError::NotFound(message),
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => BackendError::NoCapacity(message),
        _ => BackendError::Denied(message),
    }
}

/// This machine cannot start anything now.
pub(crate) fn unusable(error: io::Error) -> BackendError {
    BackendError::NoCapacity(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn placeholders_are_filled_once_and_json_arguments_stay() {
        let words = Words { port: 4100, index: 2, gpu: Some("GPU-7"), file: Path::new("/f/{port}.yaml") };
        for (word, filled) in [
            ("--port={port}", "--port=4100"),
            ("{index}:{gpu}", "2:GPU-7"),
            ("{file}", "/f/{port}.yaml"),
            (r#"{"a":{"port":{port}}}"#, r#"{"a":{"port":4100}}"#),
            ("{other}{", "{other}{"),
        ] {
            assert_eq!(words.fill(word), OsStr::new(filled));
        }
    }

    #[test]
    fn a_bare_name_is_looked_up_and_a_path_starts_at_the_fleet_file() {
        let dir = Path::new("/fleet");
        let path = Some(OsStr::new("/nowhere:/bin:/usr/bin"));
        assert!(find_program(OsStr::new("sh"), dir, path).unwrap().is_absolute());
        assert_eq!(find_program(OsStr::new("./serve.sh"), dir, None).unwrap(), Path::new("/fleet/./serve.sh"));
        assert_eq!(find_program(OsStr::new("/bin/sh"), dir, None).unwrap(), Path::new("/bin/sh"));
        assert_eq!(find_program(OsStr::new("no-such-program"), dir, path), None);
    }

    #[test]
    fn a_port_with_a_listener_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(is_taken(port));
        drop(listener);
        assert!(!is_taken(port));
    }
}
