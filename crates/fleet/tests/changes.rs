//! What a reload shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::{diff, needs_restart, read};

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

/// What a running controller cannot take over when `from` in the sound file becomes `to`.
#[track_caller]
fn restart(from: &str, to: &str) -> Vec<&'static str> {
    assert_eq!(SOUND.matches(from).count(), 1, "{from:?} must stand once in sound.yaml");
    let [before, after] = [SOUND.to_owned(), SOUND.replace(from, to)].map(|text| read(&text, "x").unwrap());
    assert_ne!(diff(&before, &after), [], "the replacement changes something");
    let both = needs_restart(&before, &after);
    assert_eq!(needs_restart(&after, &before), both, "the way back takes the same");
    both
}

#[test]
fn what_a_controller_reads_only_at_its_start_is_named_as_the_file_writes_it() {
    assert_eq!(restart("fleet: sound", "fleet: other"), ["fleet"]);
    assert_eq!(restart("tick: 1s", "tick: 2s"), ["tick"]);
    assert_eq!(restart("listen: 127.0.0.1:7070", "listen: 127.0.0.1:7171"), ["controller.listen"]);
    assert_eq!(restart("retention: 14d", "retention: 7d"), ["controller.retention"]);
    assert_eq!(restart("stdout: true", "stdout: false"), ["controller.events"]);
    assert_eq!(restart("file: events.jsonl", "file: other.jsonl"), ["controller.events"]);
    assert_eq!(restart("token_variable: WEBHOOK_TOKEN", "token_variable: HOOK_TOKEN"), ["controller.events"]);
    let gateway = restart("listen: 127.0.0.1:8080", "listen: 127.0.0.1:8181");
    assert_eq!(gateway, ["gateway.listen"], "the controller asks the gateway there");
    let both = restart("fleet: sound\ntick: 1s", "fleet: other\ntick: 2s");
    assert_eq!(both, ["fleet", "tick"], "in the file's order, each once");
}

#[test]
fn another_kind_of_player_source_needs_a_restart_and_another_address_of_the_same_kind_does_not() {
    let source = "http: {url: \"http://127.0.0.1:9000/players\", pointer: /online}";
    assert_eq!(restart(source, "push: {}"), ["players"]);
    assert_eq!(restart(source, "http: {url: \"http://127.0.0.1:9001/players\", pointer: /n}"), [] as [&str; 0]);
    let without = SOUND
        .replace(&format!("players: {{{source}}}\n"), "")
        .replace("      - players_per_replica: {players: 235}\n", "");
    let [with, without] = [SOUND, &without].map(|text| read(text, "x").unwrap());
    assert_eq!(needs_restart(&with, &without), ["players"]);
    assert_eq!(needs_restart(&without, &with), ["players"]);
}

#[test]
fn tiers_limits_and_mode_are_taken_over_while_running() {
    for (from, to) in [
        ("{minimum: 1, maximum: 8}", "{minimum: 1, maximum: 6}"),
        ("mode: advise", "mode: act"),
        ("freshness: 5s", "freshness: 6s"),
        ("shared: {maximum: 10}", "shared: {maximum: 9}"),
        ("start_deadline: 400s", "start_deadline: 500s"),
        ("model: small\n", "model: smaller\n"),
    ] {
        assert_eq!(restart(from, to), [] as [&str; 0], "{from} -> {to}");
    }
}
