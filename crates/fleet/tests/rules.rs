//! Every rule once: a sound file is broken in one place, and exactly that is reported, there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::model::Fleet;
use evenkeel_fleet::read;

const SOUND: &str = include_str!("files/sound.yaml");

const GOLD_SIGNAL: &str = "tiers.gold.policies[1].target_tracking.signal";

/// The sound file with `from`, which stands in it exactly once, replaced.
fn with(from: &str, to: &str) -> String {
    assert_eq!(SOUND.matches(from).count(), 1, "{from:?} must stand once in sound.yaml");
    SOUND.replace(from, to)
}

/// The one problem that the replacement causes.
#[track_caller]
fn refused(from: &str, to: &str, path: &str, message: &str) {
    let text = with(from, to);
    let problems = read(&text, "x").expect_err("it must be refused");
    let [problem] = problems.list() else { panic!("exactly one problem expected:\n{problems}") };
    assert_eq!(problem.path, path, "{problem}");
    assert!(problem.message.contains(message), "{problem}");
    assert!(!problem.help.is_empty());
    // The place is inside the replacement, or at the key that the path names.
    let start = SOUND.find(from).unwrap();
    let line = SOUND[..start].matches('\n').count() + 1;
    let inside = (line..=line + to.matches('\n').count()).contains(&problem.line);
    let key = path.rsplit('.').next().unwrap().split('[').next().unwrap();
    let named = text.lines().nth(problem.line - 1).unwrap().contains(key);
    assert!(inside || named, "line {} is neither {line} nor holds `{key}`: {problem}", problem.line);
}

#[track_caller]
fn accepted(text: &str) -> Fleet {
    read(text, "x").unwrap_or_else(|problems| panic!("\n{problems}"))
}

#[track_caller]
fn warned(from: &str, to: &str, expected: &str) {
    let fleet = accepted(&with(from, to));
    let [warning] = fleet.warnings.as_slice() else { panic!("exactly one warning expected: {:?}", fleet.warnings) };
    assert!(warning.contains(expected), "{warning}");
}

#[test]
fn a_late_first_token_is_told_from_an_engine_that_hangs() {
    warned("first_byte: 10s", "first_byte: 999ms", "its first tokens may take 500ms");
    warned("first_byte: 10s", "first_byte: 150ms", "are less than twice what an idle replica of gold takes");
    refused("first_byte: 10s", "first_byte: 60ms", "gateway.first_byte", "would be given up for it after 60ms");
    assert_eq!(accepted(&SOUND.replace("first_byte: 10s", "first_byte: 1s")).warnings, Vec::<String>::new());
}

#[test]
fn the_sound_file_is_read_without_a_warning() {
    assert_eq!(accepted(SOUND).warnings, Vec::<String>::new());
}

#[test]
fn steps_of_decoding_take_the_place_of_a_line() {
    let fleet = accepted(SOUND);
    let (bronze, _) = fleet.tier("bronze").unwrap();
    let added = [1.0, 6.0, 8.0].map(|sequences| bronze.profile.sequences_ms(sequences));
    assert!(added.iter().zip([60.0, 300.0, 390.0]).all(|(is, expected)| (is - expected).abs() < 1e-12), "{added:?}");
}

#[test]
fn words_that_are_not_known_or_not_built_yet() {
    refused("slack: 3", "slac: 3", "tiers.gold.slac", "not a key here");
    refused("slack: 3", "budget: $80000/month", "tiers.gold.budget", "not available yet");
    refused("shared: {maximum: 10}", "shared: {maximum: 10, quota: 4}", "shared.quota", "not available yet");
    refused("fleet: sound", "fleet: sound\nforecast: {}", "forecast", "not available yet");
    refused("backend: {local: {command", "backend: {ecs: {command", "tiers.bronze.backend.ecs", "not available yet");
    refused("signal: gpu_utilization", "signal: response_cache_hits", GOLD_SIGNAL, "not available yet");
    refused("signal: gpu_utilization", "signal: gpu_utilisation", GOLD_SIGNAL, "not a signal");
    refused("signal: gpu_utilization", "signal: ECSServiceAverageGPUUtilization", GOLD_SIGNAL, "does not exist");
    refused("engine: vllm", "engine: triton", "tiers.gold.engine", "not an engine");
    refused("mode: advise", "mode: active", "controller.mode", "not a mode");
    refused("stdout: true", "stdout: yes", "controller.events.stdout", "`true` or `false`");
}

