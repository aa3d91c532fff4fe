//! The scaling decision, and nothing else.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod decision;
pub mod observe;
pub mod profile;
pub mod spec;
pub mod units;
