//! What may wait for a disk, a lock or `/proc`, on threads that serve nobody. A few at a time: looks come from many
//! replicas at once, and each thread keeps the memory of its largest (a controller of 20 replicas had 15 of them and 44 MiB).

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// Turns of this backend's own. Whatever else blocks in this process, such as a source's file on a dead server, has none of
/// them.
static TURNS: Semaphore = Semaphore::const_new(4);

/// Does `job`, to its end once it is begun, even if nobody waits for it any more.
///
/// # Errors
/// When it panicked, or the runtime is closing.
pub(crate) async fn blocking<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    // A static semaphore is never closed.
    let turn = TURNS.acquire().await.ok();
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        job()
    })
    .await
}
