//! The invariants on running processes: controllers, gateways and replicas of this machine, killed and started again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "these tests have no runtime to block: they wait for processes")]

mod broken_file;
mod broken_replica;
mod client;
mod controller;
mod crowd;
mod cut;
mod damage;
mod demo;
mod disk;
mod drill;
mod faults;
mod gateway;
mod long_run;
mod secrets;
#[path = "../skipped/mod.rs"]
mod skipped;
mod slower;
mod source;
mod stalled;
mod stopping;
mod story;
mod taking_over;
mod world;
