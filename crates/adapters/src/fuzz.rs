//! For fuzzing only (feature `fuzz`): each function takes any bytes, and panics where a reader of a source breaks what it
//! promises.

use crate::engines::readings;
use crate::gateway::between_two;
use crate::players;
use crate::prometheus::Page;
use evenkeel_core::observe::{Reading, Signals};
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::EngineKind;
use evenkeel_wire::report::GatewayReport;

/// A metrics page: refused, or values as written; and what a tier of two such replicas shows is numbers in their ranges.
pub fn metrics_page(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let page = match Page::parse(text) {
        Ok(page) => page,
        Err(malformed) => {
            assert!(malformed.line >= 1 && malformed.line <= text.lines().count(), "a mistake without a place");
            return;
        }
    };
    assert!(page.samples().iter().all(|sample| !sample.name.is_empty()), "a series without a name");
    for engine in [EngineKind::Vllm, EngineKind::Sglang, EngineKind::Tgi, EngineKind::LlamaCpp] {
        let signals = readings(&page, engine, Time::from_micros(1));
        for share in [signals.gpu_utilization, signals.kv_utilization].iter().filter_map(Reading::fresh) {
            assert!(share.sum >= 0.0 && share.sum <= share.count as f64, "{share:?} is no share");
        }
        if let Some(misses) = signals.prefix_cache_miss.fresh() {
            assert!(misses.part <= misses.whole, "{misses:?}");
        }
    }
}

/// A player count, bare or in a document: the first line is the pointer, the rest the text.
pub fn player_count(data: &[u8]) {
    let line = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (pointer, text) = data.split_at(line);
    let text = text.get(1..).unwrap_or_default();
    let pointer = std::str::from_utf8(pointer).unwrap_or("");
    for pointer in [Some(pointer), Some(""), None] {
        match players::number(text, pointer) {
            Ok(players) => assert!(players.is_finite() && players >= 0.0, "{players} players"),
            Err(error) => assert!(!error.detail.is_empty(), "refused without a reason"),
        }
    }
}

/// Two reports of a gateway with an empty line between them: what changed between them is counts that hold together.
pub fn gateway_report(data: &[u8]) {
    let Some(gap) = data.windows(2).position(|pair| pair == b"\n\n") else { return };
    let (before, now) = data.split_at(gap);
    let read = |text: &[u8]| serde_json::from_slice::<GatewayReport>(text).ok();
    let (Some(before), Some(now)) = (read(before), read(now)) else { return };
    let objectives: Vec<Objective> = LatencyMetric::ALL
        .iter()
        .map(|&metric| Objective { metric, quantile: 0.95, bound: Span::from_millis(250) })
        .collect();
    for signals in between_two(before, &now, &objectives, Time::from_micros(1)) {
        holds_together(&signals);
    }
}

fn holds_together(signals: &Signals) {
    if let Some(share) = signals.error_share.fresh() {
        assert!(share.part <= share.whole, "{share:?}");
    }
    if let Some(offered) = signals.offered.fresh() {
        assert!(offered.over > Span::ZERO, "a rate over no time");
    }
    for latency in signals.latency.iter().filter_map(Reading::fresh) {
        assert!(latency.above <= latency.count && latency.count > 0, "{latency:?}");
        assert!(latency.quantile_low <= latency.quantile_high, "{latency:?}");
    }
    if let Some(pace) = signals.pace.fresh() {
        assert!(pace.sum.is_finite(), "{pace:?}");
    }
}
