//! What a reload shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::{diff, read};

const SOUND: &str = include_str!("files/sound.yaml");

#[test]
fn a_change_is_told_by_its_key_in_the_files_own_words() {
    let old = read(SOUND, "x").unwrap();
    let new = SOUND
        .replace("{minimum: 1, maximum: 8}", "{minimum: 1, maximum: 6}")
        .replace("tpot: {p95: 16ms, p99", "tpot: {p95: 20ms, p99")
        .replace("    slack: 3\n", "")
        .replace("model: large", "model: large\n    served_model: large-q4");
    let changes: Vec<_> = diff(&old, &read(&new, "x").unwrap()).iter().map(ToString::to_string).collect();
    assert_eq!(
        changes,
        [
            "tiers.bronze.served_model: (not written) -> large-q4",
            "tiers.gold.replicas.maximum: 8 -> 6",
            "tiers.gold.slack: 3 -> 2",
            "tiers.gold.slo.objectives[0].tpot.p95: 16ms -> 20ms",
        ]
    );
}

#[test]
fn another_spelling_of_the_same_is_no_change() {
    let old = read(SOUND, "x").unwrap();
    let new = SOUND
        .replace("start_up: 180s", "start_up: 3m")
        .replace("price: $1.006/hour", "price: $24.144/day")
        .replace("per_cached_token: 90ns", "per_cached_token: 0.09us")
        .replace("max_body: 8MiB", "max_body: 8192KiB");
    assert_eq!(diff(&old, &read(&new, "x").unwrap()), []);
}
