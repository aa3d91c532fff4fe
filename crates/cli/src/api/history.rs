//! The last two hours of each tier in memory, a point a tick, for the page's charts.

use super::Shared;
use super::error::{ApiError, ErrorBody};
use super::fields::Query;
use axum::Json;
use axum::extract::State;
use evenkeel_controller::view::{FleetView, TierView};
use evenkeel_core::decision::Reason;
use evenkeel_core::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use utoipa::ToSchema;

/// Points kept for each tier: two hours at a tick of a second.
const MOST_POINTS: usize = 7_200;
/// What is shown when nobody says how long.
const DEFAULT_SECONDS: i64 = 3_600;
/// Longer than any ring of points at the longest tick.
const MOST_SECONDS: i64 = 30 * 86_400;

/// One tier at one tick. What was not known is null, not zero.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
struct Point {
    /// The tick.
    #[schema(value_type = i64)]
    at_us: Time,
    /// Offered requests a second.
    requests_per_second: Option<f64>,
    /// Demand in replicas, where the capacity policy tells.
    demand_replicas: Option<f64>,
    /// Replicas that serve.
    ready: u32,
    /// Replicas ordered, not yet serving.
    starting: u32,
    /// Replicas finishing their work.
    draining: u32,
    /// Ready and starting replicas there shall be.
    desired: u32,
    /// Requests waiting.
    queue_depth: Option<u64>,
    /// What all its replicas cost.
    cost_usd_per_hour: f64,
    /// The decision's reason code.
    #[schema(value_type = String)]
    reason: Reason,
    /// Whether the decision changed the count.
    changed: bool,
}

impl Point {
    fn of(tier: &TierView, at_us: Time) -> Self {
        let decision = &tier.decision;
        Self {
            at_us,
            requests_per_second: tier.requests_per_second,
            demand_replicas: tier.demand_replicas,
            ready: decision.supply.ready,
            starting: decision.supply.starting,
            draining: decision.supply.draining,
            desired: decision.desired,
            queue_depth: tier.signals.queue_depth.fresh().copied(),
            cost_usd_per_hour: tier.cost_usd_per_hour,
            reason: decision.reason,
            changed: decision.desired != decision.supply.current(),
        }
    }
}

/// The points of every tier of the newest view.
#[derive(Debug, Default)]
pub(super) struct History {
    order: Vec<String>,
    points: BTreeMap<String, VecDeque<Point>>,
}

impl History {
    /// Takes in one tick. A tier that the fleet no longer has is dropped.
    pub(super) fn take(&mut self, view: &FleetView) {
        self.order = view.tiers.iter().map(|tier| tier.tier.clone()).collect();
        let order = &self.order;
        self.points.retain(|tier, _| order.contains(tier));
        for tier in &view.tiers {
            let points = self.points.entry(tier.tier.clone()).or_default();
            if points.len() >= MOST_POINTS {
                points.pop_front();
            }
            points.push_back(Point::of(tier, view.at_us));
        }
    }

    /// The points not older than `since`, the oldest first, in the fleet's order of tiers.
    fn since(&self, since: Time) -> Vec<TierHistory> {
        let recent = |points: &VecDeque<Point>| points.iter().filter(|it| it.at_us >= since).cloned().collect();
        self.order
            .iter()
            .filter_map(|tier| Some(TierHistory { tier: tier.clone(), points: recent(self.points.get(tier)?) }))
            .collect()
    }
}

/// What is answered.
#[derive(Serialize, ToSchema)]
pub(super) struct HistoryAnswer {
    tiers: Vec<TierHistory>,
}

/// One tier's points.
#[derive(Serialize, ToSchema)]
struct TierHistory {
    tier: String,
    /// The oldest first.
    points: Vec<Point>,
}

/// The last ticks of every tier, for charts. It begins with this controller's start; the journal has what was before.
#[utoipa::path(
    get, path = "/v1/history", tag = "state",
    params(("seconds" = Option<i64>, Query, description = "How far back, 3600 if not given", minimum = 1)),
    responses(
        (status = 200, description = "Points by tier", body = HistoryAnswer),
        (status = 400, description = "Every mistake in the query", body = ErrorBody),
    ),
)]
pub(super) async fn history(
    State(shared): State<Arc<Shared>>,
    mut query: Query,
) -> Result<Json<HistoryAnswer>, ApiError> {
    let seconds = query.whole("seconds", 1..=MOST_SECONDS).unwrap_or(DEFAULT_SECONDS);
    let seconds = query.finish(seconds)?;
    let since = shared.clock.now() - Span::from_secs(seconds);
    let tiers = shared.history.lock().unwrap_or_else(PoisonError::into_inner).since(since);
    Ok(Json(HistoryAnswer { tiers }))
}
