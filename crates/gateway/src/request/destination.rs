//! Which tier a request is for, and where it goes there.

use crate::refusal::Refusal;
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode, Uri};

/// Names the tier, before the path and the body do.
pub(crate) const TIER_HEADER: &str = "x-evenkeel-tier";

/// The fleet's tiers by the names that clients may use.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// Tier and model, in the fleet file's order.
    tiers: Vec<(String, String)>,
}

/// Where a request goes, as far as its head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The tier's position in the fleet file; `None` leaves it to the body's model.
    pub(crate) tier: Option<usize>,
    /// Path and query for the replica.
    pub(crate) path: PathAndQuery,
}

impl Directory {
    /// The directory of these tiers: name and model of each, in the fleet file's order.
    pub(crate) fn new(tiers: Vec<(String, String)>) -> Self {
        Self { tiers }
    }

    /// Reads a request's head: the header first, then the path `/t/{tier}/v1/...`.
    ///
    /// # Errors
    /// 404 for a tier or a path that does not exist, 400 for a path that climbs.
    pub(crate) fn destination(&self, headers: &HeaderMap, uri: &Uri) -> Result<Destination, Refusal> {
        let (in_path, path) = split_path(uri.path());
        if !path.starts_with("/v1/") {
            let message = format!("there is nothing at {}: requests go to /v1/... or /t/TIER/v1/...", uri.path());
            return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", message));
        }
        if climbs(path) {
            let message = "the path holds `..`: name the endpoint itself";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_path", message));
        }
        let named = match headers.get(TIER_HEADER) {
            Some(value) => Some(value.to_str().unwrap_or("?")),
            None => in_path,
        };
        let tier = named.map(|name| self.by_tier(name).ok_or_else(|| self.unknown("tier", name))).transpose()?;
        let path = if in_path.is_some() { without_tier(path, uri.query()) } else { uri.path_and_query().cloned() };
        let malformed = || Refusal::new(StatusCode::BAD_REQUEST, "bad_path", "the path is malformed");
        Ok(Destination { tier, path: path.ok_or_else(malformed)? })
    }

    /// The tier that the body's `model` names: a tier by its own name, else the first with that model.
    ///
    /// # Errors
    /// 404 that lists what there is.
    pub(crate) fn by_model(&self, model: Option<&str>) -> Result<usize, Refusal> {
        let Some(model) = model else {
            let message =
                format!("no tier is named: set `model` in the body or the header {TIER_HEADER}. {}", self.list());
            return Err(Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message));
        };
        let by_model = || self.tiers.iter().position(|(_, known)| known == model);
        self.by_tier(model).or_else(by_model).ok_or_else(|| self.unknown("model", model))
    }

    fn by_tier(&self, name: &str) -> Option<usize> {
        self.tiers.iter().position(|(tier, _)| tier == name)
    }

    fn unknown(&self, what: &str, name: &str) -> Refusal {
        let message = format!("the {what} `{name}` does not exist. {}", self.list());
        Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message)
    }

    fn list(&self) -> String {
        let tiers: Vec<String> = self.tiers.iter().map(|(tier, model)| format!("`{tier}` (model `{model}`)")).collect();
        format!("There is: {}", tiers.join(", "))
    }
}

/// `/t/gold/v1/x` is tier `gold` and path `/v1/x`; any other path names no tier.
pub(super) fn split_path(path: &str) -> (Option<&str>, &str) {
    let Some(after) = path.strip_prefix("/t/") else { return (None, path) };
    match after.find('/') {
        Some(slash) => (Some(&after[..slash]), &after[slash..]),
        None => (Some(after), "/"),
    }
}

fn without_tier(path: &str, query: Option<&str>) -> Option<PathAndQuery> {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    PathAndQuery::try_from(format!("{path}{query}")).ok()
}

/// Whether a server behind us could read the path as leaving `/v1/`, and so reach an engine's administration.
fn climbs(path: &str) -> bool {
    // Nearly every path: nothing is encoded and nothing climbs.
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    path.split(['/', '\\']).any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/");
        plain.split('/').any(|part| part == "..")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;

    fn directory() -> Directory {
        let named = |tier: &str, model: &str| (tier.to_owned(), model.to_owned());
        Directory { tiers: vec![named("gold", "qwen"), named("silver", "qwen"), named("bronze", "gold")] }
    }

    fn destination(tier_header: Option<&'static str>, path: &str) -> Result<Destination, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(tier) = tier_header {
            headers.insert(TIER_HEADER, HeaderValue::from_static(tier));
        }
        directory().destination(&headers, &path.parse().unwrap())
    }

    #[test]
    fn the_header_comes_before_the_path_and_the_path_before_the_body() {
        let both = destination(Some("silver"), "/t/gold/v1/completions?x=1").unwrap();
        assert_eq!(both, Destination { tier: Some(1), path: PathAndQuery::from_static("/v1/completions?x=1") });
        assert_eq!(destination(None, "/t/bronze/v1/x").unwrap().tier, Some(2));
        assert_eq!(destination(None, "/v1/x").unwrap().tier, None);
    }

    #[test]
    fn a_model_means_the_tier_of_that_name_first_then_the_first_tier_with_that_model() {
        assert_eq!(directory().by_model(Some("gold")), Ok(0));
        assert_eq!(directory().by_model(Some("qwen")), Ok(0));
        assert_eq!(directory().by_model(Some("bronze")), Ok(2));
    }

    #[test]
    fn an_unknown_name_is_told_with_what_there_is() {
        let refusals = [
            directory().by_model(Some("platinum")).unwrap_err(),
            directory().by_model(None).unwrap_err(),
            destination(Some("platinum"), "/v1/x").unwrap_err(),
        ];
        for refusal in refusals {
            assert_eq!(refusal.status, StatusCode::NOT_FOUND);
            assert!(refusal.message.contains("`silver` (model `qwen`)"), "{}", refusal.message);
        }
    }

    #[test]
    fn only_the_openai_endpoints_of_a_replica_can_be_reached() {
        for path in ["/metrics", "/t/gold/sleep", "/t/gold", "/"] {
            assert_eq!(destination(None, path).unwrap_err().status, StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["/v1/../sleep", "/t/gold/v1/%2e%2E/sleep", "/v1/..%2fsleep", "/v1/x/.%2e"] {
            assert_eq!(destination(None, path).unwrap_err().status, StatusCode::BAD_REQUEST, "{path}");
        }
    }
}
