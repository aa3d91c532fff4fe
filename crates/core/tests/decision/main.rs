//! What the decision promises, told as timelines: a small world of replicas obeys every decision, and the independent
//! checker looks at each of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod arbitration;
mod blind;
mod broken_counts;
mod capacity_policy;
mod carried_rates;
mod classic_policies;
mod cooldowns;
mod crash;
mod journal_forms;
mod limits;
mod operator;
mod planted_faults;
mod properties;
mod readings;
mod reload;
mod repeatable;
mod restart;
mod specs;
mod steps;
mod timeline;
mod victims;
mod windows;
