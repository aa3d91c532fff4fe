//! The data plane: one queue per tier, hold, retry, drain, measure.
