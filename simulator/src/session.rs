//! A publisher's side of an MQTT session: what is in flight, and what to send again.
//!
//! Sans I/O: the caller moves bytes, this decides. Packets stay in one buffer, in the order in which
//! they were made, until they are acknowledged; after a reconnect they go out again in that order, as
//! §4.6 asks, those that may have arrived marked DUP.

use std::collections::VecDeque;

use crate::packet::{self, Inbound, Qos};

/// How many unwritten bytes a `QoS` 0 session gathers before it wants them written.
const QOS_0_BYTES: usize = 64 * 1024;
/// Acknowledged bytes at the buffer's front that are worth moving the rest for.
const SLACK_BYTES: usize = 64 * 1024;

/// Publishes of one client, from being made until being acknowledged.
#[derive(Debug)]
pub(crate) struct Session {
    qos: Qos,
    inflight: usize,
    bytes: Vec<u8>,
    /// How much of `bytes` is on the wire.
    written: usize,
    /// How many bytes were cut from the front of `bytes` so far.
    cut: u64,
    flights: VecDeque<Flight>,
    next_id: u16,
    payload: Vec<u8>,
    pub(crate) tally: Tally,
}

/// What became of a session's publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Made, and so about to be written.
    pub(crate) published: u64,
    /// Acknowledged for good (at `QoS` 0: written).
    pub(crate) acknowledged: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    id: u16,
    /// Where its PUBLISH begins, counted from the session's first byte.
    from: u64,
    length: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The PUBLISH awaits its PUBACK or PUBREC.
    Published,
    /// The PUBREL awaits its PUBCOMP.
    Released,
    /// Acknowledged, behind others that are not.
    Done,
}

/// An acknowledgement that answers nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker acknowledged packet {0}, which was not in flight")]
pub(crate) struct Unasked(u16);

