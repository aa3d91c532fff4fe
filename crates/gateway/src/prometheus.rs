//! The gateway's own metrics in the Prometheus text format. Everything comes from the report, so the two never differ.

use crate::answer::{Answer, with_body};
use crate::tier::Tier;
use evenkeel_wire::report::{GatewayReport, Histogram, TierReport};
use http::StatusCode;
use std::fmt::{self, Write};
use std::sync::Arc;

/// One counter or gauge of a tier: name, kind, help, value.
type Series = (&'static str, &'static str, &'static str, fn(&TierReport) -> f64);

const SERIES: [Series; 11] = [
    ("requests_offered_total", "counter", "Requests that arrived.", |tier| tier.offered as f64),
    ("offered_prompt_tokens_total", "counter", "Prompt tokens of those, estimated.", |tier| {
        tier.offered_prompt_tokens as f64
    }),
    ("requests_succeeded_total", "counter", "Requests that ended well.", |tier| tier.succeeded as f64),
    ("requests_failed_total", "counter", "Requests that ended badly.", |tier| tier.failed as f64),
    ("requests_cancelled_total", "counter", "Requests whose client left.", |tier| tier.cancelled as f64),
    ("requests_retried_total", "counter", "Requests tried again.", |tier| tier.retried as f64),
    ("prompt_tokens_total", "counter", "Prompt tokens of requests that ended well.", |tier| tier.prompt_tokens as f64),
    ("output_tokens_total", "counter", "Output tokens of requests that ended well.", |tier| tier.output_tokens as f64),
    ("requests_queued", "gauge", "Requests waiting for a replica.", |tier| tier.queued as f64),
    ("oldest_queued_seconds", "gauge", "Age of the oldest of them.", |tier| tier.oldest_queued_us.as_secs_f64()),
    ("requests_in_flight", "gauge", "Requests inside replicas.", |tier| tier.in_flight as f64),
];

/// The answer to `GET /metrics`.
pub(crate) fn answer(report: &GatewayReport, tiers: &[Arc<Tier>], file_in_force: bool, body_bytes: u64) -> Answer {
    let mut text = String::with_capacity(64 * 1024);
    // Writing to a string cannot fail.
    let _ = write_all(&mut text, report, tiers)
        .and_then(|()| write_file(&mut text, file_in_force))
        .and_then(|()| write_bodies(&mut text, body_bytes));
    with_body(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into())
}

fn write_all(out: &mut String, report: &GatewayReport, tiers: &[Arc<Tier>]) -> fmt::Result {
    for (name, kind, help, value) in SERIES {
        write_head(out, name, kind, help)?;
        for tier in &report.tiers {
            writeln!(out, "evenkeel_gateway_{name}{{tier=\"{}\"}} {}", tier.tier, value(tier))?;
        }
    }
    write_standing(out, report, tiers)?;
    write_latency(out, report)
}

/// What the report leaves to the queue.
fn write_standing(out: &mut String, report: &GatewayReport, tiers: &[Arc<Tier>]) -> fmt::Result {
    let serving = "Replicas that take work and can be reached.";
    write_head(out, "replicas_serving", "gauge", serving)?;
    for tier in tiers {
        writeln!(out, "evenkeel_gateway_replicas_serving{{tier=\"{}\"}} {}", tier.name, tier.serving())?;
    }
    write_head(out, "replicas_ejected", "gauge", "Replicas that get no work for a while because they failed.")?;
    for tier in tiers {
        writeln!(out, "evenkeel_gateway_replicas_ejected{{tier=\"{}\"}} {}", tier.name, tier.ejected())?;
    }
    write_head(out, "client_errors_total", "counter", "Requests that a replica refused for the client's fault.")?;
    for tier in tiers {
        let count = tier.tally.client_errors.get();
        writeln!(out, "evenkeel_gateway_client_errors_total{{tier=\"{}\"}} {count}", tier.name)?;
    }
    let Some(applied) = report.applied else { return Ok(()) };
    write_head(out, "route_table_epoch", "gauge", "The controller's epoch in the route table in force.")?;
    writeln!(out, "evenkeel_gateway_route_table_epoch {}", applied.epoch)?;
    write_head(out, "route_table_number", "gauge", "The route table in force, within its epoch.")?;
    writeln!(out, "evenkeel_gateway_route_table_number {}", applied.number)
}

fn write_file(out: &mut String, in_force: bool) -> fmt::Result {
    let help = "1 while all of the fleet file is in force; 0 where it is unsound or waits for a restart.";
    write_head(out, "fleet_file_in_force", "gauge", help)?;
    writeln!(out, "evenkeel_gateway_fleet_file_in_force {}", u8::from(in_force))
}

fn write_bodies(out: &mut String, held: u64) -> fmt::Result {
    write_head(out, "request_body_bytes", "gauge", "Bytes of request bodies held until their answers begin.")?;
    writeln!(out, "evenkeel_gateway_request_body_bytes {held}")
}

fn write_latency(out: &mut String, report: &GatewayReport) -> fmt::Result {
    let metrics = report.tiers.first().map_or(0, |tier| tier.latency.len());
    for position in 0..metrics {
        for (tier, histogram) in report.tiers.iter().filter_map(|tier| Some((tier, tier.latency.get(position)?))) {
            if std::ptr::eq(tier, &report.tiers[0]) {
                let name = format!("{}_seconds", histogram.metric.name());
                write_head(out, &name, "histogram", "Latency as measured at the gateway.")?;
            }
            write_histogram(out, &tier.tier, histogram)?;
        }
    }
    Ok(())
}

fn write_histogram(out: &mut String, tier: &str, histogram: &Histogram) -> fmt::Result {
    let name = format!("evenkeel_gateway_{}_seconds", histogram.metric.name());
    let mut cumulative = 0;
    let mut counts = histogram.counts.iter();
    for (edge, count) in histogram.edges_us.iter().zip(counts.by_ref()) {
        cumulative += count;
        writeln!(out, "{name}_bucket{{tier=\"{tier}\",le=\"{}\"}} {cumulative}", edge.as_secs_f64())?;
    }
    cumulative += counts.sum::<u64>();
    writeln!(out, "{name}_bucket{{tier=\"{tier}\",le=\"+Inf\"}} {cumulative}")?;
    writeln!(out, "{name}_sum{{tier=\"{tier}\"}} {}", histogram.sum_us.as_secs_f64())?;
    writeln!(out, "{name}_count{{tier=\"{tier}\"}} {cumulative}")
}

fn write_head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP evenkeel_gateway_{name} {help}")?;
    writeln!(out, "# TYPE evenkeel_gateway_{name} {kind}")
}
