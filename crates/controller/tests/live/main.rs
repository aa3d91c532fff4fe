//! The live loop over a scripted backend and scripted sources, with a real journal, in virtual time: nothing here
//! depends on how fast the machine is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod clock;
mod damage;
mod journal;
mod loop_and_ports;
mod world;
