//! Finding the replicas of a fleet among the processes of this machine, whoever started them.

use super::fence::Fence;
use super::group::{Group, has_remains};
use super::process_table::{self, Environment, Identity, Process};
use super::registry::Place;
use super::state_files::{Record, is_plain};
use evenkeel_core::observe::ReplicaId;
use evenkeel_wire::intent;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A replica that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) processes: Processes,
    /// It was told to end, with this grace.
    pub(crate) ending: Option<Duration>,
}

/// What of a replica still runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Processes {
    /// Its first process, and with it the group.
    Led(Identity),
    /// Only others; the group keeps its number.
    Remains(i32),
}

impl Found {
    /// The group to watch and to end. A leader that ended since it was found leaves remains. Must be called inside a
    /// tokio runtime.
    pub(crate) fn group(&self) -> io::Result<Group> {
        let intent = &self.place.id.0;
        match &self.processes {
            Processes::Led(leader) => {
                Ok(Group::led_by(leader, intent)?.unwrap_or_else(|| Group::remains(leader.pid, intent)))
            }
            Processes::Remains(group) => Ok(Group::remains(*group, intent)),
        }
    }
}

/// What a search of this machine gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    /// Every replica that has a living process.
    pub(crate) found: Vec<Found>,
    /// Records of replicas that are gone.
    pub(crate) outdated: Vec<Record>,
}

/// Every replica of `fleet` that has a living process: by the records, as far as they name a process that lives, and by
/// the environment. Touches nothing.
pub(crate) fn find(fleet: &str, state_dir: &Path) -> io::Result<Search> {
    find_with_a_pause(fleet, state_dir, || {})
}

/// The same, with what happens between its two looks. The records come first: whoever has one then had a process before,
/// while one that is launched a moment later is not judged by a table that cannot have it.
fn find_with_a_pause(fleet: &str, state_dir: &Path, pause: impl FnOnce()) -> io::Result<Search> {
    let records = Record::read_all(state_dir, fleet)?;
    pause();
    let table = process_table::read_all()?;
    let boot_id = process_table::boot_id()?;
    let (mut found, mut outdated) = (BTreeMap::new(), Vec::new());
    for record in records {
        match recorded(&table, &boot_id, &record) {
            Some(processes) => drop(found.insert(record.id.clone(), from_record(record, processes))),
            None => outdated.push(record),
        }
    }
    for (id, carriers) in carriers(&table, fleet, state_dir) {
        found.entry(id).or_insert_with(|| from_environment(&carriers));
    }
    Ok(Search { found: found.into_values().collect(), outdated })
}

/// Removes records of replicas that are gone, unless they have been written anew since they were looked at. Launches and
/// ends write them while they pass `fence`, so none can be written meanwhile; a controller that was superseded removes
/// nothing.
pub(crate) fn forget(outdated: &[Record], fence: &Fence, epoch: u64, state_dir: &Path) {
    if outdated.is_empty() {
        return;
    }
    match fence.pass(epoch) {
        Ok(_passage) => outdated.iter().for_each(|record| record.remove_unless_changed(state_dir)),
        Err(error) => tracing::debug!(%error, "records of replicas that are gone stay"),
    }
}

/// What still runs of the replica that `record` names.
fn recorded(table: &[Process], boot_id: &str, record: &Record) -> Option<Processes> {
    let leader = &record.process;
    if leader.boot_id != boot_id {
        return None;
    }
    match table.iter().find(|process| process.pid == leader.pid) {
        Some(process) if process.alive && leader.names(process) => Some(Processes::Led(leader.clone())),
        // Its number was given anew, so nothing is left of its group.
        Some(process) if !leader.names(process) => None,
        _ => has_remains(table, leader.pid, &record.id.0).then_some(Processes::Remains(leader.pid)),
    }
}

fn from_record(record: Record, processes: Processes) -> Found {
    Found {
        place: Place { tier: record.tier, id: record.id, port: record.port, index: record.index, gpu: record.gpu },
        processes,
        ending: record.ending_grace_micros.map(Duration::from_micros),
    }
}

/// A process that carries an intent of this fleet.
struct Carrier {
    process: Process,
    place: Place,
}

