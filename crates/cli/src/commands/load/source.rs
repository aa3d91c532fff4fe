//! Where the requests come from: a generated day, a file of players, a shape, or a trace of requests.

use super::limits;
use crate::commands::values;
use crate::failure::Failure;
use evenkeel_load::Traffic;
use evenkeel_report::words::count;
use evenkeel_workload::{Day, DayError, PlayersSeries, RequestTrace, Scenario, Shape};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(super) struct Source {
    /// Players over time: CSV `unix_s,value`, or a SteamDB export, also gzip; without it a day is generated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shape", "trace", "scenario", "peak", "low_share"])]
    #[arg(allow_negative_numbers = true, value_parser = players_file)]
    players: Option<PathBuf>,
    /// Players by stages, each PLAYERS:TIME or FROM..TO:TIME: `0..5000:10m,5000:5m`, `100:2m,500:2m,1000:2m`
    #[arg(long, value_name = "STAGES", conflicts_with_all = ["trace", "peak", "low_share"])]
    #[arg(allow_negative_numbers = true, value_parser = shape)]
    shape: Option<Shape>,
    /// Players as they come in a situation that has a name: day, week, launch-day, maintenance, patch-night, flash-crowd, bursts
    #[arg(long, value_name = "NAME", conflicts_with_all = ["shape", "trace", "low_share"])]
    scenario: Option<Scenario>,
    /// Requests as they were once sent: CSV `t_s,in_tok,out_tok`, or as Azure, BurstGPT and Mooncake publish them; also gzip
    #[arg(long, value_name = "FILE", conflicts_with_all = ["peak", "low_share"])]
    trace: Option<PathBuf>,
    /// The tier that the trace is sent to; not needed where there is but one
    #[arg(long, value_name = "NAME", requires = "trace")]
    tier: Option<String>,
    /// Players at the peak of the generated day or of the scenario
    #[arg(long, default_value_t = 1_000.0, allow_negative_numbers = true, value_parser = limits::players)]
    peak: f64,
    /// Players at the generated day's low, as a share of the peak
    #[arg(long, default_value_t = evenkeel_workload::day::MEASURED_LOW_SHARE)]
    #[arg(allow_negative_numbers = true, value_parser = values::share)]
    low_share: f64,
    /// So many times as many players, or requests of the trace
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    #[arg(allow_negative_numbers = true, value_parser = values::above_zero)]
    scale: f64,
    /// Time passes this many times faster: players come and go, or the trace's requests follow, in a part of the time
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    #[arg(allow_negative_numbers = true, value_parser = limits::compression)]
    compress: f64,
    /// Seed of the day, of arrivals, of lengths and of what is left of a scaled trace
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = values::whole)]
    pub(super) seed: u64,
}

fn players_file(text: &str) -> Result<PathBuf, String> {
    match text.parse::<f64>() {
        Ok(_) => Err("expected a file; the number of players at a day's peak is `--peak`".to_owned()),
        Err(_) => Ok(PathBuf::from(text)),
    }
}

fn shape(text: &str) -> Result<Shape, String> {
    Shape::parse(text).map_err(|error| error.to_string())
}

impl Source {
    /// The traffic, scaled and compressed.
    pub(super) fn traffic(&self, tiers: &[&str]) -> Result<Traffic, Failure> {
        match &self.trace {
            Some(path) => self.trace(path, tiers),
            None => self.players().map(Traffic::Players),
        }
    }

    fn trace(&self, path: &Path, tiers: &[&str]) -> Result<Traffic, Failure> {
        let tier = match &self.tier {
            Some(name) => tiers.iter().position(|tier| tier == name),
            None => (tiers.len() == 1).then_some(0),
        };
        let tier = tier.ok_or_else(|| {
            let known = tiers.join(", ");
            Failure::usage(match &self.tier {
                Some(name) => format!("there is no tier `{name}` that the trace could be sent to; there are {known}"),
                None => format!("`--tier` says whom the trace is sent to: one of {known}"),
            })
        })?;
        let trace = RequestTrace::open(path).map_err(|error| in_file(path, &error))?;
        let requests = trace.multiplied(self.scale, self.seed).and_then(|trace| trace.compressed(self.compress));
        Ok(Traffic::Trace { tier, requests: requests.map_err(Failure::usage)? })
    }

    fn players(&self) -> Result<PlayersSeries, Failure> {
        let players = match (&self.players, &self.shape) {
            (Some(path), _) => {
                PlayersSeries::open(path).map_err(|error| in_file(path, &error))?.compressed(self.compress)
            }
            // A shape is compressed itself: its jumps are to stay jumps.
            (None, Some(shape)) => Ok(shape.compressed(self.compress).map_err(Failure::usage)?.players()),
            (None, None) => self.generated().map_err(Failure::usage)?.compressed(self.compress),
        };
        players.and_then(|players| players.scaled(self.scale)).map_err(Failure::usage)
    }

    fn generated(&self) -> Result<PlayersSeries, DayError> {
        match self.scenario {
            Some(scenario) => scenario.players(self.peak, self.seed),
            None => {
                let (peak_players, low_share, seed) = (self.peak, self.low_share, self.seed);
                Day { peak_players, low_share, seed, ..Day::default() }.generate()
            }
        }
    }

    /// The file that is read, if one is.
    pub(super) fn file(&self) -> Option<&Path> {
        self.trace.as_deref().or(self.players.as_deref())
    }

    /// For the report.
    pub(super) fn in_words(&self) -> String {
        let what = match (&self.trace, &self.players, &self.shape) {
            (Some(path), ..) => format!("requests of the trace {}", path.display()),
            (_, Some(path), _) => format!("players of {}", path.display()),
            (.., Some(shape)) => format!("players by the shape {shape}"),
            _ => {
                let (peak, what) = (count(self.peak.round() as u64), self.scenario.unwrap_or(Scenario::Day));
                format!("a generated {what} with {peak} players at its peak")
            }
        };
        let scaled = if self.scale == 1.0 { String::new() } else { format!(", {} times as many", self.scale) };
        let faster = if self.compress == 1.0 { String::new() } else { format!(", {} times as fast", self.compress) };
        format!("{what}{scaled}{faster}")
    }
}

fn in_file(path: &Path, error: &impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}
