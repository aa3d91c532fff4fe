//! Events as CloudEvents 1.0 by POST. The queue before it is the controller's and bounded; here an event is tried again
//! while that makes sense, with pauses that double, and then given up with the reason.

use crate::fetch::{self, Address, SetupError, Trust};
use async_trait::async_trait;
use evenkeel_controller::events::{CloudEvent, EventSink};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// The structured form: attributes and data in one JSON object.
const CLOUD_EVENTS: &str = "application/cloudevents+json; charset=utf-8";
/// A receiver that asks for a longer pause is tried again after this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why an event was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The receiver does not want it, and would not want it again.
    #[error("{address} refused the event with {status}")]
    Refused {
        /// Without what may be secret in it.
        address: String,
        /// The status.
        status: u16,
    },
    /// Every try failed.
    #[error("{address} did not take the event in {tries} tries: {last}")]
    GivenUp {
        /// Without what may be secret in it.
        address: String,
        /// How many.
        tries: u32,
        /// What went wrong in the last one.
        last: String,
    },
    /// The event cannot be written as JSON.
    #[error("the event is not JSON: {0}")]
    Unwritable(String),
}

/// How often and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries altogether.
    pub tries: u32,
    /// Pause after the first; each further one is twice as long.
    pub first_pause: Duration,
    /// One try takes at most this long.
    pub timeout: Duration,
}

impl Default for Retry {
    /// Five tries within about 15 seconds of pauses.
    fn default() -> Self {
        Self { tries: 5, first_pause: Duration::from_secs(1), timeout: Duration::from_secs(5) }
    }
}

/// Posts events to one address.
#[derive(Debug)]
pub struct Webhook {
    address: Address,
    client: Client,
    authorization: Option<HeaderValue>,
    retry: Retry,
}

impl Webhook {
    /// Posts to `url`, with `token` as a bearer token where there is one.
    ///
    /// # Errors
    /// When the address is none, the token cannot stand in a header, or no HTTP client can be built.
    pub fn new(url: &str, token: Option<&str>, retry: Retry) -> Result<Self, SetupError> {
        let address = Address::read(url)?;
        let client = fetch::client(Trust::needed_by(&address), retry.timeout)?;
        let authorization = token.map(bearer).transpose()?;
        Ok(Self { address, client, authorization, retry })
    }

    /// Delivers one event, which carries its own id: a receiver that got it twice can tell.
    ///
    /// # Errors
    /// When the receiver refuses it, or does not take it in all tries.
    pub async fn post(&self, event: &(impl Serialize + Sync)) -> Result<(), DeliveryError> {
        let body = serde_json::to_vec(event).map_err(|error| DeliveryError::Unwritable(error.to_string()))?;
        let mut pause = self.retry.first_pause;
        let mut tries = 0;
        loop {
            tries += 1;
            let (last, asked) = match self.once(body.clone()).await? {
                Tried::Taken => return Ok(()),
                Tried::Failed { why, pause } => (why, pause),
            };
            if tries >= self.retry.tries {
                return Err(DeliveryError::GivenUp { address: self.address.to_string(), tries, last });
            }
            tokio::time::sleep(asked.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = pause.saturating_mul(2);
        }
    }

    async fn once(&self, body: Vec<u8>) -> Result<Tried, DeliveryError> {
        let mut request = self.client.post(self.address.url()).header(CONTENT_TYPE, CLOUD_EVENTS).body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Tried::Failed { why: fetch::failure(&self.address, &error).detail, pause: None }),
        };
        let status = response.status();
        if status.is_success() {
            Ok(Tried::Taken)
        } else if is_worth_another_try(status) {
            Ok(Tried::Failed { why: format!("it answered {status}"), pause: asked_pause(&response) })
        } else {
            Err(DeliveryError::Refused { address: self.address.to_string(), status: status.as_u16() })
        }
    }
}

enum Tried {
    Taken,
    Failed { why: String, pause: Option<Duration> },
}

#[async_trait]
impl EventSink for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn deliver(&mut self, event: &CloudEvent) -> Result<(), String> {
        self.post(event).await.map_err(|error| error.to_string())
    }
}

/// Overload and failure pass; a refusal does not.
fn is_worth_another_try(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// `Retry-After` in seconds; its form as a date is left to our own pause.
fn asked_pause(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn bearer(token: &str) -> Result<HeaderValue, SetupError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| SetupError::Token)?;
    // Keeps it out of every debug print.
    value.set_sensitive(true);
    Ok(value)
}
