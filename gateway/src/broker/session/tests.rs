use super::*;
use crate::broker::message::{Delivery, Message};
use crate::broker::now;
use std::sync::Arc;

fn connect(version: Version, expiry_s: u32, receive_maximum: u16) -> Connect {
    Connect {
        version,
        client_id: "c".into(),
        clean_start: true,
        keep_alive_s: 0,
        username: None,
        password: None,
        will: None,
        expiry_s,
        receive_maximum,
        max_packet: usize::MAX,
        explains: false,
    }
}

/// A session and what it says.
struct Script {
    session: Session,
    out: BytesMut,
    writes: Vec<BrokerWrite>,
}

impl Script {
    fn new(version: Version, expiry_s: u32) -> Self {
        Self::with(&connect(version, expiry_s, u16::MAX), None)
    }

    fn with(connect: &Connect, memory: Option<Box<Memory>>) -> Self {
        let session = Session::new(connect, "c", memory);
        Self {
            session,
            out: BytesMut::new(),
            writes: Vec::new(),
        }
    }

    fn packet(&mut self, packet: Packet) -> Result<Step, Bad> {
        let permitted = |topic: &str| topic != "denied";
        self.session
            .on_packet(packet, permitted, &mut self.out, &mut self.writes)
    }

    fn publish(&mut self, qos: Qos, id: u16) -> Step {
        self.packet(publish("t", qos, id)).unwrap()
    }

    fn send(&mut self, delivery: Delivery) -> Sent {
        self.session
            .send(delivery, &mut self.out, &mut self.writes, now())
    }

    /// A message with a row; the length of the payload is its ordinal.
    fn deliver(&mut self, payload: &str, qos: Qos) {
        let ordinal = Some(payload.len() as u64);
        let sent = self.send(delivery(payload, qos, ordinal));
        assert_eq!(sent, Sent::Yes);
    }

    /// A message without one.
    fn deliver_unkept(&mut self, payload: &str, qos: Qos) {
        let sent = self.send(delivery(payload, qos, None));
        assert_eq!(sent, Sent::Yes);
    }

    /// The next connection of the same client, welcomed.
    fn resumed(self, connect: &Connect) -> Self {
        let mut script = Self::with(connect, Some(self.session.memory));
        script
            .session
            .resume(&mut script.out, &mut script.writes, now());
        script
    }

    fn settle(&mut self, receipts: u64) {
        self.session.settle(receipts, &mut self.out);
    }

    /// What was said since the last time.
    fn said(&mut self) -> Vec<u8> {
        self.out.split().to_vec()
    }
}

fn delivery(payload: &str, qos: Qos, ordinal: Option<u64>) -> Delivery {
    Delivery {
        message: Arc::new(Message::new("t", payload.as_bytes(), qos, false)),
        qos,
        retain: false,
        identifiers: Vec::new(),
        ordinal,
    }
}

fn queued(ordinal: u64) -> Delivery {
    delivery("x", Qos::AtLeastOnce, Some(ordinal))
}

fn publish(topic: &'static str, qos: Qos, id: u16) -> Packet {
    Packet::Publish(Publish {
        dup: false,
        qos,
        retain: false,
        id,
        topic: Bytes::from_static(topic.as_bytes()),
        alias: None,
        payload: Bytes::new(),
        properties: None,
    })
}

fn ack(id: u16) -> Ack {
    Ack { id, reason: 0 }
}

#[test]
fn acknowledgements_keep_the_order_of_arrival() {
    let mut script = Script::new(Version::V4, 0);
    assert!(matches!(
        script.publish(Qos::AtLeastOnce, 1),
        Step::Publish(_)
    ));
    assert!(matches!(
        script.publish(Qos::AtMostOnce, 0),
        Step::Publish(_)
    ));
    assert_eq!(
        script.packet(publish("denied", Qos::AtLeastOnce, 2)),
        Ok(Step::Denied)
    );
    assert!(matches!(
        script.publish(Qos::ExactlyOnce, 3),
        Step::Publish(_)
    ));
    assert!(script.said().is_empty());
    assert_eq!(script.session.take_unsubmitted(), 3);
    script.settle(1);
    assert_eq!(script.said(), [0x40, 2, 0, 1]);
    script.settle(2);
    assert_eq!(script.said(), [0x40, 2, 0, 2, 0x50, 2, 0, 3]);
    assert_eq!(script.session.pending(), 0);
}

