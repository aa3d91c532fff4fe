//! One run: the world and the controller tick by tick.

use super::TICK;
use super::breach::{Breach, Broken, Tick};
use super::digest::Digest;
use super::judge::{TierJudge, order_breaks, orders_break_sum};
use super::load::Demand;
use super::schedule::{Kind, Schedule};
use super::senses::{Senses, door};
use super::setting::Setting;
use super::weather::Weather;
use super::world::{Fence, Tier};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::check::check;
use evenkeel_core::decision::{ActiveSchedule, Decision, Override};
use evenkeel_core::observe::{Observation, Reading, Signals};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::units::{Span, Time};

/// When every run begins: any moment would do.
const BEGINS: Time = Time::from_micros(1_000_000_000_000_000);
/// Times of day at which the schedule's entry is active, seconds: the first hour of every three.
const ENTRY: (u32, u32) = (10_800, 3_600);

/// What came of a run in which nothing broke.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Ticks, with those in which all was well.
    pub ticks: u64,
    /// A number that stands for every decision of each tier.
    pub digests: Vec<u64>,
    /// Replicas launched.
    pub launched: u64,
    /// Orders under an earlier epoch that were refused.
    pub refused: u64,
    /// Times that a source was asked.
    pub reads: u64,
    /// From the moment at which all was well to the last change, seconds.
    pub settled_after: u32,
}

/// One tick, as those see it who watch a run.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Seconds from the run's start.
    pub second: u32,
    /// What was decided.
    pub decisions: &'a [Decision],
    /// The tiers after it was carried out.
    pub tiers: &'a [Tier],
}

/// The controller that was replaced and does not know it.
struct Replaced {
    evenkeel: Evenkeel,
    epoch: u64,
    /// What it had decided when it was replaced.
    plan: Vec<Decision>,
    /// What it decides now.
    newest: Vec<Decision>,
}

/// A run under way.
pub(super) struct Run<'a> {
    pub(super) setting: &'a Setting,
    pub(super) tiers: Vec<Tier>,
    pub(super) tick: u32,
    pub(super) decisions: Vec<Decision>,
    pub(super) report: Report,
    weather: Weather,
    demand: Vec<Demand>,
    senses: Vec<Senses>,
    judges: Vec<TierJudge>,
    inputs: FleetInputs,
    evenkeel: Evenkeel,
    replaced: Option<Replaced>,
    epoch: u64,
    fence: Fence,
    digests: Vec<Digest>,
    steady_clock: bool,
    /// All is well: each tier's demand, requests a second.
    steady: Option<Vec<f64>>,
}

impl<'a> Run<'a> {
    /// What came of it.
    pub(super) fn into_report(mut self) -> Report {
        self.report.digests = self.digests.iter().map(|it| it.0).collect();
        self.report.reads = self.senses.iter().map(|it| it.reads).sum();
        self.report
    }

    pub(super) fn new(setting: &'a Setting, seed: u64, schedule: &Schedule) -> Self {
        let spec = &setting.spec;
        let nothing = || TierInputs {
            observation: Observation { signals: Signals::default(), replicas: Reading::default() },
            forecast: None,
            schedule: None,
            operator: None,
        };
        let demand = |(load, tier): (&super::load::Load, &evenkeel_core::spec::TierSpec)| {
            Demand::new(load.clone(), seed, &tier.name)
        };
        Self {
            setting,
            tiers: spec.tiers.iter().map(|tier| Tier::new(tier, seed)).collect(),
            tick: 0,
            decisions: Vec::new(),
            report: Report::default(),
            weather: Weather::new(schedule, spec.tiers.len()),
            demand: setting.loads.iter().zip(&spec.tiers).map(demand).collect(),
            senses: spec.tiers.iter().map(|_| Senses::new()).collect(),
            judges: spec.tiers.iter().map(|tier| TierJudge::new(tier, BEGINS)).collect(),
            inputs: FleetInputs { now: BEGINS, tiers: spec.tiers.iter().map(|_| nothing()).collect() },
            evenkeel: Evenkeel::new(spec.clone(), BEGINS),
            replaced: None,
            epoch: 1,
            fence: Fence::default(),
            digests: spec.tiers.iter().map(|_| Digest::new()).collect(),
            steady_clock: true,
            steady: None,
        }
    }

    pub(super) const fn second(&self) -> u32 {
        self.tick * TICK
    }

    fn now(&self) -> Time {
        BEGINS + Span::from_secs(i64::from(self.second()))
    }

