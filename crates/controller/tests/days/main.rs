//! The controller through days that chance made up: whatever the sources say, however the backend answers, and whoever
//! restarts, reloads, pauses or overrides, no order breaks an invariant, and the fleet converges once all is well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod day;
mod properties;
#[path = "../../../core/tests/decision/repeatable.rs"]
mod repeatable;
mod world;
