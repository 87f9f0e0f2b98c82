//! From the writer to the subscribers. Before the commit it says which rows belong into the transaction,
//! after it the messages go out and the publishers are answered, in that order. It never waits: whoever is
//! slow has a bounded queue.

use super::hub::{Hub, Subscription};
use super::intake::{Incoming, Submission};
use super::lifetime::Present;
use super::message::{Delivery, Message, Qos};
use super::pass::Passed;
use super::retained::Room;
use super::slot::{Promise, Slot};
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
    deliveries: Vec<Planned>,
    keeps: Vec<Keep>,
    /// Retained messages for a subscription that it makes.
    subscribed: Vec<Promise>,
    /// Messages of earlier commits for those who subscribed meanwhile.
    overdue: Vec<Promise>,
}

#[derive(Debug)]
struct Planned {
    /// Which publish of the submission.
    index: usize,
    mail: Mail,
}

#[derive(Debug)]
enum Mail {
    /// It has its place already, and its row in this commit.
    Promised(Promise),
    /// No row is kept of it, and its place is found when it is delivered.
    Unkept(Arc<Slot>, Delivery),
}

#[derive(Debug)]
struct Keep {
    message: Arc<Message>,
    /// Of a publish that has been retained, or has cleared, when it came.
    passed: Option<Passed>,
    what: What,
}

#[derive(Debug)]
enum What {
    Set(Room),
    Clear,
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
            if let Some(room) = retained.promise(&message) {
                retained.keep(message, room);
            }
        }
    }

    /// Before the commit: appends the rows that must be in the same transaction, in the order in which they
    /// must be applied. Call it once a submission, in the order of arrival.
    pub fn writes<D>(&self, submission: &mut Submission<D>, rows: &mut Vec<BrokerWrite>) {
        let mut plan = self.plan(&submission.incoming);
        plan.overdue.append(&mut locked(&self.hub.overdue));
        plan.subscribed.append(&mut submission.promises);
        let mut rows = Rows {
            hub: &self.hub,
            present: None,
            out: rows,
        };
        if !submission.derived {
            plan.keeps.iter().for_each(|keep| rows.keep(keep));
        }
        let planned = plan.deliveries.iter().filter_map(Planned::promise);
        let queued = plan.overdue.iter().chain(planned);
        queued.for_each(|promise| rows.queue(promise));
        rows.out.append(&mut submission.writes);
        // After what may end an earlier session of the same client.
        plan.subscribed
            .iter()
            .for_each(|promise| rows.queue(promise));
        submission.plan = Some(plan);
    }

    /// After the durable commit, in commit order: delivers, then answers the publisher.
    pub fn committed<D>(&self, submission: Submission<D>) {
        let Submission {
            incoming,
            settles,
            reply,
            plan,
            ..
        } = submission;
        let mut plan = plan.unwrap_or_else(|| self.plan(&incoming));
        let subscribed = std::mem::take(&mut plan.subscribed);
        self.deliver(&incoming, plan);
        reply.committed(settles);
        // After the SUBACK that it answers: not every client knows its subscription before.
        subscribed.into_iter().for_each(Promise::keep);
    }

    /// The commit failed: nothing is delivered, the connection closes unacknowledged.
    pub fn failed<D>(&self, submission: Submission<D>) {
        Stats::add(&self.hub.stats.failed, submission.incoming.len() as u64);
        let Some(plan) = submission.plan else { return };
        // Its own promises take themselves back; those of earlier commits wait for the next.
        locked(&self.hub.overdue).extend(plan.overdue);
        let mut retained = locked(&self.hub.retained);
        for keep in plan.keeps {
            match keep.what {
                What::Set(room) => retained.release(room),
                What::Clear => {}
            }
        }
        // Dropping the submission drops its reply, which tells the connection.
    }

    fn plan<D>(&self, incoming: &[Incoming<D>]) -> Plan {
        let mut plan = Plan {
            generation: 0,
            deliveries: Vec::new(),
            keeps: Vec::new(),
            subscribed: Vec::new(),
            overdue: Vec::new(),
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
            if publish.passed.is_none() {
                routing.trie.matches(
                    publish.topic_str(),
                    |subscription| subscription.slot.is_here(),
                    |key, subscription| scratch.push((key, subscription)),
                );
            }
            if scratch.is_empty() && !publish.retain {
                continue;
            }
            let message = Arc::new(message(publish));
            if publish.retain {
                self.keep(&message, publish.passed, &mut plan.keeps);
            }
            merge(&mut scratch, publish.origin, &message, |slot, delivery| {
                let mail = if slot.keeps(delivery.qos) {
                    slot.promise(delivery).map(Mail::Promised)
                } else {
                    Some(Mail::Unkept(Arc::clone(slot), delivery))
                };
                let planned = mail.map(|mail| Planned { index, mail });
                plan.deliveries.extend(planned);
            });
        }
        plan
    }

    fn keep(&self, message: &Arc<Message>, passed: Option<Passed>, keeps: &mut Vec<Keep>) {
        let mut retained = locked(&self.hub.retained);
        let what = if message.payload().is_empty() {
            // Cleared even where nothing is held: an earlier publish of this group may set it.
            What::Clear
        } else if let Some(room) = retained.promise(message) {
            What::Set(room)
        } else {
            Stats::add(&self.hub.stats.retain_refused, 1);
            tracing::warn!(
                topic = message.topic_str(),
                held = retained.len(),
                "not retained: no room"
            );
            return;
        };
        keeps.push(Keep {
            message: Arc::clone(message),
            passed,
            what,
        });
    }

    fn deliver<D>(&self, incoming: &[Incoming<D>], plan: Plan) {
        let Plan {
            generation,
            deliveries,
            keeps,
            subscribed: _,
            overdue,
        } = plan;
        overdue.into_iter().for_each(Promise::keep);
        if keeps.is_empty() && deliveries.is_empty() && self.hub.is_quiet() {
            return;
        }
        // Under the routing lock, so that a new subscriber sees a message either retained or live.
        let routing = self.hub.routing();
        if !keeps.is_empty() {
            let mut retained = locked(&self.hub.retained);
            for keep in keeps {
                let Keep {
                    message,
                    passed,
                    what,
                } = keep;
                // What passed since stays. Any other commit since came before this one, which ends the
                // same in memory as on disk.
                let is_past =
                    passed.is_some_and(|passed| retained.is_ahead(message.topic_str(), passed));
                match what {
                    What::Set(room) if is_past => retained.release(room),
                    What::Set(room) => retained.keep(message, room),
                    What::Clear if is_past => {}
                    What::Clear => retained.clear(message.topic_str()),
                }
            }
        }
        let late = if routing.generation == generation {
            Vec::new()
        } else {
            subscribed_meanwhile(&routing.trie, incoming, &deliveries)
        };
        for planned in deliveries {
            match planned.mail {
                Mail::Promised(promise) => promise.keep(),
                Mail::Unkept(slot, delivery) => send(&slot, delivery),
            }
        }
        for (slot, delivery) in late {
            if slot.keeps(delivery.qos) {
                // It stands in the queue now, behind what is retained, and goes once it has a row.
                locked(&self.hub.overdue).extend(slot.promise(delivery));
            } else {
                send(&slot, delivery);
            }
        }
    }
}

