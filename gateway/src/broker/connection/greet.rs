//! From accept to CONNACK: the version, who it is, and the session it goes on with.

use super::leave::until_gone;
use super::uptake::Uptake;
use super::{Connection, Seat};
use crate::broker::auth::{Admission, Credentials, Peer, Permit};
use crate::broker::codec::{self, Bad, Connect, Packet, Reason, Terms, Version, Welcome};
use crate::broker::door::{Overdue, Place};
use crate::broker::hub::{Claim, Will};
use crate::broker::intake::{BrokerWrite, Line, Mapper, Order};
use crate::broker::limits::{LAST_WORDS, READ_SMALLEST};
use crate::broker::session::Session;
use crate::broker::stats::Stats;
use crate::broker::{Core, now};
use bytes::BytesMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Makes assigned client ids differ within a run; the connection's address of birth makes no promise.
static ASSIGNED: AtomicU64 = AtomicU64::new(0);

/// Why there is no session.
enum Refusal {
    /// Nothing to say: no MQTT, or the peer is gone.
    Silent(&'static str),
    /// CONNACK says it.
    Told(Terms, Reason, &'static str),
}

/// `None`: refused, and told so where the protocol can.
pub(super) async fn greet<'a, M: Mapper, S>(
    core: &'a Arc<Core<M>>,
    stream: &mut S,
    peer: &Peer,
    place: &Place,
) -> Option<Connection<'a, M>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stopping = core.stopping.subscribe();
    let mut input = BytesMut::with_capacity(READ_SMALLEST);
    let greeted = tokio::select! {
        greeted = place.in_time(read_connect(core, stream, &mut input)) => greeted,
        _ = stopping.wait_for(|stop| *stop) => return None,
    };
    let welcomed = match greeted {
        // Counted by who took its place.
        Err(Overdue::SentAway) => return None,
        Err(Overdue::Late) => Err(Refusal::Silent("no CONNECT in time")),
        Ok(Err(refusal)) => Err(refusal),
        Ok(Ok(connect)) => match place.greeted() {
            Ok(()) => welcome(core, connect, input, peer).await,
            Err(Overdue::SentAway | Overdue::Late) => return None,
        },
    };
    match welcomed {
        Ok(connection) => Some(connection),
        Err(refusal) => {
            Stats::add(&core.stats.refused, 1);
            refuse(stream, refusal, peer).await;
            None
        }
    }
}

async fn read_connect<M: Mapper, S>(
    core: &Core<M>,
    stream: &mut S,
    input: &mut BytesMut,
) -> Result<Connect, Refusal>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(level) = codec::first_level(input).map_err(|bad| Refusal::Silent(bad.what))? {
            let version = match level {
                4 => Version::V4,
                5 => Version::V5,
                // Level 3 is MQIsdp; whatever it is, it understands the first CONNACK there was.
                _ => {
                    return Err(Refusal::Told(
                        Terms::of(Version::V4),
                        Reason::UnsupportedProtocolVersion,
                        "this protocol version is not served; use MQTT 3.1.1 or 5",
                    ));
                }
            };
            let told = |bad: Bad| Refusal::Told(Terms::of(version), bad.reason, bad.what);
            match codec::decode(input, version, core.hub.limits.max_packet).map_err(told)? {
                Some(Packet::Connect(connect)) => {
                    Stats::add(&core.stats.packets_in, 1);
                    return Ok(*connect);
                }
                Some(_) => return Err(Refusal::Silent("the first packet is no CONNECT")),
                None => {}
            }
        }
        input.reserve(READ_SMALLEST);
        match stream.read_buf(input).await {
            Ok(0) | Err(_) => return Err(Refusal::Silent("gone before CONNECT")),
            Ok(count) => Stats::add(&core.stats.bytes_in, count as u64),
        }
    }
}

