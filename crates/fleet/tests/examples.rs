//! The example files: they read clean, and their arithmetic holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_core::capacity::Table;
use evenkeel_fleet::model::{Fleet, Mode};
use std::collections::BTreeMap;
use std::path::Path;

fn example(name: &str) -> Fleet {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    evenkeel_fleet::read(&text, name).unwrap_or_else(|problems| panic!("\n{}", problems.render(false)))
}

fn table(fleet: &Fleet, tier: &str) -> Table {
    let (spec, _) = fleet.tier(tier).unwrap();
    Table::solve(&spec.profile, &spec.requests, &spec.slo.objectives, 80)
}

/// Players that `replicas` of a tier carry inside its SLO.
fn players(fleet: &Fleet, tier: &str, replicas: u32) -> f64 {
    let (spec, _) = fleet.tier(tier).unwrap();
    table(fleet, tier).rate(f64::from(replicas)) * 60.0 / spec.requests.per_player_per_minute
}

#[test]
fn both_examples_read_without_a_mistake_or_a_warning() {
    for name in ["game.yaml", "demo.yaml"] {
        let fleet = example(name);
        assert_eq!(fleet.warnings, Vec::<String>::new(), "{name}");
        assert_eq!(fleet.spec.tiers.len(), 3);
        assert_eq!(fleet.controller.mode, Mode::Act);
        for (spec, settings) in fleet.spec.tiers.iter().zip(&fleet.tiers) {
            assert!(settings.profile_is_estimate, "{name}: {} is marked an estimate", spec.name);
            assert_eq!(table(&fleet, &spec.name).unachievable, None, "{name}: {}", spec.name);
        }
    }
}

#[test]
fn a_fleet_of_real_engines_differs_from_the_game_s_gold_only_in_what_the_engine_and_the_machine_change() {
    let (game, real) = (example("game.yaml"), example("vllm.yaml"));
    assert_eq!(real.warnings, Vec::<String>::new());
    let changed = ["served_model", "replicas.maximum", "slo", "profile", "start_up", "policies", "backend"];
    let gold = |fleet: &Fleet| -> BTreeMap<String, String> {
        let settings = fleet.settings.iter().filter_map(|(path, value)| {
            let key = path.strip_prefix("tiers.gold.")?;
            let differs = changed.iter().any(|it| key.starts_with(it));
            (!differs).then(|| (key.to_owned(), value.clone()))
        });
        settings.collect()
    };
    assert!(gold(&game).len() >= 8, "{:?}", gold(&game));
    assert_eq!(gold(&real), gold(&game));
    assert_eq!(table(&real, "gold").unachievable, None);
    // scripts/real-engine sends 1 player, then 45, then 1: one replica, at least three, and one again.
    let (spec, _) = real.tier("gold").unwrap();
    let desired = |players: f64| {
        let demand = table(&real, "gold").demand(players * spec.requests.per_player_per_minute / 60.0);
        (1.345 * demand).ceil() as u32
    };
    assert_eq!((desired(1.0), spec.maximum), (1, 3));
    assert!(desired(45.0) >= 3, "{}", desired(45.0));
}

#[test]
fn a_replica_of_the_game_carries_the_players_that_the_money_was_planned_by() {
    let game = example("game.yaml");
    for (tier, planned) in [("gold", 235.0), ("silver", 435.0), ("bronze", 2_000.0)] {
        let each = players(&game, tier, 50) / 50.0;
        println!("{tier}: {each:.0} players for each of 50 replicas, planned {planned}");
        assert!((each / planned - 1.0).abs() < 0.02, "{tier}: {each}, planned {planned}");
    }
}

#[test]
fn the_games_tiers_need_the_replicas_of_each_band_of_players() {
    let game = example("game.yaml");
    let bands = [100.0, 500.0, 1_000.0, 5_000.0, 10_000.0];
    let planned = [("gold", [1, 3, 5, 22, 43]), ("silver", [1, 2, 3, 12, 23]), ("bronze", [1, 1, 1, 3, 5])];
    for (tier, counts) in planned {
        let needed = bands.map(|band| (1..).find(|count| players(&game, tier, *count) >= band).unwrap());
        assert_eq!(needed, counts, "{tier}");
    }
}

#[test]
fn the_demos_peak_takes_ten_gold_replicas_and_its_low_takes_one() {
    let demo = example("demo.yaml");
    let (gold, _) = demo.tier("gold").unwrap();
    // policy.md's cold line staffs 1.345 times the demand for an attainment of 99 %.
    let desired = |players: f64| {
        let demand = table(&demo, "gold").demand(players * gold.requests.per_player_per_minute / 60.0);
        (1.345 * demand).ceil() as u32
    };
    assert_eq!(desired(300.0), 10);
    assert_eq!(desired(15.0), 1);
    assert!((8..=gold.maximum).contains(&desired(280.0)), "a peak that is a little lower still takes eight");
}

/// Control times of the file by path; what clients wait for is not among them.
fn control_times(fleet: &Fleet) -> BTreeMap<String, f64> {
    let compressed = ["start_up", "window", "hold", "cooldown", "period", "after", "start_deadline"];
    fleet
        .settings
        .iter()
        .filter(|(path, _)| path.starts_with("tiers."))
        .filter(|(path, _)| compressed.iter().any(|key| path.ends_with(&format!(".{key}"))))
        .map(|(path, value)| (path.clone(), seconds(value)))
        .collect()
}

fn seconds(text: &str) -> f64 {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse::<f64>().unwrap() / 1e3,
        None => text.strip_suffix('s').unwrap().parse().unwrap(),
    }
}

#[test]
fn the_demos_control_times_are_the_games_divided_by_twenty() {
    let (game, demo) = (control_times(&example("game.yaml")), control_times(&example("demo.yaml")));
    assert!(game.len() >= 12, "{game:?}");
    assert_eq!(game.keys().collect::<Vec<_>>(), demo.keys().collect::<Vec<_>>());
    for (path, time) in &game {
        assert!((time / demo[path] - 20.0).abs() < 1e-9, "{path}: {time} s in the game, {} s in the demo", demo[path]);
    }
}

#[test]
fn every_window_of_the_demo_has_two_ticks() {
    let demo = example("demo.yaml");
    let least = 2.0 * demo.spec.tick.as_secs_f64();
    assert!(control_times(&demo).values().all(|time| *time >= least));
}