#[test]
fn a_denied_publish_is_told_so_where_the_protocol_can() {
    let mut script = Script::new(Version::V5, 0);
    assert_eq!(
        script.packet(publish("denied", Qos::ExactlyOnce, 2)),
        Ok(Step::Denied)
    );
    assert_eq!(script.said(), [0x50, 3, 0, 2, 0x87]);
    assert_eq!(
        script.packet(publish("denied", Qos::AtMostOnce, 0)),
        Ok(Step::Denied)
    );
    assert!(script.said().is_empty());
}

#[test]
fn a_repeated_qos_2_publish_is_answered_behind_the_first_and_not_delivered() {
    let mut script = Script::new(Version::V4, 0);
    assert!(matches!(
        script.publish(Qos::ExactlyOnce, 7),
        Step::Publish(_)
    ));
    assert_eq!(script.publish(Qos::ExactlyOnce, 7), Step::Done);
    assert!(script.said().is_empty());
    script.settle(1);
    assert_eq!(script.said(), [0x50, 2, 0, 7, 0x50, 2, 0, 7]);
    assert_eq!(script.packet(Packet::PubRel(ack(7))), Ok(Step::Done));
    assert_eq!(script.said(), [0x70, 2, 0, 7]);
    assert!(matches!(
        script.publish(Qos::ExactlyOnce, 7),
        Step::Publish(_)
    ));
}

#[test]
fn a_release_that_does_not_wait_for_its_pubrec_is_answered_behind_it() {
    let mut script = Script::new(Version::V4, 0);
    assert!(matches!(
        script.publish(Qos::ExactlyOnce, 7),
        Step::Publish(_)
    ));
    assert_eq!(script.packet(Packet::PubRel(ack(7))), Ok(Step::Done));
    assert!(script.said().is_empty());
    script.settle(1);
    assert_eq!(script.said(), [0x50, 2, 0, 7, 0x70, 2, 0, 7]);
}

#[test]
fn a_release_of_a_persistent_session_is_answered_after_its_commit() {
    let mut script = Script::new(Version::V4, 60);
    assert!(matches!(
        script.publish(Qos::ExactlyOnce, 7),
        Step::Publish(_)
    ));
    script.settle(1);
    script.said();
    assert!(script.session.take_dirty());
    assert_eq!(script.packet(Packet::PubRel(ack(7))), Ok(Step::Done));
    assert!(script.said().is_empty());
    assert!(script.session.take_dirty());
    script.settle(1);
    assert_eq!(script.said(), [0x70, 2, 0, 7]);
}

#[test]
fn what_failed_was_not_received() {
    let mut script = Script::new(Version::V4, 60);
    for id in [1, 2] {
        assert!(matches!(
            script.publish(Qos::ExactlyOnce, id),
            Step::Publish(_)
        ));
    }
    script.settle(1);
    script.session.fail();
    assert_eq!(
        script
            .session
            .memory
            .received
            .iter()
            .copied()
            .collect::<Vec<_>>(),
        [1]
    );
}

fn release(ordinal: u64) -> BrokerWrite {
    BrokerWrite::QueueRelease {
        client: "c".into(),
        ordinal,
    }
}

fn pop(ordinal: u64) -> BrokerWrite {
    BrokerWrite::QueuePop {
        client: "c".into(),
        ordinal,
    }
}