impl Session {
    pub(crate) fn new(qos: Qos, inflight: u16) -> Self {
        Self {
            qos,
            inflight: usize::from(inflight),
            bytes: Vec::new(),
            written: 0,
            cut: 0,
            flights: VecDeque::new(),
            next_id: 1,
            payload: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Whether another publish may be made.
    pub(crate) fn has_room(&self) -> bool {
        match self.qos {
            Qos::Zero => self.bytes.len() < QOS_0_BYTES,
            Qos::One | Qos::Two => self.flights.len() < self.inflight,
        }
    }

    /// Whether everything made has been acknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.flights.is_empty() && self.unwritten().is_empty()
    }

    /// Makes a publish; its payload is what `write` appends.
    pub(crate) fn publish(&mut self, topic: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.payload.clear();
        write(&mut self.payload);
        let (from, id) = (self.bytes.len(), self.next_id);
        packet::write_publish(self.qos, id, topic, &self.payload, &mut self.bytes);
        self.tally.published += 1;
        match self.qos {
            Qos::Zero => {}
            Qos::One | Qos::Two => {
                self.next_id = id.checked_add(1).unwrap_or(1);
                self.flights.push_back(Flight {
                    id,
                    from: self.cut + from as u64,
                    length: self.bytes.len() - from,
                    stage: Stage::Published,
                });
            }
        }
    }

    /// What is to be written to the wire.
    pub(crate) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// All of [`Self::unwritten`] went out.
    pub(crate) fn wrote_all(&mut self) {
        self.written = self.bytes.len();
        match self.qos {
            Qos::Zero => {
                self.tally.acknowledged = self.tally.published;
                self.cut_front(self.written);
            }
            Qos::One | Qos::Two => {}
        }
    }

    /// Takes in what the broker says.
    pub(crate) fn receive(&mut self, packet: Inbound) -> Result<(), Unasked> {
        match packet {
            Inbound::PubAck(id) => self.step(id, Qos::One, Stage::Published, Stage::Done),
            Inbound::PubRec(id) => {
                self.step(id, Qos::Two, Stage::Published, Stage::Released)?;
                packet::write_pubrel(id, &mut self.bytes);
                Ok(())
            }
            Inbound::PubComp(id) => self.step(id, Qos::Two, Stage::Released, Stage::Done),
            Inbound::ConnAck(_) | Inbound::PingResp => Ok(()),
        }
    }

    /// Begins anew on another connection: everything unacknowledged is to be written again, in order.
    /// At `QoS` 0 what was not written whole is lost, as that level allows.
    pub(crate) fn resume(&mut self) {
        let old = std::mem::take(&mut self.bytes);
        for flight in &mut self.flights {
            let start = usize::try_from(flight.from - self.cut)
                .expect("an unacknowledged publish is still in the buffer");
            flight.from = self.cut + self.bytes.len() as u64;
            match flight.stage {
                Stage::Published => {
                    let at = self.bytes.len();
                    self.bytes
                        .extend_from_slice(&old[start..start + flight.length]);
                    packet::mark_duplicate(&mut self.bytes[at..]);
                }
                Stage::Released => {
                    packet::write_pubrel(flight.id, &mut self.bytes);
                    flight.length = 0;
                }
                Stage::Done => flight.length = 0,
            }
        }
        self.written = 0;
    }

    fn step(&mut self, id: u16, qos: Qos, from: Stage, to: Stage) -> Result<(), Unasked> {
        let first = self.flights.front().ok_or(Unasked(id))?.id;
        // Ids run 1..=65535 and round again, and fewer than that are in flight.
        let place = (u32::from(id) + 65_535 - u32::from(first)) % 65_535;
        let flight = self
            .flights
            .get_mut(place as usize)
            .filter(|flight| flight.id == id && flight.stage == from && qos == self.qos)
            .ok_or(Unasked(id))?;
        flight.stage = to;
        if to == Stage::Done {
            self.tally.acknowledged += 1;
        }
        while self
            .flights
            .front()
            .is_some_and(|flight| flight.stage == Stage::Done)
        {
            self.flights.pop_front();
        }
        let keep_from = self
            .flights
            .front()
            .map_or(self.written as u64, |flight| flight.from - self.cut);
        let spent = usize::try_from(keep_from)
            .expect("a place in the buffer")
            .min(self.written);
        if spent >= SLACK_BYTES || spent == self.bytes.len() {
            self.cut_front(spent);
        }
        Ok(())
    }

    fn cut_front(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.written -= count;
        self.cut += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(qos: Qos, inflight: u16, publishes: u32) -> Session {
        let mut session = Session::new(qos, inflight);
        for number in 0..publishes {
            assert!(session.has_room());
            session.publish("t", |out| {
                out.extend_from_slice(number.to_string().as_bytes());
            });
        }
        session
    }

    /// PUBLISH payloads (with `!` for DUP) and PUBREL ids (`~`), as they stand on the wire.
    fn on_the_wire(mut bytes: &[u8]) -> String {
        let mut seen = Vec::new();
        while let [first, length, rest @ ..] = bytes {
            let (body, after) = rest.split_at(usize::from(*length));
            seen.push(match first {
                0x62 => format!("~{}", body[1]),
                first => {
                    let payload = String::from_utf8(body[5..].to_vec()).unwrap();
                    let dup = if first & 0x08 == 0 { "" } else { "!" };
                    format!("{payload}{dup}")
                }
            });
            bytes = after;
        }
        seen.join(" ")
    }

    #[test]
    fn the_window_limits_what_is_in_flight() {
        let mut session = session(Qos::One, 2, 2);
        assert!(!session.has_room());
        session.wrote_all();
        session.receive(Inbound::PubAck(1)).unwrap();
        assert!(session.has_room());
    }

    #[test]
    fn after_a_reconnect_the_unacknowledged_goes_out_again_in_order() {
        let mut session = session(Qos::One, 4, 4);
        session.wrote_all();
        session.receive(Inbound::PubAck(2)).unwrap();
        session.resume();
        assert_eq!(on_the_wire(session.unwritten()), "0! 2! 3!");
        session.wrote_all();
        for id in [1, 3, 4] {
            session.receive(Inbound::PubAck(id)).unwrap();
        }
        assert!(session.is_settled());
        assert_eq!(session.tally.acknowledged, 4);
    }

    #[test]
    fn at_qos_2_what_was_received_is_released_and_not_sent_again() {
        let mut session = session(Qos::Two, 3, 3);
        session.wrote_all();
        session.receive(Inbound::PubRec(1)).unwrap();
        session.receive(Inbound::PubRec(2)).unwrap();
        session.wrote_all();
        session.receive(Inbound::PubComp(2)).unwrap();
        session.resume();
        session.resume();
        assert_eq!(on_the_wire(session.unwritten()), "~1 2!");
        assert_eq!(session.tally.acknowledged, 1);
    }

    #[test]
    fn an_acknowledgement_that_answers_nothing_is_refused() {
        let mut session = session(Qos::One, 2, 1);
        assert_eq!(session.receive(Inbound::PubAck(2)), Err(Unasked(2)));
        assert_eq!(session.receive(Inbound::PubRec(1)), Err(Unasked(1)));
        session.receive(Inbound::PubAck(1)).unwrap();
        assert_eq!(session.receive(Inbound::PubAck(1)), Err(Unasked(1)));
    }

    #[test]
    fn ids_wrap_around_without_a_zero() {
        let mut session = Session::new(Qos::One, 1);
        let mut last = 0;
        for round in 0..140_000_u32 {
            session.publish("t", |out| out.push(b'x'));
            session.wrote_all();
            last = u16::try_from(round % 65_535 + 1).unwrap();
            session.receive(Inbound::PubAck(last)).unwrap();
        }
        assert_eq!(session.tally.acknowledged, 140_000);
        assert_eq!(last, 8_930);
        assert!(session.bytes.is_empty(), "nothing acknowledged is kept");
    }
}
