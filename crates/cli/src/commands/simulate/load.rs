//! What the tier has to serve: demand in replicas, and the requests that it is made of.

use super::Arguments;
use crate::failure::Failure;
use evenkeel_core::capacity::Table;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::TierSettings;
use evenkeel_sim::demand::{self, MeanCurve};
use evenkeel_sim::requests::{Drawn, Traffic};
use evenkeel_workload::{PlayersSeries, RequestTrace, Scenario};
use std::path::Path;

/// A tier's load, slot by slot.
pub(super) struct Load {
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
        let table = Table::solve(&spec.profile, &spec.requests, &spec.slo.objectives, spec.maximum);
        match &arguments.series.requests {
            Some(file) => of_trace(arguments, file, &table),
            None => of_series(arguments, spec, settings, &table),
        }
    }

    pub(super) fn traffic(&self, arguments: &Arguments, spec: &TierSpec) -> Traffic<'_> {
        match &self.trace {
            Some(trace) => Traffic::traced(trace),
            None => Traffic::Drawn(Drawn::of(spec, &self.rates, arguments.step, arguments.seed)),
        }
    }
}

fn of_series(arguments: &Arguments, spec: &TierSpec, settings: &TierSettings, table: &Table) -> Result<Load, Failure> {
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
        return Ok(Load { demand, rates, trace: None, mean });
    }
    let each = arguments.series.rate_each(spec, settings);
    let rates = |values: Vec<f64>| values.into_iter().map(|value| value * each).collect::<Vec<f64>>();
    let mean = mean.map(|mean| MeanCurve { values: in_replicas(&rates(mean.values), table), ..mean });
    let rates = rates(values);
    Ok(Load { demand: in_replicas(&rates, table), rates, trace: None, mean })
}

/// The requests that came in each slot are its rate.
fn of_trace(arguments: &Arguments, file: &Path, table: &Table) -> Result<Load, Failure> {
    let trace = RequestTrace::open(file).map_err(|error| named(file, error))?;
    let slots = demand::slots_in(trace.duration(), arguments.step).map_err(Failure::usage)? as usize + 1;
    let (from, to) = arguments.part.within(arguments.step, slots)?;
    let begin = |slot: usize| Span::from_micros(arguments.step.as_micros() * slot as i64);
    let mut trace = trace.part(begin(from), begin(to)).map_err(|error| named(file, error))?;
    let mut rates = demand::rates(&trace, arguments.step, to - from);
    if let Some(mean) = arguments.mean_replicas {
        let factor = demand::factor_for(mean, &rates, table);
        trace = trace.multiplied(factor, arguments.seed).map_err(|error| named(file, error))?;
        rates = demand::rates(&trace, arguments.step, to - from);
    }
    Ok(Load { demand: in_replicas(&rates, table), rates, trace: Some(trace), mean: None })
}

fn named(file: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", file.display()))
}

fn in_replicas(rates: &[f64], table: &Table) -> Vec<f64> {
    rates.iter().map(|&rate| table.demand(rate)).collect()
}
