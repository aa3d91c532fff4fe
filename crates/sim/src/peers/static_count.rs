//! So many replicas always, as fleets without an autoscaler are run.

use crate::autoscaler::{Autoscaler, Seen};

/// A count that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Static {
    /// The count.
    pub(super) replicas: u32,
}

impl Autoscaler for Static {
    fn decide(&mut self, _: &Seen<'_>) -> u32 {
        self.replicas
    }
}
