//! The fleet file: one collecting reader, places, schema.

pub mod model;
