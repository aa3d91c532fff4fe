//! Requests that the engine model carries in a second of one core: fifty replicas of `gold`, each at the load of a busy
//! one, 300 prompt and 40 output tokens on average.

use crate::goal::Goal;
use crate::tier_day;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::replica::{Event, Replica};
use evenkeel_workload::lengths::LengthSampler;
use evenkeel_workload::random::Stream;
use std::time::Instant;

const REPLICAS: u32 = 50;
const REQUESTS_PER_REPLICA: usize = 40_000;
const PER_SECOND: f64 = 13.3;

/// A request: when, prompt tokens, output tokens.
type Arrival = (Time, u32, u32);

pub(crate) fn measure() -> Vec<Goal> {
    let arrivals = arrivals();
    let profile = tier_day::capacity_tier().profile;
    let began = Instant::now();
    let mut finished = 0;
    for _ in 0..REPLICAS {
        finished += carry(Replica::new(&profile, tier_day::START).unwrap(), &arrivals);
    }
    let per_second = finished as f64 / began.elapsed().as_secs_f64();
    vec![Goal::at_least("engine_requests_per_core_second", per_second, "requests/s", 1e6)]
}

/// Drawn beforehand, so that only the engine is measured.
fn arrivals() -> Vec<Arrival> {
    let gold = tier_day::capacity_tier();
    let mut prompts = LengthSampler::new(gold.requests.prompt_tokens, Stream::named(1, "gold", "prompt lengths"));
    let mut outputs = LengthSampler::new(gold.requests.output_tokens, Stream::named(1, "gold", "output lengths"));
    let mut gaps = Stream::named(1, "gold", "arrival times");
    let mut at = tier_day::START;
    let next = |_| {
        at = at + Span::from_secs_f64(gaps.exponential() / PER_SECOND);
        let room = gold.profile.max_model_tokens;
        let prompt = prompts.draw().min(room / 2);
        (at, prompt, outputs.draw().min(room / 2))
    };
    (0..REQUESTS_PER_REPLICA).map(next).collect()
}

fn carry(mut replica: Replica, arrivals: &[Arrival]) -> u64 {
    let mut finished = 0;
    let mut count = |replica: &mut Replica| {
        finished += replica.drain_events().filter(|event| matches!(event, Event::Finished(_))).count() as u64;
    };
    for &(at, prompt, output) in arrivals {
        replica.submit(at, prompt, output).unwrap();
        count(&mut replica);
    }
    while let Some(next) = replica.next_event() {
        replica.advance(next);
        count(&mut replica);
    }
    finished
}
