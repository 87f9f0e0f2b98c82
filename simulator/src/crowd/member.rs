//! One client of a crowd.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::Options;
use crate::draw::{Purpose, Stream};
use crate::fleet::Fleet;
use crate::message::Reading;
use crate::packet::Qos;
use crate::publish::link::{Identity, Link, LinkError};
use crate::publish::{INFLIGHT_MAX, Options as PublishOptions, PublishError, Speed};
use crate::sensor::Sensor;
use crate::session::Session;

/// Every client says something this often.
const EVERY: Duration = Duration::from_secs(1);
/// 2020-01-01 in epoch milliseconds: the crowd's first reading is measured a second later.
const START_MS: i64 = 1_577_836_800_000;
/// A flapping client stays connected for so many of its readings.
const STAYS: (i64, i64) = (2, 20);
/// And is away for so long, in ms.
const AWAY_MS: (i64, i64) = (0, 3000);
/// Between two calls to a broker that is not there.
const CALL_AGAIN: Duration = Duration::from_millis(250);

/// A client with its readings.
pub(super) struct Member {
    identity: Identity,
    fleet: Fleet,
    home: u32,
    /// Readings to publish in all.
    total: u32,
    /// Its moment within each second.
    phase: Duration,
    /// Chance, for who flaps.
    chance: Option<Stream>,
    patience: Duration,
    session: Session,
    /// When the readings in flight were written; `None` for those that were sent again.
    written: VecDeque<Option<Instant>>,
    stint: Stint,
}

/// What a client did.
#[derive(Debug, Default)]
pub(super) struct Stint {
    pub(super) published: u64,
    pub(super) acknowledged: u64,
    pub(super) reconnects: u64,
    pub(super) latencies_us: Vec<u32>,
}

impl Stint {
    pub(super) fn add(&mut self, other: Self) {
        self.published += other.published;
        self.acknowledged += other.acknowledged;
        self.reconnects += other.reconnects;
        self.latencies_us.extend(other.latencies_us);
    }
}

/// Why a connection is over.
enum Over {
    /// Everything is said and acknowledged.
    Done,
    /// It flapped, or was lost.
    Again,
}

impl Member {
    pub(super) fn new(options: &Options, number: u32) -> Self {
        let publish = PublishOptions {
            broker: options.broker.clone(),
            qos: Qos::One,
            speed: Speed::Max,
            clients: options.clients,
            inflight: INFLIGHT_MAX,
            login: options.login.clone(),
            patience: options.patience,
        };
        let chance = Stream::new(options.seed, number, Purpose::Flapping);
        let share = u64::from(number) * 1000 / u64::from(options.clients.max(1));
        let flaps = number % 100 < options.flapping_percent;
        Self {
            identity: Identity::new(&publish, number).staying(flaps),
            fleet: Fleet::new(options.clients),
            home: number,
            total: options.seconds,
            phase: Duration::from_millis(share),
            chance: flaps.then_some(chance),
            patience: options.patience,
            session: Session::new(Qos::One, INFLIGHT_MAX),
            written: VecDeque::new(),
            stint: Stint::default(),
        }
    }

    /// Publishes all of its readings, through however many connections.
    pub(super) async fn run(mut self, began: Instant) -> Result<Stint, PublishError> {
        let mut drawn = 0;
        loop {
            tokio::time::sleep_until(self.due(began)).await;
            let mut link = self.call().await?;
            let flap_at = self.chance.map(|chance| {
                drawn += 1;
                self.session.tally.published + draw(chance, drawn, STAYS)
            });
            match self.talk(&mut link, began, flap_at).await? {
                Over::Done => {
                    link.close(&self.identity).await;
                    self.stint.published = self.session.tally.published;
                    self.stint.acknowledged = self.session.tally.acknowledged;
                    return Ok(self.stint);
                }
                Over::Again => {
                    drop(link);
                    self.stint.reconnects += 1;
                    self.session.resume();
                    self.written.iter_mut().for_each(|written| *written = None);
                    if let Some(chance) = self.chance {
                        drawn += 1;
                        let away = Duration::from_millis(draw(chance, drawn, AWAY_MS));
                        tokio::time::sleep(away).await;
                    }
                }
            }
        }
    }

    /// A connection, made within the patience.
    async fn call(&self) -> Result<Link, PublishError> {
        let called = Instant::now();
        loop {
            match Link::open(&self.identity).await {
                Ok(link) => return Ok(link),
                Err(LinkError::Io(_)) if called.elapsed() < self.patience => {
                    tokio::time::sleep(CALL_AGAIN).await;
                }
                Err(error) => return Err(error.give_up(&self.identity)),
            }
        }
    }

    async fn talk(
        &mut self,
        link: &mut Link,
        began: Instant,
        flap_at: Option<u64>,
    ) -> Result<Over, PublishError> {
        match self.try_talk(link, began, flap_at).await {
            Ok(over) => Ok(over),
            Err(LinkError::Io(_)) => Ok(Over::Again),
            Err(error) => Err(error.give_up(&self.identity)),
        }
    }

    async fn try_talk(
        &mut self,
        link: &mut Link,
        began: Instant,
        flap_at: Option<u64>,
    ) -> Result<Over, LinkError> {
        loop {
            let all_said = self.session.tally.published == u64::from(self.total);
            if !all_said && self.due(began) <= Instant::now() {
                self.say();
            }
            if !self.session.unwritten().is_empty() {
                link.send(self.session.unwritten()).await?;
                self.session.wrote_all();
                if flap_at.is_some_and(|at| self.session.tally.published >= at) {
                    // Its last publish is on the way, and the answer will find nobody.
                    return Ok(Over::Again);
                }
            }
            if all_said && self.session.is_settled() {
                return Ok(Over::Done);
            }
            link.wait((!all_said).then(|| self.due(began))).await?;
            while let Some(packet) = link.take()? {
                let before = self.session.tally.acknowledged;
                self.session.receive(packet)?;
                if self.session.tally.acknowledged > before {
                    self.acknowledged();
                }
            }
        }
    }

    /// When the next reading is due.
    fn due(&self, began: Instant) -> Instant {
        let said = u32::try_from(self.session.tally.published).unwrap_or(u32::MAX);
        began + self.phase + EVERY.saturating_mul(said)
    }

    fn say(&mut self) {
        let said = i64::try_from(self.session.tally.published).unwrap_or(i64::MAX);
        let time_ms = START_MS + (said + 1) * 1000;
        let reading = Reading {
            at_ms: time_ms,
            time_ms,
            home: self.home,
            sensor: Sensor::W1,
            hundredths: 1 + said % 100,
        };
        let topic = &self.fleet.label(self.home, Sensor::W1).topic;
        self.session
            .publish(topic, |out| reading.write_payload(&self.fleet, out));
        self.written.push_back(Some(Instant::now()));
    }

    /// Brokers acknowledge in order (section 4.6 of the standard), so the oldest in flight is meant.
    fn acknowledged(&mut self) {
        if let Some(Some(written)) = self.written.pop_front() {
            let took = u32::try_from(written.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.stint.latencies_us.push(took);
        }
    }
}

fn draw(chance: Stream, index: u64, (low, high): (i64, i64)) -> u64 {
    chance.within(index, low, high).unsigned_abs()
}
