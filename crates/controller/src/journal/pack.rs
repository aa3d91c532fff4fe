//! JSON in the journal is deflated: a tick's delta is mostly paths, and shrinks to a ninth.

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use std::io::{Read, Write};

/// Inflated, no row is larger: a whole copy of a fleet of a thousand tiers has a few megabytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// `text`, deflated.
pub(super) fn pack(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail; an empty row would show as damaged in a replay.
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// The text of a deflated row, or what is wrong with it.
pub(super) fn unpack(bytes: &[u8]) -> Result<String, String> {
    let mut text = String::new();
    DeflateDecoder::new(bytes).take(LARGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_what_is_damaged_is_told() {
        let text = "[[\"/tiers/0/observation\",1],[\"/tiers/1/observation\",2]]";
        let mut packed = pack(text);
        assert_eq!(unpack(&packed).as_deref(), Ok(text));
        packed.truncate(packed.len() / 2);
        assert!(unpack(&packed).is_err());
    }
}
