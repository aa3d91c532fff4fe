//! Two policies over an hour of steps, for tests.

use super::{About, Compared};
use evenkeel_core::units::{MicroUsd, Span, Time};
use evenkeel_sim::cloud::Cloud;
use evenkeel_sim::compare::{Cell, Parameters, Tuning};
use evenkeel_sim::fluid::{Change, Run};
use evenkeel_sim::hindsight::{Hindsight, HindsightPoint};
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::score::{Score, Terms};
use evenkeel_sim::setting::Setting;

/// What a comparison owns.
pub(super) struct Example {
    pub(super) cells: Vec<Cell>,
    pub(super) demand: Vec<f64>,
    pub(super) setting: Setting,
    pub(super) hindsight: Hindsight,
}

impl Example {
    pub(super) fn compared(&self) -> Compared<'_> {
        let Self { cells, demand, setting, hindsight } = self;
        Compared { cells, demand, setting, hindsight, criteria: &[] }
    }
}

pub(super) fn about() -> About {
    About {
        tier: "gold".to_owned(),
        trace: "players.csv".to_owned(),
        begins_seconds: 0.0,
        parameters: vec![("seed", "1".to_owned())],
        command: "evenkeel simulate game.yaml -o html".to_owned(),
        left_out: "queues",
        warnings: vec!["demand comes to <9> replicas".to_owned()],
    }
}

const SLOTS: usize = 720;

/// 90 % is asked for. Ours keeps it and grows once before scoring begins, once after; `static` misses it.
pub(super) fn example() -> Example {
    let change = |slot, from, to, reason| Change { slot, from, to, reason: Some(reason) };
    let mut ours = cell("evenkeel", 0.95, 20.0);
    (ours.tuning, ours.parameters.target) = (None, None);
    ours.run.changes =
        vec![change(5, 1, 2, "demand rose"), change(100, 2, 4, "demand rose"), change(200, 4, 3, "level unused")];
    let demand = (0..SLOTS).map(|slot| if slot < 100 { 1.5 } else { 2.5 }).collect();
    let setting = Setting {
        slot: Span::from_secs(5),
        start_up_slots: 12,
        minimum: 1,
        maximum: 9,
        scored_from: 10,
        start: Time::default(),
        violation: Violation::Excess,
    };
    let asked = HindsightPoint { attainment: 0.9, replica_hours: 10.0, bound_replica_hours: 10.0, cost_usd: 10.0 };
    let hindsight = Hindsight { frontier: Vec::new(), asked, causal_floor_replica_hours: None };
    Example { cells: vec![ours, cell("static", 0.8, 10.0)], demand, setting, hindsight }
}

/// A run of two ready replicas that is said to have come to this much.
pub(super) fn cell(policy: &'static str, attainment: f64, cost_usd: f64) -> Cell {
    let setting = Setting {
        slot: Span::from_secs(5),
        start_up_slots: 0,
        minimum: 1,
        maximum: 9,
        scored_from: 0,
        start: Time::default(),
        violation: Violation::Excess,
    };
    let terms = Terms { attainment: 0.99, price_per_hour: MicroUsd::from_micros(1_000_000) };
    let run = Run { ready: vec![2; SLOTS], ..Run::default() };
    let score = Score::of(&Run { ready: vec![2], ..Run::default() }, &[1.0], &setting, &Cloud::default(), &terms);
    Cell {
        policy,
        tuning: Some(Tuning::Default),
        parameters: Parameters { target: Some(2.0), kept_when_tuned: None },
        attainment_requested: 0.9,
        violation: Violation::Excess,
        score: Score {
            capacity_attainment: attainment,
            cost_usd,
            oracle_replica_hours: 0.8 * cost_usd,
            cost_over_oracle: Some(1.25),
            budget_used: (1.0 - attainment) / 0.1,
            launches: 3,
            reaction_seconds: Some(90.0),
            ..score
        },
        run,
    }
}

/// What a reader reads: a line for each row and paragraph, pictures left out.
pub(super) fn read(html: &str) -> String {
    let mut out = String::new();
    for piece in html.split('<').skip(1) {
        let Some((tag, text)) = piece.split_once('>') else { continue };
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if ["tr", "h1", "h2", "p", "dt", "caption", "figcaption", "summary", "svg"].contains(&name) {
            out.push('\n');
        }
        if name == "td" || name == "th" {
            out.push_str(" | ");
        }
        if name != "text" && name != "title" {
            out.push_str(text.trim_matches('\n'));
        }
        if ["dt", "dd", "strong"].contains(&name) || tag.starts_with('/') && ["/dt", "/dd", "/strong"].contains(&tag) {
            out.push(' ');
        }
    }
    let lines = out.lines().map(|line| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).map(|line| format!("\n{line}")).collect::<String>() + "\n"
}
