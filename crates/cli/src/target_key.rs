//! The key of a server that asks for one.

use crate::failure::Failure;
use evenkeel_load::ApiKey;

/// Holds it. A flag would show it to everybody who lists processes.
const VARIABLE: &str = "EVENKEEL_TARGET_KEY";

/// The key, if there is one.
pub(crate) fn from_environment() -> Result<Option<ApiKey>, Failure> {
    let key = std::env::var(VARIABLE).ok().filter(|key| !key.is_empty());
    let no_key =
        || Failure::usage(format!("{VARIABLE} is no key: one is letters, digits and signs of ASCII, without blanks"));
    key.map(|key| ApiKey::new(&key).ok_or_else(no_key)).transpose()
}
