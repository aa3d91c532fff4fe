//! The data plane: clients' requests go through one queue per tier to replicas, and come back as the replicas answer.
//!
//! The way of a request: `client` reads it, `request` finds its tier, `tier` queues it and names a replica, `forward`
//! carries it there over `upstream`, `relay` brings the answer back, `measure` reads latencies off it. Which replicas
//! there are comes from the controller by `routes`. A tier that answers later is served by `asynchronous`. Whatever the
//! gateway turns away itself is a `refusal`.
//!
//! Modules know each other one way: `refusal`, `measure`, `request` and `upstream` know no tier; `tier`, `relay`,
//! `answer`, `forward`, `asynchronous`, `in_force`, `gateway`, `client`, `reload`, `workers`, `server` each know only
//! those before.
//!
//! [`serve`] runs it all. What it has seen is at `GET /gateway/report` and `/metrics`.

mod answer;
mod asynchronous;
mod client;
mod clock;
mod error;
mod forward;
mod framing;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gateway;
mod in_force;
mod measure;
mod prometheus;
mod refusal;
mod relay;
mod reload;
mod request;
mod routes;
mod server;
mod state;
mod tier;
mod upstream;
mod workers;

pub use asynchronous::StoreError;
pub use error::GatewayError;
pub use server::{Bound, Options, bind, serve};
pub use state::StateError;
