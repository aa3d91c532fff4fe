//! After the faults: under steady demand each tier comes to what that needs and stays there, and without any demand to its
//! minimum, each in a stated time.

use super::TICK;
use super::breach::{Breach, Broken};
use super::judge::{longest_memory, moves, ticks};
use super::needs::Needs;
use super::run::{Moment, Run};
use super::schedule::{Kind, Schedule, Source};
use evenkeel_core::spec::TierSpec;

/// Until what waited at the end of the faults is served, a cloud that was late is done, and drains are over, seconds.
const CLEARS: u32 = 600;
/// Implausible counters spoil what was learned of the engine for so many requests: 20-fold figures, of which each request
/// forgets 0.5 %, are off by less than a step of 5 % after 1,200.
const FORGETS: f64 = 1_200.0;
/// A count that nothing changed for longer than anything looks back, and this, will not change, seconds.
const STANDS: u32 = 60;

/// Lets `run` settle under its setting's demand, and then under none.
pub(super) fn settle(run: &mut Run<'_>, schedule: &Schedule, watch: &mut dyn FnMut(&Moment<'_>)) -> Result<(), Broken> {
    let healed = run.setting.healed.clone();
    let begun = run.second();
    let demand: Vec<f64> = healed.iter().copied().map(f64::from).collect();
    let changed = converge(run, &demand, schedule, watch)?;
    run.report.settled_after = changed - begun;
    converge(run, &vec![0.0; healed.len()], schedule, watch)?;
    Ok(())
}

/// The stated time for a tier to come to what steady demand of `requests_per_second` needs, seconds.
pub fn stated_time(spec: &TierSpec, requests_per_second: f64, schedule: &Schedule) -> u32 {
    let behavior = &spec.behavior;
    let memory = looks_back(spec);
    let start_up = ticks(spec.start_up) * TICK * 2;
    let cooldown = ticks(behavior.scale_out.cooldown) * TICK;
    // A policy that moves by one may have to wait for a start, a window and a cooldown between any two.
    let every_move = spec.maximum * (start_up + memory + cooldown);
    let by_limits = ticks(moves(&behavior.scale_out, spec.maximum)) + ticks(moves(&behavior.scale_in, spec.maximum));
    let learned = implausible_counters(schedule) && requests_per_second > 0.0;
    let forgets = if learned { (FORGETS / requests_per_second) as u32 } else { 0 };
    // Time that goes back counts as standing still, so what was seen by a clock that was ahead is waited for.
    let ahead = schedule.faults.iter().filter_map(|it| if let Kind::Clock(by) = it.kind { Some(by) } else { None });
    let ahead = ahead.max().unwrap_or(0).unsigned_abs();
    CLEARS + 3 * memory + every_move + by_limits * TICK + forgets + ahead
}

/// The longest time for which anything in the tier looks back, in either direction, seconds.
fn looks_back(spec: &TierSpec) -> u32 {
    ticks(longest_memory(spec).max(spec.behavior.scale_out.window)) * TICK
}

fn implausible_counters(schedule: &Schedule) -> bool {
    schedule.faults.iter().any(|it| it.kind == Kind::Implausible(Source::Counters))
}

/// When the last change was, seconds from the run's start.
fn converge(
    run: &mut Run<'_>,
    demand: &[f64],
    schedule: &Schedule,
    watch: &mut dyn FnMut(&Moment<'_>),
) -> Result<u32, Broken> {
    let setting = run.setting;
    let tiers = &setting.spec.tiers;
    let slack = if implausible_counters(schedule) { 0.06 } else { 0.0 };
    let needs: Vec<Needs<'_>> =
        tiers.iter().zip(demand).map(|(tier, &demand)| Needs::new(tier, demand, slack)).collect();
    // A tier may have to wait for what another lets go.
    let times = tiers.iter().zip(demand).map(|(tier, &demand)| stated_time(tier, demand, schedule));
    let until = run.second() + times.sum::<u32>();
    let stands = STANDS + tiers.iter().map(looks_back).max().unwrap_or(0);
    run.be_steady(demand.to_vec());
    let (mut counts, mut changed) = (Vec::new(), run.second());
    while run.second() < until {
        run.step(watch)?;
        if !rests(run, &mut counts) {
            changed = run.second();
        } else if run.second() - changed >= stands && needed(run, &needs, &counts).is_ok() {
            return Ok(changed);
        }
    }
    needed(run, &needs, &counts)?;
    // As many as are needed, and still on the move.
    let restless = counts.iter().zip(&needs).map(|(&count, needs)| (count, needs.wants(count)));
    let (count, wanted) = restless.max().unwrap_or((0, (0, 0)));
    Err(Broken { at: run.second(), tier: None, breach: Breach::NotSettled { count, needed: wanted } })
}

/// Every replica serves, and there are as many as were decided and as there were.
fn rests(run: &Run<'_>, counts: &mut Vec<u32>) -> bool {
    let still = run.tiers.iter().all(super::world::Tier::is_at_rest)
        && run.decisions.iter().zip(&run.tiers).all(|(decision, tier)| decision.desired == tier.replicas.len() as u32);
    let same = counts.len() == run.tiers.len()
        && counts.iter().zip(&run.tiers).all(|(&count, tier)| count == tier.replicas.len() as u32);
    if !same {
        counts.clear();
        counts.extend(run.tiers.iter().map(|tier| tier.replicas.len() as u32));
    }
    still && same
}

/// Whether these are the counts that steady demand needs: each tier's own, unless the shared maximum is short.
fn needed(run: &Run<'_>, needs: &[Needs<'_>], counts: &[u32]) -> Result<(), Broken> {
    let at = run.second();
    let wants = || counts.iter().zip(needs).map(|(&count, needs)| needs.wants(count));
    if let Some(maximum) = run.setting.spec.shared_maximum
        && wants().map(|(_, most)| most).sum::<u32>() > maximum
    {
        let shared = counts.iter().sum::<u32>() <= maximum;
        let more = counts.iter().zip(wants()).any(|(&count, (_, most))| count > most);
        return if shared && !more { Ok(()) } else { Err(Broken { at, tier: None, breach: Breach::SharedNotSettled }) };
    }
    for (index, (&count, needed)) in counts.iter().zip(wants()).enumerate() {
        if !(needed.0..=needed.1).contains(&count) {
            return Err(Broken { at, tier: Some(index), breach: Breach::NotSettled { count, needed } });
        }
    }
    Ok(())
}