#[test]
fn units_that_are_missing_or_of_the_wrong_kind() {
    refused("tick: 1s", "tick: 1", "tick", "has no unit");
    refused("start_up: 180s", "start_up: 180", "tiers.gold.start_up", "has no unit");
    refused("tpot: {p95: 16ms, p99", "tpot: {p95: 0.016, p99", "tiers.gold.slo.objectives[0].tpot.p95", "has no unit");
    refused("price: $1.006/hour", "price: 1.006", "tiers.gold.price", "has no unit");
    refused("slo: {attainment: 99%", "slo: {attainment: 0.99", "tiers.gold.slo.attainment", "has no unit");
    refused("max_body: 8MiB", "max_body: 8388608", "gateway.max_body", "has no unit");
    refused("per_player: 3.4/min", "per_player: 3.4", "tiers.gold.requests.per_player", "has no unit");
    refused(
        "target: 75%, per",
        "target: 75, per",
        "tiers.gold.policies[1].target_tracking.target",
        "but this signal is a share",
    );
    refused(
        "target: 30s}",
        "target: 30%}",
        "tiers.bronze.policies[1].target_tracking.target",
        "but this signal is a time",
    );
    refused("maximum: 8}", "maximum: 8 replicas}", "tiers.gold.replicas.maximum", "not a plain number");
    refused("maximum: 8}", "maximum: 008}", "tiers.gold.replicas.maximum", "not a plain number");
    refused("maximum: 8}", "maximum: 8.5}", "tiers.gold.replicas.maximum", "not a whole number");
    refused("from: \"18:00\"", "from: 18", "tiers.gold.policies[4].schedule[0].from", "a time of day");
    refused("from: \"18:00\"", "from: \"24:00\"", "tiers.gold.policies[4].schedule[0].from", "a time of day");
    refused("p99: 30ms}", "q99: 30ms}", "tiers.gold.slo.objectives[0].tpot.q99", "not a quantile");
}

#[test]
fn structure_that_is_missing_empty_or_written_twice() {
    refused("    start_up: 180s\n", "", "tiers.gold", "`start_up` is missing");
    refused("slack: 3", "slack: 3\n    slack: 4", "tiers.gold.slack", "written twice");
    refused("slack: 3", "slack:", "tiers.gold.slack", "belongs here, not nothing");
    refused("shared: {maximum: 10}", "shared:", "shared", "not nothing");
    refused("shared: {maximum: 10}", "shared: [10]", "shared", "a map of keys belongs here");
    refused(
        "environment: [HF_HOME]",
        "environment: HF_HOME",
        "tiers.gold.backend.local.environment",
        "a list belongs here",
    );
    refused("- queue_drained: {tier: bronze}", "- queue_drained", "criteria[5]", "without its colon");
    refused(
        "- queue_drained: {tier: bronze}",
        "- {queue_drained: {tier: bronze}, failed_requests: {at_most: 0}}",
        "criteria[5]",
        "exactly one key",
    );
    refused("when_blind: {at_least: 3, after: 60s}", "when_blind: halt", "tiers.gold.when_blind", "`hold` or a map");
    refused("{tier: gold, tpot: {p95: 16ms}}", "{tier: gold}", "criteria[0].latency", "exactly one metric");
    refused("model: small\n", "model: 7\n", "tiers.gold.model", "not the number `7`");
}

