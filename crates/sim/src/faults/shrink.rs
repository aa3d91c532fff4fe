//! Makes a schedule that breaks something small: delta debugging (Zeller and Hildebrandt, 2002) over its faults, then
//! shorter ones.

use super::TICK;
use super::breach::Broken;
use super::schedule::{Fault, Schedule};

/// The smallest schedule found that still breaks something, and what it breaks. `breaks` runs a schedule.
pub fn shrink(
    schedule: Schedule,
    broken: Broken,
    mut breaks: impl FnMut(&Schedule) -> Option<Broken>,
) -> (Schedule, Broken) {
    let mut found = (schedule, broken);
    let mut smaller = |found: &mut (Schedule, Broken), candidate: Schedule| {
        let broken = if candidate == found.0 { None } else { breaks(&candidate) };
        let still = broken.is_some();
        if let Some(broken) = broken {
            *found = (candidate, broken);
        }
        still
    };
    fewer_faults(&mut found, &mut smaller);
    shorter_run(&mut found, &mut smaller);
    for index in 0..found.0.faults.len() {
        shorter_fault(&mut found, index, &mut smaller);
    }
    shorter_run(&mut found, &mut smaller);
    found
}

type Found = (Schedule, Broken);

/// Leaves out half of the faults, a quarter and so on, down to one at a time.
fn fewer_faults(found: &mut Found, smaller: &mut impl FnMut(&mut Found, Schedule) -> bool) {
    let mut size = found.0.faults.len().div_ceil(2);
    while size > 0 {
        let mut begin = 0;
        while begin < found.0.faults.len() {
            let mut candidate = found.0.clone();
            candidate.faults.drain(begin..(begin + size).min(found.0.faults.len()));
            if !smaller(found, candidate) {
                begin += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
}

/// All is well soon after what broke, or after half the time and so on.
fn shorter_run(found: &mut Found, smaller: &mut impl FnMut(&mut Found, Schedule) -> bool) {
    let last = found.0.faults.iter().map(|it| it.until).max().unwrap_or(0);
    for lasts in [last, found.1.at + TICK] {
        let candidate = Schedule { lasts: lasts.min(found.0.lasts), ..found.0.clone() };
        smaller(found, candidate);
    }
    while found.0.lasts > TICK {
        let candidate = Schedule { lasts: (found.0.lasts / 2).next_multiple_of(TICK), ..found.0.clone() };
        if candidate.lasts >= found.0.lasts || !smaller(found, candidate) {
            break;
        }
    }
}

/// Ends one fault earlier, or begins it later, by half of it at a time.
fn shorter_fault(found: &mut Found, index: usize, smaller: &mut impl FnMut(&mut Found, Schedule) -> bool) {
    let half = |it: &Fault| ((it.until - it.from) / 2 / TICK) * TICK;
    let ways: [fn(&mut Fault, u32); 2] = [|it, by| it.until -= by, |it, by| it.from += by];
    for way in ways {
        loop {
            let mut candidate = found.0.clone();
            let by = half(&candidate.faults[index]);
            way(&mut candidate.faults[index], by);
            if by == 0 || !smaller(found, candidate) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::breach::Breach;
    use super::super::schedule::Kind;
    use super::*;

    #[test]
    fn what_has_no_part_in_it_is_left_out_and_what_has_is_shortened() {
        let fault = |from, until, kind| Fault { from, until, tier: None, kind };
        let faults = vec![
            fault(0, 600, Kind::Throttled),
            fault(100, 4_000, Kind::Unlisted),
            fault(50, 60, Kind::Paused),
            fault(300, 5_000, Kind::Quota(3)),
            fault(700, 900, Kind::Stall),
        ];
        let broken = Broken { at: 1_000, tier: None, breach: Breach::BlindScaleIn };
        // It breaks while the list is missing at second 1,000 under a quota that began by then.
        let breaks = |it: &Schedule| {
            let on = |kind| it.faults.iter().any(|it| it.kind == kind && it.from <= 1_000 && it.until > 1_000);
            (it.lasts > 1_000 && on(Kind::Unlisted) && on(Kind::Quota(3))).then(|| broken.clone())
        };
        let (small, found) = shrink(Schedule { lasts: 7_200, faults }, broken.clone(), breaks);
        assert_eq!(found, broken);
        assert_eq!(small.faults.len(), 2);
        assert_eq!(small.lasts, 1_005);
        let longest = small.faults.iter().map(|it| it.until - it.from).max();
        assert!(longest <= Some(1_200), "{small}");
    }
}
