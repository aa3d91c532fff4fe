//! One replica's continuous batching ([`replica`]) and the tier queue before the replicas ([`queue`]), as state
//! machines: time enters as an argument, `next_event()` says when to look again, and equal calls give equal answers.
//! The emulated replica, the gateway and the simulator drive the same two machines.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod queue;
pub mod replica;
pub mod sequence;
pub mod tournament;
