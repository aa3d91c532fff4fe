//! Room for request bodies, over all clients and tiers.
//!
//! A body is read before its tier is known, since it names the model, and so before any queue could refuse it. It is held
//! until its answer begins, or until it is on disk. Without a bound on all of them together, as many clients as can
//! connect could each have the gateway hold the largest body.

use crate::refusal::Refusal;
use bytes::Bytes;
use http::StatusCode;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a body waits for room before its request is refused. Meanwhile its client is not read from. Bodies of which a
/// part is held may wait for each other, so this must end.
pub(crate) const ROOM_WAIT: Duration = Duration::from_secs(1);

/// Room for so many bytes.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    free: Arc<Semaphore>,
    size: AtomicUsize,
    wait: Duration,
}

/// What one body takes of the room, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct Share(Option<OwnedSemaphorePermit>);

impl BodyRoom {
    /// Room for `bytes`; who finds none waits for it this long.
    pub(crate) fn new(bytes: u64, wait: Duration) -> Self {
        let size = permits(bytes);
        Self { free: Arc::new(Semaphore::new(size)), size: AtomicUsize::new(size), wait }
    }

    /// Makes it at least so large. A body larger than the whole room would be refused whenever it came.
    pub(crate) fn grow_to(&self, bytes: u64) {
        let wanted = permits(bytes);
        let before = self.size.fetch_max(wanted, Ordering::Relaxed);
        self.free.add_permits(wanted.saturating_sub(before));
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> u64 {
        self.size.load(Ordering::Relaxed).saturating_sub(self.free.available_permits()) as u64
    }

    /// Takes `bytes` more for `share`. They are taken as they come, not as they are announced: a client that announces
    /// much and sends nothing takes nothing.
    ///
    /// # Errors
    /// The refusal, when there is no room in time.
    pub(super) async fn take(&self, share: &mut Share, bytes: usize) -> Result<(), Refusal> {
        // One piece is as large as a connection's read buffer at most.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = match Arc::clone(&self.free).try_acquire_many_owned(bytes) {
            Ok(more) => more,
            Err(_) => match timeout(self.wait, Arc::clone(&self.free).acquire_many_owned(bytes)).await {
                Ok(Ok(more)) => more,
                _ => return Err(no_room()),
            },
        };
        match &mut share.0 {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

fn permits(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

fn no_room() -> Refusal {
    let message = "the gateway holds as much of request bodies as it may: try again in 1 s";
    Refusal::for_now(StatusCode::SERVICE_UNAVAILABLE, "gateway_full", message, 1)
}

/// A request's body, with its share of the room.
#[derive(Debug)]
pub(crate) struct HeldBody {
    bytes: Bytes,
    _share: Share,
}

impl HeldBody {
    pub(super) fn new(bytes: Bytes, share: Share) -> Self {
        Self { bytes, _share: share }
    }
}

impl From<Bytes> for HeldBody {
    /// A body that no client sends just now, which takes no room.
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes, Share::default())
    }
}

impl Deref for HeldBody {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::FutureExt;

    const PATIENT: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn who_finds_no_room_waits_until_another_leaves() {
        let room = BodyRoom::new(10, PATIENT);
        let (mut first, mut second) = (Share::default(), Share::default());
        room.take(&mut first, 4).await.unwrap();
        room.take(&mut first, 2).await.unwrap();
        assert_eq!(room.held(), 6);
        let mut waiting = Box::pin(room.take(&mut second, 5));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        waiting.await.unwrap();
        assert_eq!(room.held(), 5);
        drop(second);
        assert_eq!(room.held(), 0);
    }

    #[tokio::test]
    async fn who_waited_in_vain_is_told_when_to_come_back_and_keeps_nothing() {
        let room = BodyRoom::new(10, Duration::from_millis(1));
        let (mut first, mut second) = (Share::default(), Share::default());
        room.take(&mut first, 8).await.unwrap();
        room.take(&mut second, 2).await.unwrap();
        let refused = room.take(&mut second, 1).await.unwrap_err();
        assert_eq!((refused.status, refused.retry_after), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
        drop(second);
        assert_eq!(room.held(), 8);
    }

    #[tokio::test]
    async fn it_grows_and_never_shrinks() {
        let room = BodyRoom::new(10, Duration::from_millis(1));
        let mut share = Share::default();
        room.take(&mut share, 10).await.unwrap();
        room.grow_to(5);
        assert!(room.take(&mut share, 1).await.is_err());
        room.grow_to(12);
        room.take(&mut share, 2).await.unwrap();
        assert!(room.take(&mut share, 1).await.is_err());
        assert_eq!(room.held(), 12);
    }
}
