//! Whether the daemon is told to end, for whoever has connections to finish.

use tokio::sync::watch;

/// Told to all who have it; it stays told, however often it is asked.
#[derive(Debug, Clone)]
pub(super) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(super) fn new() -> (watch::Sender<bool>, Self) {
        let (stop, stopping) = watch::channel(false);
        (stop, Self(stopping))
    }

    /// Whether the daemon is told to end.
    pub(super) fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the daemon is told to end.
    pub(super) async fn told(&mut self) {
        let _ = self.0.wait_for(|is_told| *is_told).await;
    }
}
