//! One connection: a socket, a session, and the loop between them. It waits for whatever comes first —
//! bytes, room to write, a wake-up, the keep-alive — and applies it. One read becomes one submission, one
//! wake-up one write.

mod greet;
mod leave;
mod subscribe;
mod uptake;

use super::auth::{Peer, Permit, Standing};
use super::codec::{self, Bad};
use super::door::Place;
use super::hub::{Hub, Will};
use super::intake::{BrokerWrite, Incoming, Line, Mapper, Order, Reply, Submission};
use super::limits::{
    EAGER_WITHIN, MAIL_HIGH, MAX_PENDING, READ_LARGEST, READ_SMALLEST, WRITE_HIGH,
};
use super::mailbox::Taken;
use super::message::Qos;
use super::pass::pass;
use super::session::{Sent, Session, Step, Whereabouts};
use super::slot::{Promise, Slot};
use super::stats::Stats;
use super::{Core, now, session};
use bytes::BytesMut;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use uptake::{Uptake, Verdict};

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client said goodbye.
    Left { publish_will: bool },
    /// The socket ended or failed.
    Lost,
    /// The client broke the rules.
    Bad(Bad),
    /// Nothing was heard for one and a half keep-alives.
    Silent,
    /// The client no longer takes what it is sent.
    Stalled,
    /// Told from outside.
    Told(Order),
    /// Its user is gone or has to log in again, or may not hold what it holds.
    Revoked,
    /// A commit failed, or the writer is gone.
    Unwritten,
    /// A fault of our own.
    Panicked,
}

/// Something to apply.
enum Event {
    Read(std::io::Result<usize>),
    Wrote(std::io::Result<usize>),
    Woken,
    Tick,
}

struct Connection<'a, M: Mapper> {
    core: &'a Arc<Core<M>>,
    session: Session,
    slot: Arc<Slot>,
    line: Arc<Line>,
    permit: Arc<Permit>,
    will: Option<Box<Will>>,
    /// Whether the store holds rows of this client.
    has_rows: bool,
    intake: mpsc::Sender<Submission<M::Mapped>>,
    input: BytesMut,
    output: BytesMut,
    read_size: usize,
    /// Rows to hand over with the next submission.
    writes: Vec<BrokerWrite>,
    /// Retained messages to hand over with it, for a persistent session.
    promises: Vec<Promise>,
    seat: Seat,
    last_ack: Option<Instant>,
    heard: Instant,
    keep_alive: Option<Duration>,
    uptake: Uptake,
    /// Bytes of the output whose packets are counted.
    counted: usize,
}

/// Serves one connection to its end. A fault of our own costs this connection, and nobody else anything.
pub(crate) async fn run<M: Mapper, S>(core: &Arc<Core<M>>, mut stream: S, peer: Peer, place: &Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // What may be broken inside is not used after a panic: the socket is closed, the session fails what it
    // was at.
    let greeting = AssertUnwindSafe(greet::greet(core, &mut stream, &peer, place));
    let mut connection = match greeting.catch_unwind().await {
        Ok(Some(connection)) => connection,
        Ok(None) => return,
        Err(_) => {
            tracing::error!(?peer, "greeting a client failed for a fault of our own");
            return;
        }
    };
    let serving = AssertUnwindSafe(connection.serve(&mut stream));
    let end = serving.catch_unwind().await.unwrap_or(End::Panicked);
    tracing::debug!(
        client = &*connection.session.client,
        ?end,
        "connection ends"
    );
    connection.leave(&mut stream, end).await;
}

/// Holds a client id. Should the task fail where nothing can be saved, the id must not stay taken.
struct Seat {
    hub: Arc<Hub>,
    slot: Arc<Slot>,
    kept: bool,
}

impl Seat {
    fn taken(hub: &Arc<Hub>, slot: &Arc<Slot>) -> Self {
        Self {
            hub: Arc::clone(hub),
            slot: Arc::clone(slot),
            kept: true,
        }
    }

