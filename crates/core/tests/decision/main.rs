//! What the decision promises, told as timelines: a small world of replicas obeys every decision, and the independent
//! checker looks at each of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blind;
mod capacity_policy;
mod classic_policies;
mod cooldowns;
mod crash;
mod limits;
mod operator;
mod reload;
mod restart;
mod specs;
mod steps;
mod timeline;
mod windows;