#[test]
fn a_message_of_qos_2_is_released_once_that_is_on_disk() {
    let mut script = Script::new(Version::V4, 60);
    script.deliver("x", Qos::ExactlyOnce);
    assert_eq!(script.said(), [0x34, 6, 0, 1, b't', 0, 1, b'x']);
    assert_eq!(script.packet(Packet::PubRec(ack(1))), Ok(Step::Done));
    assert_eq!(script.packet(Packet::PubRec(ack(1))), Ok(Step::Done));
    assert_eq!(script.writes, [release(1)]);
    assert_eq!(script.session.take_unsubmitted(), 1);
    assert!(script.said().is_empty());
    script.settle(1);
    assert_eq!(script.said(), [0x62, 2, 0, 1]);
    assert_eq!(script.packet(Packet::PubRec(ack(1))), Ok(Step::Done));
    assert_eq!(script.said(), [0x62, 2, 0, 1]);
    assert_eq!(script.packet(Packet::PubComp(ack(1))), Ok(Step::Done));
    assert_eq!(script.writes, [release(1), pop(1)]);
}

#[test]
fn a_session_that_ends_with_its_connection_releases_at_once() {
    let mut script = Script::new(Version::V4, 0);
    script.deliver_unkept("x", Qos::ExactlyOnce);
    script.said();
    assert_eq!(script.packet(Packet::PubRec(ack(1))), Ok(Step::Done));
    assert_eq!(script.said(), [0x62, 2, 0, 1]);
    assert_eq!(script.packet(Packet::PubComp(ack(1))), Ok(Step::Done));
    assert_eq!(script.writes, []);
}

#[test]
fn a_release_that_did_not_get_to_disk_begins_again_with_the_message() {
    let mut script = Script::new(Version::V4, 60);
    script.deliver("x", Qos::ExactlyOnce);
    script.said();
    assert_eq!(script.packet(Packet::PubRec(ack(1))), Ok(Step::Done));
    script.session.fail();
    let mut script = script.resumed(&connect(Version::V4, 60, 9));
    assert_eq!(script.said(), [0x3C, 6, 0, 1, b't', 0, 1, b'x']);
    assert_eq!(script.packet(Packet::PubRec(ack(1))), Ok(Step::Done));
    assert_eq!(script.writes, [release(1)]);
}

#[test]
fn a_packet_id_follows_from_the_ordinal_and_waits_until_it_is_free() {
    let mut script = Script::new(Version::V4, 60);
    for (ordinal, id) in [
        (65_535, [0xFF, 0xFF]),
        (65_536, [0, 1]),
        (131_069, [0xFF, 0xFE]),
    ] {
        assert_eq!(script.send(queued(ordinal)), Sent::Yes);
        assert_eq!(script.said()[5..7], id);
    }
    // 131 070 has the id of 65 535.
    assert_eq!(
        script.send(queued(131_070)),
        Sent::NotNow(queued(131_070)),
        "its id is in use"
    );
    assert_eq!(script.packet(Packet::PubAck(ack(0xFFFF))), Ok(Step::Done));
    assert_eq!(script.send(queued(131_070)), Sent::Yes);
    assert_eq!(script.said()[5..7], [0xFF, 0xFF]);
    assert_eq!(script.session.memory.sent, 131_070);
}

#[test]
fn a_full_window_lets_nothing_but_qos_0_pass() {
    let connect = connect(Version::V5, 60, 1);
    let mut script = Script::with(&connect, None);
    assert_eq!(script.send(queued(1)), Sent::Yes);
    assert_eq!(script.send(queued(2)), Sent::NotNow(queued(2)));
    script.deliver_unkept("x", Qos::AtMostOnce);
    assert_eq!(script.packet(Packet::PubAck(ack(1))), Ok(Step::Done));
    assert_eq!(script.send(queued(2)), Sent::Yes);
}

#[test]
fn a_resumed_session_sends_again_with_dup_as_far_as_the_window_allows() {
    let mut script = Script::new(Version::V4, 60);
    script.deliver("a", Qos::AtLeastOnce);
    script.deliver("bb", Qos::ExactlyOnce);
    script.deliver("ccc", Qos::AtLeastOnce);
    assert_eq!(script.packet(Packet::PubRec(ack(2))), Ok(Step::Done));
    script.settle(1);
    let mut script = script.resumed(&connect(Version::V5, 60, 2));
    let first = [0x3A, 7, 0, 1, b't', 0, 1, 0, b'a'];
    let release = [0x62, 2, 0, 2];
    assert_eq!(script.said(), [&release[..], &first].concat());
    assert_eq!(script.send(queued(4)), Sent::NotNow(queued(4)));
    assert_eq!(script.packet(Packet::PubAck(ack(1))), Ok(Step::Done));
    script.session.resume_rest(&mut script.out, now());
    assert_eq!(
        script.said(),
        [0x3A, 9, 0, 1, b't', 0, 3, 0, b'c', b'c', b'c']
    );
}

