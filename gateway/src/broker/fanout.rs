//! From the writer to the subscribers. Before the commit it says which rows belong into the transaction,
//! after it the messages go out and the publishers are answered, in that order. It never waits: whoever is
//! slow has a bounded queue.

use super::hub::{Hub, Subscription};
use super::intake::{Incoming, Submission};
use super::message::{Delivery, Message, Qos};
use super::slot::Slot;
use super::stats::Stats;
use super::{locked, now};
use crate::store::BrokerWrite;
use std::sync::Arc;

/// The writer's handle. Cheap to clone; holds no sender of the intake.
#[derive(Clone, Debug)]
pub struct Fanout {
    hub: Arc<Hub>,
}

/// What a submission will do once it is on disk.
#[derive(Debug)]
pub(crate) struct Plan {
    generation: u64,
    /// Publishes at QoS 0 have been delivered, and retained in memory, when they came.
    passed: bool,
    deliveries: Vec<Planned>,
    keeps: Vec<Keep>,
}

#[derive(Debug)]
struct Planned {
    /// Which publish of the submission.
    index: usize,
    slot: Arc<Slot>,
    delivery: Delivery,
}

#[derive(Debug)]
enum Keep {
    Set(Arc<Message>),
    Clear(Arc<Message>),
}

impl Fanout {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    /// A submission of the gateway's own messages (topic, payload, QoS, retain) that follow from what
    /// the store keeps: a retained one is not written, but has to be made again at every start.
    #[must_use]
    pub fn compose_derived<'a, D: Clone>(
        &self,
        messages: impl IntoIterator<Item = (&'a str, &'a [u8], Qos, bool)>,
        decoded: D,
    ) -> Submission<D> {
        let mut submission = Submission::of_our_own(messages, |_, _| decoded.clone());
        submission.derived = true;
        submission
    }

    /// At a start: retains messages of our own again, as far as there is room. Nobody is sent them who
    /// does not subscribe anew: they were said before.
    pub fn retain_again<'a>(&self, messages: impl IntoIterator<Item = (&'a str, &'a [u8], Qos)>) {
        let mut retained = locked(&self.hub.retained);
        for (topic, payload, qos) in messages {
            let message = Arc::new(Message::new(topic, payload, qos, true));
            if retained.promise(&message) {
                retained.release(&message);
                retained.set(message);
            }
        }
    }

    /// Before the commit: appends the rows that must be in the same transaction, in the order in which they
    /// must be applied. Call it once a submission, in the order of arrival.
    pub fn writes<D>(&self, submission: &mut Submission<D>, rows: &mut Vec<BrokerWrite>) {
        let plan = self.plan(&submission.incoming, submission.passed);
        let kept = if submission.derived {
            &[]
        } else {
            plan.keeps.as_slice()
        };
        for keep in kept {
            rows.push(match keep {
                Keep::Set(message) => BrokerWrite::RetainSet {
                    topic: message.topic_str().to_owned(),
                    message: message.encode(),
                },
                Keep::Clear(message) => BrokerWrite::RetainClear {
                    topic: message.topic_str().to_owned(),
                },
            });
        }
        for planned in &plan.deliveries {
            if let Some(ordinal) = planned.delivery.ordinal {
                let client = planned.slot.client.as_ref().to_owned();
                rows.push(BrokerWrite::QueuePush {
                    client,
                    ordinal,
                    message: planned.delivery.encode(),
                });
            }
        }
        rows.append(&mut submission.writes);
        submission.plan = Some(plan);
    }

    /// After the durable commit, in commit order: delivers, then answers the publisher.
    pub fn committed<D>(&self, submission: Submission<D>) {
        let Submission {
            incoming,
            settles,
            reply,
            plan,
            passed,
            ..
        } = submission;
        let plan = plan.unwrap_or_else(|| self.plan(&incoming, passed));
        self.deliver(&incoming, plan);
        reply.committed(settles);
    }

    /// The commit failed: nothing is delivered, the connection closes unacknowledged.
    pub fn failed<D>(&self, submission: Submission<D>) {
        Stats::add(&self.hub.stats.failed, submission.incoming.len() as u64);
        let Some(plan) = &submission.plan else { return };
        for planned in &plan.deliveries {
            if planned.delivery.ordinal.is_some() {
                planned.slot.cancel(planned.delivery.message.weight());
            }
        }
        let mut retained = locked(&self.hub.retained);
        for keep in &plan.keeps {
            if let Keep::Set(message) = keep {
                retained.release(message);
            }
        }
        // Dropping the submission drops its reply, which tells the connection.
    }

    fn plan<D>(&self, incoming: &[Incoming<D>], passed: bool) -> Plan {
        let mut plan = Plan {
            generation: 0,
            passed,
            deliveries: Vec::new(),
            keeps: Vec::new(),
        };
        let quiet = self.hub.is_quiet();
        if quiet && !incoming.iter().any(|incoming| incoming.retain) {
            // Zero is no generation: a subscription made meanwhile is seen by `deliver`.
            return plan;
        }
        let routing = self.hub.routing();
        plan.generation = routing.generation;
        let mut scratch = Vec::new();
        for (index, publish) in incoming.iter().enumerate() {
            scratch.clear();
            if !(passed && publish.qos == Qos::AtMostOnce) {
                routing.trie.matches(
                    publish.topic_str(),
                    |subscription| subscription.slot.is_here(),
                    |key, subscription| scratch.push((key, subscription)),
                );
            }
            if scratch.is_empty() && !publish.retain {
                continue;
            }
            let message = message(publish);
            if publish.retain {
                self.keep(&message, &mut plan.keeps);
            }
            merge(
                &mut scratch,
                publish.origin,
                &message,
                |slot, mut delivery| {
                    if slot.is_durable() && delivery.qos > Qos::AtMostOnce {
                        let Some(ordinal) = slot.reserve(message.weight()) else {
                            return;
                        };
                        delivery.ordinal = Some(ordinal);
                    }
                    plan.deliveries.push(Planned {
                        index,
                        slot: Arc::clone(slot),
                        delivery,
                    });
                },
            );
        }
        plan
    }

    fn keep(&self, message: &Arc<Message>, keeps: &mut Vec<Keep>) {
        let mut retained = locked(&self.hub.retained);
        if message.payload().is_empty() {
            // Cleared even where nothing is held: an earlier publish of this group may set it.
            keeps.push(Keep::Clear(Arc::clone(message)));
        } else if retained.promise(message) {
            keeps.push(Keep::Set(Arc::clone(message)));
        } else {
            Stats::add(&self.hub.stats.retain_refused, 1);
            tracing::warn!(
                topic = message.topic_str(),
                held = retained.len(),
                "not retained: no room"
            );
        }
    }

    fn deliver<D>(&self, incoming: &[Incoming<D>], plan: Plan) {
        if plan.keeps.is_empty() && plan.deliveries.is_empty() && self.hub.is_quiet() {
            return;
        }
        // Under the routing lock, so that a new subscriber sees a message either retained or live.
        let routing = self.hub.routing();
        if !plan.keeps.is_empty() {
            let mut retained = locked(&self.hub.retained);
            for keep in &plan.keeps {
                match keep {
                    // A newer one may have been retained since.
                    Keep::Set(message) if plan.has_passed(message.qos()) => {
                        retained.release(message);
                    }
                    Keep::Set(message) => {
                        retained.release(message);
                        retained.set(Arc::clone(message));
                    }
                    Keep::Clear(message) if plan.has_passed(message.qos()) => {}
                    Keep::Clear(message) => retained.clear(message.topic_str()),
                }
            }
        }
        let late = if routing.generation == plan.generation {
            Vec::new()
        } else {
            subscribed_meanwhile(&routing.trie, incoming, &plan)
        };
        for planned in plan.deliveries {
            planned.send();
        }
        for planned in late {
            planned.send();
        }
    }
}