#[test]
fn names_that_lead_requests_to_two_tiers_or_to_none() {
    refused("model: large", "model: small", "tiers.bronze.model", "could also mean the tier `gold`");
    refused("model: large", "model: gold", "tiers.bronze.model", "could also mean the tier `gold` itself");
    refused(
        "{tier: gold, at_least: 99%}",
        "{tier: golden, at_least: 99%}",
        "criteria[2].objective_attainment.tier",
        "no tier",
    );
    let text = SOUND.replace("  gold:\n", "  Gold_1:\n").replace("tier: gold,", "tier: bronze,");
    let problems = read(&text, "x").unwrap_err();
    assert!(
        problems.list().iter().any(|problem| problem.path == "tiers.Gold_1" && problem.help.contains("gold-1")),
        "{problems}"
    );
    for nothing_left in ["\u{1f947}", "__", &"x".repeat(64)] {
        let text = SOUND.replace("  gold:\n", &format!("  {nothing_left}:\n")).replace("tier: gold,", "tier: bronze,");
        let problems = read(&text, "x").unwrap_err();
        let problem = problems.list().iter().find(|problem| problem.message.contains("is not a tier's name")).unwrap();
        assert_eq!(problem.help, "write for example `game`", "{problem}");
    }
}

#[test]
fn limits_that_contradict_each_other() {
    refused("{minimum: 1, maximum: 8}", "{minimum: 9, maximum: 8}", "tiers.gold.replicas.minimum", "above the maximum");
    let crowded = with("{minimum: 0, maximum: 4}", "{minimum: 4, maximum: 4}").replace("{maximum: 10}", "{maximum: 4}");
    let problems = read(&crowded, "x").unwrap_err();
    assert_eq!((problems.list().len(), problems.list()[0].path.as_str()), (1, "shared.maximum"), "{problems}");
    assert!(problems.list()[0].message.contains("add up to 5, above the shared maximum of 4"), "{problems}");
    refused(
        "{at_least: 3, after: 60s}",
        "{at_least: 9, after: 60s}",
        "tiers.gold.when_blind.at_least",
        "above the maximum of 8",
    );
    refused("at_least: 4}", "at_least: 9}", "tiers.gold.policies[4].schedule[0].at_least", "above the maximum of 8");
    refused("\"6\", \"7\"]", "\"6\"]", "tiers.gold.backend.local.gpus", "only 7 are listed");
    warned("shared: {maximum: 10}", "shared: {maximum: 12}", "never limits");
    let left_out = with("per_player: 5/hour", "per_player: 5/hour\n      players_share: 20%");
    assert!(accepted(&left_out).warnings[0].contains("add up to 80 %"));
    warned("at_least: 4}", "at_least: 1}", "not more than the minimum");
}

#[test]
fn times_that_do_not_fit_each_other() {
    refused(
        "- capacity: {window: 60s",
        "- capacity: {window: 1s",
        "tiers.gold.policies[0].capacity.window",
        "under two ticks",
    );
    refused("hold: 300s}", "hold: 1s}", "tiers.gold.policies[0].capacity.hold", "under two ticks");
    refused(
        "scale_in: {window: 300s",
        "scale_in: {window: 1s",
        "tiers.gold.behavior.scale_in.window",
        "under two ticks",
    );
    refused("period: 15s", "period: 1s", "tiers.gold.behavior.scale_out.step.period", "under two ticks");
    refused("freshness: 5s", "freshness: 1s", "controller.freshness", "under two ticks");
    refused(
        "start_deadline: 400s",
        "start_deadline: 100s",
        "tiers.gold.backend.local.start_deadline",
        "before its start-up of 180s",
    );
    refused("drain_deadline: 60s", "drain_deadline: 0s", "tiers.gold.backend.local.drain_deadline", "too short");
    refused(
        "step: {replicas: 1, percent: 10,",
        "step: {percent: 0,",
        "tiers.gold.behavior.scale_in.step",
        "lets nothing move",
    );
    refused("tick: 1s", "tick: 10ms", "tick", "too short");
    refused(
        "time_zone: Europe/Berlin",
        "time_zone: Europe/Berln",
        "tiers.gold.policies[4].schedule[0].time_zone",
        "time zone",
    );
    let sleepy = SOUND.replace("hold: {requests: 500, time: 300s}", "hold: {requests: 500, time: 60s}");
    assert_eq!(accepted(&sleepy).warnings, Vec::<String>::new(), "an asynchronous tier may sleep");
    let sleepy = sleepy.replace("{minimum: 1, maximum: 8}", "{minimum: 0, maximum: 8}");
    assert!(accepted(&sleepy).warnings[0].contains("may sleep"));
}

