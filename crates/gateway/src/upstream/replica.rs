//! A replica as the gateway reaches it.

use super::origin::Origin;
use crate::request::ServedModel;
use evenkeel_core::observe::ReplicaId;
use evenkeel_core::units::Time;
use evenkeel_wire::routes::Route;
use http::header::HeaderValue;
use std::sync::atomic::{AtomicI64, Ordering};

/// One replica of the route table, with its idle connections.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Its name.
    pub(crate) id: ReplicaId,
    /// The model name that its engine answers to.
    pub(crate) served_model: ServedModel,
    /// Its name as the value of a header.
    pub(crate) id_header: HeaderValue,
    /// Where it listens.
    pub(crate) origin: Origin,
    /// The address as the route table spells it.
    url: String,
    /// When it last sent a piece of any answer, microseconds of the gateway's clock.
    heard: AtomicI64,
}

/// Why a route cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("route `{id}`: `{url}` is no address of the form http://HOST:PORT, or the name holds odd characters")]
pub(crate) struct BadRoute {
    id: ReplicaId,
    url: String,
}

impl Replica {
    /// The replica that `route` points to.
    ///
    /// # Errors
    /// When its address is not plain HTTP to a host, or its name cannot be a header's value.
    pub(crate) fn new(route: &Route) -> Result<Self, BadRoute> {
        let bad = || BadRoute { id: route.id.clone(), url: route.url.clone() };
        Ok(Self {
            id: route.id.clone(),
            served_model: ServedModel::new(&route.served_model),
            id_header: HeaderValue::from_str(&route.id.0).map_err(|_| bad())?,
            origin: Origin::new(&route.url).ok_or_else(bad)?,
            url: route.url.clone(),
            heard: AtomicI64::new(0),
        })
    }

    /// It has sent a piece of an answer.
    pub(crate) fn hear(&self, now: Time) {
        self.heard.store(now.as_micros(), Ordering::Relaxed);
    }

    /// When it last did.
    pub(crate) fn heard(&self) -> Time {
        Time::from_micros(self.heard.load(Ordering::Relaxed))
    }

    /// What tells it from every other replica: name, address, and what it serves.
    pub(crate) fn identity(&self) -> (&ReplicaId, &str, &str) {
        (&self.id, &self.url, &self.served_model.name)
    }

    /// Whether `route` still means this replica, so that its connections may stay.
    pub(crate) fn is(&self, route: &Route) -> bool {
        self.identity() == (&route.id, route.url.as_str(), route.served_model.as_str())
    }
}