impl Plan {
    fn has_passed(&self, qos: Qos) -> bool {
        self.passed && qos == Qos::AtMostOnce
    }
}

impl Planned {
    fn send(self) {
        if self.delivery.ordinal.is_some() {
            self.slot.put_reserved(self.delivery);
        } else if self.slot.accepts(self.delivery.qos) {
            self.slot.put(self.delivery);
        }
    }
}

/// Those who subscribed between plan and commit. Share groups have had their turn.
fn subscribed_meanwhile<D>(
    trie: &super::trie::Trie<Subscription>,
    incoming: &[Incoming<D>],
    plan: &Plan,
) -> Vec<Planned> {
    let mut late = Vec::new();
    for (index, publish) in incoming.iter().enumerate() {
        if plan.has_passed(publish.qos) {
            continue;
        }
        let mut scratch = Vec::new();
        trie.matches(
            publish.topic_str(),
            |_| true,
            |key, subscription| {
                let served = plan
                    .deliveries
                    .iter()
                    .any(|planned| planned.index == index && planned.slot.key == key);
                if !subscription.shared && !served {
                    scratch.push((key, subscription));
                }
            },
        );
        if scratch.is_empty() {
            continue;
        }
        merge(
            &mut scratch,
            publish.origin,
            &message(publish),
            |slot, delivery| {
                late.push(Planned {
                    index,
                    slot: Arc::clone(slot),
                    delivery,
                });
            },
        );
    }
    late
}

