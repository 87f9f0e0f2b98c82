//! One client's connection: moves the session's bytes, waits for acknowledgements and for the pace.

use std::io;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Board, Broker, Login, Options, Pace, PublishError};
use crate::fleet::Fleet;
use crate::packet::{self, Connect, Inbound, Qos};
use crate::scenario::Readings;
use crate::session::{Session, Tally};

/// How long a connection may take to be made and accepted.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How often the broker is asked whether it is there; silent until the next time, it is lost.
const PING_EVERY: Duration = Duration::from_secs(20);
/// What the broker is told about it, with room for a slow moment.
const KEEP_ALIVE_S: u16 = 60;
/// How long a farewell may take; everything is acknowledged by then.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// Longest client id that every broker takes is 23; this stays below.
const CLIENT_PREFIX: &str = "sluice-sim";

/// Who a client is, and where it connects.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) broker: Broker,
    client_id: String,
    login: Option<Login>,
    /// `QoS` 2 is exactly once only within a session that outlives a connection.
    clean: bool,
}

/// A connection that the broker has accepted.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    inbox: Vec<u8>,
    pings: Interval,
    awaiting_pong: bool,
}

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// Worth another try.
    Io(io::Error),
    /// Another try would end the same way.
    Refused(&'static str),
    /// Likewise.
    Protocol(String),
}

/// What a client has to send, from the scenario to the last acknowledgement.
pub(super) struct Outbox {
    readings: Peekable<Readings>,
    fleet: Fleet,
    pace: Pace,
    board: Arc<Board>,
    session: Session,
    shown: Tally,
    qos: Qos,
}

/// What there is to do after filling the window.
enum Next {
    /// Everything was sent and acknowledged.
    Finished,
    /// There is more to write now.
    Write,
    /// Acknowledgements must come first.
    Await,
    /// The next reading is due then.
    AwaitUntil(Instant),
}

impl Identity {
    pub(crate) fn new(options: &Options, number: u32) -> Self {
        Self {
            broker: options.broker.clone(),
            client_id: format!("{CLIENT_PREFIX}-{}-{number}", std::process::id()),
            login: options.login.clone(),
            clean: options.qos != Qos::Two,
        }
    }

    /// Keeps a session at the broker between its connections, or does not.
    pub(crate) fn staying(self, stays: bool) -> Self {
        Self {
            clean: !stays,
            ..self
        }
    }
}

impl Link {
    pub(crate) async fn open(identity: &Identity) -> Result<Self, LinkError> {
        tokio::time::timeout(CONNECT_WITHIN, Self::connect(identity, identity.clean))
            .await
            .unwrap_or_else(|_| Err(silent("no answer to CONNECT")))
    }

