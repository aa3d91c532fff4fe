//! `simulate` and `backtest` as a user runs them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "these tests have no runtime to block: they wait for processes")]

use evenkeel_controller::journal::{Journal, TickRecord};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::observe::{Observation, Offered, Reading, Replica, ReplicaId, ReplicaState, Signals};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::spec::FleetSpec;
use evenkeel_core::units::{Span, Time};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const GAME: &str = include_str!("../../../examples/game.yaml");

fn evenkeel(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(arguments).env("HOME", home).env_remove("XDG_STATE_HOME").env_remove("EVENKEEL_STATE_DIR");
    command
}

#[test]
fn a_simulation_request_by_request_tells_what_players_saw() {
    let home = tempfile::tempdir().unwrap();
    let fleet = home.path().join("game.yaml");
    fs::write(&fleet, GAME).unwrap();
    let run = |flags: &[&str]| {
        let start = ["simulate", fleet.to_str().unwrap(), "--tier", "silver", "--model", "requests"];
        let end = ["--history", "10m", "--policies", "evenkeel,hpa,static", "-o", "json"];
        let output = evenkeel(home.path(), &[&start[..], flags, &end].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let drawn = run(&["--scenario", "flash-crowd", "--peak", "2000", "--from", "5h", "--to", "6h"]);
    assert_eq!(drawn["trace"]["path"], "scenario flash-crowd");
    for cell in drawn["cells"].as_array().unwrap() {
        let requests = &cell["requests"];
        let ends = ["answered", "failed", "cancelled"].map(|end| requests[end].as_u64().unwrap());
        assert_eq!(requests["offered"].as_u64(), Some(ends.iter().sum()), "{cell:#}");
        assert!(cell["ttft_p95_seconds"].as_f64() > Some(0.02) && cell["objective_attainment"].as_f64() > Some(0.3));
    }
    // Five requests each second for an hour, as a trace.
    let trace = home.path().join("requests.csv");
    let traced = |lengths: &str| {
        fs::write(&trace, (0..18_000).map(|fifth| format!("{},{lengths}\n", fifth / 5)).collect::<String>()).unwrap();
        run(&["--requests", trace.to_str().unwrap()])
    };
    let stated = traced("300,100");
    assert_eq!(stated["cells"][0]["requests"]["offered"], 15_000, "those after the history");
    // Longer ones are more demand, whatever the fleet file states, and whoever follows demand has more replicas for them.
    let longer = traced("700,300");
    let hours = |run: &serde_json::Value| run["hindsight"]["asked"]["replica_hours"].as_f64().unwrap();
    let ours = |run: &serde_json::Value| run["cells"][0]["replica_hours"].as_f64().unwrap();
    assert!(hours(&longer) >= 2.0 * hours(&stated), "{} {}", hours(&longer), hours(&stated));
    assert!(ours(&longer) >= 1.5 * ours(&stated), "{} {}", ours(&longer), ours(&stated));
}

#[test]
fn a_target_that_no_history_kept_is_told() {
    let home = tempfile::tempdir().unwrap();
    let fleet = home.path().join("game.yaml");
    fs::write(&fleet, GAME).unwrap();
    let tuned = |scenario: &str, start_up: &str| {
        let start = ["simulate", fleet.to_str().unwrap(), "--tier", "gold", "--peak", "3000", "--scenario", scenario];
        let end = ["--policies", "hpa", "--peers", "tuned-on-history", "--start-up", start_up];
        String::from_utf8(evenkeel(home.path(), &[&start[..], &end].concat()).output().unwrap().stdout).unwrap()
    };
    // Bursts of seconds, and replicas that take longer than the whole history.
    assert!(tuned("bursts", "30m").contains("none kept it"), "{}", tuned("bursts", "30m"));
    assert!(!tuned("day", "1m").contains("none kept it"), "{}", tuned("day", "1m"));
}

#[test]
fn metrics_that_come_late_leave_no_policy_blind() {
    let home = tempfile::tempdir().unwrap();
    let fleet = home.path().join("game.yaml");
    fs::write(&fleet, GAME).unwrap();
    for metrics in ["prometheus", "sagemaker", "ecs", "cloudwatch"] {
        let start = ["simulate", fleet.to_str().unwrap(), "--tier", "gold", "--scenario", "day", "--peak", "3000"];
        let end = ["--policies", "evenkeel", "--metrics", metrics, "-o", "json"];
        let output = evenkeel(home.path(), &[&start[..], &end].concat()).output().unwrap();
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let cell = &result["cells"][0];
        assert!(cell["capacity_attainment"].as_f64() > Some(0.99) && cell["launches"].as_u64() > Some(5), "{cell:#}");
    }
}

#[test]
fn a_simulation_gives_the_same_bytes_again_and_another_seed_others() {
    let home = tempfile::tempdir().unwrap();
    let (fleet, series) = (home.path().join("game.yaml"), home.path().join("players.csv"));
    fs::write(&fleet, GAME).unwrap();
    fs::write(&series, "0,500\n43200,3000\n86400,500\n").unwrap();
    let simulated = |seed: &str| {
        let files = [fleet.to_str().unwrap(), "--tier", "gold", "--players", series.to_str().unwrap()];
        let arguments = [&["simulate"], &files[..], &["--history", "6h", "--seed", seed, "-o", "json"]].concat();
        let output = evenkeel(home.path(), &arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let first = simulated("1");
    assert_eq!(first, simulated("1"));
    assert!(first != simulated("2"));
    let result: serde_json::Value = serde_json::from_slice(&first).unwrap();
    let cells = result["cells"].as_array().unwrap();
    assert_eq!((result["version"].as_u64(), cells[0]["policy"].as_str()), (Some(1), Some("evenkeel")));
    assert!(cells.iter().all(|cell| cell["cost_over_oracle"].as_f64().unwrap() >= 1.0 - 1e-6), "{result:#}");
}

#[test]
fn the_criteria_of_the_fleet_file_decide_the_exit_code() {
    let home = tempfile::tempdir().unwrap();
    let fleet = home.path().join("game.yaml");
    fs::write(&fleet, GAME).unwrap();
    let run = |flags: &[&str]| {
        let start = ["simulate", fleet.to_str().unwrap(), "--tier", "gold", "--model", "requests", "--criteria"];
        let end = ["--scenario", "day", "--to", "40m", "--history", "10m", "--policies", "evenkeel"];
        evenkeel(home.path(), &[&start[..], flags, &end].concat()).output().unwrap()
    };
    let calm = run(&["--peak", "300"]);
    let words = String::from_utf8(calm.stdout).unwrap();
    assert!(calm.status.success(), "{words}");
    assert!(words.contains("tpot p95 <= 16 ms") && words.contains("never 5 ready"), "{words}");
    assert!(!words.contains("silver"), "another tier is not judged: {words}");
    // A replica more takes a quarter of an hour: players are turned away meanwhile.
    let late = run(&["--peak", "9000", "--start-up", "15m"]);
    assert_eq!(late.status.code(), Some(1), "{}", String::from_utf8_lossy(&late.stdout));
}

#[test]
fn a_cloud_in_trouble_refuses_loses_and_bills_as_it_is_told() {
    let home = tempfile::tempdir().unwrap();
    let (fleet, spot) = (home.path().join("game.yaml"), home.path().join("spot.csv"));
    fs::write(&fleet, GAME).unwrap();
    // All four for two hours, then none for the rest of the day.
    let counts = ["4"; 24].into_iter().chain(["0"; 264]).collect::<Vec<_>>().join("\n");
    fs::write(&spot, format!("# gap_seconds=300\navailable_instances\n{counts}\n")).unwrap();
    let run = |flags: &[&str]| {
        let start = ["simulate", fleet.to_str().unwrap(), "--tier", "gold", "--scenario", "day", "--peak", "2000"];
        let end = ["--history", "1h", "--policies", "evenkeel", "-o", "json"];
        let output = evenkeel(home.path(), &[&start[..], flags, &end].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["cells"][0].clone()
    };
    let calm = run(&["--instance", "g5.xlarge", "--start-up", "kubernetes-node"]);
    assert!(calm["bill"]["usd"].as_f64() > Some(10.0) && calm["cost_usd"] == calm["bill"]["usd"], "{calm:#}");
    let stormy =
        run(&["--weather", "no-capacity=2h..10h,failed=10%", "--spot", spot.to_str().unwrap(), "--on-demand", "1"]);
    assert!(stormy["capacity_attainment"].as_f64() < calm["capacity_attainment"].as_f64(), "{stormy:#}");
    assert!(stormy["losses"].as_object().is_some_and(|losses| !losses.is_empty()), "{stormy:#}");
}

/// An hour in which gold had two replicas, and in its second half as much work as four carry.
async fn journal(path: &Path) {
    let spec: FleetSpec = evenkeel_fleet::read(GAME, "game.yaml").unwrap().spec;
    let spec = FleetSpec { tiers: vec![spec.tiers[0].clone()], ..spec };
    let start = Time::from_micros(1_700_000_000_000_000);
    let mut autoscaler = Evenkeel::new(spec, start);
    let (journal, _) = Journal::open(path, Span::from_secs(86_400 * 10_000), 1).unwrap();
    for tick in 0..720 {
        let now = start + Span::from_secs(5 * tick);
        let value = Offered { requests: if tick < 360 { 60 } else { 300 }, prompt_tokens: 0, over: Span::from_secs(5) };
        let offered = Reading::Fresh { value, at: now };
        let replica = |name: &str| Replica {
            id: ReplicaId(name.to_owned()),
            state: ReplicaState::Ready,
            since: start,
            in_flight: Some(1),
        };
        let replicas = Reading::Fresh { value: vec![replica("a"), replica("b")], at: now };
        let observation = Observation { signals: Signals { offered, ..Signals::default() }, replicas };
        let tier = TierInputs { observation, forecast: None, schedule: None, operator: None };
        let inputs = FleetInputs { now, tiers: vec![tier] };
        let state = (tick == 0).then(|| autoscaler.clone());
        let decisions = autoscaler.decide(&inputs);
        journal.record(TickRecord { epoch: 1, inputs, decisions, orders: Vec::new(), state });
        if tick % 50 == 0 {
            assert!(journal.settled(Duration::from_secs(30)).await);
        }
    }
    assert!(journal.settled(Duration::from_secs(30)).await);
}

#[tokio::test]
async fn a_backtest_shows_what_another_fleet_file_would_have_cost_and_attained() {
    let home = tempfile::tempdir().unwrap();
    let (fleet, path) = (home.path().join("game.yaml"), home.path().join("journal.sqlite"));
    fs::write(&fleet, GAME).unwrap();
    journal(&path).await;
    let backtest = |flags: &[&str]| {
        let journal = if flags.contains(&"--journal") { &[][..] } else { &["--journal", path.to_str().unwrap()] };
        evenkeel(home.path(), &[&["backtest", fleet.to_str().unwrap()], journal, flags].concat()).output().unwrap()
    };
    let output = backtest(&["--tier", "gold", "--policies", "evenkeel,static", "-o", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["trace"]["points"], &result["trace"]["unknown_points"]), (&719.into(), &0.into()));
    let recorded = &result["recorded"];
    // Two replicas for fifty minutes.
    assert!((recorded["replica_hours"].as_f64().unwrap() - 2.0 * 49.9 / 60.0).abs() < 0.01, "{recorded:#}");
    let (attained, ours) = (&recorded["capacity_attainment"], &result["cells"][0]["capacity_attainment"]);
    assert!(attained.as_f64() < Some(0.8) && ours.as_f64() > Some(0.9), "{attained} {ours}");
    let difference = &result["differences"][0];
    assert!(difference["cost_usd"].as_f64() > Some(0.0) && difference["capacity_attainment"].as_f64() > Some(0.1));
    let words = String::from_utf8(backtest(&["--tier", "gold"]).stdout).unwrap();
    assert!(
        words.contains("evenkeel: +") && words.contains("points of attainment against what was recorded"),
        "{words}"
    );
    for (flags, code, expected) in [
        (&["--tier", "silver"][..], 3, "the journal tells nothing of a tier `silver`; it has gold"),
        (&["--tier", "gold", "--history", "5h"], 2, "nothing is left to score"),
        (&["--tier", "gold", "--peers", "tuned-on-history", "--history", "0s"], 2, "needs a history to tune on"),
        (
            &["--tier", "gold", "--journal", home.path().to_str().unwrap()],
            2,
            "is a folder; name `journal.sqlite` in it",
        ),
    ] {
        let output = backtest(flags);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(words.contains(expected) && output.status.code() == Some(code), "{words}");
    }
}
