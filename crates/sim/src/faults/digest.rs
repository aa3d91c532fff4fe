//! A number that stands for every byte of a tier's decisions.

use evenkeel_core::decision::Decision;

/// FNV-1a, a word at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(pub(super) u64);

impl Digest {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) const fn word(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
        self.0 = mixed ^ (mixed >> 32);
    }

    /// All of a decision but its figures, of which the counts are the outcome.
    pub(super) fn decision(&mut self, decision: &Decision) {
        let supply = decision.supply;
        self.word(decision.at.as_micros() as u64);
        self.word(u64::from(supply.ready) << 32 | u64::from(supply.starting));
        self.word(u64::from(supply.draining) << 32 | u64::from(supply.failed));
        self.word(u64::from(decision.desired) << 32 | decision.reason as u64);
        for id in &decision.victims {
            id.0.bytes().for_each(|byte| self.word(u64::from(byte)));
        }
        for it in &decision.recommendations {
            self.word(it.desired.map_or(u64::MAX, u64::from));
        }
        self.word(decision.winner.map_or(u64::MAX, |index| index as u64));
        for clamp in &decision.clamps {
            self.word(u64::from(clamp.before) << 32 | u64::from(clamp.after));
            self.word(clamp.guard as u64);
        }
        self.word(decision.look_again.as_micros() as u64);
    }
}
