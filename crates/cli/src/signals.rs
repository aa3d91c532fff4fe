//! When to end: SIGINT or SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells, again and again, whether the process was asked to end.
#[derive(Clone)]
pub(crate) struct Ending(watch::Receiver<bool>);

impl Ending {
    /// Resolves once SIGINT or SIGTERM has come, also if it came before anyone waited.
    pub(crate) async fn asked(&self) {
        if self.0.clone().wait_for(|asked| *asked).await.is_err() {
            // Without handlers the signals end the process by themselves.
            std::future::pending().await
        }
    }
}

/// Listens for SIGINT and SIGTERM from this moment on. Must be called inside a tokio runtime.
pub(crate) fn listen() -> Ending {
    let (tell, asked) = watch::channel(false);
    if let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tell.send_replace(true);
        });
    }
    Ending(asked)
}

/// Resolves at the first SIGINT or SIGTERM from this moment on.
pub(crate) async fn ended() {
    listen().asked().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_before_anyone_waits_is_not_lost() {
        let ending = listen();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        let told = tokio::time::timeout(std::time::Duration::from_secs(10), ending.asked()).await;
        assert!(told.is_ok());
        // And whoever asks later is told as well.
        assert!(tokio::time::timeout(std::time::Duration::from_secs(10), ending.clone().asked()).await.is_ok());
    }
}
