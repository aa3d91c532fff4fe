//! One tier: its queue, its replicas and its counts.
//!
//! The queue is the engine crate's state machine, which the simulator drives as well. Here it stands behind a lock that
//! is held for about a microsecond and never across an await; what it decides is handed to the requests that wait.

mod seat;
mod state;

pub(crate) use seat::{Next, Seat, Whereabouts};

use crate::clock::{Clock, retry_seconds};
use crate::measure::Tally;
use crate::refusal::Refusal;
use crate::upstream::Replica;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::{Rejection, Standing};
use evenkeel_fleet::model::{AsynchronousSettings, GatewaySettings, TierSettings};
use evenkeel_wire::report::TierReport;
use evenkeel_wire::routes::Route;
use http::StatusCode;
use http::header::HeaderValue;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::Notify;
use tokio::time::sleep_until;

/// One tier of the fleet, as the gateway serves it.
#[derive(Debug)]
pub(crate) struct Tier {
    /// Its name.
    pub(crate) name: String,
    /// Its name as the value of a header.
    pub(crate) name_header: HeaderValue,
    /// Set for an asynchronous tier.
    pub(crate) asynchronous: Option<AsynchronousSettings>,
    /// Its counts.
    pub(crate) tally: Tally,
    /// The gateway's time.
    pub(crate) clock: Clock,
    terms: RwLock<Arc<Terms>>,
    state: Mutex<State>,
    /// Rings when the queue has to be looked at earlier than its timer was set for.
    earlier: Notify,
    /// Rings when there may be more places or more requests: what an asynchronous tier's dispatcher waits for.
    pub(crate) places_changed: Notify,
}

/// What a changed fleet file may change of a tier.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The model that clients ask for.
    pub(crate) model: String,
    start_up: Span,
    hold: Span,
}

impl Terms {
    fn of(spec: &TierSpec, settings: &TierSettings, gateway: &GatewaySettings) -> Arc<Self> {
        Arc::new(Self { model: settings.model.clone(), start_up: spec.start_up, hold: gateway.hold })
    }
}

impl Tier {
    /// A tier without replicas.
    pub(crate) fn new(spec: &TierSpec, settings: &TierSettings, gateway: &GatewaySettings, clock: Clock) -> Self {
        Self {
            name: spec.name.clone(),
            // A name that is no header value is shown by none: the fleet's reader refuses such names.
            name_header: HeaderValue::from_str(&spec.name).unwrap_or(HeaderValue::from_static("")),
            asynchronous: settings.asynchronous.clone(),
            tally: Tally::new(&spec.slo),
            clock,
            terms: RwLock::new(Terms::of(spec, settings, gateway)),
            state: Mutex::new(State::new(gateway, clock.now())),
            earlier: Notify::new(),
            places_changed: Notify::new(),
        }
    }

    /// Takes over what a changed fleet file says of it. Requests that wait stay, under the new limits.
    pub(crate) fn take_over(&self, spec: &TierSpec, settings: &TierSettings, gateway: &GatewaySettings) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = Terms::of(spec, settings, gateway);
        self.tally.set_bounds(&spec.slo);
        self.with_state(|state| state.set_limits(self.clock.now(), gateway));
    }

    /// Whether no request is left in it; from then on none is taken, unless a fleet file has it again.
    pub(crate) fn is_over(&self) -> bool {
        self.with_state(|state| state.close_if_empty(self.clock.now()))
    }

    /// What the fleet file says of it now.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the routes. A replica that vanished keeps the requests that are in it until they end.
    pub(crate) fn set_routes(&self, routes: &[Route]) {
        self.with_state(|state| state.set_routes(self.clock.now(), routes));
        self.places_changed.notify_one();
    }

    /// Does what the queue has to do at its own times: expire, probe. Runs as long as the gateway.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.with_state(|state| state.advance(self.clock.now()));
            match next {
                None => self.earlier.notified().await,
                Some(at) => {
                    let timer = sleep_until(self.clock.instant(at).into());
                    tokio::select! { () = timer => {}, () = self.earlier.notified() => {} }
                }
            }
        }
    }

    /// Closes connections that idled too long.
    pub(crate) fn close_idle(&self) {
        let replicas = self.lock().replicas();
        replicas.iter().for_each(|replica| replica.origin.close_idle());
    }

    /// Requests that the serving replicas take at once, all together.
    pub(crate) fn places(&self) -> u32 {
        let state = self.lock();
        let serving = state.queue().replicas().filter(|view| view.standing == Standing::Serving);
        serving.map(|view| view.max_outstanding).sum()
    }

    /// Replicas that take work by the route table.
    pub(crate) fn serving_by_table(&self) -> Vec<Arc<Replica>> {
        let state = self.lock();
        let serving = state.queue().replicas().filter(|view| view.standing == Standing::Serving);
        serving.map(|view| Arc::clone(&view.replica.0)).collect()
    }

    /// Replicas that take work and can be reached, as far as is known.
    pub(crate) fn serving(&self) -> usize {
        self.serving_by_table().iter().filter(|replica| replica.origin.is_reachable()).count()
    }

    /// The tier's part of the report; what waits in a durable queue is added by its owner.
    pub(crate) fn report(&self, now: Time) -> TierReport {
        let mut report = TierReport { tier: self.name.clone(), ..TierReport::default() };
        // A request's end is counted before its place is freed. So places come first here: a request that is in none
        // of them any more is among the counts.
        self.fill_places(&mut report, now);
        self.tally.fill(&mut report);
        report
    }

    fn fill_places(&self, report: &mut TierReport, now: Time) {
        let state = self.lock();
        report.queued = state.queue().queued() as u64;
        report.oldest_queued_us = state.queue().oldest_waiting(now).unwrap_or(Span::ZERO);
        report.in_flight = state.queue().in_flight() as u64;
        report.replicas = state.loads();
        let counters = state.queue().counters();
        report.retried = counters.retried + counters.returned;
    }

    /// Replicas that get no work for a while because they failed.
    pub(crate) fn ejected(&self) -> usize {
        self.lock().queue().replicas().filter(|view| view.ejected).count()
    }

    /// Seconds after which a refused client may come back: a start-up when nothing serves, else soon.
    pub(crate) fn retry_after(&self) -> u64 {
        if self.serving() == 0 { retry_seconds(self.terms().start_up) } else { 1 }
    }

    /// The refusal that tells `reason`.
    fn refusal(&self, reason: Rejection) -> Refusal {
        let name = &self.name;
        let unavailable =
            |code, message, after| Refusal::for_now(StatusCode::SERVICE_UNAVAILABLE, code, message, after);
        match reason {
            Rejection::QueueFull => {
                let after = self.retry_after();
                unavailable("queue_full", format!("the queue of tier `{name}` is full: try again in {after} s"), after)
            }
            Rejection::HeldTooLong => {
                let terms = self.terms();
                let (after, held) = (retry_seconds(terms.start_up), terms.hold);
                let message = format!("no replica of tier `{name}` was ready within {held}: try again in {after} s");
                unavailable("no_replica", message, after)
            }
            Rejection::TriesSpent | Rejection::RetryBudgetSpent | Rejection::BrokeOff => {
                let message = format!("replicas of tier `{name}` failed: {reason}");
                Refusal::for_now(StatusCode::BAD_GATEWAY, "replica_failed", message, 1)
            }
        }
    }

    /// Runs `act` on the state and sets the timer anew where that made it ring too late.
    fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        let earlier = state.is_due_earlier();
        drop(state);
        if earlier {
            self.earlier.notify_one();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
