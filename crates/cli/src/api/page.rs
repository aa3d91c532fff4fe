//! The page: files built into the binary. It loads nothing from elsewhere, and the browser is told to refuse what would.

use super::Shared;
use super::error::ApiError;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use rust_embed::RustEmbed;
use std::fmt::Write as _;
use std::sync::Arc;

/// Everything from this very listener, nothing inline, no frame around it.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const ASSETS: &str = "/assets/";

#[derive(RustEmbed)]
#[folder = "page/"]
#[allow_missing = true]
struct Files;

/// The page's own routes; they are no part of the API's document.
pub(super) fn add_to(router: Router<Arc<Shared>>) -> Router<Arc<Shared>> {
    router.route("/", get(index)).route("/assets/{*path}", get(asset))
}

/// Whether a path belongs to the page, which may be cached with a check; the API's answers may not.
pub(super) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with(ASSETS)
}

async fn index(headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    file("index.html", &headers)
}

async fn asset(path: Result<Path<String>, PathRejection>, headers: HeaderMap) -> Result<Response<Body>, ApiError> {
    let Path(path) = path.map_err(|error| ApiError::mistakes(&[error.body_text()]))?;
    file(&path, &headers)
}

fn file(path: &str, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    let missing = || ApiError::new(StatusCode::NOT_FOUND, "no_such_file", "the page has no such file");
    let file = Files::get(path).ok_or_else(missing)?;
    let tag = entity_tag(&file.metadata.sha256_hash());
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged = known.flat_map(|value| value.split(',')).any(|it| it.trim().trim_start_matches("W/") == tag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type(path))], file.data).into_response()
    };
    let headers = response.headers_mut();
    // A new binary brings new files under the same names, so each use is checked against the tag.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

fn entity_tag(hash: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in hash.iter().take(16) {
        // Writing into a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// By the name's ending. What is not known is a download, never a guess.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("json" | "map") => "application/json",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