async fn welcome<'a, M: Mapper>(
    core: &'a Arc<Core<M>>,
    mut connect: Connect,
    input: BytesMut,
    peer: &Peer,
) -> Result<Connection<'a, M>, Refusal> {
    let version = connect.version;
    let terms = Terms {
        version,
        explains: true,
        max_packet: connect.max_packet,
    };
    let told = |reason, what| Refusal::Told(terms, reason, what);
    let (client, assigned) = named(&mut connect).map_err(|(reason, what)| told(reason, what))?;
    let permit = admit(core, &connect, &client, peer)
        .await
        .map_err(|(reason, what)| told(reason, what))?;
    if let Some(will) = &connect.will {
        may_have_will(core, &permit, will).map_err(|(reason, what)| told(reason, what))?;
    }
    let intake = core.intake().ok_or(told(
        Reason::ServerUnavailable,
        "the broker is shutting down; come back later",
    ))?;
    // A session is kept no longer than the limit, and the client is told.
    let longest = u32::try_from(core.hub.limits.session_expiry.as_secs()).unwrap_or(u32::MAX);
    let shortened = version == Version::V5 && connect.expiry_s > longest;
    if shortened {
        connect.expiry_s = longest;
    }
    let mut welcome = Welcome {
        session_present: false,
        assigned_id: assigned.as_deref(),
        expiry_s: shortened.then_some(connect.expiry_s),
        max_packet: core.hub.limits.max_packet,
    };
    if codec::conn_ack_size(&welcome, version) > connect.max_packet {
        return Err(told(
            Reason::PacketTooLarge,
            "the client takes no packet as large as CONNACK",
        ));
    }
    let line = Arc::new(Line::default());
    let claim = core
        .hub
        .claim(&client, &line, connect.clean_start, permit.user.as_deref())
        .await;
    let Claim {
        slot,
        memory,
        dropped,
        will: ended_will,
    } = claim;
    let seat = Seat::taken(&core.hub, &slot);
    // A slot exists from here on: no early return below, or its session is lost.
    let resumed = memory.is_some();
    let stays = connect.expiry_s > 0;
    slot.set_durable(stays);
    // Also where a session goes on that will end with this connection, however that ends.
    let over = dropped || (resumed && !stays);
    let over = over.then(|| BrokerWrite::SessionDrop {
        client: client.clone(),
    });
    core.publish_wills(ended_will.map(|will| *will), over.into_iter().collect())
        .await;
    let mut writes = Vec::new();
    let mut session = Session::new(&connect, &client, memory);
    session.memory.owner.clone_from(&permit.user);
    let mut output = BytesMut::new();
    welcome.session_present = resumed;
    codec::conn_ack(&mut output, &welcome, version);
    session.resume(&mut output, &mut writes, now());
    if *core.stopping.borrow() {
        line.give(Order::ShuttingDown);
    }
    Stats::add(&core.stats.welcomed, 1);
    Stats::raise(&core.stats.most_sessions, core.hub.sessions() as u64);
    tracing::debug!(client, ?peer, ?version, resumed, "connected");
    Ok(Connection {
        core,
        session,
        slot,
        line,
        permit,
        will: connect.will,
        has_rows: resumed && stays,
        intake,
        input,
        output,
        read_size: READ_SMALLEST,
        writes,
        promises: Vec::new(),
        seat,
        last_ack: None,
        heard: now(),
        uptake: Uptake::default(),
        counted: 0,
        // Section 3.1.2.10: one and a half times; 0 is none.
        keep_alive: (connect.keep_alive_s > 0)
            .then(|| Duration::from_millis(u64::from(connect.keep_alive_s) * 1500)),
    })
}

/// The client's id, and the same again if it is of our making.
fn named(connect: &mut Connect) -> Result<(String, Option<String>), (Reason, &'static str)> {
    if !connect.client_id.is_empty() {
        return Ok((std::mem::take(&mut connect.client_id), None));
    }
    if connect.version == Version::V4 && !connect.clean_start {
        return Err((
            Reason::ClientIdentifierNotValid,
            "a session that stays needs a client id; send one, or ask for a clean session",
        ));
    }
    let assigned = assigned_id();
    Ok((assigned.clone(), Some(assigned)))
}

async fn admit<M: Mapper>(
    core: &Core<M>,
    connect: &Connect,
    client_id: &str,
    peer: &Peer,
) -> Result<Arc<Permit>, (Reason, &'static str)> {
    let credentials = Credentials {
        client_id,
        username: connect.username.as_deref(),
        password: connect.password.as_deref(),
        peer,
    };
    match core.access.admit(credentials).await {
        Admission::Granted(permit) => Ok(permit),
        Admission::BadCredentials => {
            Stats::add(&core.stats.logins_refused, 1);
            Err((Reason::BadUserNameOrPassword, "wrong user name or password"))
        }
        Admission::Denied => {
            Stats::add(&core.stats.logins_refused, 1);
            Err((Reason::NotAuthorized, "this client is not allowed here"))
        }
        Admission::Busy => {
            Stats::add(&core.stats.logins_put_off, 1);
            Err((
                Reason::ServerBusy,
                "too many clients log in at once; come back in a moment",
            ))
        }
        Admission::TooSoon => {
            Stats::add(&core.stats.logins_put_off, 1);
            Err((
                Reason::ConnectionRateExceeded,
                "too many failed log-ins came from here; wait before the next one",
            ))
        }
    }
}

fn may_have_will<M: Mapper>(
    core: &Core<M>,
    permit: &Permit,
    will: &Will,
) -> Result<(), (Reason, &'static str)> {
    let topic = std::str::from_utf8(&will.topic).unwrap_or_default();
    if core.own_topics.may_publish(topic) && permit.may_publish(topic) {
        return Ok(());
    }
    Stats::add(&core.stats.denied, 1);
    Err((
        Reason::NotAuthorized,
        "this client may not publish to its will's topic",
    ))
}

fn assigned_id() -> String {
    // Unique within a run and not to be guessed from another's: the hasher's keys are random.
    use std::hash::{BuildHasher, RandomState};
    let count = ASSIGNED.fetch_add(1, Ordering::Relaxed);
    format!("auto-{count}-{:016x}", RandomState::new().hash_one(count))
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, refusal: Refusal, peer: &Peer) {
    let mut output = BytesMut::new();
    match refusal {
        Refusal::Silent(what) => tracing::debug!(?peer, what, "refused"),
        Refusal::Told(terms, reason, what) => {
            tracing::debug!(?peer, ?reason, what, "refused");
            codec::conn_ack_refused(&mut output, reason, what, terms);
        }
    }
    let farewell = async {
        stream.write_all(&output).await?;
        stream.shutdown().await?;
        if output.is_empty() {
            Ok(())
        } else {
            until_gone(stream).await
        }
    };
    // Whether a refused peer hears it is its own affair.
    drop(tokio::time::timeout(LAST_WORDS, farewell).await);
}
