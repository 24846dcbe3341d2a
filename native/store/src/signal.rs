//! Wakes a thread that waits in a store, or stops whatever it does there.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Shared by the thread that uses a store and the threads that wake or stop it.
#[derive(Default)]
pub struct Signal {
    wake: Notify,
    stop: CancellationToken,
}

impl Signal {
    /// Ends the present wait, or else the next one. Several calls before that wait count as one.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the present call, and every later one.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether [`Signal::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns after [`Signal::wake`] or [`Signal::stop`], at the latest after `limit`. Whether it was one of them.
    pub(crate) async fn woken(&self, limit: Duration) -> bool {
        let either = async {
            tokio::select! {
                () = self.wake.notified() => (),
                () = self.stop.cancelled() => (),
            }
        };
        timeout(limit, either).await.is_ok()
    }

    /// Returns after [`Signal::stop`].
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Blocks this thread until [`Signal::wake`] or [`Signal::stop`], at most for `limit`.
    pub fn wait(&self, limit: Duration) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.woken(limit));
        Ok(())
    }
}
