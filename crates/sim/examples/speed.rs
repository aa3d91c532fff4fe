//! scratch
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::*;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::QueueSettings;
use evenkeel_sim::fluid::{Autoscaler, Seen, Setting};
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::requests::{Drawn, Gateway, Traffic, run};
struct Static(u32);
impl Autoscaler for Static {
    fn decide(&mut self, _: &Seen<'_>) -> u32 {
        self.0
    }
}
fn main() {
    let replicas: u32 = std::env::args().nth(1).map_or(50, |a| a.parse().unwrap());
    let each: f64 = std::env::args().nth(2).map_or(13.3, |a| a.parse().unwrap());
    let slots: usize = std::env::args().nth(3).map_or(720, |a| a.parse().unwrap());
    let seqs: u32 = std::env::args().nth(4).map_or(7, |a| a.parse().unwrap());
    let sigma: f64 = std::env::args().nth(5).map_or(0.8, |a| a.parse().unwrap());
    let profile = Profile {
        iteration_ms: 6.5,
        per_sequence_ms: 0.09,
        decode_steps: vec![],
        per_cached_token_ms: 9e-5,
        per_prefill_token_ms: 0.08,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 112,
        max_sequences: seqs,
        kv_tokens: 400_000,
        max_model_tokens: 4096,
        prefix_hit_share: 0.0,
        overhead_ms: 0.0,
    };
    let requests = RequestShape {
        prompt_tokens: Lengths { mean: 300.0, sigma },
        output_tokens: Lengths { mean: 40.0, sigma },
        per_player_per_minute: 3.4,
    };
    let spec = TierSpec {
        name: "gold".into(),
        minimum: replicas,
        maximum: 100,
        priority: 1,
        price_per_hour: evenkeel_core::units::MicroUsd::from_micros(1),
        slo: Slo {
            objectives: vec![Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound: Span::from_millis(16) }],
        },
        attainment: 0.99,
        requests,
        profile,
        start_up: Span::from_secs(60),
        policies: vec![],
        behavior: Behavior::default(),
        blind: Blind::Hold,
    };
    let gateway =
        Gateway { queue: QueueSettings::new(100_000, Span::from_secs(60)), max_outstanding: seqs + 2, patience: None };
    let rates = vec![each * f64::from(replicas); slots];
    let demand = vec![1.0; slots];
    let setting = Setting {
        slot: Span::from_secs(5),
        start_up_slots: 12,
        minimum: replicas,
        maximum: 100,
        scored_from: 0,
        start: Time::default(),
        violation: Violation::Excess,
    };
    let began = std::time::Instant::now();
    let traffic = Traffic::Drawn(Drawn::new("gold", &rates, setting.slot, &spec.requests, 4096, 1));
    let outcome = run(traffic, &demand, &setting, (&spec, &gateway), &mut Static(replicas)).unwrap();
    let s = began.elapsed().as_secs_f64();
    println!(
        "{:?}\n{} requests in {s:.2} s: {:.0}/s",
        outcome.served,
        outcome.served.offered_requests,
        outcome.served.offered_requests as f64 / s
    );
    let began = std::time::Instant::now();
    let n = Drawn::new("gold", &rates, setting.slot, &spec.requests, 4096, 1).count();
    println!("drawing {n}: {:.0} ns each", began.elapsed().as_secs_f64() * 1e9 / n as f64);
}
