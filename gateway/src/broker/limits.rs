//! Every bound of the broker, by name. What a peer can make us hold is written here or in [`Limits`],
//! and nowhere else.

use std::time::Duration;

/// Inbound publishes that a connection may have unacknowledged before its socket is no longer read. This bounds
/// those too who exceed [`RECEIVE_MAXIMUM`].
pub const MAX_PENDING: usize = 1024;

/// Receive Maximum announced to MQTT 5 clients; below [`MAX_PENDING`], so that who keeps to it is always read.
pub const RECEIVE_MAXIMUM: u16 = 512;

/// Received QoS 2 packet ids a session may hold between PUBREC and PUBREL; a further one ends the connection.
pub const RECEIVED_IDS: usize = 1024;

/// Topic Alias Maximum announced to MQTT 5 clients.
pub const TOPIC_ALIAS_MAXIMUM: u16 = 16;

/// Outbound QoS 1 and 2 messages in flight to one client, whatever Receive Maximum it allows.
pub const OUTBOUND_WINDOW: usize = 128;

/// Subscriptions of one session.
pub const SUBSCRIPTIONS_PER_CLIENT: usize = 1000;

/// Bytes of all clients' subscriptions together.
pub const SUBSCRIPTION_BYTES_TOTAL: usize = 64 * 1024 * 1024;

/// Bytes of a topic, a filter or the name of a share group.
pub const TOPIC_BYTES: usize = 4096;

/// User properties of one message.
pub const USER_PROPERTIES: usize = 128;

/// Bytes of one message's user properties, names and values.
pub const USER_PROPERTY_BYTES: usize = 16 * 1024;

/// Levels of a topic or filter.
pub const TOPIC_LEVELS: usize = 128;

/// Bytes of a client id.
pub const CLIENT_ID_BYTES: usize = 1024;

/// First size of a connection's read buffer, bytes: a thousand idle clients must be cheap.
pub const READ_SMALLEST: usize = 1024;

/// Largest size a read buffer grows to while its client is busy, bytes (a larger packet still fits).
pub const READ_LARGEST: usize = 64 * 1024;

/// Bytes waiting for a slow socket beyond which nothing more is read from it. With one packet more, that
/// is the most that waits.
pub const WRITE_HIGH: usize = 64 * 1024;

/// Bytes waiting for a slow socket beyond which no more of its mail is prepared: below [`WRITE_HIGH`], so that
/// a client with a backlog is still listened to.
pub const MAIL_HIGH: usize = 32 * 1024;

/// How long a client may take for [`TAKEN_AT_LEAST`] of what waits for it.
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Bytes that a client has to take within [`STALLED_AFTER`], unless it takes everything.
pub const TAKEN_AT_LEAST: usize = 1024;

/// A publish that follows the connection's last acknowledgement this closely is a backlog.
pub const EAGER_WITHIN: Duration = Duration::from_millis(50);

/// How long a closing connection may take to send its last bytes.
pub const LAST_WORDS: Duration = Duration::from_secs(2);

/// Charged to a queue or the retained store per message beyond its bytes.
pub const MESSAGE_OVERHEAD: usize = 160;

/// Internal subscribers' queue, messages.
pub const INTERNAL_QUEUE: usize = 10_000;

/// After a failed accept.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// TCP keep-alive: a peer that is silent for so long is asked whether it is still there,
pub const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);

/// so often,
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// and so many times in vain before its connection ends.
pub const KEEP_ALIVE_PROBES: u32 = 3;

/// Bytes of the name in a client certificate; a longer one names nobody.
pub const CERTIFIED_NAME_BYTES: usize = 256;

/// Bytes of a WebSocket frame that we send; more to send is more frames.
pub const FRAME_SENT: usize = 16 * 1024;

/// Bytes that a WebSocket's header may add to an MQTT packet of the largest size: its fixed header.
pub const PACKET_HEADER: usize = 5;

/// Bytes read from a WebSocket's stream at a time.
pub const FRAME_READ: usize = 4 * 1024;

/// The bounds a configuration may move.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; further ones are refused.
    pub max_connections: usize,
    /// Of these, from one address (IPv6: one /64), unless it is loopback.
    pub max_connections_per_address: usize,
    /// Of these, before their CONNECT is complete; the longest-silent makes room.
    pub max_greeting: usize,
    /// Largest packet taken from a client, bytes after the fixed header.
    pub max_packet: usize,
    /// From accept to a complete CONNECT.
    pub connect_timeout: Duration,
    /// Sessions kept for absent clients; further persistent ones are refused.
    pub max_sessions: usize,
    /// Messages queued for one session.
    pub queue_messages: usize,
    /// Bytes queued for one session, with [`MESSAGE_OVERHEAD`] a message.
    pub queue_bytes: usize,
    /// Bytes queued for all sessions together.
    pub queue_bytes_total: usize,
    /// Retained messages; further topics are delivered but not retained.
    pub retained_messages: usize,
    /// Bytes of retained messages, with [`MESSAGE_OVERHEAD`] a message.
    pub retained_bytes: usize,
    /// Longest time an absent client's session is kept.
    pub session_expiry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            max_connections_per_address: 250,
            max_greeting: 256,
            max_packet: 256 * 1024,
            connect_timeout: Duration::from_secs(10),
            max_sessions: 10_000,
            queue_messages: 100_000,
            queue_bytes: 16 * 1024 * 1024,
            queue_bytes_total: 64 * 1024 * 1024,
            retained_messages: 20_000,
            retained_bytes: 16 * 1024 * 1024,
            session_expiry: Duration::from_secs(30 * 86_400),
        }
    }
}
