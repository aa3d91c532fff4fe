//! Asking a running controller over its API.

use crate::api::{TOKEN_VARIABLE, Token};
use crate::failure::Failure;
use crate::state_dir::StateDir;
use evenkeel_fleet::model::Fleet;
use evenkeel_local::backend::{foreign_listener, who_listens};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// A running controller.
#[derive(Clone)]
pub(crate) struct Control {
    base: String,
    client: reqwest::Client,
}

impl Control {
    /// The controller of `fleet`, where its file says it listens.
    pub(crate) fn of(fleet: &Fleet) -> Result<Self, Failure> {
        Self::at(format!("http://{}", fleet.controller.listen))
    }

    /// The controller at `base`.
    pub(crate) fn at(base: String) -> Result<Self, Failure> {
        let client = evenkeel_adapters::plain_http_client(Duration::from_secs(10)).map_err(Failure::internal)?;
        Ok(Self { base, client })
    }

    /// The newest view of `fleet`; a controller of another fleet that happens to listen there is refused.
    pub(crate) async fn state_of(&self, fleet: &str) -> Result<Value, Failure> {
        let state = self.get("/v1/state").await?;
        match state["fleet"].as_str() {
            Some(found) if found == fleet => Ok(state),
            found => {
                let other = found.unwrap_or("another one");
                Err(Failure::refused(format!("at {} runs the controller of {other}, not of {fleet}", self.base)))
            }
        }
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let response = self.client.get(format!("{}{path}", self.base)).send().await;
        self.answer(response).await
    }

    /// POST with the token.
    pub(crate) async fn post(&self, path: &str, body: &Value, state: &StateDir) -> Result<Value, Failure> {
        self.order(Method::POST, path, body, state).await
    }

    /// A change, with the token.
    pub(crate) async fn order(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        state: &StateDir,
    ) -> Result<Value, Failure> {
        let named = std::env::var(TOKEN_VARIABLE).ok();
        if named.is_none() {
            self.refuse_a_stranger(state)?;
        }
        let from = named.as_ref().map_or_else(|| state.token().display().to_string(), |_| TOKEN_VARIABLE.to_owned());
        let token = Token::known(&state.token(), named).map_err(Failure::usage)?;
        let request =
            self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token.reveal()).json(body);
        let response = request.send().await;
        if response.as_ref().is_ok_and(|it| it.status() == StatusCode::UNAUTHORIZED) {
            let base = &self.base;
            return Err(Failure::refused(format!("the token of {from} is not that of the controller at {base}")));
        }
        self.answer(response).await
    }

    /// Refuses to show the file's token to a listener of this machine that is another user's: while no controller runs,
    /// anybody can take its port. What it reads before that cannot tell, as a stranger answers what it likes.
    fn refuse_a_stranger(&self, state: &StateDir) -> Result<(), Failure> {
        let owner = std::fs::metadata(state.token()).map(|it| it.uid());
        let foreign = self.port_here().zip(owner.ok()).and_then(|(port, owner)| foreign_listener(port, owner));
        let refused = |user| {
            let (base, token) = (&self.base, state.token());
            Failure::refused(format!(
                "at {base} listens a process of user {user}, who does not own {}: the token is not sent there",
                token.display()
            ))
        };
        foreign.map_or(Ok(()), |user| Err(refused(user)))
    }

    /// The controller's port, where it listens on this machine.
    fn port_here(&self) -> Option<u16> {
        let address: SocketAddr = self.base.strip_prefix("http://")?.parse().ok()?;
        (address.ip().is_loopback() || address.ip().is_unspecified()).then_some(address.port())
    }

    /// Nobody listens, or who does is stuck or busy with others.
    fn no_answer(&self) -> Failure {
        let base = &self.base;
        Failure::refused(match self.port_here().and_then(who_listens) {
            Some(who) => format!(
                "{who} listens at {base} and does not answer; a controller that hangs is not replaced by one that stands by until it is ended"
            ),
            None => format!("no controller answers at {base}; start one with `evenkeel run FLEET`"),
        })
    }

    async fn answer(&self, response: reqwest::Result<reqwest::Response>) -> Result<Value, Failure> {
        let response = response.map_err(|_| self.no_answer())?;
        let status = response.status();
        let body: Value = response.json().await.unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(body);
        }
        let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason given");
        let message = format!("the controller answered {}: {message}", status.as_u16());
        Err(if status.as_u16() == 400 { Failure::usage(message) } else { Failure::refused(message) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_hangs_is_told_from_one_that_is_not_there() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let control = Control::at(format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let said = control.no_answer().to_string();
        assert!(
            said.contains(&format!("(process {})", std::process::id())) && said.contains("does not answer"),
            "{said}"
        );
        drop(listener);
        assert!(control.no_answer().to_string().contains("start one with `evenkeel run FLEET`"));
    }
}
