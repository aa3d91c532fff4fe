//! Target tracking: as many replicas as bring a signal to its target.

use super::measure::{Kind, Measure, measure};
use super::{Advice, View, whole};
use crate::decision::Why;
use crate::observe::Cause;
use crate::spec::{Per, Signal};
use crate::units::Span;
use crate::window::RatioWindow;
use serde::{Deserialize, Serialize};

/// A count this close to the present one, as a share of it, is no reason to move (HPA's tolerance).
const TOLERANCE: f64 = 0.1;

/// What the policy remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    signal: RatioWindow,
}

/// The target and how it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) target: f64,
    pub(super) per: Per,
    pub(super) window: Span,
}

impl State {
    pub(super) fn advise(&mut self, view: &View<'_>, signal: Signal, target: Target) -> Advice {
        let measured = match measure(view, signal) {
            Ok(measured) => measured,
            // Nothing is measured over no requests; while it is known that none is under way, that is no outage.
            Err(Cause::NoRequest) if silent(view, signal) => {
                Measure { in_part: None, over: 0.0, under: 0.0, kind: Kind::Share }
            }
            Err(cause) => return Advice::blind(signal, cause),
        };
        if let Some(cause) = measured.in_part {
            let advice = advice(view, signal, measured.kind, measured.over, target);
            return advice.of_a_part(view, signal, cause);
        }
        self.signal.push(view.now, measured.over, measured.under, target.window);
        match self.signal.ratio() {
            Some(value) => advice(view, signal, measured.kind, value, target),
            None if silent(view, signal) => advice(view, signal, measured.kind, 0.0, target),
            None => Advice::blind(signal, Cause::NoRequest),
        }
    }
}

fn advice(view: &View<'_>, signal: Signal, kind: Kind, value: f64, target: Target) -> Advice {
    let ready = f64::from(view.supply.ready);
    let absolute = kind == Kind::Mean || (kind == Kind::Total && target.per == Per::Replica);
    let needed = if absolute { value / target.target } else { ready.max(1.0) * value / target.target };
    let shown = if absolute && ready > 0.0 { value / ready } else { value };
    Advice::count(settle(view, needed), Why::Target { signal, value: shown, target: target.target })
}

/// The signal is measured over requests that end, and it is known that none is under way.
fn silent(view: &View<'_>, signal: Signal) -> bool {
    let over_requests =
        matches!(signal, Signal::Finished | Signal::Pace | Signal::PrefixCacheMiss | Signal::ErrorShare);
    over_requests && view.idle()
}

/// Within the tolerance of the ready count nothing moves, and what is still starting is not taken back: its share of the
/// load cannot be seen yet.
fn settle(view: &View<'_>, needed: f64) -> u32 {
    let ready = f64::from(view.supply.ready);
    let desired = if ready > 0.0 && libm::fabs(needed / ready - 1.0) <= TOLERANCE {
        view.supply.current()
    } else {
        whole(needed)
    };
    if view.supply.starting > 0 { desired.max(view.supply.current()) } else { desired }
}
