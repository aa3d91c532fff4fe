//! `evenkeel calibrate`: measures a real engine, writes the profile of a replica of it, and tells how far to trust it.

mod comparing;

use crate::failure::{CRITERION, Failure};
use crate::output::{self, Format};
use crate::result_file::ResultFile;
use crate::target_key;
use comparing::Verify;
use evenkeel_load::Target;
use evenkeel_load::calibrate::{self, Calibration, CalibrationError, Comparison, Engine, Fit, Settings};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The engine's address: any server that speaks OpenAI's chat completions over plain HTTP
    #[arg(value_name = "URL")]
    url: String,
    /// The model to ask for; needed where the engine serves several
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Tokens that the engine takes in one iteration (vLLM: --max-num-batched-tokens)
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_batched_tokens: u32,
    /// Sequences that the engine takes into a batch (vLLM: --max-num-seqs)
    #[arg(long, value_name = "SEQUENCES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_sequences: u32,
    /// Tokens that its KV cache holds [default: what the engine's metrics tell]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    kv_tokens: Option<u32>,
    /// Longest prompt and output together [default: what the engine's list of models tells]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_model_tokens: Option<u32>,
    /// Most requests that are sent at once
    #[arg(long, value_name = "REQUESTS", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    concurrency: u32,
    /// Longest prompt that is sent
    #[arg(long, value_name = "TOKENS", default_value_t = 8_192, value_parser = clap::value_parser!(u32).range(64..))]
    longest_prompt: u32,
    /// How often the whole sweep is done
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Seed of prompts, moments and loads [default: another one each time, as an engine may remember prompts]
    #[arg(long)]
    seed: Option<u64>,
    /// A request that takes longer has failed, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    /// Write the profile to this file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    verify: Verify,
}

/// What `-o json` prints.
#[derive(Serialize)]
struct Report<'a> {
    measured_at: &'a str,
    seed: u64,
    address: &'a str,
    engine: Option<&'a str>,
    model: &'a str,
    profile: &'a evenkeel_core::profile::Profile,
    fit: &'a Fit,
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'a Comparison>,
    observations: &'a [calibrate::Observation],
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let target = Target::parse(&arguments.url).map_err(Failure::usage)?;
    let address = target.to_string();
    let out = arguments.out.as_deref().map(|path| ResultFile::open("--out", path, &[])).transpose()?;
    let began = jiff::Timestamp::now();
    // What happens below a second is by chance, and still a number that can be typed again.
    let seed = arguments.seed.unwrap_or_else(|| began.as_microsecond().unsigned_abs() % 1_000_000_000);
    let mut engine = Engine::prepare(target, settings(&arguments, seed)?).await.map_err(failure)?;
    let (calibration, comparison) = measure(&mut engine, &arguments, seed).await.map_err(failure)?;
    let date = began.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let yaml = calibrate::yaml(&calibration, &date, &address);
    if let Some(out) = out {
        out.write(&yaml)?;
    }
    match format {
        Format::Json => output::json(&Report {
            measured_at: &date,
            seed,
            address: &address,
            engine: calibration.engine.as_deref(),
            model: &calibration.model,
            profile: &calibration.profile,
            fit: &calibration.fit,
            comparison: comparison.as_ref(),
            observations: &calibration.observations,
        })?,
        Format::Table => output::say(yaml.trim_end())?,
    }
    let Some(comparison) = comparison else { return Ok(ExitCode::SUCCESS) };
    if format == Format::Table {
        output::say(comparing::table(&comparison))?;
    }
    Ok(if comparison.holds() { ExitCode::SUCCESS } else { ExitCode::from(CRITERION) })
}

async fn measure(
    engine: &mut Engine,
    arguments: &Arguments,
    seed: u64,
) -> Result<(Calibration, Option<Comparison>), CalibrationError> {
    let told = &mut |what: &str| output::note(what);
    if let Some(comparing) = arguments.verify.comparing() {
        let (calibration, comparison) = calibrate::verify(engine, &comparing, seed, told).await?;
        return Ok((calibration, Some(comparison)));
    }
    let observations = engine.measure(told).await?;
    Ok((engine.calibration(observations)?, None))
}

fn settings(arguments: &Arguments, seed: u64) -> Result<Settings, Failure> {
    Ok(Settings {
        model: arguments.model.clone(),
        api_key: target_key::from_environment()?,
        max_batched_tokens: arguments.max_batched_tokens,
        max_sequences: arguments.max_sequences,
        kv_tokens: arguments.kv_tokens,
        max_model_tokens: arguments.max_model_tokens,
        top_concurrency: arguments.concurrency,
        longest_prompt: arguments.longest_prompt,
        rounds: arguments.rounds,
        seed,
        timeout: Duration::from_secs(arguments.timeout),
    })
}

/// What the user can mend on the command line is usage; the rest is the engine's.
fn failure(error: CalibrationError) -> Failure {
    match error {
        CalibrationError::NotServed { .. }
        | CalibrationError::WhichModel { .. }
        | CalibrationError::Untold(..)
        | CalibrationError::TooSmall(_) => Failure::usage(error),
        _ => Failure::refused(error),
    }
}
