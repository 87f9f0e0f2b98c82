//! A publish at QoS 0 on its way past the writer: nobody was promised that it is on disk, so those who are here
//! need not wait until it is. It rides to the disk all the same, as a reading and as what is retained; the
//! fan-out after the commit then leaves it out. It overtakes other clients' publishes, never its own client's.

use super::fanout::{merge, message};
use super::hub::Hub;
use super::intake::Incoming;
use super::locked;
use std::sync::Arc;

/// Of a publish that has passed: the later, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Passed(pub(super) u64);

/// Delivers a publish at QoS 0 to those who are here, and retains it in memory. Others wait for the commit.
pub(super) fn pass<D>(hub: &Hub, publish: &mut Incoming<D>) {
    let passed = hub.passes();
    publish.passed = Some(passed);
    if hub.is_quiet() && !publish.retain {
        return;
    }
    // Under the routing lock, so that a new subscriber sees a message either retained or live.
    let routing = hub.routing();
    let mut matched = Vec::new();
    routing.trie.matches(
        publish.topic_str(),
        |subscription| subscription.slot.is_here(),
        |key, subscription| matched.push((key, subscription)),
    );
    if matched.is_empty() && !publish.retain {
        return;
    }
    let message = Arc::new(message(publish).passed_as(passed));
    if publish.retain {
        let mut retained = locked(&hub.retained);
        if message.payload().is_empty() {
            retained.clear(message.topic_str());
        } else if let Some(room) = retained.promise(&message) {
            retained.keep(Arc::clone(&message), room);
        }
    }
    merge(&mut matched, publish.origin, &message, |slot, delivery| {
        if slot.accepts(delivery.qos) {
            slot.put(delivery);
        }
    });
}
