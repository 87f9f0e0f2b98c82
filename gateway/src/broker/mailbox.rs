//! Mail that waits for one client, in order, and what all mail together may cost.
//!
//! A message for a persistent session takes its place before it is on disk, as a promise, and is delivered
//! from that place once it is: so the order is that of the places, whichever commit comes first. It waits
//! for nothing and locks nothing.

use super::message::Delivery;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes queued for all sessions together.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit,
        }
    }

    fn charge(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.limit {
            self.refund(bytes);
            return false;
        }
        true
    }

    /// Whatever the limit.
    fn overcharge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn refund(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "more was given back than was taken");
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// Why a message finds no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// As many messages wait for this session as may.
    Messages,
    /// As many bytes wait for this session as may.
    Bytes,
    /// As many bytes wait for all sessions together as may.
    Total,
}

impl Full {
    /// For people.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Messages => "as many messages wait for this session as may",
            Self::Bytes => "as many bytes wait for this session as may",
            Self::Total => "as many bytes wait for all sessions together as may",
        }
    }
}

/// A message's place in a mailbox; places only ever rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

/// Whether a message was taken.
#[derive(Debug)]
pub(crate) enum Taken {
    Yes,
    /// It stays the first: its turn has not come.
    NotNow(Delivery),
}

#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    queue: VecDeque<Mail>,
    /// The place of the queue's front.
    first: u64,
    /// Messages queued or promised.
    count: usize,
    /// Their weight.
    bytes: usize,
}

#[derive(Debug)]
enum Mail {
    Ready(Delivery),
    /// On its way to disk; so many bytes.
    Promised(usize),
    /// It did not get there.
    Void,
}

impl Mailbox {
    /// Messages queued or promised.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Their weight.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Room for a message of `weight` bytes, within the mailbox's own bounds and everyone's.
    pub(crate) fn charge(
        &mut self,
        weight: usize,
        (max_messages, max_bytes): (usize, usize),
        budget: &Budget,
    ) -> Result<(), Full> {
        if self.count >= max_messages {
            Err(Full::Messages)
        } else if self.bytes + weight > max_bytes {
            Err(Full::Bytes)
        } else if budget.charge(weight) {
            self.count += 1;
            self.bytes += weight;
            Ok(())
        } else {
            Err(Full::Total)
        }
    }

    /// Room for a message that is there already, whatever the bounds are now.
    pub(crate) fn overcharge(&mut self, weight: usize, budget: &Budget) {
        budget.overcharge(weight);
        self.count += 1;
        self.bytes += weight;
    }

    /// Takes a place for a charged message that is on its way to disk.
    pub(crate) fn promise(&mut self, weight: usize) -> Place {
        self.queue.push_back(Mail::Promised(weight));
        Place(self.first + self.queue.len() as u64 - 1)
    }

