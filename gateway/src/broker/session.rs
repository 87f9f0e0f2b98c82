//! One client's conversation, without its socket: packets and receipts in, bytes and publishes out.
//!
//! What a publish is owed waits in `owed`, in the order of arrival, until the writer's receipt: nothing is
//! acknowledged that is not on disk. It never waits, reads no clock and knows no other client.

mod memory;
mod outbound;
#[cfg(test)]
mod tests;

pub(crate) use memory::{
    Absence, Flight, Memory, Remembered, Stage, Whereabouts, decode, id_of, row,
};
pub(crate) use outbound::Sent;

use super::codec::{
    self, Ack, Bad, Connect, Packet, Publish, Reason, Subscribe, Terms, Unsubscribe, Version,
};
use super::intake::BrokerWrite;
use super::limits::{OUTBOUND_WINDOW, RECEIVED_IDS, TOPIC_ALIAS_MAXIMUM};
use super::message::Qos;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;

const PUBACK: u8 = 0x40;
const PUBREC: u8 = 0x50;
const PUBREL: u8 = 0x62;
const PUBCOMP: u8 = 0x70;

const NOT_ALLOWED: &str =
    "this client may not publish to this topic; ask for a publish filter that matches it";
const NOT_HELD: &str = "no publish at QoS 2 with this packet id waits for its release";

/// What a packet asks of those around the session.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: what there was to say is in the output.
    Done,
    /// To the writer. Its acknowledgement is owed.
    Publish(Publish),
    /// A publish that the client may not make: answered, and dropped.
    Denied,
    /// To the registry, then [`Session::sub_ack`].
    Subscribe(Subscribe),
    /// To the registry, then [`Session::unsub_ack`].
    Unsubscribe(Unsubscribe),
    /// The client says goodbye.
    Leave { publish_will: bool },
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) version: Version,
    pub(crate) memory: Box<Memory>,
    pub(crate) client: Box<str>,
    owed: VecDeque<Owed>,
    /// Bytes of the [`Answer::Prepared`] among them.
    prepared: VecDeque<Bytes>,
    /// Owed answers that no submission carries yet.
    unsubmitted: u64,
    /// Publishes among the owed that subscribers get after their commit.
    held: usize,
    aliases: Vec<Bytes>,
    /// Outbound messages in flight at most, and now.
    window: usize,
    in_use: usize,
    unsent: usize,
    max_packet: usize,
    /// Rows of this session changed: its state is to be written.
    dirty: bool,
    /// The expiry that CONNECT asked for: a DISCONNECT may not turn 0 into more.
    connect_expiry_s: u32,
    explains: bool,
}

/// Something the client waits for.
#[derive(Clone, Copy, Debug)]
struct Owed {
    answer: Answer,
    /// Whether a receipt must come first; without, it only keeps its place.
    awaits_commit: bool,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A QoS 0 publish: nothing to say, but it counts as pending until it is on disk.
    Silence,
    /// The same of one that has passed the writer.
    Passed,
    PubAck(u16, Reason),
    PubRec(u16, Reason),
    PubComp(u16, Reason),
    /// Of a message to the client, whose PUBREC must be on disk first.
    PubRel(u16),
    Prepared,
}

impl Owed {
    /// Whether it is a publish that subscribers get after its commit.
    fn is_held(self) -> bool {
        match self.answer {
            Answer::Silence => true,
            Answer::PubAck(..) | Answer::PubRec(..) => self.awaits_commit,
            Answer::Passed | Answer::PubComp(..) | Answer::PubRel(_) | Answer::Prepared => false,
        }
    }
}

