//! How other threads reach one that is inside a store: they wake its wait, or end whatever it does.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Shared between a thread that uses a store and those who want something of it.
#[derive(Default)]
pub struct Signal {
    wake: Notify,
    stop: CancellationToken,
}

impl Signal {
    /// Ends the present wait, or the next one if there is none. Many calls before that wait count
    /// as one.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the present call and every later one, for ever.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether [`Signal::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Returns after [`Signal::wake`] or [`Signal::stop`], at the latest after `limit`.
    pub(crate) async fn woken(&self, limit: Duration) {
        let either = async {
            tokio::select! {
                () = self.wake.notified() => (),
                () = self.stop.cancelled() => (),
            }
        };
        // Woken or not in time: the caller looks for itself.
        let _ = timeout(limit, either).await;
    }

    /// Returns after [`Signal::stop`].
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Blocks this thread until [`Signal::wake`] or [`Signal::stop`], at the most for `limit`.
    pub fn wait(&self, limit: Duration) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.woken(limit));
        Ok(())
    }
}
