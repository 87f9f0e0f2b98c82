//! The other direction: messages to the client, their packet ids, and the window they share.
//!
//! A message that has a row has the packet id that follows from it, and at QoS 2 its PUBREL waits until the
//! PUBREC is on disk: so whatever is killed in between, the handshake goes on where it was.

use super::memory::id_of;
use super::{Answer, Flight, PUBREL, Session, Stage};
use crate::broker::codec::{self, Ack, Reason, Version};
use crate::broker::intake::BrokerWrite;
use crate::broker::limits::MAIL_HIGH;
use crate::broker::message::{Delivery, Qos};
use bytes::BytesMut;
use std::time::Instant;

/// Ordinals this far apart share a packet id.
const ROUND: u64 = u16::MAX as u64;

/// What became of a message for the client.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It is in the output.
    Yes,
    /// It has expired, or the client takes no packet that large.
    Discarded,
    /// The window is full, or its packet id is still in use: it stays the next.
    NotNow(Delivery),
}

impl Session {
    /// Sends one message, if it is its turn.
    pub(crate) fn send(
        &mut self,
        delivery: Delivery,
        out: &mut BytesMut,
        writes: &mut Vec<BrokerWrite>,
        now: Instant,
    ) -> Sent {
        if delivery.message.expired(now) || self.is_too_large(&delivery) {
            self.forget_row(delivery.ordinal, writes);
            return Sent::Discarded;
        }
        if delivery.qos == Qos::AtMostOnce {
            codec::publish(out, &delivery, 0, false, self.version, now);
            return Sent::Yes;
        }
        if !self.has_room() {
            return Sent::NotNow(delivery);
        }
        let id = match delivery.ordinal {
            None => self.next_id(),
            Some(ordinal) if self.oldest_ordinal() + ROUND <= ordinal => {
                return Sent::NotNow(delivery);
            }
            Some(ordinal) => {
                self.memory.sent = self.memory.sent.max(ordinal);
                let id = id_of(ordinal);
                // Taken only where a session that was persistent is so no longer: then it need not last.
                if self.is_taken(id) {
                    self.next_id()
                } else {
                    id
                }
            }
        };
        codec::publish(out, &delivery, id, false, self.version, now);
        self.memory.in_flight.push_back(Flight {
            id,
            ordinal: delivery.ordinal,
            stage: Stage::Published(delivery),
        });
        self.in_use += 1;
        Sent::Yes
    }

    /// Whether a message above QoS 0 may be sent now.
    fn has_room(&self) -> bool {
        self.unsent == 0 && self.in_use < self.window
    }

    /// Whether nothing can be sent until a release is on disk: the commit must not wait for company.
    pub(crate) fn waits_for_release(&self) -> bool {
        let is_releasing = |flight: &Flight| matches!(flight.stage, Stage::Releasing(_));
        self.in_use >= self.window && self.memory.in_flight.iter().any(is_releasing)
    }

    /// After CONNACK of a resumed session: what was in flight goes out again, as far as the window allows.
    pub(crate) fn resume(
        &mut self,
        out: &mut BytesMut,
        writes: &mut Vec<BrokerWrite>,
        now: Instant,
    ) {
        let flights = std::mem::take(&mut self.memory.in_flight);
        for mut flight in flights {
            flight.stage = match flight.stage {
                Stage::Released => {
                    codec::ack(out, PUBREL, flight.id, Reason::Success, self.version);
                    self.in_use += 1;
                    Stage::Released
                }
                Stage::Unsent(delivery)
                | Stage::Published(delivery)
                | Stage::Releasing(delivery) => {
                    if self.is_too_large(&delivery) {
                        self.forget_row(flight.ordinal, writes);
                        continue;
                    }
                    self.unsent += 1;
                    Stage::Unsent(delivery)
                }
            };
            self.memory.in_flight.push_back(flight);
        }
        self.send_again(out, now);
    }

    fn send_again(&mut self, out: &mut BytesMut, now: Instant) {
        if self.unsent == 0 {
            return;
        }
        for flight in &mut self.memory.in_flight {
            // What waits for a slow socket is bounded, here as in the connection's pump.
            if self.in_use >= self.window || out.len() >= MAIL_HIGH {
                break;
            }
            flight.stage = match std::mem::replace(&mut flight.stage, Stage::Released) {
                Stage::Unsent(delivery) => {
                    codec::publish(out, &delivery, flight.id, true, self.version, now);
                    self.in_use += 1;
                    self.unsent -= 1;
                    Stage::Published(delivery)
                }
                stage @ (Stage::Published(_) | Stage::Releasing(_) | Stage::Released) => stage,
            };
        }
    }

    /// Sends on what [`Session::resume`] had no room for.
    pub(crate) fn resume_rest(&mut self, out: &mut BytesMut, now: Instant) {
        self.send_again(out, now);
    }

