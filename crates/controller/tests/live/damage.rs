//! A damaged journal: every way of reading it ends in an answer or a refusal. `crates/fuzz` goes further.

use crate::world::{Tells, World, sql};
use evenkeel_controller::journal::{Journal, JournalReader, replay};
use evenkeel_core::units::Span;
use std::fs;
use std::path::Path;

/// A journal of some ticks, all in one file.
async fn written() -> World {
    let mut world = World::new();
    world.tells("gold", Tells::Requests(20));
    let mut running = world.start().await;
    running.ticks(10).await;
    running.stop().await;
    sql(&world.journal(), "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE;");
    world
}

/// Whether it could be replayed; it is also opened and listed.
fn looked_at(path: &Path) -> bool {
    let reader = JournalReader::new(path);
    let replayed = replay(path).is_ok();
    let _ = (reader.decisions(None, 50, false), reader.decisions(Some("gold"), 50, true), reader.orders());
    let _ = Journal::open(path, Span::from_secs(60), 9);
    replayed
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_cut_or_overwritten_anywhere_ends_in_an_answer_or_a_refusal() {
    let world = written().await;
    let whole = fs::read(world.journal()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (mut refused, mut number) = (0, 0);
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut overwritten = whole.clone();
        let end = (at + 600).min(whole.len());
        overwritten[at..end].fill(0xa5);
        for damaged in [whole[..at].to_vec(), overwritten] {
            number += 1;
            let path = folder.path().join(format!("{number}.sqlite"));
            fs::write(&path, damaged).unwrap();
            refused += usize::from(!looked_at(&path));
        }
    }
    assert!(refused > number / 4, "{refused} of {number} were refused: the damage does not reach what is read");
}

#[tokio::test(start_paused = true)]
async fn ticks_that_come_again_are_damage_and_not_a_replay_without_end() {
    let world = written().await;
    assert_eq!(replay(&world.journal()).unwrap().different, Vec::<i64>::new());
    let again =
        "ALTER TABLE ticks RENAME TO once; CREATE TABLE ticks AS SELECT * FROM once UNION ALL SELECT * FROM once;";
    sql(&world.journal(), again);
    let error = replay(&world.journal()).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("it comes after tick"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn tables_that_are_not_what_they_should_be_are_damage_too() {
    let world = written().await;
    let folder = tempfile::tempdir().unwrap();
    for (number, damage) in [
        "DROP TABLE ticks",
        "PRAGMA user_version = 0",
        "DROP TABLE operator; CREATE TABLE operator (id INTEGER PRIMARY KEY, at_us, body);
         INSERT INTO operator (at_us, body) VALUES (1, x'ff')",
        "DROP TABLE operator; CREATE TABLE operator (id INTEGER PRIMARY KEY, at_us, body);
         INSERT INTO operator (at_us, body) VALUES (1, CAST(x'ff' AS TEXT))",
        "INSERT INTO ticks (id, epoch, at_us, decisions_digest) VALUES (9223372036854775807, 1, 1, 1)",
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{number}.sqlite"));
        fs::copy(world.journal(), &path).unwrap();
        sql(&path, damage);
        match Journal::open(&path, Span::from_secs(60), 9) {
            Ok(_) => panic!("{damage}: it was opened"),
            Err(error) => assert!(error.is_damage(), "{damage}: {error}"),
        }
    }
}
