//! The scaling decision, and nothing else: no clock, no I/O, no randomness. Equal inputs give equal bits on every
//! platform.
//!
//! The way of the data: [`observe`] (what is) and [`spec`] (what was asked for) go through [`propose`] for each tier
//! (policies, then the guards of one tier) and [`arbitrate`] over the fleet (shared limits, victims, reason) to a
//! [`decision`]. [`check`] verifies the result and shares no code with the way there.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod arbitrate;
pub mod attainment;
pub mod autoscaler;
pub mod capacity;
pub mod check;
pub mod decision;
mod guard;
pub mod observe;
pub mod policy;
pub mod profile;
pub mod propose;
pub mod spec;
pub mod state;
pub mod units;
pub mod window;