    fn given_up(&mut self) {
        self.kept = false;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.kept {
            if self.slot.is_durable() {
                self.hub.abandon_rows(&self.slot.client);
            }
            self.hub.end(&self.slot);
        }
    }
}

impl<M: Mapper> Connection<'_, M> {
    async fn serve<S>(&mut self, stream: &mut S) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.count_output();
        // Users may have changed since they were asked, and a session since it was left.
        if let Err(end) = self.review() {
            return end;
        }
        let (mut reader, mut writer) = tokio::io::split(stream);
        let line = Arc::clone(&self.line);
        let tick = tokio::time::sleep_until(self.next_tick().into());
        tokio::pin!(tick);
        // What came with CONNECT, and what waits for a resumed session.
        if let Err(end) = self.take_in().await {
            return end;
        }
        self.pump();
        loop {
            let may_read = self.may_read();
            if may_read {
                self.make_room();
            }
            self.count_output();
            self.uptake.owes(self.output.len(), now());
            let next = self.next_tick();
            if next < tick.deadline().into_std() {
                tick.as_mut().reset(next.into());
            }
            let event = tokio::select! {
                biased;
                wrote = writer.write_buf(&mut self.output), if !self.output.is_empty() => Event::Wrote(wrote),
                () = line.wake.notified() => Event::Woken,
                read = reader.read_buf(&mut self.input), if may_read => Event::Read(read),
                () = &mut tick => Event::Tick,
            };
            let applied = match event {
                Event::Read(read) => self.on_read(read).await,
                Event::Wrote(wrote) => self.on_wrote(wrote),
                Event::Woken => self.on_woken().await,
                Event::Tick => {
                    let applied = self.on_tick();
                    tick.as_mut().reset(self.next_tick().into());
                    applied
                }
            };
            if let Err(end) = applied {
                return end;
            }
        }
    }

    async fn on_read(&mut self, read: std::io::Result<usize>) -> Result<(), End> {
        let count = read.map_err(|_| End::Lost)?;
        if count == 0 {
            return Err(End::Lost);
        }
        Stats::add(&self.core.stats.bytes_in, count as u64);
        self.heard = now();
        // A full buffer asks for a larger one, a nearly empty one for a smaller.
        if self.input.len() == self.input.capacity() {
            self.read_size = (self.read_size * 2).min(READ_LARGEST);
        } else if count < self.read_size / 8 {
            self.read_size = (self.read_size / 2).max(READ_SMALLEST);
        }
        self.take_in().await?;
        self.pump();
        Ok(())
    }

    fn on_wrote(&mut self, wrote: std::io::Result<usize>) -> Result<(), End> {
        match wrote {
            Ok(0) | Err(_) => Err(End::Lost),
            Ok(count) => {
                Stats::add(&self.core.stats.bytes_out, count as u64);
                self.counted -= count;
                self.uptake.took(count);
                if self.output.is_empty() && self.output.capacity() > WRITE_HIGH {
                    self.output = BytesMut::new();
                }
                self.pump();
                Ok(())
            }
        }
    }

    async fn on_woken(&mut self) -> Result<(), End> {
        let was_full = self.session.pending() >= MAX_PENDING;
        self.collect_receipts()?;
        match self.line.order() {
            Order::None => {}
            order @ (Order::TakenOver | Order::ShuttingDown | Order::Ended) => {
                return Err(End::Told(order));
            }
        }
        if self.line.take_review() {
            self.review()?;
        }
        if was_full {
            // Packets may stand in the buffer that there was no room for.
            self.take_in().await?;
        }
        self.pump();
        Ok(())
    }

    /// Looks again at what its user may do. A session that holds a subscription that its user may not ends
    /// with its connection, queue and all: MQTT has no word for a subscription taken away, and a client
    /// that comes back to no session subscribes anew and is told.
    fn review(&mut self) -> Result<(), End> {
        let standing = self.core.access.standing(&self.permit, &self.slot.client);
        let proven = match standing {
            Standing::Same => true,
            Standing::Changed(permit) => {
                self.permit = permit;
                true
            }
            Standing::Unproven(permit) => {
                self.permit = permit;
                false
            }
            Standing::Gone => {
                self.session.memory.expiry_s = 0;
                self.will = None;
                return Err(End::Revoked);
            }
        };
        let permit = &self.permit;
        self.will.take_if(|will| {
            let topic = std::str::from_utf8(&will.topic).unwrap_or_default();
            !permit.may_publish(topic)
        });
        let fits = self.slot.fits(permit);
        if !fits {
            self.session.memory.expiry_s = 0;
        }
        if proven && fits {
            Ok(())
        } else {
            Err(End::Revoked)
        }
    }

    fn collect_receipts(&mut self) -> Result<(), End> {
        let receipts = self.line.take_settled();
        if receipts > 0 {
            self.session.settle(receipts, &mut self.output);
            self.last_ack = Some(now());
        }
        if self.line.has_failed() {
            Err(End::Unwritten)
        } else {
            Ok(())
        }
    }

    fn on_tick(&mut self) -> Result<(), End> {
        let now = now();
        match self.uptake.verdict(now) {
            Verdict::Moving => {}
            Verdict::Stalled => return Err(End::Stalled),
        }
        if !self.may_read() {
            // It may well have spoken: it is we who do not listen.
            self.heard = now;
        }
        match self.keep_alive {
            Some(limit) if now.duration_since(self.heard) >= limit => Err(End::Silent),
            Some(_) | None => Ok(()),
        }
    }

    fn may_read(&self) -> bool {
        self.session.pending() < MAX_PENDING && self.output.len() < WRITE_HIGH
    }

    /// Every packet on its way out passes here once.
    fn count_output(&mut self) {
        let new = codec::tally(&self.output[self.counted..]);
        if new > 0 {
            Stats::add(&self.core.stats.packets_out, new);
        }
        self.counted = self.output.len();
    }

    fn next_tick(&self) -> Instant {
        /// A client without keep-alive is never silent for too long; the timer still needs a time.
        const FAR: Duration = Duration::from_secs(86_400);
        let silent = match self.keep_alive {
            Some(limit) => self.heard + limit,
            None => now() + FAR,
        };
        self.uptake.due().map_or(silent, |due| due.min(silent))
    }

    fn make_room(&mut self) {
        let spare = self.input.capacity() - self.input.len();
        if spare < self.read_size / 2 {
            self.input.reserve(self.read_size);
        }
    }

    /// Every whole packet in the buffer, and one submission for all of them.
    async fn take_in(&mut self) -> Result<(), End> {
        let mut submission = Submission::new(Reply::nobody());
        let parsed = self.parse(&mut submission).await;
        self.submit(submission).await?;
        parsed
    }

    async fn parse(&mut self, submission: &mut Submission<M::Mapped>) -> Result<(), End> {
        let max_packet = self.core.hub.limits.max_packet;
        while self.session.pending() < MAX_PENDING {
            let Some(packet) = codec::decode(&mut self.input, self.session.version, max_packet)
                .map_err(End::Bad)?
            else {
                break;
            };
            Stats::add(&self.core.stats.packets_in, 1);
            let (core, permit) = (self.core, &self.permit);
            let may_publish =
                |topic: &str| core.own_topics.may_publish(topic) && permit.may_publish(topic);
            let step = self
                .session
                .on_packet(packet, may_publish, &mut self.output, &mut self.writes)
                .map_err(End::Bad)?;
            match step {
                Step::Done => {}
                Step::Publish(publish) => self.take_publish(publish, submission),
                Step::Denied => {
                    Stats::add(&self.core.stats.messages_in, 1);
                    Stats::add(&self.core.stats.denied, 1);
                }
                Step::Subscribe(subscribe) => {
                    self.subscribe(subscribe).await.map_err(End::Bad)?;
                    submission.eager = true;
                }
                Step::Unsubscribe(unsubscribe) => {
                    self.unsubscribe(&unsubscribe);
                    submission.eager = true;
                }
                Step::Leave { publish_will } => return Err(End::Left { publish_will }),
            }
        }
        Ok(())
    }

    fn take_publish(&mut self, publish: codec::Publish, submission: &mut Submission<M::Mapped>) {
        let topic = std::str::from_utf8(&publish.topic).expect("the session has checked it");
        let decoded = self.core.mapper.map(topic, &publish.payload);
        let by = self.core.own_topics.acknowledged(topic).map(|_| {
            let user = self.permit.user.as_deref();
            user.unwrap_or(&self.session.client).into()
        });
        let mut incoming = Incoming {
            origin: self.slot.key,
            topic: publish.topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            packet_id: publish.id,
            props: publish.properties,
            decoded,
            by,
            passed: None,
        };
        if self.session.may_pass() {
            // At once: what this client subscribes to next is behind it.
            pass(&self.core.hub, &mut incoming);
        }
        submission.incoming.push(incoming);
    }

    async fn submit(&mut self, mut submission: Submission<M::Mapped>) -> Result<(), End> {
        if self.session.take_dirty() {
            self.has_rows = true;
            let memory = &self.session.memory;
            self.writes
                .push(session::row(&self.slot, memory, Whereabouts::Here));
        }
        submission.settles = self.session.take_unsubmitted();
        submission.promises.append(&mut self.promises);
        submission.writes.append(&mut self.writes);
        if !submission.wants_commit() && submission.incoming.is_empty() && submission.settles == 0 {
            return Ok(());
        }
        if !submission.incoming.is_empty() {
            let count = submission.incoming.len() as u64;
            Stats::add(&self.core.stats.messages_in, count);
            let bytes: usize = submission
                .incoming
                .iter()
                .map(|publish| publish.payload.len())
                .sum();
            Stats::add(&self.core.stats.payload_in, bytes as u64);
        }
        let silent = submission
            .incoming
            .iter()
            .filter(|publish| publish.qos == Qos::AtMostOnce)
            .count() as u64;
        let backlog = submission.settles > silent
            && self
                .last_ack
                .is_some_and(|last| now().duration_since(last) < EAGER_WITHIN);
        // A window that fills would stand still until the commit, QoS 0 too.
        let filling = self.session.pending() >= MAX_PENDING / 2;
        submission.eager |= backlog || filling || self.session.waits_for_release();
        submission.reply = Reply::to(&self.line);
        match self.intake.try_send(submission) {
            Ok(()) => Ok(()),
            // The writer is busy: this socket is not read meanwhile.
            Err(TrySendError::Full(submission)) => self
                .intake
                .send(submission)
                .await
                .map_err(|_| End::Unwritten),
            Err(TrySendError::Closed(_)) => Err(End::Unwritten),
        }
    }

    /// Mail into the output, as far as window and socket allow.
    fn pump(&mut self) {
        let now = now();
        self.session.resume_rest(&mut self.output, now);
        let (mut sent, mut sent_bytes, mut discarded) = (0, 0, 0);
        // One at a time: a batch of the largest packets would be far beyond the bound.
        while self.output.len() < MAIL_HIGH {
            let Self {
                session,
                output,
                writes,
                ..
            } = self;
            let more = self.slot.take(1, |delivery| {
                let payload = delivery.message.payload().len();
                match session.send(delivery, output, writes, now) {
                    Sent::Yes => {
                        sent += 1;
                        sent_bytes += payload;
                    }
                    Sent::Discarded => discarded += 1,
                    Sent::NotNow(delivery) => return Taken::NotNow(delivery),
                }
                Taken::Yes
            });
            if !more {
                break;
            }
        }
        if sent > 0 {
            Stats::add(&self.core.stats.messages_out, sent);
            Stats::add(&self.core.stats.payload_out, sent_bytes as u64);
        }
        if discarded > 0 {
            Stats::add(&self.core.stats.discarded, discarded);
        }
    }
}
