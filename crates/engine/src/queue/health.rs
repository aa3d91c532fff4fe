//! Whether a replica is trusted with work. One that fails fast is always the least outstanding, so without this it would
//! draw every request of the tier and fail it.

use super::RequestId;
use super::settings::QueueSettings;
use evenkeel_core::units::Time;

/// What came of a request, as far as it tells of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Served,
    Failed,
    Unreached,
    /// The client left: it tells nothing.
    Nothing,
}

/// Why a replica gets no work, or one request at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Too many failures in a row.
    Failing,
    /// No connection to it could be made.
    Unreachable,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// As much work as it takes; so many failures in a row.
    Full { failures: u32 },
    /// No work until then.
    None { until: Time, doubt: Doubt },
    /// One request at a time, until one is answered.
    Probe { request: Option<RequestId>, doubt: Doubt },
}

#[derive(Debug)]
pub(super) struct Health {
    pub(super) trust: Trust,
    /// Suspensions in a row, for the back-off.
    strikes: u32,
    /// Requests that failed since it last served one.
    failed: u32,
    /// Of these, requests that were to show whether it serves again.
    failed_probes: u32,
}

impl Health {
    pub(super) fn new() -> Self {
        Self { trust: Trust::Full { failures: 0 }, strikes: 0, failed: 0, failed_probes: 0 }
    }

    pub(super) fn doubt(&self) -> Option<Doubt> {
        match self.trust {
            Trust::Full { .. } => None,
            Trust::None { doubt, .. } | Trust::Probe { doubt, .. } => Some(doubt),
        }
    }

    /// Whether one request more that is served changes nothing.
    pub(super) const fn is_flawless(&self) -> bool {
        matches!(self.trust, Trust::Full { failures: 0 }) && self.strikes == 0 && self.failed == 0
    }

    /// Requests in a row that it failed, if they were enough to take it out: also where it is trusted again for want of others.
    pub(super) fn failed_in_a_row(&self) -> u32 {
        if self.was_taken_out() { self.failed } else { 0 }
    }

    /// Probes that failed since it last served a request, and since it was taken out for failing.
    pub(super) fn failed_probes(&self) -> u32 {
        if self.was_taken_out() { self.failed_probes } else { 0 }
    }

    fn was_taken_out(&self) -> bool {
        match self.doubt() {
            Some(doubt) => doubt == Doubt::Failing,
            None => self.strikes > 0,
        }
    }

    /// Requests that it may have besides those it has, as far as trust goes.
    pub(super) fn admits(&self) -> bool {
        match self.trust {
            Trust::Full { .. } | Trust::Probe { request: None, .. } => true,
            Trust::None { .. } | Trust::Probe { request: Some(_), .. } => false,
        }
    }

    /// A request goes out to it.
    pub(super) fn dispatched(&mut self, id: RequestId) {
        if let Trust::Probe { request, .. } = &mut self.trust {
            *request = Some(id);
        }
    }

    /// While it is doubted only its probe changes the trust in it: what else was under way began before the doubt.
    pub(super) fn learn(&mut self, id: RequestId, sign: Sign, now: Time, settings: &QueueSettings) {
        match sign {
            Sign::Served => (self.failed, self.failed_probes) = (0, 0),
            Sign::Failed => self.failed = self.failed.saturating_add(1),
            Sign::Unreached | Sign::Nothing => {}
        }
        match (self.trust, sign) {
            (Trust::None { .. }, _) => {}
            (Trust::Probe { request, .. }, _) if request != Some(id) => {}
            (_, Sign::Served) => *self = Self::new(),
            (Trust::Full { .. }, Sign::Nothing) => {}
            (Trust::Probe { doubt, .. }, Sign::Nothing) => self.trust = Trust::Probe { request: None, doubt },
            (_, Sign::Unreached) => self.suspend(Doubt::Unreachable, now, settings),
            (Trust::Probe { doubt, .. }, Sign::Failed) => {
                self.failed_probes = self.failed_probes.saturating_add(u32::from(doubt == Doubt::Failing));
                self.suspend(Doubt::Failing, now, settings);
            }
            (Trust::Full { failures }, Sign::Failed) => {
                self.trust = Trust::Full { failures: failures + 1 };
                if failures + 1 >= settings.ejection_failures {
                    self.suspend(Doubt::Failing, now, settings);
                }
            }
        }
    }

    fn suspend(&mut self, doubt: Doubt, now: Time, settings: &QueueSettings) {
        self.strikes = self.strikes.saturating_add(1);
        let backoff = match doubt {
            Doubt::Failing => settings.ejection,
            Doubt::Unreachable => settings.unreachable,
        };
        self.trust = Trust::None { until: now + backoff.pause(self.strikes), doubt };
    }

    /// The suspension is over: one request may try.
    pub(super) fn probe(&mut self) {
        if let Trust::None { doubt, .. } = self.trust {
            self.trust = Trust::Probe { request: None, doubt };
        }
    }

    /// Trusts it again without proof. Its strikes stay, so that the next suspension is longer.
    pub(super) fn readmit(&mut self) {
        self.trust = Trust::Full { failures: 0 };
    }
}
