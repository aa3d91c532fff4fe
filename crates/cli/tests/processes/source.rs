//! A source that takes for ever.

use crate::world::{World, ready};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

#[test]
fn a_source_that_takes_30_s_holds_up_no_tick_and_removes_nothing_while_it_does() {
    let lobby = Lobby::open(12);
    let mut world = World::new("");
    world.edit(
        "\ntiers:",
        &format!("\nplayers: {{http: {{url: \"http://{}/\", pointer: /players}}}}\ntiers:", lobby.address),
    );
    world.edit("hold: 3s}}]", "hold: 3s}}, {players_per_replica: {players: 4}}]\n    behavior: {scale_out: {cooldown: 1s}, scale_in: {cooldown: 2s}}");
    world.start("run");
    world.start("gateway");
    world.wait_for("a replica for every four players", |gold| ready(gold) == 3);
    world.wait_for_sight();

    lobby.takes(Duration::from_secs(30));
    let gold = world.wait_for("the players to be missing", |gold| gold["signals"]["players"]["fresh"].is_null());
    assert_eq!(gold["signals"]["players"]["missing"]["cause"], "timed_out", "{gold}");
    let before = world.status().unwrap();
    // Longer than freshness, window and hold together.
    sleep(Duration::from_secs(8));
    let after = world.status().unwrap();
    let ticks = |state: &serde_json::Value| state["journal"]["ticks_written"].as_u64().unwrap();
    assert!(ticks(&after) - ticks(&before) >= 8, "16 are due; this machine may be busy");
    let gold = &after["tiers"][0];
    assert_eq!((&gold["decision"]["reason"], ready(gold)), (&"held_blind".into(), 3), "{}", gold["explanation"]);
    assert!(!gold["signals"]["offered"]["fresh"].is_null(), "no other source waits for it");

    lobby.takes(Duration::ZERO);
    lobby.players.store(4, Ordering::Relaxed);
    world.wait_for("what it says then to be believed", |gold| ready(gold) == 1);
    world.assert_replays();
}

/// Tells how many play, and takes its time.
struct Lobby {
    address: String,
    players: Arc<AtomicU64>,
    millis: Arc<AtomicU64>,
}

impl Lobby {
    fn open(players: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (players, millis) = (Arc::new(AtomicU64::new(players)), Arc::new(AtomicU64::new(0)));
        let lobby = Self { address, players: players.clone(), millis: millis.clone() };
        // Ends with the test's process.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (players, millis) = (players.clone(), millis.clone());
                thread::spawn(move || answer(connection, &players, &millis));
            }
        });
        lobby
    }

    fn takes(&self, time: Duration) {
        self.millis.store(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

/// Whoever asks may have left by the time.
fn answer(mut connection: TcpStream, players: &AtomicU64, millis: &AtomicU64) {
    let _ = connection.read(&mut [0; 4_096]);
    sleep(Duration::from_millis(millis.load(Ordering::Relaxed)));
    let body = format!("{{\"players\": {}}}", players.load(Ordering::Relaxed));
    let length = body.len();
    let _ = write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}
