//! What the controller is told of one tier: honest readings, and what faults make of them. It keeps apart, by what was
//! told and not by what became of it, whether a policy's source may be gone by.

use super::needs::players_online;
use super::schedule::Source;
use super::weather::{TierWeather, Wrong};
use super::world::Tier;
use super::{TICK, TICK_SPAN};
use evenkeel_core::observe::{Cause, Finished, Latency, Mean, Offered, Reading, Signals};
use evenkeel_core::spec::{PolicySpec, Signal, TierSpec};
use evenkeel_core::units::{Span, Time};

/// Readings older than this are stale: three ticks, as the fleet file has it by default.
pub const FRESHNESS: Span = Span::from_secs(3 * TICK as i64);
/// How far readings are off that are stale or ahead.
const OFF_BY: Span = Span::from_secs(30);

/// The last answer of a source.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    at: Time,
    good: bool,
}

/// Requests counted since the last reading.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    arrived: f64,
    ended: f64,
    late: f64,
    ticks: u32,
}

/// One tier's sources.
#[derive(Clone, Debug)]
pub struct Senses {
    sights: [Sight; 4],
    counted: Counted,
    /// The next reading of counters is the first of a controller.
    first: bool,
    /// The players told are none.
    nobody: bool,
    /// Readings, one for each source that was asked.
    pub reads: u64,
}

impl Senses {
    /// Nothing was read yet.
    pub fn new() -> Self {
        Self { sights: [Sight::default(); 4], counted: Counted::default(), first: true, nobody: false, reads: 0 }
    }

    /// Another controller begins to read.
    pub const fn begin_anew(&mut self) {
        self.first = true;
    }

    /// The tick passed.
    pub fn count(&mut self, tier: &Tier) {
        let served = tier.served;
        self.counted.arrived += served.arrived;
        self.counted.ended += served.ended;
        self.counted.late += if tier.waiting > 0.0 { served.ended } else { 0.0 };
        self.counted.ticks += 1;
    }

    /// Every source is asked once, at `now` by the controller's clock.
    pub fn read(&mut self, spec: &TierSpec, tier: &Tier, weather: &TierWeather, now: Time, signals: &mut Signals) {
        for source in Source::ALL {
            self.reads += 1;
            let wrong = weather.sources[source as usize];
            if wrong == Wrong::Repeated {
                continue;
            }
            let at = match wrong {
                Wrong::Stale => now - OFF_BY,
                Wrong::Future => now + OFF_BY,
                _ => now,
            };
            let good = match source {
                Source::Counters => self.read_counters(spec, wrong, at, signals),
                Source::Levels => read_levels(tier, wrong, at, signals),
                Source::Exporter => read_exporter(tier, wrong, at, signals),
                Source::Players => self.read_players(spec, tier, wrong, at, signals),
            };
            self.sights[source as usize] = Sight { at, good };
        }
        for sight in &mut self.sights {
            sight.good &= sight.at <= now && now.since(sight.at) <= FRESHNESS;
        }
    }

    fn read_counters(&mut self, spec: &TierSpec, wrong: Wrong, at: Time, signals: &mut Signals) -> bool {
        let cause = match wrong {
            Wrong::Missing | Wrong::Partial => Some(Cause::Unreachable),
            Wrong::Reset => Some(Cause::CounterReset),
            _ if self.first => Some(Cause::FirstReading),
            _ => None,
        };
        signals.latency.resize(spec.slo.objectives.len(), Reading::default());
        if let Some(cause) = cause {
            signals.offered = Reading::Missing { cause };
            signals.finished = Reading::Missing { cause };
            signals.pace = Reading::Missing { cause };
            signals.latency.fill(Reading::Missing { cause });
            if cause != Cause::Unreachable {
                self.counted = Counted::default();
                self.first = false;
            }
            return false;
        }
        self.tell_counters(spec, wrong == Wrong::Implausible, at, signals);
        true
    }

    fn tell_counters(&mut self, spec: &TierSpec, implausible: bool, at: Time, signals: &mut Signals) {
        let over = Span::from_secs(i64::from(self.counted.ticks * TICK));
        let whole = |it: &mut f64| {
            let whole = libm::floor(*it);
            *it -= whole;
            whole as u64
        };
        let requests = whole(&mut self.counted.arrived);
        let succeeded = whole(&mut self.counted.ended);
        let above = whole(&mut self.counted.late).min(succeeded);
        self.counted.ticks = 0;
        let each = if implausible { 20.0 } else { 1.0 };
        let tokens = |mean: f64| (succeeded as f64 * mean * each) as u64;
        let finished = Finished {
            succeeded,
            failed: 0,
            prompt_tokens: tokens(spec.requests.prompt_tokens.mean),
            output_tokens: tokens(spec.requests.output_tokens.mean),
            over,
        };
        let requests = if implausible { u64::MAX / 4 } else { requests };
        signals.offered = Reading::Fresh { value: Offered { requests, prompt_tokens: 0, over }, at };
        signals.finished = Reading::Fresh { value: finished, at };
        let ended = |reading| if succeeded == 0 { Reading::Missing { cause: Cause::NoRequest } } else { reading };
        let latency = Latency { count: succeeded, above, ..Latency::default() };
        signals.latency.fill(ended(Reading::Fresh { value: latency, at }));
        let sum = if implausible { f64::NAN } else { spec.profile.iteration_ms * succeeded as f64 };
        let pace = Mean { sum, count: succeeded };
        signals.pace = if succeeded == 0 {
            Reading::Missing { cause: Cause::NoRequest }
        } else {
            Reading::Fresh { value: pace, at }
        };
    }

