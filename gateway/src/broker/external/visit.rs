//! One connection to the far broker: what it delivers goes to the writer, what is on disk is
//! acknowledged, results go out. It waits for whatever comes first and applies it.

use super::bridge::Bridge;
use super::failure::Failure;
use super::ledger::{Due, Ledger};
use super::link::{Delivered, Fit, Granted, Heard, Link, Stuck, UNACKNOWLEDGED, Welcome};
use super::outbox::Outbox;
use crate::broker::intake::{Incoming, Line, Mapper, Reply, Submission};
use crate::broker::limits::{EAGER_WITHIN, LAST_WORDS};
use crate::broker::pass::pass;
use crate::broker::stats::Stats;
use crate::broker::{Message, Qos, Subscriber, name, now};
use crate::source::Belongs;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Filters in one SUBSCRIBE: some brokers take no more.
const FILTERS: usize = 8;
/// What our session should be kept for at least, in seconds: a day.
const SHORT_EXPIRY_S: u32 = 86_400;

/// Why a visit is over.
#[derive(Debug)]
pub(super) enum End {
    /// We were told to stop, or the broker within is gone.
    Stopped,
    /// It failed.
    Failed(Failure),
}

/// Why the work is over.
enum Over {
    End(End),
    /// Nothing more can be said to the far broker.
    Stuck,
}

impl From<Stuck> for Over {
    fn from(Stuck: Stuck) -> Self {
        Self::Stuck
    }
}

impl From<End> for Over {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// Something to apply.
enum Event {
    Woken,
    Result(Arc<Message>),
    Heard(usize),
    Stop,
}

/// Where a visit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was heard yet.
    Arriving,
    /// The far broker has let us in.
    Here { since: Instant },
    /// We take nothing more, and leave when everything is settled.
    Leaving { since: Instant },
}

pub(super) struct Visit<'a, M: Mapper> {
    bridge: &'a mut Bridge<M>,
    link: Link,
    /// Of this connection alone: receipts for an earlier one arrive nowhere.
    line: Arc<Line>,
    ledger: Ledger,
    outbox: Outbox,
    /// Our own retained messages, from the welcome on.
    results: Option<Subscriber>,
    /// Filters asked for and not answered, a SUBSCRIBE each.
    asked: VecDeque<Vec<String>>,
    /// What the far broker refuses, while the rest goes on.
    refused: Option<String>,
    last_ack: Option<Instant>,
    stage: Stage,
}

impl<'a, M: Mapper> Visit<'a, M> {
    pub(super) fn new(bridge: &'a mut Bridge<M>, link: Link) -> Self {
        Self {
            bridge,
            link,
            line: Arc::default(),
            ledger: Ledger::default(),
            outbox: Outbox::new(1),
            results: None,
            asked: VecDeque::new(),
            refused: None,
            last_ack: None,
            stage: Stage::Arriving,
        }
    }

    /// How long the far broker has had us.
    pub(super) fn lasted(&self) -> Duration {
        match self.stage {
            Stage::Arriving => Duration::ZERO,
            Stage::Here { since } | Stage::Leaving { since } => now().duration_since(since),
        }
    }

    /// Serves to the end.
    pub(super) async fn serve(&mut self, stop: &mut watch::Receiver<bool>) -> End {
        match self.work(stop).await {
            // What has gone wrong was heard, perhaps, and not yet taken up.
            Over::Stuck => End::Failed(self.link.last_words()),
            Over::End(end) => end,
        }
    }

    async fn work(&mut self, stop: &mut watch::Receiver<bool>) -> Over {
        let line = Arc::clone(&self.line);
        let mut heard = Vec::new();
        loop {
            if let Err(stuck) = self.send_results() {
                return stuck.into();
            }
            let leaving = matches!(self.stage, Stage::Leaving { .. });
            if leaving && self.ledger.is_empty() && self.outbox.is_empty() {
                return self.part().await.into();
            }
            let room = usize::from(UNACKNOWLEDGED).saturating_sub(self.ledger.len());
            let event = tokio::select! {
                biased;
                () = line.wake.notified() => Event::Woken,
                message = next(&mut self.results), if self.outbox.has_room() => Event::Result(message),
                _ = stop.wait_for(|stop| *stop), if !leaving => Event::Stop,
                count = self.link.hear(&mut heard, room), if room > 0 => Event::Heard(count),
            };
            let applied = match event {
                Event::Woken => self.collect_receipts(),
                Event::Result(message) => {
                    self.put(message);
                    Ok(())
                }
                Event::Heard(0) => Err(Over::Stuck),
                Event::Heard(_) => self.take_in(&mut heard).await,
                Event::Stop => self.begin_to_leave(),
            };
            if let Err(end) = applied {
                return end;
            }
        }
    }

