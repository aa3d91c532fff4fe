//! What breaks, when and for how long: plain data, drawn from a seed or written down.

use super::TICK;
use super::dice::Dice;

/// A run's faults and how long they may last; after that all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// From the run's start until all is well, seconds.
    pub lasts: u32,
    /// The faults, in any order; of two that cannot both be, the later in the list is.
    pub faults: Vec<Fault>,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From the run's start, seconds.
    pub from: u32,
    /// When it is over, seconds from the run's start.
    pub until: u32,
    /// Index of the tier that it befalls; `None` for all of them. What befalls the controller befalls all.
    pub tier: Option<usize>,
    /// What breaks.
    pub kind: Kind,
}

/// Where the controller's readings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// What the gateway counts between two readings: offered, finished, latency, pace.
    Counters,
    /// What the gateway sees at the moment: waiting and in flight.
    Levels,
    /// The exporters beside the replicas: GPU utilization.
    Exporter,
    /// The game: players online.
    Players,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [Self::Counters, Self::Levels, Self::Exporter, Self::Players];
}

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The source does not answer.
    Missing(Source),
    /// It answers with what was half a minute ago.
    Stale(Source),
    /// Its answers are dated half a minute ahead.
    Future(Source),
    /// It gives the same sample again and again.
    Repeated(Source),
    /// It tells only a part: levels as lower bounds, utilization of half the replicas.
    Partial(Source),
    /// Its counters restart before each reading.
    Reset(Source),
    /// It tells what cannot be: NaN, nobody online in a full house, more requests than there are people.
    Implausible(Source),
    /// The replicas cannot be listed.
    Unlisted,
    /// No replica can be launched.
    LaunchOutage,
    /// The cloud begins what it is told a minute late.
    Throttled,
    /// So many of a hundred launches end when they should serve.
    LaunchesFail(u32),
    /// The cloud gives no more replicas than this, whatever their state.
    Quota(u32),
    /// So many ready replicas end at its start.
    Crash(u32),
    /// So many of a hundred replicas end at its start, starting ones too.
    SpotStorm(u32),
    /// So many ready replicas fail their health check while it lasts.
    Unhealthy(u32),
    /// Replicas do only so many of a hundred requests that they could do.
    Blocked(u32),
    /// An operator orders at least so many replicas, or at most.
    Override {
        /// At least.
        at_least: Option<u32>,
        /// At most.
        at_most: Option<u32>,
    },
    /// An operator paused the fleet: decided, not carried out, whoever restarts.
    Paused,
    /// The controller's process stands still and then goes on with what it knew.
    Stall,
    /// The controller is gone, and at the end one begins that knows nothing.
    Restart,
    /// At its start the controller goes on from its state as written down and read again.
    Restored,
    /// A controller that knows nothing takes over at the start. The one before goes on, and at the end sends once more
    /// what it had decided when it was replaced.
    TwoControllers,
    /// The controller's clock is off by so many seconds while it lasts.
    Clock(i32),
}

impl Kind {
    /// It befalls the controller, so no tier alone.
    pub const fn of_the_controller(self) -> bool {
        matches!(
            self,
            Self::Paused | Self::Stall | Self::Restart | Self::Restored | Self::TwoControllers | Self::Clock(_)
        )
    }
}

/// The longest outage of launches, seconds: as long as Amazon's of 2025-10-19 (theory.md).
const LONGEST_OUTAGE: u32 = 8 * 3_600;

impl Schedule {
    /// The schedule that `seed` makes up for a fleet of `tiers` and a run of `lasts` seconds, a tick at least: some faults
    /// an hour.
    pub fn drawn(seed: u64, tiers: usize, lasts: u32) -> Self {
        let mut dice = Dice::named(seed, "faults", "schedule");
        let count = dice.between(1, 4) + lasts / 3_600 * dice.below(3);
        let mut faults: Vec<Fault> = Vec::new();
        for _ in 0..count {
            // Troubles come together: what one fault leaves harmless another may not.
            let from = match faults.last().map(|it| it.from).filter(|_| dice.percent(40)) {
                Some(from) => from + dice.below(12) * TICK,
                None => dice.below(lasts / TICK) * TICK,
            };
            faults.push(Fault::drawn(&mut dice, tiers, from.min(lasts.saturating_sub(TICK)), lasts));
        }
        Self { lasts, faults }
    }

    /// The same without what befalls the tier at `index` alone.
    pub fn without_tier(&self, index: usize) -> Self {
        let faults = self.faults.iter().copied().filter(|it| it.tier != Some(index) || it.kind.of_the_controller());
        Self { lasts: self.lasts, faults: faults.collect() }
    }
}

impl Fault {
    fn drawn(dice: &mut Dice, tiers: usize, from: u32, lasts: u32) -> Self {
        let kind = Kind::drawn(dice);
        let mean = match kind {
            Kind::LaunchOutage => dice.pick(&[600, 3_600, LONGEST_OUTAGE]),
            Kind::Restart | Kind::Stall => dice.pick(&[10, 300]),
            Kind::Clock(_) | Kind::Paused | Kind::TwoControllers => 300,
            _ => dice.pick(&[30, 300, 1_800]),
        };
        let length = dice.about(mean, TICK, LONGEST_OUTAGE).next_multiple_of(TICK);
        let alone = !kind.of_the_controller() && (tiers == 1 || dice.percent(80));
        let tier = alone.then(|| dice.below(tiers as u32) as usize);
        Self { from, until: from.saturating_add(length).min(lasts), tier, kind }
    }
}

impl Kind {
    /// Sources twice as often as the cloud, and that as often as the controller.
    fn drawn(dice: &mut Dice) -> Self {
        match dice.below(4) {
            0 | 1 => Self::drawn_of_a_source(dice),
            2 => Self::drawn_of_the_cloud(dice),
            _ => Self::drawn_of_the_controller(dice),
        }
    }

    fn drawn_of_a_source(dice: &mut Dice) -> Self {
        let source = dice.pick(&Source::ALL);
        match dice.below(8) {
            0 => Self::Missing(source),
            1 => Self::Stale(source),
            2 => Self::Future(source),
            3 => Self::Repeated(source),
            4 => Self::Partial(dice.pick(&[Source::Levels, Source::Exporter])),
            5 => Self::Reset(Source::Counters),
            6 => Self::Implausible(source),
            _ => Self::Unlisted,
        }
    }

    fn drawn_of_the_cloud(dice: &mut Dice) -> Self {
        match dice.below(8) {
            0 => Self::LaunchOutage,
            1 => Self::Throttled,
            2 => Self::LaunchesFail(dice.pick(&[20, 50, 100])),
            3 => Self::Quota(dice.between(0, 8)),
            4 => Self::Crash(dice.between(1, 4)),
            5 => Self::SpotStorm(dice.pick(&[30, 60, 100])),
            6 => Self::Unhealthy(dice.between(1, 4)),
            _ => Self::Blocked(dice.pick(&[0, 20, 60])),
        }
    }

    fn drawn_of_the_controller(dice: &mut Dice) -> Self {
        match dice.below(8) {
            0 => Self::Paused,
            1 => Self::Stall,
            2 | 3 => Self::Restart,
            4 => Self::Restored,
            5 => Self::TwoControllers,
            6 => Self::Clock(dice.pick(&[-600, -60, -5, 5, 60, 600])),
            _ => {
                let mut count = |chance| dice.percent(chance).then(|| dice.between(0, 9));
                Self::Override { at_least: count(50), at_most: count(70) }
            }
        }
    }
}
