//! Open-loop traffic over HTTP: every request is sent at its scheduled time whatever became of those before it, its
//! latency counts from that time, and the machine's own lag is measured beside it, so that a slow service is never
//! mistaken for a slow load generator, nor the other way round.

pub mod calibrate;
mod connections;
pub mod cost;
mod deferred;
mod failure;
mod fleet_point;
mod judge;
mod measured;
mod pacer;
mod plan;
pub mod probe;
pub mod progress;
mod prompt;
mod record;
mod remarks;
pub mod render;
pub mod report;
mod run;
mod said;
pub mod scaling;
mod slices;
mod streaming;
pub mod summary;
mod tally;
mod target;
pub mod threshold;
mod ticket;
mod token_stream;
pub mod waiting;

pub use failure::{Failed, Failure};
pub use plan::{ApiKey, Options, Plan, PlanError, TierPlan, Traffic, longest_of};
pub use probe::{FleetProbe, TierSample};
pub use run::run;
pub use summary::Summary;
pub use target::{Target, TargetError};
