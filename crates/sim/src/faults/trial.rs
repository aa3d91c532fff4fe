//! One seed: its fleet, its schedule, and every judgment.

use super::breach::{Breach, Broken};
use super::course::run;
use super::run::Report;
use super::schedule::Schedule;
use super::setting::Setting;
use super::shrink::shrink;
use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Of so many seeds one is run again, as it is and without the faults of each tier.
const AGAIN: u64 = 16;

/// What broke, and what makes it break again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The smallest schedule found under which it breaks.
    pub schedule: Schedule,
    /// What broke under it.
    pub broken: Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.broken)?;
        write!(f, "it breaks again under this schedule:\n{}", self.schedule)
    }
}

/// Runs `seed` for `lasts` seconds of faults, and shrinks what breaks.
///
/// # Errors
/// What broke, under a schedule that was shrunk.
pub fn trial(seed: u64, lasts: u32) -> Result<Report, Box<Failure>> {
    let schedule = Schedule::drawn(seed, Setting::drawn(seed).spec.tiers.len(), lasts);
    replay(seed, &schedule).map_err(|broken| {
        let (schedule, broken) = shrink(schedule, broken, |smaller| replay(seed, smaller).err());
        Box::new(Failure { seed, schedule, broken })
    })
}

/// Runs the fleet and the demand of `seed` under `schedule`.
///
/// # Errors
/// What broke.
pub fn replay(seed: u64, schedule: &Schedule) -> Result<Report, Broken> {
    let judged = AssertUnwindSafe(|| {
        let setting = Setting::drawn(seed);
        let report = run(&setting, seed, schedule, &mut |_| {})?;
        if seed.is_multiple_of(AGAIN) {
            repeats(&setting, seed, schedule, &report)?;
        }
        Ok(report)
    });
    catch_unwind(judged).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default();
        Err(Broken { at: 0, tier: None, breach: Breach::Panicked(words) })
    })
}

/// The same again decides the same, and one tier's faults are nothing to the others where they share no limit.
fn repeats(setting: &Setting, seed: u64, schedule: &Schedule, report: &Report) -> Result<(), Broken> {
    let at = schedule.lasts;
    if run(setting, seed, schedule, &mut |_| {})? != *report {
        return Err(Broken { at, tier: None, breach: Breach::NotRepeatable });
    }
    if setting.spec.shared_maximum.is_some() || report.digests.len() < 2 {
        return Ok(());
    }
    let digests = |schedule: &Schedule| faulty_only(setting, seed, schedule);
    let all = digests(schedule)?;
    for index in 0..all.len() {
        let calm = digests(&schedule.without_tier(index))?;
        if let Some(tier) = (0..all.len()).find(|&tier| tier != index && calm[tier] != all[tier]) {
            return Err(Broken { at, tier: Some(tier), breach: Breach::Leaked });
        }
    }
    Ok(())
}

/// Each tier's digest at the end of the faults: how long it takes to settle after that depends on all.
fn faulty_only(setting: &Setting, seed: u64, schedule: &Schedule) -> Result<Vec<u64>, Broken> {
    let mut digests = vec![super::digest::Digest::new(); setting.spec.tiers.len()];
    run(setting, seed, schedule, &mut |moment| {
        if moment.second < schedule.lasts {
            digests.iter_mut().zip(moment.decisions).for_each(|(digest, decision)| digest.decision(decision));
        }
    })?;
    Ok(digests.into_iter().map(|it| it.0).collect())
}
