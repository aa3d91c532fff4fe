//! A replica that is broken on purpose: one place for what tests and drills need of a faulty engine.
//!
//! Only a replica that was started with a fault to begin with (`evenkeel replica --fault none` begins sound) takes another
//! one by `PUT /fault/KIND`. The gateway passes on nothing but `/v1/`, so no client can do it.

use std::fmt;
use std::str::FromStr;
use tokio::sync::watch;

/// How a replica is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// It is sound.
    #[default]
    None,
    /// Every request under `/v1/` is answered with 500 at once, and the health check well.
    FailFast,
    /// No request under `/v1/` is answered with a single byte, and the health check well.
    Silent,
    /// It loads for ever: everything is answered with 503.
    NeverReady,
}

impl Fault {
    const ALL: [Self; 4] = [Self::None, Self::FailFast, Self::Silent, Self::NeverReady];

    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FailFast => "fail-fast",
            Self::Silent => "silent",
            Self::NeverReady => "never-ready",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|fault| fault.name() == text);
        found.ok_or_else(|| format!("`{text}` is no fault; there are {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// The fault in force; without one to begin with it never changes.
#[derive(Debug)]
pub(super) struct Faulty {
    fault: watch::Sender<Fault>,
    changes: bool,
}

impl Faulty {
    pub(super) fn beginning(fault: Option<Fault>) -> Self {
        Self { fault: watch::Sender::new(fault.unwrap_or_default()), changes: fault.is_some() }
    }

    pub(super) fn now(&self) -> Fault {
        *self.fault.borrow()
    }

    /// False where this replica was not started to be broken.
    pub(super) fn change(&self, fault: Fault) -> bool {
        if self.changes {
            self.fault.send_replace(fault);
        }
        self.changes
    }

    /// Returns once the replica is not silent any more.
    pub(super) async fn speaks(&self) {
        // The sender lives as long as this.
        let _ = self.fault.subscribe().wait_for(|fault| *fault != Fault::Silent).await;
    }
}
