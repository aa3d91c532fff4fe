//! What the tier has to serve: demand in replicas, and the requests that it is made of.
//!
//! Demand of a trace is measured by the lengths of its own requests, all other by those that the fleet file states.

use super::choices::ModelName;
use super::{Arguments, MOST_REPLICAS, warnings};
use crate::failure::Failure;
use evenkeel_core::capacity::Table;
use evenkeel_core::spec::{LatencyMetric, TierSpec};
use evenkeel_core::units::Span;
use evenkeel_fleet::model::TierSettings;
use evenkeel_sim::demand::{self, MeanCurve};
use evenkeel_sim::requests::{self, Drawn, Traffic, longest_request};
use evenkeel_workload::{PlayersSeries, RequestTrace, Scenario};
use std::path::Path;

/// A tier's load, slot by slot.
pub(super) struct Load {
    /// The tier as these requests are: by what demand is measured, and what serves it.
    pub(super) tier: TierSpec,
    /// The objective that not even an idle replica meets with them; demand then is what full batches carry.
    unachievable: Option<LatencyMetric>,
    /// In replicas.
    pub(super) demand: Vec<f64>,
    /// Requests a second.
    rates: Vec<f64>,
    /// The very requests, where a trace was given.
    trace: Option<RequestTrace>,
    /// Demand without its noise, where that was added.
    pub(super) mean: Option<MeanCurve>,
}

impl Load {
    pub(super) fn read(arguments: &Arguments, spec: &TierSpec, settings: &TierSettings) -> Result<Self, Failure> {
        let load = match &arguments.series.requests {
            Some(file) => of_trace(arguments, file, spec)?,
            None => of_series(arguments, spec, settings)?,
        };
        let peak = load.demand.iter().copied().fold(0.0, f64::max);
        if peak > f64::from(MOST_REPLICAS) {
            return Err(Failure::usage(format!(
                "demand comes to {peak:.0} replicas; at most {MOST_REPLICAS} are simulated: scale it down, for example with \
                 `--mean-replicas`"
            )));
        }
        Ok(load)
    }

    /// What whoever reads the figures has to know of this load; `spec` is the tier as the fleet file has it.
    pub(super) fn warnings(&self, spec: &TierSpec, model: ModelName) -> Vec<String> {
        let too_long = self.trace.as_ref().and_then(|trace| warnings::too_long(trace, spec));
        let unlike = (model == ModelName::Fluid).then(|| warnings::unlike(&self.tier, spec)).flatten();
        let unachievable = self.unachievable.map(|metric| warnings::unachievable(metric, spec));
        let too_much = warnings::above_the_maximum(&self.demand, spec);
        [unachievable, too_long, unlike, too_much].into_iter().flatten().collect()
    }

    pub(super) fn traffic(&self, arguments: &Arguments) -> Traffic<'_> {
        match &self.trace {
            Some(trace) => Traffic::traced(trace),
            None => Traffic::Drawn(Drawn::of(&self.tier, &self.rates, arguments.step, arguments.seed)),
        }
    }
}

/// What its replicas carry.
fn table(tier: &TierSpec) -> Table {
    Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum)
}

fn of_series(arguments: &Arguments, spec: &TierSpec, settings: &TierSettings) -> Result<Load, Failure> {
    let table = table(spec);
    let (tier, unachievable) = (spec.clone(), table.unachievable);
    let series = match (arguments.series.file(), arguments.series.scenario) {
        (Some(file), _) => PlayersSeries::open(file).map_err(|error| named(file, error))?,
        (None, scenario) => {
            let scenario = scenario.unwrap_or(Scenario::Day);
            scenario.players(arguments.peak, arguments.seed).map_err(Failure::usage)?
        }
    };
    let all = demand::slots(&series, arguments.step, arguments.noise, arguments.seed).map_err(Failure::usage)?;
    let (from, to) = arguments.part.within(arguments.step, all.len())?;
    let values = all[from..to].to_vec();
    let mean = demand::mean_curve(&series, arguments.step, arguments.noise).map_err(Failure::usage)?;
    let mean = mean.map(|mean| MeanCurve { values: mean.values[from..to].to_vec(), ..mean });
    if let Some(replicas) = arguments.mean_replicas {
        let factor = demand::factor_to(&values, replicas).map_err(Failure::usage)?;
        let scaled = |values: Vec<f64>| values.into_iter().map(|value| value * factor).collect::<Vec<f64>>();
        let mean = mean.map(|mean| MeanCurve { values: scaled(mean.values), ..mean });
        let demand = scaled(values);
        let rates = demand.iter().map(|&demand| table.rate(demand)).collect();
        return Ok(Load { tier, unachievable, demand, rates, trace: None, mean });
    }
    let each = arguments.series.rate_each(spec, settings);
    let rates = |values: Vec<f64>| values.into_iter().map(|value| value * each).collect::<Vec<f64>>();
    let mean = mean.map(|mean| MeanCurve { values: in_replicas(&rates(mean.values), &table), ..mean });
    let rates = rates(values);
    Ok(Load { tier, unachievable, demand: in_replicas(&rates, &table), rates, trace: None, mean })
}

/// The requests that came in each slot are its rate.
fn of_trace(arguments: &Arguments, file: &Path, spec: &TierSpec) -> Result<Load, Failure> {
    let trace = RequestTrace::open(file).map_err(|error| named(file, error))?;
    let slots = demand::slots_in(trace.duration(), arguments.step).map_err(Failure::usage)? as usize + 1;
    let (from, to) = arguments.part.within(arguments.step, slots)?;
    let begin = |slot: usize| Span::from_micros(arguments.step.as_micros() * slot as i64);
    let mut trace = trace.part(begin(from), begin(to)).map_err(|error| named(file, error))?;
    let tier = requests::as_traced(spec, &trace).ok_or_else(|| no_engine_takes(file, spec))?;
    let table = table(&tier);
    let mut rates = requests::rates(&tier, &trace, arguments.step, to - from);
    if let Some(mean) = arguments.mean_replicas {
        let factor = demand::factor_for(mean, &rates, &table);
        trace = trace.multiplied(factor, arguments.seed).map_err(|error| named(file, error))?;
        rates = requests::rates(&tier, &trace, arguments.step, to - from);
    }
    let (unachievable, demand) = (table.unachievable, in_replicas(&rates, &table));
    Ok(Load { tier, unachievable, demand, rates, trace: Some(trace), mean: None })
}

fn no_engine_takes(file: &Path, spec: &TierSpec) -> Failure {
    let (tier, longest) = (&spec.name, longest_request(&spec.profile));
    named(file, format!("an engine of `{tier}` takes {longest} tokens in a request, and every request is longer"))
}

fn named(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", file.display()))
}

fn in_replicas(rates: &[f64], table: &Table) -> Vec<f64> {
    rates.iter().map(|&rate| table.demand(rate)).collect()
}
