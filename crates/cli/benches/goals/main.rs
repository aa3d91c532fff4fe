//! The decision's, the engine's, the journal's and the simulator's goals: `make bench` collects the line that each prints,
//! `name  figure  unit  goal  ok|short`.
//!
//! A goal is a file of its own with a function `measure`; a new one is added to `GOALS`. What a goal needs of the world
//! comes from `tier_day`, so that all of them decide about the same traffic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod decide_time;
mod engine_speed;
mod goal;
mod hundred_thousand_tiers;
mod journal_size;
mod memory;
mod oracle;
mod requests_speed;
mod state_size;
mod tier_day;

use goal::Goal;

const GOALS: [fn() -> Vec<Goal>; 7] = [
    decide_time::measure,
    state_size::measure,
    hundred_thousand_tiers::measure,
    engine_speed::measure,
    journal_size::measure,
    oracle::measure,
    requests_speed::measure,
];

fn main() {
    // `cargo test --benches` runs this too, to see whether it starts; a figure is not wanted then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    for measure in GOALS {
        measure().iter().for_each(Goal::print);
    }
}
