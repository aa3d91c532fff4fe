//! The sources of a fleet file, made anew when the file changes.

use async_trait::async_trait;
use evenkeel_adapters::SetupError;
use evenkeel_adapters::engines::Engines;
use evenkeel_adapters::gateway::Gateway;
use evenkeel_adapters::players::{Players, PlayersPush};
use evenkeel_controller::gateway_view::GatewayView;
use evenkeel_controller::ports::{Finding, LivingReplica, Source, SourceError};
use evenkeel_core::observe::Cause;
use evenkeel_core::spec::Signal;
use evenkeel_core::units::Time;
use evenkeel_fleet::model::Fleet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

type Fleets = watch::Receiver<Arc<Fleet>>;
type Make = Box<dyn Fn(&Fleet) -> Result<Box<dyn Source>, SetupError> + Send + Sync>;
/// What the gateway obeys, as last read.
type Obeyed = Arc<dyn Fn() -> GatewayView + Send + Sync>;

/// Every source of the fleet, and what the gateway obeys.
pub(super) fn of(fleets: &Fleets, push: &PlayersPush) -> Result<(Vec<Box<dyn Source>>, Obeyed), SetupError> {
    let view: Arc<Mutex<Option<watch::Receiver<GatewayView>>>> = Arc::default();
    let shown = view.clone();
    let obeyed: Obeyed = Arc::new(move || {
        let view = shown.lock().unwrap_or_else(PoisonError::into_inner);
        view.as_ref().map(|view| view.borrow().clone()).unwrap_or_default()
    });
    let gateway: Make = Box::new(move |fleet| {
        let tiers = fleet.spec.tiers.iter().map(|tier| (tier.name.clone(), tier.slo.objectives.clone()));
        let source = Gateway::new(&format!("http://{}", fleet.gateway.listen), tiers, patience(fleet))?;
        *view.lock().unwrap_or_else(PoisonError::into_inner) = Some(source.view());
        Ok(Box::new(source))
    });
    let engines: Make = Box::new(|fleet| {
        let tiers = fleet.spec.tiers.iter().zip(&fleet.tiers);
        let engines = tiers.map(|(spec, settings)| (spec.name.clone(), settings.engine));
        Ok(Box::new(Engines::new(engines, patience(fleet))?))
    });
    let mut sources =
        vec![Following::boxed("gateway", fleets, gateway)?, Following::boxed("engines", fleets, engines)?];
    if fleets.borrow().players.is_some() {
        let push = push.clone();
        let players: Make = Box::new(move |fleet| {
            let shares = fleet.spec.tiers.iter().zip(&fleet.tiers);
            let shares = shares.map(|(spec, settings)| (spec.name.clone(), settings.players_share));
            let source = fleet.players.clone().unwrap_or(evenkeel_fleet::model::PlayersSource::Push);
            Ok(Box::new(Players::new(&source, push.clone(), shares, patience(fleet))?))
        });
        sources.push(Following::boxed("players", fleets, players)?);
    }
    Ok((sources, obeyed))
}

/// Less than the quarter tick after which the loop gives a whole source up, so that one slow replica costs only itself.
fn patience(fleet: &Fleet) -> Duration {
    fleet.spec.tick.to_duration() / 5
}

/// A source that is made anew when the fleet file changed.
struct Following {
    name: &'static str,
    fleets: Fleets,
    make: Make,
    source: Box<dyn Source>,
}

impl Following {
    fn boxed(name: &'static str, fleets: &Fleets, make: Make) -> Result<Box<dyn Source>, SetupError> {
        let mut fleets = fleets.clone();
        let source = make(&fleets.borrow_and_update())?;
        Ok(Box::new(Self { name, fleets, make, source }))
    }
}

#[async_trait]
impl Source for Following {
    fn name(&self) -> &str {
        self.name
    }

    fn covers(&self, tier: &str) -> &[Signal] {
        self.source.covers(tier)
    }

    async fn read(&mut self, now: Time, living: &[LivingReplica]) -> Result<Vec<Finding>, SourceError> {
        if self.fleets.has_changed().unwrap_or(false) {
            let made = (self.make)(&self.fleets.borrow_and_update());
            let broken = |error: SetupError| SourceError { cause: Cause::Unreachable, detail: error.to_string() };
            self.source = made.map_err(broken)?;
        }
        self.source.read(now, living).await
    }
}
