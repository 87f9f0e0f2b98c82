//! What we know of our session at the far broker from earlier lives: that there is one, and what it
//! subscribes to. So a session that the far broker lost is noticed, and a filter that the configuration
//! no longer names is taken back.
//!
//! It is a retained message of our own on a topic that no client may publish to, so the writer keeps it
//! like any other.

use crate::broker::intake::Mapper;
use crate::broker::{Broker, Closed, Qos};
use serde::{Deserialize, Serialize};

const TOPIC: &str = "$sluice/external";

/// A session at a far broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Host and port.
    pub(super) broker: String,
    pub(super) client: String,
    pub(super) filters: Vec<String>,
}

impl Remembered {
    /// What was remembered last, if anything.
    pub(super) fn recall<M: Mapper>(broker: &Broker<M>) -> Option<Self> {
        let message = broker.subscribe_internal(TOPIC)?.try_recv()?;
        let read = serde_json::from_slice(message.payload());
        // One that cannot be read is of a later version: it is as good as none.
        read.inspect_err(
            |error| tracing::warn!(%error, "what is known of the far session is not read"),
        )
        .ok()
    }

    /// Remembers this from now on; returns when the writer has it.
    pub(super) async fn keep<M: Mapper>(&self, broker: &Broker<M>) -> Result<(), Closed> {
        let json = serde_json::to_vec(self).expect("names and filters are JSON");
        broker
            .publish_internal(TOPIC, &json, Qos::AtLeastOnce, true)
            .await
    }

    /// Whether the other is of the same session.
    pub(super) fn is_same_session(&self, other: &Self) -> bool {
        self.broker == other.broker && self.client == other.client
    }
}
