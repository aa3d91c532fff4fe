//! Where the requests go.

use crate::plan::ApiKey;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request, Uri, request};
use thiserror::Error;

/// The address of a gateway, or of any server that speaks OpenAI's protocol over plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host and port as the `Host` header has them.
    authority: String,
    /// Host and port to connect to.
    address: String,
    /// Path before `/v1`, without a slash at its end.
    prefix: String,
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It is no address at all.
    #[error("`{0}` is not an address; expected something like http://127.0.0.1:8080")]
    Invalid(String),
    /// It is not plain HTTP.
    #[error("`{0}` is not a plain http:// address; put a proxy that ends TLS on this machine in front of it")]
    NotHttp(String),
    /// It holds a name or a password, which is not told again.
    #[error(
        "the address holds a user or a password, which would stand in logs; name the server alone, and give its key by the environment or a file"
    )]
    Credentials,
    /// It has a query, which would be lost, and may hold a key.
    #[error("the address has a query (`?...`), which is not sent on: name the server and the path before `/v1` alone")]
    Query,
}

impl Target {
    /// Understands `http://host[:port][/prefix]`; a `/v1` at the end is taken off.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let invalid = || TargetError::Invalid(text.to_owned());
        let authority = text.split_once("://").map_or(text, |(_, rest)| rest).split(['/', '?', '#']).next();
        if authority.is_some_and(|authority| authority.contains('@')) {
            return Err(TargetError::Credentials);
        }
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        if uri.scheme_str() != Some("http") {
            return Err(if uri.scheme().is_some() { TargetError::NotHttp(text.to_owned()) } else { invalid() });
        }
        if uri.query().is_some() {
            return Err(TargetError::Query);
        }
        let authority = uri.authority().ok_or_else(invalid)?;
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let path = uri.path().trim_end_matches('/');
        let prefix = path.strip_suffix("/v1").unwrap_or(path).to_owned();
        Ok(Self { authority: authority.as_str().to_owned(), address, prefix })
    }

    /// The head of a request to an endpoint, with the key where there is one.
    pub(crate) fn request(&self, method: Method, endpoint: &str, api_key: Option<&ApiKey>) -> request::Builder {
        let request = Request::builder().method(method).uri(self.path(endpoint)).header(HOST, &self.authority);
        match api_key {
            Some(key) => request.header(AUTHORIZATION, key.header()),
            None => request,
        }
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The path of an endpoint such as `/v1/chat/completions`.
    pub(crate) fn path(&self, endpoint: &str) -> String {
        format!("{}{endpoint}", self.prefix)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_and_without_its_api_version_means_the_same() {
        let plain = Target::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(Target::parse("http://127.0.0.1:8080/v1/").unwrap(), plain);
        assert_eq!(plain.path("/v1/chat/completions"), "/v1/chat/completions");
        assert_eq!(plain.address(), "127.0.0.1:8080");
        assert_eq!(plain.to_string(), "http://127.0.0.1:8080");
        let deep = Target::parse("http://[::1]/models/v1").unwrap();
        assert_eq!((deep.address(), deep.path("/v1/x").as_str()), ("[::1]:80", "/models/v1/x"));
    }

    #[test]
    fn other_addresses_are_refused_with_the_way_out() {
        let refused = |text| Target::parse(text).unwrap_err().to_string();
        assert!(refused("https://api.example.com").contains("ends TLS"));
        assert!(refused("http://127.0.0.1/v1?key=secret").starts_with("the address has a query"));
        for text in ["127.0.0.1:8080", "/v1", ""] {
            assert!(refused(text).contains("is not an address"), "{text}");
        }
        for text in
            ["http://user:secret@127.0.0.1", "https://user:secret@x", "user:secret@127.0.0.1:80", "http://a b:secret@h"]
        {
            let said = refused(text);
            assert!(said.contains("a user or a password") && !said.contains("secret"), "{text}: {said}");
        }
    }
}
