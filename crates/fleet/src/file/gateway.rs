//! `gateway:`

use crate::file::words;
use crate::model::GatewaySettings;
use crate::scalar::Whole;
use crate::section::{Object, Section};
use crate::unit::{Bytes, Duration};
use evenkeel_core::units::Span;

pub(crate) fn read(gateway: &mut Section<'_>) -> Option<GatewaySettings> {
    let listen = gateway.or("listen", "Where requests arrive.", words::Address, "127.0.0.1:8080");
    let max_body = gateway.or("max_body", "Larger request bodies are refused with 413.", Bytes, "8MiB");
    let hold = gateway.or_empty("hold", "How requests wait for a replica.", Object(hold));
    let first_byte = gateway.or(
        "first_byte",
        "A replica that has not begun a streamed answer after this long, nor sent a piece of any other, is given up for another one.",
        Duration::POSITIVE,
        "60s",
    );
    let (requests, time) = hold?;
    Some(GatewaySettings {
        listen: listen?,
        max_body_bytes: max_body?,
        max_held: requests,
        hold: time,
        first_byte: first_byte?,
    })
}

fn hold(hold: &mut Section<'_>) -> Option<(u32, Span)> {
    let requests = hold.or(
        "requests",
        "Requests waiting in one tier's queue at most; more are refused with 503.",
        Whole { what: "requests", least: 1, most: 1_000_000 },
        "1000",
    );
    let time = hold.or("time", "A request waits this long at most, then 503.", Duration::POSITIVE, "60s");
    Some((requests?, time?))
}
