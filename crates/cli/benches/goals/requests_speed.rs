//! Requests that a simulation carries in a second of one core, from drawing them to their latencies: fifty, thirty and eight
//! replicas of `gold`, 300 prompt and 40 output tokens on average, at the load of a busy one. A hundred million of them,
//! after which memory must be what it was after a tenth.

use crate::goal::Goal;
use crate::memory::resident_bytes;
use crate::tier_day;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::Span;
use evenkeel_sim::autoscaler::{Autoscaler, Seen};
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::requests::{Drawn, Gateway, Traffic, run};
use evenkeel_sim::setting::Setting;
use std::process::Command;
use std::time::Instant;

const FLEETS: [u32; 3] = [50, 30, 8];
const PER_SECOND: f64 = 13.3;
const SLOT: Span = Span::from_secs(5);
/// A hundred million requests in all.
const SLOTS: usize = 17_100;
const MIB: f64 = 1_048_576.0;

pub(crate) fn measure() -> Vec<Goal> {
    let tier = tier_day::capacity_tier();
    let (mut answered, mut grown) = (0, 0.0_f64);
    let began = Instant::now();
    for replicas in FLEETS {
        let (requests, growth) = carry(&tier, replicas);
        answered += requests;
        grown = grown.max(growth);
    }
    let per_second = answered as f64 / began.elapsed().as_secs_f64();
    if let Some(simpy) = simpy_per_second() {
        println!(
            "simpy: {simpy} requests/s of a queue with 16 servers; the simulator {:.1} times that",
            per_second / simpy
        );
    }
    vec![
        Goal::at_least("simulated_requests_per_core_second", per_second, "requests/s", 1e6),
        Goal::at_most("simulation_memory_growth", grown / MIB, "MiB", 1.0),
    ]
}

/// What SimPy carries, a common library for simulations, where `EVENKEEL_SIMPY` names a Python that has it.
fn simpy_per_second() -> Option<f64> {
    let python = std::env::var_os("EVENKEEL_SIMPY")?;
    let output = Command::new(python).args(["-c", include_str!("queue_in_simpy.py")]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

/// Requests answered, and bytes that memory grew by after a tenth of them.
fn carry(tier: &TierSpec, replicas: u32) -> (u64, f64) {
    let rates = vec![PER_SECOND * f64::from(replicas); SLOTS];
    let demand = vec![f64::from(replicas); SLOTS];
    let traffic = Traffic::Drawn(Drawn::of(tier, &rates, SLOT, 1));
    let gateway = Gateway::new(1_000, Span::from_secs(60), tier.profile.max_sequences + 2);
    let (start, violation) = (tier_day::START, Violation::Excess);
    let (minimum, maximum) = (replicas, replicas);
    let setting = Setting { slot: SLOT, start_up_slots: 12, minimum, maximum, scored_from: 0, start, violation };
    let mut fixed = Fixed { replicas, after_a_tenth: None };
    let outcome = run(traffic, &demand, &setting, (tier, &gateway), &mut fixed).unwrap();
    let growth = resident_bytes() as f64 - fixed.after_a_tenth.unwrap() as f64;
    (outcome.served.requests.unwrap().answered, growth)
}

/// A count that never changes; it looks at this process's memory once.
struct Fixed {
    replicas: u32,
    after_a_tenth: Option<u64>,
}

impl Autoscaler for Fixed {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if seen.served_by.len() == SLOTS / 10 {
            self.after_a_tenth = Some(resident_bytes());
        }
        self.replicas
    }
}
