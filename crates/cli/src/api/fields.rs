//! Reads a request's fields one by one and collects every mistake, so that a caller mends them all at once.

use super::MOST_BODY_BYTES;
use super::error::ApiError;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A body that takes longer is given up: a connection that never ends its body must not stay.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// The fields of a JSON body that were not asked for yet.
pub(crate) struct Fields {
    given: Map<String, Value>,
    mistakes: Vec<String>,
}

/// The same for a query string: all values are text.
pub(crate) struct Query(Fields);

impl Fields {
    /// The fields of `body`, which must be a JSON object.
    fn of(body: &[u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(body).map_err(|error| {
            let mistake = match error.is_data() {
                true => "the body must be a JSON object".to_owned(),
                false => format!("the body is not JSON: {error}"),
            };
            ApiError::mistakes(&[mistake])
        })
    }

    fn give(&mut self, key: String, value: Value) {
        let twice = format!("`{key}` is given twice");
        if self.given.insert(key, value).is_some() {
            self.mistake(twice);
        }
    }

    /// Notes a mistake.
    pub(crate) fn mistake(&mut self, mistake: impl Into<String>) {
        self.mistakes.push(mistake.into());
    }

    /// Whether `key` is given.
    pub(crate) fn gives(&self, key: &str) -> bool {
        self.given.get(key).is_some_and(|value| !value.is_null())
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.given.remove(key).filter(|value| !value.is_null())
    }

    /// A whole number within `range`, if it is given.
    pub(crate) fn whole(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = self.take(key)?;
        let number = value.as_i64().filter(|number| range.contains(number));
        if number.is_none() {
            let (low, high) = (range.start(), range.end());
            self.mistake(format!("`{key}` must be a whole number from {low} to {high}, it is {value}"));
        }
        number
    }

    /// Any number that is finite, if it is given.
    pub(crate) fn number(&mut self, key: &str) -> Option<f64> {
        let value = self.take(key)?;
        let number = value.as_f64().filter(|number| number.is_finite());
        if number.is_none() {
            self.mistake(format!("`{key}` must be a number, it is {value}"));
        }
        number
    }

    /// Text of 1 to `most` characters without control characters, if it is given.
    pub(crate) fn text(&mut self, key: &str, most: usize) -> Option<String> {
        let value = self.take(key)?;
        let text = value.as_str().map_or("", str::trim);
        let mistake = match text.chars().count() {
            0 => format!("`{key}` must be text of 1 to {most} characters"),
            long if long > most => format!("`{key}` has {long} characters, it may have {most} at most"),
            _ if text.contains(char::is_control) => format!("`{key}` must not hold control characters"),
            _ => return Some(text.to_owned()),
        };
        self.mistake(mistake);
        None
    }

    /// What `value` came to, or the mistake that it is missing; a mistake in it has been noted already.
    pub(crate) fn required<T>(
        &mut self,
        key: &str,
        example: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        if !self.gives(key) {
            self.mistake(format!("`{key}` is missing, for example {example}"));
        }
        read(self)
    }

    /// The request, or every mistake in it. Fields that nobody asked for are mistakes too.
    pub(crate) fn finish<T>(mut self, request: Option<T>) -> Result<T, ApiError> {
        let unknown: Vec<String> = self.given.keys().map(|key| format!("`{key}` is not known here")).collect();
        self.mistakes.extend(unknown);
        request.filter(|_| self.mistakes.is_empty()).ok_or_else(|| ApiError::mistakes(&self.mistakes))
    }
}

impl Query {
    /// A whole number within `range`, if it is given.
    pub(crate) fn whole(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        if let Some(number) = self.0.given.get(key).and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok()) {
            self.0.given.insert(key.to_owned(), number.into());
        }
        self.0.whole(key, range)
    }

    /// `true` or `false`, if it is given.
    pub(crate) fn truth(&mut self, key: &str) -> Option<bool> {
        let value = self.0.take(key)?;
        let truth = value.as_str().and_then(|text| text.parse().ok());
        if truth.is_none() {
            self.0.mistake(format!("`{key}` must be true or false, it is {value}"));
        }
        truth
    }

    /// A name, if it is given.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        self.0.text(key, 200)
    }

    /// The request, or every mistake in it.
    pub(crate) fn finish<T>(self, request: T) -> Result<T, ApiError> {
        self.0.finish(Some(request))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Reads an object and notes what is given twice: `Map` alone would keep the last, and whoever stands between might have
/// read the first.
struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields, A::Error> {
        let mut fields = Fields { given: Map::new(), mistakes: Vec::new() };
        while let Some((key, value)) = object.next_entry::<String, Value>()? {
            fields.give(key, value);
        }
        Ok(fields)
    }
}

/// The body of an order that has nothing to say: none, or `{}`.
pub(crate) struct NoFields;

impl<S: Send + Sync> FromRequest<S> for NoFields {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let body = whole_body(request, state).await?;
        if body.trim_ascii().is_empty() { Ok(Self) } else { Fields::of(&body)?.finish(Some(Self)) }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        Self::of(&whole_body(request, state).await?)
    }
}

async fn whole_body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let late = |_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_late", "the body took too long to arrive");
    let body = tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, state)).await.map_err(late)?;
    body.map_err(|error| {
        let words = match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => format!("the body may have {MOST_BODY_BYTES} bytes, and has more"),
            _ => error.body_text(),
        };
        ApiError::new(error.status(), "body_refused", words)
    })
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let mut fields = Fields { given: Map::new(), mistakes: Vec::new() };
        let malformed = |error| ApiError::mistakes(&[format!("the query cannot be read: {error}")]);
        let pairs: axum::extract::Query<Vec<(String, String)>> =
            axum::extract::Query::try_from_uri(&parts.uri).map_err(malformed)?;
        for (key, value) in pairs.0 {
            fields.give(key, Value::String(value));
        }
        Ok(Self(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_at_once_and_null_is_like_nothing() {
        let mut fields = Fields::of(br#"{"a": 1.5, "b": "x\ny", "c": null, "d": "1", "e": 7}"#).unwrap();
        let a = fields.whole("a", 0..=9);
        let b = fields.text("b", 10);
        let c = fields.required("c", "3", |fields| fields.whole("c", 0..=9));
        let d = fields.number("d");
        let error = fields.finish(a.zip(b).zip(c).zip(d)).map(|_| ()).unwrap_err();
        let expected = [
            "`a` must be a whole number from 0 to 9, it is 1.5".to_owned(),
            "`b` must not hold control characters".to_owned(),
            "`c` is missing, for example 3".to_owned(),
            "`d` must be a number, it is \"1\"".to_owned(),
            "`e` is not known here".to_owned(),
        ];
        assert_eq!(error, ApiError::mistakes(&expected));
    }
}