/// Rows of the transaction in the making.
struct Rows<'a> {
    hub: &'a Hub,
    /// Read when the first row needs it: most commits of readings have none.
    present: Option<Present>,
    out: &'a mut Vec<BrokerWrite>,
}

impl Rows<'_> {
    fn present(&mut self) -> Present {
        *self.present.get_or_insert_with(|| self.hub.present())
    }

    fn keep(&mut self, keep: &Keep) {
        let topic = keep.message.topic_str().to_owned();
        let row = match keep.what {
            What::Set(_) => BrokerWrite::RetainSet {
                topic,
                message: keep.message.encode(self.present()),
            },
            What::Clear => BrokerWrite::RetainClear { topic },
        };
        self.out.push(row);
    }

    fn queue(&mut self, promise: &Promise) {
        let delivery = promise.delivery();
        if let Some(ordinal) = delivery.ordinal {
            let row = BrokerWrite::QueuePush {
                client: promise.slot().client.as_ref().to_owned(),
                ordinal,
                message: delivery.encode(self.present()),
            };
            self.out.push(row);
        }
    }
}

impl Planned {
    fn promise(&self) -> Option<&Promise> {
        match &self.mail {
            Mail::Promised(promise) => Some(promise),
            Mail::Unkept(..) => None,
        }
    }

    fn slot(&self) -> &Slot {
        match &self.mail {
            Mail::Promised(promise) => promise.slot(),
            Mail::Unkept(slot, _) => slot,
        }
    }
}

fn send(slot: &Slot, delivery: Delivery) {
    if slot.accepts(delivery.qos) {
        slot.put(delivery);
    }
}

