//! The course of a run: first under the schedule's faults, then with all well.

use super::breach::Broken;
use super::run::{Moment, Report, Run};
use super::schedule::Schedule;
use super::setting::Setting;
use super::settle::settle;

/// Lets `setting` live through `schedule`, and then until it has converged under steady demand and after that under none.
/// `watch` sees every tick in which something is decided.
///
/// # Errors
/// The first thing that must hold and did not.
pub fn run(
    setting: &Setting,
    seed: u64,
    schedule: &Schedule,
    watch: &mut dyn FnMut(&Moment<'_>),
) -> Result<Report, Broken> {
    let mut run = Run::new(setting, seed, schedule);
    while run.second() < schedule.lasts {
        run.step(watch)?;
    }
    settle(&mut run, schedule, watch)?;
    Ok(run.into_report())
}
