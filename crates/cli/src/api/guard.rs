//! Before any handler: who is asked (Host), from where (Origin), and with which right (token). After it: headers that keep
//! answers out of caches and foreign pages.

use super::Shared;
use super::error::ApiError;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// The names under which the API may be asked. A page of a foreign site can make its own name point at loopback (DNS
/// rebinding), but it cannot make the browser send another name than its own.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    port: u16,
    allowed: Vec<String>,
}

impl Hosts {
    /// Addresses and `localhost` with the listener's `port`; each of `allowed` with that port, or with its own where it
    /// is written `name:port`, as behind a proxy.
    pub(crate) const fn new(port: u16, allowed: Vec<String>) -> Self {
        Self { port, allowed }
    }

    fn permit(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if host.contains('@') {
            return false;
        }
        let (name, port) = (authority.host(), authority.port_u16());
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let ours = port.unwrap_or(80) == self.port;
        let itself = literal.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost");
        ours && itself || self.allowed.iter().any(|allowed| self.lists(allowed, name, port))
    }

    fn lists(&self, allowed: &str, name: &str, port: Option<u16>) -> bool {
        match allowed.rsplit_once(':').map(|(known, number)| (known, number.parse::<u16>())) {
            // A browser leaves out the port that its scheme has anyway.
            Some((known, Ok(number))) => {
                known.eq_ignore_ascii_case(name) && port.map_or(number == 80 || number == 443, |port| port == number)
            }
            _ => allowed.eq_ignore_ascii_case(name) && port.unwrap_or(80) == self.port,
        }
    }

    /// Checks Host and Origin of a request.
    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = only(headers, header::HOST)?
            .ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "host_missing", "the request has no Host header"))?;
        let elsewhere = uri.authority().is_some_and(|it| !it.as_str().eq_ignore_ascii_case(host));
        if elsewhere || !self.permit(host) {
            let message = "this Host is not served here: use an address or localhost with the controller's port, or allow the name when starting the controller";
            return Err(ApiError::new(StatusCode::FORBIDDEN, "host_not_allowed", message));
        }
        match only(headers, header::ORIGIN)? {
            Some(origin) if !same_host(origin, host) => {
                let message = "pages of other sites may not ask this controller";
                Err(ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", message))
            }
            _ => Ok(()),
        }
    }
}

fn same_host(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// The header's one value; two, or one that is no text, could be read differently by whoever stands between.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(&name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(HeaderValue::to_str), second) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => {
            let message = format!("the request's {name} header is repeated or malformed");
            Err(ApiError::new(StatusCode::BAD_REQUEST, "header_malformed", message))
        }
    }
}

/// Whether the request carries the token.
fn entitled(shared: &Shared, headers: &HeaderMap) -> Result<(), ApiError> {
    let offered = only(headers, header::AUTHORIZATION)?.and_then(|value| value.split_once(' '));
    match offered {
        Some((scheme, token))
            if scheme.eq_ignore_ascii_case("bearer") && shared.token.matches(token.trim().as_bytes()) =>
        {
            Ok(())
        }
        _ => {
            let message = "a change needs `Authorization: Bearer TOKEN` with the controller's token";
            Err(ApiError::new(StatusCode::UNAUTHORIZED, "token_needed", message))
        }
    }
}

/// Refuses what may not pass. Whatever is not a mere reading needs the token, so no later route can forget it.
pub(crate) async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let permitted = shared
        .hosts
        .check(request.uri(), request.headers())
        .and_then(|()| if reads { Ok(()) } else { entitled(&shared, request.headers()) });
    let page = super::page::is_page(request.uri().path());
    let mut response = match permitted {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    protect(response.headers_mut(), page);
    response
}

fn protect(headers: &mut HeaderMap, page: bool) {
    if !page {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(super::page::CONTENT_SECURITY_POLICY));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_pass_with_the_port_and_other_names_only_when_listed() {
        let hosts = Hosts::new(7070, vec!["fleet.internal".to_owned(), "fleet.example:443".to_owned()]);
        for good in [
            "127.0.0.1:7070",
            "[::1]:7070",
            "LocalHost:7070",
            "10.1.2.3:7070",
            "fleet.internal:7070",
            "Fleet.Example",
            "fleet.example:443",
        ] {
            assert!(hosts.permit(good), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1",
            "127.0.0.1:7071",
            "localhost",
            "evil.example:7070",
            "localhost.evil.example:7070",
            "fleet.internal",
            "fleet.example:7070",
            "user@127.0.0.1:7070",
            "127.0.0.1:7070/x",
            "::1:7070",
        ] {
            assert!(!hosts.permit(bad), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_the_same_host_to_the_letter_of_its_port() {
        assert!(same_host("http://127.0.0.1:7070", "127.0.0.1:7070"));
        assert!(same_host("https://Fleet.Example", "fleet.example"));
        for foreign in ["null", "http://127.0.0.1:7071", "http://evil.example:7070", "file://127.0.0.1:7070", ""] {
            assert!(!same_host(foreign, "127.0.0.1:7070"), "{foreign}");
        }
    }
}