    /// Puts a charged message at the end.
    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.queue.push_back(Mail::Ready(delivery));
    }

    /// The message of that place is on disk.
    pub(crate) fn keep(&mut self, place: Place, delivery: Delivery) {
        if let Some(mail @ Mail::Promised(_)) = self.at(place) {
            *mail = Mail::Ready(delivery);
        }
    }

    /// The message of that place will never come.
    pub(crate) fn cancel(&mut self, place: Place, budget: &Budget) {
        if let Some(mail @ Mail::Promised(_)) = self.at(place)
            && let Mail::Promised(weight) = std::mem::replace(mail, Mail::Void)
        {
            self.free(1, weight, budget);
        }
    }

    fn at(&mut self, place: Place) -> Option<&mut Mail> {
        let index = usize::try_from(place.0.checked_sub(self.first)?).ok()?;
        self.queue.get_mut(index)
    }

    /// Takes mail in order until `most` messages are taken, one has to wait, or `each` gives one back.
    /// Returns whether more waits that could be taken at once.
    pub(crate) fn take(
        &mut self,
        most: usize,
        mut each: impl FnMut(Delivery) -> Taken,
        budget: &Budget,
    ) -> bool {
        let mut taken = 0;
        loop {
            match self.queue.front() {
                None | Some(Mail::Promised(_)) => return false,
                Some(Mail::Ready(_)) if taken == most => return true,
                Some(Mail::Ready(_) | Mail::Void) => {}
            }
            let front = self.queue.pop_front();
            self.first += 1;
            let Some(Mail::Ready(delivery)) = front else {
                continue;
            };
            // Before `each`: should that panic, the books are right.
            let weight = delivery.message.weight();
            self.free(1, weight, budget);
            if let Taken::NotNow(delivery) = each(delivery) {
                self.overcharge(weight, budget);
                self.queue.push_front(Mail::Ready(delivery));
                self.first -= 1;
                return false;
            }
            taken += 1;
        }
    }

    /// Empties it, promises too.
    pub(crate) fn clear(&mut self, budget: &Budget) {
        self.first += self.queue.len() as u64;
        self.queue = VecDeque::new();
        self.free(self.count, self.bytes, budget);
    }

    fn free(&mut self, count: usize, bytes: usize, budget: &Budget) {
        self.count -= count;
        self.bytes -= bytes;
        budget.refund(bytes);
    }

    /// Weight of what is really in it.
    #[cfg(test)]
    fn weighed(&self) -> (usize, usize) {
        let weights = self.queue.iter().filter_map(|mail| match mail {
            Mail::Ready(delivery) => Some(delivery.message.weight()),
            Mail::Promised(weight) => Some(*weight),
            Mail::Void => None,
        });
        weights.fold((0, 0), |(count, bytes), weight| (count + 1, bytes + weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::message::{Message, Qos};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn delivery(payload: &str) -> Delivery {
        let message = Message::new("t", payload.as_bytes(), Qos::AtLeastOnce, false);
        Delivery {
            message: Arc::new(message),
            qos: Qos::AtLeastOnce,
            retain: false,
            identifiers: Vec::new(),
            ordinal: None,
        }
    }

    fn taken(mailbox: &mut Mailbox, most: usize, budget: &Budget) -> Vec<String> {
        let mut payloads = Vec::new();
        let each = |delivery: Delivery| {
            payloads.push(String::from_utf8_lossy(delivery.message.payload()).into_owned());
            Taken::Yes
        };
        mailbox.take(most, each, budget);
        payloads
    }

    const UNBOUNDED: (usize, usize) = (usize::MAX, usize::MAX);

    #[test]
    fn places_decide_the_order_and_not_the_commits() {
        let (mut mailbox, budget) = (Mailbox::default(), Budget::new(usize::MAX));
        let places = ["1", "2", "3"].map(|payload| {
            let weight = delivery(payload).message.weight();
            mailbox.charge(weight, UNBOUNDED, &budget).unwrap();
            mailbox.promise(weight)
        });
        mailbox.keep(places[2], delivery("3"));
        assert!(taken(&mut mailbox, 9, &budget).is_empty(), "1 comes first");
        mailbox.keep(places[0], delivery("1"));
        assert_eq!(taken(&mut mailbox, 9, &budget), ["1"]);
        mailbox.cancel(places[1], &budget);
        assert_eq!(taken(&mut mailbox, 9, &budget), ["3"]);
        assert_eq!((mailbox.len(), budget.used()), (0, 0));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Put(usize),
        Promise(usize),
        Restore(usize),
        Keep(usize),
        Cancel(usize),
        Take(usize),
        GiveBack,
        Clear,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0..60_usize).prop_map(Act::Put),
            6 => (0..60_usize).prop_map(Act::Promise),
            1 => (0..60_usize).prop_map(Act::Restore),
            4 => any::<usize>().prop_map(Act::Keep),
            3 => any::<usize>().prop_map(Act::Cancel),
            4 => (0..5_usize).prop_map(Act::Take),
            1 => Just(Act::GiveBack),
            1 => Just(Act::Clear),
        ]
    }

    proptest! {
        /// Two mailboxes, one budget: whatever is done in whatever order, what is charged is what is there.
        #[test]
        fn the_budget_is_the_sum_of_what_is_queued_and_promised(
            acts in prop::collection::vec((any::<bool>(), act()), 0..200),
        ) {
            const BOUNDS: (usize, usize) = (12, 2500);
            let budget = Budget::new(4000);
            let mut boxes = [Mailbox::default(), Mailbox::default()];
            // Never shortened: what is kept or cancelled twice, or after a clearing, changes nothing.
            let mut promises: [Vec<(Place, usize)>; 2] = Default::default();
            for (which, act) in acts {
                let (mailbox, promises) = (&mut boxes[usize::from(which)], &mut promises[usize::from(which)]);
                let sized = |len: usize| delivery(&"x".repeat(len));
                let chosen = |at: usize| (!promises.is_empty()).then(|| promises[at % promises.len()]);
                match act {
                    Act::Put(len) => {
                        if mailbox.charge(sized(len).message.weight(), BOUNDS, &budget).is_ok() {
                            mailbox.push(sized(len));
                        }
                    }
                    Act::Promise(len) => {
                        let weight = sized(len).message.weight();
                        if mailbox.charge(weight, BOUNDS, &budget).is_ok() {
                            promises.push((mailbox.promise(weight), len));
                        }
                    }
                    Act::Restore(len) => {
                        mailbox.overcharge(sized(len).message.weight(), &budget);
                        mailbox.push(sized(len));
                    }
                    Act::Keep(at) => {
                        if let Some((place, len)) = chosen(at) {
                            mailbox.keep(place, sized(len));
                        }
                    }
                    Act::Cancel(at) => {
                        if let Some((place, _)) = chosen(at) {
                            mailbox.cancel(place, &budget);
                        }
                    }
                    Act::Take(most) => drop(taken(mailbox, most, &budget)),
                    Act::GiveBack => {
                        mailbox.take(5, Taken::NotNow, &budget);
                    }
                    Act::Clear => mailbox.clear(&budget),
                }
                let mut total = 0;
                for mailbox in &boxes {
                    prop_assert_eq!(mailbox.weighed(), (mailbox.count, mailbox.bytes));
                    total += mailbox.bytes;
                }
                prop_assert_eq!(budget.used(), total);
            }
        }
    }
}
