//! Players, arrivals and request traces, from files or seeded generators.
