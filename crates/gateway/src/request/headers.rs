//! Which headers pass the gateway. Those of one connection stay on it (RFC 9110, section 7.6.1); all others are the
//! client's and the replica's business, and none is ever logged.

use super::destination::TIER_HEADER;
use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

/// Headers that belong to one connection.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A client's headers as a replica gets them. Host and length are set anew for each attempt, and a wish for an interim
/// answer (`Expect`) has been granted by then.
pub(crate) fn forwarded_request_headers(mut headers: HeaderMap) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    for name in [HOST, CONTENT_LENGTH, EXPECT, HeaderName::from_static(TIER_HEADER)] {
        headers.remove(name);
    }
    headers
}

/// A replica's headers as a client gets them; the length stays, since the body is passed on byte by byte.
pub(crate) fn forwarded_response_headers(mut headers: HeaderMap) -> HeaderMap {
    remove_hop_by_hop(&mut headers);
    headers
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        remove_named_by_connection(headers);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// `Connection` may declare further headers to be of this connection only.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    let values: Vec<_> = headers.get_all(CONNECTION).iter().cloned().collect();
    let listed = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    for name in listed.filter_map(|name| HeaderName::try_from(name.trim()).ok()) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;

    #[test]
    fn headers_of_one_connection_stay_on_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "elsewhere"),
            ("content-length", "3"),
            ("x-evenkeel-tier", "gold"),
            ("authorization", "Bearer of-the-client"),
            ("x-request-id", "7"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let passed = forwarded_request_headers(headers);
        let mut names: Vec<_> = passed.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["authorization", "x-request-id"]);
    }
}
