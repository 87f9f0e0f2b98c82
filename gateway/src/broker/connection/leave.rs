//! The end of a connection: last acknowledgements, last words, the will, and the session put down where the
//! next connection finds it.

use super::{Connection, End};
use crate::broker::codec::{self, Reason, Version};
use crate::broker::intake::{BrokerWrite, Mapper, Order};
use crate::broker::limits::{LAST_WORDS, READ_SMALLEST};
use crate::broker::session::{self, Absence, Whereabouts};
use crate::broker::stats::Stats;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What an end means for the client and its session.
struct Farewell {
    /// MQTT 5 clients are told, and in words.
    reason: Option<(Reason, &'static str)>,
    publish_will: bool,
    /// Whether what is owed is still waited for.
    wait: bool,
}

impl End {
    fn farewell(&self, durable: bool) -> Farewell {
        match self {
            Self::Left { publish_will } => Farewell {
                reason: None,
                publish_will: *publish_will,
                wait: durable,
            },
            // Who takes nothing would not take a goodbye either.
            Self::Lost | Self::Stalled => Farewell {
                reason: None,
                publish_will: true,
                wait: durable,
            },
            Self::Bad(bad) => Farewell {
                reason: Some((bad.reason, bad.what)),
                publish_will: true,
                wait: durable,
            },
            Self::Silent => Farewell {
                reason: Some((
                    Reason::KeepAliveTimeout,
                    "nothing came for one and a half keep-alives; send a PINGREQ in time",
                )),
                publish_will: true,
                wait: durable,
            },
            Self::Unwritten => Farewell {
                reason: Some((
                    Reason::UnspecifiedError,
                    "what was published could not be stored; send it again later",
                )),
                publish_will: true,
                wait: false,
            },
            Self::Panicked => Farewell {
                reason: Some((
                    Reason::UnspecifiedError,
                    "the broker failed in serving this client; connect again",
                )),
                publish_will: true,
                wait: durable,
            },
            Self::Revoked => Farewell {
                reason: Some((
                    Reason::NotAuthorized,
                    "what this client may do has changed; log in and subscribe again",
                )),
                publish_will: true,
                wait: durable,
            },
            Self::Told(Order::TakenOver) => Farewell {
                reason: Some((
                    Reason::SessionTakenOver,
                    "another connection uses this client id; give each client its own",
                )),
                publish_will: true,
                wait: durable,
            },
            Self::Told(Order::ShuttingDown) => Farewell {
                reason: Some((
                    Reason::ServerShuttingDown,
                    "the broker is shutting down; come back later",
                )),
                publish_will: false,
                wait: true,
            },
            Self::Told(Order::Ended | Order::None) => Farewell {
                reason: Some((Reason::AdministrativeAction, "the session was ended here")),
                publish_will: true,
                wait: durable,
            },
        }
    }
}

/// Reads what still comes, and forgets it, until the peer has hung up. A socket closed with bytes unread is
/// reset, and the peer never gets to read why.
pub(super) async fn until_gone<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<()> {
    let mut forgotten = [0; READ_SMALLEST];
    while stream.read(&mut forgotten).await? > 0 {}
    Ok(())
}

impl<M: Mapper> Connection<'_, M> {
    /// Says goodbye and puts the session down.
    pub(super) async fn leave<S>(mut self, stream: &mut S, end: End)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Farewell {
            reason,
            publish_will,
            wait,
        } = end.farewell(self.session.is_durable());
        if matches!(end, End::Panicked) {
            let client = &*self.session.client;
            tracing::error!(client, "a connection failed for a fault of our own");
            // Its last words may be half a packet, and what it was about to submit it never will.
            self.output.truncate(self.counted);
            self.session.fail_unsubmitted();
        }
        if wait {
            self.await_receipts().await;
        }
        // What the writer has not answered counts as not received.
        self.session.fail();
        if let Some((reason, words)) = reason {
            codec::disconnect(&mut self.output, reason, words, self.session.terms());
        }
        match end {
            End::Lost => {}
            End::Stalled => Stats::add(&self.core.stats.stalled, 1),
            End::Left { .. }
            | End::Bad(_)
            | End::Silent
            | End::Told(_)
            | End::Revoked
            | End::Unwritten
            | End::Panicked => {
                self.say_last_words(stream).await;
            }
        }
        self.put_down(publish_will).await;
        if matches!(end, End::Bad(_)) {
            // Whoever breaks the rules is often still sending.
            drop(tokio::time::timeout(LAST_WORDS, until_gone(stream)).await);
        }
    }

    /// The session must know which of its QoS 2 publishes are on disk before another connection goes on
    /// with it. The writer answers everything it was given, at the latest by dropping it.
    async fn await_receipts(&mut self) {
        while self.session.pending() > 0 {
            if self.collect_receipts().is_err() || self.session.pending() == 0 {
                return;
            }
            self.line.wake.notified().await;
        }
    }

    async fn say_last_words<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) {
        self.count_output();
        let words = async {
            stream.write_all(&self.output).await?;
            Stats::add(&self.core.stats.bytes_out, self.output.len() as u64);
            stream.shutdown().await
        };
        if tokio::time::timeout(LAST_WORDS, words).await.is_err() {
            tracing::debug!(client = &*self.slot.client, "the peer took no last words");
        }
    }

    async fn put_down(mut self, publish_will: bool) {
        let durable = self.session.is_durable();
        let client = || self.slot.client.as_ref().to_owned();
        let expiry = self.session.memory.expiry(&self.core.hub.limits);
        let mut will = self.will.take().filter(|_| publish_will);
        if self.session.version == Version::V5
            && let Some(will) = &mut will
        {
            // A will waits no longer than its session.
            let longest = u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX);
            will.delay_s = will.delay_s.min(longest);
        }
        let (now_due, later) = match will {
            Some(will) if durable && will.delay_s > 0 => (None, Some(will)),
            will => (will, None),
        };
        let mut writes = std::mem::take(&mut self.writes);
        let hub = &self.core.hub;
        if durable {
            let present = hub.present();
            let memory = std::mem::take(&mut self.session.memory);
            let absence = Absence {
                since_ms: present.wall_ms,
                will: later,
            };
            let whereabouts = Whereabouts::Away {
                since_ms: absence.since_ms,
                will: absence.will.as_deref(),
            };
            writes.push(session::row(&self.slot, &memory, whereabouts));
            self.core
                .publish_wills(now_due.map(|will| *will), writes)
                .await;
            hub.park(&self.slot, memory, absence, present);
            if self.line.take_review() {
                // It was asked when it had no ear any more, and the absent may have been judged before.
                self.core.review_absent();
            }
        } else {
            if self.has_rows {
                // No message may be given a row after this one.
                hub.silence(&self.slot);
                writes.push(BrokerWrite::SessionDrop { client: client() });
            }
            // Submitted before the client id is free: a new session's rows come after it.
            self.core
                .publish_wills(now_due.map(|will| *will), writes)
                .await;
            hub.end(&self.slot);
        }
        self.seat.given_up();
    }
}