#[test]
fn objectives_that_no_number_of_replicas_meets() {
    let path = "tiers.gold.slo.objectives[0].tpot.p95";
    refused("tpot: {p95: 16ms, p99", "tpot: {p95: 5ms, p99", path, "even on an idle replica");
    // The p95 prompt of mean 300 and sigma 0.8 has 812 tokens, in eight chunks of 112.
    refused(
        "{ttft: {p95: 500ms}}",
        "{ttft: {p95: 90ms}}",
        "tiers.gold.slo.objectives[1].ttft.p95",
        "even on an idle replica",
    );
    refused("{ttft: {p95: 500ms}}", "{tpot: {p95: 20ms}}", "tiers.gold.slo.objectives[1].tpot.p95", "two bounds");
    refused(
        "{queue_time: {p95: 60s}}",
        "{ttft: {p95: 600s}}",
        "tiers.bronze.slo.objectives[0].ttft.p95",
        "asynchronous",
    );
    refused("slo: {attainment: 99%", "slo: {attainment: 100%", "tiers.gold.slo.attainment", "out of range");
    refused("slo: {attainment: 99%", "slo: {attainment: 199%", "tiers.gold.slo.attainment", "out of range");
}

#[test]
fn figures_that_are_a_slip() {
    refused("iteration: 6.5ms", "iteration: 0ms", "tiers.gold.profile.iteration", "no time at all");
    let place = "tiers.bronze.profile.decode_steps[1]";
    let second = "{sequences: 6, added: 300ms}";
    refused(second, "{sequences: 1, added: 300ms}", &format!("{place}.sequences"), "1 sequences stand after 1");
    refused(second, "{sequences: 6, added: 50ms}", &format!("{place}.added"), "6 sequences add less than 1");
    let sigma = "tiers.gold.requests.output_tokens.sigma";
    refused("output_tokens: {mean: 40, sigma: 0.8}", "output_tokens: {mean: 40, sigma: 50}", sigma, "at most 3");
    let widest = with("output_tokens: {mean: 40, sigma: 0.8}", "output_tokens: {mean: 40, sigma: 3}");
    assert_eq!(accepted(&widest).spec.tiers[0].requests.output_tokens.sigma, 3.0);
}

#[test]
fn a_mistake_in_the_queue_of_an_asynchronous_tier_does_not_make_it_a_synchronous_one() {
    let wrong = "tiers.bronze.asynchronous.lease";
    refused("lease: 300s, max_attempts: 3", "lease: 300, max_attempts: 3", wrong, "has no unit");
}

#[test]
fn profiles_that_no_engine_accepts() {
    refused(
        "max_batched_tokens: 112",
        "max_batched_tokens: 32",
        "tiers.gold.profile.max_batched_tokens",
        "only 32 tokens",
    );
    refused("kv_tokens: 200000", "kv_tokens: 4000", "tiers.gold.profile.kv_tokens", "fewer than one longest request");
    refused(
        "output_tokens: {mean: 40,",
        "output_tokens: {mean: 4000,",
        "tiers.gold.profile.max_model_tokens",
        "a mean request",
    );
}

#[test]
fn policies_that_cannot_see_or_would_run_away() {
    refused("objective: tpot p95", "objective: tpot", "tiers.gold.policies[2].latency.objective", "several objectives");
    refused(
        "objective: tpot p95",
        "objective: itl",
        "tiers.gold.policies[2].latency.objective",
        "not an objective of this tier",
    );
    refused("per: replica", "per: tier", "tiers.gold.policies[1].target_tracking.per", "mean over replicas");
    refused(
        "target: 30s}",
        "target: 30s, per: replica}",
        "tiers.bronze.policies[1].target_tracking.per",
        "not divided",
    );
    warned(
        "{signal: oldest_queued, target: 30s}",
        "{signal: queue_depth, target: 50, per: tier}",
        "does not shrink when replicas are added",
    );
    let players = "players: {http: {url: \"http://127.0.0.1:9000/players\", pointer: /online}}\n";
    let problems = read(&with(players, ""), "x").unwrap_err();
    assert_eq!(problems.list().len(), 1);
    assert_eq!(problems.list()[0].path, "tiers.gold.policies[3].players_per_replica");
}