    fn read_players(&mut self, spec: &TierSpec, tier: &Tier, wrong: Wrong, at: Time, signals: &mut Signals) -> bool {
        let told = wrong != Wrong::Missing && wrong != Wrong::Partial && wrong != Wrong::Reset;
        let players = if wrong == Wrong::Implausible { 0 } else { players_online(spec, tier.served.per_second) };
        self.nobody = told && players == 0;
        signals.players =
            if told { Reading::Fresh { value: players, at } } else { Reading::Missing { cause: Cause::Unreachable } };
        told && plausible(wrong)
    }

    /// Whether a policy of the tier may not be gone by: its source did not tell, or not all, or not of now. Where it is
    /// `asleep`, let go to zero, there is nothing that an exporter could tell, if anything else tells what would wake it.
    pub fn is_blind(&self, spec: &TierSpec, weather: &TierWeather, signals: &Signals, asleep: bool) -> bool {
        let bad = |source: Source| !self.sights[source as usize].good;
        let exporter =
            |policy: &PolicySpec| matches!(policy, PolicySpec::TargetTracking { signal: Signal::GpuUtilization, .. });
        let nothing_to_measure = asleep
            && !spec.policies.iter().all(exporter)
            && match &signals.gpu_utilization {
                Reading::Missing { cause } => *cause == Cause::NoReplica,
                reading => reading.fresh().is_some_and(|mean| mean.count == 0),
            };
        weather.unlisted
            || spec.policies.iter().any(|policy| match policy {
                PolicySpec::Capacity { .. } => bad(Source::Counters),
                // That no request ended bears no date; it is as good as the levels that say that none is under way.
                PolicySpec::Latency { .. } if no_request(signals) => bad(Source::Levels),
                PolicySpec::Latency { .. } => bad(Source::Counters),
                PolicySpec::TargetTracking { signal: Signal::Offered, .. } => bad(Source::Counters),
                PolicySpec::TargetTracking { signal: Signal::GpuUtilization, .. } => {
                    bad(Source::Exporter) && !nothing_to_measure
                }
                PolicySpec::TargetTracking { .. } | PolicySpec::BacklogPerReplica { .. } => bad(Source::Levels),
                PolicySpec::PlayersPerReplica { .. } => {
                    let in_part = weather.sources[Source::Levels as usize] == Wrong::Partial;
                    bad(Source::Players) || (self.nobody && (in_part || full_house(spec, signals)))
                }
                PolicySpec::Schedule => false,
            })
    }
}

impl Default for Senses {
    fn default() -> Self {
        Self::new()
    }
}

fn no_request(signals: &Signals) -> bool {
    signals.latency.iter().all(|it| matches!(it, Reading::Missing { cause: Cause::NoRequest }))
}

/// Dated so that it may be gone by.
const fn plausible(wrong: Wrong) -> bool {
    !matches!(wrong, Wrong::Stale | Wrong::Future)
}

/// More requests are told than the fewest replicas take at once.
fn full_house(spec: &TierSpec, signals: &Signals) -> bool {
    let told = |reading: &Reading<u64>| match reading {
        Reading::Fresh { value, .. } | Reading::AtLeast { value, .. } => u128::from(*value),
        _ => 0,
    };
    let room = u128::from(spec.minimum) * u128::from(spec.profile.max_sequences);
    told(&signals.queue_depth) + told(&signals.in_flight) > room
}

fn read_levels(tier: &Tier, wrong: Wrong, at: Time, signals: &mut Signals) -> bool {
    let (waiting, inside) = match wrong {
        Wrong::Implausible => (u64::MAX, u64::MAX),
        _ => (libm::ceil(tier.waiting) as u64, tier.served.inside as u64),
    };
    let reading = |value: u64| match wrong {
        Wrong::Missing | Wrong::Reset => Reading::Missing { cause: Cause::Unreachable },
        Wrong::Partial => Reading::AtLeast { value: value / 2, at },
        _ => Reading::Fresh { value, at },
    };
    (signals.queue_depth, signals.in_flight) = (reading(waiting), reading(inside));
    matches!(wrong, Wrong::Nothing | Wrong::Implausible)
}

/// That no replica is there to measure is no measurement either.
fn read_exporter(tier: &Tier, wrong: Wrong, at: Time, signals: &mut Signals) -> bool {
    let ready = tier.served.ready;
    let told = if wrong == Wrong::Partial { ready / 2 } else { ready };
    let share = f64::from(told) / f64::from(ready.max(1));
    let sum = if wrong == Wrong::Implausible { f64::NAN } else { tier.served.busy * share };
    let missing = wrong == Wrong::Missing || wrong == Wrong::Reset;
    signals.gpu_utilization = if missing {
        Reading::Missing { cause: Cause::TimedOut }
    } else {
        Reading::Fresh { value: Mean { sum, count: u64::from(told) }, at }
    };
    wrong == Wrong::Nothing && ready > 0
}

/// The door: what is too old, ahead or no number goes no further.
pub(super) fn door(signals: &mut Signals, now: Time) {
    *signals = core::mem::take(signals).aged(now, FRESHNESS);
}

const _: () = assert!(TICK_SPAN.as_micros() * 3 == FRESHNESS.as_micros());