impl Session {
    pub(crate) fn new(connect: &Connect, client: &str, memory: Option<Box<Memory>>) -> Self {
        let mut memory = memory.unwrap_or_default();
        memory.expiry_s = connect.expiry_s;
        Self {
            version: connect.version,
            memory,
            client: client.into(),
            owed: VecDeque::new(),
            prepared: VecDeque::new(),
            unsubmitted: 0,
            held: 0,
            aliases: Vec::new(),
            window: usize::from(connect.receive_maximum).min(OUTBOUND_WINDOW),
            in_use: 0,
            unsent: 0,
            max_packet: connect.max_packet,
            dirty: connect.expiry_s > 0,
            connect_expiry_s: connect.expiry_s,
            explains: connect.explains,
        }
    }

    /// How the client may be spoken to.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            version: self.version,
            explains: self.explains,
            max_packet: self.max_packet,
        }
    }

    /// Whether the session outlives its connection, so that its state belongs on disk.
    pub(crate) fn is_durable(&self) -> bool {
        self.memory.expiry_s > 0
    }

    /// Publishes and answers that wait for the writer.
    pub(crate) fn pending(&self) -> usize {
        self.owed.len()
    }

    /// Whether the publish just made may pass the writer: it is at QoS 0, and nothing that this client published
    /// before is held there.
    pub(crate) fn may_pass(&self) -> bool {
        self.held == 0
    }

    /// Owed answers that the next submission has to carry.
    pub(crate) fn take_unsubmitted(&mut self) -> u64 {
        std::mem::take(&mut self.unsubmitted)
    }

    /// Whether the state on disk is no longer that of memory; asked once a submission.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty) && self.is_durable()
    }

    /// One packet. `may_publish` is asked about the topic of a new publish.
    pub(crate) fn on_packet(
        &mut self,
        packet: Packet,
        may_publish: impl FnOnce(&str) -> bool,
        out: &mut BytesMut,
        writes: &mut Vec<BrokerWrite>,
    ) -> Result<Step, Bad> {
        match packet {
            Packet::Publish(publish) => self.on_publish(publish, may_publish, out),
            Packet::PubRel(ack) => {
                self.on_pub_rel(ack, out);
                Ok(Step::Done)
            }
            Packet::PubAck(ack) => {
                self.on_pub_ack(ack, writes);
                Ok(Step::Done)
            }
            Packet::PubRec(ack) => {
                self.on_pub_rec(ack, out, writes);
                Ok(Step::Done)
            }
            Packet::PubComp(ack) => {
                self.on_pub_comp(ack, writes);
                Ok(Step::Done)
            }
            Packet::Subscribe(subscribe) => Ok(Step::Subscribe(subscribe)),
            Packet::Unsubscribe(unsubscribe) => Ok(Step::Unsubscribe(unsubscribe)),
            Packet::Ping => {
                codec::ping_resp(out);
                Ok(Step::Done)
            }
            Packet::Disconnect { reason, expiry_s } => self.on_disconnect(reason, expiry_s),
            Packet::Connect(_) => Err(Bad::protocol("a second CONNECT")),
        }
    }

    fn on_publish(
        &mut self,
        mut publish: Publish,
        may_publish: impl FnOnce(&str) -> bool,
        out: &mut BytesMut,
    ) -> Result<Step, Bad> {
        if self.version == Version::V5 {
            self.resolve_alias(&mut publish)?;
        }
        let again = publish.qos == Qos::ExactlyOnce && self.memory.received.contains(&publish.id);
        if again {
            // Its PUBREC keeps its place behind the first one, and so behind the commit.
            self.owe(Answer::PubRec(publish.id, Reason::Success), false, out);
            return Ok(Step::Done);
        }
        if publish.qos == Qos::ExactlyOnce {
            self.check_quota()?;
        }
        let topic = std::str::from_utf8(&publish.topic)
            .map_err(|_| Bad::malformed("the topic is not UTF-8"))?;
        if !may_publish(topic) {
            // A 3.1.1 client cannot be told; mosquitto acknowledges and drops, and so do we.
            match publish.qos {
                Qos::AtMostOnce => {}
                Qos::AtLeastOnce => self.owe(
                    Answer::PubAck(publish.id, Reason::NotAuthorized),
                    false,
                    out,
                ),
                Qos::ExactlyOnce => self.owe(
                    Answer::PubRec(publish.id, Reason::NotAuthorized),
                    false,
                    out,
                ),
            }
            return Ok(Step::Denied);
        }
        match publish.qos {
            Qos::AtMostOnce if self.held == 0 => self.owe(Answer::Passed, true, out),
            Qos::AtMostOnce => self.owe(Answer::Silence, true, out),
            Qos::AtLeastOnce => self.owe(Answer::PubAck(publish.id, Reason::Success), true, out),
            Qos::ExactlyOnce => {
                self.memory.received.insert(publish.id);
                self.dirty = true;
                self.owe(Answer::PubRec(publish.id, Reason::Success), true, out);
            }
        }
        Ok(Step::Publish(publish))
    }

    /// More than the Receive Maximum alone is no offence: there are clients that send everything in flight again
    /// when they come back, however much that is. Sent away for it (MQTT 5 section 4.9 would allow that), they would
    /// come back and do it again, for ever. What is beyond it is bounded as for 3.1.1: the socket is not read on
    /// behind [`super::limits::MAX_PENDING`] publishes. Ids of QoS 2 are held until their PUBREL, and that comes
    /// by the same socket: so their bound is a hard one.
    fn check_quota(&self) -> Result<(), Bad> {
        if self.memory.received.len() < RECEIVED_IDS {
            return Ok(());
        }
        Err(Bad {
            reason: Reason::ReceiveMaximumExceeded,
            what: "too many publishes at QoS 2 wait for their PUBREL; send it after each PUBREC",
        })
    }

    fn resolve_alias(&mut self, publish: &mut Publish) -> Result<(), Bad> {
        let Some(alias) = publish.alias else {
            return Ok(());
        };
        if alias == 0 || alias > TOPIC_ALIAS_MAXIMUM {
            return Err(Bad {
                reason: Reason::TopicAliasInvalid,
                what: "the topic alias is 0 or above the topic alias maximum of CONNACK",
            });
        }
        let at = usize::from(alias) - 1;
        if publish.topic.is_empty() {
            publish.topic = self
                .aliases
                .get(at)
                .filter(|topic| !topic.is_empty())
                .cloned()
                .ok_or(Bad::protocol("the topic alias stands for nothing; send its topic with it once in every connection"))?;
        } else {
            if self.aliases.len() <= at {
                self.aliases.resize(at + 1, Bytes::new());
            }
            // A copy: the alias must not keep a read buffer alive.
            self.aliases[at] = Bytes::copy_from_slice(&publish.topic);
        }
        Ok(())
    }

    fn on_pub_rel(&mut self, ack: Ack, out: &mut BytesMut) {
        let known = self.memory.received.remove(&ack.id);
        let reason = if known {
            Reason::Success
        } else {
            Reason::PacketIdentifierNotFound
        };
        let awaits_commit = known && self.is_durable();
        self.dirty |= awaits_commit;
        // In its place behind the PUBREC, should the client not have waited for that.
        self.owe(Answer::PubComp(ack.id, reason), awaits_commit, out);
    }

    fn on_disconnect(&mut self, reason: u8, expiry_s: Option<u32>) -> Result<Step, Bad> {
        if let Some(expiry_s) = expiry_s {
            if self.connect_expiry_s == 0 && expiry_s > 0 {
                return Err(Bad::protocol(
                    "a session that ends with its connection cannot be given an expiry in DISCONNECT; ask for one in CONNECT",
                ));
            }
            self.dirty |= self.memory.expiry_s != expiry_s;
            self.memory.expiry_s = expiry_s;
        }
        Ok(Step::Leave {
            publish_will: reason != 0,
        })
    }

    /// Answers a SUBSCRIBE; a persistent session's after its commit.
    pub(crate) fn sub_ack(&mut self, id: u16, codes: &[u8], words: &str, out: &mut BytesMut) {
        let terms = self.terms();
        self.answer_after_commit(out, |out| codec::sub_ack(out, id, codes, words, terms));
    }

    /// Answers an UNSUBSCRIBE; a persistent session's after its commit.
    pub(crate) fn unsub_ack(&mut self, id: u16, codes: &[u8], words: &str, out: &mut BytesMut) {
        let terms = self.terms();
        self.answer_after_commit(out, |out| codec::unsub_ack(out, id, codes, words, terms));
    }

    fn answer_after_commit(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
        if self.is_durable() {
            self.dirty = true;
            let mut bytes = BytesMut::new();
            write(&mut bytes);
            self.prepared.push_back(bytes.freeze());
            self.owe(Answer::Prepared, true, out);
        } else {
            write(out);
        }
    }

    fn owe(&mut self, answer: Answer, awaits_commit: bool, out: &mut BytesMut) {
        if !awaits_commit && self.owed.is_empty() {
            return self.say(answer, out);
        }
        self.unsubmitted += u64::from(awaits_commit);
        let owed = Owed {
            answer,
            awaits_commit,
        };
        self.held += usize::from(owed.is_held());
        self.owed.push_back(owed);
    }

    /// The writer's receipts: the next `receipts` of what is owed are on disk.
    pub(crate) fn settle(&mut self, mut receipts: u64, out: &mut BytesMut) {
        while let Some(owed) = self.owed.front().copied() {
            if owed.awaits_commit {
                if receipts == 0 {
                    break;
                }
                receipts -= 1;
            }
            self.owed.pop_front();
            self.held -= usize::from(owed.is_held());
            self.say(owed.answer, out);
        }
        debug_assert_eq!(receipts, 0, "a receipt without a debt");
    }

    fn say(&mut self, answer: Answer, out: &mut BytesMut) {
        match answer {
            Answer::Silence | Answer::Passed => {}
            Answer::PubAck(id, reason) => self.say_reason(PUBACK, id, reason, NOT_ALLOWED, out),
            Answer::PubRec(id, reason) => self.say_reason(PUBREC, id, reason, NOT_ALLOWED, out),
            Answer::PubComp(id, reason) => self.say_reason(PUBCOMP, id, reason, NOT_HELD, out),
            Answer::PubRel(id) => self.released(id, out),
            Answer::Prepared => out.extend(self.prepared.pop_front()),
        }
    }

    fn say_reason(&self, first: u8, id: u16, reason: Reason, words: &str, out: &mut BytesMut) {
        if reason == Reason::Success {
            codec::ack(out, first, id, reason, self.version);
        } else {
            codec::refusal(out, first, id, reason, words, self.terms());
        }
    }

    /// The commit failed, or its outcome will not be known: what is owed was not received. The client sends
    /// it again, and then it is new.
    pub(crate) fn fail(&mut self) {
        while let Some(owed) = self.owed.pop_back() {
            self.give_up(owed);
        }
        self.unsubmitted = 0;
    }

    /// What no submission carries will never be answered; what one carries still will.
    pub(crate) fn fail_unsubmitted(&mut self) {
        while self.unsubmitted > 0
            && let Some(owed) = self.owed.pop_back()
        {
            self.unsubmitted -= u64::from(owed.awaits_commit);
            self.give_up(owed);
        }
    }

    /// Of the owed, the last.
    fn give_up(&mut self, owed: Owed) {
        self.held -= usize::from(owed.is_held());
        match owed.answer {
            Answer::PubRec(id, _) if owed.awaits_commit => {
                self.memory.received.remove(&id);
            }
            Answer::PubRel(id) => self.not_released(id),
            Answer::Prepared => drop(self.prepared.pop_back()),
            Answer::Silence
            | Answer::Passed
            | Answer::PubAck(..)
            | Answer::PubRec(..)
            | Answer::PubComp(..) => {}
        }
    }
}
