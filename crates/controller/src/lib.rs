//! The controller: it observes through ports, decides with the pure core, acts through ports, and writes down why.

pub mod actuation;
pub mod attainment;
pub mod clock;
mod dispatch;
pub mod events;
pub mod explain;
mod failing;
pub mod gateway_view;
pub mod gather;
pub mod journal;
pub mod live;
pub mod operator;
pub mod ports;
pub mod routes;
pub mod step;
pub mod view;
