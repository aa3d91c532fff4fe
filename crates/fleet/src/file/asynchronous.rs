//! `asynchronous:`

use crate::model::AsynchronousSettings;
use crate::scalar::Whole;
use crate::section::Section;
use crate::unit::{Bytes, Duration};

pub(crate) fn read(queue: &mut Section<'_>) -> Option<AsynchronousSettings> {
    let max_queued = queue.or(
        "max_queued",
        "Requests waiting at most; more are refused with 429.",
        Whole { what: "requests", least: 1, most: 10_000_000 },
        "10000",
    );
    let lease = queue.or(
        "lease",
        "A request that is not answered within this long is handed out again.",
        Duration::POSITIVE,
        "300s",
    );
    let attempts = queue.or(
        "max_attempts",
        "Times a request is handed out before it counts as failed.",
        Whole { what: "attempts", least: 1, most: 100 },
        "3",
    );
    let ttl = queue.or("result_ttl", "An answer is kept this long.", Duration::POSITIVE, "1h");
    let size = queue.or("result_max", "A larger answer counts as failed.", Bytes, "1MiB");
    Some(AsynchronousSettings {
        max_queued: max_queued?,
        lease: lease?,
        max_attempts: attempts?,
        result_ttl: ttl?,
        result_max_bytes: size?,
    })
}
