//! What files promise: whatever is written in them, they end in a trace or a series that makes sense, or in a refusal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_core::units::Span;
use evenkeel_workload::{PlayersSeries, RequestTrace, TraceError};
use proptest::prelude::*;

/// Seconds, two counts and some block ids.
type Entry = (u32, u32, u32, Vec<u64>);

/// A format's first line, and how it writes an entry.
type Format = (&'static str, fn(&Entry) -> String);

const TRACES: [Format; 5] = [
    ("", |(at, prompt, output, _)| format!("{at},{prompt},{output}")),
    ("t_s,in_tok,out_tok", |(at, prompt, output, _)| format!("{at},{prompt},{output}")),
    ("TIMESTAMP,ContextTokens,GeneratedTokens", |(at, prompt, output, _)| {
        format!("{}+00:00,{prompt},{output}", moment(*at))
    }),
    ("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type", |(at, prompt, output, _)| {
        format!("{at},GPT-4,{prompt},{output},0,API log")
    }),
    ("", |(at, prompt, output, ids)| {
        format!(
            "{{\"timestamp\": {at}, \"input_length\": {prompt}, \"output_length\": {output}, \"hash_ids\": {ids:?}}}"
        )
    }),
];

const SERIES: [Format; 4] = [
    ("", |(at, players, ..)| format!("{at},{players}")),
    ("unix_s,value,flag", |(at, players, ..)| format!("{at},{players},ok")),
    ("\"DateTime\",\"Players\",\"Average Players\"", |(at, players, ..)| format!("\"{}\",{players},", moment(*at))),
    ("DateTime;Users", |(at, players, ..)| format!("{};{players}", moment(*at))),
];

fn moment(second: u32) -> String {
    format!(
        "2024-02-{:02} {:02}:{:02}:{:02}.5",
        1 + second / 86_400,
        second / 3_600 % 24,
        second / 60 % 60,
        second % 60
    )
}

/// A file in one of the formats, in order of time, and perhaps something else in place of one line.
fn text(formats: &'static [Format]) -> impl Strategy<Value = (String, bool)> {
    let entry = (1u32..50_000, 0u32..3_000, 0u32..3, prop::collection::vec(0u64..9, 0..5));
    let entries = prop::collection::vec(entry, 1..12);
    let broken = prop::option::weighted(0.4, (any::<prop::sample::Index>(), junk()));
    (prop::sample::select(formats), entries, broken).prop_map(|((first, line), mut entries, broken)| {
        let mut at = 0;
        for entry in &mut entries {
            at += entry.0;
            entry.0 = at;
        }
        let mut lines: Vec<String> = [first.to_owned()].into_iter().chain(entries.iter().map(line)).collect();
        let whole = broken.is_none();
        if let Some((index, junk)) = broken {
            let length = lines.len();
            lines[index.index(length)] = junk;
        }
        (lines.join("\n"), whole)
    })
}

fn junk() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        any::<u64>().prop_map(|it| it.to_string()),
        any::<f64>().prop_map(|it| it.to_string()),
        "\\PC{0,12}"
    ];
    prop::collection::vec(field, 1..7).prop_map(|fields| fields.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_trace_is_in_order_and_finds_no_more_in_a_cache_than_a_prompt_holds((text, whole) in text(&TRACES)) {
        match RequestTrace::from_bytes(text.as_bytes()) {
            Ok(trace) => {
                let requests = trace.requests();
                prop_assert_eq!(requests[0].at, Span::ZERO);
                prop_assert!(requests.is_sorted_by_key(|it| it.at));
                prop_assert!(requests.iter().all(|it| it.prompt_tokens.min(it.output_tokens) >= 1));
                prop_assert!(requests.iter().all(|it| it.cached_tokens <= it.prompt_tokens));
                prop_assert!((0.0..=1.0).contains(&trace.cached_share()));
            }
            // All requests of a BurstGPT file may have failed.
            Err(TraceError::Empty) => prop_assert!(!whole || text.starts_with("Timestamp")),
            Err(refused) => prop_assert!(!whole, "{refused}"),
        }
    }

    #[test]
    fn a_series_goes_forward_and_counts_are_counts((text, whole) in text(&SERIES)) {
        match PlayersSeries::from_bytes(text.as_bytes()) {
            Ok(series) => {
                prop_assert_eq!(series.points()[0].at, Span::ZERO);
                prop_assert!(series.points().windows(2).all(|pair| pair[0].at < pair[1].at));
                prop_assert!(series.points().iter().all(|it| it.players.is_finite() && it.players >= 0.0));
            }
            Err(refused) => prop_assert!(!whole, "{refused}"),
        }
    }
}