    fn begin_to_leave(&mut self) -> Result<(), Over> {
        let Stage::Here { since } = self.stage else {
            return Err(End::Stopped.into());
        };
        self.stage = Stage::Leaving { since };
        // Everything said before the order to stop goes out: `offline` is the last of it.
        while let Some(message) = self.results.as_mut().and_then(Subscriber::try_recv) {
            self.put(message);
        }
        Ok(())
    }

    async fn part(&mut self) -> End {
        let gone = async {
            self.link.leave()?;
            let mut heard = Vec::new();
            let over = |heard: &Heard| matches!(heard, Heard::Left | Heard::Lost(_));
            while !heard.iter().any(over) && self.link.hear(&mut heard, 1).await > 0 {}
            Ok::<(), Stuck>(())
        };
        if !matches!(tokio::time::timeout(LAST_WORDS, gone).await, Ok(Ok(()))) {
            tracing::warn!("the far broker took no goodbye");
        }
        End::Stopped
    }

    fn collect_receipts(&mut self) -> Result<(), Over> {
        let committed = self.line.take_settled();
        if committed > 0 {
            self.settle(committed)?;
            self.last_ack = Some(now());
        }
        if self.line.has_failed() {
            let why =
                "the store did not take what the broker delivered; it is asked to deliver it again";
            return Err(End::Failed(Failure::soon(why)).into());
        }
        Ok(())
    }

    fn settle(&mut self, committed: u64) -> Result<(), Stuck> {
        let (link, mut said) = (&self.link, Ok(()));
        self.ledger.settle(committed, |receipt| {
            if said.is_ok() {
                said = link.acknowledge(receipt);
            }
        });
        said
    }

    /// Everything that was heard, and one submission for all of its messages.
    async fn take_in(&mut self, heard: &mut Vec<Heard>) -> Result<(), Over> {
        let mut submission = Submission::new(Reply::nobody());
        let mut applied = Ok(());
        for heard in heard.drain(..) {
            applied = self.apply(heard, &mut submission).await;
            if applied.is_err() {
                break;
            }
        }
        self.settle(0)?;
        self.submit(submission).await?;
        applied
    }

    async fn apply(
        &mut self,
        heard: Heard,
        submission: &mut Submission<M::Mapped>,
    ) -> Result<(), Over> {
        match heard {
            Heard::Publish(delivered) => match self.stage {
                Stage::Arriving | Stage::Here { .. } => self.take_publish(delivered, submission),
                // Unacknowledged it comes again, next time.
                Stage::Leaving { .. } => {}
            },
            Heard::Welcome(welcome) => self.enter(welcome)?,
            Heard::Subscribed(granted) => self.subscribed(&granted).await?,
            Heard::Landed => self.outbox.landed(),
            Heard::Unwanted(why) => {
                self.outbox.landed();
                self.refuse(format!(
                    "the broker does not take our results ({why}): let this client publish below sluice/ and \
                     homeassistant/"
                ));
            }
            Heard::Left => return Err(End::Stopped.into()),
            Heard::Lost(failure) => return Err(End::Failed(failure).into()),
        }
        Ok(())
    }

    fn enter(&mut self, welcome: Welcome) -> Result<(), Over> {
        self.stage = Stage::Here { since: now() };
        self.outbox.set_window(self.link.welcome(welcome));
        let ours = format!("sluice/{}/#", self.bridge.plan.site);
        self.results = self
            .bridge
            .broker
            .subscribe_results(&[&ours, "homeassistant/#"]);
        let Bridge {
            session,
            remembered,
            ..
        } = &*self.bridge;
        let before = remembered
            .as_ref()
            .filter(|known| known.is_same_session(session));
        match (before, welcome.session_present) {
            (Some(_), false) => tracing::warn!(
                "the far broker has forgotten our session: messages that it took while this gateway was away may be \
                 lost there; look at its persistence and at how long it keeps sessions"
            ),
            (Some(before), true) => {
                let gone = before.filters.iter();
                for filter in gone.filter(|filter| !session.filters.contains(filter)) {
                    self.link.unsubscribe(filter)?;
                }
            }
            (None, _) => {}
        }
        if let Some(seconds) = welcome.session_expiry_s.filter(|s| *s < SHORT_EXPIRY_S) {
            tracing::warn!(
                "the far broker keeps our session for {seconds} s only: what it takes while this gateway is away for \
                 longer is lost there"
            );
        }
        for filters in session.filters.chunks(FILTERS) {
            self.link
                .subscribe(filters, self.bridge.plan.external.qos)?;
            self.asked.push_back(filters.to_vec());
        }
        Ok(())
    }

