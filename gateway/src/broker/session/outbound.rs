//! The other direction: messages to the client, their packet ids, and the window they share.

use super::{Flight, PUBREL, Session, Stage};
use crate::broker::codec::{self, Ack, Reason, Version};
use crate::broker::intake::BrokerWrite;
use crate::broker::limits::MAIL_HIGH;
use crate::broker::message::{Delivery, Qos};
use bytes::BytesMut;
use std::time::Instant;

/// What became of a message for the client.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// In the output.
    Sent,
    /// It has expired, or the client takes no packet that large.
    Discarded,
}

impl Session {
    /// How many messages above QoS 0 may be sent now.
    pub(crate) fn room(&self) -> usize {
        if self.unsent > 0 {
            0
        } else {
            self.window.saturating_sub(self.in_use)
        }
    }

    /// Sends one message; above QoS 0 the caller has asked for [`Session::room`].
    pub(crate) fn send(
        &mut self,
        delivery: Delivery,
        out: &mut BytesMut,
        writes: &mut Vec<BrokerWrite>,
        now: Instant,
    ) -> Sent {
        if delivery.message.expired(now) || self.is_too_large(&delivery) {
            self.forget_row(&delivery, writes);
            return Sent::Discarded;
        }
        if delivery.qos == Qos::AtMostOnce {
            codec::publish(out, &delivery, 0, false, self.version, now);
            return Sent::Sent;
        }
        let id = self.next_id();
        codec::publish(out, &delivery, id, false, self.version, now);
        self.memory.in_flight.push_back(Flight {
            id,
            stage: Stage::Published,
            delivery,
        });
        self.in_use += 1;
        Sent::Sent
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
            match flight.stage {
                Stage::Released => {
                    codec::ack(out, PUBREL, flight.id, Reason::Success, self.version);
                    self.in_use += 1;
                }
                Stage::Unsent | Stage::Published if self.is_too_large(&flight.delivery) => {
                    self.forget_row(&flight.delivery, writes);
                    continue;
                }
                Stage::Unsent | Stage::Published => {
                    flight.stage = Stage::Unsent;
                    self.unsent += 1;
                }
            }
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
            if flight.stage == Stage::Unsent {
                codec::publish(out, &flight.delivery, flight.id, true, self.version, now);
                flight.stage = Stage::Published;
                self.in_use += 1;
                self.unsent -= 1;
            }
        }
    }

    /// Sends on what [`Session::resume`] had no room for.
    pub(crate) fn resume_rest(&mut self, out: &mut BytesMut, now: Instant) {
        self.send_again(out, now);
    }

    pub(super) fn on_pub_ack(&mut self, ack: Ack, writes: &mut Vec<BrokerWrite>) {
        // An id that is not in flight is ignored: it may be left over from before a restart.
        if let Some(at) = self.find(ack.id, Stage::Published, Qos::AtLeastOnce) {
            self.land(at, writes);
        }
    }

    pub(super) fn on_pub_rec(
        &mut self,
        ack: Ack,
        out: &mut BytesMut,
        writes: &mut Vec<BrokerWrite>,
    ) {
        if let Some(at) = self.find(ack.id, Stage::Published, Qos::ExactlyOnce) {
            if ack.reason >= 0x80 {
                return self.land(at, writes);
            }
            self.memory.in_flight[at].stage = Stage::Released;
            codec::ack(out, PUBREL, ack.id, Reason::Success, self.version);
        } else if self
            .find(ack.id, Stage::Released, Qos::ExactlyOnce)
            .is_some()
        {
            codec::ack(out, PUBREL, ack.id, Reason::Success, self.version);
        } else if ack.reason < 0x80 {
            codec::ack(
                out,
                PUBREL,
                ack.id,
                Reason::PacketIdentifierNotFound,
                self.version,
            );
        }
    }

    pub(super) fn on_pub_comp(&mut self, ack: Ack, writes: &mut Vec<BrokerWrite>) {
        if let Some(at) = self.find(ack.id, Stage::Released, Qos::ExactlyOnce) {
            self.land(at, writes);
        }
    }

    fn find(&self, id: u16, stage: Stage, qos: Qos) -> Option<usize> {
        let fits = |flight: &Flight| {
            flight.id == id && flight.stage == stage && flight.delivery.qos == qos
        };
        self.memory.in_flight.iter().position(fits)
    }

    fn land(&mut self, at: usize, writes: &mut Vec<BrokerWrite>) {
        if let Some(flight) = self.memory.in_flight.remove(at) {
            self.in_use -= 1;
            self.forget_row(&flight.delivery, writes);
        }
    }

    fn forget_row(&self, delivery: &Delivery, writes: &mut Vec<BrokerWrite>) {
        if let Some(ordinal) = delivery.ordinal {
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
            if id != 0 && !self.memory.in_flight.iter().any(|flight| flight.id == id) {
                return id;
            }
        }
    }
}
