//! What one tier met, as it was journalled: the demand that was offered and the replicas that were there.

use super::JournalError;
use super::ticks::{self, Tick};
use evenkeel_core::observe::{Offered, Reading, Supply};
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::Time;
use std::path::Path;

/// A tier at one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordedTick {
    /// When.
    pub at: Time,
    /// Requests that had arrived since the tick before, if that was known.
    pub offered: Reading<Offered>,
    /// The replicas, if they could be listed.
    pub supply: Option<Supply>,
}

/// A tier over the whole journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The tier as it was configured last.
    pub spec: TierSpec,
    /// Its ticks, in order.
    pub ticks: Vec<RecordedTick>,
}

/// What the journal at `path` tells of the tier `name`.
///
/// # Errors
/// When the file cannot be read, a row is damaged, or it tells of no such tier.
pub fn recorded(path: &Path, name: &str) -> Result<Recorded, JournalError> {
    let mut recorder = Recorder { name, place: None, spec: None, ticks: Vec::new(), known: Vec::new() };
    ticks::each(path, |tick| recorder.take(tick))?;
    let Recorder { spec, ticks, known, .. } = recorder;
    let no_tier = || JournalError::NoTier { tier: name.to_owned(), known: known.join(", ") };
    spec.map(|spec| Recorded { spec, ticks }).ok_or_else(no_tier)
}

struct Recorder<'a> {
    name: &'a str,
    /// Its place among the tiers.
    place: Option<usize>,
    spec: Option<TierSpec>,
    ticks: Vec<RecordedTick>,
    known: Vec<String>,
}

impl Recorder<'_> {
    fn take(&mut self, tick: Tick) {
        if let Some(state) = &tick.state {
            let tiers = &state.spec().tiers;
            self.known = tiers.iter().map(|tier| tier.name.clone()).collect();
            self.place = self.known.iter().position(|known| known == self.name);
            // A tier that is gone keeps what it was.
            self.spec = self.place.map(|place| tiers[place].clone()).or(self.spec.take());
        }
        let (Some(place), Some(inputs)) = (self.place, &tick.inputs) else { return };
        let Some(tier) = inputs.tiers.get(place) else { return };
        let replicas = tier.observation.replicas.fresh();
        let supply = replicas.map(|replicas| Supply::of(replicas));
        self.ticks.push(RecordedTick { at: inputs.now, offered: tier.observation.signals.offered, supply });
    }
}
