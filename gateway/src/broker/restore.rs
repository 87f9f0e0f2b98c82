//! What the store held at start becomes retained messages, sessions and their mail again. A row that cannot
//! be read is logged and left alone.

use super::Restored;
use super::hub::Hub;
use super::lifetime::Present;
use super::limits::OUTBOUND_WINDOW;
use super::locked;
use super::message::{Delivery, Message, Qos, Queued};
use super::session::{self, Absence, Flight, Memory, Remembered, Stage, id_of};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A row of a queue: ordinal and content.
type Row = (u64, Vec<u8>);

pub(super) fn restore(hub: &Hub, restored: Restored) {
    let present = hub.present();
    for (topic, bytes) in restored.retained {
        match Message::decode(&bytes, present) {
            Ok(message) => locked(&hub.retained).restore(Arc::new(message)),
            Err(error) => tracing::error!(topic, %error, "a retained message cannot be read"),
        }
    }
    let mut queues: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for (client, ordinal, bytes) in restored.queued {
        queues.entry(client).or_default().push((ordinal, bytes));
    }
    for (client, remembered) in by_absence(hub, restored.sessions) {
        let rows = queues.remove(&client).unwrap_or_default();
        restore_session(hub, &client, remembered, rows, present);
    }
}

/// Whoever has been away longest comes first, and whoever was here last.
fn by_absence(hub: &Hub, rows: Vec<(String, Vec<u8>)>) -> Vec<(String, Remembered)> {
    let mut sessions = Vec::with_capacity(rows.len());
    for (client, bytes) in rows {
        if let Some(remembered) = session::decode(&bytes) {
            sessions.push((client, remembered));
        } else {
            tracing::error!(client, "a session cannot be read");
            hub.abandon_rows(&client);
        }
    }
    sessions.sort_by_key(|(_, remembered)| match &remembered.absence {
        Some(absence) => (0, absence.since_ms),
        None => (1, None),
    });
    sessions
}

fn restore_session(
    hub: &Hub,
    client: &str,
    remembered: Remembered,
    rows: Vec<Row>,
    present: Present,
) {
    let Remembered {
        mut memory,
        subscriptions,
        absence,
    } = remembered;
    let last = rows.last().map_or(0, |(ordinal, _)| *ordinal);
    let mail = readable(client, rows, present);
    let waiting = resume_flights(&mut memory, mail, absence.is_none(), present);
    let used = memory.sent.max(last);
    // Who was here when the daemon ended is away since it began anew.
    let absence = absence.unwrap_or(Absence {
        since_ms: present.wall_ms,
        will: None,
    });
    let slot = hub.restore(client, memory, subscriptions, absence, present);
    slot.go_on_after(used);
    for delivery in waiting {
        slot.restore(delivery);
    }
}

fn readable(client: &str, rows: Vec<Row>, present: Present) -> Vec<(u64, Queued)> {
    let mut mail = Vec::with_capacity(rows.len());
    for (ordinal, bytes) in rows {
        match Queued::decode(&bytes, ordinal, present) {
            Ok(queued) => mail.push((ordinal, queued)),
            Err(error) => {
                tracing::error!(client, ordinal, %error, "a queued message cannot be read");
            }
        }
    }
    mail
}

/// Puts back in flight what was, or may have been; what was certainly never sent is returned.
///
/// The session's row says what had been sent when it was written. A client that was here since may have been
/// sent a window more, which nothing on disk tells.
fn resume_flights(
    memory: &mut Memory,
    mail: Vec<(u64, Queued)>,
    was_here: bool,
    present: Present,
) -> Vec<Delivery> {
    let released = mail.iter().filter_map(|(ordinal, queued)| match queued {
        Queued::Released => Some(*ordinal),
        Queued::Waiting(_) => None,
    });
    let sent = released.max().unwrap_or(0).max(memory.sent);
    let mut perhaps = if was_here { OUTBOUND_WINDOW } else { 0 };
    let mut in_flight = VecDeque::new();
    let mut waiting = Vec::new();
    for (ordinal, queued) in mail {
        let stage = match queued {
            Queued::Released => Stage::Released,
            Queued::Waiting(delivery) if ordinal <= sent => Stage::Unsent(delivery),
            // An expired message must not be sent for the first time; it is discarded when its turn comes.
            Queued::Waiting(delivery)
                if perhaps > 0
                    && delivery.qos > Qos::AtMostOnce
                    && !delivery.message.expired(present.now) =>
            {
                perhaps -= 1;
                Stage::Unsent(delivery)
            }
            Queued::Waiting(delivery) => {
                waiting.push(delivery);
                continue;
            }
        };
        memory.sent = memory.sent.max(ordinal);
        in_flight.push_back(Flight {
            id: id_of(ordinal),
            ordinal: Some(ordinal),
            stage,
        });
    }
    memory.in_flight = in_flight;
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::now;

    fn present() -> Present {
        Present {
            now: now(),
            wall_ms: None,
        }
    }

    fn message(ordinal: u64) -> (u64, Queued) {
        let message = Message::new("t", b"x", Qos::ExactlyOnce, false);
        let delivery = Delivery {
            message: Arc::new(message),
            qos: Qos::ExactlyOnce,
            retain: false,
            identifiers: Vec::new(),
            ordinal: Some(ordinal),
        };
        (ordinal, Queued::Waiting(delivery))
    }

    /// Ids in flight, and ordinals that wait.
    fn resumed(sent: u64, mail: Vec<(u64, Queued)>, was_here: bool) -> (Vec<u16>, Vec<u64>) {
        let mut memory = Memory {
            sent,
            ..Memory::default()
        };
        let waiting = resume_flights(&mut memory, mail, was_here, present());
        let ids = memory.in_flight.iter().map(|flight| flight.id);
        let waiting = waiting.iter().filter_map(|delivery| delivery.ordinal);
        (ids.collect(), waiting.collect())
    }

    #[test]
    fn of_an_absent_client_exactly_what_was_sent_is_in_flight() {
        let mail = vec![message(3), message(5), message(6), message(7)];
        assert_eq!(resumed(5, mail, false), (vec![3, 5], vec![6, 7]));
    }

    #[test]
    fn of_a_client_that_was_here_a_window_more_may_have_been_sent() {
        let window = OUTBOUND_WINDOW as u64;
        let mail = (1..=window + 10).map(message).collect();
        let (in_flight, waiting) = resumed(4, mail, true);
        assert_eq!(in_flight.len(), OUTBOUND_WINDOW + 4);
        assert_eq!(waiting, (window + 5..=window + 10).collect::<Vec<_>>());
    }

    #[test]
    fn what_came_before_a_released_message_was_sent() {
        let mail = vec![message(1), (2, Queued::Released), message(3)];
        assert_eq!(resumed(0, mail, false), (vec![1, 2], vec![3]));
    }
}
