//! The keys of a fleet file, a page for each map. A page's function declares its keys; what it gives is a draft whose
//! gaps are in the report.

pub(crate) mod asynchronous;
pub(crate) mod backend;
pub(crate) mod behavior;
pub(crate) mod controller;
pub(crate) mod criteria;
pub(crate) mod gateway;
pub(crate) mod objectives;
pub(crate) mod players;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod requests;
pub(crate) mod schedule;
pub(crate) mod tier;
pub(crate) mod words;

use crate::form::{List, Named};
use crate::model::{ControllerSettings, Fleet, GatewaySettings, PlayersSource};
use crate::scalar::Whole;
use crate::section::{Object, Section};
use crate::unit::Duration;
use criteria::CriterionDraft;
use evenkeel_core::spec::FleetSpec;
use evenkeel_core::units::Span;
use tier::TierDraft;

/// A fleet file as far as it could be read.
pub(crate) struct Draft {
    pub(crate) name: Option<String>,
    pub(crate) tick: Option<Span>,
    pub(crate) shared_maximum: Option<u32>,
    pub(crate) controller: Option<ControllerSettings>,
    pub(crate) gateway: Option<GatewaySettings>,
    pub(crate) players: Option<PlayersSource>,
    pub(crate) tiers: Vec<TierDraft>,
    pub(crate) criteria: Vec<CriterionDraft>,
}

/// The whole file.
pub(crate) const FILE: Object<Draft> = Object(read);

const SHORTEST_TICK: Span = Span::from_millis(100);

fn read(file: &mut Section<'_>) -> Option<Draft> {
    let name = file.required("fleet", "The fleet's name: lower-case letters, digits and `-`.", words::NAME);
    let tick = file.or("tick", "Time between two decisions.", Duration { least: SHORTEST_TICK }, "1s");
    let shared = file.optional("shared", "Limits over all tiers together.", Object(shared));
    let controller = file.or_empty("controller", "The controller: `evenkeel run`.", Object(controller::read));
    let gateway = file.or_empty("gateway", "The gateway: `evenkeel gateway`.", Object(gateway::read));
    let players =
        file.optional("players", "Where the player count comes from; left out, nobody is asked.", players::form());
    let tiers = file.required("tiers", "The tiers by name: lower-case letters, digits and `-`.", tiers());
    let criteria = file.optional(
        "criteria",
        "What must have held at the end of a load test, a simulation or a fault test.",
        List { form: criteria::form(), least: 0 },
    );
    Some(Draft {
        name,
        tick,
        shared_maximum: shared.flatten(),
        controller,
        gateway,
        players,
        tiers: tiers.unwrap_or_default().into_iter().map(|(path, name, tier)| tier.named(name, path)).collect(),
        criteria: criteria.unwrap_or_default().into_iter().map(|(_, criterion)| criterion).collect(),
    })
}

fn tiers() -> Named<String, Object<TierDraft>> {
    // Any name is read, so that a wrong one does not hide its tier from the rules; `check::names` judges it.
    Named { key: |name| Ok(name.to_owned()), pattern: words::NAME_PATTERN, what: "a tier", form: Object(tier::read) }
}

fn shared(shared: &mut Section<'_>) -> Option<Option<u32>> {
    let about = "Replicas, starting and ready, that all tiers may have together; short of it the higher priority wins.";
    Some(shared.optional("maximum", about, Whole { what: "replicas", least: 1, most: 100_000 }))
}

impl Draft {
    /// The fleet, if nothing is missing.
    pub(crate) fn build(self) -> Option<Fleet> {
        let mut specs = Vec::new();
        let mut settings = Vec::new();
        for tier in self.tiers {
            let (spec, rest) = tier.build()?;
            specs.push(spec);
            settings.push(rest);
        }
        Some(Fleet {
            spec: FleetSpec { name: self.name?, tick: self.tick?, shared_maximum: self.shared_maximum, tiers: specs },
            tiers: settings,
            controller: self.controller?,
            gateway: self.gateway?,
            players: self.players,
            criteria: self.criteria.into_iter().map(|draft| draft.criterion).collect::<Option<_>>()?,
            warnings: Vec::new(),
            settings: std::collections::BTreeMap::new(),
        })
    }
}
