//! Where notices wait until each channel has them.

use super::Notice;

/// What a channel's sender sees of the outbox. A notice stays until it was sent or is too old; what was
/// sent and not yet [`sent`](Self::sent) when the power failed is sent once more, with the same
/// [`key`](Notice::key).
pub trait Outbox: Send + Sync + 'static {
    /// Why it could not be read or written.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The notices that wait for this channel, oldest first, at most `most`.
    fn waiting(&self, channel: &str, most: usize) -> Result<Vec<Notice>, Self::Error>;

    /// The notices that were said to be [meant](Self::mean) as one message last, before a restart too: it may
    /// have arrived. Empty: nobody said.
    fn meant(&self, channel: &str) -> Result<Vec<u64>, Self::Error>;

    /// These go as one message from now on: who sends them after a restart sends them as one, with the same key.
    fn mean(
        &self,
        channel: &str,
        seqs: &[u64],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// These need not be sent to it any more: they were, or they are too old.
    fn sent(
        &self,
        channel: &str,
        seqs: &[u64],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Returns when there may be more waiting than when this was called: call it, look at what is
    /// [`waiting`](Self::waiting), then await it, and nothing is missed.
    fn more(&self) -> impl Future<Output = ()> + Send;
}
