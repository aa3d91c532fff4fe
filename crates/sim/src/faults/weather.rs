//! Which faults are on at a moment, by tier. It is looked up anew only where one begins or ends.

use super::schedule::{Fault, Kind, Schedule, Source};

/// What is wrong with a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing.
    #[default]
    Nothing,
    /// See [`Kind::Missing`].
    Missing,
    /// See [`Kind::Stale`].
    Stale,
    /// See [`Kind::Future`].
    Future,
    /// See [`Kind::Repeated`].
    Repeated,
    /// See [`Kind::Partial`].
    Partial,
    /// See [`Kind::Reset`].
    Reset,
    /// See [`Kind::Implausible`].
    Implausible,
}

/// One tier's faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierWeather {
    /// By source, in the order of [`Source::ALL`].
    pub sources: [Wrong; 4],
    /// The replicas cannot be listed.
    pub unlisted: bool,
    /// No replica can be launched.
    pub launch_outage: bool,
    /// The cloud is late.
    pub throttled: bool,
    /// Launches of a hundred that fail.
    pub launches_fail: u32,
    /// Replicas at most, by the cloud.
    pub quota: Option<u32>,
    /// Replicas that fail their health check.
    pub unhealthy: u32,
    /// Of a hundred requests that replicas could do, these they do.
    pub speed: Option<u32>,
    /// An operator's order, replicas at least and at most.
    pub order: Option<(Option<u32>, Option<u32>)>,
}

/// What befalls all tiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetWeather {
    /// Nothing is carried out.
    pub paused: bool,
    /// The controller's process stands still.
    pub stalled: bool,
    /// The controller is gone.
    pub down: bool,
    /// The one before goes on beside the present controller.
    pub two: bool,
    /// The controller's clock is ahead by so many seconds.
    pub clock: i32,
}

/// A schedule that is asked moment by moment.
#[derive(Clone, Debug)]
pub struct Weather {
    faults: Vec<Fault>,
    /// When a fault begins or ends, the next one last.
    edges: Vec<u32>,
    /// By tier.
    pub tiers: Vec<TierWeather>,
    /// For all.
    pub fleet: FleetWeather,
}

impl Weather {
    /// Nothing is asked yet.
    pub fn new(schedule: &Schedule, tiers: usize) -> Self {
        let faults: Vec<Fault> = schedule
            .faults
            .iter()
            .map(|it| Fault { until: it.until.min(schedule.lasts), ..*it })
            .filter(|it| it.tier.is_none_or(|tier| tier < tiers))
            .collect();
        let mut edges: Vec<u32> = faults.iter().flat_map(|it| [it.from, it.until]).collect();
        edges.sort_unstable_by(|a, b| b.cmp(a));
        Self { faults, edges, tiers: vec![TierWeather::default(); tiers], fleet: FleetWeather::default() }
    }

    /// Moves on to `second`; whether anything changes there. Moments come in order.
    pub fn moves_on(&mut self, second: u32) -> bool {
        let before = self.edges.len();
        while self.edges.pop_if(|edge| *edge <= second).is_some() {}
        if self.edges.len() == before {
            return false;
        }
        self.tiers.iter_mut().for_each(|it| *it = TierWeather::default());
        self.fleet = FleetWeather::default();
        for fault in self.faults.iter().filter(|it| it.from <= second && second < it.until) {
            self.fleet.befall(fault.kind);
            for (index, tier) in self.tiers.iter_mut().enumerate() {
                if fault.tier.is_none_or(|it| it == index) {
                    tier.befall(fault.kind);
                }
            }
        }
        true
    }

    /// The faults that begin at `second` or since the tick before.
    pub fn begun(&self, second: u32) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |it| it.from <= second && second < it.from + super::TICK && it.from < it.until)
    }
}

impl FleetWeather {
    const fn befall(&mut self, kind: Kind) {
        match kind {
            Kind::Paused => self.paused = true,
            Kind::Stall => self.stalled = true,
            Kind::Restart => self.down = true,
            Kind::TwoControllers => self.two = true,
            Kind::Clock(seconds) => self.clock = seconds,
            _ => {}
        }
    }
}

impl TierWeather {
    fn befall(&mut self, kind: Kind) {
        let mut source = |source: Source, wrong| self.sources[source as usize] = wrong;
        match kind {
            Kind::Missing(it) => source(it, Wrong::Missing),
            Kind::Stale(it) => source(it, Wrong::Stale),
            Kind::Future(it) => source(it, Wrong::Future),
            Kind::Repeated(it) => source(it, Wrong::Repeated),
            Kind::Partial(it) => source(it, Wrong::Partial),
            Kind::Reset(it) => source(it, Wrong::Reset),
            Kind::Implausible(it) => source(it, Wrong::Implausible),
            Kind::Unlisted => self.unlisted = true,
            Kind::LaunchOutage => self.launch_outage = true,
            Kind::Throttled => self.throttled = true,
            Kind::LaunchesFail(percent) => self.launches_fail = percent,
            Kind::Quota(count) => self.quota = Some(count),
            Kind::Unhealthy(count) => self.unhealthy = count,
            Kind::Blocked(percent) => self.speed = Some(percent),
            Kind::Override { at_least, at_most } => self.order = Some((at_least, at_most)),
            _ => {}
        }
    }
}