    /// Demand is `steady` from now on, requests a second by tier, and nothing else asks for replicas.
    pub(super) fn be_steady(&mut self, steady: Vec<f64>) {
        self.steady = Some(steady);
        self.inputs.tiers.iter_mut().for_each(|it| it.schedule = None);
    }

    const fn broken(&self, tier: Option<usize>, breach: Breach) -> Broken {
        Broken { at: self.second(), tier, breach }
    }

    /// One tick of the world and, where it is there, of the controller.
    pub(super) fn step(&mut self, watch: &mut dyn FnMut(&Moment<'_>)) -> Result<(), Broken> {
        let restored = self.turn_weather()?;
        self.live();
        let fleet = self.weather.fleet;
        if !fleet.down && !fleet.stalled {
            self.look();
            self.decide(restored)?;
            self.judge()?;
            if !fleet.paused {
                self.act()?;
            }
            watch(&Moment { second: self.second(), decisions: &self.decisions, tiers: &self.tiers });
        }
        self.tick += 1;
        self.report.ticks += 1;
        Ok(())
    }

    /// Faults that begin or end now; whether the controller goes on from its state as written down.
    fn turn_weather(&mut self) -> Result<bool, Broken> {
        let (second, before) = (self.second(), self.weather.fleet);
        if !self.weather.moves_on(second) {
            return Ok(false);
        }
        let (now, after) = (self.now(), self.weather.fleet);
        self.steady_clock &= after.clock == before.clock;
        if before.two && !after.two {
            self.hear_the_replaced(|it| &it.plan)?;
            self.replaced = None;
        }
        if (before.down && !after.down) || (!before.two && after.two) {
            self.begin_anew(after.two && !before.two);
        }
        let mut restored = false;
        for fault in self.weather.begun(second).copied().collect::<Vec<_>>() {
            restored |= fault.kind == Kind::Restored;
            for (_, tier) in
                self.tiers.iter_mut().enumerate().filter(|(index, _)| fault.tier.is_none_or(|it| it == *index))
            {
                match fault.kind {
                    Kind::Crash(count) => tier.crash(count, self.tick, now),
                    Kind::SpotStorm(percent) => tier.storm(percent, self.tick, now),
                    _ => {}
                }
            }
        }
        for ((tier, inputs), weather) in self.tiers.iter_mut().zip(&mut self.inputs.tiers).zip(&self.weather.tiers) {
            tier.sicken(weather.unhealthy, now);
            inputs.operator = weather.order.map(|(at_least, at_most)| {
                let until = Time::from_micros(i64::MAX);
                Override { at_least, at_most, until, because: "a fault".to_owned() }
            });
        }
        Ok(restored)
    }

    /// A controller that knows nothing begins, beside the one before or in its place.
    fn begin_anew(&mut self, beside: bool) {
        let now = self.now() + Span::from_secs(i64::from(self.weather.fleet.clock));
        let before = core::mem::replace(&mut self.evenkeel, Evenkeel::new(self.setting.spec.clone(), now));
        if beside {
            self.replaced = Some(Replaced {
                evenkeel: before,
                epoch: self.epoch,
                plan: self.decisions.clone(),
                newest: Vec::new(),
            });
        }
        self.epoch += 1;
        self.fence.lets_through(self.epoch);
        self.senses.iter_mut().for_each(Senses::begin_anew);
        self.judges.iter_mut().for_each(|it| it.restart(now));
    }

    /// The world goes on by one tick.
    fn live(&mut self) {
        let (second, now) = (self.second(), self.now());
        let steady = self.steady.as_ref();
        for (index, tier) in self.tiers.iter_mut().enumerate() {
            tier.grow_older(self.tick, now);
            let demand = steady.map_or_else(|| self.demand[index].at(second), |it| it[index]);
            tier.serve(demand, &self.weather.tiers[index]);
            self.senses[index].count(tier);
        }
        if steady.is_none() && second.is_multiple_of(ENTRY.1) {
            let active = second % ENTRY.0 < ENTRY.1;
            for (inputs, spec) in self.inputs.tiers.iter_mut().zip(&self.setting.spec.tiers) {
                let at_least = spec.minimum + 1;
                inputs.schedule = active.then(|| ActiveSchedule { entry: "evening".to_owned(), at_least });
            }
        }
    }

    /// Everything is read, and what may not be gone by is stopped at the door.
    fn look(&mut self) {
        let now = self.now() + Span::from_secs(i64::from(self.weather.fleet.clock));
        self.inputs.now = now;
        for (index, inputs) in self.inputs.tiers.iter_mut().enumerate() {
            let (spec, weather) = (&self.setting.spec.tiers[index], &self.weather.tiers[index]);
            let signals = &mut inputs.observation.signals;
            self.senses[index].read(spec, &self.tiers[index], weather, now, signals);
            door(signals, now);
        }
    }

    /// The replicas are lent to the inputs while it is decided over them.
    fn decide(&mut self, restored: bool) -> Result<(), Broken> {
        for ((inputs, tier), weather) in self.inputs.tiers.iter_mut().zip(&mut self.tiers).zip(&self.weather.tiers) {
            if !weather.unlisted {
                let value = core::mem::take(&mut tier.replicas);
                inputs.observation.replicas = Reading::Fresh { value, at: self.inputs.now };
            }
        }
        let twin = restored.then(|| written_and_read(&self.evenkeel));
        self.decisions = self.evenkeel.decide(&self.inputs);
        let spec = &self.setting.spec;
        let mut violations = check(spec, &self.inputs, &self.decisions);
        let mut differs = false;
        if let Some(twin) = twin {
            differs = twin.is_none_or(|mut twin| {
                let decides_otherwise = twin.decide(&self.inputs) != self.decisions;
                self.evenkeel = twin;
                decides_otherwise
            });
        }
        if let Some(replaced) = &mut self.replaced {
            replaced.newest = replaced.evenkeel.decide(&self.inputs);
            violations.extend(check(spec, &self.inputs, &replaced.newest));
        }
        for (inputs, tier) in self.inputs.tiers.iter_mut().zip(&mut self.tiers) {
            if let Reading::Fresh { value, .. } = core::mem::take(&mut inputs.observation.replicas) {
                tier.replicas = value;
            }
        }
        match (violations.is_empty(), differs) {
            (true, false) => Ok(()),
            (false, _) => Err(self.broken(None, Breach::Checked(violations))),
            (true, true) => Err(self.broken(None, Breach::RestoredDiffers)),
        }
    }

    fn judge(&mut self) -> Result<(), Broken> {
        let alone = self.setting.spec.shared_maximum.is_none();
        for (index, decision) in self.decisions.iter().enumerate() {
            self.digests[index].decision(decision);
            let tick = Tick {
                spec: &self.setting.spec.tiers[index],
                weather: &self.weather.tiers[index],
                senses: &self.senses[index],
                signals: &self.inputs.tiers[index].observation.signals,
                decision,
                now: self.inputs.now,
                steady_clock: self.steady_clock,
                alone,
            };
            if let Some(breach) = self.judges[index].judge(&tick) {
                return Err(Broken { at: self.second(), tier: Some(index), breach });
            }
        }
        Ok(())
    }

    /// What was decided is ordered, and so is what the replaced controller would have.
    fn act(&mut self) -> Result<(), Broken> {
        let decisions = core::mem::take(&mut self.decisions);
        let spec = &self.setting.spec;
        if orders_break_sum(spec, &self.tiers, &decisions) {
            return Err(self.broken(None, Breach::BeyondSharedMaximum));
        }
        for (index, decision) in decisions.iter().enumerate() {
            if let Some(breach) = order_breaks(&spec.tiers[index], &self.tiers[index], decision) {
                return Err(self.broken(Some(index), breach));
            }
        }
        self.order(self.epoch, &decisions);
        self.decisions = decisions;
        self.hear_the_replaced(|it| &it.newest)
    }

    /// Sends orders to the cloud; whether they were obeyed.
    fn order(&mut self, epoch: u64, decisions: &[Decision]) -> bool {
        if !self.fence.lets_through(epoch) {
            self.report.refused += 1;
            return false;
        }
        let (tick, now) = (self.tick, self.now());
        for ((tier, decision), weather) in self.tiers.iter_mut().zip(decisions).zip(&self.weather.tiers) {
            self.report.launched += u64::from(tier.carry_out(decision, weather, tick, now));
        }
        true
    }

    /// The replaced controller orders what `plan` takes of it. It must change nothing.
    fn hear_the_replaced(&mut self, plan: fn(&Replaced) -> &Vec<Decision>) -> Result<(), Broken> {
        let Some(replaced) = self.replaced.take() else { return Ok(()) };
        let obeyed = self.order(replaced.epoch, plan(&replaced));
        self.replaced = Some(replaced);
        if obeyed { Err(self.broken(None, Breach::StalePlan)) } else { Ok(()) }
    }
}

/// The controller's state as a file would hold it; `None` when it cannot be read again.
fn written_and_read(evenkeel: &Evenkeel) -> Option<Evenkeel> {
    let written = serde_json::to_string(evenkeel).ok()?;
    serde_json::from_str(&written).ok()
}
