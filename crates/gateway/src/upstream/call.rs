//! What a server is asked.

use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

/// What is asked of a server, but for the body.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: PathAndQuery,
    /// The headers, without host and length.
    pub(crate) headers: HeaderMap,
}
