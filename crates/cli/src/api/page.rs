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
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

/// Everything from this very listener, nothing inline, no frame around it.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const ASSETS: &str = "/assets/";

#[derive(RustEmbed)]
#[folder = "page/"]
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
    Ok(tagged(content_type(path), &tag, file.data, headers))
}

/// The file, or that it has not changed since the browser got it under `tag`.
fn tagged(content_type: &'static str, tag: &str, data: Cow<'static, [u8]>, asked: &HeaderMap) -> Response<Body> {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let unchanged = known.flat_map(|value| value.split(',')).any(|it| it.trim().trim_start_matches("W/") == tag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type)], data).into_response()
    };
    let headers = response.headers_mut();
    // A new binary brings new files under the same names, so each use is checked against the tag.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(known: Option<&'static str>) -> Response<Body> {
        let mut headers = HeaderMap::new();
        headers.extend(known.map(|tag| (header::IF_NONE_MATCH, HeaderValue::from_static(tag))));
        tagged(content_type("app.js"), "\"5e\"", Cow::Borrowed(b"let x"), &headers)
    }

    #[test]
    fn a_file_is_sent_again_only_when_it_has_changed() {
        for known in [None, Some("\"5f\""), Some("5e")] {
            let response = asked(known);
            assert_eq!(response.status(), StatusCode::OK, "{known:?}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        }
        for known in ["\"5e\"", "W/\"5e\"", "\"5f\", \"5e\""] {
            let response = asked(Some(known));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[header::ETAG], "\"5e\"");
        }
    }

    #[test]
    fn a_type_is_told_by_the_ending_and_never_guessed() {
        assert_eq!(content_type("vendor/plot.min.css"), "text/css; charset=utf-8");
        assert_eq!(content_type("index.html"), "text/html; charset=utf-8");
        assert_eq!(content_type("LICENSE"), "application/octet-stream");
        assert_eq!(content_type("page.html.exe"), "application/octet-stream");
        assert_eq!(entity_tag(&[0x0a, 0xff]), "\"0aff\"");
    }
}