#[test]
fn after_a_fault_of_ours_what_was_submitted_is_still_answered_and_the_rest_was_not_received() {
    let mut script = Script::new(Version::V4, 60);
    for id in [1, 2] {
        assert!(matches!(
            script.publish(Qos::ExactlyOnce, id),
            Step::Publish(_)
        ));
    }
    assert_eq!(script.session.take_unsubmitted(), 2);
    assert_eq!(
        script.packet(publish("denied", Qos::AtLeastOnce, 3)),
        Ok(Step::Denied)
    );
    assert!(matches!(
        script.publish(Qos::ExactlyOnce, 4),
        Step::Publish(_)
    ));
    script.session.fail_unsubmitted();
    assert_eq!(script.session.memory.received, [1, 2].into());
    script.settle(2);
    assert_eq!(script.said(), [0x50, 2, 0, 1, 0x50, 2, 0, 2, 0x40, 2, 0, 3]);
    assert_eq!(script.session.pending(), 0);
}

#[test]
fn a_client_holds_so_many_qos_2_ids_and_no_more() {
    for version in [Version::V4, Version::V5] {
        let mut script = Script::new(version, 60);
        let last = u16::try_from(RECEIVED_IDS).unwrap();
        for id in 1..=last {
            assert!(matches!(
                script.publish(Qos::ExactlyOnce, id),
                Step::Publish(_)
            ));
            script.settle(1);
        }
        let over = script.packet(publish("t", Qos::ExactlyOnce, last + 1));
        assert_eq!(over.unwrap_err().reason, Reason::ReceiveMaximumExceeded);
        assert_eq!(script.packet(Packet::PubRel(ack(1))), Ok(Step::Done));
        script.settle(1);
        assert!(matches!(
            script.publish(Qos::ExactlyOnce, last + 1),
            Step::Publish(_)
        ));
        assert_eq!(script.session.memory.received.len(), RECEIVED_IDS);
    }
}

#[test]
fn a_publish_at_qos_0_passes_unless_one_of_its_client_is_held_before_it() {
    let mut script = Script::new(Version::V4, 60);
    let mut passes = |qos, id| {
        assert!(matches!(script.publish(qos, id), Step::Publish(_)));
        script.session.may_pass()
    };
    assert!(passes(Qos::AtMostOnce, 0));
    assert!(!passes(Qos::AtLeastOnce, 1));
    assert!(!passes(Qos::AtMostOnce, 0), "it would overtake 1");
    script.settle(2);
    assert!(matches!(
        script.publish(Qos::AtMostOnce, 0),
        Step::Publish(_)
    ));
    assert!(
        !script.session.may_pass(),
        "it would overtake the one behind 1"
    );
    script.settle(2);
    assert!(script.session.may_pass());
    let held = script.publish(Qos::ExactlyOnce, 2);
    assert!(matches!(held, Step::Publish(_)));
    script.session.fail();
    assert!(script.session.may_pass(), "nothing is held any more");
}

#[test]
fn a_disconnect_may_change_the_expiry_but_not_invent_one() {
    let leave = Packet::Disconnect {
        reason: 0,
        expiry_s: Some(5),
    };
    assert!(Script::new(Version::V5, 0).packet(leave.clone()).is_err());
    let mut script = Script::new(Version::V5, 60);
    assert_eq!(
        script.packet(leave),
        Ok(Step::Leave {
            publish_will: false
        })
    );
    assert_eq!(script.session.memory.expiry_s, 5);
    let with_will = Packet::Disconnect {
        reason: 4,
        expiry_s: None,
    };
    assert_eq!(
        script.packet(with_will),
        Ok(Step::Leave { publish_will: true })
    );
}