    async fn connect(identity: &Identity, clean: bool) -> Result<Self, LinkError> {
        let Broker { host, port } = &identity.broker;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        stream.set_nodelay(true)?;
        let mut pings = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut link = Self {
            stream,
            inbox: Vec::new(),
            pings,
            awaiting_pong: false,
        };
        let login = identity.login.as_ref();
        let connect = Connect {
            client_id: &identity.client_id,
            clean,
            keep_alive_s: KEEP_ALIVE_S,
            user: login.map(|login| login.user.as_str()),
            password: login.and_then(|login| login.password.as_deref()),
        };
        link.stream.write_all(&connect.bytes()).await?;
        loop {
            match link.take()? {
                Some(Inbound::ConnAck(0)) => return Ok(link),
                Some(Inbound::ConnAck(code)) => return Err(LinkError::Refused(refusal(code))),
                Some(other) => {
                    let what = format!("it answered CONNECT with {other:?}");
                    return Err(LinkError::Protocol(what));
                }
                None => link.hear().await?,
            }
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The bare connection, for who counts acknowledgements without a session.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends what the outbox holds until everything is acknowledged.
    pub(super) async fn drive(&mut self, outbox: &mut Outbox) -> Result<(), LinkError> {
        loop {
            let next = outbox.fill();
            if !outbox.session.unwritten().is_empty() {
                self.stream.write_all(outbox.session.unwritten()).await?;
                outbox.session.wrote_all();
            }
            outbox.show();
            let until = match next {
                Next::Finished => match outbox.qos {
                    Qos::Zero => return self.barrier().await,
                    Qos::One | Qos::Two => return Ok(()),
                },
                Next::Write => continue,
                Next::Await => None,
                Next::AwaitUntil(due) => Some(due),
            };
            self.wait(until).await?;
            while let Some(packet) = self.take()? {
                outbox.session.receive(packet)?;
            }
        }
    }

    /// Waits for bytes from the broker, or until then.
    pub(crate) async fn wait(&mut self, until: Option<Instant>) -> Result<(), LinkError> {
        let due = async {
            match until {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = self.stream.read_buf(&mut self.inbox) => heard(read?),
            () = due => Ok(()),
            _ = self.pings.tick() => {
                if self.awaiting_pong {
                    return Err(silent("no answer to PINGREQ"));
                }
                self.awaiting_pong = true;
                Ok(self.stream.write_all(&packet::PINGREQ).await?)
            }
        }
    }

    /// Returns when the broker has read everything: it answers in order.
    async fn barrier(&mut self) -> Result<(), LinkError> {
        self.stream.write_all(&packet::PINGREQ).await?;
        let answered = async {
            while self.take()? != Some(Inbound::PingResp) {
                self.hear().await?;
            }
            Ok(())
        };
        tokio::time::timeout(PING_EVERY, answered)
            .await
            .unwrap_or_else(|_| Err(silent("no answer to PINGREQ")))
    }

    /// Leaves, and leaves no session behind. Whatever goes wrong now costs no message.
    pub(crate) async fn close(mut self, identity: &Identity) {
        let farewell = async {
            self.leave().await?;
            if !identity.clean {
                Self::connect(identity, true).await?.leave().await?;
            }
            Ok::<(), LinkError>(())
        };
        drop(tokio::time::timeout(CLOSE_WITHIN, farewell).await);
    }

    async fn leave(&mut self) -> Result<(), LinkError> {
        self.stream.write_all(&packet::DISCONNECT).await?;
        Ok(self.stream.shutdown().await?)
    }

    async fn hear(&mut self) -> Result<(), LinkError> {
        heard(self.stream.read_buf(&mut self.inbox).await?)
    }

    /// The next packet that has come whole.
    pub(crate) fn take(&mut self) -> Result<Option<Inbound>, LinkError> {
        let read =
            packet::read(&self.inbox).map_err(|error| LinkError::Protocol(error.to_string()))?;
        Ok(read.map(|(packet, length)| {
            self.inbox.drain(..length);
            if packet == Inbound::PingResp {
                self.awaiting_pong = false;
            }
            packet
        }))
    }
}

impl Outbox {
    pub(super) fn new(
        readings: Readings,
        fleet: Fleet,
        pace: Pace,
        board: Arc<Board>,
        qos: Qos,
        inflight: u16,
    ) -> Self {
        Self {
            readings: readings.peekable(),
            fleet,
            pace,
            board,
            session: Session::new(qos, inflight),
            shown: Tally::default(),
            qos,
        }
    }

    /// How many messages have been acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.session.tally.acknowledged
    }

    /// The connection was lost and another one is there.
    pub(super) fn resume(&mut self) {
        self.session.resume();
    }

    /// Makes publishes of what is due, as far as the window goes.
    fn fill(&mut self) -> Next {
        let now = Instant::now();
        while self.session.has_room() {
            let Some(reading) = self.readings.peek() else {
                break;
            };
            match self.pace.due(reading.at_ms) {
                Some(due) if due > now => return Next::AwaitUntil(due),
                Some(_) | None => {}
            }
            let topic = &self.fleet.label(reading.home, reading.sensor).topic;
            self.session
                .publish(topic, |out| reading.write_payload(&self.fleet, out));
            self.board.at_ms.fetch_max(reading.at_ms, Ordering::Relaxed);
            self.readings.next();
        }
        match (self.readings.peek(), self.qos) {
            (None, Qos::Zero) => Next::Finished,
            (None, _) if self.session.is_settled() => Next::Finished,
            (Some(_), Qos::Zero) => Next::Write,
            (Some(_) | None, Qos::One | Qos::Two) => Next::Await,
        }
    }

    /// Tells the board what has changed.
    fn show(&mut self) {
        let Tally {
            published,
            acknowledged,
        } = self.session.tally;
        self.board
            .published
            .fetch_add(published - self.shown.published, Ordering::Relaxed);
        self.board
            .acknowledged
            .fetch_add(acknowledged - self.shown.acknowledged, Ordering::Relaxed);
        self.shown = self.session.tally;
    }
}

impl LinkError {
    pub(crate) fn give_up(self, identity: &Identity) -> PublishError {
        let broker = identity.broker.clone();
        match self {
            Self::Io(source) => PublishError::Unreachable { broker, source },
            Self::Refused(why) => PublishError::Refused { broker, why },
            Self::Protocol(what) => PublishError::Protocol { broker, what },
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<crate::session::Unasked> for LinkError {
    fn from(error: crate::session::Unasked) -> Self {
        Self::Protocol(error.to_string())
    }
}

fn heard(bytes: usize) -> Result<(), LinkError> {
    if bytes == 0 {
        let why = "the broker closed the connection";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why).into());
    }
    Ok(())
}

fn silent(what: &'static str) -> LinkError {
    io::Error::new(io::ErrorKind::TimedOut, what).into()
}

/// §3.2.2.3
fn refusal(code: u8) -> &'static str {
    match code {
        1 => "it does not speak MQTT 3.1.1",
        2 => "it does not take the client id",
        3 => "it is not available",
        4 => "wrong user name or password",
        5 => "not authorised (see --user and --password-file)",
        _ => "for a reason unknown to MQTT 3.1.1",
    }
}