    async fn subscribed(&mut self, granted: &[Granted]) -> Result<(), Over> {
        let asked = self.asked.pop_front().unwrap_or_default();
        for (filter, granted) in asked.iter().zip(granted) {
            match granted {
                Granted::Refused => self.refuse(format!(
                    "the broker refuses the subscription to {filter}: let this client subscribe to it"
                )),
                Granted::At(qos) if *qos < self.bridge.plan.external.qos => self.refuse(format!(
                    "the broker grants {filter} at QoS {} only: what this gateway has not taken is lost there",
                    *qos as u8
                )),
                Granted::At(_) => {}
            }
        }
        if !self.asked.is_empty() {
            return Ok(());
        }
        self.bridge.report.connected(self.refused.clone());
        tracing::info!(
            client = self.bridge.session.client,
            "connected to {}",
            self.bridge.plan.external
        );
        let Bridge {
            broker,
            session,
            remembered,
            ..
        } = &mut *self.bridge;
        if remembered.as_ref() != Some(session) {
            session.keep(broker).await.map_err(|_| End::Stopped)?;
            *remembered = Some(session.clone());
        }
        Ok(())
    }

    fn refuse(&mut self, what: String) {
        if self.refused.as_ref() != Some(&what) {
            tracing::warn!("{}: {what}", self.bridge.plan.external);
            self.bridge.report.trouble(&what);
            self.refused = Some(what);
        }
    }

    fn take_publish(&mut self, delivered: Delivered, submission: &mut Submission<M::Mapped>) {
        let Delivered {
            topic,
            payload,
            retain,
            receipt,
        } = delivered;
        let core = &self.bridge.broker.core;
        Stats::add(&core.stats.messages_in, 1);
        let text = std::str::from_utf8(&topic).ok();
        let text = text.filter(|topic| {
            name::topic_fault(topic).is_none() && core.own_topics.may_publish(topic)
        });
        if let Some(id) = text.and_then(|topic| core.own_topics.acknowledged(topic))
            && retain
        {
            // It would acknowledge whatever comes at each connection anew.
            tracing::warn!(
                alert = %id,
                "an acknowledgement is retained at the far broker: it is ignored; publish it without RETAIN, and \
                 clear this one with an empty retained message"
            );
            return self.ledger.owe(receipt, Due::AtOnce);
        }
        // Our own results come back from a source as wide as "#", and an empty retained message clears
        // and says nothing: neither is anybody's reading.
        let said = text.filter(|_| !(retain && payload.is_empty()));
        let belongs = said.map(|topic| {
            let mapped = core.mapper.map(topic, &payload);
            (self.bridge.sieve)(topic, mapped)
        });
        let decoded = match belongs {
            Some(Belongs::Ours(decoded)) => decoded,
            Some(Belongs::Elsewhere) => {
                self.bridge.report.elsewhere();
                return self.ledger.owe(receipt, Due::AtOnce);
            }
            None => return self.ledger.owe(receipt, Due::AtOnce),
        };
        self.ledger.owe(receipt, Due::AfterCommit);
        submission.settles += 1;
        let mut incoming = Incoming {
            origin: 0,
            topic,
            payload,
            qos: receipt.qos,
            // It is retained there; here it passes.
            retain: false,
            packet_id: receipt.id,
            props: None,
            decoded,
            by: None,
            passed: None,
        };
        if incoming.qos == Qos::AtMostOnce {
            pass(&core.hub, &mut incoming);
        }
        submission.incoming.push(incoming);
    }

    async fn submit(&mut self, mut submission: Submission<M::Mapped>) -> Result<(), Over> {
        if submission.incoming.is_empty() {
            return Ok(());
        }
        let backlog = self
            .last_ack
            .is_some_and(|last| now().duration_since(last) < EAGER_WITHIN);
        let filling = self.ledger.len() >= usize::from(UNACKNOWLEDGED) / 2;
        submission.eager = submission.wants_commit() && (backlog || filling);
        submission.reply = Reply::to(&self.line);
        let intake = self.bridge.broker.core.intake().ok_or(End::Stopped)?;
        intake
            .send(submission)
            .await
            .map_err(|_| End::Stopped.into())
    }

    /// What is retained with us is published there, and nothing else: what came in does not go out.
    fn put(&mut self, message: Arc<Message>) {
        if message.retain() {
            self.outbox.put(message);
        }
    }

    fn send_results(&mut self) -> Result<(), Stuck> {
        while let Some(message) = self.outbox.next() {
            let (topic, payload) = (message.topic_str(), message.payload());
            match self.link.fit(topic, payload) {
                Fit::Fits => {
                    self.link.publish(topic, payload)?;
                    Stats::add(&self.bridge.broker.core.stats.messages_out, 1);
                }
                Fit::TooLarge => {
                    self.outbox.landed();
                    tracing::warn!(
                        topic,
                        bytes = payload.len(),
                        "the far broker takes no packet so large"
                    );
                    Stats::add(&self.bridge.broker.core.stats.discarded, 1);
                }
            }
        }
        Ok(())
    }
}

async fn next(results: &mut Option<Subscriber>) -> Arc<Message> {
    match results {
        Some(results) => results.recv().await,
        None => std::future::pending().await,
    }
}
