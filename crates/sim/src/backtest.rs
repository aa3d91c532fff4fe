//! What production met, as slots that can be simulated: the demand that was offered, never what was completed (a fleet that
//! is too small completes little, and would be confirmed), and the fleet that was there.

use crate::fluid::Run;
use crate::setting::Setting;
use evenkeel_core::observe::{Offered, Supply};
use evenkeel_core::units::{Span, Time};

/// A slot of which less is known than this share is not known.
const KNOWN_SHARE: f64 = 0.5;

/// Offered requests, slot by slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Requests a second.
    pub per_second: Vec<f64>,
    /// Slots of which nothing is known: in `per_second` they are straight between their neighbours, for missing is not zero.
    pub unknown: usize,
}

/// Puts readings, each of what arrived in the time before its moment, into `slots` slots from `start` on.
pub fn rates(readings: impl Iterator<Item = (Time, Offered)>, start: Time, slot: Span, slots: usize) -> Rates {
    let mut known = vec![(0.0, 0.0); slots];
    for (at, offered) in readings {
        spread(&mut known, (at.as_micros() - start.as_micros()) as f64 / slot.as_micros() as f64, offered, slot);
    }
    let seconds = slot.as_secs_f64();
    let rate = |&(requests, share): &(f64, f64)| (share >= KNOWN_SHARE).then(|| requests / (share * seconds));
    let known: Vec<Option<f64>> = known.iter().map(rate).collect();
    Rates { unknown: known.iter().filter(|rate| rate.is_none()).count(), per_second: filled(&known) }
}

/// Adds requests, and the share of each slot that they tell of, to every slot that the reading reaches into.
fn spread(known: &mut [(f64, f64)], end: f64, offered: Offered, slot: Span) {
    let length = offered.over.as_micros() as f64 / slot.as_micros() as f64;
    if length <= 0.0 {
        return;
    }
    let begin = end - length;
    let first = libm::floor(begin).max(0.0) as usize;
    for (index, (requests, share)) in known.iter_mut().enumerate().skip(first) {
        let inside = (end.min(index as f64 + 1.0) - begin.max(index as f64)).max(0.0);
        if index as f64 >= end {
            break;
        }
        *requests += offered.requests as f64 * inside / length;
        *share += inside;
    }
}

/// Straight between neighbours that are known; beyond the last one its value holds.
fn filled(known: &[Option<f64>]) -> Vec<f64> {
    let mut filled = vec![0.0; known.len()];
    let mut before: Option<(usize, f64)> = None;
    for (index, rate) in known.iter().enumerate() {
        let Some(rate) = *rate else { continue };
        let (from, value) = before.unwrap_or((0, rate));
        for (steps, between) in filled[from..index].iter_mut().enumerate() {
            *between = value + (rate - value) * steps as f64 / (index - from) as f64;
        }
        filled[index] = rate;
        before = Some((index, rate));
    }
    if let Some((from, value)) = before {
        filled[from..].fill(value);
    }
    filled
}

/// The fleet that was there, as a run on `demand`, a value a slot: in each slot what the last look at it had found. What was
/// draining is billed as well.
pub fn run(looks: impl Iterator<Item = (Time, Supply)>, demand: &[f64], setting: &Setting) -> Run {
    let mut looks = looks.peekable();
    let mut run = Run::default();
    let mut seen: Option<Supply> = None;
    for (slot, &offered) in demand.iter().enumerate() {
        let end = setting.start + Span::from_micros(setting.slot.as_micros() * (slot as i64 + 1));
        let before = seen;
        while let Some((_, supply)) = looks.next_if(|(at, _)| *at < end) {
            seen = Some(supply);
        }
        let now = seen.unwrap_or_default();
        let launched = now.current().saturating_sub(before.unwrap_or(now).current());
        let scored = slot >= setting.scored_from;
        if scored {
            run.billed_slots += f64::from(now.current() + now.draining);
        }
        run.note(offered, now.ready, launched, scored, setting.violation);
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Violation;

    const SLOT: Span = Span::from_secs(10);

    fn at(second: i64) -> Time {
        Time::from_micros(1_000_000 * second)
    }

    fn offered(requests: u64, over: i64) -> Offered {
        Offered { requests, prompt_tokens: 0, over: Span::from_secs(over) }
    }

    #[test]
    fn a_reading_is_spread_over_the_time_that_it_tells_of() {
        // 30 requests in the 15 s until second 20, so a third of them before second 10.
        let readings = [(at(5), offered(10, 5)), (at(20), offered(30, 15))];
        let rates = rates(readings.into_iter(), at(0), SLOT, 2);
        assert_eq!(rates, Rates { per_second: vec![2.0, 2.0], unknown: 0 });
    }

    #[test]
    fn what_is_not_known_is_straight_between_what_is_and_counted() {
        let readings = [(at(10), offered(10, 10)), (at(40), offered(40, 10))];
        let rates = rates(readings.into_iter(), at(0), SLOT, 5);
        assert_eq!(rates, Rates { per_second: vec![1.0, 2.0, 3.0, 4.0, 4.0], unknown: 3 });
    }

    #[test]
    fn the_recorded_fleet_is_billed_and_judged_like_any_other() {
        let looks = [(1, 2, 0), (12, 2, 1), (33, 3, 0)];
        let looks =
            looks.map(|(second, ready, starting)| (at(second), Supply { ready, starting, ..Supply::default() }));
        let (start, violation) = (at(0), Violation::Excess);
        let setting =
            Setting { slot: SLOT, start_up_slots: 1, minimum: 1, maximum: 9, scored_from: 1, start, violation };
        let run = run(looks.into_iter(), &[1.0, 3.0, 3.0, 3.0], &setting);
        assert_eq!(run.ready, [2, 2, 2, 3]);
        assert_eq!((run.billed_slots, run.violated, run.launches), (3.0 + 3.0 + 3.0, 2.0, 1));
    }
}
