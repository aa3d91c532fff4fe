//! Latency: grow while an objective is missed and more replicas can help, shrink by one when it is met with room.

use super::{Advice, View};
use crate::decision::Why;
use crate::observe::{Cause, Latency, Reading};
use crate::spec::{Objective, Signal};
use crate::units::Span;
use crate::window::RatioWindow;
use serde::{Deserialize, Serialize};

/// What the policy remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    above: RatioWindow,
}

impl State {
    pub(super) fn advise(&mut self, view: &View<'_>, objective: usize, window: Span) -> Advice {
        let Some(bound) = view.spec.slo.objectives.get(objective) else {
            return Advice::blind(Signal::Latency, Cause::NotConfigured);
        };
        let reading = view.signals.latency.get(objective).copied().unwrap_or_default();
        let latency = match reading {
            Reading::Fresh { value, .. } => value,
            // That nothing ended is no news of an outage while it is known that nothing is under way either.
            Reading::Missing { cause: Cause::NoRequest } if view.idle() => Latency::default(),
            // Without a replica no request ever ends: what waits is the only news there is.
            Reading::Missing { cause: Cause::NoRequest | Cause::NoReplica } if starved(view) => {
                return wake(view, bound);
            }
            other => return Advice::blind(Signal::Latency, other.blind().unwrap_or(Cause::NotConfigured)),
        };
        self.above.push(view.now, latency.above as f64, latency.count as f64, window);
        judge(view, bound, self.above.ratio().unwrap_or(0.0))
    }
}

fn starved(view: &View<'_>) -> bool {
    view.supply.current() == 0 && view.signals.queue_depth.at_least().is_some_and(|&waiting| waiting > 0)
}

/// The first replica of a tier at zero: every waiting request misses the bound. By a lower bound it is known that somebody waits
/// and not how many, so the declared fallback may add to it.
fn wake(view: &View<'_>, bound: &Objective) -> Advice {
    let why = Why::Objective { metric: bound.metric, above_share: 1.0, allowed_share: allowed_share(bound) };
    let wake = Advice::count(1, why);
    match view.signals.queue_depth.blind() {
        Some(cause) => wake.of_a_part(view, Signal::QueueDepth, cause),
        None => wake,
    }
}

/// Share that may be above the bound. 1 - 0.9 is a little less than a tenth, and ten of a hundred are allowed.
fn allowed_share(bound: &Objective) -> f64 {
    1.0 - bound.quantile + 1e-9
}

fn judge(view: &View<'_>, bound: &Objective, above_share: f64) -> Advice {
    let (ready, current) = (view.supply.ready, view.supply.current());
    let allowed_share = allowed_share(bound);
    let why = Why::Objective { metric: bound.metric, above_share, allowed_share };
    let inside = view.signals.in_flight.fresh().map_or(f64::INFINITY, |&it| it as f64);
    let waiting = view.signals.queue_depth.fresh() != Some(&0);
    if above_share > allowed_share {
        if !waiting && inside <= f64::from(ready) {
            // Nobody waits and no replica has more than one request: more replicas cannot make it faster.
            return Advice::count(
                current,
                Why::Unachievable {
                    metric: bound.metric,
                    requests_per_second: view.signals.offered.fresh().map_or(0.0, rate),
                    throughput_replicas: f64::from(ready),
                    slowdown: 1.0,
                },
            );
        }
        let more = if above_share > 2.0 * allowed_share { ready.div_ceil(2).max(1) } else { 1 };
        if view.supply.starting > 0 {
            // What starts may be enough; until that is seen the need is what it was.
            return Advice { wish: Some(ready + more), ..Advice::count(current, why) };
        }
        return Advice::count(ready + more, why);
    }
    // The N-1 that would remain must hold what is inside now in their batches.
    let remaining = f64::from(ready.saturating_sub(1)) * f64::from(view.spec.profile.max_sequences) / 2.0;
    let room = above_share <= allowed_share / 2.0 && !waiting && view.supply.starting == 0 && inside <= remaining;
    Advice::count(if room { current.saturating_sub(1) } else { current }, why)
}

fn rate(offered: &crate::observe::Offered) -> f64 {
    let seconds = offered.over.as_secs_f64();
    if seconds > 0.0 { offered.requests as f64 / seconds } else { 0.0 }
}
