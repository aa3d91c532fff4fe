//! Which paths the gateway answers itself, and which methods a path takes.

use super::destination::split_path;
use crate::refusal::Refusal;
use http::Method;

/// Where an asynchronous request's answer is fetched, followed by its id.
pub(crate) const RESULTS: &str = "/v1/async/";

/// OpenAI's endpoints that only take POST. Others under `/v1/` are the engine's business.
const ONLY_POST: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/rerank",
    "/v1/score",
    "/v1/moderations",
];

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint<'a> {
    /// Whether the process lives.
    Health,
    /// Whether it can serve.
    Readiness,
    /// What the controller reads.
    Report,
    /// What Prometheus reads.
    Metrics,
    /// The list of models.
    Models,
    /// The answer to the asynchronous request of this id.
    Result(&'a str),
    /// A tier's.
    Inference,
}

impl<'a> Endpoint<'a> {
    /// What a request with `method` to `path` means.
    ///
    /// # Errors
    /// 405 where the path takes other methods.
    pub(crate) fn of(method: &Method, path: &'a str) -> Result<Self, Refusal> {
        let below = split_path(path).1;
        let own = match path {
            "/healthz" => Self::Health,
            "/readyz" => Self::Readiness,
            "/gateway/report" => Self::Report,
            "/metrics" => Self::Metrics,
            _ if below == "/v1/models" => Self::Models,
            _ => match path.strip_prefix(RESULTS) {
                Some(id) => Self::Result(id),
                None => Self::Inference,
            },
        };
        let allowed = match own {
            Self::Inference if ONLY_POST.contains(&below) => "POST",
            Self::Inference => return Ok(own),
            _ => "GET, HEAD",
        };
        if allowed.split(", ").any(|allowed| allowed == method.as_str()) {
            return Ok(own);
        }
        Err(Refusal::wrong_method(allowed, format!("{path} does not take {method}, only {allowed}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_path_means_the_same_for_every_method_it_takes_and_tells_those_it_takes() {
        for (path, endpoint, allowed) in [
            ("/healthz", Endpoint::Health, "GET, HEAD"),
            ("/v1/models", Endpoint::Models, "GET, HEAD"),
            ("/t/gold/v1/models", Endpoint::Models, "GET, HEAD"),
            ("/v1/async/7", Endpoint::Result("7"), "GET, HEAD"),
            ("/v1/chat/completions", Endpoint::Inference, "POST"),
            ("/t/gold/v1/completions", Endpoint::Inference, "POST"),
        ] {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS] {
                let taken = allowed.contains(method.as_str());
                match Endpoint::of(&method, path) {
                    Ok(found) => assert_eq!((taken, found), (true, endpoint), "{method} {path}"),
                    Err(refusal) => assert_eq!((taken, refusal.allow), (false, Some(allowed)), "{method} {path}"),
                }
            }
        }
    }

    #[test]
    fn what_only_an_engine_knows_is_left_to_it() {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            assert_eq!(Endpoint::of(&method, "/t/gold/v1/files/7").unwrap(), Endpoint::Inference);
        }
    }
}
