//! Every adapter against real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod double;
mod engines;
mod gateway;
mod players;
mod webhook;
