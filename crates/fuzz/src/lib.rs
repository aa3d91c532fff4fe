//! Everything that Evenkeel reads from outside, against mutated input: each [`Target`] takes any bytes and either returns
//! or panics, and a panic, a broken promise or a run without end is a finding.
//!
//! The driver is seeded and needs no special compiler: [`Campaign`] mutates a small corpus without looking at what the
//! program does with it, and gives the same inputs on every machine. A target has the form that libFuzzer drives, too.

mod campaign;
mod corpus;
mod mutate;
mod targets;

pub use campaign::{Campaign, Finding, Limit};
pub use corpus::corpus;
pub use mutate::Mutator;
pub use targets::{TARGETS, Target, named};
