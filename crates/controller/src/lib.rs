//! The controller: it observes through ports, decides with the pure core, acts through ports, and writes down why.

pub mod ports;
