//! The intent to start a replica. It is journalled before the launch and travels in the replica's environment, so that
//! any later controller knows its replicas again.

/// Environment variable with the fleet's name.
pub const FLEET: &str = "EVENKEEL_FLEET";
/// Environment variable with the tier's name.
pub const TIER: &str = "EVENKEEL_TIER";
/// Environment variable with the intent's uuid, which is also the replica's id.
pub const INTENT: &str = "EVENKEEL_INTENT";
/// Environment variable with the port that the replica was given.
pub const PORT: &str = "EVENKEEL_PORT";
/// Environment variable with the fleet's state directory: two fleets of one name on one machine differ by it.
pub const STATE_DIR: &str = "EVENKEEL_STATE_DIR";
/// Environment variable with the replica's index, the smallest that was free in its tier.
pub const INDEX: &str = "EVENKEEL_INDEX";
/// Environment variable with the GPU that the replica was given, where its tier lists GPUs.
pub const GPU: &str = "EVENKEEL_GPU";