/// Those who subscribed between plan and commit. Share groups have had their turn.
fn subscribed_meanwhile<D>(
    trie: &super::trie::Trie<Subscription>,
    incoming: &[Incoming<D>],
    planned: &[Planned],
) -> Vec<(Arc<Slot>, Delivery)> {
    let mut late = Vec::new();
    for (index, publish) in incoming.iter().enumerate() {
        if publish.passed.is_some() {
            continue;
        }
        let mut scratch = Vec::new();
        trie.matches(
            publish.topic_str(),
            |_| true,
            |key, subscription| {
                let served = planned
                    .iter()
                    .any(|planned| planned.index == index && planned.slot().key == key);
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
            &Arc::new(message(publish)),
            |slot, delivery| late.push((Arc::clone(slot), delivery)),
        );
    }
    late
}

pub(super) fn message<D>(publish: &Incoming<D>) -> Message {
    let message = Message::new(
        publish.topic_str(),
        &publish.payload,
        publish.qos,
        publish.retain,
    )
    .published_by(publish.origin);
    match &publish.props {
        None => message,
        Some(properties) => message.with_properties(Some(properties.clone()), now()),
    }
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
    use crate::broker::mailbox::Taken;
    use crate::broker::slot::Grant;
    use crate::broker::{hub::RetainHandling, name};
    use crate::clock::Clock;
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
            passed: None,
        });
        submission
    }

    fn hub(limits: Limits) -> Arc<Hub> {
        Arc::new(Hub::new(limits, Arc::default(), Clock::machine()))
    }

    fn subscriber(hub: &Arc<Hub>) -> Arc<Slot> {
        let slot = hub.internal_slot("s", &hub.limits);
        slot.attach(Some(Arc::default()));
        assert_eq!(subscribe(hub, &slot).len(), 0, "it is not persistent");
        slot
    }

    fn subscribe(hub: &Arc<Hub>, slot: &Arc<Slot>) -> Vec<Promise> {
        let grant = Grant {
            qos: Qos::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            identifier: None,
        };
        let filter = name::filter("t").expect("a valid filter");
        hub.subscribe(slot, "t", filter, grant, RetainHandling::Always, now())
    }

    fn mail(slot: &Slot) -> Vec<String> {
        let mut payloads = Vec::new();
        slot.take(usize::MAX, |delivery| {
            payloads.push(String::from_utf8_lossy(delivery.message.payload()).into_owned());
            Taken::Yes
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

    /// A session that stays, and a subscription of it that waits for the writer.
    fn resident(hub: &Arc<Hub>) -> (Arc<Slot>, Submission<()>) {
        let slot = hub.internal_slot("r", &hub.limits);
        slot.set_durable(true);
        slot.attach(Some(Arc::default()));
        let mut subscribing = Submission::new(Reply::nobody());
        subscribing.promises = subscribe(hub, &slot);
        (slot, subscribing)
    }

    /// Payloads that have rows, in order of the rows.
    fn commit(fanout: &Fanout, mut submission: Submission<()>) -> Vec<String> {
        let mut rows = Vec::new();
        fanout.writes(&mut submission, &mut rows);
        fanout.committed(submission);
        let queued = rows.into_iter().filter_map(|row| match row {
            BrokerWrite::QueuePush { message, .. } => message.last().copied().map(char::from),
            BrokerWrite::RetainSet { .. }
            | BrokerWrite::RetainClear { .. }
            | BrokerWrite::SessionSet { .. }
            | BrokerWrite::SessionDrop { .. }
            | BrokerWrite::QueueRelease { .. }
            | BrokerWrite::QueuePop { .. }
            | BrokerWrite::UserSet { .. }
            | BrokerWrite::UserDrop { .. }
            | BrokerWrite::Alert(_) => None,
        });
        queued.map(String::from).collect()
    }

    #[test]
    fn what_is_retained_comes_before_what_is_published_later_though_it_is_committed_later() {
        let hub = hub(Limits::default());
        let fanout = Fanout::new(Arc::clone(&hub));
        commit(&fanout, submission("1", true));
        let (slot, subscribing) = resident(&hub);
        commit(&fanout, submission("2", true));
        assert_eq!(
            mail(&slot),
            [""; 0],
            "1 is not on disk, and 2 comes after it"
        );
        commit(&fanout, subscribing);
        assert_eq!(mail(&slot), ["1", "2"]);
    }

    #[test]
    fn a_persistent_session_that_subscribes_between_plan_and_commit_gets_the_message_with_the_next_commit()
     {
        let hub = hub(Limits::default());
        let fanout = Fanout::new(Arc::clone(&hub));
        let mut before = submission("1", false);
        fanout.writes(&mut before, &mut Vec::new());
        let (slot, mut subscribing) = resident(&hub);
        fanout.committed(before);
        assert_eq!(mail(&slot), [""; 0], "it has no row yet");
        fanout.writes(&mut subscribing, &mut Vec::new());
        fanout.failed(subscribing);
        assert_eq!(mail(&slot), [""; 0], "it still has none");
        commit(&fanout, Submission::new(Reply::nobody()));
        assert_eq!(mail(&slot), ["1"]);
        assert_eq!(slot.waiting(), (0, 0));
    }

    #[test]
    fn a_subscription_whose_commit_fails_takes_what_is_retained_back() {
        let hub = hub(Limits::default());
        let fanout = Fanout::new(Arc::clone(&hub));
        commit(&fanout, submission("1", true));
        let (slot, mut subscribing) = resident(&hub);
        fanout.writes(&mut subscribing, &mut Vec::new());
        fanout.failed(subscribing);
        commit(&fanout, submission("2", false));
        assert_eq!(mail(&slot), ["2"]);
    }
}
