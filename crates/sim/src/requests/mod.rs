//! A fleet of one tier request by request: each through the gateway's queue and a replica's engine, the very state
//! machines that run live.
//!
//! **One total order of events**: by time, then by kind, then by the number of whom it concerns.
//! An engine's iterations end before anything else of the same instant sees them; the autoscaler looks last.
//!
//! In the middle of each step nothing is decided: the autoscaler sees what was until the step's beginning, as in
//! [`crate::fluid`], and its count is staffed by the same rules: what starts goes first, then the least loaded, which
//! finish their work. The [cloud](crate::cloud) is the same too; a replica that it takes away with requests inside gives
//! them back to the queue.

mod alone;
mod fleet;
mod latencies;
mod longest;
mod served;
mod traced;
mod traffic;
mod world;

pub use alone::{AloneError, alone};
pub use latencies::Distributions;
pub use longest::longest_request;
pub use served::{RequestCounts, Served};
pub use traced::{as_traced, rates, refused};
pub use traffic::{Drawn, Traffic};
pub use world::{Gateway, Outcome, run, run_on};
