//! The outbox as a channel's sender sees it: what the store keeps, what is said from memory while it takes
//! nothing, and the way back to the writer.

use crate::alert::{Notice, Outbox};
use crate::ingest::{AlertsSeen, Command, Order, Refusal};
use crate::store::{StoreError, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// Why the outbox could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was sent could not be written down: it is sent once more after a restart.
    #[error("what was sent is not written down")]
    Refused(#[source] Refusal),
    /// The writer has ended.
    #[error("what was sent is not written down: the daemon is stopping")]
    Stopping,
}

/// What waits for the channels of a gateway that runs.
pub struct StoredOutbox {
    view: View,
    commands: mpsc::Sender<Command>,
    alerts: AlertsSeen,
    /// What was sent and is not written down yet, by channel. As much as the outbox may hold.
    sent: Mutex<BTreeMap<String, BTreeSet<u64>>>,
}

impl StoredOutbox {
    /// The outbox of the store behind `view`, whose writer takes `commands`.
    #[must_use]
    pub fn new(view: &View, commands: &mpsc::Sender<Command>, alerts: &AlertsSeen) -> Self {
        Self {
            view: view.clone(),
            commands: commands.clone(),
            alerts: alerts.clone(),
            sent: Mutex::default(),
        }
    }

    async fn ask(&self, order: Order) -> Result<Result<(), Refusal>, OutboxError> {
        let (command, answered) = Command::new(order);
        let sending = self.commands.send(command).await;
        sending.map_err(|_| OutboxError::Stopping)?;
        let answer = answered.await.map_err(|_| OutboxError::Stopping)?;
        Ok(answer.map(|_nothing_of_readings| ()))
    }

    fn sent(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<u64>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for StoredOutbox {
    type Error = OutboxError;

    fn waiting(&self, channel: &str, most: usize) -> Result<Vec<Notice>, OutboxError> {
        let unwritten = self.alerts.volatile.waiting(channel, most);
        let sent = self.sent().get(channel).cloned().unwrap_or_default();
        let held = match self.view.outbox(channel, most.saturating_add(sent.len())) {
            Ok(held) => held,
            // A store that cannot even be read is told of from memory.
            Err(_) if self.alerts.volatile.speaks() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let held = held.into_iter().filter(|held| !sent.contains(&held.seq));
        Ok(held.chain(unwritten).take(most).collect())
    }

    fn meant(&self, channel: &str) -> Result<Vec<u64>, OutboxError> {
        match self.view.meant(channel) {
            Err(_) if self.alerts.volatile.speaks() => Ok(Vec::new()),
            meant => Ok(meant?),
        }
    }

    async fn mean(&self, channel: &str, seqs: &[u64]) -> Result<(), OutboxError> {
        let order = Order::Mean {
            channel: channel.to_owned(),
            seqs: seqs.to_vec(),
        };
        match self.ask(order).await? {
            // What is said from memory is not in the journal either.
            Ok(()) | Err(Refusal::Outage(_) | Refusal::Store(_)) => Ok(()),
            Err(refusal) => Err(OutboxError::Refused(refusal)),
        }
    }

    async fn sent(&self, channel: &str, seqs: &[u64]) -> Result<(), OutboxError> {
        let kept = self.alerts.volatile.sent(channel, seqs);
        let seqs: Vec<u64> = {
            let mut sent = self.sent();
            let all = sent.entry(channel.to_owned()).or_default();
            all.extend(kept);
            all.iter().copied().collect()
        };
        if seqs.is_empty() {
            return Ok(());
        }
        let order = Order::Sent {
            channel: channel.to_owned(),
            seqs: seqs.clone(),
        };
        match self.ask(order).await? {
            Ok(()) => {
                if let Some(all) = self.sent().get_mut(channel) {
                    all.retain(|seq| !seqs.contains(seq));
                }
                Ok(())
            }
            // It is kept in mind, and written down with what is sent next.
            Err(Refusal::Outage(_) | Refusal::Store(_)) => Ok(()),
            Err(refusal) => Err(OutboxError::Refused(refusal)),
        }
    }

    fn more(&self) -> impl Future<Output = ()> + Send {
        let mut more = self.alerts.more.clone();
        more.mark_unchanged();
        async move {
            if more.changed().await.is_err() {
                // The writer has ended: there will never be more.
                std::future::pending::<()>().await;
            }
        }
    }
}
