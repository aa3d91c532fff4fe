//! The local backend against real processes of this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adopting;
mod ending;
mod failing;
mod launching;
mod machine;
mod model;
mod withheld;