    pub(super) fn on_pub_ack(&mut self, ack: Ack, writes: &mut Vec<BrokerWrite>) {
        // An id that is not in flight is ignored: it may be left over from before a restart.
        if let Some(at) = self.find(ack.id)
            && let Stage::Published(delivery) = &self.memory.in_flight[at].stage
            && delivery.qos == Qos::AtLeastOnce
        {
            self.land(at, writes);
        }
    }

    pub(super) fn on_pub_rec(
        &mut self,
        ack: Ack,
        out: &mut BytesMut,
        writes: &mut Vec<BrokerWrite>,
    ) {
        let Some(at) = self.find(ack.id) else {
            if ack.reason < 0x80 {
                let unknown = Reason::PacketIdentifierNotFound;
                codec::ack(out, PUBREL, ack.id, unknown, self.version);
            }
            return;
        };
        let must_last = self.is_durable();
        let flight = &mut self.memory.in_flight[at];
        match std::mem::replace(&mut flight.stage, Stage::Released) {
            Stage::Published(delivery) if delivery.qos == Qos::ExactlyOnce => {
                if ack.reason >= 0x80 {
                    return self.land(at, writes);
                }
                match flight.ordinal.filter(|_| must_last) {
                    None => codec::ack(out, PUBREL, ack.id, Reason::Success, self.version),
                    Some(ordinal) => {
                        flight.stage = Stage::Releasing(delivery);
                        writes.push(BrokerWrite::QueueRelease {
                            client: self.client.as_ref().to_owned(),
                            ordinal,
                        });
                        self.owe(Answer::PubRel(ack.id), true, out);
                    }
                }
            }
            Stage::Released => codec::ack(out, PUBREL, ack.id, Reason::Success, self.version),
            // Its PUBREL is on the way, or it is no answer to what was sent.
            stage @ (Stage::Releasing(_) | Stage::Published(_) | Stage::Unsent(_)) => {
                flight.stage = stage;
            }
        }
    }

    /// The release of `id` is on disk.
    pub(super) fn released(&mut self, id: u16, out: &mut BytesMut) {
        if let Some(at) = self.find(id) {
            self.memory.in_flight[at].stage = Stage::Released;
            codec::ack(out, PUBREL, id, Reason::Success, self.version);
        }
    }

    /// The release of `id` did not get to disk: the message is sent again when the client returns, and
    /// released then.
    pub(super) fn not_released(&mut self, id: u16) {
        if let Some(at) = self.find(id) {
            let stage = &mut self.memory.in_flight[at].stage;
            *stage = match std::mem::replace(stage, Stage::Released) {
                Stage::Releasing(delivery) => Stage::Published(delivery),
                stage @ (Stage::Unsent(_) | Stage::Published(_) | Stage::Released) => stage,
            };
        }
    }

    pub(super) fn on_pub_comp(&mut self, ack: Ack, writes: &mut Vec<BrokerWrite>) {
        if let Some(at) = self.find(ack.id)
            && matches!(self.memory.in_flight[at].stage, Stage::Released)
        {
            self.land(at, writes);
        }
    }

    fn find(&self, id: u16) -> Option<usize> {
        let mut flights = self.memory.in_flight.iter();
        flights.position(|flight| flight.id == id)
    }

    fn is_taken(&self, id: u16) -> bool {
        self.find(id).is_some()
    }

    /// Of the messages in flight; without one, no packet id is in use.
    fn oldest_ordinal(&self) -> u64 {
        // They are sent in order, so the first is the oldest.
        let mut flights = self.memory.in_flight.iter();
        let oldest = flights.find_map(|flight| flight.ordinal);
        oldest.unwrap_or(u64::MAX - ROUND)
    }

    fn land(&mut self, at: usize, writes: &mut Vec<BrokerWrite>) {
        if let Some(flight) = self.memory.in_flight.remove(at) {
            self.in_use -= 1;
            self.forget_row(flight.ordinal, writes);
        }
    }

    fn forget_row(&self, ordinal: Option<u64>, writes: &mut Vec<BrokerWrite>) {
        if let Some(ordinal) = ordinal {
            writes.push(BrokerWrite::QueuePop {
                client: self.client.as_ref().to_owned(),
                ordinal,
            });
        }
    }

    fn is_too_large(&self, delivery: &Delivery) -> bool {
        // Section 3.1.2.11.4: as if it had been sent. 3.1.1 clients set no maximum.
        self.version == Version::V5 && codec::publish_size(delivery, self.version) > self.max_packet
    }

    fn next_id(&mut self) -> u16 {
        loop {
            self.memory.last_id = self.memory.last_id.wrapping_add(1);
            let id = self.memory.last_id;
            // The window is far smaller than the ids: a free one is near.
            if id != 0 && !self.is_taken(id) {
                return id;
            }
        }
    }
}