#[test]
fn commands_that_nothing_fills_in() {
    let word = "tiers.gold.backend.local.command[2]";
    refused("--port, \"{port}\", --gpu", "--port, \"{prot}\", --gpu", word, "nothing fills in `{prot}`");
    refused(
        "gpus: [\"0\", \"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\"]",
        "gpus: []",
        "tiers.gold.backend.local.command",
        "`gpus` lists none",
    );
    refused("[HF_HOME]", "[HF_HOME=/x]", "tiers.gold.backend.local.environment[0]", "name only");
    warned("--port, \"{port}\", --gpu", "--gpu", "EVENKEEL_PORT");
}

/// The sound file's gold tier run by our own emulated replica with these arguments.
fn replica(arguments: &str) -> String {
    format!("command: [evenkeel, replica, {arguments}, --port, \"{{port}}\", --gpu, \"{{gpu}}\"]")
}

#[test]
fn a_replica_of_ours_that_is_started_as_another_tier() {
    let gold = "command: [server, --port, \"{port}\", --gpu, \"{gpu}\"]";
    let of = |tier: &str| replica(&format!("--fleet, \"{{file}}\", --tier, {tier}"));
    assert_eq!(accepted(&with(gold, &of("gold"))).warnings, Vec::<String>::new());
    warned(gold, &of("bronze"), "a replica of `gold` would have the speed and the model of `bronze`");
    let word = "tiers.gold.backend.local.command";
    refused(gold, &of("golden"), &format!("{word}[5]"), "there is no tier `golden`");
    refused(gold, &replica("--tier=golden, --fleet, \"{file}\""), &format!("{word}[2]"), "there is no tier `golden`");
    refused(gold, &replica("--fleet, \"{file}\""), word, "must be told its tier");
    let elsewhere = with(gold, &replica("--fleet, other.yaml, --tier, golden"));
    assert_eq!(accepted(&elsewhere).warnings, Vec::<String>::new(), "another file's tiers are not known");
    let foreign = with(gold, "command: [server, --tier, golden, --port, \"{port}\", --gpu, \"{gpu}\"]");
    assert_eq!(accepted(&foreign).warnings, Vec::<String>::new(), "nor is what other programs mean by it");
}

const BRONZE_POLICIES: &str =
    "- backlog_per_replica: {target: 2}\n      - target_tracking: {signal: oldest_queued, target: 30s}\n";

#[test]
fn a_tier_that_sleeps_and_that_nothing_wakes() {
    let minimum = "tiers.bronze.replicas.minimum";
    let deaf = "- target_tracking: {signal: gpu_utilization, target: 75%}\n";
    refused(
        BRONZE_POLICIES,
        deaf,
        minimum,
        "`gpu_utilization` tells nothing of waiting requests while no replica runs",
    );
    let two = format!("{deaf}      - target_tracking: {{signal: in_flight, target: 8}}\n");
    refused(BRONZE_POLICIES, &two, minimum, "`gpu_utilization` and `in_flight` tell nothing");
    let failing = format!("{deaf}      - target_tracking: {{signal: error_share, target: 1%}}\n");
    warned(BRONZE_POLICIES, &failing, "wakes once some have failed");
    warned(BRONZE_POLICIES, &format!("{deaf}    when_blind: {{at_least: 1}}\n"), "or when blind");
    for hearing in [
        "capacity: {}",
        "backlog_per_replica: {target: 2}",
        "latency: {objective: queue_time}",
        "target_tracking: {signal: queue_depth, target: 10}",
        "target_tracking: {signal: offered, target: 1/s}",
        "players_per_replica: {players: 100}",
    ] {
        let text = with(BRONZE_POLICIES, &format!("{deaf}      - {hearing}\n"));
        assert_eq!(accepted(&text).warnings, Vec::<String>::new(), "{hearing}");
    }
    let awake = with(BRONZE_POLICIES, deaf).replace("{minimum: 0, maximum: 4}", "{minimum: 1, maximum: 4}");
    assert_eq!(accepted(&awake).warnings, Vec::<String>::new());
}

