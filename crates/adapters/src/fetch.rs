//! GET with a deadline and a size limit, and every failure as a cause that a reading can carry.

use evenkeel_controller::ports::SourceError;
use evenkeel_core::observe::Cause;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response, Url};
use std::fmt;
use std::time::Duration;

/// Why an adapter could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The address is none.
    #[error("`{address}` is not an http:// or https:// address")]
    Address {
        /// What was given, without what may be secret in it.
        address: String,
    },
    /// The webhook's token cannot stand in an HTTP header.
    #[error("the webhook's token holds a line break or another character that no HTTP header can hold")]
    Token,
    /// The HTTP client could not be built; for https this machine's certificate store must be readable.
    #[error("no HTTP client: {0}")]
    Client(String),
}

/// Which certificates are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Plain HTTP only, so that a machine without certificates can run a fleet on loopback.
    Nothing,
    /// Those of this machine.
    System,
}

impl Trust {
    /// What an address needs.
    pub(crate) fn needed_by(address: &Address) -> Self {
        if address.0.scheme() == "https" { Self::System } else { Self::Nothing }
    }
}

/// An address that may be asked. It is shown, and debugged, without user, password and query, which may be secret.
#[derive(Clone)]
pub(crate) struct Address(Url);

impl Address {
    /// Reads one.
    pub(crate) fn read(text: &str) -> Result<Self, SetupError> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let harmless = |text: &str| text.split('?').next().and_then(|text| text.rsplit('@').next()).map(str::to_owned);
        url.map(Self).ok_or_else(|| SetupError::Address { address: harmless(text).unwrap_or_default() })
    }

    /// As requests need it.
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        write!(f, "{}://{host}{port}{}", self.0.scheme(), self.0.path())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A client that follows no redirect and no proxy from the environment: what is configured is what is asked.
pub(crate) fn client(trust: Trust, timeout: Duration) -> Result<Client, SetupError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only when another thread was faster, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let builder = ClientBuilder::new().no_proxy().redirect(Policy::none()).timeout(timeout);
    let builder = if trust == Trust::Nothing { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| SetupError::Client(error.to_string()))
}

/// A client for plain HTTP, for whoever asks a process of this machine.
///
/// # Errors
/// When no client can be built.
pub fn plain_http_client(timeout: Duration) -> Result<Client, SetupError> {
    client(Trust::Nothing, timeout)
}

/// The body of a 2xx answer, of at most `limit` bytes.
pub(crate) async fn get(client: &Client, address: &Address, limit: usize) -> Result<Vec<u8>, SourceError> {
    let response = client.get(address.url()).send().await.map_err(|error| failure(address, &error))?;
    let status = response.status();
    if !status.is_success() {
        return Err(SourceError { cause: Cause::Refused, detail: format!("{address} answered {status}") });
    }
    body(response, address, limit).await
}

async fn body(mut response: Response, address: &Address, limit: usize) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(address, &error))? {
        if bytes.len() + chunk.len() > limit {
            let detail = format!("{address} answered more than {limit} bytes");
            return Err(SourceError { cause: Cause::Malformed, detail });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// What went wrong with a request, in words that repeat no secret of the address.
pub(crate) fn failure(address: &Address, error: &reqwest::Error) -> SourceError {
    // reqwest's own words repeat the whole address; its innermost cause does not.
    let reason = innermost(error);
    if error.is_timeout() {
        SourceError { cause: Cause::TimedOut, detail: format!("{address} did not answer in time") }
    } else {
        SourceError { cause: Cause::Unreachable, detail: format!("{address} could not be asked: {reason}") }
    }
}

fn innermost(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut words = "the connection failed".to_owned();
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let address = Address::read("http://user:secret@127.0.0.1:9000/players?token=secret").unwrap();
        assert_eq!(format!("{address} {address:?}"), "http://127.0.0.1:9000/players http://127.0.0.1:9000/players");
        for wrong in ["ftp://host/x?token=secret", "user:secret@host/x", "ftp://user:secret@host/x?a=secret"] {
            let error = Address::read(wrong).unwrap_err().to_string();
            assert!(error.contains("host/x") && !error.contains("secret"), "{error}");
        }
    }
}
