//! The invariants on running processes: controllers, gateways and replicas of this machine, killed and started again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "these tests have no runtime to block: they wait for processes")]

mod broken_file;
mod controller;
mod cut;
mod damage;
mod demo;
mod faults;
mod gateway;
mod secrets;
mod slower;
mod stalled;
mod stopping;
mod taking_over;
mod world;
