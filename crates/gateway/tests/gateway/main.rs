//! The gateway as a client, a replica and a controller meet it: everything goes over real sockets on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod asynchronous;
mod failures;
mod fixture;
mod holding;
mod measuring;
mod refusing;
mod reload;
mod replica;
mod routes;
mod routing;
mod stage;
mod streaming;
