#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use evenkeel_core::profile::Profile;
use evenkeel_core::units::Time;
use evenkeel_engine::replica::Replica;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a reader of a page relies on.
#[derive(Debug, Default, PartialEq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
    /// The `le` labels, as written.
    edges: Vec<String>,
}

/// The families of a page by name. Good for pages without braces or blanks in label values, such as vLLM's.
fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            name.clone_into(&mut current);
            kind.clone_into(&mut families.entry(current.clone()).or_default().kind);
        } else if !line.starts_with('#') {
            let family = families.get_mut(&current).unwrap();
            let labels =
                line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}')).map_or("", |(labels, _)| labels);
            for (label, value) in labels.split("\",").filter_map(|label| label.split_once("=\"")) {
                family.labels.insert(label.to_owned());
                let value = value.trim_end_matches('"').to_owned();
                if label == "le" && !family.edges.contains(&value) {
                    family.edges.push(value);
                }
            }
        }
    }
    families
}

/// A page after a fixed day in a replica's life: 40 requests, one cancelled, one under way, some of them with the end
/// drawn.
fn sample_page() -> String {
    let profile = Profile {
        iteration_ms: 6.5,
        per_sequence_ms: 0.09,
        decode_steps: Vec::new(),
        per_cached_token_ms: 9e-5,
        per_prefill_token_ms: 0.08,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 112,
        max_sequences: 8,
        kv_tokens: 2_000,
        max_model_tokens: 1_024,
        prefix_hit_share: 0.25,
        overhead_ms: 2.0,
    };
    let start = Time::from_micros(1_700_000_000_000_000);
    let mut replica = Replica::new(&profile, start).unwrap();
    let mut ids = Vec::new();
    for number in 0..40_u32 {
        let arrival = start + Span::from_millis(i64::from(number) * 20);
        ids.push(replica.submit(arrival, 100 + number * 5, 10 + number).unwrap());
    }
    replica.cancel(start + Span::from_millis(900), ids[39]);
    replica.advance(start + Span::from_secs(30));
    replica.submit(start + Span::from_secs(30), 300, 50).unwrap();
    replica.advance(start + Span::from_millis(30_100));
    let mut metrics = Metrics::new();
    for event in replica.drain_events() {
        metrics.record(&event);
        if let Event::Finished(finished) = &event {
            metrics.first_token(finished.ttft());
            let reason = if finished.output_tokens % 4 == 0 { Reason::Stop } else { Reason::Length };
            metrics.finished(finished, reason);
        }
    }
    metrics.lagged(Span::from_micros(1_100));
    metrics.lagged(Span::from_millis(3));
    let levels = Levels {
        running: replica.running(),
        waiting: replica.waiting(),
        kv_usage: replica.kv_usage(),
        busy_share: 0.1,
    };
    metrics.page("tiny", replica.counters(), &levels)
}

#[test]
fn the_page_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/emulated_replica.prom");
    let page = sample_page();
    if std::env::var_os("EVENKEEL_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(page == committed, "the page changed: look at it, then set EVENKEEL_WRITE_FIXTURES=1 to commit it\n{page}");
}

#[test]
fn histograms_count_every_finished_request_and_every_gap() {
    let page = sample_page();
    let value = |series: &str| -> f64 {
        let line = page.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    assert!((value("vllm:e2e_request_latency_seconds_count") - 39.0).abs() < 1e-9);
    assert!(
        (value("vllm:request_success_total{engine=\"0\",model_name=\"tiny\",finished_reason=\"abort\"}") - 1.0).abs()
            < 1e-9
    );
    // Every token but each request's first ends a gap.
    let firsts = 39.0 + f64::from(u8::from(value("vllm:num_requests_running") > 0.0));
    let generated = value("vllm:generation_tokens_total");
    let gaps = value("vllm:inter_token_latency_seconds_count");
    assert!(gaps <= generated - 39.0 && gaps >= generated - firsts - 1.0, "{gaps} gaps, {generated} tokens");
}

/// The families of a list: a line each of name, kind, labels and edges, `-` for none.
fn listed(list: &str) -> BTreeMap<String, Family> {
    let several = |field: &str| field.split(',').filter(|it| *it != "-").map(str::to_owned).collect::<Vec<_>>();
    let family = |line: &str| {
        let [name, kind, labels, edges] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let labels = several(labels).into_iter().collect();
        (name.to_owned(), Family { kind: kind.to_owned(), labels, edges: several(edges) })
    };
    list.lines().filter(|line| !line.starts_with('#')).map(family).collect()
}

#[test]
fn names_types_labels_and_edges_are_those_of_vllm() {
    let real = listed(include_str!("../../tests/fixtures/vllm-0.32.0.families"));
    let ours = families(&sample_page());
    let emulated: Vec<_> = ours.iter().filter(|(name, _)| name.starts_with("vllm:")).collect();
    assert!(emulated.len() >= 20, "only {} families", emulated.len());
    for (name, family) in emulated {
        assert_eq!(Some(family), real.get(name), "{name}");
    }
}