#[test]
fn latency_and_pace_as_targets() {
    for latency in ["latency", "ttft", "tpot", "queue_time"] {
        refused("signal: gpu_utilization", &format!("signal: {latency}"), GOLD_SIGNAL, "no target is kept by it");
    }
    let old = "{signal: oldest_queued, target: 30s}";
    let target = "tiers.bronze.policies[1].target_tracking.target";
    // A large model on CPUs: 160 ms and 45 ms for the one sequence.
    refused(old, "{signal: pace, target: 200ms}", target, "the count would run to the maximum");
    warned(old, "{signal: pace, target: 30s}", "never adds a replica");
    assert_eq!(accepted(&with(old, "{signal: pace, target: 400ms}")).warnings, Vec::<String>::new());
}

#[test]
fn a_window_of_no_length_is_told_with_the_shortest_that_works() {
    let zero = |from: &str, to: &str, path: &str| {
        refused(from, to, path, "under two ticks of 1s");
        assert!(read(&with(from, to), "x").unwrap_err().list()[0].help.starts_with("write 2s or more"));
    };
    zero("capacity: {window: 60s", "capacity: {window: 0s", "tiers.gold.policies[0].capacity.window");
    zero("hold: 300s}", "hold: 0s}", "tiers.gold.policies[0].capacity.hold");
    zero(
        "objective: tpot p95, window: 60s",
        "objective: tpot p95, window: 0s",
        "tiers.gold.policies[2].latency.window",
    );
    zero("per: replica, window: 60s", "per: replica, window: 0s", "tiers.gold.policies[1].target_tracking.window");
    zero("period: 60s", "period: 0s", "tiers.gold.behavior.scale_in.step.period");
    zero("freshness: 5s", "freshness: 0s", "controller.freshness");
    warned("window: 300s, cooldown: 300s", "window: 0s, cooldown: 0s", "neither a window nor a cooldown steadies it");
    let window = with("window: 300s, cooldown: 300s", "window: 300s, cooldown: 0s");
    assert_eq!(accepted(&window).warnings, Vec::<String>::new());
    warned("after: 60s", "after: 0s", "one late reading, which would start replicas");
}

#[test]
fn a_journal_too_short_to_replay() {
    warned("retention: 14d", "retention: 1s", "what led to a decision is dropped after 1s");
    warned("retention: 14d", "retention: 9m", "write 10m or more");
    assert_eq!(accepted(&with("retention: 14d", "retention: 10m")).warnings, Vec::<String>::new());
}

#[test]
fn a_warning_begins_with_its_line_and_column() {
    let fleet = accepted(&with("retention: 14d", "retention: 1s"));
    assert!(fleet.warnings[0].starts_with("9:14: controller.retention: "), "{:?}", fleet.warnings);
}

#[test]
fn listeners_that_collide_or_are_open_to_others() {
    refused("listen: 127.0.0.1:8080", "listen: 127.0.0.1:7070", "gateway.listen", "both listen on port 7070");
    refused("listen: 127.0.0.1:8080", "listen: \"8080\"", "gateway.listen", "an address and a port");
    warned("listen: 127.0.0.1:8080", "listen: 0.0.0.0:8080", "can be reached from other machines");
    refused("listen: 127.0.0.1:7070", "listen: 127.0.0.1:0", "controller.listen", "another port at each start");
    warned("listen: 127.0.0.1:8080", "listen: 127.0.0.1:0", "clients do not know where to send");
    refused(
        "url: \"http://127.0.0.1:9000/events\"",
        "url: \"http://me:pass@host/\"",
        "controller.events.webhook.url",
        "password",
    );
}

#[test]
fn criteria_that_could_not_be_judged() {
    refused("e2e: {p95: 600s}", "ttft: {p95: 600s}", "criteria[1].latency.ttft", "asynchronous");
    refused(
        "queue_drained: {tier: bronze}",
        "queue_drained: {tier: gold}",
        "criteria[5].queue_drained.tier",
        "no durable queue",
    );
    refused(
        "at_least: 70%, at_most: 85%",
        "at_least: 90%, at_most: 85%",
        "criteria[3].gpu_utilization.at_least",
        "band is empty",
    );
    refused("while_ready: 5", "while_ready: 9", "criteria[3].gpu_utilization.while_ready", "never ready");
}