pub(super) fn message<D>(publish: &Incoming<D>) -> Arc<Message> {
    let message = Message::new(
        publish.topic_str(),
        &publish.payload,
        publish.qos,
        publish.retain,
    )
    .published_by(publish.origin);
    Arc::new(match &publish.props {
        None => message,
        Some(properties) => message.with_properties(Some(properties.clone()), now()),
    })
}

/// One delivery a client, however many of its subscriptions match: the highest QoS, every identifier.
pub(super) fn merge(
    matched: &mut [(u64, &Subscription)],
    origin: u64,
    message: &Arc<Message>,
    mut each: impl FnMut(&Arc<Slot>, Delivery),
) {
    matched.sort_by_key(|(key, _)| *key);
    for same in matched.chunk_by(|one, other| one.0 == other.0) {
        let mut delivery: Option<Delivery> = None;
        for (key, subscription) in same {
            let grant = &subscription.grant;
            if grant.no_local && *key == origin {
                continue;
            }
            let delivery = delivery.get_or_insert_with(|| Delivery {
                message: Arc::clone(message),
                qos: Qos::AtMostOnce,
                retain: false,
                identifiers: Vec::new(),
                ordinal: None,
            });
            delivery.qos = delivery.qos.max(grant.qos.min(message.qos()));
            delivery.retain |= grant.retain_as_published && message.retain();
            delivery.identifiers.extend(grant.identifier);
        }
        if let (Some(delivery), Some((_, subscription))) = (delivery, same.first()) {
            each(&subscription.slot, delivery);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::intake::Reply;
    use crate::broker::limits::Limits;
    use crate::broker::slot::Grant;
    use crate::broker::{hub::RetainHandling, name};
    use bytes::Bytes;

    fn submission(payload: &'static str, retain: bool) -> Submission<()> {
        let mut submission = Submission::new(Reply::nobody());
        submission.incoming.push(Incoming {
            origin: 0,
            topic: Bytes::from_static(b"t"),
            payload: Bytes::from_static(payload.as_bytes()),
            qos: Qos::AtLeastOnce,
            retain,
            packet_id: 0,
            props: None,
            decoded: (),
        });
        submission
    }

    fn hub(limits: Limits) -> Arc<Hub> {
        Arc::new(Hub::new(limits, Arc::default()))
    }

    fn subscriber(hub: &Arc<Hub>) -> Arc<Slot> {
        let slot = hub.internal_slot("s", &hub.limits);
        slot.attach(Some(Arc::default()));
        subscribe(hub, &slot);
        slot
    }

    fn subscribe(hub: &Arc<Hub>, slot: &Arc<Slot>) {
        let grant = Grant {
            qos: Qos::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            identifier: None,
        };
        let filter = name::filter("t").expect("a valid filter");
        hub.subscribe(slot, "t", filter, grant, RetainHandling::Always, now());
    }

    fn mail(slot: &Slot) -> Vec<String> {
        let mut payloads = Vec::new();
        slot.take(usize::MAX, usize::MAX, |delivery| {
            payloads.push(String::from_utf8_lossy(delivery.message.payload()).into_owned());
        });
        payloads
    }

    #[test]
    fn who_subscribes_between_plan_and_commit_gets_the_message_once() {
        for retain in [false, true] {
            let hub = hub(Limits::default());
            let fanout = Fanout::new(Arc::clone(&hub));
            let mut before = submission("x", retain);
            fanout.writes(&mut before, &mut Vec::new());
            let slot = subscriber(&hub);
            fanout.committed(before);
            assert_eq!(mail(&slot), ["x"]);
        }
    }

    #[test]
    fn a_failed_commit_delivers_and_retains_nothing_and_gives_the_room_back() {
        let limits = Limits {
            queue_messages: 1,
            retained_messages: 1,
            ..Limits::default()
        };
        let hub = hub(limits);
        let fanout = Fanout::new(Arc::clone(&hub));
        let slot = subscriber(&hub);
        slot.set_durable(true);
        for (fails, rows) in [(true, 2), (false, 2)] {
            let mut submission = submission("x", true);
            let mut writes = Vec::new();
            fanout.writes(&mut submission, &mut writes);
            assert_eq!(writes.len(), rows, "one retained, one queued");
            if fails {
                fanout.failed(submission);
                assert!(mail(&slot).is_empty());
            } else {
                fanout.committed(submission);
            }
        }
        assert_eq!(mail(&slot), ["x"]);
    }

    #[test]
    fn what_falls_out_of_a_full_queue_is_counted() {
        let hub = hub(Limits {
            queue_messages: 2,
            ..Limits::default()
        });
        let fanout = Fanout::new(Arc::clone(&hub));
        let slot = subscriber(&hub);
        for payload in ["1", "2", "3"] {
            fanout.committed(submission(payload, false));
        }
        assert_eq!(mail(&slot), ["1", "2"]);
        assert_eq!(Stats::read(&hub.stats.dropped), 1);
    }
}
