//! The invariants on running processes: controllers, gateways and replicas of this machine, killed and started again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod controller;
mod demo;
mod faults;
mod slower;
mod world;
