//! The journal's reader: a file that was damaged, and rows that were.
//!
//! Whatever stands there, opening, listing and replaying end in an answer or in a refusal.

use evenkeel_controller::journal::{Journal, JournalError, JournalReader, replay};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::decision::Decision;
use evenkeel_core::observe::{Observation, Offered, Reading, Replica, ReplicaId, ReplicaState, Signals};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::units::{Span, Time};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use rusqlite::{Connection, params};
use serde::Serialize;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

const FLEET: &str = "
fleet: fuzz
tick: 1s
players: {push: {}}
tiers:
  gold:
    model: m
    replicas: {minimum: 1, maximum: 9}
    price: $1/hour
    slo: {attainment: 99%, objectives: [{tpot: {p95: 60ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 60/min}
    profile: {source: estimate, iteration: 20ms, per_sequence: 1ms, per_prefill_token: 100us, max_batched_tokens: 256, max_sequences: 4, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 1s
    policies: [{capacity: {window: 2s, hold: 5s}}, {players_per_replica: {players: 50}}]
    backend: {local: {command: [engine, \"{port}\"], drain_deadline: 30s}}
";
const START: Time = Time::from_micros(1_700_000_000_000_000);
const TICKS: u64 = 6;
const RETENTION: Span = Span::from_secs(1_000_000);

/// The bytes of a whole journal file.
pub(super) fn file(data: &[u8]) {
    let Ok(folder) = folder() else { return };
    let path = folder.path().join("journal.sqlite");
    if fs::write(&path, data).is_ok() {
        look(&path);
    }
}

/// Reads the journal in every way there is. Opening it for writing comes last, as it may change the file.
fn look(path: &Path) {
    let reader = JournalReader::new(path);
    for changes_only in [false, true] {
        if let Ok(rows) = reader.decisions(None, 100, changes_only) {
            assert!(rows.len() <= 100, "more rows than asked for");
        }
    }
    let _ = reader.decisions(Some("gold"), 1, false);
    let _ = reader.orders();
    if let Ok(found) = replay(path) {
        assert!(found.different.len() as u64 <= found.ticks);
    }
    // A controller sets a damaged journal aside and serves on; one that it cannot tell from a full disk it does not.
    match Journal::open(path, RETENTION, 7) {
        Ok((journal, _orders)) => assert!(journal.health().fenced_by.is_none(), "nothing was written yet"),
        Err(JournalError::Schema { .. }) => {}
        Err(error) => assert!(error.is_damage(), "not told as damage: {error:?}"),
    }
}

/// Rows as text, a line each: `w` the inputs whole, `d` a delta, `s` a state with the inputs of the line after it, `o` an
/// operator's order, `t` a decision.
pub(super) fn rows(data: &[u8]) {
    let Ok(folder) = folder() else { return };
    let path = folder.path().join("journal.sqlite");
    if write_rows(&path, &String::from_utf8_lossy(data)).is_ok() {
        look(&path);
    }
}

fn write_rows(path: &Path, text: &str) -> rusqlite::Result<()> {
    let connection = empty(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF; BEGIN")?;
    let mut state = None;
    for line in text.lines() {
        let (kind, body) = line.split_at_checked(2).unwrap_or(("", line));
        match kind {
            "s " => state = Some(deflated(body)),
            "w " | "d " => {
                let (whole, delta) = if kind == "w " { (Some(body), None) } else { (None, Some(body)) };
                connection.execute(
                    "INSERT INTO ticks (epoch, at_us, inputs_whole, inputs_delta, state, decisions_digest)
                     VALUES (1, 1, ?1, ?2, ?3, 0)",
                    params![whole.map(deflated), delta.map(deflated), state.take()],
                )?;
            }
            "o " => {
                connection.execute("INSERT INTO operator (at_us, body) VALUES (1, ?1)", [body])?;
            }
            "t " => {
                connection.execute(
                    "INSERT INTO decisions (tier, first_tick, first_us, last_us, ticks, reason, desired, decision)
                     VALUES ('gold', 1, 1, 1, 1, 'grew', 1, ?1)",
                    [body],
                )?;
            }
            _ => {}
        }
    }
    connection.execute_batch("COMMIT")
}

/// A journal's tables, which only the journal itself makes.
fn empty(path: &Path) -> rusqlite::Result<Connection> {
    static EMPTY: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = EMPTY.get_or_init(|| {
        let Ok(folder) = folder() else { return Vec::new() };
        let path = folder.path().join("empty.sqlite");
        drop(Journal::open(&path, RETENTION, 1));
        compacted(&path)
    });
    // What cannot be written cannot be opened either, and that is told.
    let _ = fs::write(path, bytes);
    Connection::open(path)
}

fn deflated(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// A small journal of a fleet that grows and shrinks.
pub(super) fn files() -> Vec<Vec<u8>> {
    let Ok(folder) = folder() else { return Vec::new() };
    let path = folder.path().join("journal.sqlite");
    let texts = texts();
    let text = String::from_utf8_lossy(texts.first().map_or(&[], Vec::as_slice));
    let written = write_rows(&path, &text);
    assert!(written.is_ok(), "the corpus cannot be made: {written:?}");
    vec![compacted(&path)]
}

/// The same as rows.
pub(super) fn texts() -> Vec<Vec<u8>> {
    let fleet = evenkeel_fleet::read(FLEET, "fuzz.yaml");
    assert!(fleet.is_ok(), "the fleet of the corpus: {fleet:?}");
    let Ok(fleet) = fleet else { return Vec::new() };
    let mut autoscaler = Evenkeel::new(fleet.spec, START);
    let mut text = format!("s {}\n", json(&autoscaler));
    let mut replicas = Vec::new();
    for tick in 0..TICKS {
        let now = START + Span::from_secs(tick as i64);
        let inputs = inputs(tick, &replicas, now);
        text.push_str(&format!("w {}\n", json(&inputs)));
        for decision in autoscaler.decide(&inputs) {
            replicas = obeyed(&decision, now);
            text.push_str(&format!("t {}\n", json(&decision)));
        }
        text.push_str("d [[\"/tiers/0/observation/signals/players/fresh/value\",900]]\n");
    }
    text.push_str(&format!("s {}\nw {}\n", json(&autoscaler), json(&inputs(TICKS, &replicas, START))));
    text.push_str("o {\"mode\":\"act\"}\no {\"pause\":1700000000000000}\n");
    text.push_str("o {\"override\":{\"tier\":\"gold\",\"order\":{\"at_least\":2,\"at_most\":null,\"until\":1700000000000000,\"because\":\"a test\"}}}\n");
    vec![text.into_bytes()]
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn inputs(tick: u64, replicas: &[Replica], now: Time) -> FleetInputs {
    let requests = [5, 80, 200, 200, 10, 0, 0].get(tick as usize).copied().unwrap_or(0);
    let offered = Offered { requests, prompt_tokens: requests * 60, over: Span::from_secs(1) };
    let signals = Signals {
        offered: Reading::Fresh { value: offered, at: now },
        players: Reading::Fresh { value: requests * 2, at: now },
        ..Signals::default()
    };
    let replicas = Reading::Fresh { value: replicas.to_vec(), at: now };
    let observation = Observation { signals, replicas };
    FleetInputs { now, tiers: vec![TierInputs { observation, forecast: None, schedule: None, operator: None }] }
}

fn obeyed(decision: &Decision, since: Time) -> Vec<Replica> {
    let replica = |index| Replica {
        id: ReplicaId(format!("r{index}")),
        state: ReplicaState::Ready,
        since,
        in_flight: Some(index),
    };
    (0..decision.desired).map(replica).collect()
}

/// The journal's bytes, all in one file and in small pages, so that a mutation meets more of them. Its thread may still
/// have it open.
fn compacted(path: &Path) -> Vec<u8> {
    let copy = path.with_extension("copy");
    let into = format!("PRAGMA page_size = 512; VACUUM INTO '{}'", copy.display());
    let packed = Connection::open(path).and_then(|connection| connection.execute_batch(&into));
    assert!(packed.is_ok(), "the corpus cannot be made: {packed:?}");
    fs::read(copy).unwrap_or_default()
}

/// In memory where there is such a file system, as thousands of files a minute are written.
fn folder() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_corpus_is_a_journal_that_can_be_read_in_every_way() {
        let folder = folder().unwrap();
        let path = folder.path().join("journal.sqlite");
        fs::write(&path, files().pop().unwrap()).unwrap();
        let found = replay(&path).unwrap();
        assert_eq!((found.ticks, found.skipped), (2 * TICKS + 1, 0), "mutations begin where everything is read");
        assert_eq!(JournalReader::new(&path).decisions(Some("gold"), 100, false).unwrap().len() as u64, TICKS);
        look(&path);
    }
}
