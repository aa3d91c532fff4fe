//! `evenkeel replica`: one emulated replica of a tier.

use crate::failure::Failure;
use crate::output;
use crate::{fleet_file, signals};
use evenkeel_core::profile::Profile;
use evenkeel_local::emulated::{Fault, OPEN_OUTPUT, Options, Server};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file that declares the tier
    #[arg(long, value_name = "FLEET")]
    fleet: PathBuf,
    /// The tier whose profile it has
    #[arg(long)]
    tier: String,
    /// The loopback port it listens on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// What it truly can do, where that differs from what the fleet file declares: a JSON file of a profile, or a
    /// factor such as `x1.25` for an engine that is 25 % slower
    #[arg(long, value_name = "PROFILE")]
    truth: Option<String>,
    /// Seed of the output lengths that requests leave open
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Broken on purpose, for drills: none, fail-fast, silent or never-ready; `PUT /fault/KIND` then changes it
    #[arg(long, value_name = "KIND")]
    fault: Option<Fault>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let Some((spec, settings)) = fleet.tier(&arguments.tier) else {
        let tiers: Vec<&str> = fleet.spec.tiers.iter().map(|it| it.name.as_str()).collect();
        return Err(Failure::usage(format!("there is no tier `{}`; there are {}", arguments.tier, tiers.join(", "))));
    };
    let options = Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)),
        model: settings.served_model.clone(),
        profile: truth(&spec.profile, arguments.truth.as_deref())?,
        start_up: spec.start_up.to_duration(),
        seed: arguments.seed,
        open_output: OPEN_OUTPUT,
        drain: Duration::from_secs(60),
        fault: arguments.fault,
    };
    let server = Server::bind(options).await.map_err(Failure::refused)?;
    output::note(format_args!("an emulated {} replica listens on http://{}", arguments.tier, server.address()));
    server.run(signals::ended()).await.map_err(Failure::internal)?;
    Ok(ExitCode::SUCCESS)
}

/// The declared profile, slowed by a factor, or another one from a file.
fn truth(declared: &Profile, truth: Option<&str>) -> Result<Profile, Failure> {
    let Some(truth) = truth else { return Ok(declared.clone()) };
    if let Some(factor) = truth.strip_prefix('x') {
        let factor: Option<f64> = factor.parse().ok().filter(|it: &f64| it.is_finite() && *it > 0.0);
        let factor = factor.ok_or_else(|| Failure::usage(format!("`{truth}` is no factor; write it like x1.25")))?;
        return Ok(declared.slowed(factor));
    }
    let text = std::fs::read_to_string(Path::new(truth)).map_err(|it| Failure::usage(format!("{truth}: {it}")))?;
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{truth}: {error}")))
}