/// The living processes that carry the fleet's mark, by intent, the oldest first.
fn carriers(table: &[Process], fleet: &str, state_dir: &Path) -> BTreeMap<ReplicaId, Vec<Carrier>> {
    let mut by_intent: BTreeMap<ReplicaId, Vec<Carrier>> = BTreeMap::new();
    for process in table.iter().filter(|process| process.alive) {
        let environment = Environment::of(process.pid);
        let ours = environment.get(intent::FLEET) == Some(fleet)
            && environment.get(intent::STATE_DIR).map(Path::new) == Some(state_dir);
        if let Some(place) = ours.then(|| place(&environment)).flatten() {
            by_intent.entry(place.id.clone()).or_default().push(Carrier { process: *process, place });
        }
    }
    for carriers in by_intent.values_mut() {
        carriers.sort_by_key(|carrier| (carrier.process.start_ticks, carrier.process.pid));
    }
    by_intent
}

fn place(environment: &Environment) -> Option<Place> {
    let text = |name| environment.get(name).filter(|value| is_plain(value)).map(str::to_owned);
    Some(Place {
        tier: text(intent::TIER)?,
        id: ReplicaId(text(intent::INTENT)?),
        port: environment.get(intent::PORT)?.parse().ok()?,
        index: environment.get(intent::INDEX).and_then(|index| index.parse().ok()).unwrap_or(0),
        gpu: environment.get(intent::GPU).map(str::to_owned),
    })
}

/// A replica without a record. Its first process is the oldest; if that does not lead its group, the first has gone.
fn from_environment(carriers: &[Carrier]) -> Found {
    // Entries are made with their first carrier.
    let Carrier { process, place } = &carriers[0];
    let led = process.group == process.pid;
    let identity = led.then(|| Identity::of(process.pid).ok()).flatten();
    let processes = identity.map_or(Processes::Remains(process.group), Processes::Led);
    Found { place: place.clone(), processes, ending: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::state_files::{create_dir, replicas_dir};
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    /// A process that nothing but its record tells to be a replica.
    struct Replica(Child);

    impl Replica {
        fn launch(state_dir: &Path) -> Self {
            let child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
            let replica = Self(child);
            replica.record().write(state_dir).unwrap();
            replica
        }

        fn record(&self) -> Record {
            Record {
                fleet: "game".to_owned(),
                tier: "gold".to_owned(),
                id: ReplicaId("a1".to_owned()),
                process: Identity::of(self.0.id().cast_signed()).unwrap(),
                port: 4100,
                index: 0,
                gpu: None,
                ending_grace_micros: None,
            }
        }
    }

    impl Drop for Replica {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn state_dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        create_dir(&replicas_dir(dir.path())).unwrap();
        dir
    }

    #[test]
    fn a_replica_that_is_launched_during_the_search_is_not_taken_for_gone() {
        let dir = state_dir();
        let mut launched = None;
        let search = find_with_a_pause("game", dir.path(), || launched = Some(Replica::launch(dir.path()))).unwrap();
        assert_eq!(search.outdated, []);
        let next = find("game", dir.path()).unwrap();
        assert_eq!((next.found.len(), next.outdated), (1, Vec::new()));
        drop(launched);
    }

    #[test]
    fn only_a_record_that_is_still_what_was_judged_is_forgotten_and_only_by_the_newest_controller() {
        let dir = state_dir();
        let first = Replica::launch(dir.path());
        let old = first.record();
        drop(first);
        let Search { found, outdated } = find("game", dir.path()).unwrap();
        assert_eq!((found, &outdated), (Vec::new(), &vec![old.clone()]));

        let fence = Fence::new(dir.path());
        let records = || Record::read_all(dir.path(), "game").unwrap();
        // +0: it was started again elsewhere meanwhile, under the same id.
        let second = Replica::launch(dir.path());
        forget(&outdated, &fence, 1, dir.path());
        assert_eq!(records(), [second.record()]);
        // Then that one has ended, too; a controller of an older epoch has seen it.
        let outdated = [second.record()];
        drop(second);
        drop(fence.pass(2).unwrap());
        forget(&outdated, &fence, 1, dir.path());
        assert_eq!(records(), outdated);
        forget(&outdated, &fence, 2, dir.path());
        assert_eq!(records(), []);
    }
}
