//! Metrics in the OpenMetrics text that Prometheus reads, made anew for each scrape. What is not known has no sample: a
//! missing value is not zero.

use super::Shared;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use evenkeel_controller::operator::Mode;
use evenkeel_controller::view::{FleetView, SourceView, TierView};
use evenkeel_core::observe::Reading;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of one sample.
type Labels = Vec<(&'static str, String)>;

/// Decisions by tier and reason since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct DecisionCounts(Family<DecisionLabels, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    tier: String,
    reason: &'static str,
}

impl DecisionCounts {
    /// Counts one tick's decisions.
    pub(super) fn take(&self, view: &FleetView) {
        for tier in &view.tiers {
            let labels = DecisionLabels { tier: tier.tier.clone(), reason: tier.decision.reason.name() };
            self.0.get_or_create(&labels).inc();
        }
    }
}

/// Metrics for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut page = MetricsPage(Registry::with_prefix("evenkeel"));
    page.0.register("decisions", "Decisions by tier and reason", shared.decided.0.clone());
    let view = shared.published.view.borrow().clone();
    if let Some(view) = view {
        let age = shared.clock.now().since(view.at_us).as_secs_f64();
        page.fleet(&view, age);
        page.sources(&view.sources);
        page.tiers(&view.tiers);
    }
    let mut text = String::new();
    match encode(&mut text, &page.0) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// One scrape.
struct MetricsPage(Registry);

impl MetricsPage {
    /// One gauge with the samples that have a value. `unit` is the end of its name.
    fn gauge(
        &mut self,
        name: &str,
        unit: Option<&str>,
        help: &str,
        samples: impl IntoIterator<Item = (Labels, Option<f64>)>,
    ) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in samples {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                family.get_or_create(&labels).set(value);
            }
        }
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, Unit::Other(unit.to_owned()), family),
            None => self.0.register(name, help, family),
        }
    }

    /// One gauge without labels.
    fn one(&mut self, name: &str, unit: Option<&str>, help: &str, value: f64) {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, Unit::Other(unit.to_owned()), gauge),
            None => self.0.register(name, help, gauge),
        }
    }

    fn fleet(&mut self, view: &FleetView, age_seconds: f64) {
        self.one("tick_age", Some("seconds"), "Age of the newest tick", age_seconds);
        self.one(
            "holds_fleet",
            None,
            "1 while this controller may act, 0 while another holds the fleet",
            truth(view.holds_fleet),
        );
        self.one("paused", None, "1 while an operator's pause is in force", truth(view.paused_until_us.is_some()));
        self.one(
            "reload_refused",
            None,
            "1 while the fleet file as it stands cannot be used, and the one before is in force",
            truth(view.reload_refused.is_some()),
        );
        self.one(
            "gateway_reachable",
            None,
            "1 while the gateway tells which routes it obeys",
            truth(view.gateway_applied.is_some()),
        );
        self.one(
            "journal_writable",
            None,
            "1 while the journal can be written; scale-in waits while it is 0",
            truth(view.journal.writable),
        );
        self.one("journal_lost", Some("ticks"), "Ticks that did not reach the journal", view.journal.ticks_lost as f64);
        let modes = [Mode::Observe, Mode::Advise, Mode::Act];
        self.gauge(
            "mode",
            None,
            "1 for the mode in force",
            modes.map(|mode| (vec![("mode", mode.name().to_owned())], Some(truth(mode == view.mode)))),
        );
    }

    fn sources(&mut self, sources: &[SourceView]) {
        let labels = |it: &SourceView| vec![("source", it.name.clone())];
        let problems = sources.iter().map(|it| (labels(it), Some(truth(it.problem.is_some()))));
        self.gauge("source_problem", None, "1 while a source could not be read in the last tick", problems);
        let took = sources.iter().map(|it| (labels(it), Some(it.took_us as f64 / 1e6)));
        self.gauge("source_read", Some("seconds"), "How long a source's last read took", took);
    }

    fn tiers(&mut self, tiers: &[TierView]) {
        for (name, unit, help, value) in TIER_GAUGES {
            let samples = tiers.iter().map(|tier| (vec![("tier", tier.tier.clone())], value(tier)));
            self.gauge(&format!("tier_{name}"), Some(unit), help, samples);
        }
    }
}

/// A tier's gauge: name, unit, help, value.
type TierGauge = (&'static str, &'static str, &'static str, fn(&TierView) -> Option<f64>);

const TIER_GAUGES: [TierGauge; 14] = [
    ("desired", "replicas", "Ready and starting replicas there shall be", |it| Some(it.decision.desired.into())),
    ("ready", "replicas", "Replicas that serve", |it| listed(it, it.decision.supply.ready)),
    ("starting", "replicas", "Replicas ordered, not yet serving", |it| listed(it, it.decision.supply.starting)),
    ("draining", "replicas", "Replicas finishing their work", |it| listed(it, it.decision.supply.draining)),
    ("failed", "replicas", "Replicas that ended without being told", |it| listed(it, it.decision.supply.failed)),
    ("minimum", "replicas", "Replicas at least", |it| Some(it.minimum.into())),
    ("maximum", "replicas", "Replicas at most", |it| Some(it.maximum.into())),
    ("demand", "replicas", "Demand in replicas, where the capacity policy tells", |it| it.demand_replicas),
    ("offered", "requests_per_second", "Offered requests", |it| it.requests_per_second),
    ("queue_depth", "requests", "Requests waiting before a replica", |it| fresh(&it.signals.queue_depth)),
    ("oldest_queued", "seconds", "Age of the oldest waiting request", |it| {
        it.signals.oldest_queued.fresh().map(|age| age.as_secs_f64())
    }),
    ("online", "players", "Players online", |it| fresh(&it.signals.players)),
    ("cost", "usd_per_hour", "What its replicas cost, draining ones too", |it| {
        it.replicas_known.then_some(it.cost_usd_per_hour)
    }),
    ("objective_attainment", "ratio", "Share of offered requests in minutes that met every objective", |it| {
        it.objective_attainment_share
    }),
];

/// While the backend cannot list, the counts are those last decided over: they are not known to hold.
fn listed(tier: &TierView, count: u32) -> Option<f64> {
    tier.replicas_known.then_some(f64::from(count))
}

fn fresh(reading: &Reading<u64>) -> Option<f64> {
    reading.fresh().map(|value| *value as f64)
}

fn truth(it: bool) -> f64 {
    f64::from(u8::from(it))
}
