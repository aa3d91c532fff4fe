//! Finding the replicas of a fleet among the processes of this machine, whoever started them.

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

/// Every replica of `fleet` that has a living process: by the records, as far as they name a process that lives, and by
/// the environment. Records of replicas that are gone are removed.
pub(crate) fn find(fleet: &str, state_dir: &Path) -> io::Result<Vec<Found>> {
    let table = process_table::read_all()?;
    let boot_id = process_table::boot_id()?;
    let mut found = BTreeMap::new();
    for record in Record::read_all(state_dir, fleet)? {
        match recorded(&table, &boot_id, &record) {
            Some(processes) => drop(found.insert(record.id.clone(), from_record(record, processes))),
            None => Record::remove(state_dir, &record.tier, &record.id),
        }
    }
    for (id, carriers) in carriers(&table, fleet, state_dir) {
        found.entry(id).or_insert_with(|| from_environment(&carriers));
    }
    Ok(found.into_values().collect())
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
