//! The few MQTT 3.1.1 packets that a publisher sends and gets, as bytes.
//!
//! Written out here because the load run cannot afford a general client, and because a publisher
//! that is to prove that nothing is lost must know what it resends (rumqttc 0.25 forgets what is
//! unacknowledged when the broker restarts without its session). It subscribes to nothing, so
//! every packet that it can get is at most four bytes long.
//!
//! Sections are of MQTT Version 3.1.1, OASIS 2014.

/// Quality of service of a run's publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Qos {
    /// At most once: sent and forgotten.
    Zero,
    /// At least once: kept until the PUBACK.
    #[default]
    One,
    /// Exactly once: kept until the PUBREC, released until the PUBCOMP.
    Two,
}

/// A packet from the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// Return code, 0 being accepted.
    ConnAck(u8),
    PubAck(u16),
    PubRec(u16),
    PubComp(u16),
    PingResp,
}

/// Bytes that no broker sends to a client without subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker sent a packet that makes no sense here (first bytes {0:#04x} {1:#04x})")]
pub(crate) struct Nonsense(u8, u8);

/// Who connects, and how.
#[derive(Clone, Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
}

/// §3.12
pub(crate) const PINGREQ: [u8; 2] = [0xc0, 0];
/// §3.14
pub(crate) const DISCONNECT: [u8; 2] = [0xe0, 0];
/// The DUP flag in the first byte of a PUBLISH, §3.3.1.1.
const DUP: u8 = 0x08;

impl Qos {
    fn bits(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1 << 1,
            Self::Two => 2 << 1,
        }
    }
}

impl Connect<'_> {
    /// §3.1
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = b"\x00\x04MQTT\x04".to_vec();
        let flag = |set: bool, bit: u8| u8::from(set) << bit;
        body.push(
            flag(self.clean, 1) | flag(self.user.is_some(), 7) | flag(self.password.is_some(), 6),
        );
        body.extend_from_slice(&self.keep_alive_s.to_be_bytes());
        write_string(self.client_id.as_bytes(), &mut body);
        if let Some(user) = self.user {
            write_string(user.as_bytes(), &mut body);
        }
        if let Some(password) = self.password {
            write_string(password, &mut body);
        }
        let mut packet = vec![0x10];
        write_length(body.len(), &mut packet);
        packet.extend_from_slice(&body);
        packet
    }
}

/// Appends a PUBLISH, §3.3. The id is left out at `QoS` 0.
pub(crate) fn write_publish(qos: Qos, id: u16, topic: &str, payload: &[u8], out: &mut Vec<u8>) {
    let id_length = match qos {
        Qos::Zero => 0,
        Qos::One | Qos::Two => 2,
    };
    out.push(0x30 | qos.bits());
    write_length(2 + topic.len() + id_length + payload.len(), out);
    write_string(topic.as_bytes(), out);
    if id_length > 0 {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(payload);
}

/// Says in a written PUBLISH that it may have been sent before.
pub(crate) fn mark_duplicate(publish: &mut [u8]) {
    if let Some(first) = publish.first_mut() {
        *first |= DUP;
    }
}

/// Appends a PUBREL, §3.6.
pub(crate) fn write_pubrel(id: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x62, 2]);
    out.extend_from_slice(&id.to_be_bytes());
}

/// Reads the packet at the front, and says how many bytes it took; `None` when more must come.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<(Inbound, usize)>, Nonsense> {
    let (kind, length) = match bytes {
        [] | [_] => return Ok(None),
        [kind, length, ..] => (*kind, *length),
    };
    let nonsense = Nonsense(kind, length);
    match (kind, length, &bytes[2..]) {
        (0xd0, 0, _) => Ok(Some((Inbound::PingResp, 2))),
        (0x20 | 0x40 | 0x50 | 0x70, 2, [high, low, ..]) => {
            let id = u16::from_be_bytes([*high, *low]);
            let packet = match kind {
                0x20 => Inbound::ConnAck(*low),
                0x40 => Inbound::PubAck(id),
                0x50 => Inbound::PubRec(id),
                _ => Inbound::PubComp(id),
            };
            Ok(Some((packet, 4)))
        }
        (0x20 | 0x40 | 0x50 | 0x70, 2, _) => Ok(None),
        _ => Err(nonsense),
    }
}

fn write_string(string: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(string.len()).expect("checked where names and passwords come in");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(string);
}

/// §2.2.3
fn write_length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let digit = u8::try_from(length % 128).expect("a remainder of 128");
        length /= 128;
        if length == 0 {
            out.push(digit);
            return;
        }
        out.push(digit | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_when_it_is_whole() {
        assert_eq!(read(&[0x40, 2, 1]), Ok(None));
        assert_eq!(
            read(&[0x40, 2, 1, 4, 0xd0]),
            Ok(Some((Inbound::PubAck(260), 4)))
        );
        assert_eq!(read(&[0xd0, 0]), Ok(Some((Inbound::PingResp, 2))));
    }

    #[test]
    fn what_no_broker_should_send_is_refused() {
        assert_eq!(read(&[0x30, 5, 0, 0]), Err(Nonsense(0x30, 5)));
        assert_eq!(read(&[0x40, 3, 0, 1]), Err(Nonsense(0x40, 3)));
    }

    #[test]
    fn lengths_above_127_take_two_bytes() {
        let mut out = Vec::new();
        write_publish(Qos::Zero, 0, "t", &[b'x'; 321 - 3], &mut out);
        assert_eq!(out[..3], [0x30, 0xc1, 0x02]);
    }
}
